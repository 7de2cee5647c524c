# SPDX-License-Identifier: BSD-3-Clause
"""The functions of `cloudvolume_fast.sharedmemory`, whose names and lifetimes are upstream's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import support

from cloudvolume_fast import sharedmemory
from cloudvolume_fast.sharedmemory import SharedMemoryAllocationError, SharedMemoryReadError


@pytest.fixture
def name():
    name = f"cvfast-test-array-{os.getpid()}"
    yield name
    sharedmemory.unlink(name)


def path_of(name: str) -> Path:
    return Path(sharedmemory.PLATFORM_SHM_DIRECTORY) / name


@pytest.mark.parametrize("order", ["F", "C"])
def test_new_array_is_zero_and_shared(name, order) -> None:
    handle, array = sharedmemory.ndarray((4, 5, 6), np.uint16, name, order=order)
    assert array.shape == (4, 5, 6)
    assert array.dtype == np.uint16
    assert array.flags.f_contiguous == (order == "F")
    assert not array.any()
    array[1, 2, 3] = 9
    _, other = sharedmemory.ndarray((4, 5, 6), np.uint16, name, order=order)
    assert other[1, 2, 3] == 9
    other[0, 0, 0] = 4
    assert array[0, 0, 0] == 4
    assert path_of(name).stat().st_size == len(handle) == 240
    handle.close()
    assert handle.closed
    assert array[1, 2, 3] == 9


def test_memory_outlives_the_process_and_unlink_ends_it(name) -> None:
    support.run_python(
        "import sys, numpy as np\n"
        "from cloudvolume_fast import sharedmemory\n"
        "sharedmemory.ndarray(3, np.uint8, sys.argv[1])[1][:] = 7\n"
        "print(1)\n",
        name,
    )
    _, array = sharedmemory.ndarray((3,), np.uint8, name, readonly=True)
    assert array.tolist() == [7, 7, 7]
    assert sharedmemory.unlink(name) is True
    assert sharedmemory.unlink(name) is False
    assert array.tolist() == [7, 7, 7]


def test_readonly_arrays_are(name) -> None:
    with pytest.raises(SharedMemoryReadError, match=name):
        sharedmemory.ndarray((4,), np.uint8, name, readonly=True)
    assert not path_of(name).exists()
    sharedmemory.ndarray((4,), np.uint8, name)
    _, array = sharedmemory.ndarray((4,), np.uint8, name, readonly=True)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(SharedMemoryReadError, match=r"expected 5 bytes.*found 4"):
        sharedmemory.ndarray((5,), np.uint8, name, readonly=True)


def test_existing_memory_takes_another_size(name) -> None:
    _, array = sharedmemory.ndarray((10,), np.uint8, name)
    array[:] = np.arange(10)
    _, longer = sharedmemory.ndarray((20,), np.uint8, name)
    assert longer.tolist() == [*range(10), *[0] * 10]
    assert path_of(name).stat().st_size == 20
    _, shorter = sharedmemory.ndarray((2, 2), np.uint8, name, order="C")
    assert shorter.tolist() == [[0, 1], [2, 3]]
    assert path_of(name).stat().st_size == 4


def test_slashes_before_a_name_do_not_count(name) -> None:
    sharedmemory.ndarray((4,), np.uint8, f"/{name}")
    assert path_of(name).exists()
    assert sharedmemory.unlink(f"/{name}")


def test_too_much_is_told_with_numbers_and_leaves_nothing(name) -> None:
    with pytest.raises(SharedMemoryAllocationError, match=str(1 << 50)) as caught:
        sharedmemory.ndarray((1 << 50,), np.uint8, name)
    assert isinstance(caught.value, MemoryError)
    assert caught.value.expected == 1 << 50
    assert not path_of(name).exists()
    _, array = sharedmemory.ndarray((4,), np.uint8, name)
    array[:] = 3
    with pytest.raises(MemoryError, match=str(1 << 50)):
        sharedmemory.ndarray((1 << 50,), np.uint8, name)
    assert array.tolist() == [3, 3, 3, 3]
    assert path_of(name).stat().st_size == 4


def test_large_new_array_is_zero_though_pages_are_used_again(name) -> None:
    for _ in range(3):
        handle, array = sharedmemory.ndarray((3 << 20,), np.uint8, name)
        assert not array.any()
        array[:] = 5
        sharedmemory.unlink(name)
        handle.close()
        del array
    from cloudvolume_fast import _runtime

    assert _runtime.shm_kept_bytes() > 0
    _runtime.shm_release_kept()


def test_empty_array(name) -> None:
    _, array = sharedmemory.ndarray((0, 4), np.float32, name)
    assert array.shape == (0, 4)


def test_arrays_in_files(tmp_path) -> None:
    path = str(tmp_path / "array")
    handle, array = sharedmemory.ndarray_fs((4, 5), np.int16, path, None)
    array[1, 1] = -3
    del array
    handle.close()
    assert Path(path).stat().st_size == 40
    _, again = sharedmemory.ndarray_fs((4, 5), np.int16, path, None, readonly=True)
    assert again[1, 1] == -3
    with pytest.raises(SharedMemoryReadError, match=r"expected 60 bytes.*found 40"):
        sharedmemory.ndarray_fs((6, 5), np.int16, path, None, readonly=True)
    with pytest.raises(SharedMemoryReadError):
        sharedmemory.ndarray_fs((6, 5), np.int16, path + "-none", None, readonly=True)
    assert sharedmemory.unlink_fs(path) is True
    assert sharedmemory.unlink_fs(path) is False
    with pytest.raises(SharedMemoryAllocationError, match=str(1 << 60)):
        sharedmemory.ndarray_fs((1 << 60,), np.uint8, path, None)
    assert not Path(path).exists()
