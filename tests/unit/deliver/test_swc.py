# SPDX-License-Identifier: BSD-3-Clause
"""SWC in and out: forests, roots of every spelling, and lines that make no sense."""

from __future__ import annotations

import math
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from cloudvolume_fast import Skeleton
from cloudvolume_fast.errors import SkeletonDecodeError

HEADER = "# ORIGINAL_SOURCE somewhere\n# SCALE 1.0 1.0 1.0\n\n"


def rows(text: str) -> list[list[float]]:
    return [
        [float(value) for value in line.split()]
        for line in text.splitlines()
        if line and not line.startswith("#")
    ]


@pytest.mark.parametrize("separator", [" ", "\t", "  ", " \t "])
@pytest.mark.parametrize("root", [-1, 0])
def test_columns_and_roots_of_any_spelling_are_read(separator: str, root: int) -> None:
    lines = [[1, 1, 0.5, 0, 0, 2, root], [2, 2, 1, 0, 0, "N/A", 1], [3, 0, 2, 0, 0, 1, 1]]
    text = HEADER + "\n".join(" " + separator.join(map(str, line)) for line in lines)
    skeleton = Skeleton.from_swc(text + "  # the end\n\n")
    assert skeleton.vertices.tolist() == [[0.5, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert skeleton.edges.tolist() == [[0, 1], [0, 2]]
    assert skeleton.radius.tolist() == [2, -1, 1]
    assert skeleton.vertex_types.tolist() == [1, 2, 0]
    assert (skeleton.edges.dtype, skeleton.vertices.dtype) == (np.uint32, np.float32)


def test_zero_is_an_id_where_a_vertex_has_it() -> None:
    skeleton = Skeleton.from_swc("0 0 0 0 0 1 -1\n1 0 1 0 0 1 0\n")
    assert skeleton.edges.tolist() == [[0, 1]]


def test_parents_may_come_later_and_ids_be_any() -> None:
    skeleton = Skeleton.from_swc("70 0 0 0 0 1 900\n900 0 1 0 0 1 -1\n")
    assert skeleton.edges.tolist() == [[0, 1]]


@pytest.mark.parametrize("text", ["", "\n", HEADER, "# nothing"])
def test_no_rows_are_no_vertices(text: str) -> None:
    skeleton = Skeleton.from_swc(text)
    assert skeleton.vertices.shape == (0, 3)
    assert skeleton.edges.shape == (0, 2)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("1 0 0 0 0 1", "line 4: expected 7 columns"),
        ("a 0 0 0 0 1 -1", "line 4: expected id"),
        ("1.5 0 0 0 0 1 -1", "line 4: expected id"),
        ("1 0 x 0 0 1 -1", "line 4: expected id"),
        ("1 256 0 0 0 1 -1", "type of 0 to 255"),
        ("1 0 0 0 0 1 5", "a parent that is there, found '5'"),
        ("1 0 0 0 0 1 1", "other than itself"),
        ("1 0 0 0 0 1 -1\n1 0 0 0 0 1 -1", "line 5: expected an id other than 1"),
    ],
)
def test_lines_that_make_no_sense_are_named(line: str, sentence: str) -> None:
    with pytest.raises(SkeletonDecodeError, match=sentence):
        Skeleton.from_swc(HEADER + line)


@st.composite
def forests(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    n = draw(st.integers(0, 12))
    names = draw(st.permutations(range(n)))
    edges = []
    for vertex in range(1, n):
        parent = draw(st.one_of(st.none(), st.integers(0, vertex - 1)))
        if parent is not None:
            pair = (names[vertex], names[parent])
            edges.append(pair if draw(st.booleans()) else pair[::-1])
    return n, draw(st.permutations(edges))


def shape_of(
    skeleton: Skeleton,
) -> tuple[list[tuple[float, ...]], set[frozenset[tuple[float, ...]]]]:
    """Vertices and edges by coordinates, which are all different."""
    points = [tuple(point) for point in skeleton.vertices.tolist()]
    return sorted(points), {frozenset((points[a], points[b])) for a, b in skeleton.edges.tolist()}


@given(forests())
def test_forests_come_back_as_they_were(forest: tuple[int, list[tuple[int, int]]]) -> None:
    n, edges = forest
    vertices = np.arange(3 * n, dtype=np.float32).reshape(n, 3) / 4
    skeleton = Skeleton(
        vertices,
        np.array(edges, np.uint32).reshape(-1, 2),
        np.arange(n, dtype=np.float32),
        np.arange(n, dtype=np.uint8),
    )
    text = skeleton.to_swc()
    table = rows(text)
    assert [row[0] for row in table] == list(range(1, n + 1))
    assert all(row[6] == -1 or 1 <= row[6] < row[0] for row in table)
    assert sum(row[6] == -1 for row in table) == n - len(edges)
    back = Skeleton.from_swc(text)
    assert shape_of(back) == shape_of(skeleton)
    by_point = {
        tuple(p): (r, t) for p, r, t in zip(vertices.tolist(), range(n), range(n), strict=True)
    }
    for point, radius, kind in zip(
        back.vertices.tolist(), back.radius, back.vertex_types, strict=True
    ):
        assert by_point[tuple(point)] == (radius, kind)


def path_of(n: int) -> Skeleton:
    skeleton = Skeleton.from_path(np.arange(3 * n, dtype=np.float32).reshape(n, 3))
    skeleton.radius = np.arange(n, dtype=np.float32)
    return skeleton


def test_soma_is_the_root_where_it_is_thick_enough() -> None:
    assert rows(path_of(4).to_swc(soma_threshold=3))[0][5] == 3
    assert rows(path_of(4).to_swc(soma_threshold=4))[0][5] == 0
    assert rows(path_of(4).to_swc(soma_threshold=math.inf))[0][5] == 0


def test_loops_are_told_of() -> None:
    ring = path_of(3)
    ring.edges = np.array([[0, 1], [1, 2], [2, 0]], np.uint32)
    with pytest.warns(UserWarning, match="1 of 3 edges close loops"):
        assert len(rows(ring.to_swc())) == 3


def test_absent_attributes_are_written_as_unknown() -> None:
    skeleton = path_of(2)
    skeleton.vertex_types = np.empty(0, np.uint8)
    del skeleton.radius
    assert [row[1] for row in rows(skeleton.to_swc())] == [0, 0]
    assert [row[5] for row in rows(skeleton.to_swc())] == [-1, -1]


def test_header_has_upstreams_lines() -> None:
    skeleton = path_of(2)
    skeleton.transform = [[4, 0, 0, 1], [0, 4, 0, 1], [0, 0, 40, 1]]
    lines = skeleton.to_swc("somebody").splitlines()
    assert "# CONTRIBUTOR somebody" in lines
    assert "# SCALE 4.000000 4.000000 40.000000" in lines
    assert [line.split()[1] for line in lines[:14]] == [
        *(
            "ORIGINAL_SOURCE",
            "CREATURE",
            "REGION",
            "FIELD/LAYER",
            "TYPE",
            "CONTRIBUTOR",
            "REFERENCE",
        ),
        *(
            "RAW",
            "EXTRAS",
            "SOMA_AREA",
            "SHINKAGE_CORRECTION",
            "VERSION_NUMBER",
            "VERSION_DATE",
            "SCALE",
        ),
    ]


@pytest.mark.parametrize("name", ["a.swc", "a.swc.gz", "a.swc.xz", "a", "a.gz", "a.lzma"])
def test_files_are_saved_and_loaded_by_their_names(tmp_path: Path, name: str) -> None:
    skeleton = path_of(5)
    skeleton.save(str(tmp_path / name))
    back = Skeleton.load(str(tmp_path / name))
    assert Skeleton.equivalent(skeleton, back)
    is_text = (tmp_path / name).read_bytes()[:1] == b"#"
    assert is_text == (name == "a.swc")
