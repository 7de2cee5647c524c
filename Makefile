# SPDX-License-Identifier: BSD-3-Clause
# make demo | test | parity | golden-, mesh-, kill-, fault-, fork-report | bench | lint | fuzz | asan | tsan | debug | clean
# Each works as the first command on a fresh Debian or Ubuntu machine with Python 3.11 or newer.

PYTHON ?= python3
JOBS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
PYTEST_WORKERS ?= 2
FUZZ_SECONDS ?= 60
ARGS ?=
DATA ?=

VENV := .venv
PY := $(VENV)/bin/python
STAMPS := .stamps
export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

NATIVE := $(shell find cpp/include cpp/src cpp/bindings cpp/cmake cpp/CMakeLists.txt cloudvolume_fast -type f \
            \( -name '*.[ch]pp' -o -name '*.py[xi]' -o -name '*.pxd' -o -name '*.cmake' -o -name CMakeLists.txt \) \
            2>/dev/null)

# Prints requirements of pyproject.toml: "build", "run" or an extra.
REQUIREMENTS = $(PY) -c "import sys, tomllib; p = tomllib.load(open('pyproject.toml', 'rb')); \
    q = p['project']; e = q['optional-dependencies']; \
    print(*(r for a in sys.argv[1:] for r in ({'build': p['build-system']['requires'], 'run': q['dependencies']} | e)[a]), sep='\n')"

.DEFAULT_GOAL := help
.PHONY: help demo test test-cpp test-python parity golden-report mesh-report kill-report fault-report fork-report bench \
        lint fuzz asan tsan debug clean system-demo system-test system-fuzz FORCE

help:
	@echo "make demo    build, write a sample volume, read it back, save a picture   (ARGS=...)"
	@echo "make test    C++ and Python tests                                         (ARGS=... for pytest)"
	@echo "make parity  the same calls on cloud-volume and here, and what differs       (CVFAST_PEERS_PYTHON=...)"
	@echo "make golden-report    encodings x types x compressions, by whom written and read (CVFAST_PEERS_PYTHON=...)"
	@echo "make mesh-report      meshes, skeletons, spatial indexes: by whom written and read (CVFAST_PEERS_PYTHON=...)"
	@echo "make kill-report      processes killed in the middle of reads into shared memory  (ARGS=runs, 200)"
	@echo "make fault-report     reads from a server that spoils a fifth of its answers     (ARGS=chunk reads, 10000)"
	@echo "make fork-report      64 children at once, forked after reading     (ARGS=repetitions, 1000)"
	@echo "make bench   measure against cloud-volume and tensorstore                 (DATA=folder ARGS=...)"
	@echo "make lint    formatters, linters, types, import contract"
	@echo "make fuzz    every fuzz target for FUZZ_SECONDS=60 (needs clang)"
	@echo "make asan | tsan | debug    all tests with sanitizers, or without optimisation"
	@echo "make clean   remove everything that was built"

demo: $(STAMPS)/installed
	$(PY) -m cloudvolume_fast demo $(ARGS)

test: test-cpp test-python

test-cpp: | system-test
	@test -f build/release/build.ninja || cmake --preset release -DCVFAST_BUILD_PYTHON=OFF
	cmake --build --preset release
	ctest --preset release -j $(JOBS)

test-python: $(STAMPS)/installed $(STAMPS)/requirements-test | system-test
	$(PY) -m pytest -n $(PYTEST_WORKERS) --dist loadgroup $(ARGS)

parity: $(STAMPS)/installed $(STAMPS)/requirements-test $(if $(CVFAST_PEERS_PYTHON),,$(STAMPS)/requirements-bench)
	@mkdir -p build/parity
	$(if $(CVFAST_PEERS_PYTHON),$(CVFAST_PEERS_PYTHON),$(PY)) tests/parity/compare.py run cloudvolume build/parity/upstream.json
	$(PY) tests/parity/compare.py run cloudvolume_fast build/parity/ours.json
	$(PY) tests/parity/compare.py diff build/parity/upstream.json build/parity/ours.json

golden-report: $(STAMPS)/installed $(STAMPS)/requirements-test | system-test
	PYTHONPATH=tests $(PY) -m golden.report

mesh-report: $(STAMPS)/installed $(STAMPS)/requirements-test | system-test
	PYTHONPATH=tests $(PY) -m interop.report

kill-report: $(STAMPS)/installed $(STAMPS)/requirements-test | system-test
	PYTHONPATH=tests $(PY) -m kills.report $(ARGS)

fault-report: $(STAMPS)/installed $(STAMPS)/requirements-test | system-test
	PYTHONPATH=tests $(PY) -m faults.report $(ARGS)

fork-report: $(STAMPS)/installed $(STAMPS)/requirements-test | system-test
	PYTHONPATH=tests $(PY) -m forks.report $(ARGS)

bench: $(STAMPS)/installed $(STAMPS)/requirements-bench
	$(PY) benchmarks/bench.py $(if $(DATA),--data $(DATA)) $(ARGS)

lint: $(STAMPS)/installed $(STAMPS)/requirements-test $(STAMPS)/requirements-lint
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m pre_commit run --all-files $(ARGS)

fuzz: | system-fuzz
	@test -f build/fuzz/build.ninja || cmake --preset fuzz
	cmake --build --preset fuzz
	@set -e; for target in $$(find build/fuzz/cpp/fuzz -maxdepth 1 -type f -perm -u+x -name 'fuzz_*' | sort); do \
	  name=$$(basename $$target); corpus=build/fuzz/corpus/$${name#fuzz_}; seeds=cpp/fuzz/corpus/$${name#fuzz_}; \
	  mkdir -p $$corpus build/fuzz/failures; \
	  echo "== $$name for $(FUZZ_SECONDS) s"; \
	  $$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1 \
	    -artifact_prefix=build/fuzz/failures/ $$corpus $$(test -d $$seeds && echo $$seeds) >build/fuzz/$$name.log 2>&1 \
	    || { tail -n 60 build/fuzz/$$name.log; exit 1; }; \
	  grep -E 'stat::number_of_executed_units|stat::average_exec_per_sec' build/fuzz/$$name.log; \
	done

debug asan tsan: $(STAMPS)/requirements-build $(STAMPS)/requirements-run $(STAMPS)/requirements-test | system-test
	@test -f build/$@/build.ninja || cmake --preset $@ -DPython_EXECUTABLE="$(CURDIR)/$(PY)"
	cmake --build --preset $@
	ctest --preset $@ -j $(JOBS)
	@rm -rf build/$@/stage
	@cmake --install build/$@ --prefix build/$@/stage --component python >/dev/null
	.ci/staged-tests $@ $(ARGS)

clean:
	rm -rf $(VENV) $(STAMPS) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find cloudvolume_fast tests -name __pycache__ -type d -prune -exec rm -rf {} +

system-demo system-test system-fuzz: system-%:
	@.ci/system-packages $*

$(STAMPS)/venv: | system-demo
	@mkdir -p $(STAMPS)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(STAMPS)/requirements-%: pyproject.toml $(STAMPS)/venv
	@$(REQUIREMENTS) $* >$@.txt
	$(PY) -m pip install --quiet -r $@.txt
	@touch $@

# An editable install knows its Python files by name: it is renewed when one comes or goes, not when one changes.
$(STAMPS)/python-files: FORCE
	@mkdir -p $(STAMPS)
	@find cloudvolume_fast -name '*.py' | LC_ALL=C sort >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# Editable: Python files are read from the tree, extensions are rebuilt here whenever one of their sources changes.
$(STAMPS)/installed: $(STAMPS)/requirements-build $(STAMPS)/requirements-run $(STAMPS)/python-files \
                     $(NATIVE) CMakeLists.txt pyproject.toml | system-demo
	$(PY) -m pip install --quiet --no-build-isolation --no-deps -e .
	$(PY) -m compileall -q cloudvolume_fast  # as pip does for packages that are not editable
	@touch $@

FORCE:
