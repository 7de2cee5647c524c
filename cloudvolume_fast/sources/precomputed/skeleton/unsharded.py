# SPDX-License-Identifier: BSD-3-Clause
"""Skeletons that are a file each, named by their labels."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.errors import SkeletonDecodeError
from cloudvolume_fast.model.labels import as_label, as_labels, is_scalar
from cloudvolume_fast.sources.precomputed.any_arguments import any_arguments
from cloudvolume_fast.sources.precomputed.skeleton.source import SkeletonSource

if TYPE_CHECKING:
    from cloudvolume_fast.deliver.skeleton import Skeleton

# Of the levels of zlib the one that stores floating-point coordinates in a tenth more than the highest, in a fifth of
# its time.
_LEVEL = 6


class UnshardedPrecomputedSkeletonSource(SkeletonSource):
    """Skeletons that are a file each; see `SkeletonSource`."""

    def get(self, segids: Any, allow_missing: bool = False) -> Any:  # Any: a label or several
        """Read one skeleton or several.

        Parameters
        ----------
        segids : int or iterable of int
        allow_missing : bool
            Leave out labels that have no skeleton, instead of raising.

        Returns
        -------
        Skeleton, None, or list of Skeleton
            For one label its skeleton, or None; for several those that there are, in the order given, each once.  In
            physical space.

        Raises
        ------
        SkeletonDecodeError
            A skeleton is missing, or is not what the format allows.
        SkeletonUnassignedEdgeError
            An edge names a vertex that is not there.
        DecompressionError, ChunkReadError
        """
        return super().get(segids, allow_missing)

    def _read(self, labels: Sequence[int], allow_missing: bool) -> list[Skeleton]:
        prefix, where = self.path + "/", self.meta.layerpath
        keys = [prefix + str(label) for label in labels]
        decode = self._decoder(lambda label: f"{where}/{label}")
        out: list[Skeleton] = []
        missing: list[int] = []
        begin = 0
        with contextlib.closing(self.meta.store.get_batches(keys)) as batches:
            for buffers in batches:
                part = present = labels[begin : begin + len(buffers)]
                begin += len(buffers)
                if None in buffers:
                    absent = {
                        label for label, data in zip(part, buffers, strict=True) if data is None
                    }
                    missing += [label for label in part if label in absent]
                    present = [label for label in part if label not in absent]
                if missing and not allow_missing:
                    continue  # what matters is which others are missing too
                stored = [data for data in buffers if data is not None]
                out += decode(present, stored)
        if missing and not allow_missing:
            self._raise_missing(missing)
        return out

    def _raise_missing(self, missing: Sequence[int]) -> NoReturn:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        shown = ", ".join(self.meta.key(label) for label in missing[:10]) + more
        raise SkeletonDecodeError(
            f"{self.meta.cloudpath}: File(s) do not exist: {shown}",
            key=self.meta.join(self.meta.layerpath, str(missing[0])),
            expected="a skeleton",
        )

    def _exists(self, labels: Sequence[int]) -> dict[int, bool]:
        found = self.meta.store.exists_many([self.meta.key(label) for label in labels])
        return dict(zip(labels, found, strict=True))

    def _list(self) -> NDArray[np.uint64]:
        prefix = self.path + "/"
        names = (key[len(prefix) :] for key in self.meta.store.list(prefix, flat=True))
        return np.array(
            [
                int(name)
                for name in names
                if name.isascii() and name.isdigit() and int(name) < 2**64
            ],
            np.uint64,
        )

    # Writing.

    @any_arguments
    def upload(self, skeletons: Any) -> None:  # Any: a skeleton or several
        """Write one skeleton or several, each under its id; where there is no info yet, it is written too.

        Parameters
        ----------
        skeletons : Skeleton or iterable of Skeleton
            Those in physical space are stored in the coordinates that the info's transform leads back to.

        Raises
        ------
        SkeletonEncodeError
            One has no id, or an attribute that does not fit its vertices.
        SkeletonUnassignedEdgeError
            An edge names a vertex that is not there.
        SkeletonAttributeMixingError
            One lists other attributes than the info, so that it would be misread.
        ReadOnlyException, ChunkWriteError
        """
        self._writable()
        encoded = self._encoded(self._listed(skeletons))
        config = self.config
        compress = "gzip" if config.compress is None else config.compress
        level = config.compress_level
        if level is None and compress in ("gzip", True):
            level = _LEVEL
        prefix = self.path + "/"
        self.meta.store.put_many(
            [(prefix + str(label), data) for label, data in encoded],
            compress=compress,
            compress_level=level,
            cache_control=cache_control(config.cdn_cache),
        )

    put = upload

    @any_arguments
    def upload_raw(
        self,
        segid: int,
        vertices: NDArray[Any],
        edges: NDArray[Any],
        radii: NDArray[Any] | None = None,
        vertex_types: NDArray[Any] | None = None,
    ) -> None:
        """Write one skeleton from arrays in stored coordinates; see `upload`."""
        from cloudvolume_fast.deliver.skeleton import Skeleton

        self.upload(Skeleton(vertices, edges, radii, vertex_types, segid=segid))

    def delete(self, segids: Any) -> None:  # Any: a label or several
        """Remove skeletons; absent ones are no error.

        Raises
        ------
        ReadOnlyException, ChunkWriteError
        """
        self._writable()
        labels = [as_label(segids)] if is_scalar(segids) else as_labels(segids).tolist()
        self.meta.store.delete_many([self.meta.key(label) for label in labels])


def cache_control(cdn_cache: bool | int | str) -> str:
    """Return the Cache-Control header that the setting stands for."""
    if isinstance(cdn_cache, str):
        return cdn_cache
    seconds = 3600 if cdn_cache is True else int(cdn_cache)
    return f"max-age={seconds}, s-max-age={seconds}" if seconds else "no-cache"
