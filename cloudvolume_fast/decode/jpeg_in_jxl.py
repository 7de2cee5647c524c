# SPDX-License-Identifier: BSD-3-Clause
"""Between jpeg and jxl without loss: a jxl file can hold a jpeg's coefficients, and what gives back its very bytes.

The voxels differ by little: libjxl does not round between the steps of the transform as libjpeg does.
"""

from __future__ import annotations

from cloudvolume_fast.decode import jpeg, jxl
from cloudvolume_fast.decode.codec import ChunkSpec, Triple
from cloudvolume_fast.decode.registry import require
from cloudvolume_fast.errors import CloudVolumeError

imagecodecs = require("imagecodecs", "jxl")

_HEADER_BYTES = 1 << 16  # of a jpeg: tables and comments


def jpeg_to_jxl(data: bytes, chunk_shape: Triple, spec: ChunkSpec) -> bytes | None:
    """Return a jxl file that holds a jpeg; None where that cannot be done, be it damage or a form that jxl has not."""
    try:
        jpeg.check_header(data, chunk_shape, spec)
        return bytes(imagecodecs.jpegxl_encode_jpeg(data, numthreads=spec.threads))
    except (CloudVolumeError, ValueError, RuntimeError):
        return None


def jxl_to_jpeg(data: bytes, chunk_shape: Triple, spec: ChunkSpec) -> bytes | None:
    """Return the jpeg that a jxl file holds; None where it holds none, or cannot be read."""
    try:
        jxl.check_header(data, chunk_shape, spec)
        if not jxl.holds_jpeg(data):
            return None
        # Few bytes can stand for many of metadata: there is no more room than a jpeg of the chunk needs.
        room = _HEADER_BYTES + 2 * spec.chunk_bytes(chunk_shape)
        found = bytes(imagecodecs.jpegxl_decode_jpeg(data, numthreads=spec.threads, out=room))
        jpeg.check_header(found, chunk_shape, spec)
    except (CloudVolumeError, ValueError, RuntimeError):
        return None
    return found
