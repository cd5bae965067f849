"""What stands around a Deployment speaks against a plan where it would keep it from working."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOW, Json, ago, deployment, pod, replicaset, template, workload
from veza_nb.choices import Choice
from veza_nb.findings import Diagnosis
from veza_nb.guards import Guard
from veza_nb.objects import Deployment, ResourceQuota, Workload
from veza_nb.orders import Order
from veza_nb.plans import Plan, make_plan
from veza_nb.quotas import Shortage, added_pods, amount, shortages
from veza_nb.references import Reference, named_sources, references
from veza_nb.revisions import read_history
from veza_nb.surroundings import Autoscaler, Referred, Surroundings
from veza_nb.vocabulary import Decision, Level

ROLL_BACK = Diagnosis((), Decision.ROLL_BACK, ())
CONFIG, SECRET = Reference("configmap", "settings"), Reference("secret", "db")


# What a template points at.


def pointing() -> Json:
    spec: Json = {
        "serviceAccountName": "api",
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
        "containers": [
            {
                "name": "api",
                "image": "app:v1",
                "envFrom": [
                    {"configMapRef": {"name": "settings", "optional": True}},
                    {"secretRef": {"name": "db"}},
                ],
                "env": [
                    {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings"}}},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "x", "optional": True}}},
                ],
            }
        ],
        "volumes": [
            {"name": "v", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "p", "projected": {"sources": [{"secret": {"name": "tls"}}]}},
            {"name": "s", "secret": {"secretName": "files", "optional": True}},
        ],
    }
    return {"metadata": {}, "spec": spec}


def test_everything_that_a_template_points_at_is_found_once() -> None:
    assert references(pointing()) == (
        CONFIG,
        Reference("persistentvolumeclaim", "data"),
        Reference("priorityclass", "high"),
        SECRET,
        Reference("secret", "files", optional=True),
        Reference("secret", "registry", optional=True),
        Reference("secret", "tls"),
        Reference("secret", "x", optional=True),
        Reference("serviceaccount", "api"),
    )


def test_sources_of_content_are_those_whose_content_a_program_reads() -> None:
    assert named_sources(pointing()) == (
        "configmap/settings", "persistentvolumeclaim/data", "secret/db", "secret/files",
        "secret/tls", "secret/x",
    )  # fmt: skip


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["spec", "secret", "name", "env", "configMapRef", "volumes"]), x
)))  # fmt: skip
def test_odd_templates_point_at_nothing_rather_than_break(odd: Any) -> None:
    found = references({"spec": odd})

    assert all(isinstance(one.name, str) and one.name for one in found)


# Quotas.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", 2), ("250m", 0.25), ("1.5", 1.5), ("64Mi", 64 * 2**20), ("1k", 1000), ("1e3", 1000),
        ("1E", 10**18), ("0", 0), ("-1", -1), ("", None), ("x", None), ("1Q", None), ("Mi", None),
        ("9Ki", 9216),
    ],
)  # fmt: skip
def test_quantities_are_read_as_kubernetes_reads_them(text: str, expected: float | None) -> None:
    found = amount(text)

    assert expected == (None if found is None else float(found))


@pytest.mark.parametrize(
    ("strategy", "replicas", "present", "expected"),
    [
        ({"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}, 3, 3, 2),
        ({"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}, 3, 3, 1),
        ({"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}, 3, 4, 0),
        ({}, 4, 4, 1),
        ({"type": "Recreate"}, 3, 3, 0),
        ({"type": "Recreate"}, 3, 1, 2),
        ({"rollingUpdate": {"maxSurge": "odd", "maxUnavailable": 0}}, 3, 3, 0),
    ],
)
def test_a_rollout_adds_its_surge_to_what_is_there(
    strategy: Json, replicas: int, present: int, expected: int
) -> None:
    seen = deployment(replicas=replicas, strategy=strategy, status={"replicas": present})

    assert expected == added_pods(msgspec.convert(seen, Deployment))


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> ResourceQuota:
    item = {"metadata": {"name": "team"}, "spec": spec, "status": {"hard": hard, "used": used}}
    return msgspec.convert(item, ResourceQuota)


ASKING = template("app:v1", resources={"requests": {"cpu": "200m", "memory": "64Mi"}})


@pytest.mark.parametrize(
    ("hard", "used", "expected"),
    [
        ({"pods": "3"}, {"pods": "3"}, [("pods", "0", "1")]),
        ({"pods": "4"}, {"pods": "3"}, []),
        ({"count/pods": "3"}, {"count/pods": "3"}, [("count/pods", "0", "1")]),
        ({"requests.cpu": "1"}, {"requests.cpu": "900m"}, [("requests.cpu", "100m", "200m")]),
        ({"cpu": "1"}, {"cpu": "900m"}, [("cpu", "100m", "200m")]),
        ({"memory": "100Mi"}, {"memory": "99Mi"}, [("memory", "1Mi", "64Mi")]),
        ({"memory": "100Mi"}, {"memory": "200Mi"}, [("memory", "0", "64Mi")]),
        ({"limits.cpu": "0"}, {}, []),
        ({"pods": "odd"}, {"pods": "3"}, []),
        ({"services": "1"}, {"services": "1"}, []),
    ],
)
def test_a_quota_without_room_is_found(
    hard: dict[str, str], used: dict[str, str], expected: list[tuple[str, str, str]]
) -> None:
    seen = msgspec.convert(deployment(replicas=3), Deployment)

    found = shortages(seen, ASKING, (quota(hard, used),))

    assert expected == [(one.resource, one.left, one.needed) for one in found]


def test_a_quota_for_some_pods_only_is_left_out() -> None:
    seen = msgspec.convert(deployment(replicas=3), Deployment)

    assert shortages(seen, ASKING, (quota({"pods": "0"}, {}, scopes=["BestEffort"]),)) == ()


# The guards.


def release(first: Json | None = None, **more: Any) -> Workload:
    one = replicaset(1, first or template("app:v1"), created=ago(days=3), pods=3)
    two = replicaset(2, template("app:v2"), created=ago(hours=2), pods=1, available=0)
    return workload(deployment(**more), [one, two])


def guards(
    around: Surroundings | None = None, seen: Workload | None = None, *, named: int = 0, **more: Any
) -> dict[str, Guard]:
    shown = seen or release()
    made = make_plan(
        shown,
        read_history(shown, now=NOW),
        ROLL_BACK,
        Order("api", "i-1", "alice", "", Choice(named), **more),
        around=around or Surroundings(),
    )
    assert isinstance(made, Plan)
    return {one.name: one for one in made.guards}


def referred(
    reference: Reference, *, exists: bool = True, at: datetime | None = None
) -> Surroundings:
    return Surroundings(referred=(Referred(reference, exists, at),))


def test_nothing_around_says_nothing() -> None:
    assert guards() == {}


@pytest.mark.parametrize(("named", "level"), [(0, Level.BLOCK), (1, Level.WARN)])
def test_a_target_that_needs_what_is_gone_cannot_start(named: int, level: Level) -> None:
    found = guards(referred(SECRET, exists=False), named=named)["reference-missing"]

    assert level is found.level
    assert "Revision 1 needs secret/db, which does not exist" in found.summary
    assert "kubectl -n veza-production get secret/db" in found.remedy


def test_a_priority_class_is_looked_for_outside_the_namespace() -> None:
    gone = referred(Reference("priorityclass", "high"), exists=False)

    assert "`kubectl get priorityclass/high`" in guards(gone)["reference-missing"].remedy


def test_what_is_optional_is_only_noted() -> None:
    gone = referred(Reference("secret", "x", optional=True), exists=False)

    assert {"optional-reference-missing": Level.INFO} == {
        name: one.level for name, one in guards(gone).items()
    }


@pytest.mark.parametrize(("minutes", "warned"), [(119, True), (121, False)])
def test_content_that_changed_after_the_target_ran_is_a_warning(
    minutes: int, *, warned: bool
) -> None:
    found = guards(referred(CONFIG, at=NOW - timedelta(minutes=minutes)))

    assert warned is ("content-changed" in found)


def test_a_quota_without_room_is_a_warning_with_numbers() -> None:
    short = Surroundings(shortages=(Shortage("team", "requests.cpu", "100m", "200m", 1),))

    assert guards(short)["quota"].summary == (
        "The rollout adds 1 pod at its peak and needs 200m of requests.cpu; "
        "the quota team leaves 100m."
    )


@pytest.mark.parametrize(
    ("replicas", "owner", "level", "said"),
    [
        (3, "", Level.INFO, "The autoscaler web keeps 2 to 9 replicas"),
        (3, "KEDA", Level.INFO, "KEDA (web) keeps 2 to 9 replicas"),
        (0, "", Level.WARN, "switched off while the Deployment is scaled to 0"),
        (0, "KEDA", Level.INFO, "keeps 2 to 9 replicas"),
    ],
)
def test_an_autoscaler_is_named(replicas: int, owner: str, level: Level, said: str) -> None:
    around = Surroundings(autoscalers=(Autoscaler("web", owner, 2, 9),))
    found = guards(around, release(replicas=replicas))["autoscaler"]

    assert level is found.level
    assert said in found.summary


def test_somebody_else_s_lock_blocks() -> None:
    around = Surroundings(locked="bob has been working on api since 11:00.", unlock="Talk to bob.")

    assert guards(around)["locked"] == Guard(
        "locked", Level.BLOCK, "bob has been working on api since 11:00.", "Talk to bob."
    )


def test_what_could_not_be_read_is_named() -> None:
    assert (
        "secret/db (forbidden)"
        in guards(Surroundings(unseen=("secret/db (forbidden)",)))["not-seen"].summary
    )


@pytest.mark.parametrize(
    ("image", "warned"),
    [("app", True), ("app:latest", True), ("host:5000/app", True), ("app:v1", False),
     ("app@sha256:0123", False), ("host:5000/app:v1", False)],
)  # fmt: skip
def test_a_tag_that_does_not_stand_still_is_a_warning(image: str, *, warned: bool) -> None:
    assert warned is ("mutable-tag" in guards(seen=release(template(image))))


def test_a_tag_that_was_pushed_again_is_seen_in_the_pods() -> None:
    one = replicaset(1, template("app:v1"), created=ago(days=3), pods=2)
    two = replicaset(2, template("app:v2"), created=ago(hours=2), pods=1, available=0)
    pods = [pod("a", one), pod("b", one)]
    for each, digest in zip(pods, ("aaaa", "bbbb"), strict=True):
        [status] = each["status"]["containerStatuses"]
        status |= {"image": "app:v1", "imageID": f"docker.io/app@sha256:{digest}"}

    found = guards(seen=workload(deployment(), [one, two], pods))

    assert "app:v1 run 2 different images: sha256:aaaa, sha256:bbbb" in found["tag-moved"].summary


def test_a_server_side_applier_is_a_warning_and_a_known_tool_is_not_named_twice() -> None:
    managed = deployment()
    managed["metadata"]["managedFields"] = [
        {"manager": "deployer", "operation": "Apply"},
        {"manager": "kustomize-controller", "operation": "Apply"},
        {"manager": "kubectl-edit", "operation": "Update"},
    ]
    one = replicaset(1, template("app:v1"), created=ago(days=3), pods=3)
    two = replicaset(2, template("app:v2"), created=ago(hours=2), pods=1, available=0)

    found = guards(seen=workload(managed, [one, two]))

    assert "managed-by-flux" in found
    assert found["server-side-applied"].summary.startswith("deployer applied this Deployment")


@pytest.mark.parametrize(
    ("reason", "level"), [("", Level.BLOCK), ("customers cannot pay", Level.WARN)]
)
def test_a_change_freeze_is_broken_only_with_a_reason(reason: str, level: Level) -> None:
    found = guards(freeze="year end (until …)", break_glass=reason)["change-freeze"]

    assert level is found.level
    assert reason in found.summary
