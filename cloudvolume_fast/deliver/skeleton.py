# SPDX-License-Identifier: BSD-3-Clause
"""Skeletons: osteoid's class, which the ecosystem shares, read and written by the core.

Importing this module imports osteoid; importing the package does not.
"""

from __future__ import annotations

import functools
import gzip
import lzma
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import osteoid
from numpy.typing import NDArray
from osteoid import exceptions as _osteoid

from cloudvolume_fast import __version__, errors
from cloudvolume_fast._core import skeleton as core
from cloudvolume_fast.deliver.swc import format_swc, parse_swc
from cloudvolume_fast.errors import (
    InfoValidationError,
    SkeletonAttributeMixingError,
    SkeletonDecodeError,
    SkeletonEncodeError,
    SkeletonTransformError,
    SkeletonUnassignedEdgeError,
)

__all__ = [
    "DEFAULT_ATTRIBUTES",
    "PrecomputedSkeleton",
    "Skeleton",
    "SkeletonDecoder",
    "VertexAttribute",
    "decode_skeletons",
    "encode_skeletons",
    "inverse_transform",
    "parse_attributes",
]

_FLOAT32 = np.dtype(np.float32)
_UINT8 = np.dtype(np.uint8)
# What a vertex without them has: SWC's "undefined" type, and no radius.
_UNKNOWN: dict[str, float] = {"radius": -1, "vertex_types": 0}
_MAX_COMPONENTS = 1 << 20


class VertexAttribute(NamedTuple):
    """A vertex attribute as the info describes it."""

    id: str
    dtype: np.dtype[Any]
    num_components: int

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of an info."""
        return {
            "id": self.id,
            "data_type": self.dtype.name,
            "num_components": self.num_components,
        }


DEFAULT_ATTRIBUTES = (
    VertexAttribute("radius", _FLOAT32, 1),
    VertexAttribute("vertex_types", _UINT8, 1),
)
"""What an info without the member stands for."""


def parse_attributes(
    entries: Sequence[Mapping[str, Any]] | None, key: str
) -> list[VertexAttribute]:
    """Read ``vertex_attributes`` of an info.

    Parameters
    ----------
    entries : sequence of dict, optional
        None stands for radius and vertex_types.
    key : str
        What messages call the info.

    Raises
    ------
    InfoValidationError
        An entry is not an id that a skeleton has room for, a type of numbers, and a number of components.
    """
    if entries is None:
        return list(DEFAULT_ATTRIBUTES)
    out: list[VertexAttribute] = []
    for number, entry in enumerate(entries):
        where = f"{key}: vertex_attributes[{number}]"
        try:
            name, kind, count = entry["id"], entry["data_type"], int(entry["num_components"])
            dtype = np.dtype(kind).newbyteorder("<")
        except (KeyError, TypeError, ValueError) as error:
            raise InfoValidationError(
                f"{where}: expected id, data_type and num_components, found {entry!r}",
                key=key,
                expected="id, data_type, num_components",
                found=entry,
            ) from error
        if dtype.kind not in "fiub" or dtype.itemsize > 8:
            raise InfoValidationError(
                f"{where}: data_type: expected a type of numbers, found {kind!r}",
                key=key,
                expected="a type of numbers",
                found=kind,
            )
        if not 1 <= count <= _MAX_COMPONENTS:
            raise InfoValidationError(
                f"{where}: num_components: expected 1 to {_MAX_COMPONENTS}, found {count}",
                key=key,
                expected=_MAX_COMPONENTS,
                found=count,
            )
        name = "radius" if name == "radii" else name
        if not isinstance(name, str) or name in _reserved() or name in {a.id for a in out}:
            raise InfoValidationError(
                f"{where}: id: expected one that no other attribute or member of a skeleton has, found {name!r}",
                key=key,
                expected="an unused id",
                found=name,
            )
        out.append(VertexAttribute(name, dtype, count))
    return out


@functools.cache
def _reserved() -> frozenset[str]:
    taken = {"vertices", "edges", "id", "space", "extra_attributes", "default_attributes"}
    return frozenset({name for name in dir(Skeleton) if name != "radii"} | taken | {"_transform"})


def decode_skeletons(
    buffers: Sequence[bytes],
    labels: Sequence[int | None],
    names: Sequence[str],
    attributes: Sequence[VertexAttribute],
    transform: NDArray[np.floating[Any]] | None = None,
) -> list[Skeleton]:
    """Decode skeletons, all in one call of the core.

    Parameters
    ----------
    buffers : sequence of bytes
    labels : sequence of int or None
        The id of each.
    names : sequence of str
        What messages call each.
    attributes : sequence of VertexAttribute
        As the info lists them.
    transform : ndarray, shape (3, 4), optional
        From stored to physical coordinates: applied, and kept in the skeletons.  Without it they stay as stored.

    Returns
    -------
    list of Skeleton
        Without a stored radius it is -1, and without stored vertex types they are 0; other attributes that are not
        stored are arrays of length 0.

    Raises
    ------
    SkeletonDecodeError, SkeletonUnassignedEdgeError
    """
    return SkeletonDecoder(attributes, transform)(buffers, labels, names)


class SkeletonDecoder:
    """Decodes batches of skeletons that have the same attributes; see `decode_skeletons`."""

    def __init__(
        self,
        attributes: Sequence[VertexAttribute],
        transform: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        self._attributes = [(a.dtype, a.num_components) for a in attributes]
        is_moved = transform is not None and not np.array_equal(transform, _IDENTITY)
        self._transform = transform if is_moved else None
        kept = _IDENTITY if transform is None else np.asarray(transform, np.float32)
        self._make = _maker(attributes, kept, "voxel" if transform is None else "physical")

    def __call__(
        self, buffers: Sequence[bytes], labels: Sequence[int | None], names: Sequence[str]
    ) -> list[Skeleton]:
        """Decode some, all in one call of the core.

        Raises
        ------
        SkeletonDecodeError, SkeletonUnassignedEdgeError
        """
        return core.decode_many(
            list(buffers),
            names,
            attributes=self._attributes,
            transform=self._transform,
            labels=labels,
            make=self._make,
        )


def _maker(
    attributes: Sequence[VertexAttribute], transform: NDArray[np.float32], space: str
) -> core.Maker:
    """Return what makes skeletons of arrays, in a fraction of the time that osteoid's constructor takes.

    One skeleton is made by the constructor; the others get its members, but for those that are their own.
    """
    ids = [a.id for a in attributes]
    own: list[Any] = [  # what is recognised among the members afterwards
        np.zeros((1, 3), np.float32),
        np.zeros((0, 2), np.uint32),
        np.zeros(1, np.float32),
        np.zeros(1, np.uint8),
        object(),
    ]
    members = vars(Skeleton(*own, transform, space, []))
    names = [[k for k, v in members.items() if v is each] for each in own]
    lists = [k for k, v in members.items() if isinstance(v, list)]
    arrays = [
        k
        for k, v in members.items()
        if isinstance(v, np.ndarray) and not any(v is each for each in own)
    ]
    # Another version of osteoid may keep them otherwise; then the constructor makes all of them.
    is_known = [len(n) for n in names] == [1] * 5 and len(lists) == len(arrays) == 1
    filled = [n[0] for n in names] + lists + arrays if is_known else []

    def construct(*parts: Any) -> Skeleton:  # Any: vertices, edges, radius, types, label, listed
        return Skeleton(*parts[:5], transform, space, parts[5])

    return core.Maker(
        Skeleton,
        None if is_known else construct,
        filled,
        [(k, v) for k, v in members.items() if k not in filled],
        transform,
        [a.to_dict() for a in attributes],
        [a.to_dict() for a in DEFAULT_ATTRIBUTES],
        ids.index("radius") if "radius" in ids else -1,
        ids.index("vertex_types") if "vertex_types" in ids else -1,
        (_UNKNOWN["radius"], _UNKNOWN["vertex_types"]),
        [
            (i, a.id, (0,) if a.num_components == 1 else (0, a.num_components), a.dtype)
            for i, a in enumerate(attributes)
            if a.id not in _UNKNOWN
        ],
    )


def encode_skeletons(
    skeletons: Sequence[Any],  # osteoid's Skeleton
    names: Sequence[str],
    transform: NDArray[np.floating[Any]] | None = None,
) -> list[bytes]:
    """Encode skeletons with the attributes that they list, all in one call of the core.

    Parameters
    ----------
    skeletons : sequence of Skeleton
    names : sequence of str
        What messages call each.
    transform : ndarray, shape (3, 4), optional
        Applied to the vertices.

    Raises
    ------
    SkeletonEncodeError
        An attribute is absent, or has not one value for each vertex.
    SkeletonUnassignedEdgeError
        An edge names a vertex that is not there.
    """
    parts: list[Any] = []  # Any: see encode_many
    dtypes: dict[str, np.dtype[Any]] = {}
    for number, skeleton in enumerate(skeletons):
        values = []
        for entry in skeleton.extra_attributes:
            identifier, kind = entry["id"], entry["data_type"]
            array = getattr(skeleton, identifier, None)
            if array is None:
                raise SkeletonEncodeError(
                    f"{names[number]}: vertex attribute {identifier}: expected an array, found none",
                    key=names[number],
                    expected="an array",
                )
            dtype = dtypes.get(kind)
            if dtype is None:
                dtype = dtypes[kind] = np.dtype(kind)
            values.append((identifier, np.asarray(array, dtype)))
        parts.append((skeleton.vertices, skeleton.edges, values))
    return core.encode_many(parts, names, transform=transform)


_IDENTITY = np.eye(3, 4, dtype=np.float32)


# A caller may expect this package's exception, or osteoid's.
class _TransformError(SkeletonTransformError, _osteoid.SkeletonTransformError):  # type: ignore[misc]
    pass


class _MixingError(SkeletonAttributeMixingError, _osteoid.SkeletonAttributeMixingError):  # type: ignore[misc]
    pass


class _DecodeError(SkeletonDecodeError, _osteoid.SkeletonDecodeError):  # type: ignore[misc]
    pass


class _EncodeError(SkeletonEncodeError, _osteoid.SkeletonEncodeError):  # type: ignore[misc]
    pass


class _EdgeError(SkeletonUnassignedEdgeError, _osteoid.SkeletonUnassignedEdgeError):  # type: ignore[misc]
    pass


_BOTH: dict[type[BaseException], type[errors.CloudVolumeError]] = {
    _osteoid.SkeletonTransformError: _TransformError,
    _osteoid.SkeletonAttributeMixingError: _MixingError,
    _osteoid.SkeletonDecodeError: _DecodeError,
    _osteoid.SkeletonEncodeError: _EncodeError,
    _osteoid.SkeletonUnassignedEdgeError: _EdgeError,
}


class _SkeletonType(type(osteoid.Skeleton)):  # type: ignore[misc]
    """Makes every skeleton of osteoid's an instance of this package's class."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, osteoid.Skeleton)


class Skeleton(osteoid.Skeleton, metaclass=_SkeletonType):  # type: ignore[misc]
    """A skeleton, with osteoid's members and these differences.

    Precomputed bytes and SWC are read and written by this package, so that malformed ones raise its errors; going back
    to voxel space undoes going to physical space where the transform moves and scales; and what methods return is of
    this class.  Skeletons of osteoid's own class count as instances.

    Parameters
    ----------
    vertices : ndarray of float32, shape (n, 3), optional
    edges : ndarray of uint32, shape (m, 2), optional
    radii : ndarray of float32, shape (n,), optional
        Default -1.
    vertex_types : ndarray of uint8, shape (n,), optional
        As in SWC; default 0.
    segid : int, optional
    transform : ndarray of float32, shape (3, 4), optional
        From voxel to physical space.
    space : str
        ``"voxel"`` or ``"physical"``.
    extra_attributes : list of dict, optional
        Attributes as an info lists them.
    """

    @classmethod
    def from_precomputed(
        cls,
        skelbuf: bytes,
        segid: int | None = None,
        vertex_attributes: Sequence[Mapping[str, Any]] | None = None,
    ) -> Skeleton:
        """Decode a binary skeleton, without a transform.

        Raises
        ------
        SkeletonDecodeError, SkeletonUnassignedEdgeError, InfoValidationError
        """
        name = "skeleton" if segid is None else f"skeleton {segid}"
        attributes = parse_attributes(vertex_attributes, name)
        return decode_skeletons([bytes(skelbuf)], [segid], [name], attributes)[0]

    decode = from_precomputed

    def to_precomputed(self) -> bytes:
        """Encode with the attributes that are listed.

        Raises
        ------
        SkeletonEncodeError, SkeletonUnassignedEdgeError
        """
        name = "skeleton" if self.id is None else f"skeleton {self.id}"
        return encode_skeletons([self], [name])[0]

    encode = to_precomputed

    @classmethod
    def from_swc(cls, swcstr: str) -> Skeleton:
        """Read SWC; see `deliver.swc.parse_swc`.

        Raises
        ------
        SkeletonDecodeError
        """
        table = parse_swc(swcstr)
        return cls(table.vertices, table.edges, table.radii, table.vertex_types)

    def to_swc(self, contributors: str = "", soma_threshold: float = math.inf) -> str:
        """Write SWC; see `deliver.swc.format_swc`."""
        return format_swc(
            self,
            contributors=contributors,
            soma_threshold=soma_threshold,
            version=__version__,
        )

    def apply_inverse_transform(self, transform: Any = None) -> None:  # Any: 12 numbers
        """Undo `apply_transform`, exactly also where the transform moves.

        Raises
        ------
        SkeletonTransformError
            The transform cannot be undone.
        """
        matrix = self.transform if transform is None else transform
        back = inverse_transform(
            np.asarray(matrix, np.float64).reshape(3, 4), f"skeleton {self.id}"
        )
        vertices: NDArray[np.float64] = np.asarray(self.vertices, np.float64)
        self.vertices: NDArray[np.float32] = (vertices @ back[:, :3].T + back[:, 3]).astype(
            np.float32
        )

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Write a file: SWC where the name says so, else binary, compressed for ``.gz``, ``.xz`` and ``.lzma``."""
        path = os.fspath(filename)
        stem, opener = _opener(path)
        content = self.to_swc().encode() if stem.endswith("swc") else self.to_precomputed()
        with opener(path, "wb") as file:
            file.write(content)

    @classmethod
    def load(cls, filename: str | os.PathLike[str], allow_mmap: bool = False) -> Skeleton:
        """Read a file of `save`'s or another program's; bytes are copied once, whatever `allow_mmap` says.

        Raises
        ------
        SkeletonDecodeError, SkeletonUnassignedEdgeError, OSError
        """
        path = os.fspath(filename)
        stem, opener = _opener(path)
        with opener(path, "rb") as file:
            content = file.read()
        if stem.endswith("swc"):
            return cls.from_swc(content.decode())
        return cls.from_precomputed(content)


def _opener(path: str) -> tuple[str, Callable[..., Any]]:  # Any: open's parameters
    stem, extension = os.path.splitext(path)
    if extension == ".gz":
        return stem, gzip.open
    if extension in (".xz", ".lzma"):
        return stem, lzma.open
    return path, open


def inverse_transform(transform: NDArray[np.float64], key: str) -> NDArray[np.float64]:
    """Return the transform that undoes one, shape (3, 4).

    Raises
    ------
    SkeletonTransformError
        There is none.
    """
    try:
        back = np.linalg.inv(transform[:, :3])
    except np.linalg.LinAlgError as error:
        raise _TransformError(
            f"{key}: expected a transform that can be undone, found {transform.tolist()}",
            key=key,
            found=transform.tolist(),
        ) from error
    return np.column_stack([back, -back @ transform[:, 3]])


def _adopt(value: Any) -> Any:  # Any: what a method returns
    """Make skeletons of osteoid's class ones of this class, also within lists and dictionaries."""
    if type(value) is osteoid.Skeleton:
        value.__class__ = Skeleton
    elif isinstance(value, (list, tuple)):
        for item in value:
            _adopt(item)
    elif isinstance(value, dict):
        for item in value.values():
            _adopt(item)
    return value


def _wrapped(method: Callable[..., Any]) -> Callable[..., Any]:  # Any: whatever it takes
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return _adopt(method(*args, **kwargs))
        except tuple(_BOTH) as error:
            if isinstance(error, errors.CloudVolumeError):
                raise
            raise _BOTH[type(error)](*error.args) from error

    return call


def _wrap(names: Iterable[str]) -> None:
    for name in names:
        member = osteoid.Skeleton.__dict__.get(name)
        if isinstance(member, classmethod):
            setattr(Skeleton, name, classmethod(_wrapped(member.__func__)))
        elif isinstance(member, staticmethod):
            setattr(Skeleton, name, staticmethod(_wrapped(member.__func__)))
        elif callable(member):
            setattr(Skeleton, name, _wrapped(member))


_wrap(
    (
        "from_path",
        "simple_merge",
        "from_navis",
        "physical_space",
        "voxel_space",
        "merge",
        "crop",
        "consolidate",
        "remove_disconnected_vertices",
        "clone",
        "downsample",
        "average_smoothing",
        "components",
        "chunk",
    )
)

PrecomputedSkeleton = Skeleton
"""Upstream's older name."""
