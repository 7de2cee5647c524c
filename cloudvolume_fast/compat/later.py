# SPDX-License-Identifier: BSD-3-Clause
"""Names of features that are not there yet: they can be imported and tested for, and whoever uses one is told so.

Programs import these at their top whether they use them or not, and ask ``isinstance(vol, CloudVolumeGraphene)``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, NoReturn

from cloudvolume_fast.compat.datasource import ImageSourceInterface
from cloudvolume_fast.compat.precomputed_volume import CloudVolumePrecomputed
from cloudvolume_fast.compat.sharding import ShardReader
from cloudvolume_fast.compat.sources import PrecomputedMetadata
from cloudvolume_fast.errors import UnsupportedFormatError


def _refuse(feature: str, what: str) -> NoReturn:
    raise UnsupportedFormatError(
        f"{what}: {feature} is not available in this version", key=what, found=feature
    )


def _method(feature: str, where: str, name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse(feature, f"{where}.{name}")

    method.__name__ = name
    method.__qualname__ = f"{where}.{name}"
    method.__doc__ = "Raise UnsupportedFormatError."
    return method


def _class(feature: str, name: str, members: str = "", *bases: type) -> Any:  # Any: a class
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        _refuse(feature, name)

    body: dict[str, Any] = {
        "__init__": __init__,
        "__doc__": f"Stands for upstream's class; making one raises, as {feature} is not available in this version.",
        "__module__": __name__,
    }
    for member in members.split():
        body[member] = _method(feature, name, member)
    return type(name, bases or (object,), body)


def _function(feature: str, name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        _refuse(feature, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Raise UnsupportedFormatError."
    return function


_IMAGE = "download upload exists delete transfer_to "

# boss

_BOSS = "format boss"
create_boss = _function(_BOSS, "create_boss")
BossImageSource = _class(_BOSS, "BossImageSource", _IMAGE, ImageSourceInterface)
BossMetadata = _class(_BOSS, "BossMetadata", "", PrecomputedMetadata)

# graphene

_GRAPHENE = "format graphene"
create_graphene = _function(_GRAPHENE, "create_graphene")
extract_graphene_path = _function(_GRAPHENE, "extract_graphene_path")
to_unix_time = _function(_GRAPHENE, "to_unix_time")
GrapheneMeshSource = _class(_GRAPHENE, "GrapheneMeshSource", "from_cloudpath")
GrapheneMeshMetadata = _class(
    _GRAPHENE, "GrapheneMeshMetadata", "sharded_mesh_dir sharding unsharded_mesh_dir"
)
GrapheneUnshardedMeshSource = _class(
    _GRAPHENE,
    "GrapheneUnshardedMeshSource",
    "compute_filename download_segid exists fetch_manifest fetch_manifest_remote get get_fragment_filenames "
    "get_fragment_labels",
)
GrapheneShardedMeshSource = _class(
    _GRAPHENE,
    "GrapheneShardedMeshSource",
    "download_segid dynamic_exists dynamic_path exists get_chunk_aligned_mask get_meshes_on_bypass "
    "get_meshes_via_manifest get_meshes_via_manifest_byte_offsets get_meshes_via_manifest_labels initial_exists "
    "initial_path parse_manifest_filenames stitch_multi_level_draco_mesh_fragments",
    GrapheneUnshardedMeshSource,
)
GrapheneApiVersion = _class(
    _GRAPHENE,
    "GrapheneApiVersion",
    "api_vx_path legacy_path path sequence_number table_path",
)
GrapheneLabel = _class(_GRAPHENE, "GrapheneLabel", "level segid x y z")
GraphenePath = _class(_GRAPHENE, "GraphenePath", "dataset fqdn modality scheme version")
GrapheneMetadata = _class(
    _GRAPHENE,
    "GrapheneMetadata",
    "base_path chunks_start_at_voxel_offset decode_chunk_id decode_chunk_position decode_chunk_position_number "
    "decode_label decode_layer_id decode_segid encode_label fan_out get_draco_grid_size graph_chunk_size info_path "
    "manifest_endpoint max_meshed_layer mesh_chunk_size mesh_metadata mesh_path n_bits_for_layer_id n_layers "
    "parse_token point_to_chunk_bbox point_to_chunk_position segid_bits spatial_bit_count spatial_bit_masks "
    "supported_api_versions supports_api table_path uniform_draco_grid_size unsharded_mesh_dir "
    "uses_new_draco_bin_size watershed_mip",
    PrecomputedMetadata,
)
GrapheneShardReader = _class(_GRAPHENE, "GrapheneShardReader", "", ShardReader)
CloudVolumeGraphene = _class(
    _GRAPHENE,
    "CloudVolumeGraphene",
    "agglomerate agglomerate_cutout download download_files get_chunk_layer get_chunk_mappings get_leaves "
    "get_leaves_legacy get_leaves_v1 get_root get_roots graph_chunk_size manifest_endpoint memory_cutout "
    "mesh_chunk_size scattered_points timestamp unique",
    CloudVolumePrecomputed,
)

# n5

_N5 = "format n5"
create_n5 = _function(_N5, "create_n5")
N5ImageSource = _class(_N5, "N5ImageSource", _IMAGE + "parse_chunk", ImageSourceInterface)
N5Metadata = _class(_N5, "N5Metadata", "compression_type info_to_attributes", PrecomputedMetadata)

# zarr

_ZARR = "format zarr"
create_zarr = _function(_ZARR, "create_zarr")
create_zarr2 = _function(_ZARR, "create_zarr2")
create_zarr3 = _function(_ZARR, "create_zarr3")
Zarr2ImageSource = _class(_ZARR, "Zarr2ImageSource", _IMAGE + "decode_chunk", ImageSourceInterface)
Zarr3ImageSource = _class(
    _ZARR, "Zarr3ImageSource", _IMAGE + "decode_chunk encode_chunk", ImageSourceInterface
)
_ZARR_METADATA = (
    "axes background_color chunk_name cv_axes_to_zarr_axes datasets dimension_separator duration_in_seconds "
    "filename_regexp has_time_axis is_group num_frames num_time_chunks render_zarr_metadata set_background_color "
    "spatial_resolution_in_nm time_chunk_size time_index time_resolution_in_seconds to_zarr_volume_size "
    "zarr_axes_to_cv_axes zarr_chunk_size zarr_format zarr_to_info "
)
Zarr2Metadata = _class(
    _ZARR,
    "Zarr2Metadata",
    _ZARR_METADATA + "compressor default_datasets default_zattrs order",
    PrecomputedMetadata,
)
Zarr3Metadata = _class(
    _ZARR,
    "Zarr3Metadata",
    _ZARR_METADATA + "chunk_key_encoding codecs compute_resolution compute_voxel_offset "
    "default_attributes directory_separator is_sharded ndim spatial_chunk_size",
    PrecomputedMetadata,
)

# annotations

_ANNOTATIONS = "annotations"
ANNOTATION_INFO_TYPE = "neuroglancer_annotations_v1"


class AnnotationType(enum.StrEnum):
    """Kinds of annotations."""

    POINT = "POINT"
    LINE = "LINE"
    AXIS_ALIGNED_BOUNDING_BOX = "AXIS_ALIGNED_BOUNDING_BOX"
    ELLIPSOID = "ELLIPSOID"
    POLYLINE = "POLYLINE"


LabelAnnotation = _class(_ANNOTATIONS, "LabelAnnotation", "crop pandas tobytes")
SpecificLabelAnnotation = _class(_ANNOTATIONS, "SpecificLabelAnnotation", "type", LabelAnnotation)
AxisAlignedBoundingBoxAnnotation = _class(
    _ANNOTATIONS, "AxisAlignedBoundingBoxAnnotation", "bbox bboxes viewer", SpecificLabelAnnotation
)
EllipsoidAnnotation = _class(
    _ANNOTATIONS, "EllipsoidAnnotation", "centers radii", SpecificLabelAnnotation
)
LineAnnotation = _class(_ANNOTATIONS, "LineAnnotation", "", SpecificLabelAnnotation)
PointAnnotation = _class(_ANNOTATIONS, "PointAnnotation", "points viewer", SpecificLabelAnnotation)
PolyLineAnnotation = _class(_ANNOTATIONS, "PolyLineAnnotation", "", SpecificLabelAnnotation)
MultiLabelAnnotation = _class(
    _ANNOTATIONS, "MultiLabelAnnotation", "crop pandas split_by_id viewer"
)
ANNOTATION_CLASS = {
    AnnotationType.POINT: PointAnnotation,
    AnnotationType.LINE: LineAnnotation,
    AnnotationType.ELLIPSOID: EllipsoidAnnotation,
    AnnotationType.AXIS_ALIGNED_BOUNDING_BOX: AxisAlignedBoundingBoxAnnotation,
    AnnotationType.POLYLINE: PolyLineAnnotation,
}
PrecomputedAnnotationMetadata = _class(
    _ANNOTATIONS,
    "PrecomputedAnnotationMetadata",
    "annotation_dtype annotation_type bounds chunk_size default_info dimensions fetch_info grid_shape has_id_index "
    "has_spatial_index is_id_index_sharded join ndim properties properties_enum properties_summary property_names "
    "rank relationships",
)
PrecomputedAnnotationReader = _class(
    _ANNOTATIONS,
    "PrecomputedAnnotationReader",
    "get_all get_by_bbox get_by_id get_by_relationship ids",
)
PrecomputedAnnotationSource = _class(
    _ANNOTATIONS,
    "PrecomputedAnnotationSource",
    "__getitem__ get_all get_by_bbox get_by_id get_by_relationship ids summary",
)


def get_annotation_class(type: AnnotationType) -> Any:  # Any: one of the classes above
    """Return the class of a kind of annotations."""
    return ANNOTATION_CLASS[AnnotationType(type)]
