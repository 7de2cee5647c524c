# SPDX-License-Identifier: BSD-3-Clause
"""Writes the golden png layers with cloud-volume, tensorstore and libpng (by way of imagecodecs).

How to run, with a python in which they are installed
(``pip install cloud-volume==12.15.2 pyspng-seunglab tensorstore==0.1.86 imagecodecs``)::

    python tests/golden/make_golden_png.py

It replaces ``tests/golden/png/*.zip`` and ``tests/golden/MANIFEST_png.json``. Each archive is one layer. The voxels are
arithmetic of their coordinates, so that the tests compute them instead of storing them; the packages are imported only
while they write.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
LAYERS = HERE / "png"
MANIFEST = HERE / "MANIFEST_png.json"
KEY = "4_4_40"


@dataclass(frozen=True)
class Case:
    """One golden layer."""

    name: str
    writer: str  # "cloud-volume", "tensorstore" or "libpng"
    dtype: str
    channels: int
    level: int = 9
    size: tuple[int, int, int] = (21, 17, 6)
    chunk: tuple[int, int, int] = (13, 17, 4)
    width_axes: int = 1  # libpng: the picture's width is the product of as many axes


def _cases() -> list[Case]:
    cases = [Case(f"cv_uint8_c{n}", "cloud-volume", "uint8", n) for n in (1, 2, 3, 4)]
    # Its package writes 16 bits with an alpha channel only.
    cases += [Case(f"cv_uint16_c{n}", "cloud-volume", "uint16", n) for n in (2, 4)]
    cases.append(Case("cv_level0", "cloud-volume", "uint8", 1, level=0))
    for dtype in ("uint8", "uint16"):
        cases += [Case(f"ts_{dtype}_c{n}", "tensorstore", dtype, n) for n in (1, 2, 3, 4)]
        cases += [Case(f"libpng_{dtype}_c{n}", "libpng", dtype, n) for n in (1, 2, 3, 4)]
        cases += [Case(f"libpng_{dtype}_wide", "libpng", dtype, 1, width_axes=2)]
    # Long enough for several IDAT chunks.
    cases.append(Case("libpng_idats", "libpng", "uint8", 1, size=(64, 64, 8), chunk=(64, 64, 8)))
    cases.append(Case("libpng_column", "libpng", "uint8", 1, width_axes=0))
    return cases


def golden_voxels(size: tuple[int, int, int], channels: int, dtype: str) -> np.ndarray:
    """Voxels of shape (x, y, z, channel): slopes for the filters to predict, and noise for them to fail at."""
    x, y, z, c = (axis.astype(np.uint64) for axis in np.indices((*size, channels)))
    mixed = (x + 64 * (y + 64 * (z + 64 * c)) + 1) * 0x9E3779B97F4A7C15
    noise = ((mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 >> 40) % 23
    values = 3 * x + 5 * y + 29 * z + 53 * c + noise
    return (values * (1 if dtype == "uint8" else 211)).astype(dtype)


def _write_with_cloud_volume(path: Path, case: Case, voxels: np.ndarray) -> None:
    from cloudvolume import CloudVolume

    info = CloudVolume.create_new_info(
        case.channels,
        "image",
        case.dtype,
        "png",
        (4, 4, 40),
        (0, 0, 0),
        case.size,
        chunk_size=case.chunk,
    )
    info["scales"][0]["png_level"] = case.level
    vol = CloudVolume(f"file://{path}", info=info, progress=False)
    vol.commit_info()
    vol[:] = voxels


def _write_with_tensorstore(path: Path, case: Case, voxels: np.ndarray) -> None:
    import tensorstore as ts

    store = ts.open(
        {
            "driver": "neuroglancer_precomputed",
            "kvstore": {"driver": "file", "path": f"{path}/"},
            "multiscale_metadata": {
                "data_type": case.dtype,
                "num_channels": case.channels,
                "type": "image",
            },
            "scale_metadata": {
                "key": KEY,
                "size": case.size,
                "resolution": [4, 4, 40],
                "chunk_size": case.chunk,
                "encoding": "png",
                "png_level": case.level,
            },
        },
        create=True,
    ).result()
    store.write(voxels).result()


def _write_with_libpng(path: Path, case: Case, voxels: np.ndarray) -> None:
    import imagecodecs

    (path / KEY).mkdir(parents=True)
    scale = {
        "key": KEY,
        "size": case.size,
        "chunk_sizes": [case.chunk],
        "resolution": [4, 4, 40],
        "voxel_offset": [0, 0, 0],
        "encoding": "png",
    }
    info = {
        "type": "image",
        "data_type": case.dtype,
        "num_channels": case.channels,
        "scales": [scale],
    }
    (path / "info").write_text(json.dumps(info))
    starts = np.stack(
        np.meshgrid(*(range(0, n, c) for n, c in zip(case.size, case.chunk, strict=True))), -1
    )
    for start in starts.reshape(-1, 3).tolist():
        end = [min(s + c, n) for s, c, n in zip(start, case.chunk, case.size, strict=True)]
        box = tuple(slice(s, e) for s, e in zip(start, end, strict=True))
        part = voxels[box]
        width = int(np.prod(part.shape[: case.width_axes]))
        pixels = part.transpose(2, 1, 0, 3).reshape(-1, width, case.channels)
        content = imagecodecs.png_encode(
            pixels[..., 0] if case.channels == 1 else pixels, level=case.level
        )
        name = "_".join(f"{s}-{e}" for s, e in zip(start, end, strict=True))
        (path / KEY / name).write_bytes(content)


_WRITERS = {
    "cloud-volume": _write_with_cloud_volume,
    "tensorstore": _write_with_tensorstore,
    "libpng": _write_with_libpng,
}


def _archive(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (path.name == "info" or path.parent.name == KEY):
                # A fixed date: writing again gives the same bytes.
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
                out.writestr(entry, path.read_bytes())


def main() -> None:
    """Write all layers and their manifest."""
    shutil.rmtree(LAYERS, ignore_errors=True)
    LAYERS.mkdir()
    layers = []
    for case in _cases():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "layer"
            path.mkdir()
            _WRITERS[case.writer](path, case, golden_voxels(case.size, case.channels, case.dtype))
            target = LAYERS / f"{case.name}.zip"
            _archive(path, target)
        layers.append({**asdict(case), "sha256": hashlib.sha256(target.read_bytes()).hexdigest()})
    packages = ("cloud-volume", "pyspng-seunglab", "tensorstore", "imagecodecs")
    manifest = {
        "origin": "written by tests/golden/make_golden_png.py through the packages named here",
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "licence": "The files are output of these packages (cloud-volume, imagecodecs: BSD-3-Clause; pyspng: MIT; "
        "tensorstore: Apache-2.0) and contain none of their code; the voxels are part of this project (BSD-3-Clause).",
        "layers": layers,
    }
    MANIFEST.write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
