# SPDX-License-Identifier: BSD-3-Clause
"""Runs in a fresh process, with the prefix that must hold the package: kernels against numpy."""

import sys
from pathlib import Path

import numpy as np
from outside import headers, kernels

import cloudvolume_fast
from cloudvolume_fast._core import murmurhash3

assert Path(cloudvolume_fast.__file__).is_relative_to(sys.argv[1]), cloudvolume_fast.__file__
assert Path(cloudvolume_fast.get_include(), "cvfast", "core", "box.hpp").is_file()

rng = np.random.default_rng(0)
src = rng.integers(0, 2**32, size=(33, 20, 17), dtype=np.uint32)
dst = np.zeros(src.shape, dtype=np.uint32, order="F")
assert kernels.c_to_f(src, dst) == 0
np.testing.assert_array_equal(dst, src)

labels = np.asfortranarray(rng.integers(0, 40, size=(30, 20, 10), dtype=np.uint64) << np.uint64(33))
box = (slice(3, 29), slice(0, 20), slice(9, 10))
out = np.zeros(labels[box].shape, dtype=np.uint64, order="F")
found = kernels.segmentation_round_trip(labels, (3, 0, 9), (29, 20, 10), out)
np.testing.assert_array_equal(out, labels[box])
np.testing.assert_array_equal(found, np.unique(labels[box]))

assert kernels.morton_code((1, 2, 3), (4, 4, 4)) == 0b110101
assert kernels.shard_hash(0) == murmurhash3.hash_uint64([0])[0]
assert kernels.shard_location(1) == (0, 0xE8BD67D616D4CE9A >> 2 & 3, 0xE8BD67D616D4CE9A & 3)
entry = np.array([7, 2, 90], dtype="<u8").view(np.uint8)
assert kernels.first_minishard_entry(entry) == (0, (7, 2, 90), 0)
assert kernels.first_minishard_entry(entry[:23])[0] == 2
entry[8] = 11  # past the 100 bytes that there are
assert kernels.first_minishard_entry(entry)[0::2] == (4, 16)

fragment = np.array([3], "<u4").tobytes() + np.array([1, 0, 0, 0, 0, 0, 1, 0, 0], "<f4").tobytes()
fragment += np.array([0, 1, 2, 2, 1, 0], "<u4").tobytes()
vertices, faces = np.zeros((3, 3), np.float32), np.zeros((2, 3), np.uint32)
assert kernels.merged_mesh(np.frombuffer(fragment, np.uint8), vertices, faces) == (0, 2, 1)
assert vertices[:2].tolist() == [[0, 0, 0], [1, 0, 0]]
assert faces[0].tolist() == [1, 0, 1]
assert kernels.merged_mesh(np.frombuffer(fragment[:39], np.uint8), vertices, faces) == (1, 0, 39)

assert headers.shared_shape(((0, 0, 0), (10, 10, 10)), ((5, 6, 7), (20, 20, 20))) == (5, 4, 3)
assert headers.strides(((0, 0, 0), (5, 6, 7)), 4) == (4, 20, 120, 840)
assert headers.first_word(b"\x01\x02\x03\x04") == 0x04030201
print("outside package agrees with numpy")
