# SPDX-License-Identifier: BSD-3-Clause
"""Any specification and any labels: what is assembled is found again, and damage is an error with a name."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cloudvolume_fast.errors import DecompressionError, EmptyFileException, SpecViolation
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.fetch.shard_reader import ShardReader
from cloudvolume_fast.model.sharding import ShardingSpecification

ENCODINGS = st.sampled_from(["raw", "gzip"])


@st.composite
def specs(draw: st.DrawFn) -> ShardingSpecification:
    minishard_bits = draw(st.integers(0, 8))
    return ShardingSpecification(
        "neuroglancer_uint64_sharded_v1",
        draw(st.integers(0, 64)),
        draw(st.sampled_from(["identity", "murmurhash3_x86_128"])),
        minishard_bits,
        draw(st.integers(0, 64 - minishard_bits)),
        draw(ENCODINGS),
        draw(ENCODINGS),
    )


labels = st.integers(0, 2**64 - 1) | st.integers(0, 40)
data = st.dictionaries(labels, st.binary(max_size=30), max_size=20)


def write(folder: str, spec: ShardingSpecification, stored: dict[int, bytes]) -> None:
    for name, content in spec.synthesize_shards(stored).items():
        Path(folder, name).write_bytes(content)


@given(specs(), data, st.lists(labels, max_size=5))
def test_what_is_written_is_read(
    spec: ShardingSpecification, stored: dict[int, bytes], others: list[int]
):
    with tempfile.TemporaryDirectory() as folder:
        write(folder, spec, stored)
        reader = ShardReader(FileStore(folder), ShardingSpecification.from_json(spec.to_json()))
        wanted = [*stored, *others]
        assert reader.get_data(wanted) == {label: stored.get(label) for label in wanted}
        names = {path.name for path in Path(folder).iterdir()}
        assert names == {spec.get_filename(label) for label in stored}
        listed = [reader.list_labels(name).tolist() for name in names]
        assert sorted(label for part in listed for label in part) == sorted(stored)
        found: dict[int, bytes] = {}
        for path in Path(folder).iterdir():
            found |= reader.disassemble_shard(path.read_bytes())
        assert found == stored


@given(specs(), data.filter(bool), st.data())
def test_damage_is_an_error_or_harmless(
    spec: ShardingSpecification, stored: dict[int, bytes], draw: st.DataObject
):
    with tempfile.TemporaryDirectory() as folder:
        write(folder, spec, stored)
        path = draw.draw(st.sampled_from(sorted(Path(folder).iterdir())))
        content = bytearray(path.read_bytes())
        if draw.draw(st.booleans()):
            del content[draw.draw(st.integers(0, len(content) - 1)) :]
        else:
            for position in draw.draw(
                st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)
            ):
                content[position] ^= draw.draw(st.integers(1, 255))
        path.write_bytes(content)
        reader = ShardReader(FileStore(folder), spec)
        for label, original in stored.items():
            try:
                found = reader.get_data(label)
            except (SpecViolation, DecompressionError) as error:
                assert path.name in str(error)  # noqa: PT017
            else:
                assert found is None or isinstance(found, bytes)
                if spec.get_filename(label) != path.name:
                    assert found == original
        with contextlib.suppress(SpecViolation, DecompressionError, EmptyFileException):
            reader.disassemble_shard(bytes(content))
