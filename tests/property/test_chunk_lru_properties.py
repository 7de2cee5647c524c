# SPDX-License-Identifier: BSD-3-Clause
"""Whatever is read, written and deleted in whatever order, a volume with a cache answers as one without."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import support
from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast import Bbox, CloudVolume

SIZE = (20, 12, 9)
MIPS = 2
KINDS = [
    *["read"] * 3,
    "points",
    "unique",
    "label",
    "exists",
    *["write"] * 2,
    "delete",
    "resize",
    "clear",
]


@st.composite
def boxes(draw: st.DrawFn, mip: int, *, aligned: bool = False) -> tuple[int, ...]:
    low, high = [], []
    for extent in (-(-n // 2**mip) if axis < 2 else n for axis, n in enumerate(SIZE)):
        if aligned:
            first = draw(st.integers(0, (extent - 1) // 8))
            last = draw(st.integers(first + 1, -(-extent // 8)))
            low.append(8 * first)
            high.append(min(extent, 8 * last))
        else:
            low.append(draw(st.integers(0, extent - 1)))
            high.append(draw(st.integers(low[-1] + 1, extent)))
    return (*low, *high)


@st.composite
def steps(draw: st.DrawFn) -> tuple[Any, ...]:
    kind = draw(st.sampled_from(KINDS))
    mip = draw(st.integers(0, MIPS - 1))
    box = draw(boxes(mip, aligned=kind == "delete"))
    return kind, mip, box, draw(st.integers(0, 5))


def apply(vol: CloudVolume, step: tuple[Any, ...]) -> Any:
    kind, mip, box, value = step
    vol.mip = mip
    bbox = Bbox(box[:3], box[3:])
    if kind == "read":
        return np.asarray(vol[bbox]).tolist()
    if kind == "points":
        return vol.image.download_points([box[:3], [n - 1 for n in box[3:]]], mip)
    if kind == "unique":
        return vol.unique(bbox)
    if kind == "label":
        return vol.download(bbox, label=value).tolist()
    if kind == "exists":
        return vol.exists(bbox)
    if kind == "write":
        vol[bbox] = np.uint32(value)
    elif kind == "delete":
        vol.delete(bbox)
    elif kind == "resize":
        vol.image.lru.resize(value * 3000)
    elif kind == "clear":
        vol.image.lru.clear()
    return None


@given(
    st.lists(steps(), min_size=3, max_size=25),
    st.sampled_from(["raw", "compressed_segmentation"]),
    st.sampled_from(["same", "raw", "compressed_segmentation"]),
    st.sampled_from([1 << 20, 9000, 3000]),
)
def test_reads_are_those_without_a_cache(
    sequence: list[Any], stored: str, held: str, limit: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        info = support.make_info(size=SIZE, encoding=stored)
        settings: dict[str, Any] = {"fill_missing": True, "non_aligned_writes": True}
        volumes = []
        for name, extra in (("plain", {}), ("held", {"lru_bytes": limit, "lru_encoding": held})):
            vol = CloudVolume(f"file://{Path(folder) / name}", info=info, **settings, **extra)
            if len(vol.available_mips) < MIPS:
                vol.add_scale((2, 2, 1), chunk_size=(8, 8, 8))
            vol.commit_info()
            volumes.append(vol)
        for step in sequence:
            plain, cached = (apply(vol, step) for vol in volumes)
            assert plain == cached, step
            assert volumes[1].image.lru.nbytes <= max(volumes[1].image.lru.size, 0)
