# SPDX-License-Identifier: BSD-3-Clause
"""The volume that upstream's users expect: its attributes, all over `Volume`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloudvolume_fast.compat.attributes import Derived, Setting
from cloudvolume_fast.compat.options import (
    checked_cdn_cache,
    checked_compress,
    checked_green_threads,
    checked_parallel,
    unchecked,
)
from cloudvolume_fast.compat.sources import PrecomputedImageSource, PrecomputedMetadata
from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.deliver.green import waits_green
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.info_creation import create_info
from cloudvolume_fast.model.vec import Vec
from cloudvolume_fast.sources.precomputed import image as image_source
from cloudvolume_fast.sources.precomputed import metadata
from cloudvolume_fast.sources.precomputed.given_cache import use_cache
from cloudvolume_fast.sources.precomputed.metadata import MipLike
from cloudvolume_fast.volume import Volume

if TYPE_CHECKING:
    from cloudvolume_fast.sources.precomputed.cache_service import CacheService
    from cloudvolume_fast.sources.precomputed.mesh.base import MeshSource
    from cloudvolume_fast.sources.precomputed.skeleton import SkeletonSource


class CloudVolumePrecomputed(Volume):
    """A Precomputed volume with upstream's properties, all over `Volume`.

    Parameters
    ----------
    meta : PrecomputedMetadata
    cache : CacheService or None
        What is read is kept where it keeps it; None leaves that to `meta`.
    config : VolumeConfig
    image : PrecomputedImageSource, optional
        Default one of `meta` under `config`.
    mesh, skeleton
        Sources of meshes and skeletons, in the place of those that the info names.
    mip : int or sequence of 3 numbers
        The current scale.
    """

    def __init__(
        self,
        meta: metadata.PrecomputedMetadata,
        cache: Any,  # a CacheService
        config: VolumeConfig,
        image: image_source.PrecomputedImageSource | None = None,
        mesh: Any = None,
        skeleton: Any = None,
        mip: MipLike = 0,
    ) -> None:
        if image is None:
            image = PrecomputedImageSource.over(meta, config, volume_type=type(self).of_layer)
        super().__init__(meta, config, image)
        use_cache(meta, cache)
        self._given_mesh = mesh
        self._given_skeleton = skeleton
        config.mip = meta.to_mip(mip)

    @classmethod
    def of_layer(
        cls,
        meta: metadata.PrecomputedMetadata,
        config: VolumeConfig,
        image: image_source.PrecomputedImageSource,
    ) -> CloudVolumePrecomputed:
        """Return the volume of a layer that a transfer wrote to."""
        adopted = PrecomputedMetadata.adopt(meta)
        source = PrecomputedImageSource.over(adopted, config, volume_type=cls.of_layer)
        return cls(adopted, None, config, source, mip=config.mip)

    # What the constructor was given in the place of those that the info names.
    _given_mesh: MeshSource | None = None
    _given_skeleton: SkeletonSource | None = None

    # Settings.

    autocrop = Setting(bool, "Cut requests at the volume's bounds.")
    bounded = Setting(bool, "Raise for requests that leave the volume.")
    fill_missing = Setting(bool, "Read absent chunks as background.")
    background_color = Setting(unchecked, "Value of what is not stored.")
    non_aligned_writes = Setting(bool, "Allow writes that cover chunks in part.")
    overwrite_partial_chunks = Setting(
        bool, "Replace partly covered chunks instead of merging with them."
    )
    delete_black_uploads = Setting(
        bool, "Remove chunks that are all background instead of writing them."
    )
    green_threads = Setting(checked_green_threads, "Whether green threads are used.")
    parallel = Setting(checked_parallel, "Threads to use; 1 for as many as the process may.")
    cdn_cache = Setting(
        checked_cdn_cache, "Cache-Control of uploads to stores that have such a header."
    )
    compress = Setting(checked_compress, "Second-stage compression of uploads.")
    progress = Setting(bool, "Show progress bars.")

    # Paths.

    dataset_name = Derived(lambda vol: vol.meta.dataset, "Name of the dataset.")
    layer = Derived(lambda vol: vol.meta.layer, "Name of the layer.")
    cloudpath = Derived(lambda vol: vol.meta.cloudpath, "Path of the layer.")
    layer_cloudpath = Derived(lambda vol: vol.meta.cloudpath, "As `cloudpath`.")
    basepath = Derived(lambda vol: vol.meta.basepath, "Path of the dataset without the protocol.")
    layerpath = Derived(lambda vol: vol.meta.layerpath, "Path of the layer without the protocol.")
    base_cloudpath = Derived(lambda vol: vol.meta.base_cloudpath, "Path of the dataset.")
    info_cloudpath = Derived(lambda vol: vol.meta.infopath, "Path of the info file.")

    cache_path = Derived(
        lambda vol: vol.meta.cache_path,
        "Folder where a disk cache of this layer lies, or would lie.",
    )

    @property
    def cache(self) -> CacheService:
        """The disk cache."""
        from cloudvolume_fast.sources.precomputed.cache_service import CacheService

        return CacheService.of(self.meta, self.config)

    # Meshes.

    @property
    def mesh(self) -> MeshSource:
        """The meshes of the layer, opened when they are first asked for; another source when their kind changes."""
        if self._given_mesh is not None:
            return self._given_mesh
        from cloudvolume_fast.sources.precomputed.mesh.open import suited_source

        source: MeshSource | None = self.__dict__.get("_mesh")
        if source is None:
            source = self._mesh = self._open_meshes()
        elif not source.is_current:
            source = self._mesh = suited_source(source.meta)
        return source

    @waits_green
    def _open_meshes(self) -> MeshSource:
        from cloudvolume_fast.sources.precomputed.mesh.open import mesh_source

        source = mesh_source(self.meta, self.config)
        source.meta.cv = self
        return source

    # The whole layer.

    @property
    def scales(self) -> list[Info]:
        """The scales of the info, live."""
        return self.meta.scales

    @scales.setter
    def scales(self, value: list[Info]) -> None:
        self.meta.scales = value

    available_mips = Derived(lambda vol: vol.meta.available_mips, "Indices of the scales.")
    available_resolutions = Derived(
        lambda vol: vol.meta.available_resolutions, "Resolutions of the scales in nm."
    )
    layer_type = Derived(lambda vol: vol.meta.layer_type, "``image`` or ``segmentation``.")
    dtype = Derived(lambda vol: vol.meta.dtype, "Type of a voxel.")
    data_type = Derived(lambda vol: vol.meta.data_type, "Name of the type of a voxel.")
    num_channels = Derived(lambda vol: vol.meta.num_channels, "Number of channels.")

    # The current scale.

    @property
    def scale(self) -> Info:
        """The current entry of ``info["scales"]``, live."""
        return self.mip_scale(self.mip)

    @scale.setter
    def scale(self, value: Info) -> None:
        self.info["scales"][self.mip] = value

    ndim = Derived(lambda vol: len(vol.shape), "Number of axes.")
    volume_size = Derived(lambda vol: vol.meta.volume_size(vol.mip), "Extents in voxels.")
    voxel_offset = Derived(lambda vol: vol.meta.voxel_offset(vol.mip), "First voxel.")
    downsample_ratio = Derived(
        lambda vol: vol.meta.downsample_ratio(vol.mip), "Resolution relative to mip 0's."
    )
    chunk_size = Derived(lambda vol: vol.meta.chunk_size(vol.mip), "Extents of a chunk in voxels.")
    underlying = Derived(lambda vol: vol.meta.chunk_size(vol.mip), "As `chunk_size`.")
    key = Derived(lambda vol: vol.meta.key(vol.mip), "Folder of the chunks.")
    encoding = Derived(lambda vol: vol.meta.encoding(vol.mip), "Encoding of the chunks.")
    compressed_segmentation_block_size = Derived(
        lambda vol: vol.meta.compressed_segmentation_block_size(vol.mip),
        "Extents of a sub-block in voxels, or None.",
    )

    # Skeletons.

    _skeleton: SkeletonSource | None = None

    @property
    def skeleton(self) -> SkeletonSource:
        """The skeletons, as files or in shards as their info says at the time; read on first use.

        Raises
        ------
        InfoValidationError
            Their info is malformed.
        """
        if self._given_skeleton is not None:
            return self._given_skeleton
        from cloudvolume_fast.sources.precomputed.skeleton import skeletons_of_volume

        if self._skeleton is None:
            self._skeleton = self._open_skeletons()
        self._skeleton = skeletons_of_volume(self, self._skeleton)
        return self._skeleton

    @waits_green
    def _open_skeletons(self) -> SkeletonSource:
        from cloudvolume_fast.sources.precomputed.skeleton import skeletons_of_volume

        return skeletons_of_volume(self, None)

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

    def to_dask(self, chunks: Any = None, name: str | None = None) -> Any:  # a dask Array
        """Return a dask array of the current scale; see `compat.dask_arrays.volume_to_dask`.

        Raises
        ------
        ImportError
            dask is not installed; says what to install.
        """
        from cloudvolume_fast.compat.dask_arrays import volume_to_dask

        return volume_to_dask(self, chunks, name)

    def viewer(self, port: int = 1337) -> None:
        """Serve the layer on this machine for Neuroglancer, until interrupted; see `compat.server.view`."""
        from cloudvolume_fast.compat.server import view

        view(self.cloudpath, port=port)

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
        """Return a new info; see `model.info_creation.create_info`."""
        return create_info(
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
