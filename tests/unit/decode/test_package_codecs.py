# SPDX-License-Identifier: BSD-3-Clause
"""The encodings of packages, and fpzip, through volumes: types, channels, options, odd chunks, absent packages."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import support

from cloudvolume_fast import Bbox, CloudVolume
from cloudvolume_fast._core import fpzip
from cloudvolume_fast.errors import EncodingError

imagecodecs = pytest.importorskip("imagecodecs")

SIZE = (13, 9, 7)


def smooth(size: tuple[int, ...], dtype: str, channels: int) -> np.ndarray:
    x, y, z, c = np.indices((*size, channels)).astype(float)
    return np.asfortranarray(
        (np.sin(x / 3) * 50 + np.cos(y / 5) * 40 + 2 * z + 9 * c + 95).astype(dtype)
    )


def make_volume(
    folder: Path,
    encoding: str,
    dtype: str = "uint8",
    channels: int = 1,
    *,
    size: tuple[int, ...] = SIZE,
    chunk_size: tuple[int, ...] = (5, 4, 3),
    voxel_offset: tuple[int, ...] = (0, 0, 0),
    **members: Any,
) -> CloudVolume:
    info = support.make_info(
        size=size,
        chunk_size=chunk_size,
        data_type=dtype,
        encoding=encoding,
        num_channels=channels,
        voxel_offset=voxel_offset,
    )
    info["scales"][0].update(members)
    vol = CloudVolume(f"file://{folder}", info=info, compress=False)
    vol.commit_info()
    return vol


def written_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / support.KEY).iterdir())


def round_trip(
    folder: Path, encoding: str, dtype: str, channels: int, **kwargs: Any
) -> tuple[np.ndarray, np.ndarray]:
    vol = make_volume(folder, encoding, dtype, channels, **kwargs)
    voxels = smooth(vol.shape[:3], dtype, channels)
    vol[:] = voxels
    found = np.asarray(CloudVolume(f"file://{folder}")[:])
    assert found.dtype == voxels.dtype
    return voxels, found


LOSSLESS = [
    *(
        ("fpzip", dtype, channels, {})
        for dtype in ("float32", "float64")
        for channels in (1, 2, 3, 5)
    ),
    *(
        ("zfpc", dtype, channels, {})
        for dtype in ("int32", "int64", "float32", "float64")
        for channels in (1, 2, 3)
    ),
    *(
        ("jxl", "uint8", channels, {"jxl_quality": quality})
        for channels in (1, 3, 4)
        for quality in (100, 101)
    ),
]


@pytest.mark.parametrize(("encoding", "dtype", "channels", "members"), LOSSLESS)
def test_lossless_encoding_gives_the_voxels_back(
    tmp_path: Path, encoding: str, dtype: str, channels: int, members: dict
) -> None:
    voxels, found = round_trip(tmp_path, encoding, dtype, channels, **members)
    assert (found == voxels).all()


@pytest.mark.parametrize(
    ("encoding", "dtype", "channels", "tolerance"),
    [
        ("jpeg", "uint8", 1, 12),
        ("jpeg", "uint8", 3, 25),
        ("jxl", "uint8", 1, 12),
        ("jxl", "uint8", 3, 25),
    ]
    + [("kempressed", "float32", channels, 2e-5) for channels in (1, 2, 3)]
    + [("kempressed", "float64", channels, 4e-14) for channels in (1, 2, 3)],
)
def test_lossy_encoding_gives_close_voxels_back(
    tmp_path: Path, encoding: str, dtype: str, channels: int, tolerance: float
) -> None:
    voxels, found = round_trip(tmp_path, encoding, dtype, channels, chunk_size=(16, 16, 16))
    assert np.abs(found.astype(float) - voxels).max() <= tolerance


ODD = {
    "one voxel wide": {"size": (1, 9, 7), "chunk_size": (1, 4, 3)},
    "planes": {"size": (13, 9, 7), "chunk_size": (64, 64, 1)},
    "needles": {"size": (13, 9, 40), "chunk_size": (1, 1, 64)},
    "negative offset": {"voxel_offset": (-7, 3, -100)},
    "three by three": {"size": (3, 3, 4), "chunk_size": (3, 3, 1)},
    "one voxel": {"size": (1, 1, 1), "chunk_size": (1, 1, 1)},
}


@pytest.mark.parametrize("geometry", ODD)
@pytest.mark.parametrize(
    ("encoding", "dtype", "channels", "members"),
    [
        ("fpzip", "float32", 1, {}),
        ("fpzip", "float64", 3, {}),
        ("zfpc", "float32", 3, {}),
        ("zfpc", "float64", 2, {"zfpc_correlated_dims": [True, True, True, False]}),
        ("jxl", "uint8", 1, {"jxl_quality": 100}),
        ("jxl", "uint8", 3, {"jxl_quality": 100}),
    ],
)
def test_odd_chunks_round_trip(
    tmp_path: Path, geometry: str, encoding: str, dtype: str, channels: int, members: dict
) -> None:
    voxels, found = round_trip(tmp_path, encoding, dtype, channels, **ODD[geometry], **members)
    assert (found == voxels).all()


@pytest.mark.parametrize("geometry", ODD)
@pytest.mark.parametrize(("encoding", "channels"), [("jpeg", 1), ("jpeg", 3)])
def test_odd_jpeg_chunks_are_what_the_package_finds(
    tmp_path: Path, geometry: str, encoding: str, channels: int
) -> None:
    _, found = round_trip(tmp_path, encoding, "uint8", channels, **ODD[geometry])
    vol = CloudVolume(f"file://{tmp_path}")
    for path in (tmp_path / support.KEY).iterdir():
        pixels = simplejpeg.decode_jpeg(path.read_bytes(), "GRAY" if channels == 1 else "RGB")
        box = Bbox.from_filename(path.name)
        begin = np.array(box.minpt) - np.array(vol.voxel_offset)
        shape = np.array(box.size3())
        where = tuple(slice(b, b + n) for b, n in zip(begin, shape, strict=True))
        x, y, z = shape
        assert (found[where] == pixels.reshape(z, y, x, channels).transpose(2, 1, 0, 3)).all()


@pytest.mark.parametrize("name", ["jpeg", "jxl"])
def test_quality_of_the_scale_is_respected(tmp_path: Path, name: str) -> None:
    sizes, errors = [], []
    for quality in (10, 60, 95):
        voxels, found = round_trip(
            tmp_path / str(quality),
            name,
            "uint8",
            1,
            chunk_size=(16, 16, 16),
            **{f"{name}_quality": quality},
        )
        sizes.append(written_bytes(tmp_path / str(quality)))
        errors.append(np.abs(found.astype(float) - voxels).mean())
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert errors[0] > errors[-1]


@pytest.mark.parametrize("precision", [2, 5, 8, 9, 16, 24, 32])
def test_fpzip_precision_keeps_so_many_leading_bits(tmp_path: Path, precision: int) -> None:
    voxels, found = round_trip(tmp_path, "fpzip", "float32", 2, fpzip_precision=precision)
    dropped = 32 - precision
    assert (found.view(np.uint32) == voxels.view(np.uint32) >> dropped << dropped).all()


def test_fpzip_precision_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="precision"):
        round_trip(tmp_path, "fpzip", "float32", 1, fpzip_precision=33)


def test_kempressed_knows_no_precision(tmp_path: Path) -> None:
    _, found = round_trip(tmp_path / "a", "kempressed", "float32", 3, fpzip_precision=8)
    _, expected = round_trip(tmp_path / "b", "kempressed", "float32", 3)
    assert (found == expected).all()


def test_fpzip_takes_values_that_do_not_shrink(tmp_path: Path) -> None:
    vol = make_volume(tmp_path, "fpzip", "float32", 2)
    bits = np.random.default_rng(1).integers(0, 2**32, vol.shape, dtype=np.uint32)
    vol[:] = np.asfortranarray(bits).view(np.float32)
    assert (np.asarray(vol[:]).view(np.uint32) == bits).all()


def test_zfpc_tolerance_bounds_the_error(tmp_path: Path) -> None:
    voxels, found = round_trip(tmp_path, "zfpc", "float64", 1, zfpc_tolerance=0.25)
    assert 0 < np.abs(found - voxels).max() <= 0.25


def test_zfpc_rate_sets_the_size(tmp_path: Path) -> None:
    sizes = []
    for rate in (4.0, 8.0, 16.0):
        round_trip(
            tmp_path / str(rate),
            "zfpc",
            "float32",
            1,
            size=(64, 64, 64),
            chunk_size=(64, 64, 64),
            zfpc_rate=rate,
        )
        sizes.append(written_bytes(tmp_path / str(rate)) * 8 / 64**3)
    # A block has 4 values along each axis, also along that of a single channel.
    assert sizes == pytest.approx([16, 32, 64], rel=0.01)


def test_zfpc_precision_sets_the_error(tmp_path: Path) -> None:
    errors = []
    for precision in (8.0, 16.0, 24.0):
        voxels, found = round_trip(
            tmp_path / str(precision), "zfpc", "float32", 1, zfpc_precision=precision
        )
        errors.append(np.abs(found - voxels).max())
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("joint", [c for c in itertools.product([True, False], repeat=4) if any(c)])
def test_zfpc_correlated_dims_round_trip(tmp_path: Path, joint: tuple[bool, ...]) -> None:
    voxels, found = round_trip(
        tmp_path,
        "zfpc",
        "int64",
        2,
        size=(6, 5, 4),
        chunk_size=(6, 5, 4),
        zfpc_correlated_dims=list(joint),
    )
    assert (found == voxels).all()
    chunk = next((tmp_path / support.KEY).iterdir()).read_bytes()
    assert chunk[22] == sum(1 << axis for axis in range(4) if joint[axis])


def test_zfpc_with_two_modes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="at most one"):
        round_trip(tmp_path, "zfpc", "float32", 1, zfpc_rate=8.0, zfpc_precision=8.0)


@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"),
    [
        ("jpeg", "uint16", 1),
        ("jpeg", "uint8", 2),
        ("jxl", "float32", 1),
        ("jxl", "uint8", 2),
        ("fpzip", "uint8", 1),
        ("kempressed", "uint8", 1),
        ("zfpc", "uint8", 1),
    ],
)
def test_type_or_channel_count_that_an_encoding_cannot_hold_is_refused(
    tmp_path: Path, encoding: str, dtype: str, channels: int
) -> None:
    with pytest.raises(EncodingError, match=encoding):
        round_trip(tmp_path, encoding, dtype, channels)


def test_fpzip_chunk_is_a_stream_of_the_whole_chunk(tmp_path: Path) -> None:
    round_trip(tmp_path, "fpzip", "float64", 2, voxel_offset=(-5, 0, 0))
    chunk = (tmp_path / support.KEY / "-5-0_0-4_0-3").read_bytes()
    assert fpzip.header(chunk) == ((5, 4, 3, 2), np.dtype(np.float64), 64)


MALFORMED = [
    *(("jpeg", "uint8", {"jpeg_quality": q}) for q in ("85", -1, 101, 50.5, True, [85])),
    *(("jxl", "uint8", {"jxl_quality": q}) for q in ("85", -1, True, [85])),
    *(("jxl", "uint8", {"jxl_effort": e}) for e in ("3", 0, 11, 2.5, True)),
    *(("jxl", "uint8", {"jxl_decodingspeed": s}) for s in ("3", -1, 5, 2.5)),
    *(("fpzip", "float32", {"fpzip_precision": p}) for p in ("8", -1, 1, 33, 8.5, True)),
    *(("fpzip", "float64", {"fpzip_precision": p}) for p in (2, 33, 65)),
    *(("zfpc", "float32", {"zfpc_rate": r}) for r in ("8", 0, 0.01, 0.034, 65, True, [8])),
    *(("zfpc", "float64", {"zfpc_rate": r}) for r in (0, 0.046, 129)),
    *(("zfpc", "int32", {"zfpc_rate": r}) for r in (0, 65)),
    *(("zfpc", "float32", {"zfpc_precision": p}) for p in ("8", 8.5, 65, True)),
    *(("zfpc", "float32", {"zfpc_tolerance": t}) for t in ("1", True, [1])),
    *(
        ("zfpc", "float32", {"zfpc_correlated_dims": d})
        for d in ([True] * 3, [True] * 5, [False] * 4, "TTTT", 5, [2, 1, 1, 1], ["x"] * 4)
    ),
    # Uncorrelated axes leave smaller blocks, which need a higher rate.
    ("zfpc", "float32", {"zfpc_correlated_dims": [True, False, False, False], "zfpc_rate": 2}),
]


@pytest.mark.parametrize(("encoding", "dtype", "members"), MALFORMED, ids=str)
def test_malformed_option_is_refused_by_name(
    tmp_path: Path, encoding: str, dtype: str, members: dict
) -> None:
    name = list(members)[-1]
    vol = make_volume(tmp_path, encoding, dtype, **members)
    with pytest.raises(EncodingError, match=name.removeprefix("fpzip_")) as caught:
        vol[:] = smooth(SIZE, dtype, 1)
    assert support.KEY in str(caught.value.key)
    assert list((tmp_path / support.KEY).iterdir()) == []
    vol.fill_missing = True
    assert not vol[:].any()  # a wrong option is no reason not to read


LEAST_RATES = [
    (dtype, joint, bits / 4**axes)
    for dtype, bits in (("float32", 9), ("float64", 12), ("int32", 1), ("int64", 1))
    for axes, joint in enumerate(([1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]), 1)
]


@pytest.mark.parametrize(("dtype", "joint", "rate"), LEAST_RATES)
def test_zfpc_takes_the_least_and_the_greatest_rate(
    tmp_path: Path, dtype: str, joint: list[int], rate: float
) -> None:
    """In a process of its own: zfp writes past its buffer where a rate is too low."""
    greatest = 16 * np.dtype(dtype).itemsize
    for name, used in (("least", rate), ("greatest", greatest)):
        vol = make_volume(
            tmp_path / name,
            "zfpc",
            dtype,
            zfpc_rate=used,
            zfpc_correlated_dims=[bool(axis) for axis in joint],
        )
        script = """
import json, sys
import numpy as np
from cloudvolume_fast import CloudVolume
vol = CloudVolume(sys.argv[1])
noise = np.random.default_rng(1).integers(-10**6, 10**6, vol.shape).astype(vol.dtype)
for _ in range(20):
    vol[:] = noise
error = np.abs(vol[:].astype(float) - noise).max()
print(json.dumps(float(error)))
"""
        error = support.run_python(script, vol.cloudpath)
        if name == "greatest":
            # Integers are rounded by the transform, and its inverse makes up to 15/4 of that along each axis.
            assert error <= 4 ** sum(joint)


@pytest.mark.parametrize("name", ["jxl_effort", "jxl_decodingspeed"])
def test_jxl_options_are_respected(tmp_path: Path, name: str) -> None:
    chunks = []
    for value in (1, 4):
        folder = tmp_path / str(value)
        vol = make_volume(folder, "jxl", size=(32, 32, 8), chunk_size=(32, 32, 8), **{name: value})
        noise = np.random.default_rng(1).integers(0, 30, vol.shape).astype(np.uint8)
        vol[:] = smooth(vol.shape[:3], "uint8", 1) + noise
        chunks.append(next((folder / support.KEY).iterdir()).read_bytes())
    assert chunks[0] != chunks[1]


@pytest.mark.parametrize(
    ("encoding", "dtype", "level", "member"),
    [
        ("jpeg", "uint8", 30, "jpeg_quality"),
        ("jxl", "uint8", 30, "jxl_quality"),
        ("png", "uint8", 1, "png_level"),
        ("fpzip", "float32", 16, "fpzip_precision"),
    ],
)
def test_encoding_level_of_an_added_scale_is_respected(
    tmp_path: Path, encoding: str, dtype: str, level: int, member: str
) -> None:
    stored = []
    for name, encoding_level in (("set", level), ("default", None)):
        vol = make_volume(tmp_path / name, "raw", dtype, size=(32, 32, 16))
        vol.meta.add_scale(
            (2, 2, 1), encoding=encoding, chunk_size=(16, 16, 16), encoding_level=encoding_level
        )
        vol.commit_info()
        half = CloudVolume(vol.cloudpath, mip=1)
        assert half.scale.get(member) == encoding_level
        noise = np.random.default_rng(1).integers(0, 30, half.shape).astype(dtype)
        half[:] = smooth(half.shape[:3], dtype, 1) + noise
        stored.append(next((tmp_path / name / half.key).iterdir()).read_bytes())
    assert stored[0] != stored[1]
    if encoding != "png":
        assert len(stored[0]) < len(stored[1])
