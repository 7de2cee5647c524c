# SPDX-License-Identifier: BSD-3-Clause
"""Volumes in shards: reading, writing, stored sizes, memory, and locating labels."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import datasets
import measure
import numpy as np
import peers
from checks import require_equal
from rows_local import read_boxes, read_whole, stored_size, write_whole
from table import CV, MIB, OURS, TS, Line, Row, Run, Setup, contest_lines, peak_lines


def _locate(count: int, theirs_count: int) -> Run:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        from cloudvolume.datasource.precomputed import sharding

        from cloudvolume_fast.model.sharding import ShardingSpecification

        shard_bits, minishard_bits, preshift_bits = sharding.compute_shard_params_for_hashed(count)
        specification = {
            "@type": "neuroglancer_uint64_sharded_v1",
            "preshift_bits": preshift_bits,
            "hash": "murmurhash3_x86_128",
            "minishard_bits": minishard_bits,
            "shard_bits": shard_bits,
        }
        theirs = sharding.ShardingSpecification.from_dict(specification)
        ours = ShardingSpecification.from_dict(specification)
        rng = np.random.default_rng([setup.seed, count])
        labels = rng.integers(0, 2**64 - 1, count, dtype=np.uint64, endpoint=True)
        part = labels[:theirs_count].tolist()
        expected = [theirs.compute_shard_location(label) for label in part]
        places = ours.compute_shard_location(labels)
        for member, wanted in zip(places, zip(*expected, strict=True), strict=True):
            # Numbers need a type; names must not be cut to one.
            dtype = None if member.dtype.kind == "U" else np.uint64
            require_equal("ours, locating", member[:theirs_count], np.array(wanted, dtype))
        contest = measure.Contest(
            {
                OURS: lambda: ours.compute_shard_location(labels),
                CV: lambda: [theirs.compute_shard_location(label) for label in part],
            }
        )
        contest.run(setup.repeat)
        factor = count / theirs_count
        for times in (contest.seconds, contest.cpu_seconds):
            times[CV] = [factor * seconds for seconds in times[CV]]
        note = f"theirs: {theirs_count:,} labels, times {factor:g}"
        yield from contest_lines(contest, row, {CV: note})

    return run


_WRITE_MEMORY_CODE = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import numpy as np
import measure, peers
peers.limit_threads({threads})
peer = {{p.name: p for p in (peers.OURS, peers.CLOUD_VOLUME, peers.TENSORSTORE)}}[{name!r}]
voxels = np.load({array!r})[..., np.newaxis]
# Modules and pools that come with the first write are not what a write needs.
peer.writing[0].open(Path({warm!r}), {threads}, 0).write(voxels[:64, :64, :64])
volume = peer.writing[0].open(Path({path!r}), {threads}, 0)
peak, _ = measure.peak_above_start(lambda: volume.write(voxels))
print(peak)
"""


def _shard_memory(name: str) -> Run:
    def run(setup: Setup, row: Row) -> Iterator[Line]:
        if not measure.knows_peaks():
            yield Line(row.name, row.title, "", "", "", note="is measured on Linux only")
            return
        layer = datasets.LAYERS[name]
        voxels = setup.data.voxels(name)
        array = setup.data.folder / ("labels.npy" if layer.is_labels else "image.npy")
        folder = setup.data.folder / "writing"
        above, stored = {}, {}
        for key in setup.present:
            path, warm = folder / key, folder / f"{key}-warm"
            datasets.create_upstream(path, voxels, layer)
            datasets.create_upstream(warm, voxels[:64, :64, :64], layer)
            code = _WRITE_MEMORY_CODE.format(
                here=str(Path(__file__).resolve().parent),
                threads=setup.threads,
                name=key,
                array=str(array),
                warm=str(warm),
                path=str(path),
            )
            above[key] = int(measure.run_python(["-c", code]))
            found = peers.CLOUD_VOLUME.reading[0].open(path, 1, 0).read(peers.WHOLE)
            require_equal(f"{key}, writing", np.asarray(found)[..., 0], voxels)
            (shard,) = path.rglob("*.shard")
            stored[key] = shard.stat().st_size
        shutil.rmtree(folder)
        chunks = -(-voxels.shape[0] // layer.chunk_size[0])
        row_bytes = chunks * int(np.prod(layer.chunk_size)) * voxels.itemsize
        bound = 1.5 * stored[OURS] + setup.threads * row_bytes
        note = f"1.5 x shard of {stored[OURS] / MIB:.1f} + {setup.threads} rows of chunks"
        yield from peak_lines(row, above, bound, note, bound_bytes=bound, stored_bytes=stored[OURS])

    return run


ROWS = (
    Row(
        "sharded-cseg-whole",
        "sharded cseg uint64 + gzip, whole",
        read_whole("cseg_sharded"),
        {CV: 4.0, TS: 3.0},
    ),
    Row(
        "sharded-raw-whole",
        "sharded raw uint8 + gzip, whole",
        read_whole("raw_sharded"),
        {CV: 2.3, TS: 2.3},
    ),
    Row(
        "sharded-cseg-cutouts",
        "sharded cseg, 40 cutouts of 64^3",
        read_boxes("cseg_sharded", 40, 64),
        {CV: 40.0, TS: 3.0},
    ),
    Row(
        "sharded-raw-cutouts",
        "sharded raw, 40 cutouts of 64^3",
        read_boxes("raw_sharded", 40, 64),
    ),
    Row(
        "sharded-cseg-voxel",
        "sharded cseg, 200 times one voxel",
        read_boxes("cseg_sharded", 200, 1),
        {CV: 15.0, TS: 6.0},
    ),
    Row(
        "sharded-raw-voxel",
        "sharded raw, 200 times one voxel",
        read_boxes("raw_sharded", 200, 1),
    ),
    Row(
        "locate-labels",
        "locate 1M labels by murmurhash",
        _locate(1_000_000, 20_000),
        {CV: 200.0},
    ),
    Row("sharded-cseg-write", "write one shard, cseg", write_whole("cseg_sharded"), {CV: 3.0}),
    Row("sharded-raw-write", "write one shard, raw", write_whole("raw_sharded"), {CV: 3.0}),
    Row("sharded-cseg-size", "stored size, one shard, cseg", stored_size("cseg_sharded")),
    Row("sharded-raw-size", "stored size, one shard, raw", stored_size("raw_sharded")),
    Row("sharded-cseg-memory", "memory above input, shard, cseg", _shard_memory("cseg_sharded")),
    Row("sharded-raw-memory", "memory above input, shard, raw", _shard_memory("raw_sharded")),
)
