# SPDX-License-Identifier: BSD-3-Clause
"""Where upstream's modules and names are here; data only.

``MODULES`` maps the path of a module of upstream's, without ``cloudvolume.``, to one of ours where that is the whole of
it, else to ``{our module: names}``; ``theirs=ours`` stands for a name that differs.
"""

from __future__ import annotations

import functools

_NAMES = dict[str, str]

MODULES: dict[str, str | _NAMES] = {
    "cacheservice": {
        "sources.precomputed.cache_service": "CacheService",
        "compat.storage_interfaces": "COMPRESSION_EXTENSIONS no_compression_ext",
        "compat.lib": "warn=warn_in_colour",
    },
    "chunks": "compat.chunks",
    "cloudvolume": {
        "compat.facade": "CloudVolume",
        "compat.plugins": (
            "from_cloudpath register_plugin register_annotation_plugin register_mesh_plugin "
            "REGISTERED_IMAGE_PLUGINS REGISTERED_ANNOTATION_PLUGINS REGISTERED_MESH_PLUGINS"
        ),
        "compat.configuration": "SharedConfiguration compute_num_threads INTERACTIVE",
    },
    "compression": "compat.compression",
    "connectionpools": "compat.connectionpools",
    "dask": "compat.dask_arrays",
    "datasource": {
        "compat.datasource": (
            "ImageSourceInterface NON_ALIGNED_WRITE autocropfn check_grid_aligned generate_chunks readonlyguard "
            "get_cache_path get_cache_path_helper"
        ),
        "secrets": "CLOUD_VOLUME_CACHE_DIR CLOUD_VOLUME_DIR",
    },
    "datasource.boss": {"compat.later": "create_boss", "compat.plugins": "register=register_boss"},
    "datasource.boss.image": {"compat.later": "BossImageSource"},
    "datasource.boss.metadata": {"compat.later": "BossMetadata"},
    "datasource.graphene": {
        "compat.later": "create_graphene",
        "compat.plugins": "register=register_graphene",
    },
    "datasource.graphene.mesh": {"compat.later": "GrapheneMeshSource"},
    "datasource.graphene.mesh.metadata": {"compat.later": "GrapheneMeshMetadata"},
    "datasource.graphene.mesh.sharded": {"compat.later": "GrapheneShardedMeshSource"},
    "datasource.graphene.mesh.unsharded": {"compat.later": "GrapheneUnshardedMeshSource"},
    "datasource.graphene.metadata": {
        "compat.later": (
            "GrapheneApiVersion GrapheneLabel GrapheneMetadata GraphenePath extract_graphene_path"
        )
    },
    "datasource.graphene.sharding": {"compat.later": "GrapheneShardReader"},
    "datasource.n5": {"compat.later": "create_n5", "compat.plugins": "register=register_n5"},
    "datasource.n5.image": {"compat.later": "N5ImageSource"},
    "datasource.n5.metadata": {"compat.later": "N5Metadata"},
    "datasource.precomputed": {
        "compat.plugins": (
            "create_precomputed create_precomputed_annotation create_precomputed_mesh "
            "register=register_precomputed register_annotation=register_precomputed_annotation "
            "register_mesh=register_precomputed_mesh"
        ),
        "secrets": "CLOUD_VOLUME_CACHE_DIR",
    },
    "datasource.precomputed.annotation": {"compat.later": "PrecomputedAnnotationSource"},
    "datasource.precomputed.annotation.metadata": {
        "compat.later": (
            "ANNOTATION_CLASS ANNOTATION_INFO_TYPE AnnotationType AxisAlignedBoundingBoxAnnotation "
            "EllipsoidAnnotation LabelAnnotation LineAnnotation MultiLabelAnnotation PointAnnotation "
            "PolyLineAnnotation PrecomputedAnnotationMetadata SpecificLabelAnnotation get_annotation_class"
        )
    },
    "datasource.precomputed.annotation.reader": {"compat.later": "PrecomputedAnnotationReader"},
    "datasource.precomputed.common": {
        "compat.precomputed_common": (
            "cdn_cache_control content_type should_compress compressed_morton_code morton_code_to_bbox "
            "morton_code_to_gridpt"
        )
    },
    "datasource.precomputed.image": {
        "compat.sources": "PrecomputedImageSource",
        "compat.scheduler": "DEFAULT_THREADS",
    },
    "datasource.precomputed.image.common": {
        "compat.image_common": (
            "gridpoints chunknames shade parallel_execution check_error_queue error_capturing_fn error_queue "
            "initialize_synchronization progress_queue progress_queue_listener"
        )
    },
    "datasource.precomputed.image.rx": {
        "compat.image_rx": (
            "decode decode_binary_image decode_single_voxel decode_unique download"
        ),
        "compat.scheduler": "DEFAULT_THREADS",
    },
    "datasource.precomputed.image.tx": {
        "compat.image_tx": (
            "upload upload_aligned upload_with_overwrite_partial_chunks threaded_upload_chunks child_upload_process "
            "fs_lock progress_queue"
        ),
        "compat.scheduler": "DEFAULT_THREADS",
    },
    "datasource.precomputed.image.xfer": {
        "compat.image_xfer": (
            "create_destination normalize_compression transfer_any_to_unsharded transfer_by_rerendering "
            "transfer_sharded_to_sharded transfer_unsharded_to_sharded transfer_unsharded_to_unsharded"
        )
    },
    "datasource.precomputed.mesh": {"compat.mesh_sources": "PrecomputedMeshSource"},
    "datasource.precomputed.mesh.common": {"compat.mesh_sources": "apply_transform"},
    "datasource.precomputed.mesh.metadata": {
        "sources.precomputed.mesh.metadata": "PrecomputedMeshMetadata"
    },
    "datasource.precomputed.mesh.multilod": {
        "model.mesh_manifest": (
            "MultiLevelPrecomputedMeshManifest from_stored_model_space to_stored_model_space"
        ),
        "sources.precomputed.mesh.multilod": "extract_lod_meshes",
        "sources.precomputed.mesh.multilod_sharded": "ShardedMultiLevelPrecomputedMeshSource",
        "sources.precomputed.mesh.multilod_unsharded": "UnshardedMultiLevelPrecomputedMeshSource",
    },
    "datasource.precomputed.mesh.unsharded": {
        "sources.precomputed.mesh.legacy": "UnshardedLegacyPrecomputedMeshSource filename_to_segid"
    },
    "datasource.precomputed.metadata": {
        "compat.sources": "PrecomputedMetadata",
        "compat.metadata_helpers": "downscale",
    },
    "datasource.precomputed.sharding": {
        "model.sharding": "ShardLocation",
        "compat.sharding": (
            "ShardReader ShardingSpecification compute_shard_params_for_hashed compute_shard_params_for_image "
            "image_shard_shape_from_spec synthesize_shard_file synthesize_shard_files uint64"
        ),
    },
    "datasource.precomputed.skeleton": {
        "sources.precomputed.skeleton": "PrecomputedSkeletonSource"
    },
    "datasource.precomputed.skeleton.metadata": {
        "sources.precomputed.skeleton": "PrecomputedSkeletonMetadata"
    },
    "datasource.precomputed.skeleton.sharded": {
        "sources.precomputed.skeleton": "ShardedPrecomputedSkeletonSource"
    },
    "datasource.precomputed.skeleton.unsharded": {
        "sources.precomputed.skeleton": "UnshardedPrecomputedSkeletonSource"
    },
    "datasource.precomputed.spatial_index": {
        "sources.precomputed.spatial_index": "SpatialIndex",
        "sources.precomputed.spatial_index_sql": "connect parse_db_path",
        "compat.spatial_index": (
            "CachedSpatialIndex DbType PG_BINARY_COPY_SIGNATURE insert_index_files "
            "set_journaling_to_performance_mode thread_safe_insert tostr"
        ),
    },
    "datasource.zarr": {"compat.later": "create_zarr", "compat.plugins": "register=register_zarr"},
    "datasource.zarr2": {
        "compat.later": "create_zarr2",
        "compat.plugins": "register=register_zarr2",
    },
    "datasource.zarr2.image": {"compat.later": "Zarr2ImageSource"},
    "datasource.zarr2.metadata": {"compat.later": "Zarr2Metadata"},
    "datasource.zarr3": {
        "compat.later": "create_zarr3",
        "compat.plugins": "register=register_zarr3",
    },
    "datasource.zarr3.image": {"compat.later": "Zarr3ImageSource"},
    "datasource.zarr3.metadata": {"compat.later": "Zarr3Metadata"},
    "exceptions": "errors",
    "frontends": {
        "compat.precomputed_volume": "CloudVolumePrecomputed",
        "compat.later": "CloudVolumeGraphene",
    },
    "frontends.graphene": {
        "compat.later": "CloudVolumeGraphene to_unix_time",
        "compat.lib": "warn=warn_in_colour",
    },
    "frontends.precomputed": {
        "compat.precomputed_volume": "CloudVolumePrecomputed",
        "compat.lib": "warn=warn_in_colour",
    },
    "lib": "compat.lib",
    "lru": "compat.lru",
    "mesh": {"model.mesh": "Mesh is_draco_chunk_aligned"},
    "paths": "compat.paths",
    "provenance": "model.provenance",
    "scheduler": "compat.scheduler",
    "server": "compat.server",
    "skeleton": {"deliver.skeleton": "Skeleton"},
    "storage": {"compat.storage": "Storage", "compat.scheduler": "DEFAULT_THREADS"},
    "storage.storage": {
        "compat.storage": (
            "GreenStorage SimpleStorage StorageBase ThreadedStorage WARNING_PRINTED default_byte_iterator "
            "get_interface_class"
        ),
        "compat.scheduler": "DEFAULT_THREADS",
    },
    "storage.storage_interfaces": {
        "compat.storage_interfaces": (
            "COMPRESSION_EXTENSIONS FileInterface GC_POOL GoogleCloudStorageInterface HttpInterface S3Interface "
            "S3_POOL StorageInterface keydefaultdict reset_connection_pools"
        )
    },
    "threaded_queue": "compat.threaded_queue",
    "types": "compat.type_names",
    "volumecutout": {"deliver.cutout": "VolumeCutout"},
}


@functools.cache
def _targets(module: str) -> dict[str, str]:
    """Return name to ``our module:our name`` for a module that is made of names."""
    entry = MODULES[module]
    if isinstance(entry, str):
        return {}
    found: dict[str, str] = {}
    for ours, names in entry.items():
        for name in names.split():
            theirs, _, here = name.partition("=")
            found[theirs] = f"{ours}:{here or theirs}"
    return found


def has_module(module: str) -> bool:
    """Say whether upstream has a module of a path."""
    return module in MODULES


def is_package(module: str) -> bool:
    """Say whether there are modules below it."""
    return any(name.startswith(module + ".") for name in MODULES)


def whole_module(module: str) -> str | None:
    """Return the module of ours that is the whole of one of upstream's, if one is."""
    entry = MODULES[module]
    return entry if isinstance(entry, str) else None


def target_of(module: str, name: str) -> str | None:
    """Return ``our module:our name`` of a name, or None."""
    return _targets(module).get(name)


def names_of(module: str) -> tuple[str, ...]:
    """Return the names of a module that is made of names."""
    return tuple(_targets(module))
