# SPDX-License-Identifier: BSD-3-Clause
"""Provenance."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import jsonschema
import pytest

from cloudvolume_fast.model.provenance import DataLayerProvenance, Provenance

EMPTY = {"description": "", "owners": [], "processing": [], "sources": []}


def test_defaults():
    assert Provenance() == EMPTY


def test_is_a_dictionary():
    assert isinstance(Provenance(), dict)
    assert Provenance is DataLayerProvenance


def test_members_are_attributes():
    provenance = Provenance(description="x", owners=["a"])
    assert provenance.description == "x"
    assert provenance.owners == ["a"]
    provenance.sources = ["s"]
    assert provenance["sources"] == ["s"]


def test_processing_can_be_appended_to():
    provenance = Provenance()
    provenance.processing.append({"method": "x"})
    assert provenance["processing"] == [{"method": "x"}]


def test_defaults_are_not_shared():
    Provenance().owners.append("a")
    assert Provenance().owners == []


def test_further_members_are_kept():
    assert Provenance({"z": 1}, y=2) == {**EMPTY, "z": 1, "y": 2}


@pytest.mark.parametrize(
    "members",
    [
        {"description": 5},
        {"description": None},
        {"owners": "x"},
        {"owners": None},
        {"owners": [5]},
        {"owners": ["a", "a"]},
        {"sources": ["a", "a"]},
        {"processing": ["a"]},
        {"processing": {"a": 1}},
    ],
)
def test_violation_of_the_schema_raises(members):
    with pytest.raises(jsonschema.ValidationError):
        Provenance(members)


def test_validate_notices_later_changes():
    provenance = Provenance()
    provenance.owners = "foo"
    with pytest.raises(jsonschema.ValidationError):
        provenance.validate()


def test_validate_notices_an_absent_member():
    provenance = Provenance()
    del provenance["owners"]
    with pytest.raises(jsonschema.ValidationError):
        provenance.validate()


def test_empty_string_is_an_empty_list():
    assert Provenance(sources="").sources == []


def test_create():
    assert Provenance.create({"description": "y", "z": 1}) == {**EMPTY, "description": "y", "z": 1}


@pytest.mark.parametrize("convert", [str, str.encode])
def test_from_json(convert):
    assert Provenance().from_json(convert('{"description": "z", "k": 2}')) == {
        **EMPTY,
        "description": "z",
        "k": 2,
    }


def test_from_json_accepts_json5():
    text = "{description: 'z', /* c */ owners: ['a',],} // d"
    assert Provenance().from_json(text) == {**EMPTY, "description": "z", "owners": ["a"]}


def test_from_json_adds_to_what_is_there():
    provenance = Provenance(owners=["a"])
    assert provenance.from_json('{"description": "z"}') is provenance
    assert provenance.owners == ["a"]


def test_from_json_accepts_the_default_that_upstream_writes():
    assert Provenance().from_json('{"sources": ""}').sources == []


@pytest.mark.parametrize("text", ["", "{{", "[1]", "5", "null", b"\xff\xfe", "[" * 100_000])
def test_from_json_rejects_other_content(text):
    with pytest.raises(ValueError, match="JSON object"):
        Provenance().from_json(text)


def test_coerce_returns_an_object_as_it_is():
    provenance = Provenance()
    assert Provenance.coerce(provenance) is provenance


@pytest.mark.parametrize("value", [{"owners": ["a"]}, '{"owners": ["a"]}', b"{owners: ['a']}"])
def test_coerce_converts(value):
    assert Provenance.coerce(value) == {**EMPTY, "owners": ["a"]}


def test_coerce_of_nothing_gives_defaults():
    assert Provenance.coerce(None) == EMPTY


def test_coerce_checks_text():
    with pytest.raises(jsonschema.ValidationError):
        Provenance.coerce('{"owners": 5}')


def test_coerce_rejects_other_types():
    with pytest.raises(ValueError, match="dict or JSON"):
        Provenance.coerce(5)


def test_serialize_sorts_and_indents():
    text = Provenance(zeta=1, description="d").serialize()
    assert text == (
        '{\n  "description": "d",\n  "owners": [],\n  "processing": [],\n'
        '  "sources": [],\n  "zeta": 1\n}'
    )


def test_pickle():
    provenance = Provenance(description="d", z=1)
    again = pickle.loads(pickle.dumps(provenance))
    assert type(again) is DataLayerProvenance
    assert again == provenance


def test_schema_library_is_not_imported_for_valid_provenance():
    code = (
        "import sys; from cloudvolume_fast.model.provenance import Provenance;"
        "Provenance(owners=['a']).from_json('{}');"
        "print([m for m in ('jsonschema', 'json5') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout.decode().replace("'", '"')) == []
