# SPDX-License-Identifier: BSD-3-Clause
"""Vec."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from cloudvolume_fast.model.vec import Vec


def test_integers_are_int64():
    assert Vec(1, 2, 3).dtype == np.int64


def test_small_numpy_integers_are_int64():
    assert Vec(np.uint8(1), 2, 3).dtype == np.int64


def test_one_float_makes_all_float64():
    assert Vec(1, 2.5, 3).dtype == np.float64


def test_numpy_float_is_detected():
    assert Vec(np.float32(1.5), 2, 3).tolist() == [1.5, 2.0, 3.0]


def test_dtype_can_be_given():
    assert Vec(1, 2, 3, dtype=np.float32).dtype == np.float32


def test_single_sequence_gives_components():
    assert Vec([1, 2, 3]).tolist() == [1, 2, 3]


def test_too_large_integer_raises():
    with pytest.raises(OverflowError):
        Vec(2**63, 0, 0)


def test_repr_of_integers():
    assert repr(Vec(1, 2, 3)) == "Vec(1,2,3, dtype=int64)"


def test_repr_of_floats():
    assert repr(Vec(1.5, 2, 3)) == "Vec(1.5,2.0,3.0, dtype=float64)"


def test_named_components():
    vec = Vec(1, 2, 3, 4)
    assert (vec.x, vec.y, vec.z, vec.w) == (1, 2, 3, 4)
    assert (vec.r, vec.g, vec.b, vec.a) == (1, 2, 3, 4)


def test_named_components_can_be_set():
    vec = Vec(1, 2, 3)
    vec.x, vec.g, vec.b = 7, 8, 9
    assert vec.tolist() == [7, 8, 9]


def test_absent_component_raises_index_error():
    with pytest.raises(IndexError):
        _ = Vec(1, 2).z


def test_arithmetic_stays_vec():
    result = Vec(1, 2, 3) * 2
    assert isinstance(result, Vec)
    assert result.tolist() == [2, 4, 6]


def test_slice_stays_vec():
    assert repr(Vec(1, 2, 3)[:2]) == "Vec(1,2, dtype=int64)"


def test_reductions_are_scalars():
    assert Vec(1, 2, 3).sum() == 6
    assert not isinstance(Vec(1, 2, 3).sum(), np.ndarray)
    assert Vec(1, 2, 3).max() == 3


def test_equality_is_per_component():
    assert (Vec(1, 2, 3) == Vec(1, 0, 3)).tolist() == [True, False, True]


def test_equal_vectors_of_different_dtype_hash_alike():
    assert hash(Vec(1, 2, 3)) == hash(Vec(1.0, 2.0, 3.0))


def test_hash_tells_digits_apart():
    assert hash(Vec(1, 23, 4)) != hash(Vec(12, 3, 4))


def test_clone_shares_no_memory():
    vec = Vec(1, 2, 3)
    twin = vec.clone()
    twin.x = 9
    assert vec.x == 1
    assert isinstance(twin, Vec)


def test_clamp_limits_each_component():
    clamped = Vec.clamp(Vec(-1, 5, 20), Vec(0, 0, 0), Vec(10, 10, 10))
    assert clamped.tolist() == [0, 5, 10]


def test_clamp_accepts_sequences():
    assert Vec.clamp((-1, 5, 20), [0, 0, 0], (10, 10, 10)).tolist() == [0, 5, 10]


def test_dot():
    assert Vec(1, 2, 3).dot(Vec(4, 5, 6)) == 32


def test_length_and_its_square():
    assert Vec(3, 4).length() == 5.0
    assert Vec(3, 4).length2() == 25


def test_null_allows_for_rounding():
    assert Vec(0, 0, 0).null()
    assert Vec(0.0, 0.0, 1e-12).null()
    assert not Vec(0, 0, 1).null()


def test_rect_volume():
    assert Vec(2, 3, 4).rectVolume() == 24


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_survives_copying_and_pickling(duplicate):
    result = duplicate(Vec(1, 2, 3))
    assert repr(result) == "Vec(1,2,3, dtype=int64)"
