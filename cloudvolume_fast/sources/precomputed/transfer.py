# SPDX-License-Identifier: BSD-3-Clause
"""Chunks of one layer to another, in the cheapest way that is right.

Where both grids agree whole chunks pass through the core one by one: as they are stored, or with another compression,
or transcoded; between jpeg and jxl they are recoded without loss, here.  What is left (the rim of a box that cuts
chunks, or everything where the grids differ) is read and written in blocks of the destination's chunks.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cloudvolume_fast._runtime import default_threads
from cloudvolume_fast.decode import registry
from cloudvolume_fast.decode.codec import ChunkSpec
from cloudvolume_fast.deliver.files import read_files
from cloudvolume_fast.deliver.outcome import raise_outcome
from cloudvolume_fast.deliver.progress import ChunkProgress
from cloudvolume_fast.deliver.read_image import read_box
from cloudvolume_fast.deliver.source import ImageScale
from cloudvolume_fast.deliver.write_image import make_folder, write_box
from cloudvolume_fast.errors import (
    AlignmentError,
    InfoUnavailableError,
    InvalidArgumentError,
)
from cloudvolume_fast.fetch.content_encoding import level_of
from cloudvolume_fast.fetch.file import FileStore
from cloudvolume_fast.locate.indexing import (
    Bounds,
    check_bounds,
    check_not_empty,
    clip,
    show,
)
from cloudvolume_fast.model import info as info_model
from cloudvolume_fast.model.bbox import Bbox
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.provenance import DataLayerProvenance
from cloudvolume_fast.model.shard_params import compute_shard_params_for_image
from cloudvolume_fast.options import WriteOptions, max_inflight_bytes, sync_writes
from cloudvolume_fast.sources.precomputed.image_access import ImageAccess
from cloudvolume_fast.sources.precomputed.image_layout import upload_headers
from cloudvolume_fast.sources.precomputed.image_read import background_box
from cloudvolume_fast.sources.precomputed.image_write import stored_suffix
from cloudvolume_fast.sources.precomputed.metadata import PrecomputedMetadata

_BLOCK_BYTES = 64 << 20
_SHARD_BYTES = 4 << 30


@dataclasses.dataclass(frozen=True, slots=True)
class TransferOptions:
    """How to transfer.

    Attributes
    ----------
    compress : str, bool or None
        ``auto`` and None leave the compression of copied files as it is, and use the encoding's own otherwise.
    compress_level : int or None
    encoding : str or None
        Of the destination's scale, where it is made; that of an existing one must be it.
    sharded : bool or None
        Of the destination's scale, where it is made: whether it is sharded, None for as the source; that of an existing
        one must be it.
    block_size : int or None
        Chunks of the destination that a block has at most, where blocks are needed.
    """

    compress: str | bool | None = "auto"
    compress_level: int | None = None
    encoding: str | None = None
    sharded: bool | None = None
    block_size: int | None = None


def open_destination(
    source: PrecomputedMetadata,
    cloudpath: str,
    mip: int,
    encoding: str | None,
    sharded: bool | None,
) -> tuple[PrecomputedMetadata, int]:
    """Open a layer to transfer to, made like the source where there is none.

    Returns
    -------
    meta : PrecomputedMetadata
    mip : int
        The scale of the source's resolution; added where the layer has none.

    Raises
    ------
    InvalidArgumentError
        The layer holds other voxels, or the scale has another encoding than the one asked for, or is sharded and should
        not be, or the other way round.
    UnsupportedProtocolError, UnsupportedFormatError, UnsupportedEncodingError
    """
    scale = _scale_like(source, mip, encoding, sharded)
    if encoding is not None:
        registry.lookup(encoding, source.cloudpath).check(
            source.dtype, source.num_channels, cloudpath
        )
    try:
        meta = PrecomputedMetadata(cloudpath)
    except InfoUnavailableError:
        info = _plain(source.info)
        info.pop("redirect", None)
        info["scales"] = [
            scale if i == mip else _scale_like(source, i, None, None if sharded else sharded)
            for i in range(len(source.scales))
        ]
        provenance = DataLayerProvenance().from_json(source.provenance.serialize())
        meta = PrecomputedMetadata(cloudpath, info, provenance)
        meta.commit_info()
        meta.commit_provenance()
        return meta, mip
    _check_same_voxels(source, meta)
    wanted = [float(extent) for extent in scale["resolution"]]
    resolutions = [[float(extent) for extent in existing["resolution"]] for existing in meta.scales]
    index = resolutions.index(wanted) if wanted in resolutions else len(resolutions)
    if index == len(resolutions):
        meta.info = {**meta.info, "scales": [*meta.scales, scale]}
        meta.commit_info()
    found = meta.encoding(index)
    if encoding is not None and found != encoding:
        raise InvalidArgumentError(
            f"{meta.infopath}: expected encoding {encoding} of scale {meta.key(index)}, found {found}",
            key=meta.infopath,
            expected=encoding,
            found=found,
        )
    if sharded is not None and meta.is_sharded(index) != sharded:
        expected = "a sharded scale" if sharded else "an unsharded scale"
        raise InvalidArgumentError(
            f"{meta.infopath}: expected {expected} {meta.key(index)}, found the other",
            key=meta.infopath,
            expected=expected,
            found=meta.scale(index).get("sharding"),
        )
    return meta, index


def _plain(value: Any) -> Any:  # Any: JSON
    """Return a copy that shares nothing."""
    return json.loads(info_model.dump_info(value, "info"))


def _scale_like(
    source: PrecomputedMetadata, mip: int, encoding: str | None, sharded: bool | None
) -> Info:
    """Return a scale like the source's, in an encoding, sharded or not; None leaves either as it is."""
    out: Info = _plain(source.scale(mip))
    out.pop("locked", None)
    if encoding is not None and encoding != out["encoding"]:
        out["encoding"] = encoding
        out.pop("compressed_segmentation_block_size", None)
        if encoding == "compressed_segmentation":
            out["compressed_segmentation_block_size"] = [8, 8, 8]
    if sharded is False or out.get("sharding") is None:
        out.pop("sharding", None)
    if sharded and "sharding" not in out:
        spec = compute_shard_params_for_image(
            out["size"], out["chunk_sizes"][0], out["encoding"], source.dtype
        )
        out["sharding"] = spec.to_dict()
        del out["chunk_sizes"][1:]
    return out


def _check_same_voxels(source: PrecomputedMetadata, destination: PrecomputedMetadata) -> None:
    for name, expected, found in (
        ("data_type", source.dtype, destination.dtype),
        ("num_channels", source.num_channels, destination.num_channels),
    ):
        if expected != found:
            raise InvalidArgumentError(
                f"{destination.infopath}: expected {name} {expected} as in {source.infopath}, found {found}",
                key=destination.infopath,
                expected=expected,
                found=found,
            )


def transferred_bounds(
    source: ImageAccess, bounds: Bounds, mip: int, to_shards: bool
) -> Bounds | None:
    """Return the part of a box that a transfer takes, or None where that is nothing.

    Raises
    ------
    SubvoxelVolumeError
        The box is empty.
    AlignmentError, OutOfBoundsError
        The volume is bounded, and the box leaves it with whole chunks of its grid; the latter if it goes to shards.

    Notes
    -----
    A box that cuts chunks is cut at the volume's bounds (upstream behaviour, ``transfer_beyond`` in the parity tests).
    """
    here = source.image_scale(mip)
    check_not_empty(bounds, here.folder)
    inside = clip(bounds, here.bounds)
    config = source.config
    if inside == bounds:
        return bounds
    if (
        config.bounded
        and not config.autocrop
        and all((bounds[i] - here.bounds[i % 3]) % here.chunk_size[i % 3] == 0 for i in range(6))
    ):
        if to_shards:
            check_bounds(bounds, here.bounds, here.folder)
        raise AlignmentError(
            f"{here.folder}: expected a box of whole chunks within the volume's {show(here.bounds)}, "
            f"found {show(bounds)}",
            key=here.folder,
            expected=inside,
            found=bounds,
        )
    return inside if all(inside[i] < inside[i + 3] for i in range(3)) else None


def transfer(
    source: ImageAccess,
    mip: int,
    destination: ImageAccess,
    destination_mip: int,
    bounds: Bounds,
    options: TransferOptions,
) -> None:
    """Transfer what `transferred_bounds` returns; see `PrecomputedImageSource.transfer_to`."""
    here, there = source.image_scale(mip), destination.image_scale(destination_mip)
    check_bounds(bounds, there.bounds, there.folder)
    destination.check_writable(destination_mip)
    path = destination.folder_path(destination.meta.key(destination_mip))
    if (path or there.folder) == (source.folder_path(source.meta.key(mip)) or here.folder):
        raise InvalidArgumentError(
            f"{there.folder}: expected another place than the source", key=there.folder
        )
    if path is not None:
        make_folder(path, there.folder)
    core = common_chunks(bounds, here, there)
    spec = ChunkSpec(
        there.dtype,
        there.num_channels,
        destination.meta.scale(destination_mip),
        source.config.codec_threads,
    )
    # Files are written one by one there.
    recode = None
    if there.sharding is None:
        recode = registry.recoder(here.encoding, there.encoding, spec)
    threads = _threads(source, here, destination, there)
    if core is not None and recode is not None:
        key = destination.meta.key(destination_mip)
        store = destination.meta.store
        headers = dict(upload_headers(there.encoding, destination.config.cdn_cache))

        def put(name: str, data: bytes) -> None:
            if isinstance(store, FileStore):
                return store.put(f"{key}/{name}", data, sync=sync_writes())
            return store.put_many(
                [(f"{key}/{name}", data)],
                content_type=headers["Content-Type"],
                cache_control=headers.get("Cache-Control"),
            )

        for box in _recode_chunks(source, here, put, spec, recode, core, options, threads):
            _transfer_chunks(source, mip, destination, destination_mip, box, options)
    elif core is not None:
        _transfer_chunks(source, mip, destination, destination_mip, core, options)
    for rest in subtract(bounds, core):
        _render(source, here, mip, destination, destination_mip, rest, options)


def common_chunks(bounds: Bounds, here: ImageScale, there: ImageScale) -> Bounds | None:
    """Return the largest box of whole chunks of both grids inside of a box; None where there is none."""
    low, high = list(bounds[:3]), list(bounds[3:])
    for i in range(3):
        size, offset = here.chunk_size[i], here.bounds[i]
        if there.chunk_size[i] != size or (there.bounds[i] - offset) % size:
            return None
        low[i] = offset - (offset - low[i]) // size * size
        if not high[i] == here.bounds[i + 3] == there.bounds[i + 3]:
            high[i] = offset + (high[i] - offset) // size * size
        if high[i] <= low[i]:
            return None
    return (low[0], low[1], low[2], high[0], high[1], high[2])


def subtract(outer: Bounds, inner: Bounds | None) -> Iterator[Bounds]:
    """Yield disjoint boxes that make up a box but for one inside of it."""
    if inner is None:
        yield outer
        return
    low, high = list(outer[:3]), list(outer[3:])
    for i in (2, 1, 0):
        for start, end in ((low[i], inner[i]), (inner[i + 3], high[i])):
            if start < end:
                yield (*low[:i], start, *low[i + 1 :], *high[:i], end, *high[i + 1 :])  # type: ignore[misc]
        low[i], high[i] = inner[i], inner[i + 3]


def blocks(bounds: Bounds, scale: ImageScale, block_size: int | None) -> Iterator[Bounds]:
    """Yield a box in blocks of a scale's chunks, each of at most 64 MiB unless one chunk is larger."""
    chunk_bytes = scale.num_channels * scale.dtype.itemsize
    for extent in scale.chunk_size:
        chunk_bytes *= extent
    limit = max(1, _BLOCK_BYTES // chunk_bytes)
    if block_size is not None:
        limit = min(limit, block_size)
    first = [(bounds[i] - scale.bounds[i]) // scale.chunk_size[i] for i in range(3)]
    last = [-((scale.bounds[i] - bounds[i + 3]) // scale.chunk_size[i]) for i in range(3)]
    steps = [1, 1, 1]
    # Even blocks share the least surface, along which the source's chunks are read twice.
    growing = True
    while growing:
        growing = False
        for i in range(3):
            if (
                steps[i] < last[i] - first[i]
                and steps[0] * steps[1] * steps[2] // steps[i] * (steps[i] + 1) <= limit
            ):
                steps[i] += 1
                growing = True
    sizes = [steps[i] * scale.chunk_size[i] for i in range(3)]
    starts = [scale.bounds[i] + first[i] * scale.chunk_size[i] for i in range(3)]
    for z in range(starts[2], bounds[5], sizes[2]):
        for y in range(starts[1], bounds[4], sizes[1]):
            for x in range(starts[0], bounds[3], sizes[0]):
                yield clip((x, y, z, x + sizes[0], y + sizes[1], z + sizes[2]), bounds)


def _write_blocks(bounds: Bounds, scale: ImageScale, block_size: int | None) -> Iterator[Bounds]:
    """Yield a box in blocks that are written one after the other.

    A shard is written as a whole if its voxels are not too many, because every further part of it rewrites it.
    """
    low = scale.bounds[:3]
    voxel = (*low, low[0] + 1, low[1] + 1, low[2] + 1)
    first = scale.layout.shard_bounds(voxel) if scale.sharding is not None else None
    if first is not None and block_size is None:
        sizes = [first[i + 3] - first[i] for i in range(3)]
        if math.prod(sizes) * scale.num_channels * scale.dtype.itemsize <= _SHARD_BYTES:
            starts = [low[i] + (bounds[i] - low[i]) // sizes[i] * sizes[i] for i in range(3)]
            for z in range(starts[2], bounds[5], sizes[2]):
                for y in range(starts[1], bounds[4], sizes[1]):
                    for x in range(starts[0], bounds[3], sizes[0]):
                        yield clip((x, y, z, x + sizes[0], y + sizes[1], z + sizes[2]), bounds)
            return
    yield from blocks(bounds, scale, block_size)


def _compression(scale: ImageScale, options: TransferOptions) -> tuple[str | None, int]:
    """Return suffix and level of what the options ask for; no suffix for ``auto``."""
    is_free = options.compress is None or options.compress == "auto"
    if is_free and scale.sharding is None:
        return None, 0
    suffix = stored_suffix(scale, None if is_free else options.compress, stacklevel=2)
    return suffix, level_of(suffix, options.compress_level)


def _own_compression(scale: ImageScale, options: TransferOptions) -> tuple[str, int]:
    suffix, level = _compression(scale, options)
    if suffix is None:
        suffix = stored_suffix(scale, None, stacklevel=2)
        level = level_of(suffix, options.compress_level)
    return suffix, level


def _threads(
    source: ImageAccess, here: ImageScale, destination: ImageAccess, there: ImageScale
) -> int:
    """Return how many chunks are decoded and encoded side by side; 0 leaves it to the core."""
    wanted = (source.threads(here, "decode"), destination.threads(there, "encode"))
    return min(filter(None, wanted), default=0)


def _transfer_chunks(
    source: ImageAccess,
    mip: int,
    destination: ImageAccess,
    destination_mip: int,
    bounds: Bounds,
    options: TransferOptions,
) -> None:
    here, there = source.image_scale(mip), destination.image_scale(destination_mip)
    is_copy = here.encoding == there.encoding and (
        here.encoding != "compressed_segmentation"
        or source.meta.parsed_scale(mip).block_size
        == destination.meta.parsed_scale(destination_mip).block_size
    )
    suffix, level = _compression(there, options) if is_copy else _own_compression(there, options)
    read_options = source.read_options(here, title="Transferring")
    with ChunkProgress(read_options.progress, here.layout.count_chunks(bounds)) as progress:
        outcome, in_destination = here.layout.transfer(
            there.layout,
            bounds,
            is_copy,
            suffix,
            level,
            read_options.fill_missing,
            sync_writes(),
            read_options.threads if is_copy else _threads(source, here, destination, there),
            max_inflight_bytes(),
            progress.callback,
        )
    if outcome is not None:
        raise_outcome(outcome, (there if in_destination else here).folder, writing=in_destination)


def _recode_chunks(
    source: ImageAccess,
    here: ImageScale,
    put: Callable[[str, bytes], None],
    spec: ChunkSpec,
    recode: registry.Recode,
    bounds: Bounds,
    options: TransferOptions,
    threads: int,
) -> Iterator[Bounds]:
    """Write chunks in the other encoding without their voxels; yield the boxes of those that need another way.

    These are absent, damaged, or of a form that the other encoding cannot hold.
    """
    from concurrent.futures import ThreadPoolExecutor  # imported when needed: it is slow to load

    read_options = source.read_options(here, title="Transferring")

    def pass_on(name: str, data: bytes | None) -> Bounds | None:
        box = Bbox.from_filename(name)
        size = box.size3()
        recoded = None
        if data is not None:
            recoded = recode(data, (int(size[0]), int(size[1]), int(size[2])), spec)
        if recoded is None:
            return bounds_of_box(box)
        put(name, recoded)
        return None

    with ThreadPoolExecutor(threads or default_threads()) as pool:
        for block in blocks(bounds, here, options.block_size):
            files = read_files(here, block, read_options)
            for box in pool.map(pass_on, files.keys(), files.values()):
                if box is not None:
                    yield box


def bounds_of_box(box: Bbox) -> Bounds:
    """Return a box as six integers."""
    low, high = box.minpt, box.maxpt
    return (int(low[0]), int(low[1]), int(low[2]), int(high[0]), int(high[1]), int(high[2]))


def _render(
    source: ImageAccess,
    here: ImageScale,
    mip: int,
    destination: ImageAccess,
    destination_mip: int,
    bounds: Bounds,
    options: TransferOptions,
) -> None:
    """Read and write a box in blocks; those that touch no region of interest are background, as for reads."""
    there = destination.image_scale(destination_mip)
    read_options = source.read_options(here, title=f"Transferring {show(bounds)}")
    suffix, level = _own_compression(there, options)
    write_options = WriteOptions(
        suffix=suffix,
        level=level,
        partial="merge",
        fill_missing=True,  # where the destination has no chunk yet the rest of it is background
        background=read_options.background,
        threads=destination.threads(there, "encode"),
    )
    path = destination.folder_path(destination.meta.key(destination_mip))
    for block in _write_blocks(bounds, there, options.block_size):
        if source.is_outside_rois(block, mip):
            voxels = background_box(block, here, read_options)
        else:
            voxels = read_box(here, block, read_options)
        write_box(there, path, block, voxels, write_options)


def checked_block_size(block_size: int | Sequence[int] | None) -> int | None:
    """Return a number of chunks.

    Raises
    ------
    InvalidArgumentError
        It is not a positive integer.
    """
    if block_size is None:
        return None
    if isinstance(block_size, Sequence) or int(block_size) != block_size or block_size < 1:
        raise InvalidArgumentError(
            f"block_size: expected a positive number of chunks, found {block_size!r}",
            key="block_size",
            found=block_size,
        )
    return int(block_size)
