"""Scenarios: checked as data, played through the real controllers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from veza_nb.sandbox import scenarios, seeding
from veza_nb.sandbox.clock import Clock, parse_timestamp
from veza_nb.sandbox.controllers.conditions import is_true
from veza_nb.sandbox.controllers.revisions import HISTORY, REVISION, revision_of
from veza_nb.sandbox.nodes import releases
from veza_nb.sandbox.plane import ControlPlane
from veza_nb.sandbox.scenarios import Scenario, ScenarioError

Json = dict[str, Any]
SERVICE = "veza-backend-api"
WAITED_FOR = [
    name
    for name in scenarios.names()
    if (fault := scenarios.load(name).fault) is not None and not fault.at_once
]
GOOD = """
name: mine
title: A title
story: A story.
service: veza-backend-api
expect: no rollback
"""


def test_the_scenarios_that_are_promised_are_there() -> None:
    promised = {
        "healthy",
        "crash-loop",
        "image-missing",
        "never-ready",
        "errors-5xx",
        "slow",
        "previous-bad",
    }

    assert promised <= set(scenarios.names())


@pytest.mark.parametrize("name", scenarios.names())
def test_a_scenario_is_consistent_with_the_catalogue_of_releases(name: str) -> None:
    scenario, catalogue = scenarios.load(name), releases.built_in()

    assert name == scenario.name
    if scenario.fault is not None:
        assert catalogue.of(scenario.fault.image).name != "good"
    if scenario.good_image is not None:
        assert catalogue.of(scenario.good_image).name == "good"
        assert f"rollback to {scenario.good_image}" == scenario.expect


def test_the_fault_of_a_scenario_is_what_its_name_says() -> None:
    catalogue = releases.built_in()
    with_fault = ("crash-loop", "image-missing", "never-ready", "errors-5xx", "slow")
    in_the_past = ("exit-code", "out-of-memory", "cannot-start", "hangs", "memory-near-limit")

    for name in with_fault:
        fault = scenarios.load(name).fault
        assert fault is not None
        assert name == catalogue.of(fault.image).name
    for name in in_the_past:
        assert name == catalogue.of(scenarios.load(name).history[SERVICE][-1].image).name


def test_the_release_before_the_bad_one_is_bad_too_where_the_name_says_so() -> None:
    scenario = scenarios.load("previous-bad")

    behaviors = [releases.built_in().of(past.image).name for past in scenario.history[SERVICE]]
    assert behaviors == ["good", "good", "good", "errors-5xx"]
    assert scenario.history[SERVICE][-2].image == scenario.good_image


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: mine\n", ""), "mine.yaml:2: missing key 'name'"),
        (("title: A title", "title: 7"), "mine.yaml:3: title: expected a text"),
        (("title:", "titel:"), "mine.yaml:2: unknown key 'titel'"),
        (("veza-backend-api", "nope"), "mine.yaml:5: service: unknown service 'nope'"),
        (("no rollback", "maybe"), "mine.yaml:6: expect: expected"),
        (("no rollback", "rollback to x:v9"), "x:v9 is not in the history of veza-backend-api"),
        (("expect:", "history: []\nexpect:"), "history: expected a list of releases"),
        (
            ("expect:", "history: [{image: a, age: soon, cause: c}]\nexpect:"),
            r"history\[0\].age: expected an age such as 6d4h or 25m, not 'soon'",
        ),
        (
            (
                "expect:",
                "history: [{image: a, age: 1d, cause: c}, {image: b, age: 2d, cause: c}]\nexpect:",
            ),
            r"history\[1\].age: must be younger",
        ),
        (
            ("expect:", "history: {nope: []}\nexpect:"),
            "history: unknown key 'nope'; known: veza-backend-api, veza-frontend",
        ),
        (
            ("expect:", "history: {veza-frontend: []}\nexpect:"),
            "history.veza-frontend: expected a list of releases",
        ),
        (
            ("expect:", "history: [{undo_to: a, age: 1d}]\nexpect:"),
            r"history\[0\].undo_to: there is nothing to undo yet",
        ),
        (
            (
                "expect:",
                "history: [{image: a, age: 2d, cause: c}, {undo_to: b, age: 1d}]\nexpect:",
            ),
            r"history\[1\].undo_to: was never released before",
        ),
        (
            (
                "expect:",
                "history: [{image: a, age: 2d, cause: c}, "
                "{undo_to: a, age: 1d, cause: c}]\nexpect:",
            ),
            r"history\[1\]: unknown key 'cause'; known: age, undo_to",
        ),
        (("expect:", "fault: {image: a}\nexpect:"), "fault: missing key 'cause'"),
        (
            ("expect:", "fault: {image: a, cause: b, at_once: 3}\nexpect:"),
            "fault.at_once: expected true or false",
        ),
        (
            ("expect:", "fault: {image: a, cause: b, template: 3}\nexpect:"),
            "mine.yaml:6: fault.template: expected keys and values",
        ),
        (("expect:", "deeds: 3\nexpect:"), "mine.yaml:6: deeds: expected a list"),
        (
            ("expect:", "deeds:\n- {age: 1d}\nexpect:"),
            r"mine.yaml:7: deeds\[0\]: expected one of create, apply, patch, delete, push, turn",
        ),
        (
            ("expect:", "deeds:\n- {age: 1d, smash: it}\nexpect:"),
            r"mine.yaml:7: deeds\[0\]: unknown key 'smash'",
        ),
        (
            ("expect:", "deeds:\n- {age: 1d, after: 1s, push: {image: a}}\nexpect:"),
            r"deeds\[0\].after: a deed has an age, or comes after the fault, not both",
        ),
        (
            ("expect:", "deeds:\n- {create: {kind: Secret, metadata: {name: a}}}\nexpect:"),
            r"deeds\[0\].create: missing key 'apiVersion'",
        ),
        (
            ("expect:", "deeds:\n- {create: {apiVersion: v1, kind: Secret}}\nexpect:"),
            r"deeds\[0\].create: an object needs metadata.name",
        ),
        (
            ("expect:", "deeds:\n- {delete: {kind: Pod}}\nexpect:"),
            r"deeds\[0\].delete: expected a name, or labels",
        ),
        (
            (
                "expect:",
                "deeds:\n- {patch: {kind: Pod, name: a, with: {}, type: odd}}\nexpect:",
            ),
            r"deeds\[0\].patch.type: expected one of strategic, merge, json, not 'odd'",
        ),
        (
            ("expect:", "kit: {decision: perhaps}\nexpect:"),
            "mine.yaml:6: kit.decision: expected one of roll back, do not roll back, unclear",
        ),
        (
            ("expect:", "kit:\n  guards: {paused: loud}\nexpect:"),
            "mine.yaml:7: kit.guards.paused: expected one of block, warn, info, not 'loud'",
        ),
        (
            ("expect:", "options: {to_revision: [3]}\nexpect:"),
            "options.to_revision: expected a text, a number, true or false",
        ),
        (("expect:", "user: root\nexpect:"), "user: expected one of admin, nobody, bot, oncall"),
        (("name: mine", "name: [mine"), "mine.yaml: not YAML"),
    ],
)
def test_a_broken_scenario_is_refused_with_its_place(change: tuple[str, str], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        scenarios.parse(GOOD.replace(*change), "mine.yaml")


def test_an_unknown_scenario_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ScenarioError, match=r"unknown scenario 'nope'; known: .*crash-loop"):
        scenarios.load("nope")


def test_a_scenario_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)

    assert scenarios.load(str(path)).name == "mine"
    with pytest.raises(ScenarioError, match="cannot read the scenario"):
        scenarios.load(str(tmp_path / "other.yaml"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6d4h", timedelta(days=6, hours=4)),
        ("25m", timedelta(minutes=25)),
        ("30s", timedelta(0, 30)),
    ],
)
def test_ages_are_read(text: str, expected: timedelta) -> None:
    assert expected == scenarios.parse_age(text)


def play(
    given: str | Scenario, *, inject: bool = False
) -> tuple[ControlPlane, list[Json], list[Json]]:
    """Play a scenario; return the Deployments and ReplicaSets afterwards."""
    clock = Clock()

    async def run() -> tuple[ControlPlane, list[Json], list[Json]]:
        plane = ControlPlane(clock=clock)
        await plane.start()
        try:
            scenario = scenarios.load(given) if isinstance(given, str) else given
            await seeding.play_history(plane, scenario)
            if inject:
                await seeding.inject(plane, scenario)
            client = plane.client("admin", "tests")
            return plane, client.list("deployments"), client.list("replicasets")
        finally:
            await plane.stop()

    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        return runner.run(run())


def test_history_is_true_history() -> None:
    before = datetime.now(UTC)
    plane, deployments, replica_sets = play("previous-bad")
    lag = abs((plane.clock.now() - datetime.now(UTC)).total_seconds())

    assert lag < 1
    backend = next(item for item in deployments if item["metadata"]["name"] == SERVICE)
    owned = [item for item in replica_sets if item["metadata"]["labels"]["app"] == SERVICE]
    scenario = scenarios.load("previous-bad")
    assert str(len(owned)) == backend["metadata"]["annotations"][REVISION]
    for item, past in zip(sorted(owned, key=revision_of), scenario.history[SERVICE], strict=True):
        age = before - parse_timestamp(item["metadata"]["creationTimestamp"])
        assert abs((age - past.age).total_seconds()) < 5
        assert past.cause == item["metadata"]["annotations"]["kubernetes.io/change-cause"]
        assert past.image == item["spec"]["template"]["spec"]["containers"][0]["image"]
    for item in deployments:
        replicas = item["spec"]["replicas"]
        assert replicas == item["status"]["availableReplicas"] == item["status"]["updatedReplicas"]


LONG = """
name: long
title: Two eventful weeks
story: Twelve releases and two rollbacks.
service: veza-backend-api
history:
  veza-backend-api:
  - {image: "shop:v0", age: 15d, cause: "release v0"}
  - {image: "shop:v1", age: 14d, cause: "release v1"}
  - {image: "shop:v2", age: 13d, cause: "release v2"}
  - {image: "shop:v3", age: 12d, cause: "release v3"}
  - {image: "shop:v4", age: 11d, cause: "release v4"}
  - {image: "shop:v5", age: 10d, cause: "release v5"}
  - {image: "shop:v6", age: 9d, cause: "release v6"}
  - {undo_to: "shop:v4", age: 8d23h}
  - {image: "shop:v7", age: 8d, cause: "release v7"}
  - {image: "shop:v8", age: 7d, cause: "release v8"}
  - {image: "shop:v9", age: 6d, cause: "release v9"}
  - {undo_to: "shop:v8", age: 5d}
  - {image: "shop:v10", age: 3d, cause: "release v10"}
  - {image: "shop:v11", age: 2h, cause: "release v11"}
  - {image: "shop:v12", age: 10m, cause: "release v12"}
  veza-frontend:
  - {image: "front:v1", age: 20d, cause: "release v1"}
expect: no rollback
"""


def test_two_eventful_weeks_leave_what_two_weeks_leave() -> None:
    """Numbers as `kubectl rollout history` shows them, cut by revisionHistoryLimit."""
    before = datetime.now(UTC)
    _, deployments, replica_sets = play(scenarios.parse(LONG, "long.yaml"))
    backend = next(item for item in deployments if item["metadata"]["name"] == SERVICE)
    owned = [item for item in replica_sets if item["metadata"]["labels"]["app"] == SERVICE]
    ages = {
        revision_of(item): before - parse_timestamp(item["metadata"]["creationTimestamp"])
        for item in owned
    }
    history = {
        revision_of(item): (
            item["spec"]["template"]["spec"]["containers"][0]["image"],
            item["metadata"]["annotations"]["kubernetes.io/change-cause"],
        )
        for item in owned
    }

    assert backend["spec"]["revisionHistoryLimit"] == 10
    assert backend["metadata"]["annotations"][REVISION] == "15"
    assert backend["metadata"]["annotations"]["kubernetes.io/change-cause"] == "release v12"
    versions = {3: 2, 4: 3, 6: 5, 7: 6, 8: 4, 9: 7, 11: 9, 12: 8, 13: 10, 14: 11, 15: 12}
    assert {n: (f"shop:v{v}", f"release v{v}") for n, v in versions.items()} == history
    # A ReplicaSet that was gone back to is as old as its first release.
    assert abs(ages[12] - timedelta(days=7)) < timedelta(minutes=1)
    assert abs(ages[15] - timedelta(minutes=10)) < timedelta(minutes=1)
    noted = {revision_of(item): item["metadata"]["annotations"].get(HISTORY) for item in owned}
    assert (noted[8], noted[12], noted[15]) == ("5", "10", None)
    front = next(item for item in deployments if item["metadata"]["name"] == "veza-frontend")
    assert front["metadata"]["annotations"][REVISION] == "1"


def test_events_of_more_than_an_hour_ago_are_forgotten() -> None:
    clock = Clock()

    async def run() -> list[Json]:
        plane = ControlPlane(clock=clock)
        await plane.start()
        try:
            await seeding.play_history(plane, scenarios.parse(LONG, "long.yaml"))
            plane.expire_events_from_now_on()
            return plane.client("admin", "tests").list("events")
        finally:
            await plane.stop()

    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        events = runner.run(run())
    oldest = datetime.now(UTC) - timedelta(minutes=11)
    seen = [event.get("lastTimestamp") or event["eventTime"] for event in events]

    assert {"ScalingReplicaSet", "Scheduled", "Started"} <= {event["reason"] for event in events}
    assert all(parse_timestamp(stamp) > oldest for stamp in seen)


def test_a_release_that_is_not_kept_any_more_cannot_be_gone_back_to() -> None:
    undo = '- {undo_to: "shop:v0", age: 1m}\n  veza-frontend'

    with pytest.raises(ScenarioError, match="cannot go back to shop:v0: not kept any more"):
        play(scenarios.parse(LONG.replace("veza-frontend", undo), "long.yaml"))


DEEDS = """
name: mine
title: A title
story: A story.
service: veza-backend-api
expect: no rollback
deeds:
- age: 3h
  user: kim
  agent: kubectl-edit
  patch: {kind: ConfigMap, name: veza-backend-config, with: {data: {LOG_LEVEL: debug}}}
- age: 2h
  create:
    apiVersion: coordination.k8s.io/v1
    kind: Lease
    metadata: {name: mine, namespace: veza-production}
    spec: {renewTime: "${now-5m}"}
- age: 1h
  agent: pipeline
  apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: flags}, data: {color: blue}}
- {age: 1h, node: {name: veza-node-1, conditions: {Ready: Unknown}}}
- {age: 2h, push: {image: "registry.veza.example/veza-backend-api:v2.3.1"}}
- {age: 90m, delete: {kind: Pod, labels: app=veza-backend-api, count: 1}}
- {age: 1m, turn: {service: veza-frontend, behavior: database-down}}
- {after: 0s, delete: {kind: Secret, name: veza-backend-secrets}}
"""


def test_deeds_are_done_at_their_time_by_those_who_do_them() -> None:
    plane, _, _ = play(scenarios.parse(DEEDS, "mine.yaml"))
    client, now = plane.client("admin", "tests"), datetime.now(UTC)

    config = client.get("configmaps", seeding.NAMESPACE, "veza-backend-config")
    edit = next(e for e in config["metadata"]["managedFields"] if e["manager"] == "kubectl-edit")
    lease = client.get("leases", seeding.NAMESPACE, "mine")
    flags = client.get("configmaps", seeding.NAMESPACE, "flags")["metadata"]["managedFields"]
    pods = client.list("pods", seeding.NAMESPACE, label_selector=f"app={SERVICE}")
    silent = [pod for pod in pods if pod["spec"]["nodeName"] == "veza-node-1"]
    assert config["data"]["LOG_LEVEL"] == "debug"
    assert abs(now - parse_timestamp(edit["time"]) - timedelta(hours=3)) < timedelta(minutes=1)
    renewed = now - parse_timestamp(lease["spec"]["renewTime"])
    assert abs(renewed - timedelta(hours=2, minutes=5)) < timedelta(minutes=1)
    assert [(each["manager"], each["operation"]) for each in flags] == [("pipeline", "Apply")]
    assert len({pod["status"]["containerStatuses"][0]["imageID"] for pod in pods}) == 2
    assert silent
    assert not any(is_true(pod["status"], "Ready") for pod in silent)
    assert plane.kubelet.releases.acting("veza-frontend:v1").name == "database-down"
    assert plane.kubelet.releases.of("veza-frontend:v1").name == "good"
    # What comes with the fault waits for it.
    assert client.get("secrets", seeding.NAMESPACE, "veza-backend-secrets")


def test_what_comes_after_the_fault_comes_in_its_time() -> None:
    late = "- {after: 5s, delete: {kind: Secret, name: late}}"
    made = "- {after: 0s, create: {apiVersion: v1, kind: Secret, metadata: {name: late}}}"
    scenario = scenarios.parse(f"{DEEDS}{late}\n{made}\n", "mine.yaml")
    clock = Clock(speed=50.0)

    async def run() -> list[set[str]]:
        plane = ControlPlane(clock=clock)
        await plane.start()
        try:
            await seeding.play_history(plane, scenario)
            seen = [secrets(plane)]
            await seeding.inject(plane, scenario)
            seen.append(secrets(plane))
            await clock.sleep(6.0)
            return [*seen, secrets(plane)]
        finally:
            await plane.stop()

    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        before, at_once, later = runner.run(run())

    assert before == {"veza-backend-secrets"}
    assert at_once == {"late"}
    assert later == set()


def secrets(plane: ControlPlane) -> set[str]:
    listed = plane.client("admin", "tests").list("secrets", seeding.NAMESPACE)
    return {item["metadata"]["name"] for item in listed}


def test_a_deed_that_the_cluster_refuses_says_so() -> None:
    wrong = DEEDS.replace("name: veza-backend-config", "name: nothing")

    with pytest.raises(ScenarioError, match='deeds: patch ConfigMap nothing: configmaps "nothing"'):
        play(scenarios.parse(wrong, "mine.yaml"))


@pytest.mark.parametrize("name", ["healthy", *WAITED_FOR])
def test_a_fault_shows_when_it_is_in(name: str) -> None:
    plane, deployments, _ = play(name, inject=True)
    scenario = scenarios.load(name)
    backend = next(item for item in deployments if item["metadata"]["name"] == SERVICE)
    image = backend["spec"]["template"]["spec"]["containers"][0]["image"]

    assert backend["status"]["availableReplicas"] >= 3
    if scenario.fault is None:
        assert scenario.history[SERVICE][-1].image == image
        return
    assert scenario.fault.image == image
    assert seeding.fault_shows(plane, SERVICE, scenario.fault)
    who = {
        (entry.user, entry.agent)
        for entry in plane.api.audit.entries
        if entry.verb == "patch" and entry.resource == "deployments" and not entry.subresource
    }
    assert {("deploy-bot", "kubectl-set"), ("deploy-bot", "kubectl-annotate")} <= who
    managers = {entry["manager"] for entry in backend["metadata"]["managedFields"]}
    expected = {"kubectl-client-side-apply", "kubectl-set", "kubectl-annotate"}
    assert expected | {"kube-controller-manager"} == managers
