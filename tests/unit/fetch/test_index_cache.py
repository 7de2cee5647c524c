# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cloudvolume_fast.fetch.index_cache import IndexCache


def array(words: int) -> np.ndarray:
    return np.zeros(words, dtype=np.uint64)


def test_least_recently_used_goes_first():
    cache = IndexCache(2, 1000)
    cache.put("a", array(1))
    cache.put("b", array(2))
    assert cache.get("a") is not None
    cache.put("c", array(3))
    assert cache.get("b") is None
    assert len(cache) == 2
    assert cache.nbytes == 8 * 4


def test_bytes_are_bounded():
    cache = IndexCache(100, 64)
    for key in range(10):
        cache.put(key, array(3))
        assert cache.nbytes <= 64
    assert len(cache) == 2
    cache.put("large", array(9))
    assert cache.get("large") is None
    assert len(cache) == 2
    cache.put(9, array(8))
    assert cache.nbytes == 64
    assert len(cache) == 1


def test_replacing_counts_once():
    cache = IndexCache(10, 1000)
    cache.put("a", array(5))
    cache.put("a", array(1))
    assert (len(cache), cache.nbytes) == (1, 8)
    cache.put("a", array(1000))  # too large: what was there is no longer true
    assert cache.get("a") is None
    assert (len(cache), cache.nbytes) == (0, 0)


def test_nothing_is_kept_in_no_room():
    cache = IndexCache(0, 1000)
    cache.put("a", array(1))
    assert cache.get("a") is None


def test_arrays_are_frozen_and_can_be_forgotten():
    cache = IndexCache(10, 1000)
    kept = array(1)
    cache.put("a", kept)
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1
    cache.clear()
    assert (len(cache), cache.nbytes) == (0, 0)


def test_threads_do_not_break_the_count():
    cache = IndexCache(5, 400)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(500):
            key, words = int(rng.integers(20)), int(rng.integers(1, 30))
            if cache.get(key) is None:
                cache.put(key, array(words))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(cache) <= 5
    assert cache.nbytes == sum(a.nbytes for k in range(20) if (a := cache.get(k)) is not None)
