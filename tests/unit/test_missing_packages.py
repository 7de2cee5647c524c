# SPDX-License-Identifier: BSD-3-Clause
"""Packages that are absent: what needs one says which, and how to install it; what does not, works."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support

from cloudvolume_fast import CloudVolume

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
READ = "CloudVolume(path)[:]"
TO_JXL = "CloudVolume(path).transfer_to(path + 'x', np.s_[0:8, 0:8, 0:8], encoding='jxl')"
WRITE = "CloudVolume(path)[:] = np.ones((8, 8, 8), np.{dtype})"

# Imports of the package fail, as if it were not there; nothing of ours is replaced.
SCRIPT = """
import json, sys
package, path, action = sys.argv[1:]
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Blocker())
import numpy as np
from cloudvolume_fast import CloudVolume
try:
    exec(action)
    found = None
except ImportError as error:
    found = str(error)
print(json.dumps([found, package in sys.modules]))
"""


def write_layer(folder: Path, encoding: str, dtype: str, compress: Any) -> str:
    info = support.make_info(
        size=(8, 8, 8), chunk_size=(8, 8, 8), data_type=dtype, encoding=encoding
    )
    vol = CloudVolume(f"file://{folder}", info=info, compress=compress)
    vol.commit_info()
    vol[:] = np.ones((8, 8, 8), dtype)
    return vol.cloudpath


def run(package: str, path: str, action: str) -> str | None:
    message, is_loaded = support.run_python(SCRIPT, package, path, action)
    assert not is_loaded
    return message


NEEDED = [
    ("simplejpeg", "jpeg", "uint8", False, READ),
    ("simplejpeg", "jpeg", "uint8", False, WRITE),
    ("imagecodecs", "jxl", "uint8", False, READ),
    ("imagecodecs", "jxl", "uint8", False, WRITE),
    ("imagecodecs", "jpeg", "uint8", False, TO_JXL),
    ("zfpy", "zfpc", "float32", False, READ),
    ("zfpy", "zfpc", "float32", False, WRITE),
    ("zfpc", "zfpc", "float32", False, WRITE),
    ("compresso", "compresso", "uint32", False, WRITE),
    ("crackle", "crackle", "uint32", False, WRITE),
    ("crackle", "raw", "uint32", False, "CloudVolume(path).download(np.s_[:, :, :], crackle=True)"),
    ("crackle", "raw", "uint32", False, "CloudVolume.from_crackle('file.ckl', path + 'x')"),
    ("brotli", "raw", "uint8", "br", READ),
    ("brotli", "raw", "uint8", "br", "CloudVolume(path, compress='br')[:] = np.ones((8, 8, 8), np.uint8)"),
    ("zstandard", "raw", "uint8", "zstd", READ),
    ("zstandard", "raw", "uint8", "zstd", "CloudVolume(path, compress='zstd')[:] = np.ones((8, 8, 8), np.uint8)"),
    ("lzma", "raw", "uint8", "xz", READ),
    ("bz2", "raw", "uint8", "bz2", READ),
    ("DracoPy", "raw", "uint8", False, "from cloudvolume_fast import Mesh; Mesh.from_draco(b'DRACO' + bytes(20))"),
    ("DracoPy", "raw", "uint8", False, "from cloudvolume_fast import Mesh; Mesh(np.eye(3), [[0, 1, 2]]).to_draco()"),
    ("trimesh", "raw", "uint8", False, "from cloudvolume_fast import Mesh; Mesh(np.eye(3), [[0, 1, 2]]).trimesh()"),
    ("vtk", "raw", "uint8", False, "from cloudvolume_fast import Mesh; Mesh(np.eye(3), [[0, 1, 2]]).viewer()"),
    ("PIL", "raw", "uint8", False, "CloudVolume(path)[:].save_images(path.removeprefix('file://') + 'p')"),
]  # fmt: skip


@pytest.mark.parametrize(("package", "encoding", "dtype", "compress", "action"), NEEDED)
def test_package_that_is_needed_is_named_with_what_installs_it(
    tmp_path: Path, package: str, encoding: str, dtype: str, compress: Any, action: str
) -> None:
    path = write_layer(tmp_path / "layer", encoding, dtype, compress)
    message = run(package, path, action.format(dtype=dtype))
    assert message is not None
    assert f"the package {package} is not installed: " in message
    if package in ("lzma", "bz2"):
        assert "this Python was built without it" in message
        return
    (what,) = re.findall("pip install '(.*?)'", message)
    name, _, extra = what.rstrip("]").partition("[")
    assert name == PROJECT["name"]
    listed = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    distribution = {"PIL": "pillow", "crackle": "crackle-codec", "zfpy": "zfpc"}.get(
        package, package
    )
    assert distribution in {re.split("[<>=]", requirement)[0] for requirement in listed}


@pytest.mark.parametrize(
    ("package", "encoding", "dtype", "compress", "action"),
    [
        ("compresso", "compresso", "uint32", False, READ),
        ("crackle", "crackle", "uint32", False, READ),
        ("zfpc", "zfpc", "float32", False, READ),
        ("fpzip", "fpzip", "float32", False, READ),
        ("fpzip", "fpzip", "float32", False, WRITE),
        ("fpzip", "kempressed", "float32", False, WRITE),
        ("imagecodecs", "png", "uint8", False, WRITE),
        ("imagecodecs", "jpeg", "uint8", False, READ),
        ("brotli", "raw", "uint8", "gzip", READ),
        ("zstandard", "raw", "uint8", "br", READ),
    ],
)
def test_package_that_is_not_needed_is_not_missed(
    tmp_path: Path, package: str, encoding: str, dtype: str, compress: Any, action: str
) -> None:
    path = write_layer(tmp_path / "layer", encoding, dtype, compress)
    assert run(package, path, action.format(dtype=dtype)) is None
