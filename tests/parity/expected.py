# SPDX-License-Identifier: BSD-3-Clause
"""The calls of `compare` whose results are meant to differ from cloud-volume's, by reason.

Each reason is a row of ``cloudvolume_fast/compat/deviations.md``.
"""

from __future__ import annotations

CLOSE_REASON = (
    "positions of levels of detail are computed in double precision: a float32's last place"
)

REASONS = {
    "single voxels and background are VolumeCutouts, of shape (1, 1, 1, c)": """
        get_float_negative get_ints get_np_ints get_unbounded_fill_outside_wholly get_channels_ints download_single
        download_single_channels raw_uint32_single_label raw_uint64_single_label point_one
        compressed_segmentation_uint32_single_label compressed_segmentation_uint64_single_label roi_outside
        roi_background""",
    "reads with steps are in Fortran order": "get_steps get_step_beyond",
    "steps apply to channels too": "get_channels_step",
    "lists of points: uneven and empty ones, outside of unbounded volumes": """
        get_points_uneven get_points_empty get_points_mixed get_unbounded_points_outside
        get_unbounded_autocrop_points_outside get_background_points_outside""",
    "what is no index is a ValueError; vectors and arrays are as tuples": "get_none get_vec get_array_index",
    "numbers of renumber follow the order in memory, and have the background": """
        raw_uint32_renumber raw_uint32_single_renumber raw_uint64_renumber raw_uint64_single_renumber
        compressed_segmentation_uint32_renumber compressed_segmentation_uint32_single_renumber
        compressed_segmentation_uint64_renumber compressed_segmentation_uint64_single_renumber segids_renumber
        renumber_many renumber_background renumber_image""",
    "segids may be any iterable of any integers": """
        raw_uint32_segids compressed_segmentation_uint32_segids segids_set segids_array""",
    "label and segids exclude each other": "label_segids",
    "the bounds are those of the mip asked for": "mip_download_outside_mip0",
    "unique gives values of the volume's type": "missing_unique_fill",
    "label outside of regions of interest compares the background": "roi_label",
    "assignment to a box in nm converts it": "set_bbox_nm",
    "values that the type cannot hold are a ValueError": "set_list set_scalar_negative set_scalar_300",
    "absent chunks under a merged write are background_color": "set_unaligned_merge_fill_background",
    "fewer channels than the volume's are an AlignmentError": "set_channels_3d_given",
    "assignment to a list of points is a ValueError": "set_points",
    "mips to lock are from 0": "lock_negative",
    "shapes are of Python integers": "property_shape mip_shape",
    "options are checked when they are given": "set_property_cdn_cache open_compress_unknown",
    "add_scale writes the block size as a list of its own": "add_scale_cseg",
    "unknown formats are an UnsupportedFormatError": "open_bad_format",
    "volumes are instances of CloudVolume": "open_type",
    "redirected volumes are read only": "redirect_1_write",
    "cutouts keep their dataset, and reduce to scalars": "cutout_dataset_name cutout_sum cutout_mean",
    "divisors are integers": """
        lib_divisors_1 lib_divisors_2 lib_divisors_3 lib_divisors_4 lib_find_closest_divisor_0
        lib_find_closest_divisor_2 lib_find_closest_divisor_4""",
    "units: a yard is exact, prefixes go with every unit": """
        lib_spatial_unit_in_meters_6 lib_spatial_unit_in_meters_7""",
    "remap of raw chunks remaps": "chunks_remap_raw",
    "points below the grid are a ValueError": "common_morton_3",
    "grid points of boxes that cut chunks are those of the chunks": """
        common_gridpoints_1 common_chunknames_1""",
    "LRU: pop and values give values, the limit in bytes holds": "lru_pop lru_bytes lru_values",
    "ThreadedQueue without threads works in a with statement": "queue_0 queue_error_0",
    "transfer_to: transcoded chunks are compressed as written ones are": "transfer_encoding",
    "transfer_to: boxes that cut chunks are not expanded": "transfer_unaligned",
    "the spatial index has nothing outside of the layer": """
        skeleton_igneous_files_index_query_outside skeleton_igneous_sharded_index_query_outside""",
    "multi-resolution meshes: where there are some is told by their files, one label may be asked for": """
        mesh_multilod_unsharded_file_exists mesh_multilod_unsharded_mem_exists mesh_multilod_unsharded_http_exists
        mesh_multilod_unsharded_exists_one mesh_multilod_sharded_exists_one""",
    "absent multi-resolution meshes are a MeshMissingError": """
        mesh_multilod_unsharded_get_absent mesh_multilod_unsharded_get_some_absent""",
    "meshes know their label": "mesh_multilod_unsharded_segid mesh_multilod_sharded_segid",
    "sharded sources can be pickled": "mesh_multilod_sharded_pickle skeleton_igneous_sharded_pickle",
    "Draco fragments of legacy meshes are decoded": "mesh_legacy_draco_get",
    "the last level of detail is -1": "mesh_multilod_unsharded_lod_last",
    CLOSE_REASON: """
        mesh_multilod_unsharded_file_get_one mesh_multilod_unsharded_file_get_several
        mesh_multilod_unsharded_mem_get_one mesh_multilod_unsharded_mem_get_several
        mesh_multilod_unsharded_http_get_one mesh_multilod_unsharded_http_get_several
        mesh_multilod_unsharded_get_large mesh_multilod_unsharded_get_array mesh_multilod_unsharded_get_set
        mesh_multilod_unsharded_pickle mesh_multilod_unsharded_consolidate mesh_multilod_unsharded_crop
        mesh_multilod_unsharded_triangles mesh_multilod_unsharded_lod_1 mesh_multilod_sharded_file_get_one
        mesh_multilod_sharded_file_get_several mesh_multilod_sharded_mem_get_one
        mesh_multilod_sharded_mem_get_several mesh_multilod_sharded_http_get_one
        mesh_multilod_sharded_http_get_several mesh_multilod_sharded_get_large mesh_multilod_sharded_get_array
        mesh_multilod_sharded_get_set mesh_multilod_sharded_consolidate mesh_multilod_sharded_crop
        mesh_multilod_sharded_triangles mesh_multilod_sharded_lod_1 mesh_multilod_sharded_lod_last""",
    "fragments of meshes are float32": "mesh_multilod_unsharded_parts mesh_multilod_sharded_parts",
    "skeletons of other attributes than the info's are refused before they are written": "skeleton_files_upload_raw",
    "raw volumes in memory can be read": """
        remote_mem_cv_raw_gzip_all remote_mem_cv_raw_gzip_corner remote_mem_cv_raw_gzip_points
        remote_mem_cv_raw_gzip_unique remote_mem_cv_raw_gzip_write""",
    "places that can only be read are a ChunkWriteError, an OSError": """
        remote_http_cv_raw_gzip_write remote_http_cv_raw_gzip_delete remote_http_cv_cseg_uint64_111_0_write
        remote_http_cv_cseg_uint64_111_0_delete""",
    "provenance may be assigned in any form": """
        provenance_edit_assigned_dict provenance_edit_assigned_partial provenance_edit_assigned_text""",
}
"""Reason to the names of calls."""

CLOSE = frozenset(REASONS[CLOSE_REASON].split())
"""Calls that may differ in the last place of coordinates, and in nothing else."""

EXPECTED = {name: reason for reason, names in REASONS.items() for name in names.split()}
"""Name of a call to its reason."""
