# SPDX-License-Identifier: BSD-3-Clause
"""Compiled kernels without state: each module is a Python face and, through its ``.pxd``, a Cython API."""
