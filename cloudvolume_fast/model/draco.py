# SPDX-License-Identifier: BSD-3-Clause
"""Draco bytes to triangles and back, by the package DracoPy, which is imported when it is first needed."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import EncodingError, MeshDecodeError

__all__ = ["MAGIC", "decode", "encode", "encode_quantized"]

MAGIC = b"DRACO"
# Header, an attribute, and one triangle: what is shorter holds none, and DracoPy need not see it.
_LEAST_BYTES = 11


def _dracopy() -> Any:  # Any: a package without types
    try:
        # importlib takes as long as a small fragment to find what is there already.
        return sys.modules.get("DracoPy") or importlib.import_module("DracoPy")
    except ImportError as error:
        raise ImportError(
            "the package DracoPy is not installed: pip install 'cloudvolume-fast'", name="DracoPy"
        ) from error


def decode(
    binary: bytes | memoryview, *, what: str = "mesh"
) -> tuple[NDArray[Any], NDArray[np.uint32], dict[str, Any] | None]:
    """Decode a mesh.

    Parameters
    ----------
    binary : bytes
        Draco's.
    what : str
        Opens messages: label and file.

    Returns
    -------
    points : ndarray, shape (n, 3)
        float32, or uint32 where the positions are such numbers.
    faces : ndarray of uint32, shape (m, 3)
    options : dict or None
        How it was encoded, where its writer says so: ``quantization_bits``, ``quantization_range``,
        ``quantization_origin``.

    Raises
    ------
    MeshDecodeError
        If the bytes are no mesh, or a face uses a vertex that is not there.
    ImportError
        If DracoPy is not installed.
    """
    if bytes(binary[: len(MAGIC)]) != MAGIC or len(binary) < _LEAST_BYTES:
        raise MeshDecodeError(
            f"{what}: expected bytes that begin with {MAGIC!r}, found {len(binary)} that begin with "
            f"{bytes(binary[:5])!r}",
            key=what,
            expected=MAGIC,
            found=bytes(binary[: len(MAGIC)]),
        )
    package = _dracopy()
    try:
        found = package.decode(bytes(binary))
        points = np.asarray(found.points)
        faces = np.asarray(getattr(found, "faces", np.zeros((0, 3))), dtype=np.uint32)
        options = found.encoding_options
    except MemoryError:
        raise
    except Exception as error:  # whatever a package without a base class of errors raises
        raise MeshDecodeError(
            f"{what}: Draco's {len(binary)} bytes do not decode: {error}", key=what
        ) from error
    if points.ndim != 2 or points.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise MeshDecodeError(
            f"{what}: expected points and faces of three numbers, found {points.shape} and {faces.shape}",
            key=what,
            expected="(n, 3)",
            found=(points.shape, faces.shape),
        )
    if faces.size and int(faces.max()) >= len(points):
        raise MeshDecodeError(
            f"{what}: expected numbers of vertices below {len(points)}, found {int(faces.max())}",
            key=what,
            expected=len(points),
            found=int(faces.max()),
        )
    if points.dtype.kind == "f":
        points = points.astype(np.float32, copy=False)
        if not np.isfinite(points).all():
            raise MeshDecodeError(f"{what}: expected finite coordinates", key=what)
    return points, faces, None if options is None else _options(options)


def _options(options: Any) -> dict[str, Any]:  # Any: DracoPy's EncodingOptions
    return {
        name: getattr(options, name)
        for name in ("quantization_bits", "quantization_range", "quantization_origin")
        if hasattr(options, name)
    }


def encode(
    vertices: NDArray[np.float32],
    faces: NDArray[np.uint32],
    *,
    quantization_bits: int = 14,
    compression_level: int = 1,
    quantization_range: float = -1,
    quantization_origin: Any = None,  # Any: three numbers, or None
) -> bytes:
    """Encode a mesh of floating-point positions, which Draco quantises.

    Parameters
    ----------
    vertices, faces : ndarray
        Shape (n, 3).
    quantization_bits : int
        1 to 30 for each coordinate.
    compression_level : int
        0 to 10.
    quantization_range : float
        Edge of the cube that is quantised, from the origin; negative for what the mesh takes up.
    quantization_origin : sequence of 3 float, optional
        Default the least of each coordinate.

    Raises
    ------
    EncodingError
        If Draco does not take the mesh.
    ImportError
        If DracoPy is not installed.
    """
    positions = np.ascontiguousarray(vertices, dtype=np.float32)
    if quantization_range < 0 and len(positions):
        # Draco's own choice; DracoPy only writes the options down if it is told a range.
        extent = float(np.max(positions.max(axis=0) - positions.min(axis=0)))
        quantization_range = extent if extent > 0 else -1
    return _encoded(
        positions,
        np.ascontiguousarray(faces, dtype=np.uint32),
        quantization_bits=quantization_bits,
        compression_level=compression_level,
        quantization_range=quantization_range,
        quantization_origin=quantization_origin,
        create_metadata=True,
    )


def encode_quantized(
    vertices: NDArray[np.uint32],
    faces: NDArray[np.uint32],
    *,
    bits: int,
    compression_level: int = 7,
) -> bytes:
    """Encode a mesh whose positions are integers of so many bits, which stay as they are.

    Raises
    ------
    EncodingError
        If Draco does not take the mesh.
    ImportError
        If DracoPy is not installed.
    """
    return _encoded(
        np.ascontiguousarray(vertices, dtype=np.uint32),
        np.ascontiguousarray(faces, dtype=np.uint32),
        quantization_bits=bits,
        compression_level=compression_level,
    )


def _encoded(vertices: NDArray[Any], faces: NDArray[np.uint32], **options: Any) -> bytes:
    if len(vertices) == 0 or len(faces) == 0:
        raise EncodingError(
            f"draco: expected vertices and faces, found {len(vertices)} and {len(faces)}"
        )
    package = _dracopy()
    try:
        return bytes(package.encode(vertices, faces, **options))
    except MemoryError:
        raise
    except Exception as error:  # as in `decode`
        raise EncodingError(f"draco: {len(faces)} faces are not encoded: {error}") from error
