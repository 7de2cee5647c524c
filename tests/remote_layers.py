# SPDX-License-Identifier: BSD-3-Clause
"""A small layer of labels in each of the ways in which chunks are stored, on disk or behind a server."""

from __future__ import annotations

from typing import Any

import numpy as np
from servers.faulty import FaultServer

from cloudvolume_fast import CloudVolume

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
SIZE = (70, 60, 50)
OFFSET = (5, -7, 11)
CHUNK = (16, 16, 8)
SHARDED = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "preshift_bits": 3,
    "minishard_bits": 2,
    "shard_bits": 3,
    "hash": "identity",
    "minishard_index_encoding": "gzip",
    "data_encoding": "gzip",
}
KINDS = {
    "raw": ("raw", False, None),
    "raw_gzip": ("raw", "gzip", None),
    "cseg": ("compressed_segmentation", "gzip", None),
    "cseg_sharded": ("compressed_segmentation", None, SHARDED),
    "raw_sharded": (
        "raw",
        None,
        {**SHARDED, "hash": "murmurhash3_x86_128", "data_encoding": "raw"},
    ),
    "raw_sharded_plain": ("raw", None, {**SHARDED, "minishard_index_encoding": "raw"}),
    "raw_sharded_bare": (
        "raw",
        None,
        {**SHARDED, "minishard_index_encoding": "raw", "data_encoding": "raw"},
    ),
}


def make_labels(seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, 2**40, [-(-extent // 7) for extent in SIZE], dtype=np.uint64)
    for axis in range(3):
        coarse = coarse.repeat(7, axis=axis)
    return np.asfortranarray(coarse[: SIZE[0], : SIZE[1], : SIZE[2], np.newaxis])


def make_info(kind: str) -> dict[str, Any]:
    encoding, _, sharding = KINDS[kind]
    info = CloudVolume.create_new_info(
        1, "segmentation", "uint64", encoding, (4, 4, 40), OFFSET, SIZE, chunk_size=CHUNK
    )
    if sharding is not None:
        info["scales"][0]["sharding"] = sharding
    return info


def make_volume(path: str, kind: str, array: np.ndarray | None = None, **settings: Any) -> Any:
    vol = CloudVolume(
        path, info=make_info(kind), compress=KINDS[kind][1], progress=False, **settings
    )
    vol.commit_info()
    if array is not None:
        vol[:] = array
    return vol


def remote_path(server: FaultServer, name: str) -> str:
    """The layer as an S3 endpoint shows it, which takes objects too."""
    return f"s3://{server.url}/bucket/{name}"
