# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Deadlines measure the machine, not the code; "ci" also makes runs repeatable.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True, scope="session")
def _expected_installation() -> None:
    """Under a sanitizer the package of that build must be tested, not an installed one."""
    prefix = os.environ.get("CVFAST_EXPECT_PREFIX")
    if prefix is None:
        return
    import cloudvolume_fast
    from cloudvolume_fast._core import paint

    for module in (cloudvolume_fast, paint):
        assert Path(module.__file__).resolve().is_relative_to(Path(prefix).resolve())
