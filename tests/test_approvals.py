"""What counts as a yes."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from veza_nb.approvals import Approval, read_confirmation
from veza_nb.clock import ManualClock
from veza_nb.guards import Guard
from veza_nb.logbook import Logbook, identity_of
from veza_nb.plans import Plan, Refusal
from veza_nb.records import Record
from veza_nb.vocabulary import JournalEvent, Level, Step

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def plan() -> Plan:
    return Plan(
        id="p-0123456789ab", incident="i", service="veza-backend-api", namespace="n",
        workload="veza-backend-api", uid="u", generation=3, replicas=3, from_revision=2,
        to_revision=1, template={}, template_hash="h", images_before={}, images_after={},
        changes=(), guards=(), not_restored=(), command="", patch=(), noop=False, reasons=(),
    )  # fmt: skip


def test_name_of_the_service_approves_as_the_operator(plan: Plan) -> None:
    read = read_confirmation(" veza-backend-api ", plan, operator="kim", now=NOW)

    assert read == Approval("p-0123456789ab", "kim", "service name", NOW)


def test_plan_id_approves_as_the_named_approver(plan: Plan) -> None:
    read = read_confirmation("p-0123456789ab:alice", plan, operator="kim", now=NOW)

    assert read == Approval("p-0123456789ab", "alice", "plan id", NOW)


@pytest.mark.parametrize(
    ("confirm", "said"),
    [
        ("", "not approved"),
        ("   ", "not approved"),
        ("yes", "not the name of the service"),
        ("True", "not the name of the service"),
        ("veza-frontend", "not the name of the service"),
        ("VEZA-BACKEND-API", "not the name of the service"),
        ("p-0123456789ab", "nobody who approves"),
        ("p-0123456789ab:", "nobody who approves"),
        ("p-0123456789ab:  ", "nobody who approves"),
        ("p-ffffffffffff:alice", "another plan"),
        (":alice", "not the name of the service"),
    ],
)
def test_anything_else_is_refused_and_says_how(plan: Plan, confirm: str, said: str) -> None:
    read = read_confirmation(confirm, plan, operator="kim", now=NOW)

    assert isinstance(read, Refusal)
    assert said in read.what
    assert "'veza-backend-api'" in read.next_step


def test_approval_of_one_plan_is_none_of_another(plan: Plan) -> None:
    other = dataclasses.replace(plan, id="p-ba9876543210")

    assert isinstance(
        read_confirmation("p-0123456789ab:alice", other, operator="kim", now=NOW), Refusal
    )


@pytest.mark.parametrize(
    "confirm", ["veza-backend-api", "p-0123456789ab:alice", "p-0123456789ab: Alice "]
)
def test_where_two_people_are_required_the_operator_alone_does_not_count(
    plan: Plan, confirm: str
) -> None:
    read = read_confirmation(confirm, plan, operator="alice", now=NOW, two_people=True)

    assert isinstance(read, Refusal)
    assert "Two people" in read.what


def test_where_two_people_are_required_another_one_does(plan: Plan) -> None:
    confirm = f"{plan.id}:bob"

    read = read_confirmation(confirm, plan, operator="alice", now=NOW, two_people=True)

    assert isinstance(read, Approval)
    assert read.approver == "bob"


FREEZE = (Guard("change-freeze", Level.WARN, "Changes are frozen; you break that.", ""),)
LOCKED = (Guard("locked", Level.WARN, "You take the lock from them.", ""),)


@pytest.fixture
def approves(tmp_path: Path, plan: Plan) -> Callable[[dict[str, Any], dict[str, Any]], bool]:
    """Whether an approval of the plan changed in one way holds for it changed in another."""

    def asked(approved: dict[str, Any], sent: dict[str, Any]) -> bool:
        first = Record(incident_id="i", service=plan.service, operator="kim")
        logbook = Logbook.open(tmp_path, first, clock=ManualClock())
        said = identity_of(dataclasses.replace(plan, **approved))
        logbook.journal.append(Step.APPROVE, JournalEvent.APPROVAL, said)
        logbook.let_go()
        return logbook.approves(dataclasses.replace(plan, **sent))

    return asked


@pytest.mark.parametrize(
    ("approved", "sent", "holds"),
    [
        ({}, {}, True),
        ({}, {"generation": 4}, False),
        ({}, {"uid": "another"}, False),
        ({}, {"template": {"spec": {}}}, False),
        ({"migrate_down": 2}, {"migrate_down": 2}, True),
        ({"migrate_down": 2}, {}, False),
        ({"migrate_down": 2}, {"migrate_down": 1}, False),
        ({}, {"migrate_down": 2}, False),
        ({}, {"guards": FREEZE}, False),
        ({}, {"guards": LOCKED}, False),
        ({"guards": FREEZE}, {"guards": LOCKED}, False),
        ({"guards": (*FREEZE, *LOCKED)}, {"guards": LOCKED}, True),
        ({"guards": LOCKED}, {}, True),
    ],
)
def test_an_approval_holds_for_what_was_shown_and_for_nothing_more(
    approves: Callable[[dict[str, Any], dict[str, Any]], bool],
    approved: dict[str, Any],
    sent: dict[str, Any],
    *,
    holds: bool,
) -> None:
    assert approves(approved, sent) is holds
