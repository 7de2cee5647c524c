# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import threading

import pytest

from cloudvolume_fast.fetch.read_ahead import fetched_ahead


def test_batches_come_in_their_order():
    for count in range(6):
        found = list(fetched_ahead(lambda n: n * n, range(count)))
        assert found == [(n, n * n) for n in range(count)]


def test_the_next_batch_is_fetched_while_the_caller_works():
    fetched = [threading.Event() for _ in range(4)]
    for number, _ in fetched_ahead(lambda n: fetched[n].set(), range(4)):
        if number < 3:
            assert fetched[number + 1].wait(30)


def test_a_single_batch_needs_no_thread():
    assert list(fetched_ahead(lambda _: threading.get_ident(), [0])) == [(0, threading.get_ident())]


def test_failures_reach_the_caller_and_end_the_thread():
    def fetch(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    batches = fetched_ahead(fetch, range(100))
    assert [next(batches), next(batches)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="two"):
        next(batches)
    assert not [t for t in threading.enumerate() if t.name.startswith("cloudvolume-fast-ahead")]


def test_a_caller_that_stops_leaves_nothing_behind():
    fetched: list[int] = []
    batches = fetched_ahead(fetched.append, range(1000))
    next(batches)
    batches.close()
    assert len(fetched) < 10
    assert not [t for t in threading.enumerate() if t.name.startswith("cloudvolume-fast-ahead")]
