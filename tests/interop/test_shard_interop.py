# SPDX-License-Identifier: BSD-3-Clause
"""Shards that are written here are read by cloud-volume and tensorstore; parameters are those of cloud-volume."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.shard_params import (
    compute_shard_params_for_hashed,
    compute_shard_params_for_image,
)
from cloudvolume_fast.model.sharding import ShardingSpecification

pytestmark = pytest.mark.peers

SCRIPT = Path(__file__).with_name("shards_with_peer.py")
SEED, CASES = 20, 200


@functools.cache
def peer_python(module: str) -> str:
    named = os.environ.get("CVFAST_PEERS_PYTHON")
    if not named and not importlib.util.find_spec(module):
        pytest.skip(f"{module} is not installed here, and CVFAST_PEERS_PYTHON names no python")
    return named or sys.executable


def call(module: str, function: str, **arguments: Any) -> Any:
    done = subprocess.run(
        [peer_python(module), str(SCRIPT), function],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("\n")[2])


def random_spec(rng: np.random.Generator) -> ShardingSpecification:
    minishard_bits = int(rng.integers(0, 8))
    shard_bits = int(rng.choice([0, 1, 3, 5, 12, 64 - minishard_bits]))
    return ShardingSpecification(
        "neuroglancer_uint64_sharded_v1",
        int(rng.choice([0, 0, 1, 7, 40, 63])),
        str(rng.choice(["identity", "murmurhash3_x86_128"])),  # type: ignore[arg-type]
        minishard_bits,
        shard_bits,
        *(str(rng.choice(["raw", "gzip"])) for _ in range(2)),  # type: ignore[arg-type]
    )


def random_data(rng: np.random.Generator) -> dict[int, bytes]:
    labels = rng.integers(0, 2**64 - 1, 12, dtype=np.uint64, endpoint=True)
    labels[:6] >>= np.uint64(rng.integers(0, 64))
    return {label: rng.bytes(int(rng.integers(0, 40))) for label in labels.tolist()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict], list[dict]]:
    rng = np.random.default_rng(SEED)
    cases, expected = [], []
    base = tmp_path_factory.mktemp("shards")
    for number in range(CASES):
        folder = base / str(number)
        folder.mkdir()
        spec, data = random_spec(rng), random_data(rng)
        for name, content in spec.synthesize_shards(data).items():
            (folder / name).write_bytes(content)
        absent = [label for label in random_data(rng) if label not in data][:3]
        labels = [str(label) for label in (*data, *absent)]
        case = {"folder": folder.name, "spec": spec.to_dict(), "labels": labels}
        cases.append(case | {"base": str(base)})
        expected.append({str(k): None if k in absent else data[k].hex() for k in (*data, *absent)})
    return cases, expected


@pytest.mark.parametrize("peer", ["cloud_volume", "tensorstore"])
def test_peer_reads_our_shards(peer: str, written: tuple[list[dict], list[dict]]):
    cases, expected = written
    found = call(peer.replace("_", ""), f"read_with_{peer}", cases=cases)
    for case, ours, theirs in zip(cases, expected, found, strict=True):
        if peer == "cloud_volume":  # leaves labels out of which nothing is stored
            theirs = {k: "" for k, v in ours.items() if v == ""} | theirs  # noqa: PLW2901
        assert theirs == ours, case["spec"]


def image_cases() -> list[dict[str, Any]]:
    rng = np.random.default_rng(SEED)
    cases = []
    while len(cases) < CASES:
        size = [int(2 ** rng.uniform(0, 18)) for _ in range(3)]
        chunk = [int(2 ** rng.uniform(0, 9)) for _ in range(3)]
        if size[2] == chunk[2]:
            continue  # flat images differ on purpose
        case: dict[str, Any] = {"dataset_size": size, "chunk_size": chunk}
        case["encoding"] = str(rng.choice(["raw", "jpeg", "png", "compresso", "fpzip"]))
        case["dtype"] = str(rng.choice(["uint8", "uint16", "uint32", "uint64"]))
        if rng.integers(2):
            case["uncompressed_shard_bytesize"] = int(2 ** rng.uniform(16, 36))
            case["max_labels_per_minishard"] = int(2 ** rng.uniform(5, 14))
        cases.append(case)
    return cases


def test_image_parameters_are_those_of_cloud_volume():
    cases = image_cases()
    found = call("cloudvolume", "parameters_of_cloud_volume", cases=cases)
    compared = 0
    for case, theirs in zip(cases, found, strict=True):
        try:
            spec = compute_shard_params_for_image(**case)
        except InvalidArgumentError:
            assert theirs is None, case
            continue
        shape = spec.image_shard_shape(case["dataset_size"], case["chunk_size"])
        assert [spec.to_dict(), shape.tolist()] == theirs, case
        compared += 1
    assert compared > CASES // 2


def test_hashed_parameters_are_those_of_cloud_volume():
    rng = np.random.default_rng(SEED)
    cases = []
    for _ in range(CASES):
        case = {"num_labels": int(2 ** rng.uniform(0, 36))}
        if rng.integers(2):
            case["min_shards"] = int(2 ** rng.uniform(0, 8))
            case["shard_index_bytes"] = int(2 ** rng.uniform(5, 16))
            case["minishard_index_bytes"] = int(2 ** rng.uniform(6, 18))
        cases.append(case)
    found = call("cloudvolume", "parameters_of_cloud_volume", cases=cases)
    for case, theirs in zip(cases, found, strict=True):
        assert list(compute_shard_params_for_hashed(**case)) == theirs, case
