# SPDX-License-Identifier: BSD-3-Clause
"""The provenance file of a layer: where the data came from and what was done to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cloudvolume_fast.errors import InvalidArgumentError

__all__ = [
    "DataLayerProvenance",
    "Provenance",
    "dataset_provenance_schema",
    "layer_provenance_schema",
]


def _strings(*, min_items: int = 0) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string"},
        "minItems": min_items,
        "uniqueItems": True,
    }


# Any: JSON schemas.
layer_provenance_schema: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "id": "DataLayerProvenance",
    "title": "Data Layer Provenance",
    "description": "Represents a data layer within a dataset. e.g. image, segmentation, etc",
    "required": ["description", "sources", "processing", "owners"],
    "properties": {
        "description": {"type": "string"},
        "sources": _strings(),
        "processing": {"type": "array", "items": {"type": "object"}, "minItems": 0},
        "owners": _strings(),
    },
}

dataset_provenance_schema: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "id": "DatasetProvenance",
    "title": "Dataset Provenance",
    "description": "Represents a dataset and its derived data layers.",
    "required": [
        "dataset_name",
        "dataset_description",
        "organism",
        "imaged_date",
        "imaged_by",
        "owners",
    ],
    "properties": {
        "dataset_name": {"type": "string"},
        "dataset_description": {"type": "string"},
        "organism": {"type": "string", "description": "Species, sex, strain identifier"},
        "imaged_date": {"type": "string"},
        "imaged_by": {"type": "string"},
        "references": _strings(),
        "owners": _strings(min_items=1),
    },
}

_LISTS = ("owners", "processing", "sources")


def _member(name: str, what: str) -> Any:  # Any: mypy does not type property() as data
    def get(self: DataLayerProvenance) -> Any:
        return self[name]

    def put(self: DataLayerProvenance, value: Any) -> None:
        self[name] = value

    return property(get, put, doc=what)


class DataLayerProvenance(dict[str, Any]):
    """A dictionary with four members that are always there.

    Parameters
    ----------
    *args, **kwargs
        As for `dict`. ``description`` defaults to ``""``, the others to ``[]``; further members are
        kept.

    Raises
    ------
    jsonschema.ValidationError
        A member does not conform to `layer_provenance_schema`.

    Notes
    -----
    Upstream behaviour ``provenance.DataLayerProvenance``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._complete()
        self.validate()

    description = _member("description", "What the layer is.")
    owners = _member("owners", "Whom to ask: list of str, each once.")
    processing = _member("processing", "What was done to the data: list of objects, in order.")
    sources = _member("sources", "Paths the data were made from: list of str, each once.")

    @classmethod
    def create(cls, mydict: Mapping[str, Any]) -> DataLayerProvenance:
        """Return the provenance with the given members.

        Parameters
        ----------
        mydict : dict

        Returns
        -------
        DataLayerProvenance

        Raises
        ------
        jsonschema.ValidationError
            A member does not conform to `layer_provenance_schema`.
        """
        return cls(mydict)

    @classmethod
    def coerce(cls, value: Mapping[str, Any] | str | bytes | None) -> DataLayerProvenance:
        """Return what the ``provenance`` parameter of a volume stands for.

        Parameters
        ----------
        value : dict, str, bytes or None
            JSON if str or bytes; None for defaults. A `DataLayerProvenance` is returned as it is.

        Returns
        -------
        DataLayerProvenance

        Raises
        ------
        InvalidArgumentError
            The text is not the JSON of an object, or ``value`` is of another type.
        jsonschema.ValidationError
            A member does not conform to `layer_provenance_schema`.
        """
        if isinstance(value, cls):
            return value
        if value is None:
            return cls()
        if isinstance(value, (str, bytes)):
            provenance = cls().from_json(value)
            provenance.validate()
            return provenance
        if isinstance(value, Mapping):
            return cls(value)
        expected = "a dict or JSON"
        raise InvalidArgumentError(
            f"provenance: expected {expected}, found {value!r}",
            key="provenance",
            expected=expected,
            found=value,
        )

    def validate(self) -> None:
        """Check the members against `layer_provenance_schema`.

        Raises
        ------
        jsonschema.ValidationError
            A member is absent or does not conform.
        """
        # Importing the schema library takes longer than opening a volume, so it is left to explain
        # what is wrong once something is.
        if self._conforms():
            return
        import jsonschema

        jsonschema.validate(dict(self), layer_provenance_schema)

    def _conforms(self) -> bool:
        if not isinstance(self.get("description"), str):
            return False
        for name, kind in (("owners", str), ("sources", str), ("processing", dict)):
            items = self.get(name)
            if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
                return False
            if kind is str and len(set(items)) != len(items):
                return False
        return True

    def _complete(self) -> None:
        self.setdefault("description", "")
        for name in _LISTS:
            # Upstream has "" as its default for sources, and writes it to files.
            if self.setdefault(name, []) == "":
                self[name] = []

    def from_json(self, data: str | bytes) -> DataLayerProvenance:
        """Add the members in a provenance file, without checking them.

        Parameters
        ----------
        data : str or bytes
            JSON or, failing that, JSON5: comments, unquoted names, trailing commas.

        Returns
        -------
        DataLayerProvenance
            This object.

        Raises
        ------
        InvalidArgumentError
            A `ValueError`: the data are neither, or not an object.
        """
        self.update(_parse(data))
        self._complete()
        return self

    def serialize(self) -> str:
        """Return the content of a provenance file: JSON with sorted keys and an indent of 2."""
        return json.dumps(self, sort_keys=True, indent=2, separators=(",", ": "))


Provenance = DataLayerProvenance


def _parse(data: str | bytes) -> dict[str, Any]:
    expected = "a JSON object"
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        import json5

        try:
            value = json5.loads(data.decode("utf-8") if isinstance(data, bytes) else data)
        except (ValueError, RecursionError) as error:
            raise InvalidArgumentError(
                f"provenance: expected {expected}, found {error}",
                key="provenance",
                expected=expected,
                found=data,
            ) from error
    if not isinstance(value, dict):
        raise InvalidArgumentError(
            f"provenance: expected {expected}, found {type(value).__name__}",
            key="provenance",
            expected=expected,
            found=value,
        )
    return value
