# SPDX-License-Identifier: BSD-3-Clause
"""Which chunks are stored, and their removal."""

from __future__ import annotations

import numpy as np
import pytest

from cloudvolume_fast import Bbox
from cloudvolume_fast.errors import AlignmentError, OutOfBoundsError, ReadOnlyException

FIRST = np.s_[10:18, -20:-12, 30:34]


@pytest.fixture
def layer(make_layer):
    return make_layer()


@pytest.fixture
def sparse(make_layer):
    layer = make_layer(data=False)
    layer.open()[FIRST] = 1
    return layer


def names(layer):
    return {path.name for path in (layer.folder / "4_4_40").iterdir()}


# exists.


@pytest.mark.parametrize(
    "box",
    [
        np.s_[10:26, -20:-12, 30:34],
        Bbox((10, -20, 30), (26, -12, 34)),
        np.s_[11:19, -20:-19, 31:32],
    ],
)
def test_every_touched_chunk_is_listed(sparse, box):
    assert sparse.open().exists(box) == {
        "4_4_40/10-18_-20--12_30-34": True,
        "4_4_40/18-26_-20--12_30-34": False,
    }


def test_exists_of_everything(sparse):
    found = sparse.open().exists(np.s_[:])
    assert (len(found), sum(found.values())) == (27, 1)


def test_exists_names_edge_chunks_by_their_end(layer):
    assert layer.open().exists(np.s_[29:30, -3:-2, 38:39]) == {"4_4_40/26-30_-4--2_38-39": True}


@pytest.mark.parametrize("compress", [False, "gzip", "br", "zstd", "xz", "bz2"])
def test_exists_whatever_the_compression(make_layer, compress):
    layer = make_layer(compress=compress)
    assert all(layer.open().exists(np.s_[:]).values())


def test_exists_values_are_plain(layer):
    assert {type(value) for value in layer.open().exists(np.s_[:]).values()} == {bool}


@pytest.mark.parametrize("settings", [{}, {"autocrop": True}, {"bounded": False}])
def test_exists_outside_raises(sparse, settings):
    with pytest.raises(OutOfBoundsError):
        sparse.open(**settings).exists(np.s_[0:18, -20:-12, 30:34])


def test_exists_in_a_folder_that_is_not_there(make_layer):
    assert not any(make_layer(data=False).open().exists(np.s_[:]).values())


def test_image_exists_at_another_mip(make_layer):
    layer = make_layer(max_mip=1)
    found = layer.open().image.exists(np.s_[5:13, -10:-2, 30:34], mip=1)
    assert found == {"8_8_40/5-13_-10--2_30-34": False}


# has_data.


def test_has_data(make_layer):
    layer = make_layer(max_mip=1)
    image = layer.open().image
    assert (image.has_data(0), image.has_data(1), image.has_data()) == (True, False, True)


# delete.


@pytest.mark.parametrize("box", [FIRST, Bbox((10, -20, 30), (18, -12, 34))])
def test_delete_removes_the_chunks_of_the_box(layer, box):
    before = names(layer)
    assert layer.open().delete(box) is None
    assert before - names(layer) == {"10-18_-20--12_30-34.gz"}


def test_delete_up_to_the_volumes_end(layer):
    layer.open().delete(np.s_[26:30, -4:-2, 38:39])
    assert len(names(layer)) == 26


def test_delete_everything(layer):
    layer.open().delete(np.s_[:])
    assert names(layer) == set()


def test_delete_removes_every_copy(layer):
    path = layer.folder / "4_4_40" / "10-18_-20--12_30-34"
    for suffix in ("", ".br", ".zstd", ".xz", ".bz2"):
        path.with_name(path.name + suffix).write_bytes(b"x")
    layer.open().delete(FIRST)
    assert not {name for name in names(layer) if name.startswith(path.name)}


def test_delete_of_absent_chunks_is_no_error(sparse):
    sparse.open().delete(np.s_[:])
    sparse.open().delete(np.s_[:])


def test_delete_in_a_folder_that_is_not_there(make_layer):
    layer = make_layer(data=False)
    layer.open().delete(np.s_[:])
    assert not (layer.folder / "4_4_40").exists()


def test_delete_of_an_unaligned_box_raises(layer):
    before = names(layer)
    with pytest.raises(AlignmentError):
        layer.open().delete(np.s_[11:18, -20:-12, 30:34])
    assert names(layer) == before


def test_delete_outside_raises(layer):
    with pytest.raises(OutOfBoundsError):
        layer.open().delete(np.s_[2:18, -20:-12, 30:34])


def test_delete_of_a_locked_mip_raises(layer):
    vol = layer.open()
    vol.meta.lock_mips([0])
    with pytest.raises(ReadOnlyException):
        vol.delete(FIRST)
    assert len(names(layer)) == 27
