# SPDX-License-Identifier: BSD-3-Clause
"""Triangle meshes in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cloudvolume_fast import _runtime
from cloudvolume_fast._core import mesh as _core
from cloudvolume_fast.errors import InvalidArgumentError, MeshDecodeError
from cloudvolume_fast.model import draco, mesh_files
from cloudvolume_fast.model.bbox import Bbox

__all__ = ["Mesh", "is_draco_chunk_aligned", "stitch_fragments"]


def _rows(values: ArrayLike | None, kind: Any, name: str) -> NDArray[Any]:
    array = np.asarray([] if values is None else values)
    if array.size == 0:
        array = array.reshape(0, 3)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InvalidArgumentError(
            f"{name}: expected shape (n, 3), found {array.shape}",
            key=name,
            expected="(n, 3)",
            found=array.shape,
        )
    return np.ascontiguousarray(array, dtype=kind)


class Mesh:
    """A triangle mesh.

    Parameters
    ----------
    vertices : array_like, shape (n, 3)
        Positions (x, y, z), in nm where they come from a volume.
    faces : array_like, shape (m, 3)
        Numbers of vertices.
    normals : array_like, shape (n, 3), optional
        Of the vertices.
    segid : int, optional
        Label.
    encoding_type : {'precomputed', 'draco'}, optional
        How it was stored.
    encoding_options : dict, optional
        What its encoder was told, see `model.draco.decode`.

    Attributes
    ----------
    vertices : ndarray of float32, shape (n, 3)
    faces : ndarray of uint32, shape (m, 3)
    normals : ndarray of float32, shape (n, 3) or (0, 3)
    segid, encoding_type, encoding_options

    Notes
    -----
    Methods return new meshes and leave this one as it is.  Upstream behaviour ``cloudvolume.mesh.Mesh``.
    """

    def __init__(
        self,
        vertices: ArrayLike,
        faces: ArrayLike,
        normals: ArrayLike | None = None,
        segid: int | None = None,
        encoding_type: str | None = None,
        encoding_options: dict[str, Any] | None = None,
    ) -> None:
        self.vertices: NDArray[np.float32] = _rows(vertices, np.float32, "vertices")
        self.faces: NDArray[np.uint32] = _rows(faces, np.uint32, "faces")
        self.normals: NDArray[np.float32] = _rows(normals, np.float32, "normals")
        self.segid = segid
        self.encoding_type = encoding_type
        self.encoding_options = encoding_options

    # Values.

    def __len__(self) -> int:
        """Count vertices."""
        return len(self.vertices)

    def __eq__(self, other: object) -> bool:
        """Compare vertices, faces and normals, in their order; neither labels nor encodings."""
        if not isinstance(other, Mesh):
            return NotImplemented
        return (
            np.array_equal(self.vertices, other.vertices)
            and np.array_equal(self.faces, other.faces)
            and np.array_equal(self.normals, other.normals)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Name sizes, label and encoding."""
        return (
            f"Mesh(vertices<{len(self.vertices)}>, faces<{len(self.faces)}>, normals<{len(self.normals)}>, "
            f"segid={self.segid}, encoding_type=<{self.encoding_type}>)"
        )

    def clone(self) -> Mesh:
        """Return a copy that shares nothing."""
        return self._with(self.vertices.copy(), self.faces.copy(), self.normals.copy())

    def _with(
        self, vertices: ArrayLike, faces: ArrayLike, normals: ArrayLike | None = None
    ) -> Mesh:
        options = None if self.encoding_options is None else dict(self.encoding_options)
        return Mesh(vertices, faces, normals, self.segid, self.encoding_type, options)

    def empty(self) -> bool:
        """Whether there are no vertices or no faces."""
        return len(self.vertices) == 0 or len(self.faces) == 0

    def edges(self) -> Iterator[tuple[np.uint32, np.uint32]]:
        """Yield the edges of each face, the smaller vertex first; an edge of two faces comes twice."""
        for a, b, c in self.faces:
            for e, f in ((a, b), (b, c), (a, c)):
                yield (e, f) if e <= f else (f, e)

    def triangles(self) -> NDArray[np.float32]:
        """Return the corners of each face.

        Returns
        -------
        ndarray of float32, shape (m, 3, 3)
            Face, corner, axis.
        """
        return self.vertices[self.faces]

    # Of several, or of a part.

    @classmethod
    def concatenate(cls, *meshes: Mesh, segid: int | None = None) -> Mesh:
        """Put meshes one after another.

        Parameters
        ----------
        *meshes : Mesh
            At least one.
        segid : int, optional
            Label of the result.

        Returns
        -------
        Mesh
            With normals if all of them have theirs; encoded as the first.

        Raises
        ------
        InvalidArgumentError
            If there is none, or together there are more vertices than 32 bits can number.
        """
        if not meshes:
            raise InvalidArgumentError("meshes: expected at least one to concatenate, found none")
        counts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)], dtype=np.int64)
        if counts[-1] > 2**32:
            raise InvalidArgumentError(
                f"meshes: expected at most 2^32 vertices together, found {counts[-1]}",
                found=int(counts[-1]),
            )
        faces = np.concatenate(
            [mesh.faces + np.uint32(first) for mesh, first in zip(meshes, counts[:-1], strict=True)]
        )
        has_normals = all(len(mesh.normals) == len(mesh.vertices) for mesh in meshes)
        return cls(
            np.concatenate([mesh.vertices for mesh in meshes]),
            faces,
            np.concatenate([mesh.normals for mesh in meshes]) if has_normals else None,
            segid,
            meshes[0].encoding_type,
            meshes[0].encoding_options,
        )

    def consolidate(self) -> Mesh:
        """Make vertices and faces unique.

        Returns
        -------
        Mesh
            Vertices in ascending order of (x, y, z), whether a face uses them or not; faces in ascending order of their
            vertices' new numbers, each wound as it was.  Without normals.

        Raises
        ------
        MeshDecodeError
            If a coordinate is not finite, or a face uses a vertex that is not there.
        """
        return self._consolidated(0)

    def _consolidated(self, threads: int) -> Mesh:
        status, vertices, faces = _runtime.consolidate(self.vertices, self.faces, threads)
        self._check(status)
        return self._with(vertices, faces)

    def _check(self, status: tuple[int, int, int, int, int]) -> None:
        if status[0]:
            _core.raise_status(
                "mesh" if self.segid is None else f"mesh of {self.segid}", *status[:4]
            )

    def deduplicate_vertices(self, is_chunk_aligned: ArrayLike) -> Mesh:
        """Make those vertices one that come in pairs at the borders of chunks.

        Parameters
        ----------
        is_chunk_aligned : array_like of bool, shape (n,)
            Which vertices are on a border.

        Returns
        -------
        Mesh
            Of marked vertices those are merged that exactly two are at the same place, as two neighbouring fragments
            have them; where three or more meet nothing says which belong together.  Vertices that no face uses are left
            out.  Faces stay in order.

        Raises
        ------
        InvalidArgumentError
            If there is not one mark for each vertex.
        MeshDecodeError
            As `consolidate`.
        """
        marks = np.asarray(is_chunk_aligned, dtype=bool).reshape(-1)
        if len(marks) != len(self.vertices):
            raise InvalidArgumentError(
                f"is_chunk_aligned: expected {len(self.vertices)} marks, one for each vertex, found {len(marks)}",
                expected=len(self.vertices),
                found=len(marks),
            )
        return self._merged(np.ascontiguousarray(marks.view(np.uint8)), 0)

    def _merged(self, marks: NDArray[np.uint8], threads: int) -> Mesh:
        status, vertices, faces = _runtime.merge_marked_pairs(
            self.vertices, self.faces, marks, threads
        )
        self._check(status)
        return self._with(vertices, faces)

    def deduplicate_chunk_boundaries(
        self,
        chunk_size: Sequence[float],
        is_draco: bool = False,
        draco_grid_size: float | None = None,
        offset: Sequence[float] = (0, 0, 0),
    ) -> Mesh:
        """Merge vertices that come in pairs on the faces of chunks; see `deduplicate_vertices`.

        Parameters
        ----------
        chunk_size : sequence of 3 float
            In the unit of the vertices.
        is_draco : bool
            Positions were quantised by Draco, on a grid of `draco_grid_size`.
        draco_grid_size : float, optional
            In the unit of the vertices; needed for Draco.
        offset : sequence of 3 float
            A corner of a chunk.

        Raises
        ------
        InvalidArgumentError
            If a chunk is not positive, or `draco_grid_size` is missing.
        MeshDecodeError
            As `consolidate`.
        """
        if is_draco and not draco_grid_size:
            raise InvalidArgumentError(
                f"draco_grid_size: expected a positive number for Draco, found {draco_grid_size}",
                key="draco_grid_size",
                found=draco_grid_size,
            )
        grid = float(draco_grid_size or 0) if is_draco else 0.0
        return self._merged(_core.chunk_borders(self.vertices, chunk_size, offset, grid), 0)

    def crop(self, bbox: Bbox) -> Mesh:
        """Return the part whose vertices are inside a box, its rim included.

        Parameters
        ----------
        bbox : Bbox
            In the unit of the vertices.

        Returns
        -------
        Mesh
            Faces that have all their vertices inside.
        """
        low = np.asarray(bbox.minpt, dtype=np.float64)
        high = np.asarray(bbox.maxpt, dtype=np.float64)
        inside = np.all((self.vertices >= low) & (self.vertices <= high), axis=1)
        numbers = np.cumsum(inside, dtype=np.int64) - 1
        kept = self.faces[inside[self.faces].all(axis=1)]
        normals = self.normals[inside] if len(self.normals) == len(self.vertices) else None
        return self._with(self.vertices[inside], numbers[kept].astype(np.uint32), normals)

    # As bytes.

    @classmethod
    def from_precomputed(cls, binary: bytes, segid: int | None = None) -> Mesh:
        """Decode a fragment of the single-resolution format.

        Raises
        ------
        MeshDecodeError
            If it is cut short or goes on, a coordinate is not finite, or a face uses a vertex that is not there.
        """
        vertices, faces, _ = stitch_fragments([binary], [_named(segid)], threads=1)
        return cls(vertices, faces, segid=segid, encoding_type="precomputed")

    def to_precomputed(self) -> bytes:
        """Return a fragment of the single-resolution format, which has no normals.

        Raises
        ------
        MeshDecodeError
            As `consolidate`.
        """
        return _core.fragment_bytes(self.vertices, self.faces, what=_named(self.segid))

    @classmethod
    def from_draco(cls, binary: bytes, segid: int | None = None) -> Mesh:
        """Decode Draco's bytes.

        Raises
        ------
        MeshDecodeError
            If they are no mesh.
        ImportError
            If DracoPy is not installed.
        """
        vertices, faces, options = draco.decode(binary, what=_named(segid))
        return cls(vertices, faces, None, segid, "draco", options)

    def to_draco(self, **options: Any) -> bytes:
        """Return Draco's bytes; see `model.draco.encode` for the options.

        Raises
        ------
        EncodingError, ImportError
        """
        return draco.encode(self.vertices, self.faces, **options)

    @classmethod
    def from_obj(cls, text: str | bytes, segid: int | None = None) -> Mesh:
        """Read Wavefront OBJ: vertices, normals and faces.

        Raises
        ------
        MeshDecodeError
            If a line is malformed, or a face uses a vertex that is not there.
        """
        vertices, faces, normals = mesh_files.parse_obj(text, _named(segid))
        return cls(vertices, faces, normals, segid, "precomputed")

    def to_obj(self) -> bytes:
        """Return Wavefront OBJ."""
        return mesh_files.obj_bytes(self.vertices, self.faces)

    @classmethod
    def from_ply(cls, data: bytes, segid: int | None = None) -> Mesh:
        """Read PLY.

        Raises
        ------
        MeshDecodeError
            If it is malformed, or a face uses a vertex that is not there.
        """
        vertices, faces, normals = mesh_files.parse_ply(bytes(data), _named(segid))
        return cls(vertices, faces, normals, segid, "precomputed")

    def to_ply(self) -> bytes:
        """Return binary PLY."""
        return mesh_files.ply_bytes(self.vertices, self.faces)

    @staticmethod
    def load(filename: str | os.PathLike[str]) -> Mesh:
        """Read a file: PLY or Draco by its suffix, Wavefront OBJ otherwise.

        Raises
        ------
        FileNotFoundError, MeshDecodeError, ImportError
        """
        path = os.fspath(filename)
        with open(path, "rb") as file:
            data = file.read()
        readers = {
            ".ply": Mesh.from_ply,
            ".drc": Mesh.from_draco,
            ".precomputed": Mesh.from_precomputed,
        }
        try:
            return readers.get(os.path.splitext(path)[1].lower(), Mesh.from_obj)(data)
        except MeshDecodeError as error:
            raise MeshDecodeError(f"{path}: {error}", key=path) from error

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Write a file: PLY, Draco or Precomputed by its suffix, Wavefront OBJ otherwise."""
        path = os.fspath(filename)
        writers = {".ply": self.to_ply, ".drc": self.to_draco, ".precomputed": self.to_precomputed}
        data = writers.get(os.path.splitext(path)[1].lower(), self.to_obj)()
        with open(path, "wb") as file:
            file.write(data)

    # Other packages.

    @classmethod
    def from_trimesh(cls, tmesh: Any) -> Mesh:  # Any: a trimesh.Trimesh
        """Take over a mesh of the package trimesh."""
        return cls(tmesh.vertices, tmesh.faces)

    def trimesh(self, process: bool = False, validate: bool = False) -> Any:
        """Return a mesh of the package trimesh.

        Parameters
        ----------
        process, validate : bool
            See ``trimesh.Trimesh``.

        Raises
        ------
        ImportError
            If trimesh is not installed.
        """
        try:
            import trimesh
        except ImportError as error:
            raise ImportError(
                "the package trimesh is not installed: pip install 'cloudvolume-fast[trimesh]'",
                name="trimesh",
            ) from error
        normals = self.normals if len(self.normals) == len(self.vertices) else None
        return trimesh.Trimesh(
            vertices=self.vertices,
            faces=self.faces,
            vertex_normals=normals,
            process=process,
            validate=validate,
        )

    def viewer(self) -> None:
        """Show the mesh in a window until it is closed.

        Raises
        ------
        ImportError
            If vtk is not installed.
        """
        try:
            import vtk
            from vtk.util import numpy_support
        except ImportError as error:
            raise ImportError(
                "the package vtk is not installed: pip install 'cloudvolume-fast[mesh_viewer]'",
                name="vtk",
            ) from error
        points = vtk.vtkPoints()
        points.SetData(numpy_support.numpy_to_vtk(self.vertices, deep=True))
        corners = np.empty((len(self.faces), 4), dtype=np.int64)
        corners[:, 0] = 3
        corners[:, 1:] = self.faces
        cells = vtk.vtkCellArray()
        cells.SetCells(
            len(self.faces), numpy_support.numpy_to_vtkIdTypeArray(corners.ravel(), deep=True)
        )
        surface = vtk.vtkPolyData()
        surface.SetPoints(points)
        surface.SetPolys(cells)
        mapper = vtk.vtkPolyDataMapper()
        mapper.SetInputData(surface)
        actor = vtk.vtkActor()
        actor.SetMapper(mapper)
        renderer = vtk.vtkRenderer()
        renderer.AddActor(actor)
        window = vtk.vtkRenderWindow()
        window.AddRenderer(renderer)
        window.SetSize(800, 600)
        window.SetWindowName(_named(self.segid))
        interactor = vtk.vtkRenderWindowInteractor()
        interactor.SetRenderWindow(window)
        interactor.SetInteractorStyle(vtk.vtkInteractorStyleTrackballCamera())
        window.Render()
        interactor.Start()


def _named(segid: int | None) -> str:
    return "mesh" if segid is None else f"mesh of {segid}"


def stitch_fragments(
    fragments: Sequence[bytes],
    names: Sequence[str],
    *,
    transform: Sequence[float] | None = None,
    threads: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.uint32], NDArray[np.uint64]]:
    """Decode fragments of the single-resolution format into one mesh.

    Parameters
    ----------
    fragments : sequence of bytes
        In the order in which they are put one after another.
    names : sequence of str
        What they are called in messages.
    transform : sequence of 12 float, optional
        Three rows of four, applied to positions.
    threads : int
        0 for as many as the process may use.

    Returns
    -------
    vertices : ndarray of float32, shape (n, 3)
    faces : ndarray of uint32, shape (m, 3)
    begins : ndarray of uint64, shape (fragments + 1, 2)
        First vertex and first face of each, with the totals behind them.

    Raises
    ------
    MeshDecodeError
        If one is not what the format allows; it names the fragment.
    """
    rows = None if transform is None else [float(value) for value in transform]
    status, vertices, faces, begins = _runtime.stitch_fragments(list(fragments), rows, threads)
    if status[0]:
        _core.raise_status(names[status[4]], *status[:4])
    return vertices, faces, begins


def is_draco_chunk_aligned(
    verts: ArrayLike, chunk_size: Sequence[float], draco_grid_size: float
) -> NDArray[np.bool_]:
    """Say which vertices that Draco quantised are on the face of a chunk.

    Parameters
    ----------
    verts : array_like, shape (n, 3)
        Relative to the corner of a chunk.
    chunk_size : sequence of 3 float
    draco_grid_size : float
        Distance of neighbouring positions.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    marks = _core.chunk_borders(
        _rows(verts, np.float32, "verts"), chunk_size, (0, 0, 0), float(draco_grid_size)
    )
    return marks.view(np.bool_)
