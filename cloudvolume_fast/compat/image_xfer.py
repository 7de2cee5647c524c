# SPDX-License-Identifier: BSD-3-Clause
"""Functions of ``cloudvolume.datasource.precomputed.image.xfer``, over `PrecomputedImageSource.transfer_to`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from cloudvolume_fast.compat.precomputed_common import should_compress
from cloudvolume_fast.compat.precomputed_volume import CloudVolumePrecomputed
from cloudvolume_fast.config import parse_parallel
from cloudvolume_fast.sources.precomputed.image import PrecomputedImageSource
from cloudvolume_fast.sources.precomputed.transfer import open_destination

__all__ = [
    "create_destination",
    "normalize_compression",
    "transfer_any_to_unsharded",
    "transfer_by_rerendering",
    "transfer_sharded_to_sharded",
    "transfer_unsharded_to_sharded",
    "transfer_unsharded_to_unsharded",
]

MipLike = int | Sequence[float]


def normalize_compression(compress: str | bool | None, encoding: str) -> str | bool | None:
    """Return the second-stage compression of a transfer; None leaves that of copied files as it is."""
    if compress == "auto":
        return None if should_compress(encoding, None, None) else False
    return "gzip" if compress is True else compress


def create_destination(
    source: PrecomputedImageSource, cloudpath: str, mip: int, encoding: str | None
) -> Any:  # a volume
    """Open the layer that a transfer is to write to; one that has no info gets the source's."""
    meta, index = open_destination(source.meta, cloudpath, source.to_mip(mip), encoding, None)
    config = type(source.config)(mip=index)
    return CloudVolumePrecomputed.of_layer(meta, config, PrecomputedImageSource(meta, config))


@contextlib.contextmanager
def _codec_threads(source: PrecomputedImageSource, count: int | bool) -> Iterator[None]:
    """Within the block, let codecs use so many threads."""
    config = source.config
    before, config.codec_threads = config.codec_threads, parse_parallel(count)
    try:
        yield
    finally:
        config.codec_threads = before


def transfer_sharded_to_sharded(
    source: PrecomputedImageSource,
    cloudpath: str,
    bbox: Any,  # what Bbox.create takes
    mip: MipLike,
    block_size: int | None = 2,
    compress: str | bool | None = True,
    compress_level: int | None = None,
    encoding: str | None = None,
    codec_threads: int | bool = 1,
) -> Any:
    """Transfer a box to shards; see `PrecomputedImageSource.transfer_to`."""
    with _codec_threads(source, codec_threads):
        return source.transfer_to(
            cloudpath, bbox, mip, block_size, compress, compress_level, encoding, True
        )


def transfer_unsharded_to_unsharded(
    source: PrecomputedImageSource,
    cloudpath: str,
    bbox: Any,
    mip: MipLike,
    block_size: int | None = None,
    compress: str | bool | None = True,
    compress_level: int | None = None,
    encoding: str | None = None,
    codec_threads: int | bool = 1,
) -> Any:
    """Transfer a box to files of a chunk each; see `PrecomputedImageSource.transfer_to`."""
    with _codec_threads(source, codec_threads):
        return source.transfer_to(
            cloudpath, bbox, mip, block_size, compress, compress_level, encoding, False
        )


def transfer_unsharded_to_sharded(
    source: PrecomputedImageSource,
    cloudpath: str,
    bbox: Any,
    mip: int,
    compress: str | bool | None = None,
    compress_level: int | None = None,
    encoding: str | None = None,
    codec_threads: int | bool = 1,
) -> Any:
    """Transfer a box to shards; see `PrecomputedImageSource.transfer_to`."""
    with _codec_threads(source, codec_threads):
        return source.transfer_to(
            cloudpath, bbox, mip, None, compress, compress_level, encoding, True
        )


def transfer_any_to_unsharded(
    source: PrecomputedImageSource,
    cloudpath: str,
    bbox: Any,
    mip: int,
    compress: str | bool | None = None,
    compress_level: int | None = None,
    encoding: str | None = None,
    codec_threads: int | bool = 1,
) -> Any:
    """Transfer a box to files of a chunk each; see `PrecomputedImageSource.transfer_to`."""
    with _codec_threads(source, codec_threads):
        return source.transfer_to(
            cloudpath, bbox, mip, None, compress, compress_level, encoding, False
        )


transfer_by_rerendering = transfer_any_to_unsharded
