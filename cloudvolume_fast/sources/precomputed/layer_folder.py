# SPDX-License-Identifier: BSD-3-Clause
"""The folder of a Precomputed layer: where it is, what opens it, and what of it is kept on this machine."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from cloudvolume_fast.errors import UnsupportedFormatError
from cloudvolume_fast.fetch.open_store import open_store
from cloudvolume_fast.fetch.secrets import parse_secrets
from cloudvolume_fast.fetch.store import ObjectStore
from cloudvolume_fast.model.layer_path import LayerPath, parse_layer_path

if TYPE_CHECKING:
    from cloudvolume_fast.fetch.disk_cache import DiskCache


class LayerFolder:
    """Where the files of a layer are.

    Parameters
    ----------
    cloudpath : str
        Of the layer.
    secrets : dict or str, optional
        Credentials for the layer's store; not pickled, and not taken along to another server.
    use_https : bool
        Read gs:// and s3:// by https.
    cache : bool or str
        Whether objects are kept on this machine, or the folder below which they are; see `fetch.disk_cache`.
    compress_cache : str or bool, optional
        Second-stage compression of what is kept.
    """

    def __init__(
        self,
        cloudpath: str,
        *,
        secrets: Any = None,  # Any: a mapping or JSON
        use_https: bool = False,
        cache: bool | str = False,
        compress_cache: str | bool | None = None,
    ) -> None:
        self.path = parse_layer_path(cloudpath)
        self.use_https = bool(use_https)
        self._secrets = parse_secrets(secrets)
        self._secrets_for = _authority(self.path)
        self._store: tuple[LayerPath, ObjectStore] | None = None
        self._cache_base = cache
        self._compress_cache = compress_cache
        self._cache: DiskCache | None = None
        self.lifetime: object = None  # of a layer that goes with it; see `memory`

    # Stores.

    @property
    def source_store(self) -> ObjectStore:
        """The folder of the layer itself, without what is kept on this machine.

        Raises
        ------
        UnsupportedFormatError, UnsupportedProtocolError, InvalidArgumentError
        """
        if self._store is not None and self._store[0] is self.path:
            return self._store[1]
        if self.path.format != "precomputed":
            raise UnsupportedFormatError(
                f"{self.path.qualified_cloudpath}: expected format precomputed, found {self.path.format}",
                key=self.path.qualified_cloudpath,
                expected="precomputed",
                found=self.path.format,
            )
        is_same = _authority(self.path) == self._secrets_for
        store = open_store(
            self.path, secrets=self._secrets if is_same else None, use_https=self.use_https
        )
        self._store = (self.path, store)
        return store

    @property
    def is_plain_folder(self) -> bool:
        """Whether the layer is on this machine, and nothing of it is kept elsewhere; asked by each small read."""
        return not self._cache_base and self.path.protocol == "file"

    @property
    def store(self) -> ObjectStore:
        """The folder of the layer, with the disk cache in front of it where one is used.

        Raises
        ------
        UnsupportedFormatError, UnsupportedProtocolError, InvalidArgumentError
        """
        cache = self.disk_cache
        if cache is None:
            return self.source_store
        from cloudvolume_fast.fetch.disk_cache import CachedStore

        return CachedStore(self.source_store, cache)

    @property
    def disk_cache(self) -> DiskCache | None:
        """What keeps the layer's objects on this machine; None where they are not kept."""
        if not self._cache_base:
            return None
        # Imported where it is used, which most layers do not.
        from cloudvolume_fast.fetch.disk_cache import DiskCache, limit_from_environment

        folder = self.cache_path
        if self._cache is None or self._cache.folder != folder:
            self._cache = DiskCache(
                folder, compress=self._compress_cache, limit_bytes=limit_from_environment()
            )
            self._cache.check()
        return self._cache

    @property
    def cache_base(self) -> bool | str:
        """Whether objects are kept on this machine, or the folder below which they are; may be set.

        Raises
        ------
        ChunkWriteError
            The folder cannot be used.
        """
        return self._cache_base

    @cache_base.setter
    def cache_base(self, value: bool | str) -> None:
        before, self._cache_base = self._cache_base, value
        try:
            _ = self.disk_cache
        except OSError:
            self._cache_base = before
            raise

    @property
    def cache_path(self) -> str:
        """Folder where a disk cache of this layer lies, or would lie."""
        from cloudvolume_fast.fetch.disk_cache import cache_folder

        return cache_folder(
            self.path, self._cache_base if isinstance(self._cache_base, str) else None
        )

    def has_secrets(self, secrets: Any) -> bool:  # Any: a mapping or JSON
        """Say whether these are the credentials that it was made with."""
        return parse_secrets(secrets) == self._secrets

    def __getstate__(self) -> dict[str, Any]:
        """Leave out credentials, and the store, which holds some."""
        return {
            **self.__dict__,
            "_secrets": None,
            "_store": None,
            "_cache": None,
            "lifetime": None,
        }

    # Paths.

    @property
    def cloudpath(self) -> str:
        """``PROTOCOL://.../LAYER``."""
        return self.path.cloudpath

    @property
    def base_cloudpath(self) -> str:
        """`cloudpath` without the layer."""
        return self.path.base_cloudpath

    @property
    def basepath(self) -> str:
        """`base_cloudpath` without the protocol."""
        return self.path.basepath

    @property
    def layerpath(self) -> str:
        """`cloudpath` without the protocol."""
        return self.path.path

    @property
    def infopath(self) -> str:
        """Cloud path of the info file."""
        return self.join(self.cloudpath, "info")

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.path.dataset

    @property
    def layer(self) -> str:
        """Name of the layer."""
        return self.path.layer

    def join(self, *paths: str) -> str:
        """Join parts of a cloud path."""
        return posixpath.join(*paths)


def _authority(path: LayerPath) -> tuple[str, str]:
    """Return whom credentials for a layer are meant for."""
    if path.protocol.endswith(("http", "https")):
        return (path.protocol, path.bucket)
    return (path.protocol, path.host or "")
