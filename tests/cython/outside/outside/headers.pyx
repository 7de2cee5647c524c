# SPDX-License-Identifier: BSD-3-Clause
# cython: freethreading_compatible=True
# The C++ headers themselves, through libcvfast.
from libc.stdint cimport uint32_t

from cloudvolume_fast.libcvfast.box cimport Box3, contains, fortran_strides, intersect
from cloudvolume_fast.libcvfast.endian cimport load_le
from cloudvolume_fast.libcvfast.std cimport byte


cdef Box3 make_box(corners) except *:
    cdef Box3 box
    cdef int axis
    for axis in range(3):
        box.min[axis] = corners[0][axis]
        box.max[axis] = corners[1][axis]
    return box


def shared_shape(a, b):
    cdef Box3 box = intersect(make_box(a), make_box(b))
    assert contains(make_box(a), box)
    return (box.shape()[0], box.shape()[1], box.shape()[2])


def strides(box, item_size):
    cdef Box3 cbox = make_box(box)
    out = fortran_strides(cbox.shape(), item_size)
    return (out[0], out[1], out[2], out[3])


def first_word(const unsigned char[::1] data):
    return load_le[uint32_t](<const byte*> &data[0])
