# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks read: seeded, or brought by the user; kept under bench-data/.

The volumes are written by upstream, so that the bytes are those a user has today.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESOLUTION_NM = (16, 16, 40)
_FORMAT = 4
_CUBE = (64, 64, 64)
_SLAB = (128, 128, 64)


@dataclass(frozen=True, slots=True)
class Layer:
    """How a volume of the benchmark is stored.

    Attributes
    ----------
    encoding : str
        As in info.
    compress : str or bool
        Second-stage compression, as upstream's argument.
    is_labels : bool
        Whether it holds the segmentation, not the image.
    chunk_size : tuple of int
    scale : dict
        Further members of the scale.
    is_sharded : bool
        Whether the volume is one shard, see `make_sharding`.
    """

    encoding: str
    compress: str | bool = False
    is_labels: bool = False
    chunk_size: tuple[int, int, int] = _SLAB
    scale: dict[str, Any] = field(default_factory=dict)
    is_sharded: bool = False


# tensorstore's default quality is 75, upstream's is 85: all of them are told.
_JPEG = {"jpeg_quality": 85}

LAYERS = {
    "raw": Layer("raw", chunk_size=_CUBE),
    "raw_gzip": Layer("raw", "gzip", chunk_size=_CUBE),
    "cseg": Layer("compressed_segmentation", is_labels=True, chunk_size=_CUBE),
    "slab_raw": Layer("raw"),
    "slab_raw_labels": Layer("raw", is_labels=True),
    "slab_cseg": Layer("compressed_segmentation", is_labels=True),
    "slab_brotli": Layer("raw", "br"),
    "png": Layer("png"),
    "jpeg": Layer("jpeg", scale=_JPEG),
    "compresso": Layer("compresso", is_labels=True),
    "crackle": Layer("crackle", is_labels=True),
    "raw_sharded": Layer("raw", chunk_size=_CUBE, is_sharded=True),
    "cseg_sharded": Layer(
        "compressed_segmentation", is_labels=True, chunk_size=_CUBE, is_sharded=True
    ),
}
"""The volumes by the name of their folder."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """An image and a segmentation, and the volumes that hold them.

    Attributes
    ----------
    title : str
        Where the voxels come from.
    image : ndarray of uint8, shape (x, y, z), Fortran order
    labels : ndarray of uint64, shape (x, y, z), Fortran order
    folder : Path
        Holds the volumes.
    """

    title: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint64]
    folder: Path

    def voxels(self, name: str) -> NDArray[Any]:
        """Return what a volume of `LAYERS` was made from."""
        return self.labels if LAYERS[name].is_labels else self.image

    def path(self, name: str) -> Path:
        """Return the path of a volume of `LAYERS`, written by upstream when it is first asked for."""
        path = self.folder / name
        if not path.exists():
            unfinished = self.folder / f"unfinished-{name}"
            write_upstream(unfinished, self.voxels(name), LAYERS[name])
            unfinished.rename(path)
        return path


def make_dataset(root: Path, data: str | None, size: int, seed: int, threads: int) -> Dataset:
    """Make or find the volumes.

    Parameters
    ----------
    root : Path
        Folder that keeps them.
    data : str, optional
        A .npy, .npy.gz, .ckl or .npy.ckl.gz file, or the path of a Precomputed volume. 8-bit data
        replace the image, other integers the segmentation; the rest stays synthetic.
    size : int
        Voxels per axis of what is synthetic; what is brought is cut to this.
    seed : int
    threads : int

    Returns
    -------
    Dataset
    """
    brought = None if data is None else load_array(data)[:size, :size, :size]
    shape = (size, size, size) if brought is None else brought.shape
    token = "x".join(map(str, shape)) + f"-seed{seed}"
    if brought is not None:
        token += "-" + hashlib.sha256(brought.tobytes("F")).hexdigest()[:8]
    folder = root / token
    title = f"synthetic tissue, seed {seed}"
    marker = folder / f"complete-{_FORMAT}"
    if not marker.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        image, labels = _make_arrays(brought, shape, seed, threads)
        for name, array in (("image", image), ("labels", labels)):
            np.save(folder / f"{name}.npy", array)
        marker.touch()
    if brought is not None:
        part = "image" if brought.dtype.itemsize == 1 else "segmentation"
        title = f"{part} from {data}, the other one {title}"
    return Dataset(title, np.load(folder / "image.npy"), np.load(folder / "labels.npy"), folder)


def _make_arrays(
    brought: NDArray[Any] | None, shape: tuple[int, ...], seed: int, threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
    from cloudvolume_fast.demo_data import make_tissue

    tissue = make_tissue((shape[0], shape[1], shape[2]), seed, threads=threads)
    if brought is None:
        return tissue.image, tissue.labels
    if brought.dtype.itemsize == 1:
        return np.asfortranarray(brought).view(np.uint8), tissue.labels
    return tissue.image, np.asfortranarray(brought, dtype=np.uint64)


def load_array(data: str) -> NDArray[Any]:
    """Load the array of a file or of mip 0 of a volume.

    Raises
    ------
    ValueError
        If it is not three-dimensional or not of integers.
    """
    name = data.removeprefix("file://").removeprefix("precomputed://").removeprefix("file://")
    if name.endswith((".npy", ".npy.gz", ".ckl", ".ckl.gz")):
        content = Path(name).read_bytes()
        if name.endswith(".gz"):
            content = gzip.decompress(content)
        if ".ckl" in Path(name).suffixes[-2:]:
            try:
                import crackle
            except ImportError as error:
                raise ImportError(f"{data}: install crackle-codec to read it") from error
            array = crackle.decompress(content)
        else:
            array = np.load(io.BytesIO(content))
    else:
        from cloudvolume import CloudVolume

        path = data if "://" in data else f"file://{Path(data).resolve()}"
        array = np.asarray(CloudVolume(path, mip=0, progress=False)[:, :, :])
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim != 3 or array.dtype.kind not in "iub":
        raise ValueError(
            f"{data}: expected integers of shape (x, y, z), "
            f"found {array.dtype} of shape {array.shape}"
        )
    return array


def make_info(array: NDArray[Any], layer: Layer) -> dict[str, Any]:
    """Describe a volume of one scale."""
    from cloudvolume import CloudVolume

    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="image" if array.dtype == np.uint8 else "segmentation",
        data_type=str(array.dtype),
        encoding=layer.encoding,
        resolution=RESOLUTION_NM,
        voxel_offset=(0, 0, 0),
        volume_size=array.shape[:3],
        chunk_size=layer.chunk_size,
    )
    info["scales"][0].update(layer.scale)
    if layer.is_sharded:
        info["scales"][0]["sharding"] = make_sharding(array.shape, layer.chunk_size)
    # tensorstore insists on it.
    info["@type"] = "neuroglancer_multiscale_volume"
    return info


def make_sharding(shape: tuple[int, ...], chunk_size: tuple[int, int, int]) -> dict[str, Any]:
    """Specify that all chunks are in one minishard of one shard, data and index compressed by gzip.

    For 512^3 voxels in chunks of 64^3 it is what upstream's ``compute_shard_params_for_image`` gives
    unasked. For a grid whose extents are not powers of two that may give several shards.
    """
    grid = [-(-extent // chunk) for extent, chunk in zip(shape, chunk_size, strict=False)]
    return {
        "@type": "neuroglancer_uint64_sharded_v1",
        "preshift_bits": sum((extent - 1).bit_length() for extent in grid),
        "hash": "identity",
        "minishard_bits": 0,
        "shard_bits": 0,
        "minishard_index_encoding": "gzip",
        "data_encoding": "gzip",
    }


def create_upstream(path: Path, array: NDArray[Any], layer: Layer) -> None:
    """Create an empty volume: the info only."""
    from cloudvolume import CloudVolume

    shutil.rmtree(path, ignore_errors=True)
    CloudVolume(f"file://{path}", info=make_info(array, layer)).commit_info()


def write_upstream(path: Path, array: NDArray[Any], layer: Layer) -> None:
    """Write a volume with upstream."""
    from cloudvolume import CloudVolume

    create_upstream(path, array, layer)
    volume = CloudVolume(f"file://{path}", compress=layer.compress, progress=False)
    # Upstream's sharded write takes no array without channels.
    volume[:, :, :] = array[..., np.newaxis]
