# SPDX-License-Identifier: BSD-3-Clause
"""SWC: trees of a skeleton as text, one vertex a line (``id type x y z radius parent``)."""

from __future__ import annotations

import datetime
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import SkeletonDecodeError

__all__ = ["SwcTable", "format_swc", "parse_swc"]

_UNKNOWN_RADIUS = -1.0


@dataclass(frozen=True, slots=True)
class SwcTable:
    """The vertices of an SWC file in their order.

    Attributes
    ----------
    vertices : ndarray of float32, shape (n, 3)
    edges : ndarray of uint32, shape (m, 2)
        Rows of the two vertices, that with the lesser id first.
    radii : ndarray of float32, shape (n,)
        -1 where the file gives no number.
    vertex_types : ndarray of uint8, shape (n,)
    """

    vertices: NDArray[np.float32]
    edges: NDArray[np.uint32]
    radii: NDArray[np.float32]
    vertex_types: NDArray[np.uint8]


def parse_swc(text: str, name: str = "SWC") -> SwcTable:
    """Read an SWC file.

    Parameters
    ----------
    text : str
        Its content.  Columns are separated by any white space; what follows a ``#`` is a comment.
    name : str
        For messages.

    Returns
    -------
    SwcTable

    Raises
    ------
    SkeletonDecodeError
        A line has too few columns or no numbers where they belong, an id occurs twice, or a parent is not there.

    Notes
    -----
    A parent below 0 makes a root, and so does 0 where no vertex has that id, since some programs write it.  Parents may
    come after their children.
    """
    ids: dict[int, int] = {}
    parents: list[tuple[int, int, int]] = []  # line, id, parent
    points: list[tuple[float, float, float]] = []
    radii: list[float] = []
    types: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        columns = line.partition("#")[0].split()
        if not columns:
            continue
        if len(columns) < 7:
            raise _fault(name, number, "7 columns", line)
        try:
            vertex, kind, parent = (_integer(columns[i]) for i in (0, 1, 6))
            points.append((float(columns[2]), float(columns[3]), float(columns[4])))
        except ValueError as error:
            raise _fault(name, number, "id, type, x, y, z, radius, parent", line) from error
        if not 0 <= kind <= 255:
            raise _fault(name, number, "a type of 0 to 255", line)
        if vertex in ids:
            raise _fault(name, number, f"an id other than {vertex}, which is taken", line)
        try:
            radius = float(columns[5])
        except ValueError:  # such as N/A
            radius = _UNKNOWN_RADIUS
        ids[vertex] = len(ids)
        radii.append(radius)
        types.append(kind)
        if parent >= 0:
            parents.append((number, vertex, parent))
    edges = []
    for number, vertex, parent in parents:
        if parent not in ids:
            if parent == 0:
                continue
            raise _fault(name, number, "a parent that is there", str(parent))
        if parent == vertex:
            raise _fault(name, number, "a parent other than itself", str(parent))
        edges.append((ids[min(vertex, parent)], ids[max(vertex, parent)]))
    return SwcTable(
        np.array(points, np.float32).reshape(-1, 3),
        np.array(edges, np.uint32).reshape(-1, 2),
        np.array(radii, np.float32),
        np.array(types, np.uint8),
    )


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        value = float(text)  # 12.0, as some programs write
        if not value.is_integer():
            raise
        return int(value)


def _fault(name: str, line: int, expected: str, found: str) -> SkeletonDecodeError:
    return SkeletonDecodeError(
        f"{name}: line {line}: expected {expected}, found {found.strip()!r}",
        key=name,
        expected=expected,
        found=found,
    )


def format_swc(
    skeleton: Any,  # osteoid's Skeleton, or what has its attributes
    *,
    contributors: str = "",
    soma_threshold: float = math.inf,
    version: str = "",
) -> str:
    """Write a skeleton as SWC.

    Parameters
    ----------
    skeleton : Skeleton
        Coordinates are written as they are, whichever space they are in.
    contributors : str
        For the header.
    soma_threshold : float
        Where a radius reaches it, the tree is rooted at its thickest vertex instead of at the first vertex of its first
        edge.
    version : str
        For the header.

    Returns
    -------
    str
        Trees in the order of their first edges, then vertices without edges; parents precede their children.

    Warns
    -----
    UserWarning
        Edges close loops, which SWC cannot express: they are left out.
    """
    vertices = np.asarray(skeleton.vertices, np.float64).reshape(-1, 3)
    n = len(vertices)
    edges = np.asarray(skeleton.edges).reshape(-1, 2).astype(np.int64)
    radii = _filled(getattr(skeleton, "radius", None), n, _UNKNOWN_RADIUS)
    types = _filled(getattr(skeleton, "vertex_types", None), n, 0).astype(np.int64)
    order, parents, loops = _trees(n, edges, radii, soma_threshold)
    if loops:
        warnings.warn(
            f"SWC holds trees only: {loops} of {len(edges)} edges close loops and are left out",
            stacklevel=3,
        )
    numbers = np.empty(n, np.int64)
    numbers[order] = np.arange(1, n + 1)
    scale = np.diag(np.asarray(skeleton.transform, np.float64).reshape(3, 4))
    lines = [
        f"# ORIGINAL_SOURCE cloudvolume_fast {version}".rstrip(),
        "# CREATURE ",
        "# REGION",
        "# FIELD/LAYER",
        "# TYPE",
        f"# CONTRIBUTOR {contributors}",
        "# REFERENCE",
        "# RAW ",
        "# EXTRAS ",
        "# SOMA_AREA",
        "# SHINKAGE_CORRECTION ",  # spelt so in the files that others read
        f"# VERSION_NUMBER {version}",
        f"# VERSION_DATE {datetime.datetime.now(datetime.UTC).isoformat()}",
        f"# SCALE {scale[0]:.6f} {scale[1]:.6f} {scale[2]:.6f}",
        "",
    ]
    for vertex in order:
        x, y, z = vertices[vertex]
        parent = parents[vertex]
        above = -1 if parent < 0 else numbers[parent]
        lines.append(
            f"{numbers[vertex]} {types[vertex]} {x:.6f} {y:.6f} {z:.6f} {radii[vertex]:.6f} {above}"
        )
    return "\n".join(lines) + "\n"


def _filled(values: Any, n: int, default: float) -> NDArray[Any]:  # Any: an array or none
    """Return an attribute with one value a vertex, the default where it has none."""
    if values is None or np.size(values) != n:
        return np.full(n, default)
    return np.asarray(values).reshape(-1)


def _trees(
    n: int, edges: NDArray[np.int64], radii: NDArray[Any], soma_threshold: float
) -> tuple[list[int], NDArray[np.int64], int]:
    """Return vertices in the order of their lines, the parent of each, and how many edges close loops."""
    neighbours: list[list[int]] = [[] for _ in range(n)]
    for a, b in edges.tolist():
        neighbours[a].append(b)
        neighbours[b].append(a)
    parents = np.full(n, -1, np.int64)
    order: list[int] = []
    is_known = np.zeros(n, np.bool_)

    def walk(root: int) -> list[int]:
        tree: list[int] = []
        stack = [(root, -1)]
        while stack:
            vertex, parent = stack.pop()
            if is_known[vertex]:
                continue
            is_known[vertex] = True
            parents[vertex] = parent
            tree.append(vertex)
            stack.extend((other, vertex) for other in reversed(neighbours[vertex]))
        return tree

    trees = 0
    for root in [*edges[:, 0].tolist(), *range(n)]:
        if is_known[root]:
            continue
        tree = walk(root)
        thickest = max(tree, key=lambda vertex: radii[vertex])
        if thickest != root and radii[thickest] >= soma_threshold:
            is_known[tree] = False
            tree = walk(thickest)
        order += tree
        trees += 1
    return order, parents, len(edges) - (n - trees)
