# SPDX-License-Identifier: BSD-3-Clause
"""The demonstration: write a volume, read it back in several ways, compare every voxel.

It says what a user can expect of this machine: throughput of whole volumes, latency of cutouts and
points. Everything read is compared to the arrays that were written, outside of the time measured.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.demo_data import make_tissue
from cloudvolume_fast.demo_picture import encode_png, overlay, stretch
from cloudvolume_fast.errors import CloudVolumeError

__all__ = ["DemoOptions", "downsample_image", "downsample_labels", "run_demo", "verify_layer"]

RESOLUTION_NM = (16, 16, 40)
CHUNK_SIZE = (64, 64, 64)
FACTOR = (2, 2, 1)
MAX_MIP = 2
_CUTOUT = 64
_POINTS_PER_CALL = 100
_WHOLE = (slice(None), slice(None), slice(None))
_PNG_NAME = "cloudvolume_fast_demo.png"

Write = Callable[[str], None]
Voxels = NDArray[Any]  # uint8 or uint64


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demonstration does.

    Attributes
    ----------
    size : tuple of int
        Voxels x, y, z.
    seed : int
        Of the volume and of the random reads.
    out : Path, optional
        Folder to keep the volumes in; a temporary one by default.
    png : Path, optional
        Where to save the picture.
    threads : int
        Threads to use.
    cutouts, points : int
        How many random ones to read.
    shows_progress : bool
        Whether long reads and writes show a progress bar.
    """

    size: tuple[int, int, int] = (512, 512, 512)
    seed: int = 0
    out: Path | None = None
    png: Path | None = None
    threads: int = 1
    cutouts: int = 1000
    points: int = 10000
    shows_progress: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Attributes
    ----------
    what : str
        What was done.
    size_bytes : int
        Bytes of voxels moved.
    seconds : tuple of float
        Duration of each call.
    per_call : int
        Things done by each call.
    wrong : int
        Voxels that differ from what was written; -1 if that is not a question.
    error : str
        What went wrong at the last call that failed.
    """

    what: str
    size_bytes: int
    seconds: tuple[float, ...]
    per_call: int = 1
    wrong: int = -1
    error: str = ""


def run_demo(options: DemoOptions, *, write: Write) -> int:
    """Run the demonstration.

    Parameters
    ----------
    options : DemoOptions
        What to do.
    write : callable
        Takes the report, piece by piece.

    Returns
    -------
    int
        0 if every voxel read is the voxel written, else 1.
    """
    with _folder(options.out) as folder:
        write(f"Making {_times(options.size)} voxels of tissue from seed {options.seed} ... ")
        start = time.perf_counter()
        tissue = make_tissue(options.size, options.seed, threads=options.threads)
        count = len(np.unique(tissue.labels)) - 1
        write(f"{time.perf_counter() - start:.1f} s, {count} cells\n")
        layers: dict[str, list[Voxels]] = {
            "image": [tissue.image],
            "segmentation": [tissue.labels],
        }
        for _ in range(MAX_MIP):
            layers["image"].append(downsample_image(layers["image"][-1]))
            layers["segmentation"].append(downsample_labels(layers["segmentation"][-1]))

        rows: list[Row] = []
        for name, mips in layers.items():
            encoding = "raw" if name == "image" else "compressed_segmentation"
            write(f"Writing {name}: {mips[0].dtype}, {encoding} + gzip, {len(mips)} mips ...\n")
            row, stored_bytes = write_layer(folder / name, mips, encoding, options)
            rows.append(row)
            size_bytes = sum(mip.nbytes for mip in mips)
            write(
                f"  {size_bytes / 1e6:.1f} MB of voxels stored in {stored_bytes / 1e6:.1f} MB"
                f" ({stored_bytes / size_bytes:.1%})\n"
            )
        for name, mips in layers.items():
            write(f"Reading and comparing {name} ...\n")
            rows += verify_layer(folder / name, mips, options)

        for name, mips in layers.items():
            write(f"Reading {name} into shared memory, for another process to map ...\n")
            rows += share_layer(folder / name, mips[0], options)

        png = options.png or (options.out or Path()) / _PNG_NAME
        png.parent.mkdir(parents=True, exist_ok=True)
        png.write_bytes(_draw(folder, options))
        write("\n" + format_table(rows, options.threads) + "\n")
        wrong = sum(max(0, row.wrong) for row in rows)
        for row in rows:
            if row.error:
                write(f"\n{row.what}: {row.error}")
        if wrong:
            write(f"\nFAILED: {wrong} voxels differ from what was written.\n")
        else:
            write("\nEvery voxel read is the voxel written.\n")
        write(f"Picture: {png.resolve()}\n")
        if options.out is not None:
            write(_how_to_look(folder, options.size))
    return 1 if wrong else 0


def write_layer(
    folder: Path, mips: list[Voxels], encoding: str, options: DemoOptions
) -> tuple[Row, int]:
    """Write a layer with all its mips.

    Parameters
    ----------
    folder : Path
        Of the layer; replaced if it exists.
    mips : list of ndarray, shape (x, y, z), Fortran order
        Voxels of mip 0, 1, ...
    encoding : str
        Of the chunks.
    options : DemoOptions
        Threads and progress.

    Returns
    -------
    row : Row
        The time of mip 0.
    stored_bytes : int
        Size of all files of the layer.
    """
    if folder.exists():
        shutil.rmtree(folder)
    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="image" if mips[0].dtype == np.uint8 else "segmentation",
        data_type=str(mips[0].dtype),
        encoding=encoding,
        resolution=RESOLUTION_NM,
        voxel_offset=(0, 0, 0),
        volume_size=mips[0].shape,
        chunk_size=CHUNK_SIZE,
        max_mip=len(mips) - 1,
        factor=FACTOR,
    )
    # The field is optional, but without it Neuroglancer has to guess what the folder is.
    info["@type"] = "neuroglancer_multiscale_volume"
    seconds = []
    for mip, voxels in enumerate(mips):
        volume = _open(folder, mip, options, info=info, compress="gzip")
        if mip == 0:
            volume.commit_info()
        start = time.perf_counter()
        volume[:, :, :] = voxels
        seconds.append(time.perf_counter() - start)
    stored_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Row(f"write {folder.name}, mip 0", mips[0].nbytes, (seconds[0],)), stored_bytes


def verify_layer(folder: Path, mips: list[Voxels], options: DemoOptions) -> list[Row]:
    """Read a layer in several ways and compare all that is read.

    Parameters
    ----------
    folder : Path
        Of the layer.
    mips : list of ndarray, shape (x, y, z), Fortran order
        Voxels that mip 0, 1, ... must hold.
    options : DemoOptions
        Threads, progress, numbers of cutouts and points.

    Returns
    -------
    list of Row
        One per way of reading.
    """
    rows = []
    for mip, voxels in enumerate(mips):
        volume = _open(folder, mip, options)
        start = time.perf_counter()
        found, error = _attempt(partial(_read_box, volume, _WHOLE))
        seconds = (time.perf_counter() - start,)
        wrong = voxels.size if error else count_differences(found, voxels)
        what = f"read {folder.name}, mip {mip}"
        rows.append(Row(what, voxels.nbytes, seconds, 1, wrong, error))
        del found
    rng = np.random.default_rng([options.seed, 0xC07])
    volume = _open(folder, 0, DemoOptions(threads=options.threads))
    if options.cutouts:
        rows.append(_read_cutouts(volume, folder.name, mips[0], options.cutouts, rng))
    if options.points:
        rows.append(_read_points(volume, folder.name, mips[0], options.points, rng))
    return rows


_MAP = """
import sys, time, zlib
import numpy as np
from cloudvolume_fast import sharedmemory
name, dtype = sys.argv[1:3]
start = time.perf_counter()
handle, voxels = sharedmemory.ndarray([int(n) for n in sys.argv[3:]], dtype, name, readonly=True)
seconds = time.perf_counter() - start
print(seconds, zlib.crc32(voxels.reshape(-1, order="F").view(np.uint8)))
"""


def share_layer(folder: Path, voxels: Voxels, options: DemoOptions) -> list[Row]:
    """Read mip 0 by worker processes into shared memory, and let another process map it.

    Parameters
    ----------
    folder : Path
        Of the layer.
    voxels : ndarray, shape (x, y, z), Fortran order
        What mip 0 must hold.
    options : DemoOptions
        Threads, as many of which as there are workers, and progress.

    Returns
    -------
    list of Row
        The read, and the other process's mapping.
    """
    workers = max(2, options.threads)
    volume = _open(folder, 0, options)
    start = time.perf_counter()
    found, error = _attempt(lambda: volume.download_to_shared_memory(_WHOLE, workers=workers))
    seconds = (time.perf_counter() - start,)
    wrong = voxels.size if error else count_differences(np.asarray(found)[..., 0], voxels)
    what = f"{folder.name} by {workers} workers, shared"
    rows = [Row(what, voxels.nbytes, seconds, 1, wrong, error)]
    if error:
        return rows
    try:
        arguments = [volume.shared_memory_id, voxels.dtype.str, *map(str, voxels.shape)]
        done = subprocess.run(
            [sys.executable, "-P", "-c", _MAP, *arguments],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        fields = done.stdout.split()
        expected = zlib.crc32(voxels.reshape(-1, order="F").view(np.uint8).data)
        is_same = done.returncode == 0 and int(fields[1]) == expected
        error = "" if is_same else done.stderr or "the other process found other voxels"
        took = (float(fields[0]) if fields else 1.0,)
        what = f"{folder.name} mapped by a second process"
        rows.append(Row(what, voxels.nbytes, took, 1, 0 if is_same else voxels.size, error))
    finally:
        volume.unlink_shared_memory()
    return rows


def _read_cutouts(
    volume: Any, name: str, voxels: Voxels, count: int, rng: np.random.Generator
) -> Row:
    """Read random cutouts, each with a call of its own."""
    size = np.minimum(_CUTOUT, voxels.shape)
    seconds = []
    wrong = 0
    last_error = ""
    for low in rng.integers(0, np.array(voxels.shape) - size + 1, (count, 3)):
        box = tuple(slice(int(a), int(a + n)) for a, n in zip(low, size, strict=True))
        start = time.perf_counter()
        found, error = _attempt(partial(_read_box, volume, box))
        seconds.append(time.perf_counter() - start)
        wrong += voxels[box].size if error else count_differences(found, voxels[box])
        last_error = error or last_error
    total = int(np.prod(size)) * voxels.itemsize * count
    what = f"{name}: {count} cutouts of {_times(size)}"
    return Row(what, total, tuple(seconds), 1, wrong, last_error)


def _read_points(
    volume: Any, name: str, voxels: Voxels, count: int, rng: np.random.Generator
) -> Row:
    """Read random points, a hundred per call."""
    points = rng.integers(0, voxels.shape, (count, 3))
    seconds = []
    wrong = 0
    last_error = ""
    for first in range(0, count, _POINTS_PER_CALL):
        some = points[first : first + _POINTS_PER_CALL]
        start = time.perf_counter()
        found, error = _attempt(partial(volume.scattered_points, some))
        seconds.append(time.perf_counter() - start)
        last_error = error or last_error
        for point in some:
            x, y, z = (int(v) for v in point)
            is_right = not error and (x, y, z) in found and found[x, y, z] == voxels[x, y, z]
            wrong += int(not is_right)
    per_call = min(count, _POINTS_PER_CALL)
    what = f"{name}: {count} points"
    return Row(what, count * voxels.itemsize, tuple(seconds), per_call, wrong, last_error)


def _read_box(volume: Any, box: tuple[slice, ...]) -> Voxels:
    """Read a box of a volume of one channel, shape (x, y, z)."""
    return np.asarray(volume[box])[..., 0]


def _attempt(read: Callable[[], Any]) -> tuple[Any, str]:
    """Read; say what went wrong, if so.

    A chunk that cannot be read is a finding like a wrong voxel, so that the report is complete.
    """
    try:
        return read(), ""
    except CloudVolumeError as error:
        return None, str(error)


def count_differences(found: Voxels, expected: Voxels) -> int:
    """Count the voxels that differ; all of them if the shape does.

    Compares plane by plane, for no large array of truth values is needed then.
    """
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return expected.size
    return sum(
        int(np.count_nonzero(found[:, :, z] != expected[:, :, z])) for z in range(found.shape[2])
    )


def downsample_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average 2 x 2 x 1 voxels, rounding to the nearest; a last odd row or column stands alone.

    Parameters
    ----------
    image : ndarray of uint8, shape (x, y, z)
        Voxels of a mip.

    Returns
    -------
    ndarray of uint8, shape (ceil(x / 2), ceil(y / 2), z), Fortran order
        Voxels of the next.
    """
    a, b, c, d = _quarters(image)
    total = a.astype(np.uint16)
    total += b
    total += c
    total += d
    total += 2
    total >>= 2
    return np.asfortranarray(total.astype(np.uint8))


def downsample_labels(labels: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Take the most frequent label of 2 x 2 x 1 voxels, so that no new label appears.

    Parameters
    ----------
    labels : ndarray of uint64, shape (x, y, z)
        Voxels of a mip.

    Returns
    -------
    ndarray of uint64, shape (ceil(x / 2), ceil(y / 2), z), Fortran order
        Voxels of the next.
    """
    a, b, c, d = _quarters(labels)
    # If a has no partner in b or c and b none in c, then d is in the only pair there can be.
    return np.asfortranarray(np.where((a == b) | (a == c), a, np.where(b == c, b, d)))


def _quarters(voxels: Voxels) -> list[Voxels]:
    """Split into the four voxels of each 2 x 2 x 1 group; at an odd end the last one repeats."""
    odd_x, odd_y = voxels.shape[0] % 2, voxels.shape[1] % 2
    if odd_x or odd_y:
        voxels = np.pad(voxels, ((0, odd_x), (0, odd_y), (0, 0)), mode="edge")
    return [voxels[x::2, y::2] for y in (0, 1) for x in (0, 1)]


def format_table(rows: list[Row], threads: int) -> str:
    """Lay out measurements as a table.

    Parameters
    ----------
    rows : list of Row
        Measurements.
    threads : int
        Threads used, for the heading.

    Returns
    -------
    str
        Lines without a final newline.
    """
    heading = [f"{threads} thread{'s'[: threads != 1]}", "rate", "median", "p99", "voxels"]
    cells = [heading]
    for row in rows:
        times = np.array(row.seconds)
        median, p99 = np.percentile(times, [50, 99])
        unit = f" / {row.per_call}" if row.per_call > 1 else ""
        rate = f"{row.size_bytes / 1e6 / times.sum():,.0f} MB/s"
        if row.per_call > 1:
            rate = f"{row.per_call * len(times) / times.sum():,.0f} /s"
        cells.append(
            [
                row.what,
                rate,
                f"{median * 1e3:.2f} ms{unit}",
                f"{p99 * 1e3:.2f} ms{unit}" if len(times) >= 100 else "",
                {-1: "", 0: "all equal"}.get(row.wrong, f"{row.wrong} DIFFER"),
            ]
        )
    widths = [max(len(line[i]) for line in cells) for i in range(len(heading))]
    lines = [
        "  ".join(
            [line[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        ).rstrip()
        for line in cells
    ]
    lines.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join(lines)


def _draw(folder: Path, options: DemoOptions) -> bytes:
    """Draw the middle slice as read from the volumes: grey values, and labels over them."""
    plane = (slice(None), slice(None), slice(options.size[2] // 2, options.size[2] // 2 + 1))
    quiet = DemoOptions(threads=options.threads)
    slices = []
    for name, dtype in (("image", np.uint8), ("segmentation", np.uint64)):
        found, error = _attempt(partial(_read_box, _open(folder / name, 0, quiet), plane))
        slices.append(
            np.zeros((options.size[1], options.size[0]), dtype) if error else found[..., 0].T
        )
    grey = stretch(slices[0])
    plain = np.repeat(grey[..., None], 3, axis=2)
    return encode_png(np.concatenate([plain, overlay(grey, slices[1])], axis=1))


def _open(folder: Path, mip: int, options: DemoOptions, **more: Any) -> Any:
    """Open a layer at a mip."""
    return CloudVolume(
        f"file://{folder.resolve()}",
        mip=mip,
        parallel=options.threads,
        progress=options.shows_progress,
        **more,
    )


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Yield the folder to keep, or a temporary one."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="cloudvolume_fast_demo_") as name:
            yield Path(name)
    else:
        out.mkdir(parents=True, exist_ok=True)
        yield out


def _how_to_look(folder: Path, size: tuple[int, int, int], port: int = 8080) -> str:
    """Explain how to open the layers in Neuroglancer."""
    root = f"precomputed://http://localhost:{port}"
    unit = 1e-9
    state = {
        "dimensions": {
            axis: [step * unit, "m"] for axis, step in zip("xyz", RESOLUTION_NM, strict=True)
        },
        "position": [n / 2 for n in size],
        "layers": [
            {"type": "image", "source": f"{root}/image", "name": "image"},
            {"type": "segmentation", "source": f"{root}/segmentation", "name": "segmentation"},
        ],
        "layout": "4panel",
    }
    fragment = urllib.parse.quote(json.dumps(state, separators=(",", ":")), safe="/:,[]{}")
    return (
        f"Volumes: {folder.resolve()}\n"
        "To look at them in Neuroglancer, serve the folder\n"
        f"    python -m cloudvolume_fast serve {folder.resolve()} --port {port}\n"
        "and open\n"
        f"    https://neuroglancer-demo.appspot.com/#!{fragment}\n"
    )


def _times(size: Any) -> str:
    """Write a size as ``64x64x64``."""
    return "x".join(str(int(n)) for n in size)
