# SPDX-License-Identifier: BSD-3-Clause
"""Writes the golden layers with cloud-volume and tensorstore.

How to run, with a python in which both are installed (``pip install cloud-volume==12.15.2 tensorstore==0.1.86``)::

    python tests/golden/make_golden.py

It replaces ``tests/golden/layers/*.zip`` and ``tests/golden/MANIFEST.json``. Each archive is one layer as it was
written. The voxels are arithmetic of their coordinates, so that the tests compute them instead of storing them; this
module imports the two packages only while it writes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One golden layer."""

    name: str
    writer: str  # "cloud-volume" or "tensorstore"
    dtype: str
    channels: int = 1
    encoding: str = "raw"
    size: tuple[int, int, int] = (7, 5, 3)
    offset: tuple[int, int, int] = (-3, 5, 1000)
    chunk: tuple[int, int, int] = (4, 3, 2)
    block: tuple[int, int, int] = (8, 8, 8)
    compress: str | bool | None = None
    mips: int = 1
    labels: int = 0  # distinct values; 0 for as many as the type has


def _cases() -> list[Case]:
    dtypes = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float32"]
    cases = [
        Case(f"cv_raw_{dtype}", "cloud-volume", dtype)
        for dtype in [*dtypes, "bool", "int64", "float64"]
    ]
    cases += [Case(f"cv_raw_uint8_c{n}", "cloud-volume", "uint8", n) for n in (2, 3, 4)]
    cases += [Case(f"cv_raw_{t}_c2", "cloud-volume", t, 2) for t in ("uint16", "float32", "uint64")]
    for compress in ("none", "gzip", "br", "zstd", "xz", "bz2"):
        value: str | bool = False if compress == "none" else compress
        cases.append(Case(f"cv_raw_{compress}", "cloud-volume", "uint16", compress=value))
        cases.append(
            Case(
                f"cv_cseg_{compress}",
                "cloud-volume",
                "uint32",
                encoding="compressed_segmentation",
                size=(12, 10, 9),
                chunk=(12, 10, 9),
                compress=value,
                labels=6,
            )
        )
    for name, offset in {
        "zero": (0, 0, 0),
        "negative": (-7, -5, -3),
        "across": (-4, -2, -1),
    }.items():
        cases.append(Case(f"cv_offset_{name}", "cloud-volume", "uint8", offset=offset))
    cases.append(Case("cv_mips", "cloud-volume", "uint8", size=(13, 11, 5), mips=3))
    cases.append(Case("cv_one_chunk", "cloud-volume", "int16", chunk=(64, 64, 64)))
    for writer, prefix in (("cloud-volume", "cv"), ("tensorstore", "ts")):
        for dtype in ("uint32", "uint64"):
            for block, labels in (
                ((8, 8, 8), 40),
                ((3, 5, 2), 3),
                ((1, 1, 1), 0),
                ((16, 4, 2), 1),
                ((8, 8, 8), 0),
            ):
                text = "".join(map(str, block))
                cases.append(
                    Case(
                        f"{prefix}_cseg_{dtype}_{text}_{labels}",
                        writer,
                        dtype,
                        encoding="compressed_segmentation",
                        size=(19, 13, 7),
                        chunk=(9, 10, 7),
                        block=block,
                        labels=labels,
                    )
                )
    for dtype in dtypes:
        cases.append(Case(f"ts_raw_{dtype}", "tensorstore", dtype))
    cases += [Case(f"ts_raw_uint8_c{n}", "tensorstore", "uint8", n) for n in (2, 3)]
    cases += [Case(f"ts_raw_{t}_c2", "tensorstore", t, 2) for t in ("int16", "float32", "uint64")]
    for dtype in ("uint32", "uint64"):
        for channels in (2, 3):
            cases.append(
                Case(
                    f"ts_cseg_{dtype}_c{channels}",
                    "tensorstore",
                    dtype,
                    channels,
                    "compressed_segmentation",
                    size=(11, 9, 5),
                    chunk=(8, 8, 4),
                    block=(4, 3, 5),
                    labels=5,
                )
            )
    cases.append(Case("ts_offset_negative", "tensorstore", "uint8", offset=(-7, -5, -3)))
    cases.append(Case("ts_mips", "tensorstore", "uint16", size=(13, 11, 5), mips=3))
    return cases


CASES = _cases()


def geometry(case: Case, mip: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the size and the offset of a scale."""
    factor = (2**mip, 2**mip, 1)
    size = tuple(-(-s // f) for s, f in zip(case.size, factor, strict=True))
    return size, tuple(o // f for o, f in zip(case.offset, factor, strict=True))


def voxels(case: Case, mip: int) -> np.ndarray:
    """Return what a scale holds, shape (x, y, z, channel): arithmetic only, the same with every numpy."""
    size, _ = geometry(case, mip)
    shape = (*size, case.channels)
    seed = int.from_bytes(hashlib.sha256(f"{case.name} {mip}".encode()).digest()[:8], "little")
    with np.errstate(over="ignore"):
        bits = np.arange(int(np.prod(shape)), dtype=np.uint64)
        if case.labels:
            bits //= np.uint64(3)
        bits = (bits + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
        if case.labels:
            bits = (bits % np.uint64(case.labels)) * np.uint64(0xDEADBEEFCAFEF00D)
    dtype = np.dtype(case.dtype)
    if dtype.kind == "b":
        values = bits % np.uint64(2) == 1
    elif dtype.kind == "f":
        values = (bits >> np.uint64(40)).astype(dtype) / dtype.type(2**12) - dtype.type(2048)
    else:
        values = bits.astype(f"u{dtype.itemsize}").view(dtype)
    return values.astype(dtype).reshape(shape, order="F")


def _write_cloud_volume(case: Case, folder: Path) -> None:
    from cloudvolume import CloudVolume

    info = CloudVolume.create_new_info(
        num_channels=case.channels,
        layer_type="segmentation" if case.labels else "image",
        data_type=case.dtype,
        encoding=case.encoding,
        resolution=(4, 4, 40),
        voxel_offset=case.offset,
        volume_size=case.size,
        chunk_size=case.chunk,
        compressed_segmentation_block_size=case.block,
        max_mip=case.mips - 1,
        factor=(2, 2, 1),
    )
    vol = CloudVolume(f"file://{folder}", info=info, compress=case.compress, progress=False)
    vol.commit_info()
    vol.provenance.description = "golden"
    vol.commit_provenance()
    for mip in range(case.mips):
        vol.mip = mip
        vol[:, :, :] = voxels(case, mip)


def _write_tensorstore(case: Case, folder: Path) -> None:
    import tensorstore as ts

    for mip in range(case.mips):
        size, offset = geometry(case, mip)
        scale: dict[str, Any] = {
            "key": f"{4 * 2**mip}_{4 * 2**mip}_40",
            "size": size,
            "voxel_offset": offset,
            "resolution": [4 * 2**mip, 4 * 2**mip, 40],
            "chunk_size": case.chunk,
            "encoding": case.encoding,
        }
        if case.encoding == "compressed_segmentation":
            scale["compressed_segmentation_block_size"] = case.block
        store = ts.open(
            {
                "driver": "neuroglancer_precomputed",
                "kvstore": {"driver": "file", "path": f"{folder}/"},
                "multiscale_metadata": {
                    "type": "segmentation" if case.labels else "image",
                    "data_type": case.dtype,
                    "num_channels": case.channels,
                },
                "scale_metadata": scale,
                # Every chunk is to be there, also one that happens to be all zero.
                "store_data_equal_to_fill_value": True,
            },
            create=True,
            open=True,
        ).result()
        store.write(voxels(case, mip)).result()


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = zipfile.ZipInfo(file.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
            archive.writestr(name, file.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Write everything."""
    target = HERE / "layers"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    writers = {"cloud-volume": _write_cloud_volume, "tensorstore": _write_tensorstore}
    layers = {}
    with tempfile.TemporaryDirectory() as temporary:
        for case in CASES:
            folder = Path(temporary) / case.name
            writers[case.writer](case, folder)
            archive = target / f"{case.name}.zip"
            _pack(folder, archive)
            layers[archive.name] = {
                "writer": case.writer,
                "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
            }
    versions = {
        name: importlib.metadata.version(name)
        for name in (*writers, "cloud-files", "compressed-segmentation")
    }
    manifest = {
        "origin": "written by tests/golden/make_golden.py through the packages named here",
        "versions": versions,
        "licence": (
            "The files are output of these packages (cloud-volume, cloud-files: BSD-3-Clause; tensorstore: "
            "Apache-2.0; compressed-segmentation: BSD-3-Clause) and contain none of their code; the voxels are "
            "part of this project (BSD-3-Clause)."
        ),
        "layers": layers,
    }
    (HERE / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")
    total = sum(path.stat().st_size for path in target.iterdir())
    sys.stdout.write(f"{len(layers)} layers, {total} bytes\n")


if __name__ == "__main__":
    main()
