# SPDX-License-Identifier: BSD-3-Clause
"""How programs are started that are not what is tested."""

from __future__ import annotations

import os


def bare_environment(**members: str) -> dict[str, str]:
    """Return this process's environment for a program that is not ours.

    A sanitizer's runtime is loaded ahead of the interpreter by ``LD_PRELOAD``, which programs inherit.  Servers gain
    nothing by it but being slow, and PostgreSQL waits for ever for a lock of the C library as it starts.
    """
    return {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | members
