# SPDX-License-Identifier: BSD-3-Clause
"""Chunks made to hurt: cut, flipped, claiming other things, or small for what they claim.

Decoders run in a process of their own, so that a crash, a hang or a bomb is a failed test.  CVFAST_FLIPS sets how many
chunks of each kind are damaged (default 2000).
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import support

from cloudvolume_fast import CloudVolume
from cloudvolume_fast._core import fpzip
from cloudvolume_fast.decode import registry
from cloudvolume_fast.decode.codec import ChunkSpec
from cloudvolume_fast.errors import ChunkDecodeError

imagecodecs = pytest.importorskip("imagecodecs")
image = pytest.importorskip("PIL.Image")
zfpy = pytest.importorskip("zfpy")

FLIPS = int(os.environ.get("CVFAST_FLIPS", "2000"))
SHAPE = (13, 11, 7)
WHOLE = (0, 0, 0, *SHAPE)
MAX_GROWTH_MIB = 64

# Encoding, data type, channels, members of the scale.
KINDS = [
    ("fpzip", "float32", 1, {}),
    ("fpzip", "float64", 2, {}),
    ("fpzip", "float32", 3, {"fpzip_precision": 6}),
    ("kempressed", "float32", 3, {}),
    ("jpeg", "uint8", 1, {}),
    ("jpeg", "uint8", 3, {}),
    ("jxl", "uint8", 1, {}),
    ("jxl", "uint8", 3, {}),
    ("jxl", "uint8", 4, {"jxl_quality": 100}),
    ("zfpc", "float32", 1, {}),
    ("zfpc", "float64", 2, {"zfpc_correlated_dims": [True, True, True, False]}),
    ("zfpc", "int32", 1, {}),
    ("zfpc", "int64", 1, {}),
    ("zfpc", "float32", 1, {"zfpc_rate": 8.0}),
    ("zfpc", "float32", 1, {"zfpc_precision": 12.0}),
    ("zfpc", "float32", 1, {"zfpc_tolerance": 0.001}),
    ("zfpc", "float32", 2, {"zfpc_correlated_dims": [True, False, False, False]}),
    ("kempressed", "float64", 2, {}),
    ("jxl", "uint8", 1, {"holds": "jpeg"}),
    ("jxl", "uint8", 3, {"holds": "jpeg"}),
]


def kind_id(kind: tuple) -> str:
    return "-".join([*map(str, kind[:3]), *kind[3]])


def make_chunk(kind: tuple, shape: tuple[int, int, int] = SHAPE) -> bytes:
    encoding, dtype, channels, members = kind
    if "holds" in members:
        return imagecodecs.jpegxl_encode_jpeg(make_chunk(("jpeg", dtype, channels, {}), shape))
    x, y, z, c = np.indices((*shape, channels)).astype(float)
    voxels = (np.sin(x / 3) * 50 + np.cos(y / 5) * 50 + z + 5 * c + 110).astype(dtype)
    spec = ChunkSpec(np.dtype(dtype), channels, members)
    return registry.lookup(encoding, "").load().encode(np.asfortranarray(voxels), spec)


DAMAGE = """
import collections, json, random, resource, sys
import numpy as np
from cloudvolume_fast.decode import registry
from cloudvolume_fast.decode.codec import ChunkSpec
path, encoding, dtype, channels, members, flips = sys.argv[1:]
channels = int(channels)
chunk = open(path, "rb").read()
shape = (13, 11, 7)
spec = ChunkSpec(np.dtype(dtype), channels, json.loads(members))
codec = registry.lookup(encoding, "").load()
found = collections.Counter()

def decode(data):
    try:
        voxels = codec.decode(memoryview(data), shape, (0, 0, 0, *shape), spec)
    except Exception as error:  # any: the core reports whatever a package raises with the chunk's key
        assert str(error) or type(error).__name__
        return "error"
    assert voxels.shape == (*shape, channels) and voxels.dtype == spec.dtype
    return "value"

assert decode(chunk) == "value"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for n in range(0, len(chunk), max(1, len(chunk) // 500)):
    found["cut " + decode(chunk[:n])] += 1
draw = random.Random(1)
for i in range(int(flips)):
    data = bytearray(chunk)
    # Every other one in the header, where it hurts most.
    end = 8 * min(len(data), 64) if i % 2 else 8 * len(data)
    for _ in range(draw.randint(1, 4)):
        bit = draw.randrange(end)
        data[bit // 8] ^= 1 << bit % 8
    found["flip " + decode(bytes(data))] += 1
for i in range(200):
    keep = draw.randrange(len(chunk))
    found["noise " + decode(chunk[:keep] + draw.randbytes(len(chunk) - keep))] += 1
growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"found": found, "growth_mib": growth / 1024}))
"""


@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
def test_damaged_chunk_is_an_error_or_a_value_of_the_right_shape(
    tmp_path: Path, kind: tuple
) -> None:
    encoding, dtype, channels, members = kind
    (tmp_path / "chunk").write_bytes(make_chunk(kind))
    result = support.run_python(
        DAMAGE,
        tmp_path / "chunk",
        encoding,
        dtype,
        channels,
        str(members).replace("'", '"').replace("True", "true").replace("False", "false"),
        FLIPS,
        timeout_seconds=300,
    )
    assert result["growth_mib"] < MAX_GROWTH_MIB
    assert result["found"].get("cut value", 0) == 0
    assert result["found"]["flip error"] > FLIPS // 5


def write_chunk_layer(tmp_path: Path, kind: tuple, chunk: bytes) -> CloudVolume:
    encoding, dtype, channels, members = kind
    info = support.make_info(
        size=SHAPE, chunk_size=SHAPE, data_type=dtype, encoding=encoding, num_channels=channels
    )
    info["scales"][0].update(members)
    vol = CloudVolume(f"file://{tmp_path}", info=info, compress=False)
    vol.commit_info()
    (tmp_path / support.KEY).mkdir(exist_ok=True)
    (tmp_path / support.KEY / "0-13_0-11_0-7").write_bytes(chunk)
    return vol


def assert_refused(tmp_path: Path, kind: tuple, chunk: bytes) -> None:
    vol = write_chunk_layer(tmp_path, kind, chunk)
    with pytest.raises(ChunkDecodeError, match="0-13_0-11_0-7: cannot decode") as caught:
        vol[:]
    assert str(caught.value.key).endswith("0-13_0-11_0-7")


@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
def test_cut_chunk_of_a_volume_is_named(tmp_path: Path, kind: tuple) -> None:
    chunk = make_chunk(kind)
    for n in (1, 20, len(chunk) // 2, len(chunk) - 1):
        assert_refused(tmp_path, kind, chunk[:n])


@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
def test_chunk_of_another_shape_is_refused(tmp_path: Path, kind: tuple) -> None:
    for shape in ((13, 11, 6), (14, 11, 7), (26, 22, 14)):
        assert_refused(tmp_path, kind, make_chunk(kind, shape))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (KINDS[0], ("fpzip", "float64", 1, {})),
        (KINDS[1], ("fpzip", "float32", 2, {})),
        (KINDS[1], ("fpzip", "float64", 1, {})),
        (KINDS[3], ("kempressed", "float32", 2, {})),
        (KINDS[4], ("jpeg", "uint8", 3, {})),
        (KINDS[5], ("jpeg", "uint8", 1, {})),
        (KINDS[6], ("jxl", "uint8", 3, {})),
        (KINDS[7], ("jxl", "uint8", 1, {})),
        (KINDS[7], ("jxl", "uint8", 4, {})),
        (KINDS[17], ("kempressed", "float32", 2, {})),
        (KINDS[18], ("jxl", "uint8", 3, {})),
        (KINDS[19], ("jxl", "uint8", 1, {})),
        (KINDS[9], ("zfpc", "float64", 1, {})),
        (KINDS[9], ("zfpc", "int32", 1, {})),
        (KINDS[10], ("zfpc", "float64", 1, {})),
        (KINDS[0], ("zfpc", "float32", 1, {})),
        (KINDS[4], ("jxl", "uint8", 1, {})),
    ],
    ids=kind_id,
)
def test_chunk_of_another_type_or_channel_count_is_refused(
    tmp_path: Path, written: tuple, read: tuple
) -> None:
    assert_refused(tmp_path, read, make_chunk(written))


BOMB = """
import json, resource, sys, time
from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import ChunkDecodeError
vol = CloudVolume(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.monotonic()
try:
    vol[:]
    found = None
except ChunkDecodeError as error:
    found = str(error)
growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"found": found, "growth_mib": growth / 1024, "seconds": time.monotonic() - start}))
"""


def jpeg_bomb() -> bytes:
    return simplejpeg.encode_jpeg(np.zeros((16000, 16000, 1), np.uint8), 1, "GRAY")


def jpeg_of_many_scans() -> bytes:
    """A picture of the right size with 100,000 empty scans before its end."""
    chunk = make_chunk(KINDS[4])
    scan = chunk[chunk.index(b"\xff\xda") : -2]
    return chunk[:-2] + scan[:14] * 100_000 + chunk[-2:]


def progressive_jpeg() -> bytes:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (SHAPE[1] * SHAPE[2], SHAPE[0]), np.uint8)
    file = io.BytesIO()
    image.fromarray(pixels).save(file, "JPEG", progressive=True)
    return file.getvalue()


def progressive_jpeg_of_many_scans() -> bytes:
    """As above, where libjpeg would read every one of them."""
    chunk = progressive_jpeg()
    return chunk[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x21" * 100_000 + chunk[-2:]


def jpeg_of_many_scans_of_one_component() -> bytes:
    """A sequential picture of three components, each in scans of its own."""
    chunk = make_chunk(KINDS[5])
    head = chunk[: chunk.index(b"\xff\xda")]
    return head + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 100_000 + b"\xff\xd9"


def jxl_header(width: int, height: int, extra_channels: int) -> bytes:
    """A picture that is a header with these claims, in front of nothing."""
    bits = [0]  # not small
    bits += [1, 1, *((height - 1 >> i) & 1 for i in range(30)), 0, 0, 0]  # no ratio
    bits += [1, 1, *((width - 1 >> i) & 1 for i in range(30))]
    bits += [0, 0, 0, 0, 0, 0]  # fields, none of the extra ones, integers of 8 bits, not in 16
    bits += [1, 1, *((extra_channels - 1 >> i) & 1 for i in range(12))]
    return b"\xff\x0a" + sum(bit << i for i, bit in enumerate(bits)).to_bytes(64, "little")


def jxl_bomb() -> bytes:
    return jxl_header(1 << 28, 1 << 28, 1)


def jxl_of_many_frames() -> bytes:
    return imagecodecs.jpegxl_encode(np.zeros((300, 77, 13), np.uint8), level=90, effort=1)


def jxl_of_many_channels() -> bytes:
    return jxl_header(13, 77, 4000)


def zfpc_of_huge_stream() -> bytes:
    """A container of the right shape whose stream claims 16384 x 16384 x 256 values."""
    chunk = bytearray(make_chunk(KINDS[9]))
    offset = struct.unpack_from("<Q", chunk, 23)[0]
    meta = 2 | 2 << 2 | (16383 << 4) | (16383 << 20) | (255 << 36)
    head = int.from_bytes(chunk[offset + 4 : offset + 12], "little") >> 52 << 52
    chunk[offset + 4 : offset + 12] = (head | meta).to_bytes(8, "little")
    return bytes(chunk)


def zfpc_of_huge_blocks() -> bytes:
    """A stream whose blocks claim at least 32768 bits each."""
    chunk = bytearray(make_chunk(KINDS[9]))
    offset = struct.unpack_from("<Q", chunk, 23)[0]
    mode = 0xFFF | 0x7FFF << 12 | 0x7FFF << 27 | 63 << 42 | 0x7FFF << 49
    head = int.from_bytes(chunk[offset : offset + 20], "little") & ((1 << 84) - 1)
    chunk[offset : offset + 20] = ((head | mode << 84) & ((1 << 160) - 1)).to_bytes(20, "little")
    return bytes(chunk)


def fpzip_bomb() -> bytes:
    return fpzip.encode(np.zeros((4000, 4000, 1, 1), np.float32))


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (KINDS[0], fpzip_bomb),
        (KINDS[3], fpzip_bomb),
        (KINDS[4], jpeg_bomb),
        (KINDS[4], jpeg_of_many_scans),
        (KINDS[4], progressive_jpeg_of_many_scans),
        (KINDS[5], jpeg_of_many_scans_of_one_component),
        (KINDS[6], jxl_bomb),
        (KINDS[6], jxl_of_many_frames),
        (KINDS[7], jxl_of_many_frames),
        (KINDS[6], jxl_of_many_channels),
        (KINDS[7], jxl_of_many_channels),
        (KINDS[9], zfpc_of_huge_stream),
        (KINDS[9], zfpc_of_huge_blocks),
    ],
    ids=lambda value: value.__name__ if callable(value) else kind_id(value),
)
def test_bomb_is_refused_at_once(tmp_path: Path, kind: tuple, make: object) -> None:
    write_chunk_layer(tmp_path, kind, make())
    result = support.run_python(BOMB, f"file://{tmp_path}")
    assert result["found"] is not None
    assert "0-13_0-11_0-7" in result["found"]
    assert result["growth_mib"] < MAX_GROWTH_MIB
    assert result["seconds"] < 5


def test_progressive_jpeg_is_read(tmp_path: Path) -> None:
    chunk = progressive_jpeg()
    assert chunk.count(b"\xff\xda") > 1
    found = write_chunk_layer(tmp_path, KINDS[4], chunk)[:]
    expected = simplejpeg.decode_jpeg(chunk, "GRAY").ravel().reshape(SHAPE, order="F")
    np.testing.assert_array_equal(found[..., 0], expected)


def test_jpeg_comment_that_looks_like_many_scans_is_none_of_them(tmp_path: Path) -> None:
    chunk = make_chunk(KINDS[4])
    text = b"\xff\xda" * 1000
    comment = b"\xff\xfe" + (2 + len(text)).to_bytes(2, "big") + text
    vol = write_chunk_layer(tmp_path, KINDS[4], chunk[:2] + comment + chunk[2:])
    expected = simplejpeg.decode_jpeg(chunk, "GRAY").ravel().reshape(SHAPE, order="F")
    np.testing.assert_array_equal(vol[:][..., 0], expected)


def test_zfp_stream_shorter_than_its_blocks_reads_zeros_and_not_memory(tmp_path: Path) -> None:
    """A container whose index is consistent, with a stream cut to its header: what follows must not matter."""
    chunk = bytearray(make_chunk(KINDS[13]))
    offset, length = struct.unpack_from("<2Q", chunk, 23)
    assert offset + length == len(chunk)
    cut = chunk[: offset + 16]
    struct.pack_into("<Q", cut, 31, 16)
    found = []
    for _ in range(3):
        vol = write_chunk_layer(tmp_path, KINDS[13], bytes(cut))
        found.append(np.array(vol[:]))
    assert all(found[0].tobytes() == other.tobytes() for other in found)


RECODE = """
import collections, json, random, resource, sys
import numpy as np
from cloudvolume_fast.decode import registry
from cloudvolume_fast.decode.codec import ChunkSpec
path, source, destination, channels, flips = sys.argv[1:]
chunk = open(path, "rb").read()
shape = (13, 11, 7)
spec = ChunkSpec(np.dtype("uint8"), int(channels), {})
recode = registry.recoder(source, destination, spec)
found = collections.Counter()

def attempt(data):
    recoded = recode(bytes(data), shape, spec)
    assert recoded is None or isinstance(recoded, bytes)
    found["refused" if recoded is None else "recoded"] += 1
    return recoded

good = attempt(chunk)
back = registry.recoder(destination, source, spec)(good, shape, spec)
assert source == "jxl" or back == chunk
assert recode(chunk, (13, 11, 6), spec) is None
assert recode(chunk, shape, ChunkSpec(np.dtype("uint8"), 4 - int(channels), {})) is None
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for n in range(0, len(chunk), max(1, len(chunk) // 300)):
    attempt(chunk[:n])
draw = random.Random(1)
for i in range(int(flips)):
    data = bytearray(chunk)
    end = 8 * min(len(data), 64) if i % 2 else 8 * len(data)
    for _ in range(draw.randint(1, 4)):
        bit = draw.randrange(end)
        data[bit // 8] ^= 1 << bit % 8
    attempt(data)
growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"found": found, "growth_mib": growth / 1024}))
"""


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("source", "destination"), [("jpeg", "jxl"), ("jxl", "jpeg")])
def test_damaged_picture_is_recoded_or_left_to_the_decoder(
    tmp_path: Path, source: str, destination: str, channels: int
) -> None:
    members = {"holds": "jpeg"} if source == "jxl" else {}
    (tmp_path / "chunk").write_bytes(make_chunk((source, "uint8", channels, members)))
    result = support.run_python(
        RECODE, tmp_path / "chunk", source, destination, channels, FLIPS // 2, timeout_seconds=300
    )
    assert result["growth_mib"] < MAX_GROWTH_MIB
    assert result["found"]["refused"] > FLIPS // 8
