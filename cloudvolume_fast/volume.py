# SPDX-License-Identifier: BSD-3-Clause
"""An open volume: what a user indexes.  It turns what is asked into boxes and delegates; it decides nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.config import VolumeConfig, parse_parallel
from cloudvolume_fast.deliver.cutout import VolumeCutout
from cloudvolume_fast.deliver.green import is_real_thread, run_green, waits_green
from cloudvolume_fast.errors import (
    InvalidArgumentError,
    OutOfBoundsError,
    UnsupportedOptionError,
)
from cloudvolume_fast.locate.indexing import (
    Bounds,
    check_bounds,
    check_not_empty,
    clip,
    is_point_list,
    select,
)
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.vec import Vec
from cloudvolume_fast.sources.precomputed.image import PrecomputedImageSource
from cloudvolume_fast.sources.precomputed.metadata import MipLike, PrecomputedMetadata
from cloudvolume_fast.sources.precomputed.voxels import as_voxels, bounds_of

_UNIT_STEPS = (1, 1, 1)
_ALL_CHANNELS = slice(None)


class Volume:
    """A layer that is open for reading and writing.

    Parameters
    ----------
    meta : PrecomputedMetadata
    config : VolumeConfig
    image : PrecomputedImageSource
    """

    def __init__(
        self, meta: PrecomputedMetadata, config: VolumeConfig, image: PrecomputedImageSource
    ) -> None:
        self.meta = meta
        self.config = config
        self.image = image

    def __repr__(self) -> str:
        """Name the class, the path and the scale."""
        return f"{type(self).__name__}({self.meta.cloudpath!r}, mip={self.config.mip})"

    # Reading.

    def __getitem__(
        self, index: Any
    ) -> Any:  # Any: what may be indexed with; an array, or a point list's values
        """Read a box, or single voxels.

        Parameters
        ----------
        index : slices, integers, ellipsis, Bbox, or three sequences of coordinates
            Absolute voxels of the current mip.  A fourth entry selects channels.  Steps are applied after the download.

        Returns
        -------
        VolumeCutout, shape (x, y, z, channel), Fortran order; for point lists an ndarray

        Raises
        ------
        OutOfBoundsError, SubvoxelVolumeError, InvalidArgumentError
        EmptyVolumeException, ChunkReadError, DecompressionError, ChunkDecodeError
        """
        config = self.config
        if config.green_threads and not is_real_thread():
            return run_green(Volume.__getitem__, self, index)
        mip = config.mip
        scale = self.image.image_scale(mip)
        if isinstance(index, Bbox):
            bounds = bounds_of(index, self.meta, mip)
            channels, steps = _ALL_CHANNELS, _UNIT_STEPS
        elif is_point_list(index):
            return self.coordinate_indexing(index)
        else:
            limit = scale.num_channels if config.bounded else None
            bounds, channels, steps = select(index, scale.bounds, limit)
        if config.bounded:
            # Upstream looks at the bounds before it crops.
            check_bounds(bounds, scale.bounds, scale.folder)
            check_not_empty(bounds, scale.folder)
        else:
            bounds = self.image.resolve_bounds(bounds, scale)
        image = self.image.read(bounds, mip, scale=scale, channels=channels)
        if steps != _UNIT_STEPS:
            image = np.asfortranarray(image[:: steps[0], :: steps[1], :: steps[2]])
        return VolumeCutout.wrap(image, self.image.cutout_origin(mip, scale), bounds)

    def coordinate_indexing(
        self, slices: Sequence[Any]
    ) -> NDArray[Any]:  # Any: sequences of integers
        """Return the voxels at paired coordinates: ``vol[[x0, x1], [y0, y1], [z0, z1]]``.

        Returns
        -------
        ndarray, shape (n,)
            Of the first channel (upstream behaviour).

        Raises
        ------
        OutOfBoundsError, InvalidArgumentError
        """
        axes = [np.asarray(axis).astype(np.int64).reshape(-1) for axis in slices]
        if len({len(axis) for axis in axes}) != 1:
            raise InvalidArgumentError(
                f"point list: expected three sequences of one length, found {[len(axis) for axis in axes]}",
                found=[len(axis) for axis in axes],
            )
        return self.image.read_point_values(np.stack(axes, axis=1), self.config.mip)

    def _box(
        self, bbox: Any, mip: int, coord_resolution: Sequence[float] | None
    ) -> Bounds:  # Any: see download
        if coord_resolution is None:
            return bounds_of(bbox, self.meta, mip)
        box = bbox if isinstance(bbox, Bbox) else Bbox.create(bbox, self.meta.bounds(mip))
        if box.is_physical:
            return bounds_of(box, self.meta, mip)
        scaled = [
            int(value * given / own) if (value * given) % own else int(value * given // own)
            for corner in box._corners()
            for value, given, own in zip(
                corner,
                [_plain(v) for v in coord_resolution],
                self.meta.resolution(mip).tolist(),
                strict=True,
            )
        ]
        return (scaled[0], scaled[1], scaled[2], scaled[3], scaled[4], scaled[5])

    @waits_green
    def download(
        self,
        bbox: Any,
        mip: MipLike | None = None,
        parallel: int | None = None,
        segids: Iterable[int] | None = None,
        preserve_zeros: bool = False,
        agglomerate: bool | None = None,
        timestamp: int | None = None,
        stop_layer: int | None = None,
        renumber: bool = False,
        coord_resolution: Sequence[float] | None = None,
        label: int | None = None,
        crackle: bool = False,
    ) -> Any:
        """Read a box.

        Parameters
        ----------
        bbox : Bbox, slices, 6 numbers, str, dict or Vec
            In voxels of `mip`, or of `coord_resolution`.
        mip : int or resolution, optional
            Default the current one.
        parallel : int, optional
            Threads to use.
        segids : ints, optional
            Other labels become 0.
        preserve_zeros : bool
            With `segids`, other labels become the type's largest value, and 0 stays.
        agglomerate, timestamp, stop_layer
            How far labels are merged along a graph, and as of when.  These volumes have no graph: each label is its own
            root, at any time and layer, so that the voxels are the same (upstream behaviour).
        renumber : bool
            Return (image, {label: number}) with numbers from 1 in the narrowest type.
        coord_resolution : sequence of 3 numbers, optional
            Size in nm of the voxels in which `bbox` is given.
        label : int, optional
            Return where the voxels are this label, as bool; excludes `segids` and `renumber`.
        crackle : bool
            Return a CrackleArray of shape (x, y, z): segmentation that stays compressed, of which no more than a layer
            of chunks is decompressed at a time.  Needs crackle-codec.

        Returns
        -------
        VolumeCutout, shape (x, y, z, channel), Fortran order; with `renumber` a pair of it and a dict

        Raises
        ------
        OutOfBoundsError, SubvoxelVolumeError, ScaleUnavailableError, InvalidArgumentError, UnsupportedOptionError
        EmptyVolumeException, ChunkReadError, DecompressionError, ChunkDecodeError
        """
        if label is not None and (renumber or segids is not None):
            raise InvalidArgumentError(
                "label: expected neither renumber nor segids beside it, as the result is no image of labels",
                key="label",
                found=label,
            )
        if crackle and (renumber or label is not None):
            raise UnsupportedOptionError(
                "crackle: expected neither renumber nor label beside it",
                key="crackle",
                found=(renumber, label),
            )
        level = self.config.mip if mip is None else self.meta.to_mip(mip)
        threads = None if parallel is None else parse_parallel(parallel)
        if renumber and (threads or self.config.parallel) > 1:
            raise InvalidArgumentError(
                "renumber: expected parallel=1, found " + str(threads or self.config.parallel),
                key="renumber",
            )
        scale = self.image.image_scale(level)
        bounds = self.image.resolve_bounds(self._box(bbox, level, coord_resolution), scale)
        if crackle:
            return self.image.read_crackle(
                bounds, level, segids=segids, preserve_zeros=preserve_zeros, threads=threads
            )
        if renumber:
            image, mapping = self.image.read_renumbered(
                bounds, level, segids=segids, preserve_zeros=preserve_zeros
            )
            return VolumeCutout.wrap(image, self.image.cutout_origin(level), bounds), mapping
        image = self.image.read(
            bounds,
            level,
            scale=scale,
            label=label,
            segids=segids,
            preserve_zeros=preserve_zeros,
            threads=threads,
        )
        return VolumeCutout.wrap(image, self.image.cutout_origin(level), bounds)

    def download_point(
        self,
        pt: Sequence[float],
        size: int | Sequence[int] = 256,
        mip: MipLike | None = None,
        parallel: int | None = None,
        coord_resolution: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Read a box around a point.

        Parameters
        ----------
        pt : sequence of 3 numbers
            In voxels of mip 0, or of `coord_resolution`.
        size : int or sequence of 3 int
            Extents in voxels of `mip`; the box is the point -size//2 to +size//2, and a size of 1 the point itself.
        **kwargs
            As for `download`.

        Returns
        -------
        As `download`.
        """
        level = self.config.mip if mip is None else self.meta.to_mip(mip)
        center = self._points_to_mip(np.asarray([pt]), level, coord_resolution)[0].tolist()
        given = np.asarray(size).astype(np.int64).reshape(-1).tolist()
        extents: list[int] = given * 3 if len(given) == 1 else given
        if len(extents) != 3 or min(extents) < 1:
            raise InvalidArgumentError(
                f"size: expected 1 or 3 positive integers, found {size!r}", key="size", found=size
            )
        low = [
            c if extent == 1 else c - extent // 2 for c, extent in zip(center, extents, strict=True)
        ]
        high = [
            c + 1 if extent == 1 else c + extent // 2
            for c, extent in zip(center, extents, strict=True)
        ]
        return self.download(Bbox._from_ints(*low, *high), level, parallel, **kwargs)

    def _points_to_mip(
        self, points: NDArray[Any], mip: int, coord_resolution: Sequence[float] | None
    ) -> NDArray[np.int64]:
        """Convert points of mip 0, or of a resolution, to voxels of a mip, rounded down."""
        if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "iuf":
            raise InvalidArgumentError(
                f"points: expected numbers of shape (n, 3), found {points.dtype} of shape {points.shape}",
                expected="(n, 3)",
                found=points.shape,
            )
        source = (
            self.meta.resolution(0) if coord_resolution is None else np.asarray(coord_resolution)
        )
        target = np.asarray(self.meta.resolution(mip))
        if points.dtype.kind in "iu" and source.dtype.kind in "iu" and target.dtype.kind in "iu":
            # Divided by what they share, so that the product stays in range wherever the result does.
            common = np.gcd(source, target)
            whole: NDArray[np.int64] = points.astype(np.int64) * (source // common)
            return np.asarray(whole // (target // common), dtype=np.int64)
        exact = points * np.asarray(source, np.float64) / target.astype(np.float64)
        return np.asarray(np.floor(exact), dtype=np.int64)

    @waits_green
    def scattered_points(
        self, pts: Any, mip: MipLike | None = None, coord_resolution: Sequence[float] | None = None
    ) -> dict[tuple[int, int, int], Any]:
        """Read single voxels of the first channel, each chunk being fetched once.

        Parameters
        ----------
        pts : array_like, shape (3,) or (n, 3), or a set of triples
            In voxels of mip 0, or of `coord_resolution`; rounded down to `mip`.
        mip : int or resolution, optional
            Default the current one.

        Returns
        -------
        dict
            (x, y, z) in voxels of `mip` to value.

        Raises
        ------
        OutOfBoundsError
        """
        level = self.config.mip if mip is None else self.meta.to_mip(mip)
        points = np.asarray(list(pts) if isinstance(pts, Set) else pts)
        if points.size == 0:
            return {}
        if points.ndim == 1:
            points = points[np.newaxis]
        return self.image.download_points(
            self._points_to_mip(points, level, coord_resolution), level
        )

    @waits_green
    def unique(
        self,
        bbox: Any,
        mip: MipLike | None = None,
        agglomerate: bool | None = None,
        timestamp: int | None = None,
        stop_layer: int | None = None,
        coord_resolution: Sequence[float] | None = None,
    ) -> set[Any]:
        """Return the set of values in a box; parameters as for `download`."""
        level = self.config.mip if mip is None else self.meta.to_mip(mip)
        return self.image.unique(Bbox._from_ints(*self._box(bbox, level, coord_resolution)), level)

    @waits_green
    def download_files(
        self,
        bbox: Any,
        mip: MipLike | None = None,
        parallel: int | None = None,
        segids: Sequence[int] | None = None,
        agglomerate: bool | None = None,
        timestamp: int | None = None,
        stop_layer: int | None = None,
        coord_resolution: Sequence[float] | None = None,
        cache_only: bool = False,
        decompress: bool = True,
    ) -> dict[str, bytes | None] | dict[int, bytes | None]:
        """Return the files of the chunks that a box touches, without decoding them.

        Parameters
        ----------
        bbox, mip, parallel, coord_resolution
            As for `download`.
        segids
            Must be None, as files are returned whole.
        agglomerate, timestamp, stop_layer
            As for `download`.
        cache_only, decompress
            See `PrecomputedImageSource.download_files`.

        Returns
        -------
        dict
            ``key/x0-x1_y0-y1_z0-z1`` to bytes, or to None where there is no chunk; with ``decompress=False`` the names
            have the suffixes that tell how the bytes are compressed.

        Raises
        ------
        OutOfBoundsError, UnsupportedOptionError, ChunkReadError, DecompressionError, ChunkDecodeError
        """
        if segids is not None:
            raise UnsupportedOptionError(
                "segids: expected none, as files are returned whole", key="segids", found=segids
            )
        level = self.config.mip if mip is None else self.meta.to_mip(mip)
        threads = 1 if parallel is None else parse_parallel(parallel)
        bounds = self._box(bbox, level, coord_resolution)
        return self.image.download_files(
            Bbox._from_ints(*bounds), level, decompress, threads, cache_only
        )

    @waits_green
    def download_to_file(
        self,
        path: str | os.PathLike[str],
        bbox: Any,
        mip: MipLike | None = None,  # Any: see download
    ) -> VolumeCutout:
        """Read a box into a file of plain voxels in Fortran order; see `PrecomputedImageSource.read_to_file`.

        Returns
        -------
        VolumeCutout, shape (x, y, z, channel), Fortran order
            Mapped from the file.

        Raises
        ------
        ChunkWriteError, OutOfBoundsError
        EmptyVolumeException, ChunkReadError, DecompressionError, ChunkDecodeError
        """
        level = self.config.mip if mip is None else self.meta.to_mip(mip)
        bounds = self.image.resolve_bounds(
            self._box(bbox, level, None), self.image.image_scale(level)
        )
        image = self.image.read_to_file(path, bounds, level)
        return VolumeCutout.wrap(image, self.image.cutout_origin(level), bounds)

    def download_to_shared_memory(
        self,
        slices: Any,  # what __getitem__ takes
        location: str | None = None,
        mip: MipLike | None = None,
        cooperate: bool = False,
        workers: int | None = None,
    ) -> VolumeCutout:
        """Read a box into shared memory, which other processes can map by its name.

        The name outlives this process: `unlink_shared_memory` removes it.  The array keeps its memory in any case.

        Parameters
        ----------
        slices : slices, integers, ellipsis or Bbox
            In voxels of `mip`.
        location : str, optional
            Name of the segment, which holds the voxels in Fortran order and nothing else; default `shared_memory_id`.
        mip : int or resolution, optional
            Default the current one.
        cooperate : bool
            Share the work with all processes of this machine that call this with the same box and name at the same
            time: each chunk is fetched by one of them, and all get the same memory.  Who comes later gets that memory
            too, as it is by then, until it is unlinked or its name is given to something else.
        workers : int, optional
            Processes that read in place of this one's threads, 0 for none.  By default there are ``vol.parallel`` where
            that is above 1 and a package decodes the encoding; what the core decodes, threads do as well and sooner.

        Returns
        -------
        VolumeCutout, shape (x, y, z, channel), Fortran order

        Raises
        ------
        SharedMemoryAllocationError
            There is not enough room, which is known before anything is read.
        WorkerError, OutOfBoundsError, InvalidArgumentError
        EmptyVolumeException, ChunkReadError, DecompressionError, ChunkDecodeError

        Notes
        -----
        What a worker that dies has not finished is read by another; a chunk that ends three of them is named in the
        error.
        """
        level = self.config.mip if mip is None else self.meta.to_mip(mip)
        scale = self.image.image_scale(level)
        if isinstance(slices, Bbox):
            bounds = bounds_of(slices, self.meta, level)
        else:
            limit = scale.num_channels if self.config.bounded else None
            bounds, channels, steps = select(slices, scale.bounds, limit)
            every = range(scale.num_channels)
            if steps != _UNIT_STEPS or (channels != _ALL_CHANNELS and every[channels] != every):
                raise InvalidArgumentError(
                    "slices: expected steps of 1 and all channels, as memory holds whole boxes, "
                    f"found {slices!r}",
                    key="slices",
                    found=slices,
                )
        bounds = self.image.resolve_bounds(bounds, scale)
        handle, image = self.image.read_to_shared_memory(
            bounds,
            level,
            self.image.shared_memory_id if location is None else location,
            cooperate=cooperate,
            workers=workers,
        )
        return VolumeCutout.wrap(image, self.image.cutout_origin(level), bounds, handle)

    def unlink_shared_memory(self) -> bool:
        """Remove the name `shared_memory_id`; arrays keep their memory.

        Returns
        -------
        bool
            Whether there was such a name.
        """
        return self.image.unlink_shared_memory()

    def generate_shared_memory_location(self) -> str:
        """Return a new name for shared memory; nothing is made."""
        return self.image.generate_shared_memory_location()

    @property
    def shared_memory_id(self) -> str:
        """Name under which voxels are put into shared memory unless another is given."""
        return self.image.shared_memory_id

    @shared_memory_id.setter
    def shared_memory_id(self, name: str) -> None:
        self.image.shared_memory_id = name

    @waits_green
    def memory_cutout(
        self,
        bbox: Any,  # what Bbox.create takes
        mip: MipLike | None = None,
        encoding: str | None = None,
        compress: str | bool | None = None,
        compress_level: int | None = None,
    ) -> Any:  # a volume of this class
        """Copy the chunks that a box touches to a volume in memory; see `PrecomputedImageSource.memory_cutout`."""
        return self.image.memory_cutout(
            bbox, self.config.mip if mip is None else mip, encoding, compress, compress_level
        )

    @waits_green
    def transfer_to(
        self,
        cloudpath: str | os.PathLike[str],
        bbox: Any,  # what Bbox.create takes
        block_size: int | None = None,
        compress: str | bool | None = "auto",
        encoding: str | None = None,
        sharded: bool | None = None,
    ) -> Any:  # a volume of this class
        """Transfer a box of the current mip to another layer; see `PrecomputedImageSource.transfer_to`."""
        return self.image.transfer_to(
            cloudpath,
            bbox,
            self.config.mip,
            block_size,
            compress,
            encoding=encoding,
            sharded=sharded,
        )

    # Writing.

    @waits_green
    def upload_from_file(
        self,
        location: str | os.PathLike[str],
        bbox: Any,  # what Bbox.create takes
        order: str = "F",
        cutout_bbox: Any = None,  # what Bbox.create takes
    ) -> None:
        """Write voxels of the current mip that lie in a file; see `PrecomputedImageSource.upload_from_file`."""
        self.image.upload_from_file(location, bbox, self.config.mip, order, cutout_bbox)

    def upload_from_shared_memory(
        self,
        location: str,
        bbox: Any,  # what Bbox.create takes
        order: str = "F",
        cutout_bbox: Any = None,  # what Bbox.create takes
    ) -> None:
        """Write voxels of the current mip that lie in shared memory, without copying them; the memory stays.

        See `PrecomputedImageSource.upload_from_shared_memory`.
        """
        self.image.upload_from_shared_memory(location, bbox, self.config.mip, order, cutout_bbox)

    def __setitem__(
        self, index: Any, image: Any
    ) -> None:  # Any: as __getitem__; an array or a scalar
        """Write an array or a scalar to a box of the current mip.

        Raises
        ------
        AlignmentError
            The array's shape is not the box's, or the box is not chunk aligned and `non_aligned_writes` is off.
        InvalidArgumentError
            The dtype is not the volume's; a step is not 1.
        OutOfBoundsError, ReadOnlyException, ChunkWriteError, EncodingError, CompressionError
        """
        if self.config.green_threads and not is_real_thread():
            run_green(Volume.__setitem__, self, index, image)
            return
        mip = self.config.mip
        scale = self.image.image_scale(mip)
        if isinstance(index, Bbox):
            bounds, channels = bounds_of(index, self.meta, mip), _ALL_CHANNELS
        else:
            limit = scale.num_channels if self.config.bounded else None
            bounds, channels, steps = select(index, scale.bounds, limit)
            if steps != _UNIT_STEPS:
                raise InvalidArgumentError(
                    f"index: expected steps of 1 when writing, found {steps}", found=steps
                )
        if self.config.bounded:
            check_bounds(bounds, scale.bounds, scale.folder)
        every = range(scale.num_channels)
        if not every[channels] and channels.start != channels.stop:
            raise OutOfBoundsError(
                f"{scale.folder}: expected channels among 0:{len(every)}, found {channels.start}:{channels.stop}",
                key=scale.folder,
                expected=(0, len(every)),
                found=(channels.start, channels.stop),
            )
        is_empty = bounds[3] <= bounds[0] or bounds[4] <= bounds[1] or bounds[5] <= bounds[2]
        if channels != _ALL_CHANNELS and every[channels] != every and not is_empty:
            image = self._with_channels(bounds, every[channels], image, mip)
        self.image.write(bounds, image, mip)

    def _with_channels(
        self, bounds: Bounds, channels: range, image: Any, mip: int
    ) -> NDArray[Any]:  # Any: as above
        """Return all channels of a box: as stored, and some of them replaced."""
        scale = self.image.image_scale(mip)
        if self.config.autocrop:
            check_not_empty(clip(bounds, scale.bounds), scale.folder)
        part = as_voxels(image, bounds, scale, len(channels))
        whole = self.image.read(bounds, mip)
        whole[..., list(channels)] = part
        return whole

    @waits_green
    def exists(self, bbox_or_slices: Any) -> dict[str, bool]:  # Any: what Bbox.create takes
        """Tell of each chunk that a box of the current mip touches whether it is stored."""
        return self.image.exists(bbox_or_slices, self.config.mip)

    @waits_green
    def delete(self, bbox_or_slices: Any) -> None:  # Any: what Bbox.create takes
        """Remove the chunks of a chunk-aligned box of the current mip."""
        self.image.delete(bbox_or_slices, self.config.mip)

    # Metadata.

    @property
    def info(self) -> Info:
        """The info, live."""
        return self.meta.info

    @info.setter
    def info(self, value: Info) -> None:
        self.meta.info = value

    @property
    @waits_green
    def provenance(self) -> Any:  # a DataLayerProvenance
        """The provenance, live."""
        return self.meta.provenance

    @provenance.setter
    def provenance(self, value: Any) -> None:
        self.meta.provenance = value

    @waits_green
    def refresh_info(self) -> Info:
        """Read the info again and return it."""
        return self.meta.refresh_info()

    @waits_green
    def commit_info(self) -> None:
        """Write the info."""
        self.meta.commit_info()

    @waits_green
    def refresh_provenance(self) -> Any:  # a DataLayerProvenance
        """Read the provenance again and return it."""
        return self.meta.refresh_provenance()

    @waits_green
    def commit_provenance(self) -> None:
        """Write the provenance."""
        self.meta.commit_provenance()

    @property
    def mip(self) -> int:
        """Index of the current scale; set it by index or by resolution."""
        return self.config.mip

    @mip.setter
    def mip(self, value: MipLike) -> None:
        self.config.mip = self.meta.to_mip(value)

    @property
    def bounds(self) -> Bbox:
        """Box of all voxels of the current mip."""
        return self.meta.bounds(self.config.mip)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(x, y, z, channel) extents of the current mip."""
        return self.meta.shape(self.config.mip)

    @property
    def resolution(self) -> Vec:
        """Size of a voxel of the current mip in nm."""
        return self.meta.resolution(self.config.mip)


def _plain(value: Any) -> Any:  # Any: a number of Python or numpy
    return value.item() if isinstance(value, np.generic) else value
