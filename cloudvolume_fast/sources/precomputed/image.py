# SPDX-License-Identifier: BSD-3-Clause
"""The image of a Precomputed layer: boxes of voxels read and written under the volume's settings."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast import _runtime
from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.decode import registry
from cloudvolume_fast.decode.codec import ChunkSpec
from cloudvolume_fast.deliver.chunk_lru import ChunkLRU
from cloudvolume_fast.deliver.crackle_array import compress_layers
from cloudvolume_fast.deliver.cutout import CutoutOrigin, VolumeCutout
from cloudvolume_fast.deliver.files import fill_new_file, map_file, read_files
from cloudvolume_fast.deliver.hooks import ChunkHooks
from cloudvolume_fast.deliver.outcome import raise_outcome
from cloudvolume_fast.deliver.read_image import (
    allocate,
    label_limits,
    read_box,
    read_points,
    read_renumbered,
    read_unique,
    renumbered_background,
    to_bits,
)
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.deliver.write_image import write_box
from cloudvolume_fast.errors import (
    AlignmentError,
    DimensionError,
    InfoValidationError,
    InvalidArgumentError,
    OutOfBoundsError,
    ReadOnlyException,
    UnsupportedFormatError,
    UnsupportedOptionError,
)
from cloudvolume_fast.fetch.content_encoding import level_of, suffix_of
from cloudvolume_fast.locate.indexing import (
    ADDRESSABLE,
    Bounds,
    check_bounds,
    check_not_empty,
    chunk_aligned,
    clip,
    expand_to_chunks,
    show,
)
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.info import Scale
from cloudvolume_fast.model.vec import Vec
from cloudvolume_fast.options import ReadOptions, WriteOptions
from cloudvolume_fast.sources.precomputed.metadata import MipLike, PrecomputedMetadata
from cloudvolume_fast.sources.precomputed.transfer import (
    TransferOptions,
    check_sharded,
    checked_block_size,
    open_destination,
    transfer,
)

_ALL_CHANNELS = slice(None)
_PNG_LEVEL = 9  # upstream's default


class PrecomputedImageSource:
    """Voxels of a Precomputed layer.

    Parameters
    ----------
    meta : PrecomputedMetadata
    config : VolumeConfig
        Shared live with the volume.
    lru_bytes : int
        Size of the cache of chunks in memory; 0 for none.
    lru_encoding : str
        What the cache holds: ``same`` for chunks as stored, without second-stage compression; ``raw`` for voxels; or an
        encoding, to which chunks are transcoded.
    volume_type : callable, optional
        Makes what `transfer_to` returns of metadata, settings and image source.

    Attributes
    ----------
    lru : ChunkLRU
        The cache of chunks in memory.

    Raises
    ------
    UnsupportedEncodingError, EncodingError, InvalidArgumentError
        `lru_encoding` is unknown, cannot hold the volume's type, or loses information; `lru_bytes` is negative.
    """

    def __init__(
        self,
        meta: PrecomputedMetadata,
        config: VolumeConfig,
        lru_bytes: int = 0,
        lru_encoding: str = "same",
        volume_type: Callable[[PrecomputedMetadata, VolumeConfig, PrecomputedImageSource], Any]
        | None = None,
    ) -> None:
        self.meta = meta
        self.config = config
        self.lru = ChunkLRU(lru_bytes, lru_encoding)
        self._volume_type = volume_type
        self._scales: dict[int, tuple[Any, ...]] = {}
        self._background: tuple[Any, Any, bytes] | None = None
        self._origins: dict[int, tuple[Any, CutoutOrigin]] = {}
        self._lru_codec(str(lru_encoding))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is cheaply made again and cannot be pickled."""
        return {**self.__dict__, "_scales": {}, "_background": None, "_origins": {}}

    def _lru_codec(self, encoding: str) -> registry.Codec | None:
        """Return the codec of entries that are encoded otherwise than the chunks; None where they are as stored."""
        if encoding in ("same", "raw") or all(
            scale.get("encoding") == encoding for scale in self.meta.scales
        ):
            return registry.lookup("raw", self.meta.cloudpath) if encoding == "raw" else None
        where = f"{self.meta.cloudpath}: lru_encoding"
        codec = registry.lookup(encoding, where)
        codec.check(self.meta.dtype, self.meta.num_channels, where)
        if not codec.is_lossless:
            raise InvalidArgumentError(
                f"{where}: expected an encoding without loss, so that reads do not depend on what is held in memory, "
                f"found {encoding}",
                key="lru_encoding",
                found=encoding,
            )
        return codec

    def _attach_lru(self, layout: _runtime.ImageLayout, parsed: Scale, spec: ChunkSpec) -> None:
        codec = None
        if self.lru.encoding not in ("same", parsed.encoding):
            codec = self._lru_codec(self.lru.encoding)
        is_external = codec is not None and not codec.is_native
        needs_package = codec is not None and codec.implementation is not None
        self.lru.attach(
            layout,
            key=parsed.key,
            encoding=parsed.encoding,
            entry_codec="external" if is_external else codec.name if codec is not None else "raw",
            hooks=ChunkHooks(codec.load, spec) if codec is not None and needs_package else None,
            dtype=spec.dtype,
            num_channels=spec.num_channels,
        )

    # What the delivery stage needs.

    def image_scale(self, mip: int) -> ImageScale:
        """Describe a scale to the core; made again whenever the info has changed.

        Raises
        ------
        InfoValidationError, UnsupportedEncodingError, EncodingError, UnsupportedFormatError
        """
        meta = self.meta
        parsed = meta.parsed_scale(mip)
        data_type, channels = meta.info["data_type"], meta.info["num_channels"]
        cached = self._scales.get(mip)
        if (
            cached is not None
            and cached[0] is parsed
            and cached[1] == data_type
            and cached[2] == channels
            and cached[3] is meta.path
        ):
            return cached[4]  # type: ignore[no-any-return]
        folder = meta.join(meta.cloudpath, parsed.key)
        if parsed.is_sharded:
            raise UnsupportedFormatError(
                f"{folder}: expected an unsharded scale, found sharding {dict(parsed.sharding or {})}",
                key=folder,
                expected="unsharded",
                found=parsed.sharding,
            )
        dtype = meta.dtype
        codec = registry.lookup(parsed.encoding, folder)
        codec.check(dtype, int(channels), folder)
        if not codec.is_native:
            codec.load()  # a package that is missing is told before any chunk is touched
        spec = ChunkSpec(dtype, int(channels), parsed.raw)
        level = _png_level(parsed.raw)  # a wrong one is no reason not to read
        layout = _runtime.ImageLayout(
            os.fsencode(self.folder_path(parsed.key)),
            parsed.voxel_offset,
            parsed.size,
            parsed.chunk_size,
            parsed.encoding if codec.is_native else "external",
            dtype.itemsize,
            int(channels),
            parsed.block_size or (8, 8, 8),
            _PNG_LEVEL if level is None else level,
            ChunkHooks(codec.load, spec),
        )
        self._attach_lru(layout, parsed, spec)
        (x, y, z), (sx, sy, sz) = parsed.voxel_offset, parsed.size
        scale = ImageScale(
            layout=layout,
            folder=folder,
            dtype=dtype,
            num_channels=int(channels),
            bounds=(x, y, z, x + sx, y + sy, z + sz),
            chunk_size=parsed.chunk_size,
            encoding=parsed.encoding,
        )
        self._scales[mip] = (parsed, data_type, channels, meta.path, scale)
        return scale

    def cutout_origin(self, mip: int) -> CutoutOrigin:
        """Return what cutouts of a scale remember; one object until the info changes."""
        parsed = self.meta.parsed_scale(mip)
        cached = self._origins.get(mip)
        if cached is not None and cached[0] is parsed:
            return cached[1]
        meta = self.meta
        origin = CutoutOrigin(
            meta.dataset,
            meta.layer,
            meta.path,
            meta.cloudpath,
            meta.resolution(mip),
            mip,
            meta.layer_type,
        )
        self._origins[mip] = (parsed, origin)
        return origin

    def folder_path(self, key: str) -> str:
        """Return the absolute path of a scale's folder."""
        return self.meta.store.path(key)

    def _background_bytes(self, dtype: np.dtype[Any]) -> bytes:
        color = self.config.background_color
        cached = self._background
        if cached is not None and cached[0] is color and cached[1] == dtype:
            return cached[2]
        try:
            with np.errstate(invalid="ignore", over="ignore"):  # told by the comparison below
                value = np.array(color).astype(dtype) if color is not None else np.zeros((), dtype)
            exact = bool(value == color) or (dtype.kind == "f" and isinstance(color, float))
        except (TypeError, ValueError, OverflowError):
            exact = False
        if not exact:
            raise InvalidArgumentError(
                f"background_color: expected a value of {dtype.name}, found {color!r}",
                key="background_color",
                expected=dtype.name,
                found=color,
            )
        out = value.tobytes()
        self._background = (color, dtype, out)
        return out

    def read_options(
        self, scale: ImageScale, threads: int | None = None, title: str | None = None
    ) -> ReadOptions:
        """Return the volume's settings as they apply to one read."""
        config = self.config
        return ReadOptions(
            fill_missing=config.fill_missing,
            background=self._background_bytes(scale.dtype),
            threads=config.threads if threads is None else threads,
            progress=(config.progress_title or title or "Downloading") if config.progress else None,
        )

    # Reading.

    def resolve_bounds(self, bounds: Bounds, scale: ImageScale) -> Bounds:
        """Apply ``bounded`` and ``autocrop`` to the box of a read.

        Raises
        ------
        OutOfBoundsError, SubvoxelVolumeError
        """
        if self.config.autocrop:
            bounds = clip(bounds, scale.bounds)
        if bounds[3] <= bounds[0] or bounds[4] <= bounds[1] or bounds[5] <= bounds[2]:
            check_not_empty(bounds, scale.folder)
        if self.config.bounded:
            check_bounds(bounds, scale.bounds, scale.folder)
        elif not self.config.autocrop:
            check_bounds(bounds, ADDRESSABLE, scale.folder)
        return bounds

    def read(
        self,
        bounds: Bounds,
        mip: int,
        *,
        scale: ImageScale | None = None,
        channels: slice = _ALL_CHANNELS,
        label: int | None = None,
        segids: Iterable[int] | None = None,
        preserve_zeros: bool = False,
        threads: int | None = None,
        order: str = "F",
    ) -> NDArray[Any]:
        """Read a box that `resolve_bounds` has passed; see `deliver.read_image.read_box`.

        `scale` is what `image_scale` returns for `mip`, for callers that have it at hand.
        """
        if scale is None:
            scale = self.image_scale(mip)
        options = self.read_options(scale, threads)
        if self.meta._rois and not self.meta.overlaps_roi(Bbox._from_ints(*bounds), mip):
            return self._outside_rois(bounds, scale, options, channels, label)
        if label is None and segids is None:
            return read_box(scale, bounds, options, channels=channels, order=order)
        if scale.dtype.kind not in "iub":
            return self._masked_by_value(
                read_box(scale, bounds, options, channels=channels, order=order), label, segids
            )
        if label is not None:
            bits = to_bits([label], scale.dtype)
            image = read_box(
                scale,
                bounds,
                options,
                channels=channels,
                order=order,
                label=int(bits[0]) if len(bits) else 0,
            )
            if not len(bits):  # a label that the type cannot hold is nowhere
                image[...] = False
            return image
        assert segids is not None
        keep, other = self._kept(segids, preserve_zeros, scale)
        return read_box(
            scale, bounds, options, channels=channels, order=order, keep=keep, other=other
        )

    @staticmethod
    def _kept(
        segids: Iterable[int], preserve_zeros: bool, scale: ImageScale
    ) -> tuple[NDArray[np.uint64], int]:
        """Return the bits of the labels that stay, and those that the others become."""
        wanted = list(segids)
        if not preserve_zeros:
            return to_bits(wanted, scale.dtype), 0
        largest = int(to_bits([label_limits(scale.dtype)[1]], scale.dtype)[0])
        return to_bits([*wanted, 0], scale.dtype), largest

    @staticmethod
    def _masked_by_value(
        image: NDArray[Any], label: int | None, segids: Iterable[int] | None
    ) -> NDArray[Any]:
        """Compare floating point voxels by value, which their bits do not tell."""
        if segids is not None:
            raise InvalidArgumentError(
                f"segids: expected a volume of integers, found {image.dtype.name}",
                key="segids",
                expected="integers",
                found=image.dtype.name,
            )
        return np.asfortranarray(image == label)

    def _outside_rois(
        self,
        bounds: Bounds,
        scale: ImageScale,
        options: ReadOptions,
        channels: slice,
        label: int | None,
    ) -> NDArray[Any]:
        count = len(range(scale.num_channels)[channels])
        shape = tuple(bounds[i + 3] - bounds[i] for i in range(3))
        value = np.frombuffer(options.background, scale.dtype)[0]
        if label is not None:
            out = allocate((*shape, count), np.dtype(np.bool_))
            out[...] = value == label
        else:
            out = allocate((*shape, count), scale.dtype)
            out[...] = value
        return out

    def read_renumbered(
        self,
        bounds: Bounds,
        mip: int,
        *,
        segids: Iterable[int] | None = None,
        preserve_zeros: bool = False,
    ) -> tuple[NDArray[Any], dict[int, int]]:
        """Read a box that `resolve_bounds` has passed; see `deliver.read_image.read_renumbered`.

        `segids` and `preserve_zeros` are applied before the labels are numbered.
        """
        scale = self.image_scale(mip)
        options = self.read_options(scale)
        if self.meta._rois and not self.meta.overlaps_roi(Bbox._from_ints(*bounds), mip):
            return renumbered_background(scale, bounds, options)
        if segids is None or scale.dtype.kind not in "iub":
            return read_renumbered(scale, bounds, options)
        keep, other = self._kept(segids, preserve_zeros, scale)
        return read_renumbered(scale, bounds, options, keep=keep, other=other)

    def download(
        self,
        bbox: Bbox,
        mip: int,
        parallel: int = 1,
        location: str | None = None,
        retain: bool = False,
        use_shared_memory: bool = False,
        use_file: bool = False,
        order: str = "F",
        renumber: bool = False,
        label: int | None = None,
        progress: bool | str | None = None,
    ) -> Any:  # a VolumeCutout, or with renumber a pair of it and a dict
        """Read a box.

        Parameters
        ----------
        bbox : Bbox
            In voxels of `mip`.
        mip : int
        parallel : int
            Threads to use; 1 leaves it to the volume.
        location, use_file
            With both, the voxels are read into a file of that name; see `read_to_file`.
        retain, use_shared_memory
            Not available yet: reading into shared memory raises.
        order : {"F", "C"}
        renumber : bool
            Return (image, {label: number}).
        label : int, optional
            Return where the voxels are this label, as bool.
        progress : bool or str, optional
            Overrides the volume's setting; a string is the bar's title.

        Returns
        -------
        VolumeCutout, shape (x, y, z, channel); with `renumber` a pair of it and a dict
        """
        if use_shared_memory or (location is not None) != use_file or (retain and not use_file):
            raise UnsupportedOptionError(
                "location, retain, use_shared_memory: reading into shared memory is not available; "
                "location with use_file=True reads into a file",
                key="use_shared_memory",
            )
        mip = self.meta.to_mip(mip)
        bounds = self.resolve_bounds(bounds_of(bbox, self.meta, mip), self.image_scale(mip))
        threads = None if parallel == 1 else parallel
        with self.config.override_progress(progress):
            if location is not None:
                if renumber or label is not None:
                    raise UnsupportedOptionError(
                        "renumber, label: not available when reading into a file", key="use_file"
                    )
                image = self.read_to_file(location, bounds, mip, threads=threads, order=order)
                return VolumeCutout.wrap(image, self.cutout_origin(mip), bounds)
            if renumber:
                image, mapping = self.read_renumbered(bounds, mip)
                return VolumeCutout.wrap(image, self.cutout_origin(mip), bounds), mapping
            image = self.read(bounds, mip, label=label, threads=threads, order=order)
        return VolumeCutout.wrap(image, self.cutout_origin(mip), bounds)

    def read_to_file(
        self,
        path: str | os.PathLike[str],
        bounds: Bounds,
        mip: int,
        *,
        threads: int | None = None,
        order: str = "F",
    ) -> NDArray[Any]:
        """Read a box that `resolve_bounds` has passed into a file, which the core writes through a mapping.

        The file holds x * y * z * channels voxels and nothing else, and has its name only when it is complete.

        Returns
        -------
        ndarray, shape (x, y, z, channel)
            Mapped from the file.

        Raises
        ------
        ChunkWriteError
            The file cannot be written.
        EmptyVolumeException, ChunkReadError, DecompressionError, ChunkDecodeError
        """
        scale = self.image_scale(mip)
        shape = (*(bounds[i + 3] - bounds[i] for i in range(3)), scale.num_channels)

        def fill(array: NDArray[Any]) -> None:
            if self.meta._rois and not self.meta.overlaps_roi(Bbox._from_ints(*bounds), mip):
                array[...] = np.frombuffer(self._background_bytes(scale.dtype), scale.dtype)[0]
                return
            read_box(scale, bounds, self.read_options(scale, threads), out=array)

        return fill_new_file(path, shape, scale.dtype, order, fill)

    def read_crackle(
        self,
        bounds: Bounds,
        mip: int,
        *,
        segids: Iterable[int] | None = None,
        preserve_zeros: bool = False,
        threads: int | None = None,
    ) -> Any:  # a crackle.CrackleArray
        """Read a box that `resolve_bounds` has passed, compressed in memory; only one layer of chunks at a time is not.

        Raises
        ------
        InvalidArgumentError
            The volume is no segmentation of one channel and an unsigned type.
        ImportError
            crackle-codec is not installed.
        """
        scale = self.image_scale(mip)
        if (
            self.meta.layer_type != "segmentation"
            or scale.num_channels != 1
            or scale.dtype.kind != "u"
        ):
            raise InvalidArgumentError(
                f"{self.meta.cloudpath}: crackle: expected a segmentation of one channel and unsigned labels, found "
                f"{self.meta.layer_type} of {scale.num_channels} and {scale.dtype.name}",
                key="crackle",
                found=self.meta.layer_type,
            )
        keep = None if segids is None else list(segids)  # asked for once per layer
        depth, origin = scale.chunk_size[2], scale.bounds[2]
        first = (bounds[2] - origin) // depth
        last = -((origin - bounds[5]) // depth)
        layers = (
            clip((*bounds[:2], origin + i * depth, *bounds[3:5], origin + (i + 1) * depth), bounds)
            for i in range(first, last)
        )
        return compress_layers(
            self.read(layer, mip, segids=keep, preserve_zeros=preserve_zeros, threads=threads)[
                ..., 0
            ]
            for layer in layers
        )

    def download_files(
        self,
        bbox: Any,  # what Bbox.create takes
        mip: MipLike,
        decompress: bool = True,
        parallel: int = 1,
        cache_only: bool = False,
    ) -> dict[str, bytes | None]:
        """Return the files of the chunks that a box touches, without decoding them.

        Parameters
        ----------
        bbox : Bbox or what `Bbox.create` takes
            In voxels of `mip`.
        mip : int or resolution
        decompress : bool
            Undo second-stage compression; otherwise bytes are as stored, under names with their suffixes.
        parallel : int
            Threads to use; 1 leaves it to the volume.
        cache_only : bool
            Return nothing: files only pass through the disk cache, where there is one.

        Returns
        -------
        dict
            ``key/x0-x1_y0-y1_z0-z1`` to bytes, or to None where there is no chunk.

        Raises
        ------
        OutOfBoundsError, ChunkReadError, DecompressionError, ChunkDecodeError
        """
        index = self.meta.to_mip(mip)
        scale = self.image_scale(index)
        bounds = self.resolve_bounds(bounds_of(bbox, self.meta, index), scale)
        if cache_only:
            return {}
        options = self.read_options(scale, None if parallel == 1 else parallel)
        key = self.meta.key(index)
        files = read_files(scale, bounds, options, decompress=decompress)
        return {f"{key}/{name}": content for name, content in files.items()}

    def transfer_to(
        self,
        cloudpath: str | os.PathLike[str],
        bbox: Any,  # what Bbox.create takes
        mip: MipLike | None = None,
        block_size: int | None = None,
        compress: str | bool | None = "auto",
        compress_level: int | None = None,
        encoding: str | None = None,
        sharded: bool | None = None,
    ) -> Any:  # what volume_type makes; without it a PrecomputedImageSource
        """Transfer a box to another layer, never holding more of it than a bounded part.

        Parameters
        ----------
        cloudpath : str or path
            Of the other layer.  Where it has no info it gets the source's, and its provenance.
        bbox : Bbox or what `Bbox.create` takes
            In voxels of `mip`.  Chunks that the box cuts are merged with what the other layer has there.
        mip : int or resolution, optional
            Default the current one.  The other layer's scale is the one of the same resolution.
        block_size : int, optional
            Chunks that are painted at once at most, where whole chunks cannot be passed on.
        compress : str, bool or None
            Second-stage compression; ``auto`` and None leave that of copied files as it is.
        compress_level : int, optional
        encoding : str, optional
            Of the scale, where it is made.
        sharded : bool, optional
            True raises: shards cannot be written yet.

        Returns
        -------
        The other layer, open

        Raises
        ------
        EmptyVolumeException
            A chunk is absent, and `fill_missing` is off; with it the other layer has no such chunk either.
        InvalidArgumentError
            The other layer holds other voxels, has another encoding than the one given, or is the same.
        OutOfBoundsError, ReadOnlyException, UnsupportedOptionError, UnsupportedProtocolError
        ChunkReadError, ChunkWriteError, DecompressionError, ChunkDecodeError, EncodingError, CompressionError
        """
        check_sharded(sharded)
        block = checked_block_size(block_size)
        if compress is not None and compress != "auto":
            suffix_of(compress)
        index = self.config.mip if mip is None else self.meta.to_mip(mip)
        bounds = bounds_of(bbox, self.meta, index)
        self.resolve_bounds(bounds, self.image_scale(index))
        meta, destination_mip = open_destination(self.meta, os.fspath(cloudpath), index, encoding)
        config = dataclasses.replace(self.config, mip=destination_mip)
        destination = PrecomputedImageSource(meta, config, volume_type=self._volume_type)
        options = TransferOptions(compress, compress_level, encoding, sharded, block)
        transfer(self, index, destination, destination_mip, bounds, options)
        return (
            destination
            if self._volume_type is None
            else self._volume_type(meta, config, destination)
        )

    def download_points(
        self, points: Any, mip: int
    ) -> dict[tuple[int, int, int], Any]:  # Any: array-like; scalars
        """Read single voxels of the first channel.

        Parameters
        ----------
        points : array_like of int, shape (n, 3)
            In voxels of `mip`.
        mip : int

        Returns
        -------
        dict
            (x, y, z) to value; a point that was given twice appears once.

        Raises
        ------
        OutOfBoundsError
        """
        mip = self.meta.to_mip(mip)
        array = np.asarray(points, dtype=np.int64).reshape(-1, 3)
        values = self.read_point_values(array, mip)
        return dict(zip(zip(*array.T.tolist(), strict=True), values, strict=True))

    def read_point_values(self, points: NDArray[np.int64], mip: int) -> NDArray[Any]:
        """Return the values of the first channel at points of shape (n, 3), in their order.

        Outside of an unbounded volume they are background, as for boxes.

        Raises
        ------
        OutOfBoundsError
        """
        scale = self.image_scale(mip)
        options = self.read_options(scale)
        low, high = np.array(scale.bounds[:3]), np.array(scale.bounds[3:])
        inside = np.logical_and(points >= low, points < high).all(axis=1)
        if inside.all():
            return read_points(scale, points, options, (0, 1))[:, 0]
        if self.config.bounded:
            first = points[int(np.argmin(inside))].tolist()
            raise OutOfBoundsError(
                f"{scale.folder}: point {first} is outside of the volume's {show(scale.bounds)}",
                key=scale.folder,
                expected=scale.bounds,
                found=first,
            )
        out = np.full(len(points), np.frombuffer(options.background, scale.dtype)[0])
        out[inside] = read_points(scale, points[inside], options, (0, 1))[:, 0]
        return out

    def unique(self, bbox: Bbox, mip: int) -> set[Any]:  # Any: numpy scalars
        """Return the set of values in a box."""
        mip = self.meta.to_mip(mip)
        scale = self.image_scale(mip)
        bounds = self.resolve_bounds(bounds_of(bbox, self.meta, mip), scale)
        return set(read_unique(scale, bounds, self.read_options(scale, title="Finding labels")))

    def upload_from_file(
        self,
        location: str | os.PathLike[str],
        bbox: Any,  # what Bbox.create takes
        mip: MipLike | None = None,
        order: str = "F",
        cutout_bbox: Any = None,  # what Bbox.create takes
    ) -> None:
        """Write voxels that lie in a file, without loading it as a whole.

        Parameters
        ----------
        location : path
            The file: x * y * z * channels voxels of the volume's type, and nothing else.
        bbox : Bbox or what `Bbox.create` takes
            What the file holds, in voxels of `mip`.
        mip : int or resolution, optional
            Default the current one.
        order : {"F", "C"}
            Memory order of the file.
        cutout_bbox : Bbox or what `Bbox.create` takes, optional
            The part to write; default all.

        Raises
        ------
        SharedMemoryReadError
            The file is absent or has another size.
        AlignmentError
            `cutout_bbox` leaves `bbox`, or cuts chunks.
        """
        index = self.config.mip if mip is None else self.meta.to_mip(mip)
        scale = self.image_scale(index)
        bounds = bounds_of(bbox, self.meta, index)
        check_not_empty(bounds, scale.folder)
        part = bounds if cutout_bbox is None else bounds_of(cutout_bbox, self.meta, index)
        if clip(part, bounds) != part:
            raise AlignmentError(
                f"cutout_bbox: expected a box inside of {show(bounds)}, found {show(part)}",
                key="cutout_bbox",
                expected=bounds,
                found=part,
            )
        shape = (*(bounds[i + 3] - bounds[i] for i in range(3)), scale.num_channels)
        array = map_file(location, shape, scale.dtype, order)
        slices = tuple(slice(part[i] - bounds[i], part[i + 3] - bounds[i]) for i in range(3))
        self.write(part, array[slices], index)

    # Presence.

    def exists(
        self, bbox: Any, mip: int | None = None
    ) -> dict[str, bool]:  # Any: what Bbox.create takes
        """Tell of each chunk that a box touches whether it is stored.

        Returns
        -------
        dict
            ``key/x0-x1_y0-y1_z0-z1`` to bool.

        Raises
        ------
        OutOfBoundsError
        """
        index = self.config.mip if mip is None else self.meta.to_mip(mip)
        scale = self.image_scale(index)
        bounds = bounds_of(bbox, self.meta, index)
        check_bounds(bounds, scale.bounds, scale.folder)
        outcome, names, flags = scale.layout.list_chunks(bounds, True, self.config.threads)
        if outcome is not None:
            raise_outcome(outcome, scale.folder)
        key = self.meta.key(index)
        return {f"{key}/{name}": flag for name, flag in zip(names, flags, strict=True)}

    def has_data(self, mip: int | None = None) -> bool:
        """Whether any chunk of a scale is stored."""
        index = self.config.mip if mip is None else self.meta.to_mip(mip)
        try:
            with os.scandir(self.folder_path(self.meta.key(index))) as entries:
                return any(not entry.name.startswith(".") for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def delete(self, bbox: Any, mip: int | None = None) -> None:  # Any: what Bbox.create takes
        """Remove the chunks of a chunk-aligned box; absent ones are no error.

        Raises
        ------
        AlignmentError, OutOfBoundsError, ReadOnlyException, ChunkWriteError
        """
        index = self.config.mip if mip is None else self.meta.to_mip(mip)
        scale = self.image_scale(index)
        self.check_writable(index)
        bounds = bounds_of(bbox, self.meta, index)
        check_bounds(bounds, scale.bounds, scale.folder)
        if not chunk_aligned(bounds, scale.bounds, scale.chunk_size):
            raise AlignmentError(
                f"{scale.folder}: expected a chunk-aligned box to delete, found {show(bounds)}; its chunks cover "
                f"{show(expand_to_chunks(bounds, scale.bounds, scale.chunk_size))}",
                key=scale.folder,
                expected=expand_to_chunks(bounds, scale.bounds, scale.chunk_size),
                found=bounds,
            )
        outcome = scale.layout.delete(bounds, self.config.threads)
        if outcome is not None:
            raise_outcome(outcome, scale.folder, writing=True)

    # Writing.

    def check_writable(self, mip: int) -> None:
        """Raise where a scale must not be written.

        Raises
        ------
        ReadOnlyException
        """
        if self.meta.redirected_from:
            raise ReadOnlyException(
                f"{self.meta.cloudpath}: reached by redirect from {self.meta.redirected_from[0]}, hence read only",
                key=self.meta.cloudpath,
            )
        if self.meta.scales[mip].get("locked", False):
            raise ReadOnlyException(
                f"{self.meta.cloudpath}: mip {mip} is write locked; vol.meta.unlock_mips({mip}) unlocks it",
                key=self.meta.cloudpath,
                found=mip,
            )

    def upload(
        self,
        image: NDArray[Any],
        offset: Any = None,  # Any: a point, or a Bbox
        mip: int | None = None,
        parallel: int = 1,
        progress: bool | str | None = None,
    ) -> None:
        """Write an array.

        Parameters
        ----------
        image : ndarray, shape (x, y, z) or (x, y, z, channel)
            Of the volume's dtype.
        offset : sequence of 3 int, or Bbox
            First voxel, in voxels of `mip`; default the volume's.
        mip : int, optional
        parallel : int
            Threads to use; 1 leaves it to the volume.
        progress : bool or str, optional
            Overrides the volume's setting.

        Raises
        ------
        AlignmentError, OutOfBoundsError, InvalidArgumentError, ReadOnlyException
        ChunkWriteError, EncodingError, CompressionError, EmptyVolumeException
        """
        index = self.config.mip if mip is None else self.meta.to_mip(mip)
        shape = np.shape(image)
        if isinstance(offset, Bbox):
            bounds = bounds_of(offset, self.meta, index)
        else:
            if len(shape) not in (3, 4):
                raise DimensionError(
                    f"image: expected 3 or 4 dimensions, found shape {shape}",
                    key="image",
                    found=shape,
                )
            start = self.meta.voxel_offset(index) if offset is None else offset
            x, y, z = (int(value) for value in start)
            bounds = (x, y, z, x + shape[0], y + shape[1], z + shape[2])
        with self.config.override_progress(progress):
            self.write(bounds, image, index, threads=None if parallel == 1 else parallel)

    def write(
        self,
        bounds: Bounds,
        image: Any,
        mip: int,
        *,
        threads: int | None = None,  # Any: array or scalar
    ) -> None:
        """Write an array or a scalar to a box, under the volume's settings."""
        scale = self.image_scale(mip)
        self.check_writable(mip)
        if scale.encoding == "png" and _png_level(self.meta.scales[mip]) is None:
            found = self.meta.scales[mip]["png_level"]
            raise InfoValidationError(
                f"{scale.folder}: png_level: expected an integer from 0 to 9, found {found!r}",
                key=scale.folder,
                expected="an integer from 0 to 9",
                found=found,
            )
        config = self.config
        if config.overwrite_partial_chunks and not config.non_aligned_writes:
            raise InvalidArgumentError(
                "overwrite_partial_chunks: expected non_aligned_writes=True beside it, found False",
                key="overwrite_partial_chunks",
            )
        array = as_voxels(image, bounds, scale, scale.num_channels)
        if 0 in array.shape:
            return
        bounds, array = self._crop_write(bounds, array, scale)
        if bounds[3] <= bounds[0] or bounds[4] <= bounds[1] or bounds[5] <= bounds[2]:
            return
        partial = "refuse"
        if not chunk_aligned(bounds, scale.bounds, scale.chunk_size):
            if not config.non_aligned_writes:
                raise self._unaligned(bounds, scale)
            partial = "overwrite" if config.overwrite_partial_chunks else "merge"
        codec = registry.lookup(scale.encoding, scale.folder)
        suffix = suffix_of(codec.default_compress if config.compress is None else config.compress)
        if not codec.is_compressible:
            suffix = ""
        options = WriteOptions(
            suffix=suffix,
            level=level_of(suffix, config.compress_level),
            partial=partial,
            delete_background=config.delete_black_uploads,
            fill_missing=config.fill_missing,
            background=self._background_bytes(scale.dtype),
            threads=config.threads if threads is None else threads,
            progress=(config.progress_title or "Uploading") if config.progress else None,
        )
        write_box(scale, self.folder_path(self.meta.key(mip)), bounds, array, options)

    @staticmethod
    def _unaligned(bounds: Bounds, scale: ImageScale) -> AlignmentError:
        expected = expand_to_chunks(clip(bounds, scale.bounds), scale.bounds, scale.chunk_size)
        return AlignmentError(
            f"{scale.folder}: expected a box aligned to chunks of {scale.chunk_size}, such as {show(expected)}, found "
            f"{show(bounds)}; non_aligned_writes=True allows others, but two processes that write parts of one "
            "chunk at once can undo each other's work",
            key=scale.folder,
            expected=expected,
            found=bounds,
        )

    def _crop_write(
        self, bounds: Bounds, array: NDArray[Any], scale: ImageScale
    ) -> tuple[Bounds, NDArray[Any]]:
        inside = clip(bounds, scale.bounds)
        if inside == bounds:
            return bounds, array
        if self.config.bounded:
            check_bounds(bounds, scale.bounds, scale.folder)
        if not self.config.autocrop:
            raise self._unaligned(bounds, scale)
        part = tuple(slice(inside[i] - bounds[i], inside[i + 3] - bounds[i]) for i in range(3))
        return inside, array[part]

    # Geometry.

    def grid_size(self, mip: int | None = None) -> Vec:
        """Return the number of chunks along each axis."""
        index = self.config.mip if mip is None else self.meta.to_mip(mip)
        parsed = self.meta.parsed_scale(index)
        return Vec(
            *(-(-size // chunk) for size, chunk in zip(parsed.size, parsed.chunk_size, strict=True))
        )

    def is_sharded(self, mip: int) -> bool:
        """Whether chunks of a scale are stored in shards."""
        return self.meta.is_sharded(mip)

    def check_bounded(self, bbox: Bbox, mip: int) -> None:
        """Raise when the volume is bounded and a box leaves it.

        Raises
        ------
        OutOfBoundsError
        """
        if self.config.bounded:
            scale = self.image_scale(self.meta.to_mip(mip))
            check_bounds(bounds_of(bbox, self.meta, mip), scale.bounds, scale.folder)


def as_voxels(
    image: Any,
    bounds: Bounds,
    scale: ImageScale,
    num_channels: int,  # Any: array or scalar
) -> NDArray[Any]:
    """Return a 4-d array for a box, of the volume's dtype in native byte order; scalars are broadcast, not copied.

    Raises
    ------
    AlignmentError
        The array's shape is not the box's.
    InvalidArgumentError
        Its dtype is not the volume's, or the scalar is no value of it.
    """
    shape = tuple(max(0, bounds[i + 3] - bounds[i]) for i in range(3))
    full = (*shape, num_channels)
    if np.isscalar(image) or (isinstance(image, np.ndarray) and image.ndim == 0):
        value = np.asarray(image)
        if value.dtype.kind == "b" or not isinstance(image, (np.generic, np.ndarray)):
            if value.dtype.kind in "iub":
                info = np.iinfo(scale.dtype) if scale.dtype.kind in "iu" else None
                if info is None or info.min <= int(value) <= info.max:
                    value = value.astype(scale.dtype)
            elif value.dtype.kind == "f" and scale.dtype.kind == "f":
                with np.errstate(over="ignore"):  # becomes infinite, as numpy has it
                    value = value.astype(scale.dtype)
        if value.dtype != scale.dtype:
            raise _wrong_dtype(value.dtype, scale, image)
        return np.broadcast_to(value, full)
    array = np.asarray(image)
    if array.dtype != scale.dtype:
        swapped = array.dtype.newbyteorder("=")
        if swapped != scale.dtype:
            raise _wrong_dtype(array.dtype, scale, array.dtype.name)
        array = array.astype(swapped)
    if array.ndim == 3 and num_channels == 1:
        array = array[..., np.newaxis]
    if array.shape != full:
        raise AlignmentError(
            f"{scale.folder}: expected an array of shape {full} for {show(bounds)}, found {np.shape(image)}",
            key=scale.folder,
            expected=full,
            found=np.shape(image),
        )
    return array


def _png_level(scale: Mapping[str, Any]) -> int | None:
    """Return the level that a scale asks for, 9 where it asks for none, None where there is no such level."""
    value = scale.get("png_level")
    if value is None:
        return _PNG_LEVEL
    if isinstance(value, bool) or not isinstance(value, Real) or value not in range(10):
        return None
    return int(float(value))


def _wrong_dtype(found: np.dtype[Any], scale: ImageScale, what: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{scale.folder}: expected voxels of {scale.dtype.name}, found {found.name} ({what})",
        key=scale.folder,
        expected=scale.dtype.name,
        found=found.name,
    )


def bounds_of(
    bbox: Any, meta: PrecomputedMetadata, mip: int
) -> Bounds:  # Any: what Bbox.create takes
    """Return a box in whole voxels of a scale; fractions are cut off, as upstream does.

    Parameters
    ----------
    bbox : Bbox or what `Bbox.create` takes
        In voxels of `mip`, or in a physical unit.
    """
    if not isinstance(bbox, Bbox):
        bbox = Bbox.create(bbox, meta.bounds(mip))
    if bbox.is_physical:
        bbox = bbox.convert_units("vx", meta.resolution(mip).tolist())
    low, high = bbox._corners()
    return (int(low[0]), int(low[1]), int(low[2]), int(high[0]), int(high[1]), int(high[2]))
