# SPDX-License-Identifier: BSD-3-Clause
"""The package in the place of cloud-volume: names, child processes, programs run from outside."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import support

from cloudvolume_fast.compat import table

METHODS = ["spawn", "fork", "forkserver"]

# A package that must not be imported, in the place where the real one would be installed.
FAKE = 'raise AssertionError("the other cloudvolume was imported")\n'


def run(arguments: list[str], **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=support.environment(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def upstream(tmp_path: Path) -> str:
    folder = tmp_path / "site" / "cloudvolume"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(FAKE)
    return str(folder.parent)


NAMES = """
import json
import cloudvolume_fast
cloudvolume_fast.install_as_cloudvolume()
cloudvolume_fast.install_as_cloudvolume()
import cloudvolume, cloudvolume.lib
from cloudvolume import Bbox, CloudVolume, exceptions
from cloudvolume.lib import Bbox as lib_bbox, Vec
from cloudvolume.datasource.precomputed.sharding import ShardingSpecification
from cloudvolume_fast.datasource.precomputed.sharding import ShardingSpecification as ours
import cloudvolume.datasource.precomputed.image.common as common
print(json.dumps([
    cloudvolume is cloudvolume_fast,
    Bbox is lib_bbox is cloudvolume_fast.Bbox,
    ShardingSpecification is ours,
    exceptions is cloudvolume_fast.errors,
    cloudvolume.lib is cloudvolume_fast.lib,
    callable(common.gridpoints),
    cloudvolume.datasource.precomputed.image.common is common,
]))
"""


def test_names_are_one_set_of_objects() -> None:
    assert support.run_python(NAMES) == [True] * 7


def test_installed_upstream_is_not_imported(upstream: str) -> None:
    assert support.run_python(NAMES, PYTHONPATH=upstream) == [True] * 7


def test_imported_upstream_is_an_error(upstream: str) -> None:
    Path(upstream, "cloudvolume", "__init__.py").write_text("")
    found = support.run_python(
        """
import json
import cloudvolume
import cloudvolume_fast
try:
    cloudvolume_fast.install_as_cloudvolume()
except ImportError as error:
    print(json.dumps([type(error).__name__, str(error), error.found]))
""",
        PYTHONPATH=upstream,
    )
    name, text, where = found
    assert name == "UpstreamImportedError"
    assert "before install_as_cloudvolume()" in text
    assert where.endswith("cloudvolume/__init__.py")


def test_unknown_module_is_not_found_and_names_it() -> None:
    found = support.run_python(
        """
import importlib.util, json
import cloudvolume_fast
cloudvolume_fast.install_as_cloudvolume()
out = [importlib.util.find_spec("cloudvolume.nothing")]
for name in ("cloudvolume.nothing", "cloudvolume.lib.nothing", "cloudvolume_fast.nothing"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        out.append(error.name)
try:
    from cloudvolume.volumecutout import nothing
except ImportError as error:
    out.append(error.name)
print(json.dumps(out))
"""
    )
    assert found == [
        None,
        "cloudvolume.nothing",
        "cloudvolume.lib.nothing",
        "cloudvolume_fast.nothing",
        "cloudvolume_fast.volumecutout",
    ]


def test_without_installing_only_our_own_name_resolves(upstream: str) -> None:
    found = support.run_python(
        """
import json
import cloudvolume_fast.lib, cloudvolume_fast.datasource.precomputed.common
try:
    import cloudvolume
except AssertionError as error:
    print(json.dumps(str(error)))
""",
        PYTHONPATH=upstream,
    )
    assert found == "the other cloudvolume was imported"


CHILDREN = """
import json, multiprocessing, os, subprocess, sys
{install}
import cloudvolume
from cloudvolume.lib import Vec

def ask(vec):
    import cloudvolume, cloudvolume.exceptions
    return [cloudvolume.__name__, cloudvolume.exceptions.__name__, type(vec).__module__, os.getpid()]

if __name__ == "__main__":
    out = []
    for method in {methods!r}:
        with multiprocessing.get_context(method).Pool(1) as pool:
            out.append(pool.apply(ask, (Vec(1, 2, 3),)))
    code = "import cloudvolume.lib, os; print(cloudvolume.lib.__name__, flush=True); import subprocess, sys; " \
        "sys.exit(subprocess.call([sys.executable, '-c', 'import cloudvolume; print(cloudvolume.__name__)']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(json.dumps([out, done.stdout.split(), os.getpid(), sys.argv[1:]]))
"""


def check_children(output: str, arguments: list[str]) -> None:
    pools, grandchild, pid, argv = json.loads(output)
    assert [found[:3] for found in pools] == [
        ["cloudvolume_fast", "cloudvolume_fast.errors", "cloudvolume_fast.model.vec"]
    ] * len(METHODS)
    assert pid not in [found[3] for found in pools]
    assert grandchild == ["cloudvolume_fast.compat.lib", "cloudvolume_fast"]
    assert argv == arguments


def test_children_of_all_kinds_get_it_too(tmp_path: Path, upstream: str) -> None:
    script = tmp_path / "program.py"
    install = "import cloudvolume_fast; cloudvolume_fast.install_as_cloudvolume()"
    script.write_text(CHILDREN.format(install=install, methods=METHODS))
    check_children(run([str(script)], PYTHONPATH=upstream), [])


def test_script_runs_unchanged(tmp_path: Path, upstream: str) -> None:
    (tmp_path / "beside.py").write_text("value = 7\n")
    script = tmp_path / "program.py"
    script.write_text(CHILDREN.format(install="import beside", methods=METHODS))
    output = run(
        ["-m", "cloudvolume_fast", "run", str(script), "-v", "--size", "3", "run"],
        PYTHONPATH=upstream,
    )
    check_children(output, ["-v", "--size", "3", "run"])


def test_module_runs_unchanged(tmp_path: Path, upstream: str) -> None:
    (tmp_path / "program.py").write_text(CHILDREN.format(install="", methods=METHODS))
    output = run(
        ["-m", "cloudvolume_fast", "run", "-m", "program", "-m", "x"],
        PYTHONPATH=os.pathsep.join([str(tmp_path), upstream]),
    )
    check_children(output, ["-m", "x"])


def test_command_on_path_runs_unchanged(tmp_path: Path) -> None:
    command = tmp_path / "bin" / "cvtool"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nimport cloudvolume; print(cloudvolume.__name__)\n")
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), os.environ["PATH"]])
    assert run(["-m", "cloudvolume_fast", "run", "cvtool"], PATH=path) == "cloudvolume_fast\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a script, or -m and a module"),
        (["nothing.py"], "nothing.py: expected a file"),
        (["sh"], "sh: expected a file, or a Python script on PATH"),
    ],
)
def test_what_is_no_program_is_an_error(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cloudvolume_fast", "run", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert message in done.stderr


def test_exit_status_and_traceback_are_the_programs(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text("import sys\nsys.exit(7)\n")
    done = subprocess.run(
        [sys.executable, "-m", "cloudvolume_fast", "run", str(script)], check=False
    )
    assert done.returncode == 7


def test_child_without_the_package_says_so(tmp_path: Path) -> None:
    from cloudvolume_fast.compat.finder import CHILD_PATH

    done = subprocess.run(
        [sys.executable, "-S", "-c", "import cloudvolume"],
        env={"PYTHONPATH": CHILD_PATH},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "this Python cannot import it" in done.stderr


def has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # nor is there what it would lie in
        return False


def test_every_name_of_the_table_resolves() -> None:
    missing = []
    for module, entry in table.MODULES.items():
        if isinstance(entry, str):
            targets = {"": f"{entry}:__name__"}
        else:
            targets = {name: str(table.target_of(module, name)) for name in table.names_of(module)}
        for name, target in targets.items():
            ours, _, attribute = target.partition(":")
            if not has_module(f"cloudvolume_fast.{ours}"):
                missing.append(f"{module}.{name}: {target}")
                continue
            if not hasattr(importlib.import_module(f"cloudvolume_fast.{ours}"), attribute):
                missing.append(f"{module}.{name}: {target}")
            elif name:
                found = importlib.import_module(f"cloudvolume_fast.{module}")
                assert hasattr(found, name)
    assert missing == []
