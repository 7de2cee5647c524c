# SPDX-License-Identifier: BSD-3-Clause
"""Importing the package is cheap and leaves no trace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import support

LOADED = """
import json, sys
import numpy
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""

# Of clients of clouds and data bases, and of what only some features need.
HEAVY = [
    "boto3",
    "botocore",
    "google",
    "requests",
    "urllib3",
    "aiohttp",
    "httpx",
    "cloudfiles",
    "cloudvolume",
    "tqdm",
    "PIL",
    "pandas",
    "scipy",
    "gevent",
    "brotli",
    "zstandard",
    "jsonschema",
    "json5",
    "asyncio",
    "multiprocessing",
    "concurrent.futures",
    "pytest",
    "hypothesis",
]


@pytest.mark.parametrize(
    "statement",
    [
        "import cloudvolume_fast",
        "from cloudvolume_fast import CloudVolume",
        "from cloudvolume_fast import Bbox, Vec",
    ],
)
def test_import_loads_no_cloud_client_and_few_modules(statement: str) -> None:
    loaded = support.run_python(LOADED.format(statement=statement))
    # By whole parts: "google" stands for google.auth as well.
    heavy = [name for name in loaded if any(name == h or name.startswith(h + ".") for h in HEAVY)]
    assert heavy == []
    assert len(loaded) < (20 if statement == "import cloudvolume_fast" else 90)


def test_reading_a_volume_loads_no_codec_that_it_does_not_need(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path)
    loaded = support.run_python(
        LOADED.format(
            statement=f"from cloudvolume_fast import CloudVolume; CloudVolume({path!r})[:]"
        )
    )
    assert not {"brotli", "zstandard", "tqdm", "PIL"} & set(loaded)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_libcurl_is_loaded_with_the_first_remote_layer(tmp_path: Path) -> None:
    path, _ = support.write_layer(tmp_path)
    found = support.run_python(
        f"""
import json
from cloudvolume_fast import CloudVolume, _runtime

def is_mapped():
    with open("/proc/self/maps") as file:
        return "libcurl" in file.read()

vol = CloudVolume({path!r})
vol[:]
vol.exists(vol.bounds)
found = [is_mapped()]
_runtime.Endpoint("http://127.0.0.1:9/")
print(json.dumps([*found, is_mapped()]))
"""
    )
    assert found == [False, True]


def test_import_and_use_make_no_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    work = tmp_path / "work"
    scratch = tmp_path / "tmp"
    for folder in (home, work, scratch):
        folder.mkdir()
    path, _ = support.write_layer(tmp_path / "layer")
    before = support.files_in(tmp_path)
    support.run_python(
        f"""
import os
os.chdir({str(work)!r})
from cloudvolume_fast import CloudVolume, Bbox, Vec
CloudVolume({path!r})[:]
print(1)
""",
        HOME=str(home),
        TMPDIR=str(scratch),
        XDG_CACHE_HOME=str(home / "cache"),
        CLOUD_VOLUME_DIR="",
        CLOUD_FILES_DIR="",
    )
    assert support.files_in(tmp_path) == before
    assert [list(os.scandir(folder)) for folder in (home, work, scratch)] == [[], [], []]


def test_import_starts_no_thread() -> None:
    count = support.run_python(
        """
import json, os
import numpy
before = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
import cloudvolume_fast._runtime
from cloudvolume_fast import CloudVolume
after = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
print(json.dumps(after - before))
"""
    )
    assert count == 0
