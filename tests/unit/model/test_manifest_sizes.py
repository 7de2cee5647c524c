# SPDX-License-Identifier: BSD-3-Clause
"""Sizes of fragments in manifests: by level, or one list that is filled after the manifest was made."""

from __future__ import annotations

import numpy as np
import pytest

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.mesh_manifest import MultiLevelPrecomputedMeshManifest


def make(sizes):
    return MultiLevelPrecomputedMeshManifest(
        segment_id=1,
        chunk_shape=(8, 8, 8),
        grid_origin=(0, 0, 0),
        num_lods=2,
        lod_scales=[1, 2],
        vertex_offsets=[[0, 0, 0]] * 2,
        num_fragments_per_lod=[2, 1],
        fragment_positions=[[[0, 0, 0], [1, 0, 0]], [[0, 0, 0]]],
        fragment_offsets=sizes,
    )


NESTED = make([[5, 6], [7]])


def test_one_list_of_all_levels():
    flat = make([5, 6, 7])
    assert flat.to_binary() == NESTED.to_binary()
    assert (flat.data_bytes, flat.lod_bytes(0), flat.lod_start(1)) == (18, 11, 11)


def test_list_is_filled_later():
    manifest = make([])
    for size in (5, 6, 7):
        manifest.fragment_offsets.append(size)
    assert manifest.to_binary() == NESTED.to_binary()
    assert len(manifest) == len(NESTED.to_binary())


def test_sizes_that_are_not_there_are_zero():
    read = MultiLevelPrecomputedMeshManifest.from_binary(make([5]).to_binary(), 1)
    assert [sizes.tolist() for sizes in read.fragment_offsets] == [[5, 0], [0]]


def test_more_sizes_than_fragments_raise():
    manifest = make([5, 6, 7])
    manifest.fragment_offsets.append(np.uint32(8))
    with pytest.raises(InvalidArgumentError, match="expected 3, one for each fragment, found 4"):
        manifest.to_binary()
    with pytest.raises(InvalidArgumentError, match="expected 2, one for each lod, found 1"):
        make([[5, 6]])
