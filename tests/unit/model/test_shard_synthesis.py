# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pytest

from cloudvolume_fast.errors import InvalidArgumentError, SpecViolation
from cloudvolume_fast.model.shard_synthesis import synthesize_shard_file, synthesize_shard_files
from cloudvolume_fast.model.sharding import ShardingSpecification

WORKED_EXAMPLE = bytes.fromhex(
    "0900000000000000510000000000000051000000000000006900000000000000616161626263636363000000000000000004000000"
    "000000000400000000000000000000000000000000000000000000000000000000000000030000000000000002000000000000000000"
    "000000000000010000000000000005000000000000000400000000000000"
)


def make_spec(**kwargs: Any) -> ShardingSpecification:
    fields = {
        "type": "neuroglancer_uint64_sharded_v1",
        "preshift_bits": 0,
        "hash": "identity",
        "minishard_bits": 1,
        "shard_bits": 1,
    }
    return ShardingSpecification(**(fields | kwargs))


DATA = {0: b"aaa", 1: b"cccc", 4: b"bb", 8: b""}


def test_worked_example_of_the_format():
    assert synthesize_shard_files(make_spec(), DATA) == {"0.shard": WORKED_EXAMPLE}
    assert make_spec().synthesize_shards(DATA) == {"0.shard": WORKED_EXAMPLE}


@pytest.mark.parametrize(
    "given",
    [
        dict(reversed(DATA.items())),
        list(DATA.items()),
        zip(np.array(list(DATA), dtype=np.uint64), DATA.values(), strict=True),
    ],
)
def test_labels_come_in_any_order_and_type(given: Any):
    assert synthesize_shard_file(make_spec(), given) == WORKED_EXAMPLE


def test_groups_by_minishard_are_taken():
    groups = {1: {1: b"cccc"}, 0: {8: b"", 0: b"aaa", 4: b"bb"}}
    assert make_spec().synthesize_shard(groups, presorted=True) == WORKED_EXAMPLE
    assert groups == {1: {1: b"cccc"}, 0: {8: b"", 0: b"aaa", 4: b"bb"}}


def test_labels_are_grouped_by_shard():
    files = synthesize_shard_files(make_spec(), {6: b"x", 1: b"y", 2: b"z"})
    assert list(files) == ["0.shard", "1.shard"]
    assert files["0.shard"] == synthesize_shard_file(make_spec(), {1: b"y"})
    assert files["1.shard"] == synthesize_shard_file(make_spec(), {2: b"z", 6: b"x"})


def test_nothing_makes_no_file_or_an_empty_one():
    assert synthesize_shard_files(make_spec(), {}) == {}
    assert synthesize_shard_file(make_spec(), {}) == bytes(32)
    assert synthesize_shard_file(make_spec(), {}, presorted=True) == bytes(32)


def test_labels_of_several_shards_are_refused():
    with pytest.raises(SpecViolation, match="id 2: expected shard 0"):
        synthesize_shard_file(make_spec(), {0: b"", 2: b""})


def test_label_that_comes_twice_is_refused():
    with pytest.raises(SpecViolation, match="expected each id once, found 4 again"):
        synthesize_shard_files(make_spec(), [(4, b"a"), (4, b"b")])


def test_label_that_is_no_uint64_is_refused():
    for function in (synthesize_shard_file, synthesize_shard_files):
        with pytest.raises(InvalidArgumentError, match="found '1'"):
            function(make_spec(), {"1": b""})  # type: ignore[dict-item]


def test_too_many_minishards_to_write_are_refused():
    with pytest.raises(SpecViolation, match="minishard_bits: expected at most 30"):
        synthesize_shard_file(make_spec(minishard_bits=31), {})


def words(data: bytes) -> list[int]:
    return np.frombuffer(data, dtype="<u8").tolist()


def test_index_points_to_the_end_of_the_data():
    spec = make_spec(minishard_bits=0, shard_bits=0)
    data = {7: b"FFFFFFmmm", 9: b"GGGGnnnnn"}
    file = synthesize_shard_file(spec, data, data_offset={7: 3, 9: 5})
    assert file[16:34] == b"FFFFFFmmmGGGGnnnnn"
    assert words(file[34:]) == [7, 2, 6, 4, 3, 5]


def test_what_the_index_leaves_out_is_not_compressed():
    spec = make_spec(minishard_bits=0, shard_bits=0, data_encoding="gzip")
    file = synthesize_shard_file(spec, {7: b"FFFFFFmmm"}, data_offset={7: 3})
    assert file[16:22] == b"FFFFFF"
    begin = words(file[:8])[0]
    assert gzip.decompress(file[22 : 16 + begin]) == b"mmm"
    assert words(file[16 + begin :]) == [7, 6, begin - 6]


@pytest.mark.parametrize("offsets", [{}, {7: -1}, {7: 10}])
def test_offset_that_is_missing_or_wrong_is_refused(offsets: dict[int, int]):
    with pytest.raises(SpecViolation, match="data_offset: label 7: expected a size of at most 9"):
        synthesize_shard_files(make_spec(), {7: b"FFFFFFmmm"}, data_offset=offsets)


def test_data_and_indexes_are_compressed():
    spec = make_spec(minishard_index_encoding="gzip", data_encoding="gzip")
    file = synthesize_shard_file(spec, {0: b"a" * 1000, 4: b""})
    begin, end = words(file[:16])
    index = words(gzip.decompress(file[32 + begin : 32 + end]))
    assert index[:4] == [0, 4, 0, 0]
    assert 0 < index[4] < 100
    stored = file[32 : 32 + index[4]]
    assert gzip.decompress(stored) == b"a" * 1000
    assert gzip.decompress(file[32 + index[4] : 32 + index[4] + index[5]]) == b""


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_progress_changes_nothing(encoding: str, capsys: pytest.CaptureFixture[str]):
    spec = make_spec(data_encoding=encoding)
    assert spec.synthesize_shards(DATA, progress="Writing") == spec.synthesize_shards(DATA)
    assert "Writing" in capsys.readouterr().err
    assert spec.synthesize_shard(DATA, progress=True) == spec.synthesize_shard(DATA)
