# SPDX-License-Identifier: BSD-3-Clause
"""The scales of an image under the volume's settings: what reading, writing and transferring share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np

from cloudvolume_fast import _runtime
from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.decode import registry
from cloudvolume_fast.deliver.chunk_lru import ChunkLRU
from cloudvolume_fast.deliver.cutout import CutoutOrigin
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.errors import (
    AuthorizationError,
    InvalidArgumentError,
    ReadOnlyException,
)
from cloudvolume_fast.locate.indexing import (
    ADDRESSABLE,
    Bounds,
    check_bounds,
    check_not_empty,
    clip,
)
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.options import ReadOptions
from cloudvolume_fast.sources.precomputed import image_layout
from cloudvolume_fast.sources.precomputed.metadata import MipLike, PrecomputedMetadata

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def renewing(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Make a function over an image call again with other credentials where a server refused these and there are some.

    Its first argument is the image.
    """

    @functools.wraps(function)
    def call(*args: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
        meta = args[0].meta  # type: ignore[attr-defined]
        if meta.is_plain_folder:
            return function(*args, **options)
        store = meta.source_store
        if not hasattr(store, "refresh_credentials"):
            return _within_limit(args[0], function(*args, **options))
        store.keep_fresh()
        generation = store.generation
        try:
            return _within_limit(args[0], function(*args, **options))
        except AuthorizationError:
            if not store.refresh_credentials(generation):
                raise
        return _within_limit(args[0], function(*args, **options))

    return call


def _within_limit(image: Any, result: _Result) -> _Result:  # Any: an ImageAccess
    """Count the copies that were made on this machine, which evicts where that is due; return the result."""
    disk = image.meta.disk_cache
    if disk is not None and disk.limit_bytes is not None:
        disk.note_growth(image.take_kept_bytes())
    return result


class ImageAccess:
    """Scales as the core knows them, and the settings as they apply to one call.

    Parameters
    ----------
    meta : PrecomputedMetadata
    config : VolumeConfig
        Shared live with the volume.
    lru : ChunkLRU
        The cache of chunks in memory.

    Raises
    ------
    UnsupportedEncodingError, EncodingError, InvalidArgumentError
        What the cache is to hold is unknown, cannot hold the volume's type, or loses information.
    """

    def __init__(self, meta: PrecomputedMetadata, config: VolumeConfig, lru: ChunkLRU) -> None:
        self.meta = meta
        self.config = config
        self.lru = lru
        self._scales: dict[int, tuple[Any, ...]] = {}
        self._shard_indexes = _runtime.ShardIndexCache()
        self._background: tuple[Any, Any, bytes] | None = None
        self._origins: dict[int, tuple[Any, CutoutOrigin]] = {}
        self._shared_memory_id: str | None = None
        image_layout.check_lru_encoding(meta, str(lru.encoding))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is cheaply made again and cannot be pickled."""
        left_out: dict[str, Any] = {
            "_scales": {},
            "_background": None,
            "_origins": {},
            "_shard_indexes": None,
        }
        return {**self.__dict__, **left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._shard_indexes = _runtime.ShardIndexCache()

    @property
    def shared_memory_id(self) -> str:
        """Name under which voxels are put into shared memory unless another is given."""
        if self._shared_memory_id is None:
            from cloudvolume_fast.deliver.shared_buffer import generate_location

            self._shared_memory_id = generate_location()
        return self._shared_memory_id

    @shared_memory_id.setter
    def shared_memory_id(self, name: str) -> None:
        self._shared_memory_id = name

    # Scales.

    def to_mip(self, mip: MipLike | None) -> int:
        """Return the index of a scale; None stands for the current one.

        Raises
        ------
        ScaleUnavailableError
        """
        return self.config.mip if mip is None else self.meta.to_mip(mip)

    def image_scale(self, mip: int) -> ImageScale:
        """Return a scale as the core knows it; made again whenever the info has changed.

        Raises
        ------
        InfoValidationError, UnsupportedEncodingError, EncodingError, SpecViolation
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
            and cached[4] == self.config.cdn_cache
            and cached[5] is meta.disk_cache
            and (cached[5] is None or cached[5].limit_bytes == cached[6])
            and cached[7] == self.config.codec_threads
        ):
            return cached[8]  # type: ignore[no-any-return]
        cdn_cache, codec_threads = self.config.cdn_cache, self.config.codec_threads
        scale = image_layout.open_scale(
            meta, parsed, self.lru, self._shard_indexes, cdn_cache, codec_threads
        )
        disk = meta.disk_cache
        self._scales[mip] = (
            parsed,
            data_type,
            channels,
            meta.path,
            cdn_cache,
            disk,
            None if disk is None else disk.limit_bytes,
            codec_threads,
            scale,
        )
        return scale

    def take_kept_bytes(self) -> int:
        """Return the bytes of copies that were made on this machine since this was last asked."""
        return sum(cached[-1].layout.take_kept_bytes() for cached in list(self._scales.values()))

    def cutout_origin(self, mip: int, scale: ImageScale | None = None) -> CutoutOrigin:
        """Return what cutouts of a scale remember; one object until the info changes.

        `scale` is what `image_scale` returns for `mip`, for callers that have it at hand.
        """
        if scale is None:
            scale = self.image_scale(mip)
        cached = self._origins.get(mip)
        if cached is not None and cached[0] is scale:
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
        self._origins[mip] = (scale, origin)
        return origin

    def folder_path(self, key: str) -> str | None:
        """Return the absolute path of a scale's folder, None where it is not on this machine."""
        return image_layout.folder_path(self.meta, key)

    # Settings.

    def background_bytes(self, dtype: np.dtype[Any]) -> bytes:
        """Return one voxel of background as it is stored.

        Raises
        ------
        InvalidArgumentError
            ``background_color`` is no value of the type.
        """
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

    def threads(self, scale: ImageScale, work: Literal["decode", "encode"]) -> int:
        """Return how many chunks are worked on side by side; 0 leaves it to the core.

        ``parallel`` above 1 decides, then ``codec_threads`` above 1: so many threads in all, be they of the core, one
        for each chunk, or of a package that uses them within a chunk, beside as many others as there are processors.
        """
        config = self.config
        if config.parallel > 1 or config.codec_threads <= 1:
            return config.threads
        if work in registry.lookup(scale.encoding, scale.folder).takes_threads:
            return max(1, _runtime.default_threads() // config.codec_threads)
        return config.codec_threads

    def read_options(
        self, scale: ImageScale, threads: int | None = None, title: str | None = None
    ) -> ReadOptions:
        """Return the volume's settings as they apply to one read."""
        config = self.config
        return ReadOptions(
            config.fill_missing,
            self.background_bytes(scale.dtype),
            self.threads(scale, "decode") if threads is None else threads,
            (config.progress_title or title or "Downloading") if config.progress else None,
        )

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

    def is_outside_rois(self, bounds: Bounds, mip: int) -> bool:
        """Whether the layer has regions of interest and a box touches none of them."""
        return bool(self.meta._rois) and not self.meta.overlaps_roi(Bbox._from_ints(*bounds), mip)

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
