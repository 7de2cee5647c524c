# SPDX-License-Identifier: BSD-3-Clause
"""Manifests of multi-resolution meshes, and the space that their fragments are quantised in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cloudvolume_fast._core import mesh as _core
from cloudvolume_fast.errors import InvalidArgumentError, MeshDecodeError

__all__ = [
    "MultiLevelPrecomputedMeshManifest",
    "as_quantized",
    "dequantized_fragment",
    "from_stored_model_space",
    "to_stored_model_space",
    "z_curve_order",
]


class MultiLevelPrecomputedMeshManifest:
    """Levels of detail of a mesh, and the cells that their fragments fill.

    Parameters
    ----------
    segment_id : int
        Label.
    chunk_shape : array_like of 3 float
        Extents of a cell of lod 0, in stored model space.
    grid_origin : array_like of 3 float
        Corner of cell (0, 0, 0).
    num_lods : int
        Levels of detail, of which 0 is the finest.
    lod_scales : array_like, shape (num_lods,)
        How coarse each level is.
    vertex_offsets : array_like, shape (num_lods, 3)
        Added to positions of each level.
    num_fragments_per_lod : array_like, shape (num_lods,)
    fragment_positions : sequence of array_like, shape (n, 3)
        For each level the cells of its fragments, in Z-curve order.
    fragment_offsets : sequence of array_like, shape (n,)
        For each level the sizes of its fragments in bytes (upstream's name); 0 for a cell without triangles of its own.
        Or one list of the sizes of all levels, which stays that list, may be filled later, and ends in zeros that need
        not be there (upstream behaviour).
    shard_offset : int
        Where the manifest begins in its shard.
    path : str, optional
        File of the fragments.

    Raises
    ------
    InvalidArgumentError
        The counts contradict each other.

    Notes
    -----
    Upstream behaviour ``MultiLevelPrecomputedMeshManifest``.
    """

    def __init__(
        self,
        segment_id: int,
        chunk_shape: ArrayLike,
        grid_origin: ArrayLike,
        num_lods: int,
        lod_scales: ArrayLike,
        vertex_offsets: ArrayLike,
        num_fragments_per_lod: ArrayLike,
        fragment_positions: Sequence[ArrayLike],
        fragment_offsets: Sequence[ArrayLike] | list[int],
        shard_offset: int = 0,
        path: str | None = None,
    ) -> None:
        self.segment_id = segment_id
        self.chunk_shape: NDArray[np.float32] = np.asarray(chunk_shape, dtype=np.float32)
        self.grid_origin: NDArray[np.float32] = np.asarray(grid_origin, dtype=np.float32)
        self.num_lods = int(num_lods)
        self.lod_scales: NDArray[np.float32] = np.asarray(lod_scales, dtype=np.float32)
        self.vertex_offsets: NDArray[np.float32] = np.asarray(
            vertex_offsets, dtype=np.float32
        ).reshape(-1, 3)
        self.num_fragments_per_lod: NDArray[np.uint32] = np.asarray(
            num_fragments_per_lod, dtype=np.uint32
        )
        self.fragment_positions: list[NDArray[np.uint32]] = [
            np.asarray(positions, dtype=np.uint32).reshape(-1, 3)
            for positions in fragment_positions
        ]
        # Any: arrays, one for each level, or the numbers of all levels
        self.fragment_offsets: list[Any] = (
            fragment_offsets
            if isinstance(fragment_offsets, list) and all(map(np.isscalar, fragment_offsets))
            else [np.asarray(sizes, dtype=np.uint32).reshape(-1) for sizes in fragment_offsets]
        )
        self.shard_offset = int(shard_offset)
        self.path = path
        counts = {
            "lod_scales": len(self.lod_scales),
            "vertex_offsets": len(self.vertex_offsets),
            "num_fragments_per_lod": len(self.num_fragments_per_lod),
            "fragment_positions": len(self.fragment_positions),
        }
        for name, count in counts.items():
            if count != self.num_lods:
                raise InvalidArgumentError(
                    f"{name}: expected {self.num_lods}, one for each lod, found {count}",
                    key=name,
                    expected=self.num_lods,
                    found=count,
                )
        sizes_of_lods = self._sizes_of_lods()
        for lod, count in enumerate(self.num_fragments_per_lod.tolist()):
            found = (len(self.fragment_positions[lod]), len(sizes_of_lods[lod]))
            if found != (count, count):
                raise InvalidArgumentError(
                    f"lod {lod}: expected {count} fragments, found {found[0]} positions and {found[1]} sizes",
                    expected=count,
                    found=found,
                )

    def _sizes_of_lods(self) -> list[NDArray[np.uint32]]:
        """Return the sizes of fragments for each level, however they are kept."""
        kept = self.fragment_offsets
        is_flat = not kept or bool(np.isscalar(kept[0]))
        count = int(self.num_fragments_per_lod.sum(dtype=np.int64))
        found, expected = len(kept), count if is_flat else self.num_lods
        if found > expected or (found < expected and not is_flat):
            each = "fragment" if is_flat else "lod"
            raise InvalidArgumentError(
                f"fragment_offsets: expected {expected}, one for each {each}, found {found}",
                key="fragment_offsets",
                expected=expected,
                found=found,
            )
        if not is_flat:
            return list(kept)
        sizes = np.zeros(expected, dtype=np.uint32)
        sizes[:found] = kept
        ends = np.cumsum(self.num_fragments_per_lod, dtype=np.int64)
        return np.split(sizes, ends[:-1].tolist())

    def __len__(self) -> int:
        """Count the bytes of the manifest."""
        return 28 + 20 * self.num_lods + 16 * int(self.num_fragments_per_lod.sum(dtype=np.int64))

    def __repr__(self) -> str:
        """Name the label and how many fragments its levels have."""
        counts = self.num_fragments_per_lod.tolist()
        return (
            f"MultiLevelPrecomputedMeshManifest(segment_id={self.segment_id}, fragments={counts})"
        )

    @property
    def header_dtype(self) -> np.dtype[Any]:
        """The part of the format before positions and sizes, for this number of levels."""
        return np.dtype(
            [
                ("chunk_shape", "<f4", (3,)),
                ("grid_origin", "<f4", (3,)),
                ("num_lods", "<u4"),
                ("lod_scales", "<f4", (self.num_lods,)),
                ("vertex_offsets", "<f4", (self.num_lods, 3)),
                ("num_fragments_per_lod", "<u4", (self.num_lods,)),
            ]
        )

    @property
    def data_bytes(self) -> int:
        """Size of all fragments together."""
        return sum(self.lod_bytes(lod) for lod in range(self.num_lods))

    def lod_bytes(self, lod: int) -> int:
        """Return the size of a level's fragments together."""
        return int(self._sizes_of_lods()[lod].sum(dtype=np.int64))

    def lod_start(self, lod: int) -> int:
        """Return where a level's fragments begin, counted from the first of all."""
        return sum(self.lod_bytes(finer) for finer in range(lod))

    @classmethod
    def from_binary(
        cls,
        binary: bytes,
        segment_id: int,
        shard_offset: int = 0,
        path: str | None = None,
        *,
        what: str | None = None,
        data_bytes: int | None = None,
    ) -> MultiLevelPrecomputedMeshManifest:
        """Read a manifest.

        Parameters
        ----------
        binary : bytes
        segment_id : int
        shard_offset : int
            Where it begins in its shard.
        path : str, optional
            File of the fragments.
        what : str, optional
            Opens messages: label and file.
        data_bytes : int, optional
            The most that the fragments may take together.

        Raises
        ------
        MeshDecodeError
            If it is not what the format allows.
        """
        chunk_shape, grid_origin, lods = _core.manifest_parts(
            binary, data_bytes=data_bytes, what=what or f"manifest of {segment_id}"
        )
        return cls(
            segment_id,
            chunk_shape,
            grid_origin,
            len(lods),
            [lod[0] for lod in lods],
            np.asarray([lod[1] for lod in lods], dtype=np.float32).reshape(-1, 3),
            [len(lod[3]) for lod in lods],
            [lod[2] for lod in lods],
            [lod[3] for lod in lods],
            shard_offset,
            path,
        )

    def to_binary(self) -> bytes:
        """Write the manifest.

        Raises
        ------
        InvalidArgumentError
            There are more than 64 levels, or numbers that are not finite, or a chunk of no extent.
        """
        levels = zip(
            self.lod_scales.tolist(),
            self.vertex_offsets,
            self.fragment_positions,
            self._sizes_of_lods(),
            strict=True,
        )
        return _core.manifest_bytes(
            self.chunk_shape, self.grid_origin, list(levels), what=f"manifest of {self.segment_id}"
        )

    def resolve_lod(self, lod: int, what: str | None = None) -> int:
        """Return a level's number, negative ones counted from the coarsest.

        Raises
        ------
        MeshDecodeError
            There is no such level.
        """
        if not -self.num_lods <= lod < self.num_lods:
            name = what or f"mesh of {self.segment_id}"
            raise MeshDecodeError(
                f"{name}: lod: expected a level below {self.num_lods}, found {lod}",
                key=name,
                expected=self.num_lods,
                found=lod,
            )
        return lod % self.num_lods if self.num_lods else 0

    def cell(self, lod: int, frag: int) -> dict[str, Any]:
        """Return the cell of a fragment, as `_core.mesh.dequantized` takes it."""
        return {**self.lod_cells(lod), "number": self.fragment_positions[lod][frag]}

    def lod_cells(self, lod: int) -> dict[str, Any]:
        """Return corner and extent of a level's cell (0, 0, 0)."""
        return {
            "base": self.grid_origin.astype(np.float64) + self.vertex_offsets[lod],
            "extent": self.chunk_shape.astype(np.float64) * 2.0**lod,
        }


def to_stored_model_space(
    vertices: NDArray[Any],
    manifest: MultiLevelPrecomputedMeshManifest,
    lod: int,
    vertex_quantization_bits: int,
    frag: int,
) -> NDArray[np.float32]:
    """Return where the quantised positions of a fragment are.

    Parameters
    ----------
    vertices : ndarray, shape (n, 3)
        0 to 2^bits - 1; fractions are rounded.
    manifest : MultiLevelPrecomputedMeshManifest
    lod : int
    vertex_quantization_bits : int
    frag : int
        Number of the fragment within its level.

    Returns
    -------
    ndarray of float32, shape (n, 3)

    Raises
    ------
    MeshDecodeError
        If a position is outside of the fragment's cell.
    """
    return dequantized_fragment(vertices, manifest, lod, vertex_quantization_bits, frag)


def dequantized_fragment(
    vertices: NDArray[Any],
    manifest: MultiLevelPrecomputedMeshManifest,
    lod: int,
    vertex_quantization_bits: int,
    frag: int,
    *,
    transform: Sequence[float] | None = None,
    what: str = "mesh",
) -> NDArray[np.float32]:
    """As `to_stored_model_space`, then moved by a transform."""
    return _core.dequantized(
        as_quantized(vertices, vertex_quantization_bits, what),
        **manifest.cell(lod, frag),
        bits=vertex_quantization_bits,
        transform=transform,
        what=what,
    )


def as_quantized(points: NDArray[Any], bits: int, what: str) -> NDArray[np.uint32]:
    """Return positions as Draco gives them as integers.

    Raises
    ------
    MeshDecodeError
        If they are none of 32 bits.
    """
    array = np.asarray(points)
    if array.dtype == np.uint32:
        return array
    if array.dtype.kind == "f":
        # Draco may have quantised the integers once more, which leaves them within less than a half.
        array = np.rint(array)
    if array.size and not (array.min() >= 0 and array.max() < 2**32):
        raise MeshDecodeError(
            f"{what}: expected positions of {bits} bits, found {array.min()} to {array.max()}",
            key=what,
            expected=2**bits - 1,
            found=(array.min(), array.max()),
        )
    return array.astype(np.uint32)


def from_stored_model_space(
    vertices: NDArray[Any],
    manifest: MultiLevelPrecomputedMeshManifest,
    lod: int,
    vertex_quantization_bits: int,
    frag: int,
) -> NDArray[np.uint32]:
    """Return the nearest quantised positions; the inverse of `to_stored_model_space`.

    Returns
    -------
    ndarray of uint32, shape (n, 3)
        What is outside of the fragment's cell is moved to its rim.

    Raises
    ------
    MeshDecodeError
        If a coordinate is not finite.
    """
    return _core.quantized(vertices, **manifest.cell(lod, frag), bits=vertex_quantization_bits)


def z_curve_order(position: Sequence[int]) -> int:
    """Return a number in the order of the Z curve: the bits of z, y and x in turns."""
    code = 0
    for bit in range(max(int(p).bit_length() for p in position)):
        for axis in range(3):
            code |= (int(position[axis]) >> bit & 1) << (3 * bit + axis)
    return code
