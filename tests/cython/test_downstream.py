# SPDX-License-Identifier: BSD-3-Clause
"""The wheel, installed where the source tree is out of sight, and a package that cimports it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = Path(__file__).resolve().parent / "outside"

# One worker builds the wheel; the tests share it.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("downstream")]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from the tree, so that nothing is imported from it.

    What it compiles is not optimised: the wheel's flags are CMake's, the outside package is small.
    """
    hidden = ("PYTHONPATH", "LD_PRELOAD", "PYTHONSAFEPATH")
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k not in hidden} | {"CFLAGS": "-O0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}:\n{result.stdout[-5000:]}"
    return result.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package's wheel: ``CVFAST_WHEEL``, or one built with this environment's packages.

    It needs no network, and the build folder of the Makefile makes it cheap.
    """
    if given := os.environ.get("CVFAST_WHEEL"):
        return Path(given).resolve()
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--no-index", "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def fresh_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a new environment that holds the wheel.

    A ``.pth`` file lends it numpy, Cython and setuptools of the running environment.  That one's
    own ``.pth`` files are not read, so an editable installation there stays out of sight.
    """
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps")
    run(*pip, "--no-index", wheel, cwd=folder)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


@pytest.mark.parametrize("installation", ["wheel", "running"])
def test_outside_package_builds_and_agrees_with_numpy(
    installation: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The running environment's installation is an editable one under ``make test``."""
    is_wheel = installation == "wheel"
    python = request.getfixturevalue("fresh_python") if is_wheel else sys.executable
    for source in OUTSIDE.rglob("*"):
        if source.suffix in {".toml", ".py", ".pyx"} and "build" not in source.parts:
            target = tmp_path / source.relative_to(OUTSIDE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    run(python, "setup.py", "--quiet", "build_ext", "--inplace", cwd=tmp_path)
    prefix = Path(python).parents[1] if is_wheel else "/"
    assert "agrees" in run(python, "check.py", prefix, cwd=tmp_path)


LIST_MODULES = """
import pkgutil, cloudvolume_fast
print(*sorted(m.name for m in pkgutil.walk_packages(cloudvolume_fast.__path__, "cloudvolume_fast.")), sep="\\n")
"""


def test_every_installation_has_the_same_modules(fresh_python: Path, tmp_path: Path) -> None:
    listings = [
        run(python, "-c", LIST_MODULES, cwd=tmp_path) for python in (fresh_python, sys.executable)
    ]
    assert "cloudvolume_fast._core.paint" in listings[0].splitlines()
    assert listings[0] == listings[1]


def test_wheel_holds_declarations_headers_and_stubs_but_no_sources(wheel: Path) -> None:
    from zipfile import ZipFile

    names = ZipFile(wheel).namelist()
    for expected in (
        "cloudvolume_fast/_core/paint.pxd",
        "cloudvolume_fast/_core/paint.pyi",
        "cloudvolume_fast/py.typed",
        "cloudvolume_fast/libcvfast/box.pxd",
        "cloudvolume_fast/include/cvfast/core/box.hpp",
    ):
        assert expected in names
    unwanted = (".pyx", ".cpp", ".a", "CMakeLists.txt")
    assert [
        name for name in names if name.endswith(unwanted) or not name.startswith("cloudvolume_fast")
    ] == []
