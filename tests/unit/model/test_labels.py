# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudvolume_fast.errors import InvalidArgumentError
from cloudvolume_fast.model.labels import as_label, as_labels, is_scalar

MOST = 2**64 - 1


@pytest.mark.parametrize("value", [0, MOST, np.uint64(MOST), np.int8(3), np.array(5)])
def test_integers_are_labels(value: Any):
    assert as_label(value) == int(value)
    assert type(as_label(value)) is int


NO_LABELS = [-1, 2**64, 1.0, np.float64(1), "1", b"1", None, np.int64(-1), [1], (1,)]


@pytest.mark.parametrize("value", NO_LABELS)
def test_anything_else_is_not(value: Any):
    with pytest.raises(InvalidArgumentError, match="expected an integer of 0 to") as info:
        as_label(value)
    assert info.value.found is value


@pytest.mark.parametrize("value", NO_LABELS)
@pytest.mark.parametrize("first", [1, np.uint64(1)])
def test_one_that_is_not_spoils_many(value: Any, first: Any):
    for values in ([first, value], (first, value), iter([first, value])):
        with pytest.raises(InvalidArgumentError, match="expected an integer of 0 to"):
            as_labels(values)


@pytest.mark.parametrize(
    "values",
    [
        [0, 2**63, MOST],
        (np.uint64(0), np.uint64(2**63), MOST),
        np.array([0, 2**63, MOST], dtype=np.uint64),
        np.array([0, 2**63, MOST], dtype=object),
        np.array([0, 2**63, MOST], dtype=">u8"),
        np.array([[0], [2**63], [MOST]], dtype=np.uint64),
        {0: "a", 2**63: "b", MOST: "c"}.keys(),
        iter([0, 2**63, MOST]),
    ],
)
def test_many_are_exact(values: Any):
    found = as_labels(values)
    assert found.dtype == np.uint64
    assert found.flags.c_contiguous
    assert found.tolist() == [0, 2**63, MOST]


@pytest.mark.parametrize("values", [[], (), set(), np.array([], dtype=np.uint8), np.array([])])
def test_none_are_no_labels(values: Any):
    assert as_labels(values).shape == (0,)


@pytest.mark.parametrize(
    "values",
    ["12345678", b"12345678", bytearray(8), np.array([1.0]), np.array([-1]), np.array(["1"])],
)
def test_other_arrays_and_texts_are_refused(values: Any):
    with pytest.raises(InvalidArgumentError, match="expected an integer of 0 to"):
        as_labels(values)


def test_scalars_are_told_from_many():
    assert [is_scalar(x) for x in (1, np.uint64(1), np.array(1), "1", b"1", None)] == [True] * 6
    assert [is_scalar(x) for x in ([1], (1,), {1}, np.array([1]), range(1), iter([1]))] == [
        False
    ] * 6
