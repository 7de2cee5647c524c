# SPDX-License-Identifier: BSD-3-Clause
"""What sources of skeletons share, whether these are files of their own or lie in shards."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from cloudvolume_fast.config import VolumeConfig
from cloudvolume_fast.deliver.green import WaitsGreen
from cloudvolume_fast.errors import (
    InvalidArgumentError,
    SkeletonAttributeMixingError,
    SkeletonEncodeError,
    SpatialIndexUnavailableError,
)
from cloudvolume_fast.model.labels import as_label, as_labels, is_scalar
from cloudvolume_fast.sources.precomputed.folder_metadata import FolderMetadata, Shardable
from cloudvolume_fast.sources.precomputed.given_cache import use_cache
from cloudvolume_fast.sources.precomputed.skeleton.metadata import PrecomputedSkeletonMetadata
from cloudvolume_fast.sources.precomputed.spatial_index import SpatialIndex, layer_spatial_index
from cloudvolume_fast.sources.precomputed.spoilt_copies import fetching_again

if TYPE_CHECKING:
    from cloudvolume_fast.deliver.skeleton import Skeleton, VertexAttribute

    # Within the class below, list is a method.
    Skeletons = list[Skeleton]
    Attributes = list[VertexAttribute]
    Encoded = list[tuple[int, bytes]]
    Anything = list[Any]


class NamesOf(Sequence[str]):
    """What messages call labels, put together when a message needs one.

    Parameters
    ----------
    labels : sequence of int
    name_of : callable
        Given a label.
    """

    def __init__(self, labels: Sequence[int], name_of: Callable[[int], str]) -> None:
        self._labels = labels
        self._name_of = name_of

    def __len__(self) -> int:
        return len(self._labels)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[str]: ...
    def __getitem__(self, number: int | slice) -> str | Sequence[str]:
        if isinstance(number, slice):
            return NamesOf(self._labels[number], self._name_of)
        return self._name_of(self._labels[number])


class SkeletonSource(WaitsGreen, Shardable):
    """Skeletons of one folder.

    Parameters
    ----------
    meta : PrecomputedSkeletonMetadata
    cache : CacheService, bool or str, optional
        What reads go through; see `use_cache`.
    config : VolumeConfig
    readonly : bool
        Refuse to write.

    Attributes
    ----------
    spatial_index : SpatialIndex or None
    """

    waiting = frozenset({"delete", "exists", "get", "get_bbox", "list", "upload", "upload_raw"})

    def __init__(
        self,
        meta: PrecomputedSkeletonMetadata,
        cache: Any = None,  # Any: see `use_cache`
        config: VolumeConfig | None = None,
        readonly: bool = False,
    ) -> None:
        use_cache(meta.meta, cache)
        self.meta = meta
        self.cache = cache
        self.config = meta.config if config is None else config
        self.readonly = bool(readonly)

    def _folder(self) -> FolderMetadata:
        return self.meta

    @property
    def path(self) -> str:
        """Folder of the skeletons, below the layer."""
        return self.meta.skeleton_path

    @functools.cached_property
    def spatial_index(self) -> SpatialIndex | None:
        """Which labels are where, or None where nobody made an index.

        Raises
        ------
        InfoValidationError
        """
        return layer_spatial_index(
            self.meta.meta, self.path, self.meta.spatial_index, self.meta.mip, self.config
        )

    # Reading.

    @fetching_again
    def get(self, segids: Any, allow_missing: bool = False) -> Any:  # Any: see the subclasses
        """Read one skeleton or several."""
        if is_scalar(segids):
            found = self._read([as_label(segids)], allow_missing)
            return found[0] if found else None
        labels = list(dict.fromkeys(as_labels(segids).tolist()))
        return self._read(labels, allow_missing)

    def _read(self, labels: Sequence[int], allow_missing: bool) -> Skeletons:
        raise NotImplementedError

    def _decoder(
        self, name_of: Callable[[int], str]
    ) -> Callable[[Sequence[int], Sequence[bytes]], Skeletons]:
        """Return what decodes the skeletons of labels, which messages call as `name_of` does."""
        from cloudvolume_fast.deliver.skeleton import SkeletonDecoder

        decoder = SkeletonDecoder(self._attributes(), self.meta.transform)
        return lambda labels, buffers: decoder(buffers, labels, NamesOf(labels, name_of))

    def _attributes(self) -> Attributes:
        from cloudvolume_fast.deliver.skeleton import parse_attributes

        return parse_attributes(self.meta.info.get("vertex_attributes"), self.meta.infopath)

    def get_bbox(self, bbox: Any) -> Skeletons:  # Any: see `SpatialIndex.query`
        """Read the skeletons whose boxes overlap a box.

        Parameters
        ----------
        bbox : Bbox, slices or 6 numbers
            In nm.

        Raises
        ------
        SpatialIndexUnavailableError
            There is no spatial index (an IndexError).
        SpatialIndexGapError
            A file of it is missing.
        """
        index = self.spatial_index
        if index is None:
            raise SpatialIndexUnavailableError(
                f"{self.meta.layerpath}: expected a spatial index, found none",
                key=self.meta.layerpath,
                expected="spatial_index",
            )
        labels = index.query(bbox)
        found: Skeletons = self.get(sorted(int(label) for label in labels))
        return found

    get_by_bbox = get_bbox

    def exists(self, segids: Any) -> Any:  # Any: a label or several
        """Say whether skeletons are stored.

        Returns
        -------
        bool, or dict of int to bool for several
        """
        labels = [as_label(segids)] if is_scalar(segids) else as_labels(segids).tolist()
        found = self._exists(labels)
        return found[labels[0]] if is_scalar(segids) else found

    def _exists(self, labels: Sequence[int]) -> dict[int, bool]:
        raise NotImplementedError

    def list(self) -> NDArray[np.uint64]:
        """Return the labels that have skeletons, ascending.

        Raises
        ------
        SpatialIndexGapError
            A file of the spatial index is missing.
        """
        index = self.spatial_index
        if index is not None:
            labels = index.query(index.physical_bounds)
            return np.sort(np.fromiter(labels, np.uint64, len(labels)))
        return np.sort(self._list())

    def _list(self) -> NDArray[np.uint64]:
        raise NotImplementedError

    # Writing.

    def _writable(self) -> None:
        self.meta.require_writable(self.readonly)

    def _encoded(self, skeletons: Sequence[Any]) -> Encoded:
        """Encode skeletons in stored coordinates, and make sure that an info describes them."""
        from cloudvolume_fast.deliver.skeleton import encode_skeletons, inverse_transform

        labels = []
        for number, skeleton in enumerate(skeletons):
            if skeleton.id is None:
                raise SkeletonEncodeError(
                    f"{self.meta.layerpath}: skeleton {number}: expected an id, found none",
                    key=self.meta.layerpath,
                    expected="an id",
                )
            labels.append(as_label(skeleton.id))
        listed = self._compared(skeletons, labels)
        transform = self.meta.transform.astype(np.float64)
        data = [b""] * len(labels)
        where = self.meta.layerpath
        for is_physical in (False, True):
            members = [
                i
                for i, skeleton in enumerate(skeletons)
                if (skeleton.space == "physical") == is_physical
            ]
            back = None
            if is_physical and members and not np.array_equal(transform, np.eye(3, 4)):
                back = inverse_transform(transform, self.meta.infopath)
            encoded = encode_skeletons(
                [skeletons[i] for i in members],
                NamesOf([labels[i] for i in members], lambda label: f"{where}/{label}"),
                back,
            )
            for i, content in zip(members, encoded, strict=True):
                data[i] = content
        if labels:
            self._describe(listed)
        return list(zip(labels, data, strict=True))

    def _compared(self, skeletons: Sequence[Any], labels: Sequence[int]) -> Attributes:
        """Return the longest list of attributes, of which those of the info and of all skeletons are beginnings."""
        from cloudvolume_fast.deliver.skeleton import parse_attributes

        listed = self._attributes()
        compared: Anything = []  # lists of attributes that are known to fit
        longest = listed
        for skeleton, label in zip(skeletons, labels, strict=True):
            if skeleton.extra_attributes in compared:
                continue
            own = parse_attributes(skeleton.extra_attributes, f"{self.meta.layerpath}/{label}")
            shared = min(len(own), len(longest))
            if own[:shared] != longest[:shared]:
                if not self.meta.is_stored and longest is listed:
                    longest = own  # nobody has said anything else
                else:
                    raise SkeletonAttributeMixingError(
                        f"{self.meta.layerpath}/{label}: expected vertex attributes {[a.to_dict() for a in longest]} "
                        f"as the info lists them, found {[a.to_dict() for a in own]}",
                        key=f"{self.meta.layerpath}/{label}",
                        expected=[a.to_dict() for a in longest],
                        found=[a.to_dict() for a in own],
                    )
            elif len(own) > len(longest):
                longest = own
            compared.append(skeleton.extra_attributes)
        return longest

    def _describe(self, listed: Sequence[VertexAttribute]) -> None:
        """Write an info where there is none."""
        # Another program may have written it since it was looked for.
        if not self.meta.is_stored and not self.meta.store.exists_many([self.meta.key("info")])[0]:
            self.meta.info["vertex_attributes"] = [a.to_dict() for a in listed]
            self.meta.commit_info()
        self.meta.is_stored = True

    @staticmethod
    def _listed(skeletons: Any) -> Anything:  # Any: a skeleton or several
        out = list(skeletons) if isinstance(skeletons, Iterable) else [skeletons]
        for skeleton in out:
            if not hasattr(skeleton, "extra_attributes"):
                raise InvalidArgumentError(
                    f"skeletons: expected Skeleton, found {type(skeleton).__name__}",
                    key="skeletons",
                    expected="Skeleton",
                    found=type(skeleton).__name__,
                )
        return out
