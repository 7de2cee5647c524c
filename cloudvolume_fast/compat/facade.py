# SPDX-License-Identifier: BSD-3-Clause
"""``CloudVolume`` with upstream's signature, and the properties that upstream's users expect on a volume."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.config import VolumeConfig, is_interactive, parse_parallel
from cloudvolume_fast.deliver.crackle_array import layers_of, open_crackle
from cloudvolume_fast.errors import (
    DimensionError,
    InvalidArgumentError,
    UnsupportedFormatError,
    UnsupportedOptionError,
)
from cloudvolume_fast.fetch.content_encoding import suffix_of
from cloudvolume_fast.model import info as info_model
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.layer_path import parse_layer_path
from cloudvolume_fast.model.vec import Vec
from cloudvolume_fast.sources.precomputed.image import PrecomputedImageSource
from cloudvolume_fast.sources.precomputed.metadata import MipLike, PrecomputedMetadata
from cloudvolume_fast.volume import Volume


class CloudVolumePrecomputed(Volume):
    """A Precomputed volume with upstream's properties, all over `Volume`."""

    # Settings.

    @property
    def autocrop(self) -> bool:
        """Cut requests at the volume's bounds."""
        return self.config.autocrop

    @autocrop.setter
    def autocrop(self, value: bool) -> None:
        self.config.autocrop = bool(value)

    @property
    def bounded(self) -> bool:
        """Raise for requests that leave the volume."""
        return self.config.bounded

    @bounded.setter
    def bounded(self, value: bool) -> None:
        self.config.bounded = bool(value)

    @property
    def fill_missing(self) -> bool:
        """Read absent chunks as background."""
        return self.config.fill_missing

    @fill_missing.setter
    def fill_missing(self, value: bool) -> None:
        self.config.fill_missing = bool(value)

    @property
    def background_color(self) -> Any:
        """Value of what is not stored."""
        return self.config.background_color

    @background_color.setter
    def background_color(self, value: Any) -> None:
        self.config.background_color = value

    @property
    def non_aligned_writes(self) -> bool:
        """Allow writes that cover chunks in part."""
        return self.config.non_aligned_writes

    @non_aligned_writes.setter
    def non_aligned_writes(self, value: bool) -> None:
        self.config.non_aligned_writes = bool(value)

    @property
    def overwrite_partial_chunks(self) -> bool:
        """Replace partly covered chunks instead of merging with them."""
        return self.config.overwrite_partial_chunks

    @overwrite_partial_chunks.setter
    def overwrite_partial_chunks(self, value: bool) -> None:
        self.config.overwrite_partial_chunks = bool(value)

    @property
    def delete_black_uploads(self) -> bool:
        """Remove chunks that are all background instead of writing them."""
        return self.config.delete_black_uploads

    @delete_black_uploads.setter
    def delete_black_uploads(self, value: bool) -> None:
        self.config.delete_black_uploads = bool(value)

    @property
    def green_threads(self) -> bool:
        """Whether green threads are used."""
        return self.config.green_threads

    @green_threads.setter
    def green_threads(self, value: bool) -> None:
        if value:
            raise _unavailable("green_threads", value, False)
        self.config.green_threads = False

    @property
    def parallel(self) -> int:
        """Threads to use; 1 for as many as the process may."""
        return self.config.parallel

    @parallel.setter
    def parallel(self, value: int | bool) -> None:
        self.config.parallel = parse_parallel(value, zero_is_all=False)

    @property
    def cdn_cache(self) -> bool | int | str:
        """Cache-Control of uploads to stores that have such a header."""
        return self.config.cdn_cache

    @cdn_cache.setter
    def cdn_cache(self, value: bool | int | str) -> None:
        self.config.cdn_cache = _checked_cdn_cache(value)

    @property
    def compress(self) -> str | bool | None:
        """Second-stage compression of uploads."""
        return self.config.compress

    @compress.setter
    def compress(self, value: str | bool | None) -> None:
        suffix_of(value)
        self.config.compress = value

    @property
    def progress(self) -> bool:
        """Show progress bars."""
        return self.config.progress

    @progress.setter
    def progress(self, value: bool) -> None:
        self.config.progress = bool(value)

    # Paths.

    @property
    def dataset_name(self) -> str:
        """Name of the dataset."""
        return self.meta.dataset

    @property
    def layer(self) -> str:
        """Name of the layer."""
        return self.meta.layer

    @property
    def cloudpath(self) -> str:
        """Path of the layer."""
        return self.meta.cloudpath

    layer_cloudpath = cloudpath

    @property
    def basepath(self) -> str:
        """Path of the dataset without the protocol."""
        return self.meta.basepath

    @property
    def layerpath(self) -> str:
        """Path of the layer without the protocol."""
        return self.meta.layerpath

    @property
    def base_cloudpath(self) -> str:
        """Path of the dataset."""
        return self.meta.base_cloudpath

    @property
    def info_cloudpath(self) -> str:
        """Path of the info file."""
        return self.meta.infopath

    @property
    def cache_path(self) -> str:
        """Folder where a disk cache of this layer lies, or would lie."""
        base = os.environ.get("CLOUD_VOLUME_CACHE_DIR")
        if not base:
            home = os.environ.get("CLOUD_VOLUME_DIR") or os.path.join(
                os.path.expanduser("~"), ".cloudvolume"
            )
            base = os.path.join(home, "cache")
        return os.path.join(base, self.meta.path.protocol, self.meta.layerpath.lstrip("/"))

    # The whole layer.

    @property
    def scales(self) -> list[Info]:
        """The scales of the info, live."""
        return self.meta.scales

    @scales.setter
    def scales(self, value: list[Info]) -> None:
        self.meta.scales = value

    @property
    def available_mips(self) -> range:
        """Indices of the scales."""
        return self.meta.available_mips

    @property
    def available_resolutions(self) -> Iterable[list[float]]:
        """Resolutions of the scales in nm."""
        return self.meta.available_resolutions

    @property
    def layer_type(self) -> str:
        """``image`` or ``segmentation``."""
        return self.meta.layer_type

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return self.meta.dtype

    @property
    def data_type(self) -> str:
        """Name of the type of a voxel."""
        return self.meta.data_type

    @property
    def num_channels(self) -> int:
        """Number of channels."""
        return self.meta.num_channels

    # The current scale.

    @property
    def scale(self) -> Info:
        """The current entry of ``info["scales"]``, live."""
        return self.mip_scale(self.mip)

    @scale.setter
    def scale(self, value: Info) -> None:
        self.info["scales"][self.mip] = value

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def volume_size(self) -> Vec:
        """Extents in voxels."""
        return self.mip_volume_size(self.mip)

    @property
    def voxel_offset(self) -> Vec:
        """First voxel."""
        return self.mip_voxel_offset(self.mip)

    @property
    def downsample_ratio(self) -> Vec:
        """Resolution relative to mip 0's."""
        return self.meta.downsample_ratio(self.mip)

    @property
    def chunk_size(self) -> Vec:
        """Extents of a chunk in voxels."""
        return self.mip_chunk_size(self.mip)

    @property
    def underlying(self) -> Vec:
        """As `chunk_size`."""
        return self.mip_chunk_size(self.mip)

    @property
    def key(self) -> str:
        """Folder of the chunks."""
        return self.mip_key(self.mip)

    @property
    def encoding(self) -> str:
        """Encoding of the chunks."""
        return self.mip_encoding(self.mip)

    @property
    def compressed_segmentation_block_size(self) -> list[int] | None:
        """Extents of a sub-block in voxels, or None."""
        return self.mip_compressed_segmentation_block_size(self.mip)

    # Any scale.

    def mip_scale(self, mip: MipLike) -> Info:
        """Entry of ``info["scales"]``, live."""
        return self.meta.scale(self.meta.to_mip(mip))

    def mip_bounds(self, mip: MipLike) -> Bbox:
        """Box of all voxels."""
        return self.meta.bounds(self.meta.to_mip(mip))

    def mip_shape(self, mip: MipLike) -> tuple[int, int, int, int]:
        """(x, y, z, channel) extents in voxels."""
        return self.meta.shape(self.meta.to_mip(mip))

    def mip_ndim(self, mip: MipLike) -> int:
        """Number of axes."""
        return len(self.mip_shape(mip))

    def mip_volume_size(self, mip: MipLike) -> Vec:
        """Extents in voxels."""
        return self.meta.volume_size(self.meta.to_mip(mip))

    def mip_voxel_offset(self, mip: MipLike) -> Vec:
        """First voxel."""
        return self.meta.voxel_offset(self.meta.to_mip(mip))

    def mip_resolution(self, mip: MipLike) -> Vec:
        """Size of a voxel in nm."""
        return self.meta.resolution(self.meta.to_mip(mip))

    def mip_chunk_size(self, mip: MipLike) -> Vec:
        """Extents of a chunk in voxels."""
        return self.meta.chunk_size(self.meta.to_mip(mip))

    mip_underlying = mip_chunk_size

    def mip_key(self, mip: MipLike) -> str:
        """Folder of the chunks."""
        return self.meta.key(self.meta.to_mip(mip))

    def mip_encoding(self, mip: MipLike) -> str:
        """Encoding of the chunks."""
        return self.meta.encoding(self.meta.to_mip(mip))

    def mip_compressed_segmentation_block_size(self, mip: MipLike) -> list[int] | None:
        """Extents of a sub-block in voxels, or None."""
        return self.meta.compressed_segmentation_block_size(self.meta.to_mip(mip))

    # Scales and coordinates.

    def add_scale(
        self,
        factor: float | Sequence[float],
        encoding: str | None = None,
        chunk_size: Sequence[int] | None = None,
        info: Info | None = None,
    ) -> Info:
        """Add a scale to the info; nothing is written until `commit_info`."""
        return self.meta.add_scale(factor, encoding, chunk_size, info)

    def reset_scales(self) -> None:
        """Remove all scales but mip 0 from the info; nothing is written until `commit_info`."""
        self.meta.reset_scales()

    def point_to_mip(self, pt: Sequence[float], mip: MipLike, to_mip: MipLike) -> Vec:
        """Convert a point between scales, rounded down."""
        return self.meta.point_to_mip(pt, mip, to_mip)

    def bbox_to_mip(
        self, bbox: Any, mip: MipLike, to_mip: MipLike
    ) -> Bbox:  # Any: what Bbox.create takes
        """Convert a box between scales, rounded outwards."""
        return self.meta.bbox_to_mip(bbox, mip, to_mip)

    def slices_to_global_coords(
        self, slices: Any
    ) -> tuple[slice, ...]:  # Any: what Bbox.create takes
        """Convert a box of the current mip to mip 0."""
        return self.bbox_to_mip(slices, self.mip, 0).to_slices()

    def slices_from_global_coords(
        self, slices: Any
    ) -> tuple[slice, ...]:  # Any: what Bbox.create takes
        """Convert a box of mip 0 to the current mip."""
        return self.bbox_to_mip(slices, 0, self.mip).to_slices()

    @classmethod
    def create_new_info(
        cls,
        num_channels: int,
        layer_type: str,
        data_type: Any,  # a name, or what numpy.dtype takes
        encoding: str,
        resolution: Sequence[float],
        voxel_offset: Sequence[int],
        volume_size: Sequence[int],
        mesh: str | bool | None = None,
        skeletons: str | bool | None = None,
        chunk_size: Sequence[int] = (64, 64, 64),
        compressed_segmentation_block_size: Sequence[int] = (8, 8, 8),
        max_mip: int = 0,
        factor: Sequence[int] = (2, 2, 1),
        redirect: str | None = None,
        *args: Any,  # encoding_level, encoding_effort
        **kwargs: Any,
    ) -> Info:
        """Return a new info; see `model.info.create_info`."""
        return info_model.create_info(
            num_channels,
            layer_type,
            data_type,
            encoding,
            resolution,
            voxel_offset,
            volume_size,
            mesh,
            skeletons,
            chunk_size,
            compressed_segmentation_block_size,
            max_mip,
            factor,
            redirect,
            *args,
            **kwargs,
        )


def _unavailable(name: str, found: object, expected: object) -> UnsupportedOptionError:
    return UnsupportedOptionError(
        f"{name}: expected {expected!r}, found {found!r}: not available in this version",
        key=name,
        expected=expected,
        found=found,
    )


def _checked_cdn_cache(value: bool | int | str) -> bool | int | str:
    """Local files have no Cache-Control header; the value is checked and kept for stores that have."""
    if isinstance(value, int) and value < 0:
        raise InvalidArgumentError(
            f"cdn_cache: expected a bool, a string or seconds of at least 0, found {value!r}",
            key="cdn_cache",
            found=value,
        )
    return value


def _override_folder(meta: PrecomputedMetadata, member: str, folder: str | None) -> None:
    if folder is not None:
        meta.info[member] = folder


class _CloudVolumeType(type):
    """Makes ``isinstance(vol, CloudVolume)`` true for what ``CloudVolume(...)`` returns."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Volume)


class CloudVolume(metaclass=_CloudVolumeType):
    """Opens a layer: ``CloudVolume(cloudpath, ...)`` returns a `CloudVolumePrecomputed`.

    Parameters
    ----------
    cloudpath : str or path
        ``[precomputed://]file:///path/to/layer``, or a path on this machine.
    mip : int or sequence of 3 numbers
        Scale, by index (negative counts from the end) or by resolution in nm.
    bounded : bool
        Raise for requests that leave the volume; otherwise what lies outside is background.
    autocrop : bool
        Cut requests at the volume's bounds.
    fill_missing : bool
        Read absent chunks as background instead of raising.  Nothing but absence is forgiven.
    cache : bool or str
        Disk cache; not available in this version.
    compress_cache, cache_locking
        Settings of the disk cache, without effect while there is none.
    cdn_cache : bool, int or str
        Cache-Control of uploads to stores that have such a header; local files have none.
    progress : bool, optional
        Show bars; default in interactive Python only.
    info : dict, optional
        Used instead of the stored info; written by `commit_info`.
    provenance : dict or str, optional
        Used instead of the stored provenance.
    compress : str or bool, optional
        Second-stage compression of uploads: gzip, br, zstd, xz, bz2; False for none; default by encoding.
    compress_level : int, optional
        Default 9 for gzip, 5 for br.
    non_aligned_writes : bool
        Allow writes that cover chunks in part.
    overwrite_partial_chunks : bool
        With it, replace such chunks instead of merging with what is stored.
    parallel : int or bool
        Threads to use; 1 for as many as the process may.
    delete_black_uploads : bool
        Remove chunks that are all background instead of writing them.
    background_color : number
        Value of what is not stored.
    green_threads : bool
        Not available in this version.
    use_https : bool
        Reads gs:// and s3:// by https; other protocols are as they are.
    max_redirects : int
        Fetches of the info that following its ``redirect`` may cost; 0 or less follows none.
    mesh_dir, skel_dir : str, optional
        Used instead of the info's ``mesh`` and ``skeletons``.
    agglomerate, timestamp
        For graphene volumes.
    secrets : dict or str, optional
        Credentials; local files need none.
    spatial_index_db : str, optional
        Not available in this version.
    lru_bytes : int
        Bytes of chunks kept in memory, bookkeeping included, the least recently used leaving first; 0 for none.  All
        mips share it.  ``vol.image.lru`` shows it and resizes it.  What other programs write meanwhile is not noticed.
    lru_encoding : str
        What is kept: ``same`` for chunks as they are stored, but for second-stage compression; ``raw`` for voxels; or
        the name of an encoding without loss, to which chunks are transcoded.
    codec_threads : int or bool
        Threads inside one call of a codec that has its own; 0 or True for all.  Native codecs have none.

    Raises
    ------
    InfoUnavailableError, InfoValidationError, ScaleUnavailableError, TooManyRedirects, CyclicRedirect
    UnsupportedProtocolError, UnsupportedFormatError, UnsupportedOptionError, InvalidArgumentError
    """

    def __new__(  # type: ignore[misc]
        cls,
        cloudpath: str | os.PathLike[str],
        mip: MipLike = 0,
        bounded: bool = True,
        autocrop: bool = False,
        fill_missing: bool = False,
        cache: bool | str = False,
        compress_cache: str | bool | None = None,
        cdn_cache: bool | int | str = True,
        progress: bool | None = None,
        info: Info | None = None,
        provenance: Any = None,  # dict, JSON text or DataLayerProvenance
        compress: str | bool | None = None,
        compress_level: int | None = None,
        non_aligned_writes: bool = False,
        overwrite_partial_chunks: bool = False,
        parallel: int | bool = 1,
        delete_black_uploads: bool = False,
        background_color: Any = 0,  # a number of the volume's type
        green_threads: bool = False,
        use_https: bool = False,
        max_redirects: int = 10,
        mesh_dir: str | None = None,
        skel_dir: str | None = None,
        agglomerate: bool = False,
        secrets: str | dict[str, Any] | None = None,
        spatial_index_db: str | None = None,
        lru_bytes: int = 0,
        cache_locking: bool = True,
        lru_encoding: str = "same",
        timestamp: int | None = None,
        codec_threads: int | bool = 1,
    ) -> CloudVolumePrecomputed:
        """Open a layer; see the class."""
        for name, value, neutral in (
            ("cache", cache, False),
            ("green_threads", green_threads, False),
            ("agglomerate", agglomerate, False),
            ("spatial_index_db", spatial_index_db, None),
            ("timestamp", timestamp, None),
        ):
            if value:
                raise _unavailable(name, value, neutral)
        suffix_of(compress)
        suffix_of(compress_cache)
        path = parse_layer_path(os.fspath(cloudpath))
        if path.format != "precomputed":
            raise UnsupportedFormatError(
                f"{path.qualified_cloudpath}: expected format precomputed, found {path.format}",
                key=path.qualified_cloudpath,
                expected="precomputed",
                found=path.format,
            )
        config = VolumeConfig(
            bounded=bool(bounded),
            autocrop=bool(autocrop),
            fill_missing=bool(fill_missing),
            progress=is_interactive() if progress is None else bool(progress),
            compress=compress,
            compress_level=compress_level,
            non_aligned_writes=bool(non_aligned_writes),
            overwrite_partial_chunks=bool(overwrite_partial_chunks),
            delete_black_uploads=bool(delete_black_uploads),
            background_color=background_color,
            parallel=parse_parallel(parallel),
            cdn_cache=_checked_cdn_cache(cdn_cache),
            codec_threads=parse_parallel(codec_threads),
        )
        meta = PrecomputedMetadata(path.cloudpath, info, provenance, max_redirects)
        _override_folder(meta, "mesh", mesh_dir)
        _override_folder(meta, "skeletons", skel_dir)
        config.mip = meta.to_mip(mip)
        meta.check_for_placeholder_scale(config.mip)
        image = PrecomputedImageSource(
            meta, config, lru_bytes, lru_encoding, CloudVolumePrecomputed
        )
        return CloudVolumePrecomputed(meta, config, image)

    @classmethod
    def create_new_info(cls, *args: Any, **kwargs: Any) -> Info:  # Any: as CloudVolumePrecomputed's
        """Return a new info; see `CloudVolumePrecomputed.create_new_info`."""
        return CloudVolumePrecomputed.create_new_info(*args, **kwargs)

    @classmethod
    def from_numpy(
        cls,
        arr: NDArray[Any],
        vol_path: str | None = None,
        resolution: Sequence[float] = (4, 4, 40),
        voxel_offset: Sequence[int] = (0, 0, 0),
        chunk_size: Sequence[int] = (128, 128, 64),
        layer_type: str | None = None,
        max_mip: int = 0,
        encoding: str = "raw",
        compress: str | bool | None = None,
        progress: bool = False,
        encoding_level: float | None = None,
        encoding_effort: float | None = None,
    ) -> CloudVolumePrecomputed:
        """Write an array as a new layer and return it, open.

        Parameters
        ----------
        arr : ndarray, shape (x, y, z) or (x, y, z, channel)
        vol_path : str, optional
            Default a new folder in the system's temporary directory, another one for each call.
        resolution : sequence of 3 numbers
            In nm.
        voxel_offset, chunk_size : sequence of 3 int
            In voxels.
        layer_type : str, optional
            Default ``segmentation`` for bool and unsigned integers of 16 bits and more, ``image`` for other numbers.
        max_mip : int
            Scales to describe in the info; only mip 0 is written.
        encoding, compress, encoding_level, encoding_effort
            As for the info and the constructor.

        Raises
        ------
        DimensionError
            The array has neither 3 nor 4 axes.
        InvalidArgumentError
            Its dtype is no number.
        """
        import random  # these are slow to load, and few calls need them
        import string
        import tempfile

        if arr.ndim not in (3, 4):
            raise DimensionError(
                f"arr: expected 3 or 4 dimensions, found {arr.ndim}",
                key="arr",
                expected=(3, 4),
                found=arr.ndim,
            )
        if layer_type is None:
            if arr.dtype in (np.bool_, np.uint16, np.uint32, np.uint64):
                layer_type = "segmentation"
            elif arr.dtype.kind in "iuf":
                layer_type = "image"
            else:
                raise InvalidArgumentError(
                    f"arr: expected numbers, found {arr.dtype}; or give layer_type",
                    key="arr",
                    found=arr.dtype,
                )
        if vol_path is None:
            name = "".join(random.choices(string.ascii_lowercase + string.digits, k=12))
            vol_path = f"file://{os.path.join(tempfile.gettempdir(), 'image', name)}"
        info = info_model.create_info(
            arr.shape[3] if arr.ndim == 4 else 1,
            layer_type,
            arr.dtype,
            encoding,
            resolution,
            voxel_offset,
            arr.shape[:3],
            chunk_size=chunk_size,
            max_mip=max_mip,
            encoding_level=encoding_level,
            encoding_effort=encoding_effort,
        )
        vol = cls(vol_path, info=info, bounded=True, compress=compress, progress=progress)
        _commit_new(vol, {"method": "from_numpy"})
        vol[:, :, :] = arr
        return vol

    @classmethod
    def from_crackle(
        cls,
        src: Any,  # path, bytes or a CrackleArray
        cloudpath: str | os.PathLike[str],
        resolution: Sequence[float] = (1, 1, 1),
        voxel_offset: Sequence[int] = (0, 0, 0),
        chunk_size: Sequence[int] = (256, 256, 16),
        encoding: str = "compressed_segmentation",
        compress: str | bool | None = "gzip",
        progress: bool = False,
        allow_mmap: bool = True,
    ) -> CloudVolumePrecomputed:
        """Write a crackle file as a new segmentation and return it, open.

        No more than one layer of chunks is decompressed at a time.

        Parameters
        ----------
        src : path, bytes or crackle.CrackleArray
        cloudpath : str or path
            Of the new layer.
        resolution : sequence of 3 numbers
            In nm.
        voxel_offset, chunk_size : sequence of 3 int
            In voxels.
        encoding, compress
            As for the info and the constructor.
        progress : bool
            Show a bar for each layer of chunks.
        allow_mmap : bool
            Map a file instead of loading it.

        Raises
        ------
        ImportError
            crackle-codec is not installed.
        EncodingError
            The encoding cannot hold the labels' type.
        """
        labels = open_crackle(src, allow_mmap)
        info = info_model.create_info(
            1,
            "segmentation",
            np.dtype(labels.dtype),
            encoding,
            resolution,
            voxel_offset,
            labels.shape[:3],
            chunk_size=chunk_size,
        )
        vol = cls(cloudpath, info=info, bounded=True, compress=compress, progress=progress)
        vol.image.image_scale(
            0
        )  # before anything is written, whether the encoding can hold the labels
        source = {"source": os.fspath(src)} if isinstance(src, (str, os.PathLike)) else {}
        _commit_new(vol, {"method": "from_crackle", **source})
        x, y, z = (int(start) for start in voxel_offset)
        for first, layer in layers_of(labels, int(vol.chunk_size[2])):
            vol.image.upload(layer, (x, y, z + first), 0)
        return vol


def _commit_new(vol: CloudVolumePrecomputed, step: dict[str, str]) -> None:
    """Write the info of a new layer, and its provenance with the step that made it."""
    vol.commit_info()
    import datetime  # as above

    date = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    vol.provenance.processing.append({**step, "date": date})
    vol.commit_provenance()
