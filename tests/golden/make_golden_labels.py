# SPDX-License-Identifier: BSD-3-Clause
"""Write labels.zip and the seeds of the fuzz targets for compresso and crackle, through their packages.

Run with an interpreter that has cloud-volume, compresso and crackle-codec; the tests need none of them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import shutil
import struct
import tempfile
import zipfile
from pathlib import Path

import compresso
import crackle
import numpy as np
from cloudvolume import CloudVolume

HERE = Path(__file__).parent
CORPUS = HERE.parents[1] / "cpp" / "fuzz" / "corpus"
DTYPES = ("bool", "uint8", "uint16", "uint32", "uint64")
STAMP = (2020, 1, 1, 0, 0, 0)  # so that the archive's bytes depend on its content alone


def make_labels(rng: np.random.Generator, shape, dtype: str, distinct: int, grain) -> np.ndarray:
    """Blocks of random labels, the background among them."""
    low = rng.integers(
        0, distinct, [-(-n // g) for n, g in zip(shape, grain, strict=True)], dtype=np.uint64
    )
    for axis, g in enumerate(grain):
        low = low.repeat(g, axis)
    labels = low[tuple(slice(0, n) for n in shape)]
    if dtype == "bool":
        return np.asfortranarray(labels % 2 == 1)
    return np.asfortranarray((labels * np.uint64(0x9E3779B97F4A7C15)).astype(dtype))


def to_version_0(data: bytes) -> bytes:
    """A crackle file without what version 1 added."""
    header = crackle.header(data)
    n = 4 * header.sz
    body = data[29 + n + 4 : len(data) - 4 - n]
    return (
        data[:4]
        + b"\0"
        + data[5:20]
        + struct.pack("<I", header.num_label_bytes)
        + data[29 : 29 + n]
        + body
    )


def variants(labels: np.ndarray):
    """Yield (name, encoding, bytes)."""
    for connectivity in (4, 6):
        for steps in ((4, 4, 1), (8, 8, 1), (3, 5, 2), (1, 1, 1)):
            for has_index in (True, False):
                name = f"c{connectivity}_{''.join(map(str, steps))}_{'index' if has_index else 'plain'}"
                yield (
                    name,
                    "compresso",
                    compresso.compress(
                        labels,
                        steps=steps,
                        connectivity=connectivity,
                        random_access_z_index=has_index,
                    ),
                )
    for order in (0, 1, 2, 5):
        data = crackle.compress(labels, markov_model_order=order)
        yield f"markov{order}", "crackle", data
        yield f"markov{order}_v0", "crackle", to_version_0(data)
    yield "c_order", "crackle", crackle.compress(np.ascontiguousarray(labels))


def main() -> None:
    rng = np.random.default_rng(5)
    files: dict[str, bytes] = {}
    for dtype in DTYPES:
        voxels = make_labels(rng, (40, 36, 20), dtype, 200, (5, 3, 4))
        buffer = io.BytesIO()
        np.save(buffer, voxels)
        files[f"{dtype}.npy"] = buffer.getvalue()
        for encoding in ("compresso", "crackle"):
            with tempfile.TemporaryDirectory() as folder:
                info = CloudVolume.create_new_info(
                    1,
                    "segmentation",
                    dtype,
                    encoding,
                    (4, 4, 40),
                    (7, -3, 11),
                    voxels.shape,
                    chunk_size=(32, 32, 16),
                )
                vol = CloudVolume(f"file://{folder}", info=info, progress=False)
                vol.commit_info()
                vol[:] = voxels[..., np.newaxis]
                for path in sorted(Path(folder).rglob("*")):
                    if path.is_file():
                        files[f"{encoding}_{dtype}/{path.relative_to(folder)}"] = path.read_bytes()

    seeds = {name: CORPUS / name for name in ("compresso", "crackle")}
    for folder in seeds.values():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    shapes = [
        ((19, 13, 3), 40, (3, 2, 1)),
        ((9, 24, 2), 3, (1, 1, 1)),
        ((1, 1, 1), 2, (1, 1, 1)),
        ((24, 6, 5), 1, (2, 2, 2)),
    ]
    for number, (shape, distinct, grain) in enumerate(shapes):
        for dtype in ("uint8", "uint16", "uint32", "uint64"):
            labels = make_labels(rng, shape, dtype, distinct, grain)
            for name, encoding, data in variants(labels):
                files[f"chunks/{encoding}_{number}_{dtype}_{name}"] = bytes(data)
                if number == 0 or name in ("c4_441_index", "c6_352_plain", "markov0", "markov2_v0"):
                    width = {1: 0, 2: 1, 4: 2, 8: 3}[labels.itemsize]
                    prefix = bytes([*(n - 1 for n in shape), width]) + bytes(12)
                    if dtype in ("uint8", "uint64"):
                        (seeds[encoding] / f"{number}_{dtype}_{name}").write_bytes(prefix + data)
            buffer = io.BytesIO()
            np.save(buffer, labels)
            files[f"chunks/{number}_{dtype}.npy"] = buffer.getvalue()

    files["pins.ckl"] = crackle.compress(
        make_labels(rng, (16, 12, 8), "uint32", 9, (4, 4, 8)), allow_pins=1
    )
    assert crackle.header(files["pins.ckl"]).label_format != 0

    target = HERE / "labels" / "labels.zip"
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, STAMP), content, zipfile.ZIP_DEFLATED, 9)
    packages = ("cloud-volume", "compresso", "crackle-codec", "numpy")
    manifest = {
        "origin": "written by tests/golden/make_golden_labels.py through the packages named here",
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "licence": "The files are output of these packages and contain none of their code; the voxels are part of this "
        "project (BSD-3-Clause).",
        "files": {"labels.zip": {"sha256": hashlib.sha256(target.read_bytes()).hexdigest()}},
    }
    (target.parent / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
