# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import gzip
import pickle
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudvolume_fast.errors import (
    DecompressionError,
    EmptyFileException,
    InvalidArgumentError,
    SpecViolation,
)
from cloudvolume_fast.fetch import shard_reader
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.shard_reader import ShardReader
from cloudvolume_fast.fetch.store import KeyRange
from cloudvolume_fast.locate.byte_ranges import ByteRange
from cloudvolume_fast.model.sharding import ShardingSpecification

DATA = {1: b"a", 2: b"bb", 3: b"ccc", 10: b"", 42: b"forty-two" * 10, 2**63: b"z"}
"""Of which 1, 2, 42 are in minishard 2 of 6.shard; 3 in 4.shard, 10 in 5.shard, 2^63 in 2.shard."""


def make_spec(**kwargs: Any) -> ShardingSpecification:
    fields = {
        "type": "neuroglancer_uint64_sharded_v1",
        "preshift_bits": 0,
        "hash": "murmurhash3_x86_128",
        "minishard_bits": 2,
        "shard_bits": 3,
        "minishard_index_encoding": "gzip",
        "data_encoding": "gzip",
    }
    return ShardingSpecification(**(fields | kwargs))


class CountingStore(FileStore):
    """Remembers what it was asked for."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.requests: list[KeyRange] = []
        self.batches = 0

    def get_ranges(self, ranges: Sequence[KeyRange]) -> list[bytes | None]:
        self.requests += ranges
        self.batches += len(ranges) > 0
        return super().get_ranges(ranges)

    def asked(self) -> list[str]:
        keys = [request.key for request in self.requests]
        self.requests.clear()
        return keys


def make_reader(folder: Path, data: Any = DATA, **kwargs: Any) -> ShardReader:
    options = {k: kwargs.pop(k) for k in list(kwargs) if k.endswith(("_bytes", "_size"))}
    spec = make_spec(**kwargs)
    folder.mkdir(exist_ok=True)
    for name, content in spec.synthesize_shards(data).items():
        (folder / name).write_bytes(content)
    return ShardReader(CountingStore(str(folder)), spec, **options)


@pytest.fixture(params=["raw raw", "raw gzip", "gzip raw", "gzip gzip"])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> ShardReader:
    index_encoding, data_encoding = request.param.split()
    return make_reader(
        tmp_path, minishard_index_encoding=index_encoding, data_encoding=data_encoding
    )


# Data.


def test_one_label_gives_its_bytes(reader: ShardReader):
    for label, data in DATA.items():
        for given in (label, np.uint64(label), np.array(label, dtype=np.uint64)):
            found = reader.get_data(given)
            assert type(found) is bytes
            assert found == data


def test_many_labels_give_a_dictionary(reader: ShardReader):
    for given in (list(DATA), set(DATA), np.array(list(DATA), np.uint64), iter(DATA), [*DATA, 1]):
        assert reader.get_data(given) == DATA
    assert reader.get_data([]) == {}
    assert all(type(label) is int for label in reader.get_data(np.array([1], np.uint32)))


def test_missing_label_is_none_and_differs_from_empty(reader: ShardReader):
    assert reader.get_data(5) is None
    assert reader.get_data([5, 10, 0]) == {5: None, 10: b"", 0: None}
    assert reader.get_data([7], path="elsewhere") == {7: None}


def test_raw_data_are_as_stored(reader: ShardReader):
    stored = reader.get_data(42, raw=True)
    if reader.spec.data_encoding == "gzip":
        assert stored[:2] == b"\x1f\x8b"
        stored = gzip.decompress(stored)
    assert stored == DATA[42]


def test_ranges_of_shards_come_in_the_order_asked_for(tmp_path: Path):
    reader = make_reader(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    contents = {name: (tmp_path / name).read_bytes() for name in names}
    wanted = [
        (name, ByteRange(offset, size))
        for offset, size in ((40, 8), (0, 16), (10, 40), (len(contents[names[0]]) - 3, 50), (5, 0))
        for name in reversed(names)
    ]
    found = reader.read_ranges([*wanted, ("absent.shard", ByteRange(0, 5))])
    assert [bytes(view) for view in found] == [
        *(contents[name][r.offset : r.offset + r.size] for name, r in wanted),
        b"",
    ]
    # One request for each file: what lies near is joined.
    assert len(reader.store.requests) == len(names) + 1


@pytest.mark.parametrize("label", [-1, 2**64, "1", 1.0, None])
def test_label_that_is_no_uint64_is_refused(label: Any, tmp_path: Path):
    reader = make_reader(tmp_path)
    for call in (reader.get_data, reader.exists, reader.get_filename):
        with pytest.raises(InvalidArgumentError, match="label: expected an integer"):
            call(label)


def test_threads_that_decompress_change_nothing(reader: ShardReader):
    assert reader.get_data(list(DATA), parallel=3) == DATA
    assert reader.get_data([], parallel=3) == {}
    with pytest.raises(InvalidArgumentError, match="parallel: expected at least 1, found 0"):
        reader.get_data(1, parallel=0)


def test_any_thread_may_read(reader: ShardReader):
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: reader.get_data(list(DATA)), range(40)):
            assert found == DATA


def test_progress_shows_a_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    reader = make_reader(tmp_path)
    assert reader.get_data(list(DATA), progress="Reading") == DATA
    assert "Reading" in capsys.readouterr().err


# Names and places.


def test_names(tmp_path: Path):
    reader = make_reader(tmp_path)
    assert reader.get_filename(1) == "6.shard"
    assert reader.compute_shard_location(3) == ("4.shard", 1)
    assert reader.join("a", "b") == "a/b"
    assert reader.join("", "b") == "b"


def test_exists_names_the_file(reader: ShardReader):
    assert reader.exists(1) == "6.shard"
    assert reader.exists(5) is None
    assert reader.exists([1, 5, 10]) == {1: "6.shard", 5: None, 10: "5.shard"}


def test_exists_in_a_folder(tmp_path: Path):
    make_reader(tmp_path / "sub")
    reader = ShardReader(FileStore(str(tmp_path)), make_spec())
    assert reader.exists([1], path="sub") == {1: "sub/6.shard"}
    assert reader.get_data(1, path="sub") == b"a"
    assert reader.get_data(1) is None


def test_byte_range_is_that_of_the_stored_data(reader: ShardReader, tmp_path: Path):
    key, offset, size = reader.exists(42, return_byte_range=True)
    content = (tmp_path / key).read_bytes()
    assert content[offset : offset + size] == reader.get_data(42, raw=True)
    assert reader.exists([5], return_byte_range=True) == {5: None}


def test_labels_of_a_file(reader: ShardReader):
    labels = reader.list_labels("6.shard")
    assert labels.dtype == np.uint64
    assert labels.tolist() == [1, 2, 42]
    sizes = reader.list_labels("6.shard", size=True)
    assert sizes == [(n, len(reader.get_data(n, raw=True))) for n in (42, 2, 1)]
    with pytest.raises(EmptyFileException, match=r"0\.shard"):
        reader.list_labels("0.shard")


def test_labels_of_a_file_without_any(tmp_path: Path):
    reader = make_reader(tmp_path)
    (tmp_path / "0.shard").write_bytes(bytes(64))
    assert reader.list_labels("0.shard").tolist() == []
    assert reader.list_labels("0.shard", size=True) == []


# Indexes.


def test_indexes_have_positions_in_the_file(tmp_path: Path):
    reader = make_reader(tmp_path, minishard_index_encoding="raw", data_encoding="raw")
    index = reader.get_index("6.shard")
    begin = 64 + 3 + 90
    assert index.tolist() == [[64, 64], [64, 64], [begin, begin + 72], [64, 64]]
    assert index.tolist() == reader.decode_index((tmp_path / "6.shard").read_bytes()[:64]).tolist()
    entries = reader.get_minishard_index("6.shard", index, np.uint64(2))
    assert entries.tolist() == [[1, 64, 1], [2, 65, 2], [42, 67, 90]]
    stored = (tmp_path / "6.shard").read_bytes()[begin : begin + 72]
    assert reader.decode_minishard_index(stored).tolist() == entries.tolist()
    assert reader.get_minishard_index("6.shard", index, 0) is None
    with pytest.raises(
        InvalidArgumentError, match=r"6\.shard: expected a minishard below 4, found 4"
    ):
        reader.get_minishard_index("6.shard", index, 4)


def test_indexes_of_several_files(reader: ShardReader):
    indexes = reader.get_indices(["6.shard", "0.shard", "4.shard"])
    assert list(indexes) == ["6.shard", "0.shard", "4.shard"]
    assert indexes["0.shard"] is None
    requests = [("6.shard", indexes["6.shard"], [0, 2]), ("4.shard", indexes["4.shard"], [1])]
    found = reader.get_minishard_indices_for_files(requests)
    assert found["6.shard"][0] is None
    assert found["6.shard"][2][:, 0].tolist() == [1, 2, 42]
    assert found["4.shard"][1][:, 0].tolist() == [3]
    assert reader.get_minishard_indices("4.shard", indexes["4.shard"], [1]).keys() == {1}
    known, unknown = reader.compute_minishard_index_requests("6.shard", indexes["6.shard"], [0, 2])
    assert unknown == []
    assert known[0] is None
    reader.clear_cache()
    known, unknown = reader.compute_minishard_index_requests("6.shard", indexes["6.shard"], [0, 2])
    assert known == {0: None}
    assert unknown == [(2, *indexes["6.shard"][2].tolist())]


def test_absent_shard_has_no_index(reader: ShardReader):
    with pytest.raises(EmptyFileException, match=r"0\.shard: expected a shard, found no bytes"):
        reader.get_index("0.shard")
    with pytest.raises(EmptyFileException, match="x: expected a shard index"):
        reader.decode_index(b"", "x")


def test_empty_file_is_a_missing_shard(tmp_path: Path):
    reader = make_reader(tmp_path)
    (tmp_path / "6.shard").write_bytes(b"")
    assert reader.get_data([1, 3]) == {1: None, 3: b"ccc"}


# Requests.


def test_one_request_per_index_and_run_and_none_for_what_is_cached(tmp_path: Path):
    reader = make_reader(tmp_path)
    store = reader.store
    assert reader.get_data([1, 2, 42])
    assert store.asked() == ["6.shard"] * 3  # shard index, minishard index, data as one run
    assert reader.get_data([42, 1])
    assert store.asked() == ["6.shard"]
    reader.clear_cache()
    assert reader.get_data(1)
    assert len(store.asked()) == 3


def test_steps_are_batches_whatever_the_number_of_shards(tmp_path: Path):
    data = {label: b"x" for label in range(500)}
    reader = make_reader(tmp_path, data=data)
    assert reader.get_data(range(500)) == data
    assert reader.store.batches == 3


def test_runs_keep_to_their_limits(tmp_path: Path):
    spec = {"hash": "identity", "shard_bits": 0, "minishard_bits": 0, "data_encoding": "raw"}
    data = {label: bytes([label]) * 10 for label in range(20)}
    reader = make_reader(tmp_path, data=data, max_gap_bytes=10, max_request_bytes=50, **spec)
    reader.exists(0)
    for labels, requests in (
        ([0, 1, 2], 1),  # adjacent
        ([0, 2, 4], 1),  # gaps of 10 bytes
        ([0, 3, 6], 3),  # gaps of 20 bytes
        (range(20), 4),  # 200 bytes in runs of 50
    ):
        reader.store.asked()
        assert reader.get_data(labels) == {label: data[label] for label in labels}
        assert len(reader.store.asked()) == requests
        assert max((r.size for r in reader.store.requests), default=0) <= 50


def test_caches_are_bounded(tmp_path: Path):
    data = {label: b"x" for label in range(500)}
    reader = make_reader(
        tmp_path, data=data, shard_index_cache_size=2, minishard_index_cache_size=3
    )
    assert reader.get_data(range(500)) == data
    assert len(reader._indexes) == 2
    assert len(reader._minishards) == 3
    assert reader.get_data(range(500)) == data


def test_folders_do_not_share_cached_indexes(tmp_path: Path):
    for folder, byte in (("a", b"a"), ("b", b"bbbb")):
        make_reader(tmp_path / folder, data={1: byte})
    reader = ShardReader(FileStore(str(tmp_path)), make_spec())
    assert reader.get_data(1, path="a") == b"a"
    assert reader.get_data(1, path="b") == b"bbbb"
    assert reader.get_data(1, path="a") == b"a"


def test_specification_is_copied(tmp_path: Path):
    spec = make_spec()
    reader = make_reader(tmp_path)
    reader = ShardReader(reader.store, spec)
    spec.minishard_bits = 0
    assert reader.get_data(1) == b"a"


def test_large_shard_index_is_read_by_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shard_reader, "_WHOLE_INDEX_BYTES", 32)
    reader = make_reader(tmp_path)
    assert reader.get_data([*DATA, 5]) == DATA | {5: None}
    assert max(r.size for r in reader.store.requests if r.offset < 64) == 16
    assert reader.get_data(1) == b"a"


def test_shard_index_that_no_file_can_hold_is_not_read_whole(tmp_path: Path):
    spec = make_spec(hash="identity", minishard_bits=64, shard_bits=0)
    reader = ShardReader(CountingStore(str(tmp_path)), spec)
    assert reader.get_data([0, 2**64 - 1]) == {0: None, 2**64 - 1: None}
    (tmp_path / "0.shard").write_bytes(bytes(100))
    assert reader.get_data(0) is None
    with pytest.raises(SpecViolation, match="of minishard 18446744073709551615: expected 16 bytes"):
        reader.get_data(2**64 - 1)


def test_copy_by_pickle_reads_the_same_with_caches_of_its_own(tmp_path: Path):
    reader = make_reader(tmp_path, shard_index_cache_size=7)
    assert reader.get_data(1) == b"a"
    copy = pickle.loads(pickle.dumps(reader))
    assert len(copy._indexes) == 0
    assert copy._indexes.max_entries == 7
    assert copy.get_data([*DATA, 5]) == DATA | {5: None}
    assert copy.spec == reader.spec


# Two files.


@pytest.mark.parametrize("whole_index_bytes", [0, 1 << 20])
def test_older_form_of_two_files(
    tmp_path: Path, whole_index_bytes: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shard_reader, "_WHOLE_INDEX_BYTES", whole_index_bytes)
    reader = make_reader(tmp_path)
    for path in list(tmp_path.glob("[246].shard")):  # 5.shard stays
        content = path.read_bytes()
        path.with_suffix(".index").write_bytes(content[:64])
        path.with_suffix(".data").write_bytes(content[64:])
        path.unlink()
    for _ in range(2):
        assert reader.get_data([*DATA, 5]) == DATA | {5: None}
    assert reader.list_labels("6.shard").tolist() == [1, 2, 42]
    reader.clear_cache()
    assert reader.get_data(42) == DATA[42]


# What a broken file gives.


def write_index(folder: Path, *words: int) -> None:
    content = (folder / "6.shard").read_bytes()
    words = tuple(words) + (0,) * (8 - len(words))
    (folder / "6.shard").write_bytes(struct.pack("<8Q", *words) + content[64:])


def test_short_shard_index_is_named(tmp_path: Path):
    reader = make_reader(tmp_path)
    content = (tmp_path / "6.shard").read_bytes()
    for size in range(1, 64):
        (tmp_path / "6.shard").write_bytes(content[:size])
        with pytest.raises(
            SpecViolation, match=f"6.shard: shard index: expected 64 bytes, found {size}"
        ) as info:
            reader.get_data(1)
        assert (info.value.key, info.value.expected, info.value.found) == ("6.shard", 64, size)


def test_every_other_truncation_is_named(reader: ShardReader, tmp_path: Path):
    content = (tmp_path / "6.shard").read_bytes()
    for size in range(64, len(content)):
        (tmp_path / "6.shard").write_bytes(content[:size])
        reader.clear_cache()
        with pytest.raises(SpecViolation, match=r"6\.shard: minishard 2 index: expected"):
            reader.get_data(1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((0, 0, 0, 0, 9, 8), "minishard 2: expected its index to end at 9 or later"),
        ((5, 9, 0, 0, 0, 8), "minishard 0: expected its index to begin at 8 or later"),
        ((0, 2**64 - 1), "minishard 0: expected its index to end within"),
        ((0, 0, 0, 0, 0, 2**63), "minishard 2 index: expected 9223372036854775808 bytes at 64"),
        ((0, 0, 0, 0, 2**63, 2**63 + 24), "minishard 2 index: expected 24 bytes"),
    ],
)
def test_broken_shard_index_is_named(tmp_path: Path, words: tuple[int, ...], message: str):
    reader = make_reader(tmp_path)
    write_index(tmp_path, *words)
    with pytest.raises(SpecViolation, match=f"6.shard: (shard index: )?{message}"):
        reader.get_data(1)


def with_minishard(folder: Path, ids: Any, gaps: Any, sizes: Any) -> ShardReader:
    """Replace the minishard index of 6.shard, raw."""
    reader = make_reader(folder, minishard_index_encoding="raw", data_encoding="raw")
    index = struct.pack(f"<{3 * len(ids)}Q", *(w % 2**64 for w in (*ids, *gaps, *sizes)))
    header = struct.pack("<8Q", 0, 0, 0, 0, 93, 93 + len(index), 0, 0)
    (folder / "6.shard").write_bytes(header + bytes(93) + index)
    return reader


@pytest.mark.parametrize(
    ("ids", "gaps", "sizes", "message"),
    [
        ((1, 1, 0), (0, 0, 0), (1, 1, 1), "expected each id once, found 2 again"),
        ((1, 1), (0, -1), (5, 5), "expected data in ascending order"),
        ((1,), (2**64 - 70,), (8,), "expected data to end within"),
    ],
)
def test_broken_minishard_index_is_named(
    tmp_path: Path, ids: Any, gaps: Any, sizes: Any, message: str
):
    reader = with_minishard(tmp_path, ids, gaps, sizes)
    with pytest.raises(SpecViolation, match=f"6.shard: minishard 2 index: {message}"):
        reader.get_data(1)


@pytest.mark.parametrize("size", [10**9, 2**62])
def test_datum_past_the_end_is_named(tmp_path: Path, size: int):
    reader = with_minishard(tmp_path, (1, 1), (0, 0), (3, size))
    assert reader.get_data(1) == bytes(3)
    with pytest.raises(
        SpecViolation, match=f"6.shard: minishard 2, id 2: expected {size} bytes at 67, found 138"
    ):
        reader.get_data(2)


def test_unsorted_ids_are_found(tmp_path: Path):
    reader = with_minishard(tmp_path, (42, -41, 1), (0, 1, 0), (1, 2, 3))
    assert reader.list_labels("6.shard").tolist() == [1, 2, 42]
    assert {k: len(v) for k, v in reader.get_data([1, 2, 42]).items()} == {1: 2, 2: 3, 42: 1}


def test_odd_length_of_a_minishard_index_is_named(tmp_path: Path):
    reader = make_reader(tmp_path, minishard_index_encoding="raw")
    index = reader.get_index("6.shard")
    words = [0] * 8
    words[4:6] = [int(index[2, 0]) - 64, int(index[2, 1]) - 65]
    write_index(tmp_path, *words)
    reader.clear_cache()
    with pytest.raises(SpecViolation, match="minishard 2 index: expected a multiple of 24 bytes"):
        reader.get_data(1)


def test_corrupt_gzip_is_named(tmp_path: Path):
    reader = make_reader(tmp_path)
    place = reader.exists(2, return_byte_range=True)
    content = bytearray((tmp_path / "6.shard").read_bytes())
    content[place[1] + 12] ^= 0xFF
    (tmp_path / "6.shard").write_bytes(content)
    with pytest.raises(DecompressionError, match=r"6\.shard: minishard 2, id 2: gzip"):
        reader.get_data(2)
    assert reader.get_data(1) == b"a"
    with pytest.raises(DecompressionError, match="minishard 2, id 2"):
        reader.disassemble_shard(bytes(content))
    content[-12] ^= 0xFF
    (tmp_path / "6.shard").write_bytes(content)
    reader.clear_cache()
    with pytest.raises(DecompressionError, match=r"6\.shard: minishard 2 index: gzip"):
        reader.get_data(1)


def test_datum_that_inflates_beyond_the_limit_is_named(tmp_path: Path):
    reader = make_reader(tmp_path, data={1: bytes(10**6)}, limit_bytes=1000)
    with pytest.raises(DecompressionError, match=r"6\.shard: minishard 2, id 1"):
        reader.get_data(1)


# Whole files.


def test_shard_is_taken_apart(reader: ShardReader, tmp_path: Path):
    found = reader.disassemble_shard((tmp_path / "6.shard").read_bytes())
    assert found == {label: DATA[label] for label in (1, 2, 42)}
    assert all(type(label) is int for label in found)
    with pytest.raises(EmptyFileException):
        reader.disassemble_shard(b"")


def test_truncated_shard_cannot_be_taken_apart(reader: ShardReader, tmp_path: Path):
    content = (tmp_path / "6.shard").read_bytes()
    for size in range(1, len(content)):
        with pytest.raises((SpecViolation, DecompressionError)):
            reader.disassemble_shard(content[:size])


MESHES = {7: b"FFFFFF" + b"mmm", 8: b"no fragments", 9: b"GGGG" + b"nnnnn", 10: b""}
MANIFEST_BYTES = {7: 3, 8: 12, 9: 5, 10: 0}


@pytest.mark.parametrize("data_encoding", ["raw", "gzip"])
@pytest.mark.parametrize("minishard_bits", [0, 2])
def test_multires_meshes_are_taken_apart_and_added(data_encoding: str, minishard_bits: int):
    spec = make_spec(shard_bits=0, minishard_bits=minishard_bits, data_encoding=data_encoding)
    reader = ShardReader(FileStore("/nowhere"), spec)
    shard = spec.synthesize_shard(MESHES, data_offset=MANIFEST_BYTES)
    assert reader.disassemble_multires_mesh_shard(shard) == (MESHES, MANIFEST_BYTES)
    assert reader.disassemble_shard(shard)[9] == b"nnnnn"
    more = reader.insert_multires_mesh_to_shard(shard, 11, b"HH", b"ooo")
    assert reader.disassemble_multires_mesh_shard(more) == (
        MESHES | {11: b"HHooo"},
        MANIFEST_BYTES | {11: 3},
    )
    other = reader.insert_multires_mesh_to_shard(shard, 7, b"", b"x")
    assert reader.disassemble_multires_mesh_shard(other)[0] == MESHES | {7: b"x"}


def test_mesh_of_another_shard_is_refused():
    spec = make_spec(hash="identity", shard_bits=1, minishard_bits=0)
    reader = ShardReader(FileStore("/nowhere"), spec)
    shard = spec.synthesize_shard({2: b"xm"}, data_offset={2: 1})
    with pytest.raises(SpecViolation, match="id 3: expected shard 0"):
        reader.insert_multires_mesh_to_shard(shard, 3, b"x", b"m")
