# SPDX-License-Identifier: BSD-3-Clause
"""The exception hierarchy."""

from __future__ import annotations

import errno
import pickle

import pytest

from cloudvolume_fast import errors

BASES = {
    "OutOfBoundsError": ValueError,
    "AlignmentError": ValueError,
    "SubvoxelVolumeError": ValueError,
    "EmptyRequestException": ValueError,
    "EmptyVolumeException": Exception,
    "EmptyFileException": Exception,
    "InfoUnavailableError": errors.InfoError,
    "TooManyRedirects": errors.RedirectError,
    "CyclicRedirect": errors.RedirectError,
    "RedirectError": errors.InfoError,
    "ScaleUnavailableError": IndexError,
    "ReadOnlyException": Exception,
    "AuthenticationError": Exception,
    "DimensionError": Exception,
    "UnsupportedFormatError": Exception,
    "UnsupportedProtocolError": ValueError,
    "UnsupportedCompressionType": ValueError,
    "DecodingError": Exception,
    "EncodingError": Exception,
    "CompressionError": Exception,
    "DecompressionError": Exception,
    "MeshMissingError": ValueError,
    "MeshDecodeError": ValueError,
    "SkeletonUnassignedEdgeError": Exception,
    "SkeletonDecodeError": Exception,
    "SkeletonEncodeError": Exception,
    "SkeletonTransformError": Exception,
    "SkeletonAttributeMixingError": Exception,
    "SpecViolation": Exception,
    "SpatialIndexGapError": Exception,
    "UnsupportedGrapheneAPIVersionError": Exception,
    "WriteLockAcquisitionError": Exception,
    "WriteLockReleaseError": Exception,
    "InfoValidationError": ValueError,
    "MissingInfoMemberError": KeyError,
    "UnsupportedEncodingError": NotImplementedError,
    "UnsupportedOptionError": NotImplementedError,
    "ChunkDecodeError": errors.DecodingError,
    "ChunkReadError": OSError,
    "ChunkWriteError": OSError,
    "InvalidArgumentError": ValueError,
}


@pytest.mark.parametrize(("name", "base"), BASES.items())
def test_class_keeps_builtin_base(name, base):
    error = getattr(errors, name)
    assert issubclass(error, base)
    assert issubclass(error, errors.CloudVolumeError)


@pytest.mark.parametrize("name", errors.__all__)
def test_message_is_first_argument(name):
    error = getattr(errors, name)("a/b: expected 1", key="a/b", expected=1, found=[2], offset=3)
    assert error.args == ("a/b: expected 1",)
    assert str(error) == "a/b: expected 1"
    assert (error.key, error.expected, error.found, error.offset) == ("a/b", 1, [2], 3)


@pytest.mark.parametrize("name", errors.__all__)
def test_pickle_keeps_class_message_and_attributes(name):
    error = getattr(errors, name)("message", key="k", expected=1, found=2, offset=3)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.args == ("message",)
    assert (copy.key, copy.expected, copy.found, copy.offset) == ("k", 1, 2, 3)


@pytest.mark.parametrize("name", errors.__all__)
def test_attributes_are_optional(name):
    error = getattr(errors, name)()
    assert error.args == ()
    assert error.key is None
    assert error.offset is None


def test_decompression_and_chunk_decoding_can_be_told_apart():
    assert not issubclass(errors.ChunkDecodeError, errors.DecompressionError)
    assert not issubclass(errors.DecompressionError, errors.DecodingError)


@pytest.mark.parametrize("error_class", [errors.ChunkReadError, errors.ChunkWriteError])
def test_io_error_takes_errno_as_keyword(error_class):
    error = error_class("a: cannot read", key="a", errno=errno.EIO)
    assert error.errno == errno.EIO
    assert error.args == ("a: cannot read",)


def test_io_error_pickles_with_errno():
    error = errors.ChunkReadError("a: cannot read", key="a", errno=errno.EIO)
    copy = pickle.loads(pickle.dumps(error))
    assert copy.errno == errno.EIO
    assert copy.key == "a"


def test_io_error_does_not_interpret_two_positional_arguments():
    error = errors.ChunkReadError(errno.ENOENT, "gone")
    assert type(error) is errors.ChunkReadError
    assert error.args == (errno.ENOENT, "gone")
    assert error.errno is None


def test_attributes_set_later_survive_pickling():
    error = errors.CloudVolumeError("message")
    error.add_note("a note")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["a note"]
