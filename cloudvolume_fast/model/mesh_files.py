# SPDX-License-Identifier: BSD-3-Clause
"""Meshes as files of other programs: Wavefront OBJ and PLY."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import MeshDecodeError

__all__ = ["obj_bytes", "parse_obj", "parse_ply", "ply_bytes"]

Floats = NDArray[np.float32]
UInts = NDArray[np.uint32]

_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip

_PLY_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


def obj_bytes(vertices: Floats, faces: UInts) -> bytes:
    """Return a mesh as OBJ: five decimals, numbers from 1."""
    rows = [f"v {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in vertices.tolist()]
    rows += [f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in faces.tolist()]
    return "".join(rows).encode("ascii")


def parse_obj(text: str | bytes, what: str = "obj") -> tuple[Floats, UInts, Floats]:
    """Read vertices, faces and normals; other lines do not count.

    Raises
    ------
    MeshDecodeError
        If a line is not what the format allows; it names the line.
    """
    if isinstance(text, bytes | bytearray):
        text = text.decode("utf-8", errors="replace")
    vertices: list[list[float]] = []
    normals: list[list[float]] = []
    faces: list[list[int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        kind, *fields = line.split("#", 1)[0].split() or [""]
        try:
            if kind == "v":
                vertices.append(_floats(fields))
            elif kind == "vn":
                normals.append(_floats(fields))
            elif kind == "f":
                faces.extend(_fan([_corner(field, len(vertices)) for field in fields]))
        except ValueError as error:
            raise MeshDecodeError(
                f"{what}: line {number}: {error}: {line.strip()[:80]!r}", key=what, offset=number
            ) from error
    found = np.asarray(faces, dtype=np.int64).reshape(-1, 3)
    if found.size and not 0 <= int(found.min()) <= int(found.max()) < len(vertices):
        bad = int(found.max() if found.min() >= 0 else found.min()) + 1
        raise MeshDecodeError(
            f"{what}: expected numbers of vertices from 1 to {len(vertices)}, found {bad}",
            key=what,
            expected=len(vertices),
            found=bad,
        )
    return (
        np.asarray(vertices, dtype=np.float32).reshape(-1, 3),
        found.astype(np.uint32),
        np.asarray(normals, dtype=np.float32).reshape(-1, 3),
    )


def _floats(fields: list[str]) -> list[float]:
    if len(fields) < 3:
        raise ValueError(f"expected 3 numbers, found {len(fields)}")
    return [float(field) for field in fields[:3]]


def _corner(field: str, count: int) -> int:
    number = int(field.split("/", 1)[0])
    return (
        number - 1 if number > 0 else count + number
    )  # negative ones count back from the last vertex


def _fan(corners: list[int]) -> list[list[int]]:
    if len(corners) < 3:
        raise ValueError(f"expected at least 3 vertices, found {len(corners)}")
    return [[corners[0], corners[i - 1], corners[i]] for i in range(2, len(corners))]


def ply_bytes(vertices: Floats, faces: UInts) -> bytes:
    """Return a mesh as binary little-endian PLY."""
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(vertices)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list int int vertex_indices\nend_header\n"
    )
    rows = np.empty((len(faces), 4), dtype="<i4")
    rows[:, 0] = 3
    rows[:, 1:] = faces
    return b"".join((header.encode("ascii"), vertices.astype("<f4").tobytes(), rows.tobytes()))


def parse_ply(data: bytes, what: str = "ply") -> tuple[Floats, UInts, Floats]:
    """Read vertices, faces and normals of a PLY file: ascii, or binary of either byte order.

    Raises
    ------
    MeshDecodeError
        If it is not what the format allows, or has faces before vertices.
    """
    end = re.search(rb"end_header\r?\n", data)
    if not data.startswith(b"ply") or end is None:
        raise MeshDecodeError(f"{what}: expected a PLY header, found {data[:16]!r}", key=what)
    kind, elements = _ply_header(data[: end.start()].decode("ascii", errors="replace"), what)
    reader = _PlyReader(data[end.end() :], kind, what)
    vertices = normals = np.zeros((0, 3), dtype=np.float32)
    faces: list[list[int]] = []
    for name, count, properties in elements:
        rows = reader.rows(count, properties)
        if name == "vertex":
            columns = [p[0] for p in properties]
            try:
                at = [columns.index(axis) for axis in ("x", "y", "z")]
            except ValueError:
                raise MeshDecodeError(
                    f"{what}: expected vertices with x, y and z, found {columns}", key=what
                ) from None
            table = np.asarray([[row[i] for i in at] for row in rows], dtype=np.float32)
            vertices = table.reshape(-1, 3)
            if all(axis in columns for axis in ("nx", "ny", "nz")):
                at = [columns.index(axis) for axis in ("nx", "ny", "nz")]
                normals = np.asarray([[row[i] for i in at] for row in rows], dtype=np.float32)
        elif name == "face":
            column = next((i for i, p in enumerate(properties) if p[2] is not None), None)
            if column is None:
                raise MeshDecodeError(f"{what}: expected faces with a list of vertices", key=what)
            for row in rows:
                corners = [int(number) for number in row[column]]
                if len(corners) < 3 or min(corners) < 0 or max(corners) >= len(vertices):
                    raise MeshDecodeError(
                        f"{what}: expected 3 or more numbers of vertices below {len(vertices)}, found {corners[:8]}",
                        key=what,
                        expected=len(vertices),
                        found=corners[:8],
                    )
                faces.extend(_fan(corners))
    return vertices, np.asarray(faces, dtype=np.uint32).reshape(-1, 3), normals.reshape(-1, 3)


# Name, type, and the type of the length where it is a list.
_Property = tuple[str, str, str | None]


def _ply_header(text: str, what: str) -> tuple[str, list[tuple[str, int, list[_Property]]]]:
    kind = ""
    elements: list[tuple[str, int, list[_Property]]] = []
    for line in text.splitlines()[1:]:
        match line.split():
            case [] | ["comment" | "obj_info", *_]:
                continue
            case ["format", name, *_] if name in _PLY_FORMATS:
                kind = _PLY_FORMATS[name]
            case ["element", name, count] if count.isdecimal():
                elements.append((name, int(count), []))
            case ["property", "list", length, entry, name] if (
                elements and length in _PLY_TYPES and entry in _PLY_TYPES
            ):
                elements[-1][2].append((name, _PLY_TYPES[entry], _PLY_TYPES[length]))
            case ["property", entry, name] if elements and entry in _PLY_TYPES:
                elements[-1][2].append((name, _PLY_TYPES[entry], None))
            case _:
                raise MeshDecodeError(
                    f"{what}: the PLY header has a line that the format does not: {line[:80]!r}",
                    key=what,
                )
    return kind, elements


class _PlyReader:
    """Rows of elements, in the order in which they are stored."""

    def __init__(self, body: bytes, kind: str, what: str) -> None:
        self._kind = kind
        self._what = what
        self._body = body
        self._at = 0
        self._words = [] if kind else body.split()

    def rows(self, count: int, properties: list[_Property]) -> list[list[Any]]:
        """Return so many rows: a number, or a list of numbers, for each property."""
        if self._kind and all(length is None for _, _, length in properties):
            kinds = np.dtype(
                [(str(i), self._kind + kind) for i, (_, kind, _) in enumerate(properties)]
            )
            return [list(row) for row in self._take(kinds, count).tolist()]
        if self._kind and len(properties) == 1:
            return self._triangles(count, properties[0]) or self._slowly(count, properties)
        return self._slowly(count, properties)

    def _triangles(self, count: int, entry: _Property) -> list[list[Any]]:
        """Read lists at once if all of them have three numbers."""
        _, kind, length = entry
        row = np.dtype([("n", f"{self._kind}{length}"), ("v", self._kind + kind, 3)])
        if self._at + count * row.itemsize > len(self._body):
            return []
        table = np.frombuffer(self._body, row, count, self._at)
        if not (table["n"] == 3).all():
            return []
        self._at += count * row.itemsize
        return [[corners] for corners in table["v"].tolist()]

    def _slowly(self, count: int, properties: list[_Property]) -> list[list[Any]]:
        out = []
        for _ in range(count):
            row: list[Any] = []
            for _, kind, length in properties:
                if length is None:
                    row.append(self._numbers(kind, 1)[0])
                else:
                    row.append(self._numbers(kind, int(self._numbers(length, 1)[0])))
            out.append(row)
        return out

    def _numbers(self, kind: str, count: int) -> list[Any]:
        if count < 0:
            raise MeshDecodeError(f"{self._what}: expected a length, found {count}", key=self._what)
        if self._kind:
            found: list[Any] = self._take(np.dtype(self._kind + kind), count).tolist()
            return found
        words = self._words[self._at : self._at + count]
        if len(words) < count:
            raise self._too_short()
        self._at += count
        try:
            return [float(word) if kind[0] == "f" else int(word) for word in words]
        except ValueError as error:
            raise MeshDecodeError(f"{self._what}: {error}", key=self._what) from error

    def _take(self, kind: np.dtype[Any], count: int) -> NDArray[Any]:
        size = count * kind.itemsize
        if self._at + size > len(self._body):
            raise self._too_short()
        out = np.frombuffer(self._body, kind, count, self._at)
        self._at += size
        return out

    def _too_short(self) -> MeshDecodeError:
        return MeshDecodeError(
            f"{self._what}: the data end before what the PLY header announces", key=self._what
        )
