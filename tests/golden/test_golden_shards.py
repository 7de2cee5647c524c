# SPDX-License-Identifier: BSD-3-Clause
"""Shards of other writers are read exactly."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from golden.make_golden_shards import golden_datum, golden_labels, golden_manifest_bytes

from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.shard_reader import ShardReader
from cloudvolume_fast.model.sharding import ShardingSpecification

HERE = Path(__file__).parent
SHARDS = json.loads((HERE / "MANIFEST_shards.json").read_text())["shards"]


@pytest.mark.parametrize("case", SHARDS, ids=[case["name"] for case in SHARDS])
def test_golden_shards_are_read_exactly(case: dict[str, Any], tmp_path: Path) -> None:
    content = (HERE / "shards" / f"{case['name']}.zip").read_bytes()
    assert hashlib.sha256(content).hexdigest() == case["sha256"]
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    spec = ShardingSpecification.from_dict(case["spec"])
    reader = ShardReader(FileStore(str(tmp_path)), spec)
    labels = golden_labels()
    data = {label: golden_datum(label) for label in labels}
    indexed = data
    if case["manifests"]:
        indexed = {k: d[len(d) - golden_manifest_bytes(k) :] for k, d in data.items()}

    assert reader.get_data(labels) == indexed
    absent = [40, 41, 2**64 - 2, 12345]
    assert reader.get_data(absent) == dict.fromkeys(absent)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {spec.get_filename(label) for label in labels}
    listed = [reader.list_labels(name).tolist() for name in sorted(names)]
    assert sorted(label for part in listed for label in part) == sorted(labels)

    contents = [(tmp_path / name).read_bytes() for name in sorted(names)]
    if case["manifests"]:
        meshes = [reader.disassemble_multires_mesh_shard(content) for content in contents]
        assert {k: v for found, _ in meshes for k, v in found.items()} == data
        assert {k: v for _, sizes in meshes for k, v in sizes.items()} == {
            label: golden_manifest_bytes(label) for label in labels
        }
    else:
        found: dict[int, bytes] = {}
        for content in contents:
            found |= reader.disassemble_shard(content)
        assert found == data
