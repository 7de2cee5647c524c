# SPDX-License-Identifier: BSD-3-Clause
"""Names of data types."""

from __future__ import annotations

import numpy as np
import pytest

from cloudvolume_fast.model.dtypes import data_type_name, parse_data_type


@pytest.mark.parametrize(
    "name",
    [
        "bool",
        "uint8",
        "int8",
        "uint16",
        "int32",
        "uint64",
        "int64",
        "float16",
        "float32",
        "float64",
    ],
)
def test_numeric_names_are_known(name):
    assert parse_data_type(name) == np.dtype(name)


@pytest.mark.parametrize(
    "name",
    ["object", "str", "bytes", "datetime64[ns]", "U5", "V8", "S3", "u1,u2", "foo", "", None, "2u1"],
)
def test_other_names_are_rejected(name):
    with pytest.raises(ValueError, match="data_type"):
        parse_data_type(name)


@pytest.mark.parametrize("data_type", [np.uint64, "uint64", np.dtype("uint64"), ">u8", "<u8"])
def test_name_under_which_a_type_is_stored(data_type):
    assert data_type_name(data_type) == "uint64"


def test_byte_order_is_native():
    assert parse_data_type(">u4").isnative
