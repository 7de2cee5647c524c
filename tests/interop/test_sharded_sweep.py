# SPDX-License-Identifier: BSD-3-Clause
"""Sharded scales of random specifications and shapes, between us, cloud-volume and tensorstore, voxel for voxel.

The report is printed with ``-s``.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cloudvolume_fast import CloudVolume

pytestmark = pytest.mark.peers

PEER = Path(__file__).with_name("shard_sweep_peer.py")
CASES = int(os.environ.get("CVFAST_SWEEP_CASES", "210"))  # by each of three writers
_spec = importlib.util.spec_from_file_location("shard_sweep_peer", PEER)
peer = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(peer)


def peers_python():
    python = os.environ.get("CVFAST_PEERS_PYTHON")
    if python is None:
        for name in ("tensorstore", "cloudvolume"):
            if importlib.util.find_spec(name) is None:
                pytest.skip(
                    f"{name} is not installed here, and CVFAST_PEERS_PYTHON names no python"
                )
        return sys.executable
    return python


def random_case(writer, seed, root):
    """A specification, a shape and an encoding; anisotropic ones, single chunks and clamped edges among them."""
    rng = np.random.default_rng([seed, len(writer)])
    chunk = [int(extent) for extent in rng.choice([4, 8, 16, 24, 32], 3)]
    grid = [int(n) for n in rng.choice([1, 1, 2, 3, 4, 5, 7, 9], 3)]
    if seed % 7 == 0:
        grid[int(rng.integers(3))] = 17
    size = [n * c - int(rng.integers(c)) for n, c in zip(grid, chunk, strict=True)]
    hash = "murmurhash3_x86_128" if writer != "cloud-volume" and rng.random() < 0.4 else "identity"
    bits = sum(math.ceil(math.log2(n)) for n in grid)
    preshift = int(rng.integers(0, 6))
    minishard = int(rng.integers(0, 5))
    # cloud-volume wants every id to fit; others take numbers that wrap around.
    enough = max(bits - preshift - minishard, 0)
    shard = enough if writer == "cloud-volume" else int(rng.integers(0, 5))
    data_type = str(rng.choice(["uint8", "uint16", "uint32", "uint64"]))
    encoding = "raw"
    if data_type in ("uint32", "uint64") and rng.random() < 0.6:
        encoding = "compressed_segmentation"
    scale = {
        "key": "4_4_40",
        "size": size,
        "voxel_offset": [int(v) for v in rng.integers(-60, 60, 3)],
        "chunk_sizes": [chunk],
        "resolution": [4, 4, 40],
        "encoding": encoding,
        "sharding": {
            "@type": "neuroglancer_uint64_sharded_v1",
            "hash": hash,
            "preshift_bits": preshift,
            "minishard_bits": minishard,
            "shard_bits": shard,
            "minishard_index_encoding": str(rng.choice(["raw", "gzip"])),
            "data_encoding": str(rng.choice(["raw", "gzip"])),
        },
    }
    if encoding == "compressed_segmentation":
        scale["compressed_segmentation_block_size"] = [8, 8, 8]
    return {
        "path": str(root / f"{writer}-{seed}"),
        "seed": seed,
        "data_type": data_type,
        "scale": scale,
    }


def run_peer(*arguments):
    done = subprocess.run(
        [peers_python(), str(PEER), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def write_ours(case):
    """In two halves where that is possible, so that shards are merged."""
    info = {
        "@type": "neuroglancer_multiscale_volume",
        "data_type": case["data_type"],
        "num_channels": 1,
        "type": peer.layer_type(case),
        "scales": [case["scale"]],
    }
    volume = CloudVolume(Path(case["path"]).as_uri(), info=info)
    volume.commit_info()
    data = peer.voxels(case)
    chunk = case["scale"]["chunk_sizes"][0][2]
    half = data.shape[2] // chunk // 2 * chunk
    low = case["scale"]["voxel_offset"]
    for z0, z1 in ((0, half), (half, data.shape[2])):
        if z0 < z1:
            box = [slice(low[i], low[i] + data.shape[i]) for i in range(2)]
            volume[(*box, slice(low[2] + z0, low[2] + z1))] = data[:, :, z0:z1]


def read_ours(case):
    return peer.digest(CloudVolume(Path(case["path"]).as_uri())[:, :, :])


@pytest.mark.parametrize("writer", ["ours", "tensorstore", "cloud-volume"])
def test_sharded_layers_are_read_alike(writer, tmp_path, capsys):
    cases = [random_case(writer, seed, tmp_path) for seed in range(CASES)]
    listing = tmp_path / "cases.json"
    listing.write_text(json.dumps(cases))
    peers_python()
    if writer == "ours":
        for case in cases:
            write_ours(case)
    else:
        run_peer("write", writer, str(listing))
    expected = [peer.digest(peer.voxels(case)) for case in cases]
    wrong = {
        "ours": [
            (case["path"], case["scale"])
            for case, digest in zip(cases, expected, strict=True)
            if read_ours(case) != digest
        ]
    }
    if writer == "ours":
        found = json.loads(run_peer("read", str(listing)))
        for reader in ("tensorstore", "cloud-volume"):
            wrong[reader] = [
                (case["scale"], result[reader])
                for case, result, digest in zip(cases, found, expected, strict=True)
                if result[reader] != digest
            ]
    with capsys.disabled():
        for reader, failures in wrong.items():
            print(
                f"\nwritten by {writer}, read by {reader}: {CASES - len(failures)} of {CASES} alike",
                end="",
            )
    assert not any(wrong.values()), {reader: failures[:3] for reader, failures in wrong.items()}
