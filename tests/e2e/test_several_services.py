"""Several services go back in order, all planned before the first change, none lost on the way."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.several import Services, several
from veza_nb.clock import Deadline, SystemClock
from veza_nb.cluster.leases import read_lease
from veza_nb.errors import (
    InterruptedRunError,
    NotRecoveredError,
    PartialError,
    RefusedError,
    UsageError,
)
from veza_nb.group import GroupIncident
from veza_nb.groupacting import put_back_changed
from veza_nb.locks import Lock, lease_name
from veza_nb.records import Folder
from veza_nb.redact import Redactor
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.scheduling import Fate, Turn
from veza_nb.vocabulary import RolloutPhase

ALL_TO_2 = "api=2, web=2, stream=2"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingCluster]:
    """A training cluster whose time runs faster: most of a test is waiting for crashes."""
    with TrainingCluster.start(directory=tmp_path_factory.mktemp("cluster"), speed=5) as cluster:
        yield cluster


@pytest.fixture
def services(quick: TrainingCluster, tmp_path: Path) -> Iterator[Services]:
    with several(quick, tmp_path) as made:
        yield made


@pytest.fixture
def broken(services: Services) -> Services:
    services.break_all("api", "web", "stream")
    return services


def rolled_back(incident: GroupIncident, confirm: str, to_revisions: str = ALL_TO_2) -> None:
    incident.detect()
    incident.history()
    plan = incident.plan(to_revisions=to_revisions)
    incident.approve(plan, confirm=confirm)
    incident.undo(plan)
    incident.verify()


def names_in_order(services: Services) -> list[str]:
    return [entry.name for entry in services.undos()]


def test_all_come_back_those_that_others_need_first(broken: Services) -> None:
    incident = broken.open()
    rolled_back(incident, "api, stream, web")
    incident.close()

    assert names_in_order(broken)[0] == "api"
    assert sorted(names_in_order(broken)) == ["api", "stream", "web"]
    assert {broken.tag(name) for name in ("api", "web", "stream")} == {"v2"}
    record = broken.record(incident.id)
    assert (record["outcome"], record["exit_code"], record["changed"]) == ("recovered", 0, True)
    assert [part["service"] for part in record["parts"]] == ["api", "web", "stream"]
    for part in record["parts"]:
        alone = broken.record(part["incident_id"])
        assert (alone["outcome"], alone["plan"]["id"]) == ("recovered", part["plan"])
    assert Folder(broken.records / incident.id, Redactor()).verify() == ()


def test_the_next_one_begins_only_when_the_one_it_needs_has_rolled_out(broken: Services) -> None:
    incident = broken.open("api, web")
    rolled_back(incident, "api,web", "api=2, web=2")

    turns = [
        (line.data["service"], line.data["turn"])
        for line in incident.opened.logbook.journal.lines
        if "turn" in line.data
    ]
    web = next(entry for entry in broken.undos() if entry.name == "web")
    api = broken.cluster().workload("api", "app=api")
    ready = [
        condition.last_transition_time
        for pod in api.pods
        for condition in pod.status.conditions
        if condition.type == "Ready"
    ]
    assert turns[:2] == [("api", "begun"), ("web", "begun")]
    assert all(one is not None and one.timestamp() <= web.at.timestamp() for one in ready)


def test_a_second_run_of_every_cell_changes_nothing(broken: Services) -> None:
    incident = broken.open()
    for _ in range(2):
        rolled_back(incident, "web,api,stream")
    incident.close()

    assert len(names_in_order(broken)) == 3


def test_one_service_without_a_plan_stops_all_before_the_first_change(broken: Services) -> None:
    incident = broken.open()
    incident.detect()

    with pytest.raises(RefusedError, match=r"stream: There is no revision 9\."):
        incident.plan(to_revisions="api=2, web=2, stream=9")
    assert names_in_order(broken) == []
    assert broken.record(incident.id)["outcome"] == "refused"


def test_no_common_moment_is_refused_with_what_to_do(broken: Services) -> None:
    incident = broken.open()
    incident.detect()

    with pytest.raises(RefusedError) as caught:
        incident.plan()
    assert "no moment at which all of these services" in caught.value.what
    assert "to_revisions" in caught.value.next_step
    assert names_in_order(broken) == []


def test_a_lock_that_somebody_holds_begins_nothing_and_takes_none(broken: Services) -> None:
    theirs = Lock(broken.cluster(), "web", holder="ada@elsewhere", incident="other", reason="mine")
    theirs.acquire()
    incident = broken.open()
    incident.detect()
    plan = incident.plan(to_revisions=ALL_TO_2)

    with pytest.raises(RefusedError, match="web: This plan is blocked: ada@elsewhere"):
        incident.approve(plan, confirm="api,web,stream")
    theirs.release()
    plan = incident.plan(to_revisions=ALL_TO_2)
    incident.approve(plan, confirm="api,web,stream")
    theirs.acquire()
    with pytest.raises(RefusedError, match="Not every lock was to be had"):
        incident.undo(plan)
    theirs.release()
    assert names_in_order(broken) == []
    for name in ("api", "stream"):
        lease = read_lease(broken.cluster(), lease_name(name))
        assert lease is None or not lease.spec.holder_identity


@pytest.mark.parametrize("confirm", ["", "api", "api,web", "shop", "yes", "api,web,stream,api2"])
def test_only_all_the_names_or_the_plan_approve(broken: Services, confirm: str) -> None:
    incident = broken.open()
    incident.detect()
    plan = incident.plan(to_revisions=ALL_TO_2)

    with pytest.raises(RefusedError):
        incident.approve(plan, confirm=confirm)
    with pytest.raises(RefusedError):
        incident.undo(plan)
    assert names_in_order(broken) == []


def test_a_group_of_the_catalogue_is_approved_by_its_name(broken: Services) -> None:
    incident = broken.open("", group="shop")
    rolled_back(incident, "shop")
    incident.close()

    assert len(names_in_order(broken)) == 3


def test_a_failure_stops_the_others_and_a_resumed_run_finishes_them(services: Services) -> None:
    services.release("web", "v3-bad")
    services.release("stream", "v3-bad")
    services.release("api", "v3-bad")
    for name in ("api", "web", "stream"):
        services.wait_for(name, RolloutPhase.STUCK)
    services.release("api", "v4-bad")
    services.wait_for("api", RolloutPhase.STUCK)
    incident = services.open()
    incident.detect()
    # Somebody is sure that 3 works; it does not.
    plan = incident.plan(to_revisions="api=3, web=2, stream=2")
    incident.approve(plan, confirm="api,web,stream")
    incident.undo(plan)
    incident.verify()
    with pytest.raises(NotRecoveredError):
        incident.close()

    assert names_in_order(services) == ["api"]
    record = services.record(incident.id)
    assert record["outcome"] == "not recovered"
    assert [part["changed"] for part in record["parts"]] == [True, False, False]


def test_a_failure_late_leaves_a_partial_outcome(services: Services) -> None:
    services.break_all("api", "web")
    services.release("web", "v4-bad")
    services.wait_for("web", RolloutPhase.STUCK)
    incident = services.open("api, web")
    rolled_back(incident, "api,web", "api=2, web=3")
    with pytest.raises(PartialError) as caught:
        incident.close()

    assert caught.value.exit_code == 6
    assert "api recovered, web" in caught.value.what
    assert services.record(incident.id)["exit_code"] == 6


def test_those_already_rolled_back_are_put_back_where_the_rule_says_so(services: Services) -> None:
    services.break_all("api", "web")
    services.release("web", "v4-bad")
    services.wait_for("web", RolloutPhase.STUCK)
    services.release("api", "v5")
    services.wait_for("api", RolloutPhase.COMPLETE)
    incident = services.open("api, web", on_failure="put back")
    incident.detect()
    plan = incident.plan(to_revisions="api=2, web=3")
    incident.approve(plan, confirm="api,web")
    incident.undo(plan)
    incident.verify()
    with pytest.raises(NotRecoveredError):
        incident.close()

    assert services.tag("api") == "v5"
    assert services.tag("web") == "v4-bad"
    assert names_in_order(services) == ["api", "web", "web", "api"]


def in_a_second_run(services: Services, incident: GroupIncident, **more: str) -> GroupIncident:
    again = services.open("api, web", incident_id=incident.id, **more)
    again.detect()
    return again


def test_another_rule_needs_another_yes_and_puts_back_what_an_earlier_run_sent(
    services: Services,
) -> None:
    services.break_all("api", "web")
    services.release("web", "v4-bad")
    services.wait_for("web", RolloutPhase.STUCK)
    services.release("api", "v5")
    services.wait_for("api", RolloutPhase.COMPLETE)
    incident = services.open("api, web")
    incident.detect()
    plan = incident.plan(to_revisions="api=2, web=3")
    incident.approve(plan, confirm="api,web")
    incident.undo(plan)
    assert names_in_order(services) == ["api", "web"]

    again = in_a_second_run(services, incident, on_failure="put back")
    plan = again.plan()
    with pytest.raises(RefusedError, match="not approved"):
        again.undo(plan)
    again.approve(plan, confirm="api,web")
    again.undo(plan)
    again.verify()
    with pytest.raises(NotRecoveredError):
        again.close()

    assert (services.tag("api"), services.tag("web")) == ("v5", "v4-bad")
    assert names_in_order(services) == ["api", "web", "web", "api"]
    assert all(part["put_back"] for part in services.record(incident.id)["parts"][:1])
    assert not list(services.records.glob("*/.writer"))

    third = in_a_second_run(services, incident, on_failure="put back")
    plan = third.plan()
    third.approve(plan, confirm="api,web")
    third.undo(plan)
    assert (services.tag("api"), services.tag("web")) == ("v5", "v4-bad")
    assert len(names_in_order(services)) == 4


def test_what_somebody_changed_since_is_not_put_back(services: Services) -> None:
    incident = services.open("api", on_failure="put back")
    rolled_back(incident, "api", "api=1")
    services.release("api", "v6")
    services.wait_for("api", RolloutPhase.COMPLETE)
    part, failed = incident.opened.parts["api"], {"api": Turn(Fate.FAILED)}

    left = put_back_changed(incident.opened, "kim", failed, threading.Event(), "")

    assert left == ("api",)
    assert part.error is not None
    assert "changed again by somebody else" in part.error.what
    assert (services.tag("api"), len(names_in_order(services))) == ("v6", 1)


def test_a_run_that_goes_on_takes_those_it_did_not_reach_where_it_was_approved(
    broken: Services,
) -> None:
    incident = broken.open("api, web", at_once="1")
    incident.detect()
    plan = incident.plan(to_revisions="api=2, web=1")
    incident.approve(plan, confirm="api,web")
    part = incident.opened.parts["api"]
    part.incident.undo(plan.plans["api"])
    for one in incident.opened.parts.values():
        one.incident.opened.lock.release()

    again = in_a_second_run(broken, incident, at_once="1")
    plan = again.plan()

    assert plan.plans["api"].noop
    assert plan.plans["web"].to_revision == 1
    again.approve(plan)
    again.undo(plan)
    assert (broken.tag("api"), broken.tag("web")) == ("v2", "v1")


def test_ctrl_c_begins_no_further_one_and_the_run_can_go_on(broken: Services) -> None:
    incident = broken.open()
    incident.detect()
    plan = incident.plan(to_revisions=ALL_TO_2)
    incident.approve(plan, confirm="api,web,stream")
    incident._stop.clear()
    done = threading.Event()

    def stop_after_the_first() -> None:
        while not done.is_set() and not names_in_order(broken):
            done.wait(0.02)
        incident._stop.set()

    watcher = threading.Thread(target=stop_after_the_first)
    watcher.start()
    try:
        incident.undo(plan)
    except InterruptedRunError:
        pass
    finally:
        done.set()
        watcher.join()
    assert len(names_in_order(broken)) < 3

    again = broken.open(incident_id=incident.id)
    rolled_back(again, "api,web,stream")
    again.close()
    assert sorted(names_in_order(broken)) == ["api", "stream", "web"]
    assert {broken.tag(name) for name in ("api", "web", "stream")} == {"v2"}


@pytest.mark.parametrize(
    ("services_named", "group", "expected"),
    [
        ("", "", "Name either the services or a group."),
        ("api", "shop", "Name either the services or a group."),
        ("api, nobody", "", "has no service 'nobody'"),
        ("", "nobody", "has no group 'nobody'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_opened(
    services: Services, services_named: str, group: str, expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        services.open(services_named, group=group)
    assert not services.records.exists()


def test_cells_out_of_order_say_which_comes_first(services: Services) -> None:
    incident = services.open("api")

    with pytest.raises(UsageError, match="'detect' has not been run"):
        incident.plan()
    with pytest.raises(UsageError, match="'plan' has not been run"):
        incident.verify()


def test_headless_all_come_back_and_the_record_says_so(broken: Services) -> None:
    done = broken.veza_nb(
        "rollback", "web", "api", "--to-revisions", "api=2,web=2", "--confirm", "api,web"
    )

    assert done.code == 0, done.stdout + done.stderr
    folder = max(path for path in broken.records.iterdir() if path.name.endswith("-api"))
    group = broken.records / folder.name.removesuffix("-api")
    assert names_in_order(broken) == ["api", "web"]
    assert Folder(group, Redactor()).verify() == ()
    assert "Recovered" in (group / "rollback.html").read_text()
    alone = json.loads((folder / "rollback.ipynb").read_text())
    injected = next(cell for cell in alone["cells"] if cell["id"] == "injected-parameters")
    assert "service = 'api'\n" in injected["source"]
    shown = {cell["id"] for cell in alone["cells"] if cell.get("outputs")}
    assert {"open", "detect", "plan", "approve", "undo", "verify", "close"} <= shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("api", "web", "--to-revision", "2"), "--to-revision means one service"),
        (("api", "--to-revisions", "api=2"), "--to-revisions is for several"),
        (("api", "nobody"), "has no service 'nobody'"),
        (("--group", "nobody"), "has no group 'nobody'"),
    ],
)
def test_headless_what_cannot_be_meant_is_wrong_usage(
    services: Services, arguments: tuple[str, ...], expected: str
) -> None:
    done = services.veza_nb("rollback", *arguments)

    assert done.code == 2
    assert expected in done.stderr
    assert not services.records.exists()


def test_headless_without_approval_nothing_is_changed(broken: Services) -> None:
    done = broken.veza_nb("rollback", "--group", "shop", "--to-revisions", "api=2")

    assert done.code == 3
    assert "Approve with confirm = 'shop'" in done.stderr
    assert names_in_order(broken) == []


def test_a_run_that_was_killed_is_finished_by_another_and_nothing_is_sent_twice(
    broken: Services,
) -> None:
    arguments = ("--group", "shop", "--at-once", "1", "--to-revisions", ALL_TO_2)
    killed_after_the_first_undo(broken, *arguments, "--confirm", "shop")
    group = min(path.name for path in broken.records.iterdir())
    sent = names_in_order(broken)

    done = broken.veza_nb("rollback", "--resume", group, "--confirm", "shop")

    assert 1 <= len(sent) < 3
    assert done.code == 0, done.stdout + done.stderr
    assert sorted(names_in_order(broken)) == ["api", "stream", "web"]
    assert {broken.tag(name) for name in ("api", "web", "stream")} == {"v2"}


def killed_after_the_first_undo(services: Services, *arguments: str) -> None:
    """Start the command, and kill it with its kernel as soon as an undo has reached the server."""
    with services.running("rollback", *arguments) as process:
        deadline = Deadline.after(SystemClock(), 60)
        while not names_in_order(services) and not deadline.passed:
            assert process.poll() is None, "it ended by itself"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
