# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cloudvolume_fast._core import fpzip
from cloudvolume_fast.errors import ChunkDecodeError, InvalidArgumentError

GOLDEN = Path(__file__).parents[2] / "golden" / "fpzip"
STREAMS = sorted(path.stem for path in GOLDEN.glob("*.fpz"))


def precision_of(name: str) -> int:
    return int(name.rsplit("_p", 1)[1])


@pytest.mark.parametrize("name", STREAMS)
def test_stream_of_the_package_is_decoded_bit_by_bit(name: str) -> None:
    stream, values = (GOLDEN / f"{name}.fpz").read_bytes(), np.load(GOLDEN / f"{name}.npy")
    shape, dtype, precision = fpzip.header(stream)
    assert (shape, dtype) == (values.shape, values.dtype)
    assert precision == (precision_of(name) or 8 * values.itemsize)
    out = fpzip.decode(stream, shape, dtype)
    assert out.flags.f_contiguous
    assert out.tobytes("F") == values.tobytes("F")


@pytest.mark.parametrize("name", STREAMS)
def test_stream_is_what_the_package_writes(name: str) -> None:
    values = np.load(GOLDEN / f"{name}.npy")
    assert (
        fpzip.encode(values, precision=precision_of(name)) == (GOLDEN / f"{name}.fpz").read_bytes()
    )


def random_values(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    bits = np.dtype(f"u{dtype.itemsize}")
    any_bits = rng.integers(0, np.iinfo(bits).max, shape, bits, endpoint=True).view(dtype)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1, 1e-42, 1e-310], dtype)
    few = rng.random(shape).astype(dtype)
    few[rng.random(shape) < 0.05] = np.nan
    kinds = (
        rng.random(shape),
        np.full(shape, rng.normal()),
        np.cumsum(rng.normal(size=shape), axis=0),
        np.rint(rng.normal(size=shape) * 3),
        any_bits,
        rng.choice(special, shape),
        few,
    )
    return np.asfortranarray(kinds[rng.integers(len(kinds))].astype(dtype))


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_package_on_random_arrays(seed: int) -> None:
    package = pytest.importorskip("fpzip")
    rng = np.random.default_rng(seed)
    written_by_both = 0
    for _ in range(1000):
        dtype = np.dtype(rng.choice(["float32", "float64"]))
        shape = tuple(int(n) for n in rng.choice([1, 1, 2, 3, 5, 8, 17], 4))
        values = random_values(rng, shape, dtype)
        precision = int(rng.choice([0, *range(2, 33)])) * (dtype.itemsize // 4)
        stream = fpzip.encode(values, precision=precision)
        # The package writes past its buffer when values do not shrink.
        if len(stream) < values.nbytes:
            written_by_both += 1
            assert package.compress(values, precision=precision, order="F") == stream
        expected = package.decompress(stream, order="F").tobytes("F")
        assert fpzip.decode(stream, shape, dtype).tobytes("F") == expected
        if precision == 0:
            assert expected == values.tobytes("F")
    assert written_by_both > 300


def test_arrays_of_fewer_axes_and_any_strides() -> None:
    values = np.random.default_rng(1).random((6, 5, 4)).astype(np.float32)
    expected = fpzip.encode(np.asfortranarray(values))
    assert fpzip.encode(values) == expected
    assert fpzip.encode(values[::-1, :, ::2][::-1]) == fpzip.encode(values[:, :, ::2].copy())
    assert fpzip.header(expected)[0] == (6, 5, 4, 1)


def test_decode_into_an_array() -> None:
    values = np.random.default_rng(1).random((3, 4, 5, 2))
    out = np.zeros((3, 4, 5, 2), order="F")
    assert fpzip.decode(fpzip.encode(values), out.shape, np.float64, out=out) is out
    assert (out == values).all()


@pytest.mark.parametrize(
    ("shape", "dtype", "out"),
    [
        ((2, 2, 2), np.float32, None),
        ((2, 2, 2, 0), np.float32, None),
        ((2, 2, 2, -1), np.float32, None),
        ((2, 2, 2, 1), np.int32, None),
        (
            (2, 2, 2, 1),
            np.float32,
            np.zeros((2, 2, 2, 1), np.float32)[::1, ::1].transpose(2, 1, 0, 3).copy("C"),
        ),
        ((2, 2, 2, 1), np.float32, np.zeros((2, 2, 2, 1), np.float64, order="F")),
        ((2, 2, 2, 1), np.float32, np.zeros((2, 2, 1, 1), np.float32, order="F")),
    ],
)
def test_arguments_that_do_not_fit_raise(
    shape: tuple[int, ...], dtype: type, out: np.ndarray | None
) -> None:
    stream = fpzip.encode(np.zeros((2, 2, 2, 1), np.float32))
    with pytest.raises(InvalidArgumentError):
        fpzip.decode(stream, shape, dtype, out=out)


def test_read_only_out_raises() -> None:
    out = np.zeros((2, 2, 2, 1), np.float32, order="F")
    out.flags.writeable = False
    with pytest.raises(InvalidArgumentError, match="writeable"):
        fpzip.decode(fpzip.encode(out), out.shape, np.float32, out=out)


@pytest.mark.parametrize("precision", [-1, 1, 33, 64])
def test_precision_that_does_not_exist_raises(precision: int) -> None:
    with pytest.raises(InvalidArgumentError, match="precision"):
        fpzip.encode(np.zeros((2, 2), np.float32), precision=precision)


def test_values_that_are_none_raise() -> None:
    with pytest.raises(TypeError):
        fpzip.encode([1.0])
    for values in (
        np.zeros(3, np.int32),
        np.zeros((1,) * 5, np.float32),
        np.zeros((0, 2), np.float32),
    ):
        with pytest.raises(InvalidArgumentError):
            fpzip.encode(values)


def test_another_shape_or_type_raises() -> None:
    stream = fpzip.encode(np.zeros((2, 3, 4, 5), np.float32))
    with pytest.raises(ChunkDecodeError, match="expected 4, found 3"):
        fpzip.decode(stream, (2, 4, 4, 5), np.float32)
    with pytest.raises(ChunkDecodeError, match="expected 8, found 4"):
        fpzip.decode(stream, (2, 3, 4, 5), np.float64)


def test_every_truncation_and_a_trailing_byte_raise() -> None:
    values = np.random.default_rng(1).random((5, 4, 3, 1))
    stream = fpzip.encode(values)
    for n in range(len(stream)):
        with pytest.raises(ChunkDecodeError):
            fpzip.decode(stream[:n], values.shape, values.dtype)
    with pytest.raises(ChunkDecodeError):
        fpzip.decode(stream + b"\0", values.shape, values.dtype)
