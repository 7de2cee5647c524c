# SPDX-License-Identifier: BSD-3-Clause
"""Single chunks under upstream's names: encode, decode, and look into them.

Volumes do not pass here: the core works on whole boxes.  What the core alone decodes (png, compresso, crackle) is given
to it as a layer of one chunk.

``num_threads``, 0 for all that the process may use, is how many threads work on a chunk: those of the packages where
they can (jxl, writing crackle), else threads that decode layers of it (`_LAYERED`).  The other encodings are one stream
each, which one thread works on, as upstream's do.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cloudvolume_fast._core import compressed_segmentation
from cloudvolume_fast.config import VolumeConfig, parse_parallel
from cloudvolume_fast.decode import registry
from cloudvolume_fast.decode.codec import ChunkSpec
from cloudvolume_fast.deliver.read_image import read_box
from cloudvolume_fast.deliver.write_image import encode_box
from cloudvolume_fast.errors import (
    ChunkDecodeError,
    EmptyVolumeException,
    InvalidArgumentError,
    UnsupportedEncodingError,
)
from cloudvolume_fast.options import ReadOptions, WriteOptions
from cloudvolume_fast.sources.precomputed.image import PrecomputedImageSource
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

__all__ = [
    "DEFAULT_CSEG_BLOCK_SIZE",
    "NEEDS_INSTALL",
    "SUPPORTED_ENCODINGS",
    "as2d",
    "check_installed",
    "contains",
    "decode",
    "decode_binary_image",
    "decode_compressed_segmentation",
    "decode_jpeg",
    "decode_jpegxl",
    "decode_kempressed",
    "decode_npz",
    "decode_png",
    "decode_raw",
    "encode",
    "encode_compressed_segmentation",
    "encode_jpeg",
    "encode_jpegxl",
    "encode_kempressed",
    "encode_npz",
    "encode_png",
    "encode_raw",
    "labels",
    "read_voxel",
    "remap",
    "transcode",
]

Array = NDArray[Any]

SUPPORTED_ENCODINGS = (
    "raw",
    "kempressed",
    "fpzip",
    "compressed_segmentation",
    "compresso",
    "crackle",
    "jpeg",
    "jxl",
    "png",
    "zfpc",
)
DEFAULT_CSEG_BLOCK_SIZE = (8, 8, 8)
NEEDS_INSTALL: dict[str, str] = {}
"""Encoding to what must be installed, where something must."""

_LAYERED = ("compressed_segmentation", "compresso", "crackle")
"""Encodings of which a layer can be decoded without the others."""

_LABELLED = ("raw", "compressed_segmentation", "compresso", "crackle")
_EMPTY: Mapping[str, Any] = {}
_MEMBERS = {
    "jpeg": {"level": "jpeg_quality"},
    "png": {"level": "png_level"},
    "fpzip": {"level": "fpzip_precision"},
    "jxl": {"level": "jxl_quality", "effort": "jxl_effort", "decodingspeed": "jxl_decodingspeed"},
    "zfpc": {
        "tolerance": "zfpc_tolerance",
        "rate": "zfpc_rate",
        "precision": "zfpc_precision",
        "correlated_dims": "zfpc_correlated_dims",
    },
}


def check_installed(encoding: str) -> None:
    """Raise ImportError if an encoding needs a package that is not installed; says which."""
    if encoding in registry.names():
        registry.lookup(encoding, "encoding").load()


def _codec(encoding: str) -> registry.Codec:
    return registry.lookup("jxl" if encoding == "jpegxl" else encoding, "encoding")


def _members(encoding: str, params: Mapping[str, Any]) -> dict[str, Any]:
    names = _MEMBERS.get(encoding, {})
    unknown = sorted(set(params) - set(names))
    if unknown:
        raise InvalidArgumentError(
            f"compression_params: expected {', '.join(names) or 'none'} for {encoding}, found {', '.join(unknown)}",
            key="compression_params",
            expected=tuple(names),
            found=unknown,
        )
    return {names[name]: value for name, value in params.items() if value is not None}


def _source(
    folder: str,
    encoding: str,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    block_size: Sequence[int] | None,
    params: Mapping[str, Any] = _EMPTY,
    threads: int = 1,
) -> PrecomputedImageSource:
    """Return a layer of one chunk, in a folder that need not exist."""
    extents = [int(extent) for extent in shape[:3]]
    scale = {
        "key": "chunk",
        "encoding": encoding,
        "size": extents,
        "voxel_offset": [0, 0, 0],
        "resolution": [1, 1, 1],
        "chunk_sizes": [extents],
        **_members(encoding, params),
    }
    if encoding == "compressed_segmentation":
        block = DEFAULT_CSEG_BLOCK_SIZE if block_size is None else block_size
        scale["compressed_segmentation_block_size"] = [int(extent) for extent in block]
    info = {
        "@type": "neuroglancer_multiscale_volume",
        "type": "image",
        "data_type": dtype.name,
        "num_channels": int(shape[3]) if len(shape) == 4 else 1,
        "scales": [scale],
    }
    meta = PrecomputedMetadata(f"file://{folder}", info)
    return PrecomputedImageSource(meta, VolumeConfig(codec_threads=threads))


def encode(
    img_chunk: Array,
    encoding: str,
    block_size: Sequence[int] | None = None,
    compression_params: Mapping[str, Any] = _EMPTY,
    num_threads: int | bool = 1,
) -> bytes:
    """Encode a chunk.

    Parameters
    ----------
    img_chunk : ndarray, shape (x, y, z) or (x, y, z, channel)
    encoding : str
        One of `SUPPORTED_ENCODINGS`, or npz.
    block_size : sequence of 3 int, optional
        For compressed_segmentation; default (8, 8, 8).
    compression_params : dict
        ``level`` for jpeg, png, jxl and fpzip; ``effort``, ``decodingspeed`` for jxl; ``tolerance``, ``rate``,
        ``precision``, ``correlated_dims`` for zfpc.
    num_threads : int or bool
        See the module.

    Raises
    ------
    UnsupportedEncodingError, EncodingError, InvalidArgumentError
    """
    if encoding == "npz":
        return encode_npz(img_chunk)
    threads = _threads(num_threads)
    name = _codec(encoding).name
    voxels = img_chunk[..., np.newaxis] if img_chunk.ndim == 3 else img_chunk
    source = _source(
        "/nowhere", name, voxels.shape, voxels.dtype, block_size, compression_params, threads
    )
    scale = source.image_scale(0)
    _, chunks = encode_box(scale, scale.bounds, voxels, WriteOptions(threads=1))
    data = chunks[0]
    return b"" if data is None else bytes(data)


def _threads(num_threads: int | bool) -> int:
    if num_threads < 0:
        raise InvalidArgumentError(
            f"num_threads: expected at least 0, found {num_threads}",
            key="num_threads",
            expected=">= 0",
            found=num_threads,
        )
    return parse_parallel(num_threads)


def _decode_layers(
    decode_layer: Callable[[int, int, Array], object],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    depth: int,
    threads: int,
) -> Array:
    """Return a chunk of which threads decode a layer each; `depth` is that of the parts that the encoding has."""
    out = np.empty(shape, dtype, order="F")
    depth = max(1, depth)  # what is none is refused where it is decoded
    parts = -(-shape[2] // depth)
    count = max(1, min(threads, parts))
    cuts = [min(shape[2], parts * i // count * depth) for i in range(count + 1)]
    layers = [(begin, end, out[:, :, begin:end]) for begin, end in pairwise(cuts)]
    if count == 1:
        decode_layer(*layers[0])
    else:
        with ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(decode_layer, *layer) for layer in layers]:
                done.result()
    return out


def _require(
    shape: Sequence[int] | None, dtype: DTypeLike | None
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if shape is None or dtype is None:
        raise InvalidArgumentError(
            f"shape, dtype: expected both, as the bytes do not tell, found {shape}, {dtype}",
            key="shape",
            found=(shape, dtype),
        )
    extents = tuple(int(extent) for extent in shape)
    return (*extents, 1) if len(extents) == 3 else extents, np.dtype(dtype)


def _decode_segmentation(
    data: bytes,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    block_size: Sequence[int] | None,
    threads: int = 1,
) -> Array:
    x, y, z, channels = shape
    block = DEFAULT_CSEG_BLOCK_SIZE if block_size is None else tuple(map(int, block_size))

    def decode_layer(begin: int, end: int, out: Array) -> None:
        compressed_segmentation.decode(
            data,
            (x, y, z),
            dtype,
            block_shape=block,
            num_channels=channels,
            box=((0, 0, begin), (x, y, end)),
            out=out,
        )

    return _decode_layers(decode_layer, shape, dtype, block[2], threads)


def decode(
    filedata: bytes | None,
    encoding: str,
    shape: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    block_size: Sequence[int] | None = None,
    background_color: float = 0,
    num_threads: int | bool = 1,
) -> Array:
    """Decode a chunk.

    Parameters
    ----------
    filedata : bytes or None
        Without second-stage compression; nothing stands for a chunk that is all background.
    encoding : str
    shape : sequence of 3 or 4 int
        (x, y, z) or (x, y, z, channel).
    dtype : dtype-like
    block_size : sequence of 3 int, optional
        For compressed_segmentation; default (8, 8, 8).
    background_color : number
    num_threads : int or bool
        See the module.

    Returns
    -------
    ndarray, shape (x, y, z, channel), Fortran order

    Raises
    ------
    UnsupportedEncodingError, ChunkDecodeError, InvalidArgumentError
    """
    if encoding == "npz":
        return decode_npz(b"" if filedata is None else filedata)
    threads = _threads(num_threads)
    name = _codec(encoding).name
    extents, kind = _require(shape, dtype)
    if not filedata:
        return np.full(extents, background_color, kind, order="F")
    if name == "raw":
        return decode_raw(filedata, extents, kind)
    if name == "compressed_segmentation":
        return _decode_segmentation(filedata, extents, kind, block_size, threads)
    x, y, z = extents[:3]
    codec = registry.lookup(name, "encoding")
    if not codec.is_native:
        implementation: Any = codec.load()  # a ChunkCodec, as the core does not decode it
        spec = ChunkSpec(kind, extents[3], {}, threads)
        found = implementation.decode(memoryview(filedata), (x, y, z), (0, 0, 0, x, y, z), spec)
        return np.asfortranarray(found)
    with tempfile.TemporaryDirectory(prefix="cvfast-chunk-") as folder:
        source = _source(folder, name, extents, kind, block_size)
        path = os.path.join(folder, "chunk", "_".join(f"0-{extent}" for extent in extents[:3]))
        os.makedirs(os.path.dirname(path))
        with open(path, "wb") as file:
            file.write(filedata)
        scale = source.image_scale(0)

        def read_layer(begin: int, end: int, out: Array) -> None:
            read_box(scale, (0, 0, begin, x, y, end), ReadOptions(threads=1), out=out)

        return _decode_layers(read_layer, extents, kind, 1, threads if name in _LAYERED else 1)


def _require_labelled(encoding: str) -> None:
    name = _codec(encoding).name
    if name not in _LABELLED:
        raise UnsupportedEncodingError(
            f"encoding: expected one of {', '.join(_LABELLED)}, found {name}",
            key="encoding",
            expected=_LABELLED,
            found=name,
        )


def labels(
    filedata: bytes | None,
    encoding: str,
    shape: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    block_size: Sequence[int] | None = None,
    background_color: float = 0,
) -> Array:
    """Return the distinct values of a chunk of labels, ascending; parameters as for `decode`."""
    _require_labelled(encoding)
    if not filedata:
        return np.array([background_color], dtype)
    if encoding == "compressed_segmentation":
        extents, kind = _require(shape, dtype)
        return compressed_segmentation.unique(
            filedata,
            extents[:3],
            kind,
            block_shape=DEFAULT_CSEG_BLOCK_SIZE if block_size is None else block_size,
            num_channels=extents[3],
        )
    return np.unique(decode(filedata, encoding, shape, dtype, block_size, background_color))


def contains(
    filedata: bytes | None,
    label: int,
    encoding: str,
    shape: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    block_size: Sequence[int] | None = DEFAULT_CSEG_BLOCK_SIZE,
) -> bool:
    """Say whether a chunk has a label; parameters as for `decode`."""
    if encoding in _LABELLED:
        return bool(np.isin(label, labels(filedata, encoding, shape, dtype, block_size)))
    return bool((decode(filedata, encoding, shape, dtype, block_size) == label).any())


def decode_binary_image(
    label: int,
    filedata: bytes | None,
    encoding: str,
    shape: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    block_size: Sequence[int] | None = None,
    background_color: float = 0,
    num_threads: int | bool = 0,
) -> Array:
    """Return where a chunk has a label, as bool; parameters as for `decode`."""
    voxels = decode(filedata, encoding, shape, dtype, block_size, background_color, num_threads)
    return np.asfortranarray(voxels == label)


def read_voxel(
    xyz: Sequence[int],
    filedata: bytes | None,
    encoding: str,
    shape: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    block_size: Sequence[int] | None = None,
    background_color: float = 0,
) -> Array:
    """Return one voxel of a chunk.

    Parameters
    ----------
    xyz : sequence of 3 int
        From the chunk's first voxel.
    filedata, encoding, shape, dtype, block_size, background_color
        As for `decode`.

    Returns
    -------
    ndarray, shape (1, 1, 1, channel)
    """
    x, y, z = (int(value) for value in xyz)
    if encoding == "compressed_segmentation" and filedata:
        extents, kind = _require(shape, dtype)
        return compressed_segmentation.decode(
            filedata,
            extents[:3],
            kind,
            block_shape=DEFAULT_CSEG_BLOCK_SIZE if block_size is None else block_size,
            num_channels=extents[3],
            box=((x, y, z), (x + 1, y + 1, z + 1)),
        )
    voxels = decode(filedata, encoding, shape, dtype, block_size, background_color)
    return voxels[x : x + 1, y : y + 1, z : z + 1].copy(order="F")


def remap(
    filedata: bytes,
    encoding: str,
    mapping: Mapping[int, int],
    preserve_missing_labels: bool = False,
    shape: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    block_size: Sequence[int] | None = None,
) -> bytes:
    """Return a chunk of labels with other labels in their place.

    Parameters
    ----------
    filedata, encoding, shape, dtype, block_size
        As for `decode`.
    mapping : dict
        Label to label.
    preserve_missing_labels : bool
        Leave labels that it lacks; else they are an error.

    Raises
    ------
    KeyError
        A label is missing from the mapping.
    """
    voxels = decode(filedata, encoding, shape, dtype, block_size)
    found, inverse = np.unique(voxels, return_inverse=True)
    new = []
    for value in found.tolist():
        if value not in mapping and not preserve_missing_labels:
            raise KeyError(f"mapping: expected every label of the chunk, found none for {value}")
        new.append(mapping.get(value, value))
    table = np.array(new, voxels.dtype)
    return encode(np.asfortranarray(table[inverse].reshape(voxels.shape)), encoding, block_size)


def transcode(
    image_chunks: Mapping[Any, bytes] | Iterable[tuple[Any, bytes]],
    src_encoding: str,
    dest_encoding: str,
    src_chunk_size_fn: Callable[[Any], tuple[int, ...]],
    dtype: DTypeLike,
    background_color: float = 0,
    progress: bool | str = False,
    in_place: bool = False,
    src_block_size: Sequence[int] = DEFAULT_CSEG_BLOCK_SIZE,
    dest_block_size: Sequence[int] = DEFAULT_CSEG_BLOCK_SIZE,
    compression_params: Mapping[str, Any] = _EMPTY,
    force: bool = False,
    total: int | None = None,
    num_threads: int | bool = 1,
    dest_chunk_size_fn: Callable[[Any], tuple[int, ...]] | None = None,
) -> Iterator[tuple[Any, bytes]]:
    """Yield chunks in another encoding.

    Parameters
    ----------
    image_chunks : dict or pairs
        Name to bytes.
    src_encoding, dest_encoding : str
    src_chunk_size_fn : callable
        Name to (x, y, z) or (x, y, z, channel).
    dtype : dtype-like
    background_color : number
        What chunks without bytes hold.
    progress : bool or str
    in_place : bool
        Forget the bytes of each chunk of the dict when the next one is asked for.
    src_block_size, dest_block_size : sequence of 3 int
        For compressed_segmentation.
    compression_params : dict
        As for `encode`.
    force : bool
        Encode anew where the encodings are the same.
    total : int, optional
        Number of chunks, for the bar.
    num_threads : int
        As for `encode`.
    dest_chunk_size_fn : callable, optional
        Name to the extents of which chunks are cut or, with background, filled up to.
    """
    from tqdm import tqdm

    pairs: Any = image_chunks.items() if isinstance(image_chunks, Mapping) else image_chunks
    if in_place and isinstance(image_chunks, dict):
        pairs = ((name, image_chunks.pop(name)) for name in list(image_chunks))
    same = (
        src_encoding == dest_encoding
        and not force
        and dest_chunk_size_fn is None
        and tuple(src_block_size) == tuple(dest_block_size)
    )
    title = progress if isinstance(progress, str) else "Transcoding"
    for name, data in tqdm(pairs, total=total, desc=title, disable=not progress):
        if same:
            yield name, data
            continue
        shape = src_chunk_size_fn(name)
        voxels = decode(
            data, src_encoding, shape, dtype, src_block_size, background_color, num_threads
        )
        if dest_chunk_size_fn is not None:
            voxels = _resized(voxels, dest_chunk_size_fn(name), background_color)
        yield name, encode(voxels, dest_encoding, dest_block_size, compression_params, num_threads)


def _resized(voxels: Array, shape: Sequence[int], background_color: float) -> Array:
    extents = (*shape[:3], voxels.shape[3])
    out = np.full(extents, background_color, voxels.dtype, order="F")
    part = tuple(slice(0, min(a, b)) for a, b in zip(extents, voxels.shape, strict=True))
    out[part] = voxels[part]
    return out


# One encoding each.


def encode_raw(subvol: Array) -> bytes:
    """Encode a chunk as raw: its voxels in Fortran order, little-endian."""
    return encode(subvol, "raw")


def decode_raw(bytestring: bytes, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Decode a raw chunk into a read-only array.

    Raises
    ------
    ChunkDecodeError
    """
    kind = np.dtype(dtype).newbyteorder("<")
    expected = int(np.prod([int(extent) for extent in shape])) * kind.itemsize
    if len(bytestring) != expected:
        raise ChunkDecodeError(
            f"raw chunk: expected {expected} bytes, found {len(bytestring)}",
            expected=expected,
            found=len(bytestring),
        )
    return np.frombuffer(bytestring, kind).reshape(shape, order="F")


def encode_compressed_segmentation(subvol: Array, block_size: Sequence[int]) -> bytes:
    """Encode a chunk of uint32 or uint64 labels."""
    return compressed_segmentation.encode(subvol, block_shape=block_size)


def decode_compressed_segmentation(
    bytestring: bytes,
    shape: Sequence[int],
    dtype: DTypeLike,
    block_size: Sequence[int] | None,
) -> Array:
    """Decode a chunk of uint32 or uint64 labels."""
    return _decode_segmentation(bytestring, *_require(shape, dtype), block_size)


def encode_jpeg(arr: Array, quality: int = 85) -> bytes:
    """Encode a chunk of uint8 as jpeg."""
    return encode(arr, "jpeg", compression_params={"level": quality})


def decode_jpeg(bytestring: bytes, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Decode a jpeg chunk."""
    return decode(bytestring, "jpeg", shape, dtype)


def encode_jpegxl(
    arr: Array,
    level: float | None,
    effort: int | None,
    decodingspeed: int | None,
    num_threads: int,
) -> bytes:
    """Encode a chunk of uint8 as jxl."""
    params = {"level": level, "effort": effort, "decodingspeed": decodingspeed}
    return encode(arr, "jxl", compression_params=params, num_threads=num_threads)


def decode_jpegxl(binary: bytes, shape: Sequence[int], num_threads: int = 0) -> Array:
    """Decode a jxl chunk of uint8."""
    return decode(binary, "jxl", shape, np.uint8, num_threads=num_threads)


def encode_png(arr: Array, compress_level: int = 9) -> bytes:
    """Encode a chunk of uint8 or uint16 as png."""
    return encode(arr, "png", compression_params={"level": compress_level})


def decode_png(bytestring: bytes, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Decode a png chunk."""
    return decode(bytestring, "png", shape, dtype)


def encode_kempressed(subvol: Array) -> bytes:
    """Encode a chunk of floats as kempressed."""
    return encode(subvol, "kempressed")


def decode_kempressed(bytestring: bytes) -> Array:
    """Decode a kempressed chunk, whose header has shape and type."""
    from cloudvolume_fast._core import fpzip

    shape, dtype, _ = fpzip.header(bytestring)
    # The header has the chunk's axes as (x, y, channel, z).
    x, y, channels, z = shape
    return decode(bytestring, "kempressed", (x, y, z, channels), dtype)


def encode_npz(subvol: Array) -> bytes:
    """Encode an array as numpy's compressed archive (upstream keeps it for old data)."""
    file = io.BytesIO()
    np.savez_compressed(file, np.asarray(subvol))
    return file.getvalue()


def decode_npz(string: bytes) -> Array:
    """Decode an array of `encode_npz`.

    Raises
    ------
    EmptyVolumeException
        There is nothing to decode.
    """
    if not string:
        raise EmptyVolumeException("npz: expected an archive, found no bytes", key="npz")
    with np.load(io.BytesIO(string), allow_pickle=False) as archive:
        found: Array = archive["arr_0"]
    return found


def as2d(arr: Array) -> tuple[Array, int]:
    """Return a chunk as the picture that jpeg, png and jxl hold, and its number of channels.

    Parameters
    ----------
    arr : ndarray, shape (x, y, z) or (x, y, z, channel)

    Returns
    -------
    ndarray, shape (y * z, x, channel)
    int
    """
    voxels = arr[..., np.newaxis] if arr.ndim == 3 else arr
    x, y, z, channels = voxels.shape
    return voxels.transpose((2, 1, 0, 3)).reshape((z * y, x, channels)), channels
