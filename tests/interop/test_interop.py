# SPDX-License-Identifier: BSD-3-Clause
"""Layers that we write are read exactly by cloud-volume and tensorstore.

They run in a process of their own: the python that ``CVFAST_PEERS_PYTHON`` names, else this one if it has them.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from cloudvolume_fast import CloudVolume

pytestmark = pytest.mark.peers

READER = Path(__file__).with_name("read_with_peer.py")
NEUROGLANCER = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float32"]


@dataclass(frozen=True)
class Case:
    """One layer that we write."""

    name: str
    dtype: str = "uint8"
    channels: int = 1
    encoding: str = "raw"
    offset: tuple[int, int, int] = (-3, 5, 1000)
    block: tuple[int, int, int] = (8, 8, 8)
    compress: str | bool = False
    mips: int = 1
    labels: int = 200
    settings: dict = field(default_factory=dict, hash=False)

    @property
    def is_for_tensorstore(self) -> bool:
        """It knows the data types of Neuroglancer, and no compression suffixes on files."""
        return self.dtype in NEUROGLANCER and not self.compress

    @property
    def is_for_cloud_volume(self) -> bool:
        """Every one is."""
        return True


CASES = [
    *(Case(f"raw_{dtype}", dtype) for dtype in [*NEUROGLANCER, "bool", "int64", "float64"]),
    *(Case(f"raw_uint8_c{n}", channels=n) for n in (2, 3, 4)),
    *(Case(f"raw_{dtype}_c2", dtype, 2) for dtype in ("uint16", "float32", "uint64")),
    *(
        Case(f"raw_{compress}", "uint16", compress=compress)
        for compress in ("gzip", "br", "zstd", "xz", "bz2")
    ),
    *(
        Case(
            f"cseg_{dtype}_{''.join(map(str, block))}_{labels}",
            dtype,
            encoding="compressed_segmentation",
            block=block,
            labels=labels,
        )
        for dtype in ("uint32", "uint64")
        for block in ((8, 8, 8), (3, 5, 2), (1, 1, 1), (16, 4, 2))
        for labels in (1, 3, 300)
    ),
    *(
        Case(
            f"cseg_{compress}",
            "uint64",
            encoding="compressed_segmentation",
            compress=compress,
            labels=7,
        )
        for compress in ("gzip", "br")
    ),
    *(
        Case(f"offset_{i}", offset=offset)
        for i, offset in enumerate([(0, 0, 0), (-20, -20, -20), (-5, -1, 7)])
    ),
    Case("mips", "uint16", mips=3),
    Case("parallel", settings={"parallel": 2}),
]
SIZE, CHUNK = (19, 13, 7), (9, 10, 7)


@functools.cache
def peer_python(peer: str) -> str | None:
    named = os.environ.get("CVFAST_PEERS_PYTHON")
    if named:
        return named
    module = {"cloud-volume": "cloudvolume", "tensorstore": "tensorstore"}[peer]
    return sys.executable if importlib.util.find_spec(module) else None


def describe(image: np.ndarray) -> dict:
    image = np.asarray(image)
    digest = hashlib.sha256(image.tobytes(order="F")).hexdigest()
    return {"shape": list(image.shape), "dtype": image.dtype.name, "sha256": digest}


def write(case: Case, folder: Path) -> dict[tuple[str, int], dict]:
    """Write a layer, in aligned and other pieces; return what its scales hold."""
    info = CloudVolume.create_new_info(
        case.channels,
        "segmentation" if case.encoding != "raw" else "image",
        case.dtype,
        case.encoding,
        (4, 4, 40),
        case.offset,
        SIZE,
        chunk_size=CHUNK,
        compressed_segmentation_block_size=case.block,
        max_mip=case.mips - 1,
    )
    rng = np.random.default_rng(len(case.name))
    expected = {}
    for mip in range(case.mips):
        vol = CloudVolume(
            f"file://{folder}", info=info, mip=mip, compress=case.compress, **case.settings
        )
        vol.commit_info()
        data = rng.integers(0, min(case.labels, 100 if case.dtype == "int8" else 10**9), vol.shape)
        data = np.asfortranarray(
            (data * (1 if vol.dtype.itemsize < 4 else 123457)).astype(case.dtype)
        )
        vol[:] = data
        vol.non_aligned_writes = True
        x, y, z = (int(v) for v in vol.voxel_offset)
        patch = data[1:4, 1:4, 1:3].copy(order="C")[::-1]
        vol[x + 1 : x + 4, y + 1 : y + 4, z + 1 : z + 3] = patch
        data[1:4, 1:4, 1:3] = patch
        if case.channels > 1:
            vol[..., 1] = data[..., 0]
            data[..., 1] = data[..., 0]
        expected[str(folder), mip] = describe(data)
    return expected


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("interop")
    return {case.name: write(case, root / "dataset" / case.name) for case in CASES}


@functools.cache
def _read(peer: str, request: str) -> list[dict]:
    python = peer_python(peer)
    done = subprocess.run(
        [python, str(READER), peer],
        input=request,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("\n")[2])


@pytest.mark.parametrize(
    ("peer", "case"),
    [
        pytest.param(peer, case, id=f"{peer}-{case.name}")
        for peer, applies in (
            ("cloud-volume", Case.is_for_cloud_volume),
            ("tensorstore", Case.is_for_tensorstore),
        )
        for case in CASES
        if applies.fget(case)
    ],
)
def test_peer_reads_every_voxel(request, peer, case):
    if peer_python(peer) is None:
        pytest.skip(
            f"{peer} is not installed here, and CVFAST_PEERS_PYTHON names no python that has it"
        )
    written = request.getfixturevalue("written")
    keys = [key for layers in written.values() for key in layers]
    found = dict(zip(keys, _read(peer, json.dumps(keys)), strict=True))
    for key, expected in written[case.name].items():
        assert found[key] == expected
