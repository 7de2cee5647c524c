# SPDX-License-Identifier: BSD-3-Clause
"""Strided copies, fills and label sets of arrays with up to four axes."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Label = TypeVar("_Label", np.uint8, np.uint16, np.uint32, np.uint64)

# Any: the copy moves bytes and looks at no value.
def copy_array(src: NDArray[Any], dst: NDArray[Any]) -> None:
    """Copy one array into another of the same shape, whatever the order and strides of each.

    Unlike ``dst[...] = src`` it is blocked when the fastest axes differ (C against Fortran order), and it releases
    the GIL.

    Parameters
    ----------
    src : ndarray, at most 4 axes, any strides
        Any dtype without Python objects.
    dst : ndarray, same dtype and shape, any strides
        Written; apart from ``src`` in memory.

    Raises
    ------
    InvalidArgumentError
        If dtypes or shapes differ, ``dst`` is read-only, the two may overlap, or there are more than 4 axes.
    TypeError
        If one is no array.
    """

def fill_array(dst: NDArray[Any], value: object) -> None:
    """Set every item to one value, without the GIL.

    Parameters
    ----------
    dst : ndarray, at most 4 axes, any strides
        Written.
    value : scalar
        Converted to the dtype of ``dst`` as numpy does.

    Raises
    ------
    InvalidArgumentError
        If ``dst`` is read-only, has more than 4 axes or holds Python objects, or ``value`` is no scalar.
    TypeError
        If ``dst`` is no array.
    """

def array_equals(array: NDArray[Any], value: object) -> bool:
    """Tell whether every item equals one value bit by bit; true for an empty array.

    Parameters
    ----------
    array : ndarray, at most 4 axes, any strides
        Any dtype without Python objects.
    value : scalar
        Converted to the dtype of ``array`` as numpy does.

    Returns
    -------
    bool
        ``-0.0`` does not equal ``0.0``, and a NaN equals itself.

    Raises
    ------
    InvalidArgumentError
        If ``array`` has more than 4 axes or holds Python objects, or ``value`` is no scalar.
    TypeError
        If ``array`` is no array.
    """

def unique(labels: NDArray[_Label]) -> NDArray[_Label]:
    """Return the distinct labels.

    Parameters
    ----------
    labels : ndarray of unsigned integers, at most 4 axes, any strides
        Native byte order.

    Returns
    -------
    ndarray of the same dtype, shape (n,)
        Ascending, without duplicates.

    Raises
    ------
    InvalidArgumentError
        If the dtype is not a native unsigned integer, or there are more than 4 axes.
    MemoryError
        If memory ran out.
    TypeError
        If ``labels`` is no array.
    """
