# SPDX-License-Identifier: BSD-3-Clause
"""The types that upstream annotates its signatures with."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, Optional, Union

CompressType = Optional[Union[str, bool]]  # noqa: UP007,UP045 - evaluated by users' annotations
ParallelType = Union[int, bool]  # noqa: UP007
CacheType = Union[bool, str]  # noqa: UP007
SecretsType = Optional[Union[str, dict[str, Any]]]  # noqa: UP007,UP045
ProgressType = Optional[Union[str, bool]]  # noqa: UP007,UP045
MipType = Union[int, list[int]]  # noqa: UP007
ShapeType = Union[tuple[int, int, int], Sequence[int]]  # noqa: UP007
StrEnum = enum.StrEnum
