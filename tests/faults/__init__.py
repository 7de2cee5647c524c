# SPDX-License-Identifier: BSD-3-Clause
"""Reads from a server that fails at random."""
