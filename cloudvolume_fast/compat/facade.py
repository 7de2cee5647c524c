# SPDX-License-Identifier: BSD-3-Clause
"""``CloudVolume`` with upstream's signature."""

from __future__ import annotations

import functools
import os
from typing import Any

from cloudvolume_fast.compat import new_layers
from cloudvolume_fast.compat.options import (
    checked_cdn_cache,
    checked_green_threads,
    unavailable,
)
from cloudvolume_fast.compat.precomputed_volume import CloudVolumePrecomputed
from cloudvolume_fast.compat.registry import image_plugin
from cloudvolume_fast.compat.sources import PrecomputedImageSource, PrecomputedMetadata
from cloudvolume_fast.config import VolumeConfig, is_interactive, parse_parallel
from cloudvolume_fast.deliver.green import is_real_thread, run_green
from cloudvolume_fast.errors import UnsupportedFormatError
from cloudvolume_fast.fetch.content_encoding import suffix_of
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.layer_path import parse_layer_path
from cloudvolume_fast.sources.precomputed.metadata import MipLike
from cloudvolume_fast.volume import Volume

__all__ = ["CloudVolume", "CloudVolumePrecomputed"]


def _override_folder(meta: PrecomputedMetadata, member: str, folder: str | None) -> None:
    if folder is not None:
        meta.info[member] = folder


class _CloudVolumeType(type):
    """Makes ``isinstance(vol, CloudVolume)`` true for what ``CloudVolume(...)`` returns."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Volume)


class CloudVolume(metaclass=_CloudVolumeType):
    """Opens a layer: ``CloudVolume(cloudpath, ...)`` returns a `CloudVolumePrecomputed`.

    Parameters
    ----------
    cloudpath : str or path
        ``[precomputed://]PROTOCOL://BUCKET/path/to/layer``, or a path on this machine.
    mip : int or sequence of 3 numbers
        Scale, by index (negative counts from the end) or by resolution in nm.
    bounded : bool
        Raise for requests that leave the volume; otherwise what lies outside is background.
    autocrop : bool
        Cut requests at the volume's bounds.
    fill_missing : bool
        Read absent chunks as background instead of raising.  Nothing but absence is forgiven.
    cache : bool or str
        Keep what is fetched on this machine: True below ``CLOUD_VOLUME_CACHE_DIR``, else ``~/.cloudvolume/cache``, or
        the folder below which to keep it.
    compress_cache : str or bool, optional
        Second-stage compression of what is kept; by default that of the encoding, False for none.
    cache_locking : bool
        Entries get their names when they are complete, so no locks are needed, and this changes nothing.
    cdn_cache : bool, int or str
        Cache-Control of uploads to stores that have such a header; local files have none.
    progress : bool, optional
        Show bars; default in interactive Python only.
    info : dict, optional
        Used instead of the stored info; written by `commit_info`.
    provenance : dict or str, optional
        Used instead of the stored provenance.
    compress : str or bool, optional
        Second-stage compression of uploads: gzip, br, zstd, xz, bz2; False for none; default by encoding.
    compress_level : int, optional
        Default 9 for gzip, 5 for br.
    non_aligned_writes : bool
        Allow writes that cover chunks in part.
    overwrite_partial_chunks : bool
        With it, replace such chunks instead of merging with what is stored.
    parallel : int or bool
        Threads to use; 1 for as many as the process may.  Above 1 also the processes that read into shared memory where
        a package decodes, and that write where an encoder holds the GIL (compresso).
    delete_black_uploads : bool
        Remove chunks that are all background instead of writing them.
    background_color : number
        Value of what is not stored.
    green_threads : bool
        Not available in this version.
    use_https : bool
        Reads gs:// and s3:// by https; other protocols are as they are.
    max_redirects : int
        Fetches of the info that following its ``redirect`` may cost; 0 or less follows none.
    mesh_dir, skel_dir : str, optional
        Used instead of the info's ``mesh`` and ``skeletons``.
    agglomerate, timestamp
        For graphene volumes.
    secrets : dict or str, optional
        Credentials, used before those of files and environment; local files need none.  Not part of a pickle.
    spatial_index_db : str, optional
        URI of a database that mirrors the spatial index of meshes and skeletons: ``[sqlite://]FILE``, or
        ``mysql://`` or ``postgres://`` and ``[USER[:PASSWORD]@]HOST[:PORT]/DATABASE``.
    lru_bytes : int
        Bytes of chunks kept in memory, bookkeeping included, the least recently used leaving first; 0 for none.  All
        mips share it.  ``vol.image.lru`` shows it and resizes it.  What other programs write meanwhile is not noticed.
    lru_encoding : str
        What is kept: ``same`` for chunks as they are stored, but for second-stage compression; ``raw`` for voxels; or
        the name of an encoding without loss, to which chunks are transcoded.
    codec_threads : int or bool
        Threads that decode or encode; 0 or True for all.  The packages for jxl (both ways) and crackle (writing) use so
        many within each chunk, beside other chunks as far as there are processors left.  For all other codecs it is
        the number of chunks that are worked on side by side, where it is above 1 and ``parallel`` is not.

    Raises
    ------
    InfoUnavailableError, InfoValidationError, ScaleUnavailableError, TooManyRedirects, CyclicRedirect
    UnsupportedProtocolError, UnsupportedFormatError, UnsupportedOptionError, InvalidArgumentError
    """

    _looks_for_plugins = True

    def __new__(  # type: ignore[misc]
        cls,
        cloudpath: str | os.PathLike[str],
        mip: MipLike = 0,
        bounded: bool = True,
        autocrop: bool = False,
        fill_missing: bool = False,
        cache: bool | str = False,
        compress_cache: str | bool | None = None,
        cdn_cache: bool | int | str = True,
        progress: bool | None = None,
        info: Info | None = None,
        provenance: Any = None,  # dict, JSON text or DataLayerProvenance
        compress: str | bool | None = None,
        compress_level: int | None = None,
        non_aligned_writes: bool = False,
        overwrite_partial_chunks: bool = False,
        parallel: int | bool = 1,
        delete_black_uploads: bool = False,
        background_color: Any = 0,  # a number of the volume's type
        green_threads: bool = False,
        use_https: bool = False,
        max_redirects: int = 10,
        mesh_dir: str | None = None,
        skel_dir: str | None = None,
        agglomerate: bool = False,
        secrets: str | dict[str, Any] | None = None,
        spatial_index_db: str | None = None,
        lru_bytes: int = 0,
        cache_locking: bool = True,
        lru_encoding: str = "same",
        timestamp: int | None = None,
        codec_threads: int | bool = 1,
    ) -> CloudVolumePrecomputed:
        """Open a layer; see the class."""
        if cls._looks_for_plugins:
            plugin = image_plugin(os.fspath(cloudpath))
            if plugin is not None:
                given = locals()
                for own in ("cls", "plugin", "__class__"):
                    given.pop(own, None)
                opened: CloudVolumePrecomputed = plugin(**given)
                return opened
        for name, value, neutral in (
            ("agglomerate", agglomerate, False),
            ("timestamp", timestamp, None),
        ):
            if value:
                raise unavailable(name, value, neutral)
        suffix_of(compress)
        suffix_of(compress_cache)
        path = parse_layer_path(os.fspath(cloudpath))
        if path.format != "precomputed":
            raise UnsupportedFormatError(
                f"{path.qualified_cloudpath}: expected format precomputed, found {path.format}",
                key=path.qualified_cloudpath,
                expected="precomputed",
                found=path.format,
            )
        config = VolumeConfig(
            bounded=bool(bounded),
            autocrop=bool(autocrop),
            fill_missing=bool(fill_missing),
            progress=is_interactive() if progress is None else bool(progress),
            compress=compress,
            compress_level=compress_level,
            non_aligned_writes=bool(non_aligned_writes),
            overwrite_partial_chunks=bool(overwrite_partial_chunks),
            delete_black_uploads=bool(delete_black_uploads),
            background_color=background_color,
            parallel=parse_parallel(parallel),
            cdn_cache=checked_cdn_cache(cdn_cache),
            green_threads=checked_green_threads(green_threads),
            codec_threads=parse_parallel(codec_threads),
            spatial_index_db=spatial_index_db,
        )
        make = functools.partial(
            PrecomputedMetadata,
            path.cloudpath,
            config,
            cache,
            info,
            provenance,
            max_redirects,
            use_https,
            secrets=secrets,
            compress_cache=compress_cache,
        )
        meta = run_green(make) if config.green_threads and not is_real_thread() else make()
        _override_folder(meta, "mesh", mesh_dir)
        _override_folder(meta, "skeletons", skel_dir)
        config.mip = meta.to_mip(mip)
        meta.check_for_placeholder_scale(config.mip)
        image = PrecomputedImageSource.over(
            meta, config, lru_bytes, lru_encoding, CloudVolumePrecomputed.of_layer
        )
        return CloudVolumePrecomputed(meta, None, config, image, mip=config.mip)

    @staticmethod
    def open_precomputed(*args: Any, **kwargs: Any) -> CloudVolumePrecomputed:  # Any: as above
        """Open a Precomputed layer, whatever plug-ins are registered; parameters as for the class."""
        opened: CloudVolumePrecomputed = _WithoutPlugins(*args, **kwargs)
        return opened

    @classmethod
    def create_new_info(cls, *args: Any, **kwargs: Any) -> Info:  # Any: as CloudVolumePrecomputed's
        """Return a new info; see `CloudVolumePrecomputed.create_new_info`."""
        return CloudVolumePrecomputed.create_new_info(*args, **kwargs)

    from_numpy = classmethod(new_layers.from_numpy)
    from_crackle = classmethod(new_layers.from_crackle)


class _WithoutPlugins(CloudVolume):
    _looks_for_plugins = False
