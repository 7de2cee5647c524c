# SPDX-License-Identifier: BSD-3-Clause
"""The sharding member of an info file: how 64-bit ids are spread over shards and minishards."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast._core import murmurhash3, sharding
from cloudvolume_fast.errors import InvalidArgumentError, SpecViolation
from cloudvolume_fast.model.labels import as_label, as_labels, is_scalar
from cloudvolume_fast.model.shard_synthesis import (
    Labelled,
    synthesize_shard_file,
    synthesize_shard_files,
)
from cloudvolume_fast.model.vec import Vec

__all__ = ["ShardLocation", "ShardingSpecification", "image_shard_shape_from_spec"]

ShardHash = Literal["identity", "murmurhash3_x86_128"]
ShardEncoding = Literal["raw", "gzip"]

TYPE = "neuroglancer_uint64_sharded_v1"
_BITS = ("preshift_bits", "minishard_bits", "shard_bits")
_ENCODINGS = ("raw", "gzip")
_HASHES = ("identity", "murmurhash3_x86_128")
_KEYS = ("@type", "preshift_bits", "hash", "minishard_bits", "shard_bits")
_ENCODING_KEYS = ("minishard_index_encoding", "data_encoding")
_ALL = 2**64 - 1
_DIGITS = np.frombuffer("0123456789abcdef".encode("utf-32-le"), dtype="<u4")


class SpecBits(TypedDict):
    """What decides where an id is stored, as the functions of the core take it."""

    preshift_bits: int
    minishard_bits: int
    shard_bits: int
    hash: ShardHash


# Any: a scalar for one label, an array for many.
class ShardLocation(NamedTuple):
    """Where a label is stored.

    Attributes
    ----------
    shard_number : str or ndarray of str
        Lower-case hexadecimal, as file names have it.
    minishard_number : int or ndarray of uint64
        The minishard in the shard.
    remainder : int or ndarray of uint64
        The bits of the hash that neither of them uses.
    """

    shard_number: Any
    minishard_number: Any
    remainder: Any


class ShardingSpecification:
    """How ids are spread over shards and minishards, and how these are stored.

    Parameters
    ----------
    type : str
        ``"neuroglancer_uint64_sharded_v1"``.
    preshift_bits : int
        Low bits of an id that are dropped before it is hashed, 0 to 64.
    hash : str
        ``"identity"`` or ``"murmurhash3_x86_128"``.
    minishard_bits, shard_bits : int
        Bits of the hash that number minishards and shards, 0 to 64, together at most 64.
    minishard_index_encoding, data_encoding : str
        ``"raw"`` or ``"gzip"``.

    Raises
    ------
    SpecViolation
        If one of them is none of these.

    Notes
    -----
    Neuroglancer, ``sharded.rst``, "sharding specification".  Upstream behaviour ``ShardingSpecification``, but masks
    always follow from the bits, and equal specifications are equal.
    """

    __hash__ = None  # type: ignore[assignment]  # its fields can be set

    def __init__(
        self,
        type: str,
        preshift_bits: int,
        hash: ShardHash,
        minishard_bits: int,
        shard_bits: int,
        minishard_index_encoding: ShardEncoding = "raw",
        data_encoding: ShardEncoding = "raw",
    ) -> None:
        self.type = type
        self.preshift_bits = preshift_bits
        self.hash = hash
        self.minishard_bits = minishard_bits
        self.shard_bits = shard_bits
        self.minishard_index_encoding: ShardEncoding = minishard_index_encoding
        self.data_encoding: ShardEncoding = data_encoding
        self._extra: dict[str, Any] = {}  # unknown members, kept for to_dict
        self.validate()

    # Fields.

    @property
    def preshift_bits(self) -> int:
        """Low bits of an id that are dropped before it is hashed."""
        return self._preshift_bits

    @preshift_bits.setter
    def preshift_bits(self, value: int) -> None:
        self._preshift_bits = _checked_bits("preshift_bits", value)

    @property
    def minishard_bits(self) -> int:
        """Bits of the hash that number minishards."""
        return self._minishard_bits

    @minishard_bits.setter
    def minishard_bits(self, value: int) -> None:
        self._minishard_bits = _checked_bits("minishard_bits", value)

    @property
    def shard_bits(self) -> int:
        """Bits of the hash that number shards."""
        return self._shard_bits

    @shard_bits.setter
    def shard_bits(self, value: int) -> None:
        self._shard_bits = _checked_bits("shard_bits", value)

    @property
    def hash(self) -> ShardHash:
        """Name of the hash."""
        return self._hash

    @hash.setter
    def hash(self, value: ShardHash) -> None:
        self._hash: ShardHash = cast(ShardHash, _checked_choice("hash", value, _HASHES))

    @property
    def minishard_mask(self) -> int:
        """The bits of a hash that number minishards."""
        return self.compute_minishard_mask(self.minishard_bits)

    @property
    def shard_mask(self) -> int:
        """The bits of a hash that number shards."""
        return self.compute_shard_mask(self.shard_bits, self.minishard_bits)

    def compute_minishard_mask(self, val: int) -> int:
        """Return the mask of so many low bits.

        Raises
        ------
        SpecViolation
            If they are not 0 to 64.
        """
        return (1 << _checked_bits("minishard_bits", val)) - 1

    def compute_shard_mask(self, shard_bits: int, minishard_bits: int) -> int:
        """Return the mask of the bits above those of minishards.

        Raises
        ------
        SpecViolation
            If one of them is not 0 to 64.
        """
        ones = (1 << _checked_bits("shard_bits", shard_bits)) - 1
        return (ones << _checked_bits("minishard_bits", minishard_bits)) & _ALL

    def index_length(self) -> int:
        """Return the size of a shard index in bytes."""
        return 16 << self.minishard_bits

    def bits(self) -> SpecBits:
        """Return what decides where an id is stored, as the functions of the core take it.

        Raises
        ------
        SpecViolation
            If minishard and shard bits are more than 64.
        """
        self._check_sum()
        return {
            "preshift_bits": self.preshift_bits,
            "minishard_bits": self.minishard_bits,
            "shard_bits": self.shard_bits,
            "hash": self.hash,
        }

    def validate(self) -> None:
        """Check all fields.

        Raises
        ------
        SpecViolation
            If one of them has a value that the format does not allow.
        """
        _checked_choice("@type", self.type, (TYPE,))
        for key in _ENCODING_KEYS:
            _checked_choice(key, getattr(self, key), _ENCODINGS)
        self._check_sum()

    def _check_sum(self) -> None:
        total = self.minishard_bits + self.shard_bits
        if total > 64:
            raise SpecViolation(
                f"minishard_bits, shard_bits: expected a sum of at most 64, "
                f"found {self.minishard_bits} + {self.shard_bits}",
                key="minishard_bits, shard_bits",
                expected=64,
                found=total,
            )

    # Copies and other forms.

    @classmethod
    def from_dict(cls, vals: Mapping[str, Any]) -> ShardingSpecification:
        """Read the ``sharding`` member of an info file.

        Parameters
        ----------
        vals : dict
            As parsed from JSON.  Members that the format does not know are kept for `to_dict`.

        Returns
        -------
        ShardingSpecification
            The encodings that are absent are ``"raw"``.

        Raises
        ------
        SpecViolation
            If a member is missing or has a value that the format does not allow.
        """
        if not isinstance(vals, Mapping):
            raise SpecViolation(
                f"sharding: expected a JSON object, found {vals!r}",
                key="sharding",
                expected="a JSON object",
                found=vals,
            )
        for key in _KEYS:
            if key not in vals:
                raise SpecViolation(
                    f"sharding: expected a member {key!r}, found {', '.join(map(repr, vals)) or 'none'}",
                    key=key,
                    expected=key,
                    found=list(vals),
                )
        spec = cls(*(vals[key] for key in _KEYS), *(vals.get(key, "raw") for key in _ENCODING_KEYS))
        spec._extra = {key: vals[key] for key in vals if key not in (*_KEYS, *_ENCODING_KEYS)}
        return spec

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> ShardingSpecification | None:
        """Read what a scale, or the info of meshes or skeletons, says of shards.

        Parameters
        ----------
        info : dict
            As parsed from JSON.

        Returns
        -------
        ShardingSpecification or None
            None where ``sharding`` is absent or null, hence nothing is sharded.

        Raises
        ------
        SpecViolation
            As `from_dict`.
        """
        vals = info.get("sharding")
        return None if vals is None else cls.from_dict(vals)

    @classmethod
    def from_json(cls, vals: str | bytes) -> ShardingSpecification:
        """Read a specification from JSON text.

        Raises
        ------
        SpecViolation
            As `from_dict`; also if the text is not JSON.
        """
        try:
            parsed = json.loads(vals)
        except ValueError as error:
            raise SpecViolation(
                f"sharding: expected JSON, found {error}", key="sharding"
            ) from error
        return cls.from_dict(parsed)

    def to_dict(self) -> dict[str, Any]:
        """Return the ``sharding`` member of an info file, of types that JSON knows."""
        return {
            "@type": self.type,
            "preshift_bits": self.preshift_bits,
            "hash": self.hash,
            "minishard_bits": self.minishard_bits,
            "shard_bits": self.shard_bits,
            "minishard_index_encoding": self.minishard_index_encoding,
            "data_encoding": self.data_encoding,
            **self._extra,
        }

    def to_json(self) -> str:
        """Return the specification as JSON text."""
        return json.dumps(self.to_dict())

    def clone(self) -> ShardingSpecification:
        """Return a copy."""
        return ShardingSpecification.from_dict(self.to_dict())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ShardingSpecification):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __repr__(self) -> str:
        return f"ShardingSpecification.from_dict({self.to_dict()!r})"

    def __str__(self) -> str:
        return f"ShardingSpecification::{self.to_dict()}"

    # Where ids are.

    def hashfn(self, key: Any) -> Any:  # Any: int to int, array to array
        """Return the hash of shifted ids: an integer for one, an array for many."""
        values = as_labels(_listed(key))
        hashes = murmurhash3.hash_uint64(values) if self.hash != "identity" else values
        return int(hashes[0]) if is_scalar(key) else hashes

    def locate(self, labels: Any) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the numbers of shards and minishards where labels are stored.

        Parameters
        ----------
        labels : array or iterable of int
            Unsigned 64-bit integers.

        Returns
        -------
        shards, minishards : ndarray of uint64, shape (n,)
            In the order of the labels.

        Raises
        ------
        InvalidArgumentError
            If a label is not an unsigned 64-bit integer.
        SpecViolation
            If minishard and shard bits are more than 64.
        """
        return sharding.locate(as_labels(labels), **self.bits())

    def compute_shard_location(self, key: Any) -> ShardLocation:
        """Return where labels are stored.

        Parameters
        ----------
        key : int, array or sequence of int
            One label or many.

        Returns
        -------
        ShardLocation
            Of scalars for one label, else of arrays of shape (n,).

        Raises
        ------
        InvalidArgumentError
            If a label is not an unsigned 64-bit integer.
        SpecViolation
            If minishard and shard bits are more than 64.
        """
        labels = as_labels(_listed(key))
        shards, minishards = self.locate(labels)
        remainders = _remainders(self, labels)
        if is_scalar(key):
            return ShardLocation(
                self.format_shard(int(shards[0])), int(minishards[0]), int(remainders[0])
            )
        return ShardLocation(self.format_shards(shards), minishards, remainders)

    @property
    def shard_digits(self) -> int:
        """Hexadecimal digits of a shard in file names."""
        return max(1, -(-self.shard_bits // 4))

    def format_shard(self, shard: int) -> str:
        """Return the number of a shard as file names have it."""
        return f"{shard:0{self.shard_digits}x}"

    def format_shards(self, shards: NDArray[np.uint64]) -> NDArray[np.str_]:
        """Return the numbers of shards as file names have them, shape (n,)."""
        digits = self.shard_digits
        out = np.empty((len(shards), digits), dtype="<u4")
        for digit in range(digits):
            shift = np.uint64(4 * (digits - 1 - digit))
            out[:, digit] = _DIGITS[(shards >> shift) & np.uint64(15)]
        return out.view(f"<U{digits}").reshape(-1)

    def shard_filename(self, shard: int) -> str:
        """Return the name of a shard's file."""
        return self.format_shard(shard) + ".shard"

    def get_filename(self, label: int) -> str:
        """Return the name of the file that a label is stored in.

        Raises
        ------
        InvalidArgumentError
            If the label is not an unsigned 64-bit integer.
        SpecViolation
            If minishard and shard bits are more than 64.
        """
        shards, _ = self.locate([label])
        return self.shard_filename(int(shards[0]))

    def image_shard_shape(self, dataset_size: Sequence[int], chunk_size: Sequence[int]) -> Vec:
        """Return the shape of the region of an image that one shard holds.

        Parameters
        ----------
        dataset_size, chunk_size : (int, int, int)
            Of the scale, in voxels.

        Returns
        -------
        Vec of int64
            In voxels; it may reach past the end of the image.

        Raises
        ------
        SpecViolation
            If ids are hashed, so that the chunks of a shard lie anywhere.
        InvalidArgumentError
            If preshift and minishard bits are 64 or more, or a size is not positive.

        Notes
        -----
        Bits of the compressed Morton code go to x, y, z in turns, as long as an axis has bits left.
        """
        if self.hash != "identity":
            raise SpecViolation(
                f"hash: expected identity, as a shard of hashed chunks is no box, found {self.hash}",
                key="hash",
                expected="identity",
                found=self.hash,
            )
        bits = self.preshift_bits + self.minishard_bits
        if bits >= 64:
            raise InvalidArgumentError(
                f"preshift_bits, minishard_bits: expected a sum below 64, "
                f"found {self.preshift_bits} + {self.minishard_bits}",
                key="preshift_bits, minishard_bits",
                expected=63,
                found=bits,
            )
        grid = grid_size(dataset_size, chunk_size)
        shape = [1, 1, 1]
        while bits > 0 and any(s < g for s, g in zip(shape, grid, strict=True)):
            round_of_bits = [axis for axis in range(3) if shape[axis] < grid[axis]]
            for axis in round_of_bits[:bits]:
                shape[axis] *= 2
            bits -= len(round_of_bits)
        return Vec(*(s * int(c) for s, c in zip(shape, chunk_size, strict=True)))

    # Shard files.

    def synthesize_shards(
        self,
        data: Labelled,
        data_offset: Mapping[int, int] | None = None,
        progress: bool | str = False,
    ) -> dict[str, bytes]:
        """Make all shard files that some labels need; see `synthesize_shard_files`."""
        return synthesize_shard_files(self, data, data_offset, progress)

    def synthesize_shard(
        self,
        labels: Labelled | Mapping[int, Mapping[int, bytes]],
        data_offset: Mapping[int, int] | None = None,
        progress: bool | str = False,
        presorted: bool = False,
    ) -> bytes:
        """Make one shard file; see `synthesize_shard_file`."""
        return synthesize_shard_file(self, labels, data_offset, progress, presorted)


def image_shard_shape_from_spec(
    spec: Mapping[str, Any], dataset_size: Sequence[int], chunk_size: Sequence[int]
) -> Vec:
    """Return the shape of the region of an image that one shard holds.

    Parameters
    ----------
    spec : dict or ShardingSpecification
        The ``sharding`` member of the scale.
    dataset_size, chunk_size : (int, int, int)
        Of the scale, in voxels.

    Returns
    -------
    Vec of int64
        As `ShardingSpecification.image_shard_shape`.

    Raises
    ------
    SpecViolation
        If the specification is not valid, or ids are hashed.
    InvalidArgumentError
        If preshift and minishard bits are 64 or more, or a size is not positive.
    """
    parsed = spec if isinstance(spec, ShardingSpecification) else None
    return (parsed or ShardingSpecification.from_dict(spec)).image_shard_shape(
        dataset_size, chunk_size
    )


def grid_size(dataset_size: Sequence[int], chunk_size: Sequence[int]) -> tuple[int, int, int]:
    """Return how many chunks there are along x, y, z.

    Raises
    ------
    InvalidArgumentError
        If there are not three positive integers each.
    """
    for name, triple in (("dataset_size", dataset_size), ("chunk_size", chunk_size)):
        if len(triple) != 3 or any(int(extent) != extent or extent <= 0 for extent in triple):
            raise InvalidArgumentError(
                f"{name}: expected 3 positive integers (x, y, z), found {tuple(triple)}",
                key=name,
                expected="3 positive integers",
                found=tuple(triple),
            )
    x, y, z = (-(-int(s) // int(c)) for s, c in zip(dataset_size, chunk_size, strict=True))
    return x, y, z


def _listed(key: Any) -> Any:
    if isinstance(key, np.ndarray):
        return np.atleast_1d(key)
    return [as_label(key)] if is_scalar(key) else key


def _remainders(spec: ShardingSpecification, labels: NDArray[np.uint64]) -> NDArray[np.uint64]:
    used = spec.minishard_bits + spec.shard_bits
    if used == 64:
        return np.zeros_like(labels)
    # numpy leaves open what a shift by 64 gives.
    shift = spec.preshift_bits
    shifted = labels >> np.uint64(shift) if shift < 64 else np.zeros_like(labels)
    hashes = murmurhash3.hash_uint64(shifted) if spec.hash != "identity" else shifted
    return cast("NDArray[np.uint64]", hashes >> np.uint64(used))


def _checked_bits(key: str, value: object) -> int:
    try:
        bits = -1 if isinstance(value, bool | np.bool_) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        bits = -1
    if not 0 <= bits <= 64:
        raise SpecViolation(
            f"{key}: expected an integer of 0 to 64, found {value!r}",
            key=key,
            expected="0 to 64",
            found=value,
        )
    return bits


def _checked_choice(key: str, value: object, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise SpecViolation(
            f"{key}: expected {' or '.join(choices)}, found {value!r}",
            key=key,
            expected=choices,
            found=value,
        )
    return value
