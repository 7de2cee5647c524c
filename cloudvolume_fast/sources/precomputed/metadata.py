# SPDX-License-Identifier: BSD-3-Clause
"""The metadata of a Precomputed layer: ``info`` and ``provenance`` read, derived from, changed and committed."""

from __future__ import annotations

import json
import posixpath
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import (
    CyclicRedirect,
    InfoUnavailableError,
    InfoValidationError,
    InvalidArgumentError,
    ScaleUnavailableError,
    TooManyRedirects,
    UnsupportedFormatError,
    WriteLockAcquisitionError,
    WriteLockReleaseError,
)
from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.fetch.secrets import parse_secrets
from cloudvolume_fast.fetch.store import ObjectStore
from cloudvolume_fast.model import info as info_model
from cloudvolume_fast.model import info_creation, mips
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.dtypes import parse_data_type
from cloudvolume_fast.model.info import Info, Scale
from cloudvolume_fast.model.layer_path import LayerPath, parse_layer_path
from cloudvolume_fast.model.provenance import DataLayerProvenance
from cloudvolume_fast.model.vec import Vec

if TYPE_CHECKING:
    from cloudvolume_fast.fetch.disk_cache import DiskCache

MipLike = int | Sequence[float]


class PrecomputedMetadata:
    """What the ``info`` and ``provenance`` files of a layer say.

    Parameters
    ----------
    cloudpath : str
        Of the layer.
    info : dict, optional
        Used instead of the stored info; nothing is written until `commit_info`.
    provenance : dict, str or DataLayerProvenance, optional
        Used instead of the stored provenance.
    max_redirects : int
        Fetches of ``info`` that following ``redirect`` members may cost; 0 or less follows none.
    secrets : dict or str, optional
        Credentials for the layer's store; not pickled, and not taken along to another server by a redirect.
    use_https : bool
        Read gs:// and s3:// by https.
    cache : bool or str
        Whether objects are kept on this machine, or the folder below which they are; see `fetch.disk_cache`.
    compress_cache : str or bool, optional
        Second-stage compression of what is kept.

    Raises
    ------
    InfoUnavailableError
        There is no info.
    InfoValidationError
        There is one, and it is malformed.
    TooManyRedirects, CyclicRedirect

    Notes
    -----
    The info object is live: callers change it and its scales in place, and every derived value is derived anew.
    """

    def __init__(
        self,
        cloudpath: str,
        info: Info | None = None,
        provenance: Any = None,  # Any: the three forms that DataLayerProvenance takes
        max_redirects: int = 10,
        *,
        secrets: Any = None,  # Any: a mapping or JSON
        use_https: bool = False,
        cache: bool | str = False,
        compress_cache: str | bool | None = None,
    ) -> None:
        self.path = parse_layer_path(cloudpath)
        self.use_https = bool(use_https)
        self._secrets = parse_secrets(secrets)
        self._secrets_for = _authority(self.path)
        self._store: tuple[LayerPath, ObjectStore] | None = None
        self._cache_base = cache
        self._compress_cache = compress_cache
        self._cache: DiskCache | None = None
        self.lifetime: object = None  # of a layer that goes with it; see `memory`
        self.redirected_from: list[str] = []
        self._rois: list[Bbox] = []
        self._provenance: DataLayerProvenance | None = None
        self._scales: dict[int, tuple[Info, Scale]] = {}
        if info is None:
            self.refresh_info(max_redirects)
        else:
            self.info = info
        if provenance is not None:
            self.provenance = provenance

    # Files.

    @property
    def source_store(self) -> ObjectStore:
        """The folder of the layer itself, without what is kept on this machine.

        Raises
        ------
        UnsupportedFormatError, UnsupportedProtocolError, InvalidArgumentError
        """
        if self._store is not None and self._store[0] is self.path:
            return self._store[1]
        if self.path.format != "precomputed":
            raise UnsupportedFormatError(
                f"{self.path.qualified_cloudpath}: expected format precomputed, found {self.path.format}",
                key=self.path.qualified_cloudpath,
                expected="precomputed",
                found=self.path.format,
            )
        is_same = _authority(self.path) == self._secrets_for
        store = open_store(
            self.path, secrets=self._secrets if is_same else None, use_https=self.use_https
        )
        self._store = (self.path, store)
        return store

    @property
    def is_plain_folder(self) -> bool:
        """Whether the layer is on this machine, and nothing of it is kept elsewhere; asked by each small read."""
        return not self._cache_base and self.path.protocol == "file"

    @property
    def store(self) -> ObjectStore:
        """The folder of the layer, with the disk cache in front of it where one is used.

        Raises
        ------
        UnsupportedFormatError, UnsupportedProtocolError, InvalidArgumentError
        """
        cache = self.disk_cache
        if cache is None:
            return self.source_store
        from cloudvolume_fast.fetch.disk_cache import CachedStore

        return CachedStore(self.source_store, cache)

    @property
    def disk_cache(self) -> DiskCache | None:
        """What keeps the layer's objects on this machine; None where they are not kept."""
        if not self._cache_base:
            return None
        # Imported where it is used, which most layers do not.
        from cloudvolume_fast.fetch.disk_cache import DiskCache, limit_from_environment

        folder = self.cache_path
        if self._cache is None or self._cache.folder != folder:
            self._cache = DiskCache(
                folder, compress=self._compress_cache, limit_bytes=limit_from_environment()
            )
            self._cache.check()
        return self._cache

    @property
    def cache_base(self) -> bool | str:
        """Whether objects are kept on this machine, or the folder below which they are; may be set.

        Raises
        ------
        ChunkWriteError
            The folder cannot be used.
        """
        return self._cache_base

    @cache_base.setter
    def cache_base(self, value: bool | str) -> None:
        before, self._cache_base = self._cache_base, value
        try:
            _ = self.disk_cache
        except OSError:
            self._cache_base = before
            raise

    @property
    def cache_path(self) -> str:
        """Folder where a disk cache of this layer lies, or would lie."""
        from cloudvolume_fast.fetch.disk_cache import cache_folder

        return cache_folder(
            self.path, self._cache_base if isinstance(self._cache_base, str) else None
        )

    def has_secrets(self, secrets: Any) -> bool:  # Any: a mapping or JSON
        """Say whether these are the credentials that it was made with."""
        return parse_secrets(secrets) == self._secrets

    def __getstate__(self) -> dict[str, Any]:
        """Leave out credentials, and the store, which holds some."""
        return {
            **self.__dict__,
            "_secrets": None,
            "_store": None,
            "_cache": None,
            "lifetime": None,
        }

    @property
    def info(self) -> Info:
        """The info, live."""
        return self._info

    @info.setter
    def info(self, info: Info) -> None:
        info_model.validate_info(info, self.infopath)
        self._info = info
        self._scales.clear()

    def fetch_info(self) -> Info:
        """Read and return the stored info, checked, without following redirects or keeping it.

        Raises
        ------
        InfoUnavailableError, InfoValidationError
            Also if another one is kept on this machine; see `check_cached_info`.
        """
        content = self.source_store.get("info")
        if content is None:
            raise InfoUnavailableError(
                f"{self.infopath}: expected an info file, found none",
                key=self.infopath,
                expected="info",
            )
        info = info_model.load_info(content, self.infopath)
        cache = self.disk_cache
        if cache is None:
            return info
        kept = self.check_cached_info(info)
        if kept is None:
            cache.offer("info", content)
        return info if kept is None else kept

    def check_cached_info(self, info: Info) -> Info | None:
        """Return the info that is kept on this machine, None where none is; it may differ from the layer's in sizes.

        Raises
        ------
        InfoValidationError
            It differs in anything else (a ValueError).
        """
        cache = self.disk_cache
        content = None if cache is None else cache.get("info")
        if cache is None or content is None:
            return None
        kept = info_model.load_info(content, cache.path("info"))
        if kept == info:
            return kept
        if _without_sizes(kept) == _without_sizes(info):
            warnings.warn(
                f"{self.infopath}: the sizes of scales are not those of the info that is kept at "
                f"{cache.path('info')}, which is used",
                stacklevel=2,
            )
            return kept
        raise InfoValidationError(
            f"{self.infopath}: expected the info that is kept at {cache.path('info')}, found another one: remove that "
            "file (cache.flush_info()), or the folder if the chunks have changed as well (cache.flush())",
            key=self.infopath,
            expected=kept,
            found=info,
        )

    def redirectable_fetch_info(self, max_redirects: int = 10) -> Info:
        """Read the info, moving to where its ``redirect`` member points, as often as allowed.

        Raises
        ------
        TooManyRedirects
            `max_redirects` fetches did not reach the end.
        CyclicRedirect
            The path leads back to where it has been.
        """
        visited: list[str] = []
        if max_redirects <= 0:
            return self.fetch_info()
        for _ in range(max_redirects):
            info = self.fetch_info()
            visited.append(self.cloudpath)
            target = info.get("redirect")
            if not target or not isinstance(target, str):
                break
            path = parse_layer_path(target)
            if path.cloudpath == self.cloudpath:
                break
            if path.cloudpath in visited:
                raise CyclicRedirect(
                    f"{self.infopath}: redirect leads back to {path.cloudpath} by way of {visited}",
                    key=self.infopath,
                    found=path.cloudpath,
                )
            self.path = path
        else:
            raise TooManyRedirects(
                f"{visited[0]}: expected at most {max_redirects} fetches of info, {visited[-1]} redirects again",
                key=visited[0],
                expected=max_redirects,
                found=[*visited, self.cloudpath],
            )
        self.redirected_from = visited[:-1]
        if self.redirected_from:
            warnings.warn(
                f"{visited[0]} redirects to {self.cloudpath}; it is opened for reading only",
                stacklevel=2,
            )
        return info

    def refresh_info(self, max_redirects: int = 10) -> Info:
        """Read the info again and return it."""
        info = self.redirectable_fetch_info(max_redirects)
        self.info = info
        self._rois = self.parse_rois(info)
        return info

    def commit_info(self) -> None:
        """Write the info.

        Raises
        ------
        MissingInfoMemberError, InfoValidationError
            See `model.info.validate_for_commit`.
        ChunkWriteError
            The file cannot be written.
        """
        info_model.validate_for_commit(self.info, self.infopath)
        info_model.validate_info(self.info, self.infopath)
        self.store.put("info", info_model.dump_info(self.info, self.infopath))

    @property
    def provenance(self) -> DataLayerProvenance:
        """The provenance, live; read on first use, empty where there is none."""
        if self._provenance is None:
            self.refresh_provenance()
        assert self._provenance is not None
        return self._provenance

    @provenance.setter
    def provenance(self, value: Any) -> None:  # Any: dict, JSON text or DataLayerProvenance
        if isinstance(value, DataLayerProvenance):
            self._provenance = value
        elif isinstance(value, (str, bytes)):
            self._provenance = DataLayerProvenance().from_json(value)
        else:
            self._provenance = DataLayerProvenance(value)

    def fetch_provenance(self) -> DataLayerProvenance:
        """Read and return the stored provenance.

        Raises
        ------
        ValueError
            It is neither JSON nor JSON5.
        """
        content = self.source_store.get("provenance")
        cache = self.disk_cache
        if cache is not None:
            kept = cache.get("provenance")
            if kept is None and content is not None:
                cache.offer("provenance", content)
            elif kept is not None:
                self.check_cached_provenance(content)
                content = kept
        if content is None:
            return DataLayerProvenance()
        return DataLayerProvenance().from_json(content.decode("utf-8"))

    def check_cached_provenance(self, content: bytes | None) -> None:
        """Warn where the provenance that is kept on this machine is another one than the layer's."""
        cache = self.disk_cache
        kept = None if cache is None else cache.get("provenance")
        if cache is None or kept is None:
            return
        if content is None or _parsed(kept) != _parsed(content):
            warnings.warn(
                f"{self.join(self.cloudpath, 'provenance')}: another one is kept at {cache.path('provenance')}, which "
                "is used; cache.flush_provenance() removes it",
                stacklevel=3,
            )

    def refresh_provenance(self) -> DataLayerProvenance:
        """Read the provenance again and return it."""
        self._provenance = self.fetch_provenance()
        return self._provenance

    def commit_provenance(self) -> None:
        """Write the provenance."""
        self.store.put("provenance", self.provenance.serialize().encode("utf-8"))

    # Paths.

    @property
    def cloudpath(self) -> str:
        """``PROTOCOL://.../LAYER``."""
        return self.path.cloudpath

    @property
    def base_cloudpath(self) -> str:
        """`cloudpath` without the layer."""
        return self.path.base_cloudpath

    @property
    def basepath(self) -> str:
        """`base_cloudpath` without the protocol."""
        return self.path.basepath

    @property
    def layerpath(self) -> str:
        """`cloudpath` without the protocol."""
        return self.path.path

    @property
    def infopath(self) -> str:
        """Cloud path of the info file."""
        return self.join(self.cloudpath, "info")

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.path.dataset

    @property
    def layer(self) -> str:
        """Name of the layer."""
        return self.path.layer

    def join(self, *paths: str) -> str:
        """Join parts of a cloud path."""
        return posixpath.join(*paths)

    # Values of the whole layer.

    @property
    def layer_type(self) -> str:
        """``image`` or ``segmentation``."""
        return str(self.info.get("type", ""))

    @property
    def data_type(self) -> str:
        """Name of the type of a voxel, as in the info."""
        return str(self.info["data_type"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return parse_data_type(self.info["data_type"], key=self.infopath)

    @property
    def num_channels(self) -> int:
        """Number of channels."""
        return int(self.info["num_channels"])

    @property
    def mesh(self) -> str | None:
        """Folder of the meshes."""
        return self.info.get("mesh") or None

    @property
    def skeletons(self) -> str | None:
        """Folder of the skeletons."""
        return self.info.get("skeletons") or None

    @property
    def scales(self) -> list[Info]:
        """The scales, live."""
        scales: list[Info] = self.info["scales"]
        return scales

    @scales.setter
    def scales(self, value: list[Info]) -> None:
        self.info["scales"] = value

    @property
    def keys(self) -> list[str]:
        """Folders of the scales."""
        return [scale["key"] for scale in self.scales]

    @property
    def available_mips(self) -> range:
        """Indices of the scales."""
        return range(len(self.scales))

    @property
    def available_resolutions(self) -> Iterable[list[float]]:
        """Resolutions of the scales, in nm."""
        return (list(scale["resolution"]) for scale in self.scales)

    # Values of one scale.

    def to_mip(self, mip: MipLike) -> int:
        """Return the index of a scale, given by index (negative counts from the end) or by resolution in nm.

        Raises
        ------
        ScaleUnavailableError
            There is none; the message lists the resolutions that there are.
        """
        count = len(self.scales)
        if not hasattr(mip, "__iter__"):
            # A float may be whole; half a mip, like no mip at all, is none of those available.
            if (
                isinstance(mip, (int, float, np.number))
                and -count <= mip < count
                and mip == int(mip)
            ):
                return int(mip) % count
        else:
            try:
                wanted = [float(extent) for extent in mip]
            except (TypeError, ValueError):
                wanted = []
            for index, scale in enumerate(self.scales):
                if [float(extent) for extent in scale["resolution"]] == wanted:
                    return index
        available = [list(scale.get("resolution", ())) for scale in self.scales]
        shown = mip if isinstance(mip, int) else list(mip) if hasattr(mip, "__iter__") else mip
        raise ScaleUnavailableError(
            f"{self.cloudpath}: mip {shown} not found, {count} available: {available}",
            key=self.cloudpath,
            expected=available,
            found=shown,
        )

    def scale(self, mip: int) -> Info:
        """Return the entry of ``info["scales"]``, live.

        Raises
        ------
        ScaleUnavailableError
        """
        return self.scales[self.to_mip(mip)]

    def parsed_scale(self, mip: int) -> Scale:
        """Return a scale's values, checked; parsed again whenever the entry has changed.

        Raises
        ------
        InfoValidationError, ScaleUnavailableError
        """
        entry = self._info["scales"][mip]
        cached = self._scales.get(mip)
        # Comparing with a copy is what finds a change made in place; it takes less than a microsecond.
        try:
            if cached is not None and cached[0] == entry:
                return cached[1]
        except ValueError:  # numpy arrays in the entry do not compare to one truth value
            pass
        scale = info_model.parse_scale(entry, mip, key=self.infopath)
        self._scales[mip] = (json.loads(info_model.dump_info(entry, self.infopath)), scale)
        return scale

    def key(self, mip: int) -> str:
        """Folder of a scale."""
        return str(self.scale(mip)["key"])

    def shape(self, mip: int) -> tuple[int, int, int, int]:
        """(x, y, z, channel) extents in voxels."""
        size = self.parsed_scale(self.to_mip(mip)).size
        return (*size, self.num_channels)

    def volume_size(self, mip: int) -> Vec:
        """Extents in voxels."""
        return Vec(*self.parsed_scale(self.to_mip(mip)).size)

    def voxels(self, mip: int) -> int:
        """Voxels of a scale, channels not counted."""
        x, y, z = self.parsed_scale(self.to_mip(mip)).size
        return x * y * z

    def voxel_offset(self, mip: int) -> Vec:
        """First voxel."""
        return Vec(*self.parsed_scale(self.to_mip(mip)).voxel_offset)

    def resolution(self, mip: int) -> Vec:
        """Size of a voxel in nm."""
        return Vec(*self.scale(mip)["resolution"])

    def downsample_ratio(self, mip: int) -> Vec:
        """Resolution relative to mip 0's."""
        return Vec(*(self.resolution(mip) / self.resolution(0)))

    def chunk_size(self, mip: int) -> Vec:
        """Extents of a chunk in voxels."""
        return Vec(*self.parsed_scale(self.to_mip(mip)).chunk_size)

    def bounds(self, mip: int) -> Bbox:
        """Box of all voxels."""
        return self.parsed_scale(self.to_mip(mip)).bounds

    bbox = bounds

    def encoding(self, mip: int, encoding: str | None = None) -> str:
        """Return the encoding of a scale's chunks; given one, set it."""
        scale = self.scale(mip)
        if encoding is not None:
            scale["encoding"] = encoding
            if encoding == "compressed_segmentation":
                scale.setdefault("compressed_segmentation_block_size", [8, 8, 8])
        return str(scale["encoding"])

    def compressed_segmentation_block_size(self, mip: int) -> list[int] | None:
        """Extents of a sub-block in voxels, or None."""
        return self.scale(mip).get("compressed_segmentation_block_size")

    def is_sharded(self, mip: int) -> bool:
        """Whether chunks are stored in shards."""
        return self.parsed_scale(self.to_mip(mip)).is_sharded

    def check_for_placeholder_scale(self, mip: int) -> None:
        """Warn when a scale was put into the info only to hold a place."""
        if re.search("placeholder", self.key(mip), re.IGNORECASE):
            warnings.warn(
                f"{self.infopath}: scales[{mip}] is a placeholder: {self.key(mip)}", stacklevel=2
            )

    # Coordinates.

    def point_to_mip(self, pt: Sequence[float], mip: MipLike, to_mip: MipLike) -> Vec:
        """Convert a point between scales, rounded down."""
        return mips.point_to_mip(self.info, pt, self.to_mip(mip), self.to_mip(to_mip))

    def bbox_to_mip(
        self, bbox: Any, mip: MipLike, to_mip: MipLike
    ) -> Bbox:  # Any: what Bbox.create takes
        """Convert a box between scales, rounded outwards at each step."""
        source = self.to_mip(mip)
        box = Bbox.create(bbox, self.bounds(source))
        if box.is_physical:
            box = box.convert_units("vx", self.resolution(source).tolist())
        return mips.bbox_to_mip(self.info, box, source, self.to_mip(to_mip))

    # Regions of interest.

    def parse_rois(self, info: Info) -> list[Bbox]:
        """Return the boxes of mip 0 outside of which nothing was stored.

        Raises
        ------
        InfoValidationError
        """
        boxes = []
        for number, roi in enumerate(info["scales"][0].get("rois") or []):
            try:
                x0, y0, z0, x1, y1, z1 = (int(value) for value in roi)
                boxes.append(Bbox.from_list([x0, y0, z0, x1, y1, z1]))
            except (TypeError, ValueError) as error:
                raise InfoValidationError(
                    f"{self.infopath}: scales[0].rois[{number}]: expected 6 integers, found {roi!r}",
                    key=self.infopath,
                    expected="6 integers",
                    found=roi,
                ) from error
        return boxes

    def overlaps_roi(self, pt_or_bbox: Any, mip: int = 0) -> bool:  # Any: a point or a box
        """Whether a point or box touches a region of interest; always where there is none."""
        if not self._rois:
            return True
        if isinstance(pt_or_bbox, Bbox):
            box = self.bbox_to_mip(pt_or_bbox, mip, 0)
        else:
            point = self.point_to_mip(pt_or_bbox, mip, 0)
            box = Bbox(point, point + 1)
        return any(roi.overlaps_bbox(box) for roi in self._rois)

    def voxels_overlap_rois(self, points: NDArray[np.int64], mip: int) -> NDArray[np.bool_]:
        """Say of each voxel whether, as a box, it touches a region of interest; all do where there is none.

        Parameters
        ----------
        points : ndarray of int64, shape (n, 3)
            In voxels of `mip`.
        mip : int

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        if not self._rois:
            return np.ones(len(points), np.bool_)
        touched = np.ones((len(self._rois), len(points)), np.bool_)
        for axis, ratios in enumerate(mips.ratios_of_axes(self.info, mip, 0)):
            values, places = np.unique(points[:, axis], return_inverse=True)
            ends = [mips.interval_to_mip(v, v + 1, ratios) for v in values.tolist()]
            low, high = np.array(ends, np.int64).reshape(-1, 2).T
            for number, roi in enumerate(self._rois):
                here = (roi.minpt[axis] <= high) & (low <= roi.maxpt[axis])
                touched[number] &= here[places.reshape(-1)]
        return np.asarray(touched.any(axis=0))

    # Scales added and locked.

    @classmethod
    def create_info(
        cls, *args: Any, **kwargs: Any
    ) -> Info:  # Any: as model.info_creation.create_info
        """See `model.info_creation.create_info`."""
        return info_creation.create_info(*args, **kwargs)

    def add_scale(
        self,
        factor: float | Sequence[float],
        encoding: str | None = None,
        chunk_size: Sequence[int] | None = None,
        info: Info | None = None,
        encoding_level: float | None = None,
    ) -> Info:
        """Add a scale to the info, or replace the one of its resolution; see `model.info_creation.add_scale`."""
        return info_creation.add_scale(
            self.info if info is None else info,
            factor,
            encoding=encoding,
            chunk_size=chunk_size,
            encoding_level=encoding_level,
        )

    def add_resolution(
        self,
        res: Sequence[float],
        encoding: str | None = None,
        chunk_size: Sequence[int] | None = None,
        info: Info | None = None,
        encoding_level: float | None = None,
    ) -> Info:
        """As `add_scale`, for a resolution in nm."""
        base = (self.info if info is None else info)["scales"][0]["resolution"]
        factor = [wanted / have for wanted, have in zip(res, base, strict=True)]
        return self.add_scale(factor, encoding, chunk_size, info, encoding_level)

    def reset_scales(self) -> None:
        """Remove all scales but mip 0 from the info; nothing is written."""
        info_creation.reset_scales(self.info)

    def locked_mips(self) -> set[int]:
        """Mips that are write locked."""
        return {mip for mip in self.available_mips if self.scales[mip].get("locked", False)}

    def lock_mips(self, mips: int | Iterable[int]) -> None:
        """Forbid writing to some mips, for every process that opens the layer from now on.

        Raises
        ------
        InvalidArgumentError
            A mip does not exist.
        WriteLockAcquisitionError
            The info cannot be written.
        """
        self._set_locks(mips, locked=True)

    def unlock_mips(self, mips: int | Iterable[int]) -> None:
        """Allow writing again.

        Raises
        ------
        InvalidArgumentError
            A mip does not exist.
        WriteLockReleaseError
            The info cannot be written.
        """
        self._set_locks(mips, locked=False)

    def _set_locks(self, mips: int | Iterable[int], *, locked: bool) -> None:
        wanted = [int(mips)] if isinstance(mips, (int, np.integer)) else [int(mip) for mip in mips]
        error_type = WriteLockAcquisitionError if locked else WriteLockReleaseError
        info = self.fetch_info()
        count = len(info.get("scales", ()))
        for mip in wanted:
            if not 0 <= mip < count:
                raise InvalidArgumentError(
                    f"{self.infopath}: expected mips below {count}, found {mip}",
                    key=self.infopath,
                    expected=count,
                    found=mip,
                )
            info["scales"][mip]["locked"] = locked
        try:
            self.info = info
            self.commit_info()
        except OSError as error:
            raise error_type(
                f"{self.infopath}: cannot change the locks: {error}", key=self.infopath
            ) from error


def _authority(path: LayerPath) -> tuple[str, str]:
    """Return whom credentials for a layer are meant for."""
    if path.protocol.endswith(("http", "https")):
        return (path.protocol, path.bucket)
    return (path.protocol, path.host or "")


def _without_sizes(info: Info) -> Info:
    scales = [
        {name: value for name, value in scale.items() if name != "size"}
        for scale in info.get("scales", ())
    ]
    return {**info, "scales": scales}


def _parsed(provenance: bytes) -> Any:  # Any: a JSON value, or bytes that are none
    try:
        return json.loads(provenance)
    except ValueError:
        return provenance
