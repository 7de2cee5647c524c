# SPDX-License-Identifier: BSD-3-Clause
"""Real servers on loopback: nginx, databases, and one that does everything wrong on request."""
