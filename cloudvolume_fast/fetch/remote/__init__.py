# SPDX-License-Identifier: BSD-3-Clause
"""Layers that are not on this machine."""
