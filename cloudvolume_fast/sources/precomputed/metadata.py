# SPDX-License-Identifier: BSD-3-Clause
"""The metadata of a Precomputed layer: ``info`` and ``provenance`` read, changed and committed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cloudvolume_fast.errors import (
    CyclicRedirect,
    InfoUnavailableError,
    InfoValidationError,
    InvalidArgumentError,
    TooManyRedirects,
    WriteLockAcquisitionError,
    WriteLockReleaseError,
)
from cloudvolume_fast.model import info as info_model
from cloudvolume_fast.model import info_creation
from cloudvolume_fast.model.info import Info
from cloudvolume_fast.model.layer_path import parse_layer_path
from cloudvolume_fast.model.provenance import DataLayerProvenance
from cloudvolume_fast.sources.precomputed.layer_info import LayerInfo, MipLike

__all__ = ["MipLike", "PrecomputedMetadata"]


class PrecomputedMetadata(LayerInfo):
    """What the ``info`` and ``provenance`` files of a layer say.

    Parameters
    ----------
    cloudpath : str
        Of the layer.
    info : dict, optional
        Used instead of the stored info; nothing is written until `commit_info`.
    provenance : dict, str or DataLayerProvenance, optional
        Used instead of the stored provenance.
    max_redirects : int
        Fetches of ``info`` that following ``redirect`` members may cost; 0 or less follows none.
    secrets : dict or str, optional
        Credentials for the layer's store; not pickled, and not taken along to another server by a redirect.
    use_https : bool
        Read gs:// and s3:// by https.
    cache : bool or str
        Whether objects are kept on this machine, or the folder below which they are; see `fetch.disk_cache`.
    compress_cache : str or bool, optional
        Second-stage compression of what is kept.

    Raises
    ------
    InfoUnavailableError
        There is no info.
    InfoValidationError
        There is one, and it is malformed.
    TooManyRedirects, CyclicRedirect

    Notes
    -----
    The info object is live: callers change it and its scales in place, and every derived value is derived anew.
    """

    def __init__(
        self,
        cloudpath: str,
        info: Info | None = None,
        provenance: Any = None,  # Any: the three forms that DataLayerProvenance takes
        max_redirects: int = 10,
        *,
        secrets: Any = None,  # Any: a mapping or JSON
        use_https: bool = False,
        cache: bool | str = False,
        compress_cache: str | bool | None = None,
    ) -> None:
        super().__init__(
            cloudpath,
            secrets=secrets,
            use_https=use_https,
            cache=cache,
            compress_cache=compress_cache,
        )
        self.redirected_from: list[str] = []
        self._provenance: DataLayerProvenance | None = None
        if info is None:
            self.refresh_info(max_redirects)
        else:
            self.info = info
        if provenance is not None:
            self.provenance = provenance

    # The two files.

    def fetch_info(self) -> Info:
        """Read and return the stored info, checked, without following redirects or keeping it.

        Raises
        ------
        InfoUnavailableError, InfoValidationError
            Also if another one is kept on this machine; see `check_cached_info`.
        """
        content = self.source_store.get("info")
        if content is None:
            raise InfoUnavailableError(
                f"{self.infopath}: expected an info file, found none",
                key=self.infopath,
                expected="info",
            )
        info = info_model.load_info(content, self.infopath)
        cache = self.disk_cache
        if cache is None:
            return info
        kept = self.check_cached_info(info)
        if kept is None:
            cache.offer("info", content)
        return info if kept is None else kept

    def check_cached_info(self, info: Info) -> Info | None:
        """Return the info that is kept on this machine, None where none is; it may differ from the layer's in sizes.

        Raises
        ------
        InfoValidationError
            It differs in anything else (a ValueError).
        """
        cache = self.disk_cache
        content = None if cache is None else cache.get("info")
        if cache is None or content is None:
            return None
        kept = info_model.load_info(content, cache.path("info"))
        if kept == info:
            return kept
        if _without_sizes(kept) == _without_sizes(info):
            warnings.warn(
                f"{self.infopath}: the sizes of scales are not those of the info that is kept at "
                f"{cache.path('info')}, which is used",
                stacklevel=2,
            )
            return kept
        raise InfoValidationError(
            f"{self.infopath}: expected the info that is kept at {cache.path('info')}, found another one: remove that "
            "file (cache.flush_info()), or the folder if the chunks have changed as well (cache.flush())",
            key=self.infopath,
            expected=kept,
            found=info,
        )

    def redirectable_fetch_info(self, max_redirects: int = 10) -> Info:
        """Read the info, moving to where its ``redirect`` member points, as often as allowed.

        Raises
        ------
        TooManyRedirects
            `max_redirects` fetches did not reach the end.
        CyclicRedirect
            The path leads back to where it has been.
        """
        visited: list[str] = []
        if max_redirects <= 0:
            return self.fetch_info()
        for _ in range(max_redirects):
            info = self.fetch_info()
            visited.append(self.cloudpath)
            target = info.get("redirect")
            if not target or not isinstance(target, str):
                break
            path = parse_layer_path(target)
            if path.cloudpath == self.cloudpath:
                break
            if path.cloudpath in visited:
                raise CyclicRedirect(
                    f"{self.infopath}: redirect leads back to {path.cloudpath} by way of {visited}",
                    key=self.infopath,
                    found=path.cloudpath,
                )
            self.path = path
        else:
            raise TooManyRedirects(
                f"{visited[0]}: expected at most {max_redirects} fetches of info, {visited[-1]} redirects again",
                key=visited[0],
                expected=max_redirects,
                found=[*visited, self.cloudpath],
            )
        self.redirected_from = visited[:-1]
        if self.redirected_from:
            warnings.warn(
                f"{visited[0]} redirects to {self.cloudpath}; it is opened for reading only",
                stacklevel=2,
            )
        return info

    def refresh_info(self, max_redirects: int = 10) -> Info:
        """Read the info again and return it."""
        info = self.redirectable_fetch_info(max_redirects)
        self.info = info
        self._rois = self.parse_rois(info)
        return info

    def commit_info(self) -> None:
        """Write the info.

        Raises
        ------
        MissingInfoMemberError, InfoValidationError
            See `model.info.validate_for_commit`.
        ChunkWriteError
            The file cannot be written.
        """
        info_model.validate_for_commit(self.info, self.infopath)
        info_model.validate_info(self.info, self.infopath)
        self.store.put("info", info_model.dump_info(self.info, self.infopath))

    @property
    def provenance(self) -> DataLayerProvenance:
        """The provenance, live; read on first use, empty where there is none."""
        if self._provenance is None:
            self.refresh_provenance()
        assert self._provenance is not None
        return self._provenance

    @provenance.setter
    def provenance(self, value: Any) -> None:  # Any: dict, JSON text or DataLayerProvenance
        if isinstance(value, DataLayerProvenance):
            self._provenance = value
        elif isinstance(value, (str, bytes)):
            self._provenance = DataLayerProvenance().from_json(value)
        else:
            self._provenance = DataLayerProvenance(value)

    def fetch_provenance(self) -> DataLayerProvenance:
        """Read and return the stored provenance.

        Raises
        ------
        ValueError
            It is neither JSON nor JSON5.
        """
        content = self.source_store.get("provenance")
        cache = self.disk_cache
        if cache is not None:
            kept = cache.get("provenance")
            if kept is None and content is not None:
                cache.offer("provenance", content)
            elif kept is not None:
                self.check_cached_provenance(content)
                content = kept
        if content is None:
            return DataLayerProvenance()
        return DataLayerProvenance().from_json(content.decode("utf-8"))

    def check_cached_provenance(self, content: bytes | None) -> None:
        """Warn where the provenance that is kept on this machine is another one than the layer's."""
        cache = self.disk_cache
        kept = None if cache is None else cache.get("provenance")
        if cache is None or kept is None:
            return
        if content is None or _parsed(kept) != _parsed(content):
            warnings.warn(
                f"{self.join(self.cloudpath, 'provenance')}: another one is kept at {cache.path('provenance')}, which "
                "is used; cache.flush_provenance() removes it",
                stacklevel=3,
            )

    def refresh_provenance(self) -> DataLayerProvenance:
        """Read the provenance again and return it."""
        self._provenance = self.fetch_provenance()
        return self._provenance

    def commit_provenance(self) -> None:
        """Write the provenance."""
        self.store.put("provenance", self.provenance.serialize().encode("utf-8"))

    # Scales added and locked.

    @classmethod
    def create_info(
        cls, *args: Any, **kwargs: Any
    ) -> Info:  # Any: as model.info_creation.create_info
        """See `model.info_creation.create_info`."""
        return info_creation.create_info(*args, **kwargs)

    def add_scale(
        self,
        factor: float | Sequence[float],
        encoding: str | None = None,
        chunk_size: Sequence[int] | None = None,
        info: Info | None = None,
        encoding_level: float | None = None,
    ) -> Info:
        """Add a scale to the info, or replace the one of its resolution; see `model.info_creation.add_scale`."""
        return info_creation.add_scale(
            self.info if info is None else info,
            factor,
            encoding=encoding,
            chunk_size=chunk_size,
            encoding_level=encoding_level,
        )

    def add_resolution(
        self,
        res: Sequence[float],
        encoding: str | None = None,
        chunk_size: Sequence[int] | None = None,
        info: Info | None = None,
        encoding_level: float | None = None,
    ) -> Info:
        """As `add_scale`, for a resolution in nm."""
        base = (self.info if info is None else info)["scales"][0]["resolution"]
        factor = [wanted / have for wanted, have in zip(res, base, strict=True)]
        return self.add_scale(factor, encoding, chunk_size, info, encoding_level)

    def reset_scales(self) -> None:
        """Remove all scales but mip 0 from the info; nothing is written."""
        info_creation.reset_scales(self.info)

    def locked_mips(self) -> set[int]:
        """Mips that are write locked."""
        return {mip for mip in self.available_mips if self.scales[mip].get("locked", False)}

    def lock_mips(self, mips: int | Iterable[int]) -> None:
        """Forbid writing to some mips, for every process that opens the layer from now on.

        Raises
        ------
        InvalidArgumentError
            A mip does not exist.
        WriteLockAcquisitionError
            The info cannot be written.
        """
        self._set_locks(mips, locked=True)

    def unlock_mips(self, mips: int | Iterable[int]) -> None:
        """Allow writing again.

        Raises
        ------
        InvalidArgumentError
            A mip does not exist.
        WriteLockReleaseError
            The info cannot be written.
        """
        self._set_locks(mips, locked=False)

    def _set_locks(self, mips: int | Iterable[int], *, locked: bool) -> None:
        wanted = [int(mips)] if isinstance(mips, (int, np.integer)) else [int(mip) for mip in mips]
        error_type = WriteLockAcquisitionError if locked else WriteLockReleaseError
        info = self.fetch_info()
        count = len(info.get("scales", ()))
        for mip in wanted:
            if not 0 <= mip < count:
                raise InvalidArgumentError(
                    f"{self.infopath}: expected mips below {count}, found {mip}",
                    key=self.infopath,
                    expected=count,
                    found=mip,
                )
            info["scales"][mip]["locked"] = locked
        try:
            self.info = info
            self.commit_info()
        except OSError as error:
            raise error_type(
                f"{self.infopath}: cannot change the locks: {error}", key=self.infopath
            ) from error


def _without_sizes(info: Info) -> Info:
    scales = [
        {name: value for name, value in scale.items() if name != "size"}
        for scale in info.get("scales", ())
    ]
    return {**info, "scales": scales}


def _parsed(provenance: bytes) -> Any:  # Any: a JSON value, or bytes that are none
    try:
        return json.loads(provenance)
    except ValueError:
        return provenance
