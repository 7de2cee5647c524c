# SPDX-License-Identifier: BSD-3-Clause
"""Names of voxel data types."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from cloudvolume_fast.errors import InvalidArgumentError

__all__ = ["data_type_name", "parse_data_type"]

# Numpy kinds: bool, signed, unsigned, floating, complex.
_VOXEL_KINDS = frozenset("biufc")

# What the core moves as one voxel; only complex256 is wider.
_MAX_ITEM_BYTES = 16


# Any: dtype's parameter is the scalar type, known only at run time.
def parse_data_type(data_type: DTypeLike, *, key: str = "info") -> np.dtype[Any]:
    """Convert a ``data_type`` to a numpy dtype.

    Parameters
    ----------
    data_type : str or dtype-like
        Any numeric numpy name, or ``bool``.
    key : str
        What to name in an error message.

    Returns
    -------
    numpy.dtype
        In native byte order.

    Raises
    ------
    InvalidArgumentError
        ``data_type`` does not name a numeric type.

    Notes
    -----
    Member ``data_type`` of the Precomputed format's info.
    """
    try:
        dtype = None if data_type is None else np.dtype(data_type)
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if (
        dtype is None
        or dtype.kind not in _VOXEL_KINDS
        or dtype.subdtype is not None
        or dtype.itemsize > _MAX_ITEM_BYTES
    ):
        expected = "the name of a numeric numpy type such as uint8 or float32"
        raise InvalidArgumentError(
            f"{key}: data_type: expected {expected}, found {data_type!r}",
            key=key,
            expected=expected,
            found=data_type,
        )
    return dtype.newbyteorder("=")


def data_type_name(data_type: DTypeLike) -> str:
    """Return the name under which a data type is stored in an info file.

    Parameters
    ----------
    data_type : str or dtype-like

    Returns
    -------
    str

    Raises
    ------
    InvalidArgumentError
        ``data_type`` does not name a numeric type.
    """
    return parse_data_type(data_type, key="data_type").name
