# SPDX-License-Identifier: BSD-3-Clause
"""Has cloud-volume and tensorstore write every cell of the matrix that they can, and notes why they cannot others.

How to run, with a python in which they and their codecs are installed
(cloud-volume 12.15.2 and tensorstore 0.1.86 wrote what is there; the others are in `PACKAGES`)::

    PYTHONPATH=tests python -m golden.make_golden_matrix

It replaces ``tests/golden/matrix/*.tar.xz``, one archive per program, and ``tests/golden/MANIFEST_matrix.json``, which
holds the outcome of every attempt.  Lossless cells hold the voxels of `golden.matrix.voxels`; beside the others lies
what the writer's own decoder makes of them.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import io
import json
import lzma
import shutil
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from golden import matrix
from golden.matrix import Cell

PACKAGES = (
    "cloud-volume",
    "cloud-files",
    "tensorstore",
    "numpy",
    "compressed-segmentation",
    "compresso",
    "crackle-codec",
    "fpzip",
    "imagecodecs",
    "pyspng-seunglab",
    "simplejpeg",
    "zfpc",
)


def _write_with_cloud_volume(folder: Path, cell: Cell) -> None:
    from cloudvolume import CloudVolume

    row = cell.row
    vol = matrix.new_volume(CloudVolume, folder, cell)
    voxels = matrix.voxels(row)
    vol[:] = voxels
    if row.encoding in matrix.LOSSY:
        read = np.asarray(vol[:])
        if row.encoding in matrix.PICTURES and row.channels > 1:
            read = _pixels_of_packages(
                folder, cell
            )  # cloud-volume mixes up the channels when it reads
        np.save(folder / "expected.npy", np.asfortranarray(read))
    elif row.encoding not in ("png", "zfpc"):  # whose values it mixes up and rounds
        assert matrix.same_bits(np.asarray(vol[:]), voxels)


def _pixels_of_packages(folder: Path, cell: Cell) -> np.ndarray:
    import imagecodecs
    import simplejpeg
    from cloudvolume import Bbox

    row = cell.row
    out = np.zeros((*matrix.SIZE, row.channels), np.uint8, order="F")
    for path in sorted((folder / matrix.KEY).iterdir()):
        box = Bbox.from_filename(path.stem)
        x, y, z = (int(n) for n in box.size3())
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        if row.encoding == "jpeg":
            pixels = simplejpeg.decode_jpeg(data, "RGB")
        else:
            pixels = imagecodecs.jpegxl_decode(data)
            # As cloud-volume gives them to the package: planes, or the components of pixels where a row is short.
            pixels = np.moveaxis(pixels.reshape(row.channels, y * z, x), 0, -1)
        begin = np.array(box.minpt) - cell.offset
        where = tuple(slice(int(b), int(b) + n) for b, n in zip(begin, (x, y, z), strict=True))
        out[where] = pixels.reshape(z, y, x, row.channels).transpose(2, 1, 0, 3)
    return out


def _write_with_tensorstore(folder: Path, cell: Cell) -> None:
    import tensorstore as ts

    row = cell.row
    scale: dict[str, Any] = {
        "key": matrix.KEY,
        "size": matrix.SIZE,
        "voxel_offset": cell.offset,
        "resolution": [4, 4, 40],
        "chunk_size": matrix.CHUNK,
        "encoding": row.encoding,
    }
    if row.encoding == "compressed_segmentation":
        scale["compressed_segmentation_block_size"] = matrix.BLOCK
    if cell.compression != "none":
        scale["data_encoding"] = cell.compression  # as scales with shards name theirs
    store = ts.open(
        {
            "driver": "neuroglancer_precomputed",
            "kvstore": {"driver": "file", "path": f"{folder}/"},
            "multiscale_metadata": {
                "type": "image",
                "data_type": row.dtype,
                "num_channels": row.channels,
            },
            "scale_metadata": scale,
            # Every chunk is to be there, also one that happens to be all zero.
            "store_data_equal_to_fill_value": True,
        },
        create=True,
        open=True,
    ).result()
    voxels = matrix.voxels(row)
    store.write(voxels).result()
    read = np.asarray(store.read().result())
    if row.encoding in matrix.LOSSY:
        np.save(folder / "expected.npy", np.asfortranarray(read))
    else:
        assert matrix.same_bits(read, voxels)


WRITE = {"cloud-volume": _write_with_cloud_volume, "tensorstore": _write_with_tensorstore}


def _attempt(writer: str, folder: Path, cell: Cell) -> str:
    try:
        WRITE[writer](folder, cell)
    except Exception as error:  # any: that is the outcome
        shutil.rmtree(folder, ignore_errors=True)
        return matrix.reason(f"{type(error).__name__}: {error}")
    for path in folder.rglob("provenance*"):
        path.unlink()
    return f"{matrix.WRITTEN}{matrix.stored_suffix(folder)}"


def _pack(root: Path, target: Path) -> None:
    """One stream over all files, which are small and alike; owners and times would make every run differ."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        files = [path for path in root.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: (path.name != "info", str(path))):
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = content[:4] + bytes(4) + content[8:]  # the time
            entry = tarfile.TarInfo(path.relative_to(root).as_posix())
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    target.write_bytes(lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def main() -> None:
    """Write everything."""
    warnings.simplefilter("ignore")
    shutil.rmtree(matrix.ARCHIVES, ignore_errors=True)
    matrix.ARCHIVES.mkdir()
    outcomes: dict[str, dict[str, list[str]]] = {}
    digests = {}
    for writer in matrix.WRITERS:
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            found: dict[str, list[str]] = {}
            for cell in matrix.CELLS:
                found.setdefault(_attempt(writer, root / str(cell), cell), []).append(str(cell))
            outcomes[writer] = found
            target = matrix.ARCHIVES / f"{writer}.tar.xz"
            _pack(root, target)
        digests[target.name] = hashlib.sha256(target.read_bytes()).hexdigest()
        written = sum(len(cells) for how, cells in found.items() if how.startswith(matrix.WRITTEN))
        sys.stdout.write(f"{writer}: {written} layers, {target.stat().st_size} bytes\n")
    content = {
        "origin": "written by tests/golden/make_golden_matrix.py through the packages named here",
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "licence": "The files are output of these packages and contain none of their code; the voxels are part of this "
        "project (BSD-3-Clause).",
        "archives": digests,
        "outcomes": outcomes,
    }
    matrix.MANIFEST.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
