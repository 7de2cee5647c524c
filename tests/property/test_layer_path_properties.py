# SPDX-License-Identifier: BSD-3-Clause
"""Paths of layers, drawn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast.errors import UnsupportedFormatError, UnsupportedProtocolError
from cloudvolume_fast.model.layer_path import FORMATS, PROTOCOLS, parse_layer_path

segment = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,8}", fullmatch=True)


@given(
    st.sampled_from([name for name in FORMATS if name != "boss"]),
    st.sampled_from([name for name in PROTOCOLS if name != "file"]),
    st.lists(segment, min_size=1, max_size=5),
)
def test_well_formed_path_round_trips(layer_format, protocol, segments):
    text = f"{layer_format}://{protocol}://{'/'.join(segments)}"
    path = parse_layer_path(text)
    assert path.qualified_cloudpath == text
    assert path.layer == segments[-1]
    assert path.bucket == segments[0]
    assert parse_layer_path(path.qualified_cloudpath + "/") == path


@given(st.lists(segment, min_size=1, max_size=5))
def test_local_path_round_trips(segments):
    text = "/" + "/".join(segments)
    path = parse_layer_path(text)
    assert str(path.local_directory) == text
    assert parse_layer_path(path.cloudpath) == path


@given(st.text() | st.from_regex(r"[a-z3:/|.~]{0,20}"))
def test_any_text_is_a_path_or_an_unsupported_one(text):
    try:
        path = parse_layer_path(text)
    except (UnsupportedFormatError, UnsupportedProtocolError):
        return
    assert path.layer
    assert path.bucket
    assert parse_layer_path(path.qualified_cloudpath) == path
