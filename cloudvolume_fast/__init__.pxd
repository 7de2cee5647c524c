# SPDX-License-Identifier: BSD-3-Clause
# The public Cython API is in cloudvolume_fast._core, the C++ declarations are in cloudvolume_fast.libcvfast.
