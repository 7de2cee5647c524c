# SPDX-License-Identifier: BSD-3-Clause
"""``python -m cloudvolume_fast``: the command line, see `cloudvolume_fast.cli`."""

from __future__ import annotations

import sys

from cloudvolume_fast.cli import main

if __name__ == "__main__":
    sys.exit(main())
