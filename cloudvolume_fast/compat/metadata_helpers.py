# SPDX-License-Identifier: BSD-3-Clause
"""Functions of ``cloudvolume.datasource.precomputed.metadata``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def downscale(
    size: Sequence[int], factor_in_mip: Sequence[float], roundingfn: Callable[[Any], Any]
) -> list[int]:
    """Return a size divided by factors, each axis rounded by a function such as `numpy.ceil`."""
    quotient = np.asarray(size, np.float64) / np.asarray(factor_in_mip, np.float64)
    return [int(value) for value in roundingfn(quotient)]
