# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import numpy as np
import pytest

from cloudvolume_fast._core import murmurhash3

MASK = 0xFFFFFFFF


def naive_hash(data: bytes, seed: int = 0) -> int:
    """MurmurHash3_x86_128 after Appleby's description, in Python integers."""
    c = (0x239B961B, 0xAB0E9789, 0x38B34AE5, 0xA1E38B93)
    rotations = (
        (15, 19, 0x561CCD1B),
        (16, 17, 0x0BCAA747),
        (17, 15, 0x96CD1C35),
        (18, 13, 0x32AC3B17),
    )
    h = [seed] * 4

    def rotl(x: int, r: int) -> int:
        return ((x << r) | (x >> (32 - r))) & MASK

    def mix_key(k: int, i: int) -> int:
        return rotl(k * c[i] & MASK, rotations[i][0]) * c[(i + 1) % 4] & MASK

    whole = len(data) // 16 * 16
    for start in range(0, whole, 16):
        for i in range(4):
            k = int.from_bytes(data[start + 4 * i : start + 4 * i + 4], "little")
            h[i] = rotl(h[i] ^ mix_key(k, i), rotations[i][1]) + h[(i + 1) % 4] & MASK
            h[i] = (h[i] * 5 + rotations[i][2]) & MASK
    tail = data[whole:]
    for i in range(4):
        if tail[4 * i : 4 * i + 4]:
            h[i] ^= mix_key(int.from_bytes(tail[4 * i : 4 * i + 4], "little"), i)

    def spread() -> None:
        h[0] = sum(h) & MASK
        for i in (1, 2, 3):
            h[i] = (h[i] + h[0]) & MASK

    h = [x ^ len(data) for x in h]
    spread()
    for i in range(4):
        x = h[i]
        x = (x ^ x >> 16) * 0x85EBCA6B & MASK
        x = (x ^ x >> 13) * 0xC2B2AE35 & MASK
        h[i] = x ^ x >> 16
    spread()
    return sum(x << 32 * i for i, x in enumerate(h))


@pytest.mark.parametrize("seed", [0, 1, 0xFFFFFFFF])
def test_hash_bytes_equals_the_naive_one_at_every_tail_length(seed: int) -> None:
    data = np.random.default_rng(5).bytes(50)
    for n in range(len(data) + 1):
        assert murmurhash3.hash_bytes(data[:n], seed) == naive_hash(data[:n], seed)


def test_hash_uint64_is_the_low_half_of_the_hash() -> None:
    values = np.array([0, 1, 2**32, 2**64 - 1, 1234567890123456789], dtype=np.uint64)
    expected = [naive_hash(int(v).to_bytes(8, "little")) & (2**64 - 1) for v in values]
    assert murmurhash3.hash_uint64(values).tolist() == expected


def test_hash_of_nothing() -> None:
    assert murmurhash3.hash_uint64([]).shape == (0,)
    assert murmurhash3.hash_bytes(b"") == 0
