# SPDX-License-Identifier: BSD-3-Clause
# Tier 2, the public Cython API: cdef functions, noexcept and nogil, with plain integers and pointers.  Cython resolves
# them when the importing module is loaded, so their users neither link anything nor need C++ headers.
#
#     from cloudvolume_fast._core cimport compressed_segmentation, fpzip, gzip, mesh, morton, murmurhash3, paint
#
# Conventions: shapes, grids and boxes are arrays of 3 int64 (x, y, z), strides are arrays of 4 int64 in bytes
# (x, y, z, channel); a function that can fail returns a StatusCode (status.pxd), 0 when all is well, and fills a
# StatusDetail unless it is given NULL.
