# SPDX-License-Identifier: BSD-3-Clause
"""Data of 64-bit labels to shard files, in memory.

Where a datum goes and what the indexes are is computed by the core, once for all of them; the bytes are joined once.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast._core import gzip, sharding
from cloudvolume_fast.errors import SpecViolation
from cloudvolume_fast.model.labels import as_labels

if TYPE_CHECKING:
    from cloudvolume_fast.model.sharding import ShardingSpecification

__all__ = ["Labelled", "join_shard_file", "synthesize_shard_file", "synthesize_shard_files"]

Labelled = Mapping[int, bytes] | Iterable[tuple[int, bytes]]
"""Labels and their bytes: a mapping, or pairs such as ``zip(labels, blobs)``."""

_GZIP_LEVEL = 9


def synthesize_shard_file(
    spec: ShardingSpecification,
    label_group: Labelled | Mapping[int, Mapping[int, bytes]],
    data_offset: Mapping[int, int] | None = None,
    progress: bool | str = False,
    presorted: bool = False,
) -> bytes:
    """Make one shard file.

    Parameters
    ----------
    spec : ShardingSpecification
        How labels are spread and stored.
    label_group : mapping or iterable of pairs
        Label to bytes, all of one shard; with ``presorted`` a mapping of such mappings, by minishard.
    data_offset : mapping, optional
        Label to the size in bytes of the end of its data that the index points to; what comes before it is stored as it
        is.  All labels have one then.
    progress : bool or str
        Show a bar (tqdm) of the labels that are compressed, with this title.
    presorted : bool
        The data are grouped by minishard.  They are grouped here all the same, which takes little.

    Returns
    -------
    bytes
        The file: shard index, data by ascending minishard and label, minishard indexes.

    Raises
    ------
    SpecViolation
        If a label comes twice or belongs to another shard, or there are more than 2^30 minishards,
        or ``data_offset`` lacks a label or exceeds its data.
    InvalidArgumentError
        If a label is not an unsigned 64-bit integer.
    """
    if presorted:
        groups = label_group.values() if isinstance(label_group, Mapping) else ()
        pairs = [pair for group in groups for pair in _pairs(group)]  # type: ignore[arg-type]
    else:
        pairs = _pairs(label_group)  # type: ignore[arg-type]
    labels = as_labels([label for label, _ in pairs])
    return _assemble(spec, labels, [data for _, data in pairs], data_offset, progress)


def synthesize_shard_files(
    spec: ShardingSpecification,
    data: Labelled,
    data_offset: Mapping[int, int] | None = None,
    progress: bool | str = False,
) -> dict[str, bytes]:
    """Make all shard files that some labels need.

    Parameters
    ----------
    spec : ShardingSpecification
        How labels are spread and stored.
    data : mapping or iterable of pairs
        Label to bytes.
    data_offset : mapping, optional
        As for `synthesize_shard_file`.
    progress : bool or str
        Show a bar (tqdm) of the files, with this title.

    Returns
    -------
    dict
        File name to contents, in ascending order of shards.

    Raises
    ------
    SpecViolation
        If a label comes twice, or there are more than 2^30 minishards,
        or ``data_offset`` lacks a label or exceeds its data.
    InvalidArgumentError
        If a label is not an unsigned 64-bit integer.
    """
    pairs = _pairs(data)
    labels = as_labels([label for label, _ in pairs])
    shards, _ = spec.locate(labels)
    order = np.argsort(shards, kind="stable")
    starts = np.flatnonzero(np.diff(shards[order])) + 1
    groups: Iterable[NDArray[np.intp]] = np.split(order, starts) if len(order) else ()
    if progress:
        from tqdm import tqdm

        groups = tqdm(
            list(groups), desc=progress if isinstance(progress, str) else "Shards", unit="shard"
        )
    return {
        spec.shard_filename(int(shards[group[0]])): _assemble(
            spec, labels[group], [pairs[i][1] for i in group], data_offset, False
        )
        for group in groups
    }


def _pairs(data: Labelled) -> list[tuple[int, bytes]]:
    return list(data.items() if isinstance(data, Mapping) else data)


def _assemble(
    spec: ShardingSpecification,
    labels: NDArray[np.uint64],
    data: Sequence[bytes],
    data_offset: Mapping[int, int] | None,
    progress: bool | str,
) -> bytes:
    pointed = None if data_offset is None else _pointed_bytes(labels, data, data_offset)
    stored: list[bytes | None] = list(_stored(spec, data, pointed, progress))
    return join_shard_file(
        spec, labels, stored, skips=None if pointed is None else _skips(data, pointed)
    )


def join_shard_file(
    spec: ShardingSpecification,
    labels: NDArray[np.uint64],
    stored: list[bytes | None],
    *,
    skips: Sequence[int] | None = None,
) -> bytes:
    """Join what is stored already as ``data_encoding`` says into one shard file.

    Parameters
    ----------
    spec : ShardingSpecification
        How labels are spread.
    labels : ndarray of uint64, shape (n,)
        All of one shard.
    stored : list of bytes
        Their bytes.  They are let go as they are copied, so that the file is not held twice: Nones are left.
    skips : sequence of int, optional
        Leading bytes of each that the index leaves out.

    Returns
    -------
    bytes
        As `synthesize_shard_file`.

    Raises
    ------
    SpecViolation
        If a label comes twice or belongs to another shard, or there are more than 2^30 minishards.
    """
    index, order, minishard_indexes = sharding.assemble(
        labels,
        [len(blob or b"") for blob in stored],
        skips=skips,
        minishard_index_encoding=spec.minishard_index_encoding,
        **spec.bits(),
    )
    out = io.BytesIO()
    out.write(index)
    for i in order.tolist():
        out.write(stored[i] or b"")
        stored[i] = None
    out.write(minishard_indexes)
    return out.getvalue()


def _pointed_bytes(
    labels: NDArray[np.uint64], data: Sequence[bytes], data_offset: Mapping[int, int]
) -> list[int]:
    out = []
    for label, blob in zip(labels.tolist(), data, strict=True):
        size = data_offset.get(label)
        if size is None or not 0 <= size <= len(blob):
            raise SpecViolation(
                f"data_offset: label {label}: expected a size of at most {len(blob)} bytes, those of its data, "
                f"found {size}",
                key="data_offset",
                expected=len(blob),
                found=size,
            )
        out.append(int(size))
    return out


def _skips(data: Sequence[bytes], pointed: Sequence[int]) -> list[int]:
    return [len(blob) - size for blob, size in zip(data, pointed, strict=True)]


def _stored(
    spec: ShardingSpecification,
    data: Sequence[bytes],
    pointed: Sequence[int] | None,
    progress: bool | str,
) -> Sequence[bytes]:
    if spec.data_encoding == "raw":
        return data
    blobs: Iterable[bytes] = data
    if progress:
        from tqdm import tqdm

        blobs = tqdm(data, desc=progress if isinstance(progress, str) else "Labels")
    if pointed is None:
        return [gzip.compress_bytes(blob, level=_GZIP_LEVEL) for blob in blobs]
    # A reader decompresses what the index points to, and finds the bytes before it by their own offsets.
    return [
        bytes(blob[: len(blob) - size])
        + gzip.compress_bytes(blob[len(blob) - size :], level=_GZIP_LEVEL)
        for blob, size in zip(blobs, pointed, strict=True)
    ]
