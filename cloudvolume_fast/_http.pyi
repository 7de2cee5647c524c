# SPDX-License-Identifier: BSD-3-Clause
"""What carries the requests of `_runtime`, which loads this with the first remote layer."""

from typing import Any

transport: Any  # a capsule for _runtime
