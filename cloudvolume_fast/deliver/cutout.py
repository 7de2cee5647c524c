# SPDX-License-Identifier: BSD-3-Clause
"""What a read returns: an array that remembers where it comes from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.locate.indexing import Bounds
from cloudvolume_fast.model.bbox import Bbox


@dataclass(frozen=True, slots=True)
class CutoutOrigin:
    """Where cutouts come from; one object for all cutouts of a scale."""

    dataset_name: str | None
    layer: str | None
    path: Any  # a LayerPath, or what a caller of VolumeCutout passes
    cloudpath: str
    resolution: Any  # a Vec, or any sequence of 3 numbers
    mip: int
    layer_type: str


class VolumeCutout(np.ndarray[Any, Any]):
    """An image of shape (x, y, z, channel) with its origin.

    Parameters
    ----------
    buf : ndarray
        The voxels; not copied.
    path : LayerPath
    cloudpath : str
    resolution : sequence of 3 numbers
        In nm.
    mip : int
    layer_type : str
        ``image`` or ``segmentation``.
    bounds : Bbox
        The box that was asked for, in voxels of `mip`.
    handle : object or None
        Whatever must be closed when the voxels are no longer needed, such as an mmap.

    Notes
    -----
    Views keep every attribute but `handle`.
    """

    _origin: CutoutOrigin | None
    _box: Any
    handle: Any

    def __new__(
        cls,
        buf: NDArray[Any],
        path: Any,
        cloudpath: str,
        resolution: Any,
        mip: int,
        layer_type: str,
        bounds: Any,
        handle: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> VolumeCutout:
        """Wrap an array; see the class."""
        if args or kwargs:
            raise InvalidArgumentError(
                f"VolumeCutout: expected 8 arguments, found also {args} {kwargs}",
                found=(args, kwargs),
            )
        origin = CutoutOrigin(
            getattr(path, "dataset", None),
            getattr(path, "layer", None),
            path,
            cloudpath,
            resolution,
            mip,
            layer_type,
        )
        return cls.wrap(buf, origin, bounds, handle)

    @classmethod
    def wrap(
        cls,
        array: NDArray[Any],
        origin: CutoutOrigin,
        bounds: Bounds | Bbox | None,
        handle: Any = None,
    ) -> VolumeCutout:
        """Wrap an array, sharing an origin."""
        out = array.view(cls)
        out._origin = origin
        out._box = bounds
        out.handle = handle
        return out

    @classmethod
    def from_volume(
        cls,
        meta: Any,  # metadata of any format
        mip: int,
        buf: NDArray[Any],
        bounds: Any,  # a Bbox
        handle: Any = None,
    ) -> VolumeCutout:
        """Wrap an array that was read from a volume.

        Parameters
        ----------
        meta : PrecomputedMetadata
        mip : int
        buf : ndarray, shape (x, y, z, channel)
        bounds : Bbox
        handle : object or None
            As for the class.
        """
        return cls(
            buf,
            meta.path,
            meta.cloudpath,
            meta.resolution(mip),
            mip,
            meta.layer_type,
            bounds,
            handle,
        )

    def __array_finalize__(self, obj: Any) -> None:
        """Take over the origin of the array that this one is made from."""
        self._origin = getattr(obj, "_origin", None)
        self._box = getattr(obj, "_box", None)
        self.handle = None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Return plain scalars from reductions, as numpy does for its own arrays."""
        if array.ndim == 0:
            return array[()]
        return super().__array_wrap__(array, context, return_scalar)

    def __reduce__(self) -> Any:
        """Pickle with origin and bounds; the handle stays."""
        reduced: Any = super().__reduce__()
        rebuild, arguments, state = reduced
        return rebuild, arguments, (state, self._origin, self.bounds)

    def __setstate__(self, state: Any) -> None:
        """Undo `__reduce__`."""
        array_state, self._origin, self._box = state
        super().__setstate__(array_state)
        self.handle = None

    @property
    def bounds(self) -> Any:  # a Bbox, or None
        """The box that was asked for, in voxels of `mip`."""
        if isinstance(self._box, tuple):
            self._box = Bbox._from_ints(*self._box)
        return self._box

    @bounds.setter
    def bounds(self, value: Any) -> None:
        self._box = value

    @property
    def dataset_name(self) -> str | None:
        """Name of the dataset."""
        return self._origin.dataset_name if self._origin else None

    @property
    def layer(self) -> str | None:
        """Name of the layer."""
        return self._origin.layer if self._origin else None

    @property
    def path(self) -> Any:
        """Path of the layer, taken apart."""
        return self._origin.path if self._origin else None

    @property
    def cloudpath(self) -> str | None:
        """Path of the layer."""
        return self._origin.cloudpath if self._origin else None

    @property
    def resolution(self) -> Any:
        """Size of a voxel in nm."""
        return self._origin.resolution if self._origin else None

    @property
    def mip(self) -> int | None:
        """Index of the scale."""
        return self._origin.mip if self._origin else None

    @property
    def layer_type(self) -> str | None:
        """``image`` or ``segmentation``."""
        return self._origin.layer_type if self._origin else None

    @property
    def num_channels(self) -> int:
        """Extent of the channel axis."""
        return int(self.shape[3])

    def close(self) -> None:
        """Close the handle, if there is one; the voxels must not be used after."""
        if self.handle is not None:
            self.handle.close()
            self.handle = None

    def save_images(
        self,
        directory: str | os.PathLike[str] | None = None,
        axis: str = "z",
        channel: int | None = None,
        global_norm: bool = True,
        image_format: str = "PNG",
        progress: bool = True,
    ) -> str:
        """Save one picture per slice and channel.

        Parameters
        ----------
        directory : path, optional
            Default ``./saved_images/<dataset>/<layer>/<mip>/<bounds>``.
        axis : {"x", "y", "z"}
            What the slices are perpendicular to.
        channel : int, optional
            Only this one.
        global_norm : bool
            Scale grey values to the whole image rather than to each slice.
        image_format : str
            As Pillow names it.
        progress : bool
            Show a bar.

        Returns
        -------
        str
            The directory.

        Raises
        ------
        ImportError
            Pillow is not installed.
        """
        from cloudvolume_fast.deliver.save_images import save_images

        if directory is None:
            name = self.bounds.to_filename() if self.bounds is not None else "cutout"
            parts = (str(self.dataset_name), str(self.layer), str(self.mip), name)
            directory = os.path.join(".", "saved_images", *parts)
        return save_images(
            np.asarray(self), directory, axis, channel, global_norm, image_format, progress
        )

    def viewer(self, port: int = 8080) -> None:
        """Show the image in a browser, with the ``microviewer`` package.

        Raises
        ------
        ImportError
            It is not installed.
        """
        try:
            import microviewer
        except ImportError as error:
            raise ImportError(
                "VolumeCutout.viewer needs the microviewer package: pip install microviewer"
            ) from error
        microviewer.view(np.asarray(self), seg=self.layer_type == "segmentation", port=port)
