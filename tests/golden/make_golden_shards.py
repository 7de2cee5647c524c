# SPDX-License-Identifier: BSD-3-Clause
"""Writes the golden shards with cloud-volume and tensorstore.

How to run, with a python in which both are installed (``pip install cloud-volume==12.15.2 tensorstore==0.1.86``)::

    python tests/golden/make_golden_shards.py

It replaces ``tests/golden/shards/*.zip`` and ``tests/golden/MANIFEST_shards.json``. Each archive has the
shard files of one specification. The data are arithmetic of their labels, so that the tests compute them instead of
storing them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import struct
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHARDS = HERE / "shards"
MANIFEST = HERE / "MANIFEST_shards.json"


@dataclass(frozen=True)
class Case:
    """The shards of one specification."""

    name: str
    writer: str  # "cloud-volume" or "tensorstore"
    hash: str = "identity"
    preshift_bits: int = 0
    minishard_bits: int = 0
    shard_bits: int = 0
    minishard_index_encoding: str = "raw"
    data_encoding: str = "raw"
    manifests: bool = False  # the index points to the end of each datum

    @property
    def spec(self) -> dict[str, Any]:
        """The sharding member of an info file."""
        return {
            "@type": "neuroglancer_uint64_sharded_v1",
            "preshift_bits": self.preshift_bits,
            "hash": self.hash,
            "minishard_bits": self.minishard_bits,
            "shard_bits": self.shard_bits,
            "minishard_index_encoding": self.minishard_index_encoding,
            "data_encoding": self.data_encoding,
        }


def _cases() -> list[Case]:
    murmur = "murmurhash3_x86_128"
    cases = []
    for short, writer in (("cv", "cloud-volume"), ("ts", "tensorstore")):
        cases += [
            Case(f"{short}_one_file", writer),
            Case(f"{short}_identity", writer, "identity", 2, 3, 5),
            Case(f"{short}_identity_gzip", writer, "identity", 1, 2, 9, "gzip", "gzip"),
            Case(f"{short}_murmurhash", writer, murmur, 0, 4, 2, "gzip", "gzip"),
            Case(f"{short}_murmurhash_index", writer, murmur, 7, 1, 1, "gzip", "raw"),
            Case(f"{short}_murmurhash_data", writer, murmur, 0, 0, 3, "raw", "gzip"),
        ]
    return [*cases, Case("cv_manifests", "cloud-volume", murmur, 0, 2, 1, "gzip", manifests=True)]


def golden_labels() -> list[int]:
    """Small ones, powers of two, and the largest."""
    return [*range(40), *(2**n for n in range(6, 64, 3)), 2**63 + 1, 2**64 - 1]


def golden_datum(label: int) -> bytes:
    """Bytes of a label: some none, some that compress."""
    return bytes((label * 31 + i // 3) % 251 for i in range(label * 7 % 61))


def golden_manifest_bytes(label: int) -> int:
    """How much of the end of a datum is its manifest."""
    return len(golden_datum(label)) // 3


def _write_with_cloud_volume(folder: Path, case: Case) -> None:
    from cloudvolume.datasource.precomputed.sharding import ShardingSpecification

    labels = golden_labels()
    offsets = {label: golden_manifest_bytes(label) for label in labels} if case.manifests else None
    spec = ShardingSpecification.from_dict(case.spec)
    files = spec.synthesize_shards({label: golden_datum(label) for label in labels}, offsets)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _write_with_tensorstore(folder: Path, case: Case) -> None:
    import tensorstore as ts

    store = ts.KvStore.open(
        {
            "driver": "neuroglancer_uint64_sharded",
            "base": {"driver": "file", "path": f"{folder}/"},
            "metadata": case.spec,
        }
    ).result()
    labels = golden_labels()
    for part in (labels[::2], labels[1::2]):  # the second makes it merge
        with ts.Transaction() as transaction:
            for label in part:
                store.with_transaction(transaction).write(
                    struct.pack(">Q", label), golden_datum(label)
                ).result()


_WRITERS = {"cloud-volume": _write_with_cloud_volume, "tensorstore": _write_with_tensorstore}


def _archive(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.glob("*.shard")):
            # A fixed date: writing again gives the same bytes.
            out.writestr(zipfile.ZipInfo(path.name, (1980, 1, 1, 0, 0, 0)), path.read_bytes())


def main() -> None:
    """Write all shards and their manifest."""
    shutil.rmtree(SHARDS, ignore_errors=True)
    SHARDS.mkdir()
    shards = []
    for case in _cases():
        target = SHARDS / f"{case.name}.zip"
        with tempfile.TemporaryDirectory() as folder:
            _WRITERS[case.writer](Path(folder), case)
            _archive(Path(folder), target)
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        shards.append({**asdict(case), "spec": case.spec, "sha256": digest})
    packages = ("cloud-volume", "tensorstore")
    manifest = {
        "origin": "written by tests/golden/make_golden_shards.py through the packages named here",
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "licence": "The files are output of these packages (cloud-volume: BSD-3-Clause; tensorstore: Apache-2.0) and "
        "contain none of their code; the data are part of this project (BSD-3-Clause).",
        "shards": shards,
    }
    MANIFEST.write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
