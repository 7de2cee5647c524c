# SPDX-License-Identifier: BSD-3-Clause
"""What the info of a Precomputed layer says: of the whole layer, of one scale, of places in it."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import InfoValidationError, ScaleUnavailableError
from cloudvolume_fast.model import info as info_model
from cloudvolume_fast.model import mips
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.dtypes import parse_data_type
from cloudvolume_fast.model.info import Info, Scale
from cloudvolume_fast.model.vec import Vec
from cloudvolume_fast.sources.precomputed.layer_folder import LayerFolder

MipLike = int | Sequence[float]


class LayerInfo(LayerFolder):
    """The folder of a layer with its info, from which every value is derived anew: callers change it in place."""

    def __init__(
        self,
        cloudpath: str,
        **options: Any,  # Any: as LayerFolder
    ) -> None:
        super().__init__(cloudpath, **options)
        self._rois: list[Bbox] = []
        self._scales: dict[int, tuple[Info, Scale]] = {}

    @property
    def info(self) -> Info:
        """The info, live."""
        return self._info

    @info.setter
    def info(self, info: Info) -> None:
        info_model.validate_info(info, self.infopath)
        self._info = info
        self._scales.clear()

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
