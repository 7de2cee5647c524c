# SPDX-License-Identifier: BSD-3-Clause
"""The image of a Precomputed layer, as ``vol.image``."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.deliver.chunk_lru import ChunkLRU
from cloudvolume_fast.deliver.cutout import VolumeCutout
from cloudvolume_fast.deliver.files import checked_order
from cloudvolume_fast.deliver.green import WaitsGreen
from cloudvolume_fast.errors import DimensionError, InvalidArgumentError, UnsupportedOptionError
from cloudvolume_fast.fetch.content_encoding import suffix_of
from cloudvolume_fast.locate.indexing import check_bounds, clip, expand_to_chunks
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.vec import Vec
from cloudvolume_fast.sources.precomputed import (
    image_chunks,
    image_files,
    image_read,
    image_write,
)
from cloudvolume_fast.sources.precomputed.image_access import ImageAccess, renewing
from cloudvolume_fast.sources.precomputed.metadata import MipLike, PrecomputedMetadata
from cloudvolume_fast.sources.precomputed.voxels import bounds_of

if TYPE_CHECKING:
    from cloudvolume_fast.sources.precomputed import image_shards, image_shared


class _Lazy:
    """A method that lies in another module of this package, loaded with its first use."""

    def __init__(self, module: str) -> None:
        self._module = f"cloudvolume_fast.sources.precomputed.{module}"

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(
        self, image: object, owner: type
    ) -> Any:  # Any: the function, or bound to the image
        function = getattr(importlib.import_module(self._module), self._name)
        return function if image is None else function.__get__(image, owner)


class PrecomputedImageSource(WaitsGreen, ImageAccess):
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
        super().__init__(meta, config, ChunkLRU(lru_bytes, lru_encoding))
        self._volume_type = volume_type

    # `read` and `write` are what volumes call, which wait themselves.
    waiting = frozenset(
        {
            "delete",
            "download",
            "download_files",
            "download_points",
            "exists",
            "has_data",
            "memory_cutout",
            "transfer_to",
            "unique",
            "upload",
        }
    )

    # Each of these is a method whose first argument is this image.

    read = renewing(image_read.read)
    read_renumbered = renewing(image_read.read_renumbered)
    read_crackle = renewing(image_read.read_crackle)
    read_point_values = renewing(image_read.read_point_values)
    unique = renewing(image_read.unique)
    write = renewing(image_write.write)
    read_to_file = renewing(image_files.read_to_file)
    upload_from_file = renewing(image_files.upload_from_file)
    exists = renewing(image_chunks.exists)
    has_data = renewing(image_chunks.has_data)
    delete = renewing(image_chunks.delete)
    download_files = renewing(image_chunks.download_files)
    if TYPE_CHECKING:
        shard_spec = image_shards.shard_spec
        shard_shape = image_shards.shard_shape
        shard_filename = image_shards.shard_filename
        morton_codes = image_shards.morton_codes
        make_shard = image_shards.make_shard
        make_shard_chunks = image_shards.make_shard_chunks
        to_sharded = image_shards.to_sharded
        to_unsharded = image_shards.to_unsharded
        read_to_shared_memory = image_shared.read_to_shared_memory
        upload_from_shared_memory = image_shared.upload_from_shared_memory
        generate_shared_memory_location = image_shared.generate_shared_memory_location
        unlink_shared_memory = image_shared.unlink_shared_memory
    else:  # most calls need neither, and importing this takes its time
        shard_spec = _Lazy("image_shards")
        shard_shape = _Lazy("image_shards")
        shard_filename = _Lazy("image_shards")
        morton_codes = _Lazy("image_shards")
        make_shard = _Lazy("image_shards")
        make_shard_chunks = _Lazy("image_shards")
        to_sharded = _Lazy("image_shards")
        to_unsharded = _Lazy("image_shards")
        read_to_shared_memory = _Lazy("image_shared")
        upload_from_shared_memory = _Lazy("image_shared")
        generate_shared_memory_location = _Lazy("image_shared")
        unlink_shared_memory = _Lazy("image_shared")

    # Boxes and points as upstream's users ask for them.

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
        location, use_shared_memory, retain
            The voxels are read into shared memory, by `parallel` worker processes where that is above 1, under a name
            that is by default `shared_memory_id`.  The name is removed again unless `retain`.
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
        checked_order(order)
        is_plain = not use_shared_memory and not use_file
        if (use_shared_memory and use_file) or (is_plain and (retain or location is not None)):
            raise InvalidArgumentError(
                "location, retain: expected one of use_shared_memory and use_file beside them",
                key="use_shared_memory",
            )
        if use_file and location is None:
            raise InvalidArgumentError("use_file: expected location beside it", key="location")
        if not is_plain and (renumber or label is not None):
            raise UnsupportedOptionError(
                "renumber, label: not available when reading into a file or shared memory",
                key="use_file" if use_file else "use_shared_memory",
            )
        mip = self.meta.to_mip(mip)
        bounds = self.resolve_bounds(bounds_of(bbox, self.meta, mip), self.image_scale(mip))
        threads = None if parallel == 1 else parallel
        with self.config.override_progress(progress):
            if use_shared_memory:
                name = self.shared_memory_id if location is None else location
                handle, image = self.read_to_shared_memory(
                    bounds, mip, name, parallel=threads, order=order
                )
                if not retain:
                    self.unlink_shared_memory(name)
                return VolumeCutout.wrap(image, self.cutout_origin(mip), bounds, handle)
            if use_file and location is not None:
                image = self.read_to_file(location, bounds, mip, threads=threads, order=order)
                return VolumeCutout.wrap(image, self.cutout_origin(mip), bounds)
            if renumber:
                image, mapping = self.read_renumbered(bounds, mip)
                return VolumeCutout.wrap(image, self.cutout_origin(mip), bounds), mapping
            image = self.read(bounds, mip, label=label, threads=threads, order=order)
        return VolumeCutout.wrap(image, self.cutout_origin(mip), bounds)

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
            In voxels of `mip`.  Chunks that the box cuts are merged with what the other layer has there.  A box that
            cuts chunks may leave the volume; what is within is transferred.
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
            Whether the scale is sharded, where it is made; default as this one.

        Returns
        -------
        The other layer, open

        Raises
        ------
        EmptyVolumeException
            A chunk is absent, and `fill_missing` is off; with it the other layer has no such chunk either.
        InvalidArgumentError
            The other layer holds other voxels, has another encoding than the one given, or is the same.
        AlignmentError
            A box of whole chunks leaves the volume (upstream behaviour); `OutOfBoundsError` if it goes to shards.
        SubvoxelVolumeError, ReadOnlyException, UnsupportedOptionError, UnsupportedProtocolError
        ChunkReadError, ChunkWriteError, DecompressionError, ChunkDecodeError, EncodingError, CompressionError
        """
        # Imported when needed, as few calls need it.
        from cloudvolume_fast.sources.precomputed.transfer import (
            TransferOptions,
            checked_block_size,
            open_destination,
            transfer,
            transferred_bounds,
        )

        block = checked_block_size(block_size)
        if compress is not None and compress != "auto":
            suffix_of(compress)
        index = self.to_mip(mip)
        to_shards = self.is_sharded(index) if sharded is None else sharded
        bounds = transferred_bounds(self, bounds_of(bbox, self.meta, index), index, to_shards)
        meta, destination_mip = open_destination(
            self.meta, os.fspath(cloudpath), index, encoding, sharded
        )
        config = dataclasses.replace(self.config, mip=destination_mip)
        destination = PrecomputedImageSource(meta, config, volume_type=self._volume_type)
        options = TransferOptions(compress, compress_level, encoding, sharded, block)
        if bounds is not None:
            transfer(self, index, destination, destination_mip, bounds, options)
        return (
            destination
            if self._volume_type is None
            else self._volume_type(meta, config, destination)
        )

    def memory_cutout(
        self,
        bbox: Any,  # what Bbox.create takes
        mip: MipLike,
        encoding: str | None = None,
        compress: str | bool | None = None,
        compress_level: int | None = None,
    ) -> Any:  # as transfer_to
        """Copy the chunks that a box touches to a new layer in the memory of this process (``mem://``).

        Parameters
        ----------
        bbox : Bbox or what `Bbox.create` takes
            In voxels of `mip`.
        mip : int or resolution
        encoding, compress, compress_level
            As for `transfer_to`.

        Returns
        -------
        The layer, open; a file for each chunk, whether or not they are in shards here
            Its chunks are let go of with the last object that reaches it.

        Raises
        ------
        OutOfBoundsError, SubvoxelVolumeError
        EmptyVolumeException, ChunkReadError, ChunkWriteError, DecompressionError, ChunkDecodeError, EncodingError
        """
        from cloudvolume_fast.sources.precomputed.memory import memory_path, owned_by

        index = self.to_mip(mip)
        scale = self.image_scale(index)
        bounds = self.resolve_bounds(bounds_of(bbox, self.meta, index), scale)
        whole = expand_to_chunks(clip(bounds, scale.bounds), scale.bounds, scale.chunk_size)
        path = memory_path()
        copy = self.transfer_to(
            path,
            Bbox._from_ints(*whole),
            index,
            compress=compress,
            compress_level=compress_level,
            encoding=encoding,
            sharded=False,
        )
        owned_by(copy.meta, path)
        return copy

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
        index = self.to_mip(mip)
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

    # Geometry.

    def grid_size(self, mip: int | None = None) -> Vec:
        """Return the number of chunks along each axis."""
        index = self.to_mip(mip)
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
