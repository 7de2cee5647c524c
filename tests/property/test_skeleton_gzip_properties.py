# SPDX-License-Identifier: BSD-3-Clause
"""Files of skeletons have an encoder of their own, whose streams every decoder of gzip must read."""

from __future__ import annotations

import gzip
import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudvolume_fast._core.gzip import compress_bytes, decompress_bytes

LEVEL = 6
LIMIT = 1 << 20


@st.composite
def shaped(draw: st.DrawFn) -> bytes:
    """Bytes of many kinds behind counts of vertices and edges; some fit, some do not."""
    num_vertices = draw(st.integers(1, 1500))
    num_edges = draw(st.integers(0, 1500))
    rest = draw(st.integers(0, 3)) * num_vertices + draw(st.sampled_from([0, 0, 0, 1]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    num_words = 3 * num_vertices + 2 * num_edges
    kind = draw(st.sampled_from(["noise", "steps", "few", "same", "floats"]))
    if kind == "noise":
        words = rng.integers(0, 2**32, num_words)
    elif kind == "steps":
        words = np.cumsum(rng.integers(-3, 4, num_words)) % 2**32
    elif kind == "few":
        words = rng.choice(rng.integers(0, 2**32, draw(st.integers(1, 500))), num_words)
    elif kind == "same":
        words = np.full(num_words, draw(st.integers(0, 2**32 - 1)))
    else:
        steps = rng.normal(0, draw(st.sampled_from([1, 100, 1e30])), num_words)
        words = np.cumsum(steps).astype("<f4").view("<u4")
    head = np.array([num_vertices, num_edges], "<u4").tobytes()
    tail = rng.integers(0, draw(st.integers(1, 256)), rest).astype(np.uint8).tobytes()
    return head + words.astype("<u4").tobytes() + tail


@given(shaped())
@settings(max_examples=300)
def test_every_decoder_reads_what_is_written(content: bytes) -> None:
    stored = compress_bytes(content, level=LEVEL)
    assert gzip.decompress(stored) == content
    assert zlib.decompress(stored, wbits=31) == content
    assert decompress_bytes(stored, limit_bytes=LIMIT) == content
    assert len(stored) <= len(content) + 5 * (len(content) // 65535 + 1) + 18
    assert compress_bytes(content, level=LEVEL) == stored


@st.composite
def walks(draw: st.DrawFn) -> bytes:
    """Skeletons of one path over a grid, whose vertices are stored along the path or in no order."""
    num_vertices = draw(st.integers(160, 1000))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    most, scale = draw(st.integers(1, 5)), draw(st.sampled_from([0.1, 0.5, 4.0, 16.0, 40.0]))
    steps = rng.integers(-most, most + 1, (num_vertices, 3))
    order = rng.permutation(num_vertices) if draw(st.booleans()) else np.arange(num_vertices)
    at = np.argsort(order)
    vertices = (np.cumsum(steps, 0)[order] * scale).astype("<f4")
    edges = np.stack([at[:-1], at[1:]], axis=1).astype("<u4")
    radii = np.abs(rng.normal(100, 30, num_vertices)).astype("<f4")
    head = np.array([num_vertices, len(edges)], "<u4")
    return b"".join(part.tobytes() for part in (head, vertices, edges, radii))


@given(walks())
@settings(max_examples=200)
def test_skeletons_are_at_most_a_tenth_larger_than_zlib_makes_them(content: bytes) -> None:
    stored = compress_bytes(content, level=LEVEL)
    assert len(stored) <= 1.1 * len(zlib.compress(content, LEVEL)) + 20
