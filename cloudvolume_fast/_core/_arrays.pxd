# SPDX-License-Identifier: BSD-3-Clause
# Private: how the Python faces look at their arrays.
from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, PyObject_GetBuffer
from libc.stdint cimport int64_t


# The caller releases the view.
cdef inline int get_strided(
    object array, Py_buffer* view, bint writable, int64_t* shape, int64_t* strides
) except -1:
    PyObject_GetBuffer(array, view, PyBUF_STRIDES | (PyBUF_WRITABLE if writable else 0))
    cdef int axis
    for axis in range(4):
        shape[axis] = view.shape[axis] if axis < view.ndim else 1
        strides[axis] = view.strides[axis] if axis < view.ndim else view.itemsize
    return 0


cdef inline int get_triple(object values, str name, int64_t* out) except -1:
    cdef int axis
    triple = tuple(values)
    if len(triple) != 3:
        raise ValueError(f"{name}: expected 3 numbers (x, y, z), found {len(triple)}")
    for axis in range(3):
        out[axis] = triple[axis]
    return 0
