"""A release from before a migration may meet a schema that it does not know."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOW, Json, complete_release, template
from veza_nb.catalog import SchemaNeeds, load_catalog
from veza_nb.choices import Choice
from veza_nb.errors import CatalogError
from veza_nb.findings import Diagnosis
from veza_nb.guards import Guard
from veza_nb.orders import Order
from veza_nb.plans import Plan, make_plan
from veza_nb.revisions import read_history
from veza_nb.schemagates import Gate, SchemaSeen, gate, needed_schema
from veza_nb.surroundings import Surroundings
from veza_nb.vocabulary import Decision, Level

KEY = "veza.dev/schema-version"


@pytest.mark.parametrize(
    ("needs", "has", "fits"),
    [
        ("12", "12", True), ("12", "13", False), ("12", "11", False),
        ("10-12", "9", False), ("10-12", "10", True), ("10 - 12", "12", True),
        ("10-12", "13", False), ("12+", "11", False), ("12+", "12", True), ("12+", "99", True),
        ("012", "12", True), ("12", "v12", True), ("9", "10", False),
        ("20261124101500", "20261124101500", True), ("20261124101500", "20261125000000", False),
        ("12", "12 (dirty)", False), ("12+", "Dirty", False),
        ("expand-users", "expand-users", True), ("expand-users", "contract-users", None),
        ("12", "head", None), ("twelve", "12", None),
        ("", "12", None), ("12", "", None),
    ],
)  # fmt: skip
def test_whether_a_release_works_with_a_schema(needs: str, has: str, fits: bool | None) -> None:
    found = gate(needs, SchemaSeen(has, "configmap/schema"))

    assert found.fits is fits
    assert found.why


def test_why_nobody_knows_is_passed_on() -> None:
    seen = SchemaSeen("", "configmap/schema", "configmap/schema cannot be read (Not allowed)")

    assert gate("12", seen) == Gate(None, "12", "configmap/schema cannot be read (Not allowed)")


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        (SchemaNeeds(annotation=KEY), "12"),
        (SchemaNeeds(label="schema"), "11"),
        (SchemaNeeds(env="SCHEMA"), "10"),
        (SchemaNeeds(annotation="other"), ""),
        (SchemaNeeds(env="SECRET"), ""),
        (SchemaNeeds(env="OTHER"), ""),
    ],
)
def test_what_a_release_needs_is_read_off_its_template(needs: SchemaNeeds, expected: str) -> None:
    variables = [
        {"name": "SCHEMA", "value": " 10 "},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "x"}}},
    ]
    made = template(env=variables)
    made["metadata"] |= {"annotations": {KEY: "12"}, "labels": {"schema": "11"}}

    assert needed_schema(made, needs) == expected


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["metadata", "annotations", "spec", "containers", "env", "name", KEY]), x
)))  # fmt: skip
@pytest.mark.parametrize("needs", [SchemaNeeds(annotation=KEY), SchemaNeeds(env="A")])
def test_odd_templates_need_nothing_rather_than_break(needs: SchemaNeeds, odd: Any) -> None:
    assert isinstance(needed_schema({"metadata": odd, "spec": odd}, needs), str)


# The guard.


def guards(schema: Gate | None, *, to: int = 1) -> dict[str, Guard]:
    seen = complete_release()
    order = Order(service="api", incident="i", operator="kim", choice=Choice(to))
    made = make_plan(
        seen,
        read_history(seen, now=NOW),
        Diagnosis((), Decision.ROLL_BACK, ()),
        order,
        around=Surroundings(schema=schema),
    )
    assert isinstance(made, Plan)
    return {one.name: one for one in made.guards if one.name.startswith("schema")}


def test_a_target_that_cannot_read_the_database_is_blocked_also_when_it_was_named() -> None:
    found = guards(gate("12", SchemaSeen("14", "configmap/schema")))

    assert found["schema"].level is Level.BLOCK
    assert "it works with schema 12, the database has 14" in found["schema"].summary
    assert "Migrate the database" in found["schema"].remedy


def test_what_nobody_can_tell_is_said_and_blocks_nothing() -> None:
    assert guards(gate("", SchemaSeen("14", "x")))["schema-unknown"].level is Level.INFO


def test_a_fit_is_a_note_and_no_catalogue_says_nothing() -> None:
    assert guards(gate("14", SchemaSeen("14", "x")))["schema-fits"].level is Level.INFO
    assert guards(None) == {}


def test_at_the_target_already_the_schema_is_no_question() -> None:
    assert guards(gate("12", SchemaSeen("14", "x")), to=2) == {}


# The catalogue.


def catalog(tmp_path: Path, schema: Json, **service: Any) -> Any:
    path = tmp_path / "services.yaml"
    path.write_text(json.dumps({"services": {"api": {"schema": schema, **service}}}))
    return load_catalog(path).service("api")


ANNOTATED = {"annotation": KEY}


@pytest.mark.parametrize(
    "has",
    [
        {"configmap": "schema", "key": "version"},
        {"url": "https://api.example.org/version", "field": "db.schema"},
    ],
)
def test_where_the_versions_are_told_is_data(tmp_path: Path, has: Json) -> None:
    made = catalog(tmp_path, {"needs": ANNOTATED, "has": has})

    assert made.schema.needs.annotation == KEY


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"needs": {}, "has": {"configmap": "x"}}, "takes one of annotation, label and env"),
        (
            {"needs": {"annotation": "a", "env": "B"}, "has": {"configmap": "x"}},
            "takes one of annotation, label and env",
        ),
        ({"needs": ANNOTATED, "has": {}}, "takes either configmap or url"),
        (
            {"needs": ANNOTATED, "has": {"configmap": "x", "url": "https://y"}},
            "takes either configmap or url",
        ),
        ({"needs": ANNOTATED, "has": {"url": "/version"}}, "nor a path below"),
        ({"needs": ANNOTATED, "has": {"url": "ftp://y"}}, "is not http"),
        ({"needs": ANNOTATED}, "missing required field"),
    ],
)
def test_a_schema_that_cannot_be_asked_for_is_refused(
    tmp_path: Path, schema: Json, said: str
) -> None:
    with pytest.raises(CatalogError, match=said):
        catalog(tmp_path, schema)


def test_a_path_below_the_services_own_url_will_do(tmp_path: Path) -> None:
    has = {"url": "/version"}
    made = catalog(tmp_path, {"needs": ANNOTATED, "has": has}, url="https://api.example.org")

    assert made.schema.has.url == "/version"
