# SPDX-License-Identifier: BSD-3-Clause
# Tier 1: declarations of the C++ headers that cloudvolume_fast.get_include() leads to, one .pxd per header, no code.
# What a header defines inline (boxes, Status, loads) needs nothing but that folder and -std=c++20.  What a header only
# declares is compiled into the package's own extensions: reach it through the functions of cloudvolume_fast._core.
