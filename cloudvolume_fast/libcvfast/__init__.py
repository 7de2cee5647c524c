# SPDX-License-Identifier: BSD-3-Clause
"""Cython declarations of the C++ headers; see ``cloudvolume_fast.get_include``."""
