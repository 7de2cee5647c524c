# SPDX-License-Identifier: BSD-3-Clause
"""The exception hierarchy: one base, upstream's names, and their builtin second bases.

A name known from ``cloudvolume.exceptions`` keeps the builtin base it has there, so an existing
``except ValueError`` or ``except IndexError`` clause still catches it.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AlignmentError",
    "AuthenticationError",
    "AuthorizationError",
    "CRC32CIntegrityError",
    "ChunkDecodeError",
    "ChunkReadError",
    "ChunkWriteError",
    "CloudVolumeError",
    "CompressionError",
    "CyclicRedirect",
    "DecodingError",
    "DecompressionError",
    "DimensionError",
    "EmptyFileException",
    "EmptyRequestException",
    "EmptyVolumeException",
    "EncodingError",
    "InfoError",
    "InfoUnavailableError",
    "InfoValidationError",
    "IntegrityError",
    "InvalidArgumentError",
    "MD5IntegrityError",
    "MeshDecodeError",
    "MeshMissingError",
    "MissingInfoMemberError",
    "OutOfBoundsError",
    "ReadOnlyException",
    "RedirectError",
    "ScaleUnavailableError",
    "ShardIndexError",
    "SharedMemoryAllocationError",
    "SharedMemoryReadError",
    "SkeletonAttributeMixingError",
    "SkeletonDecodeError",
    "SkeletonEncodeError",
    "SkeletonTransformError",
    "SkeletonUnassignedEdgeError",
    "SpatialIndexGapError",
    "SpatialIndexUnavailableError",
    "SpecViolation",
    "SubvoxelVolumeError",
    "TooManyRedirects",
    "UnsupportedCompressionType",
    "UnsupportedEncodingError",
    "UnsupportedFormatError",
    "UnsupportedGrapheneAPIVersionError",
    "UnsupportedOptionError",
    "UnsupportedProtocolError",
    "UpstreamImportedError",
    "WorkerError",
    "WriteLockAcquisitionError",
    "WriteLockReleaseError",
]


class CloudVolumeError(Exception):
    """Base of every error this package raises on its own account.

    Parameters
    ----------
    *args : object
        Positional arguments as for any exception; the message is the first.
    key : str, optional
        File, key, path or parameter the error is about.
    expected, found : object, optional
        What was required and what was there instead.
    offset : int, optional
        Position in bytes within ``key`` at which the fault was noticed.
    """

    # Any: an attribute holds whatever value was expected or found, of no fixed type.
    def __init__(
        self,
        *args: object,
        key: str | None = None,
        expected: Any = None,
        found: Any = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(*args)
        self.key = key
        self.expected = expected
        self.found = found
        self.offset = offset

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the class itself, so that the keyword attributes survive."""
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(
    cls: type[CloudVolumeError], args: tuple[object, ...], state: dict[str, Any]
) -> CloudVolumeError:
    error = cls(*args)
    for name, value in state.items():
        setattr(error, name, value)
    return error


class _FileOperationError(CloudVolumeError, OSError):
    """An `OSError` whose ``errno`` is a keyword, so that the message stays ``args[0]``.

    `OSError` itself takes ``errno`` and ``strerror`` from two positional arguments and, when given
    them, changes both ``args`` and its own class.
    """

    def __new__(cls, *args: object, **kwargs: Any) -> _FileOperationError:
        """Create the object without letting `OSError` interpret the arguments."""
        return OSError.__new__(cls, *args[:1])

    def __init__(
        self,
        *args: object,
        key: str | None = None,
        expected: Any = None,
        found: Any = None,
        offset: int | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(*args[:1], key=key, expected=expected, found=found, offset=offset)
        self.args = args
        self.errno = errno

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with ``errno``, which `OSError` keeps outside ``__dict__``."""
        return (_rebuild, (type(self), self.args, {**self.__dict__, "errno": self.errno}))


class InvalidArgumentError(CloudVolumeError, ValueError):
    """A parameter has a value that is never acceptable."""


class UnsupportedOptionError(CloudVolumeError, NotImplementedError):
    """An option is valid but cannot be honoured here."""


class UnsupportedEncodingError(CloudVolumeError, NotImplementedError):
    """A chunk encoding is not known, or its codec is not available."""


class UpstreamImportedError(CloudVolumeError, ImportError):
    """The package ``cloudvolume`` was imported before this one could take its place."""


# Regions of a volume.


class OutOfBoundsError(CloudVolumeError, ValueError):
    """A region lies outside the bounds of the volume."""


class AlignmentError(CloudVolumeError, ValueError):
    """A region is not chunk aligned, or an array has the wrong shape for it."""


class SubvoxelVolumeError(CloudVolumeError, ValueError):
    """A region contains no voxel."""


class EmptyRequestException(CloudVolumeError, ValueError):
    """A request covers nothing."""


class DimensionError(CloudVolumeError):
    """An array has an unsupported number of dimensions."""


class EmptyVolumeException(CloudVolumeError):
    """A chunk does not exist, or holds no bytes."""


class EmptyFileException(CloudVolumeError):
    """A file that must have content holds no bytes."""


class ReadOnlyException(CloudVolumeError):
    """A write to something locked, redirected or otherwise not writable."""


class WriteLockAcquisitionError(CloudVolumeError):
    """A scale could not be locked against writes."""


class WriteLockReleaseError(CloudVolumeError):
    """A scale could not be unlocked."""


# Metadata.


class InfoError(CloudVolumeError):
    """Base of the errors about an info file."""


class InfoUnavailableError(InfoError):
    """There is no info file at the path."""


class InfoValidationError(InfoError, ValueError):
    """An info file does not conform to the format."""


class MissingInfoMemberError(InfoValidationError, KeyError):
    """A member that another member makes necessary is absent from an info file."""

    # KeyError shows the repr of its argument; a message must be shown as it is.
    __str__ = Exception.__str__


class RedirectError(InfoError):
    """Base of the errors about an info file that points elsewhere."""


class TooManyRedirects(RedirectError):
    """A chain of redirects is longer than allowed."""


class CyclicRedirect(RedirectError):
    """A chain of redirects comes back to where it was."""


class ScaleUnavailableError(CloudVolumeError, IndexError):
    """There is no such mip, or no scale of that resolution."""


# Paths and services.


class UnsupportedFormatError(CloudVolumeError):
    """A path names a format that is not supported."""


class UnsupportedProtocolError(CloudVolumeError, ValueError):
    """A path is malformed or names a protocol that is not supported."""


class UnsupportedGrapheneAPIVersionError(CloudVolumeError):
    """A graphene server offers no API version that is supported."""


class AuthenticationError(CloudVolumeError):
    """A server did not accept the credentials."""


class AuthorizationError(_FileOperationError, PermissionError):
    """A store refuses what was asked for, with the credentials that there are.

    Accepts ``errno`` as a keyword, next to those of `CloudVolumeError`.
    """


# Bytes.


class ChunkReadError(_FileOperationError):
    """A file could not be read for a reason other than its absence.

    Accepts ``errno`` as a keyword, next to those of `CloudVolumeError`.
    """


class ChunkWriteError(_FileOperationError):
    """A file could not be written or deleted.

    Accepts ``errno`` as a keyword, next to those of `CloudVolumeError`.
    """


class IntegrityError(CloudVolumeError):
    """The bytes received are not those that the store says it sent."""


class MD5IntegrityError(IntegrityError):
    """The MD5 digest of the bytes received is not the one announced."""


class CRC32CIntegrityError(IntegrityError):
    """The CRC32C of the bytes received is not the one announced."""


class UnsupportedCompressionType(CloudVolumeError, ValueError):
    """A byte-stream compression is not known."""


class CompressionError(CloudVolumeError):
    """Compressing a byte stream failed."""


class DecompressionError(CloudVolumeError):
    """A byte stream is not what its content encoding says; see also `ChunkDecodeError`."""


class EncodingError(CloudVolumeError):
    """An array could not be encoded."""


class DecodingError(CloudVolumeError):
    """Bytes could not be decoded."""


class ChunkDecodeError(DecodingError, ValueError):
    """A chunk's bytes, after any decompression, do not conform to its encoding, or are too many."""


class SpecViolation(CloudVolumeError):
    """A sharded file or its specification does not conform to the format."""


class ShardIndexError(SpecViolation):
    """The index of a shard, or of one of its minishards, is truncated or contradicts itself."""


class SharedMemoryReadError(CloudVolumeError):
    """A shared memory segment is absent or has another size than expected."""


class SharedMemoryAllocationError(CloudVolumeError, MemoryError):
    """There is not enough room for a shared memory segment; ``expected`` and ``found`` are bytes."""


class WorkerError(CloudVolumeError):
    """Worker processes do not start, or those that worked on a chunk ended again and again."""


# Meshes, skeletons, spatial index.


class MeshMissingError(CloudVolumeError, ValueError):
    """A segment has no mesh."""


class MeshDecodeError(CloudVolumeError, ValueError):
    """A mesh could not be decoded."""


class SkeletonUnassignedEdgeError(CloudVolumeError):
    """An edge of a skeleton refers to a vertex that does not exist."""


class SkeletonDecodeError(CloudVolumeError):
    """A skeleton could not be decoded."""


class SkeletonEncodeError(CloudVolumeError):
    """A skeleton could not be encoded."""


class SkeletonTransformError(CloudVolumeError):
    """The transform of a skeleton is missing or malformed."""


class SkeletonAttributeMixingError(CloudVolumeError):
    """Skeletons with different vertex attributes were to be combined."""


class SpatialIndexGapError(CloudVolumeError):
    """A file of the spatial index is missing."""


class SpatialIndexUnavailableError(CloudVolumeError, IndexError):
    """Nobody made a spatial index."""
