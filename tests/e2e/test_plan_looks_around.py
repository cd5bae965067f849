"""A plan says what around the Deployment would keep it from working, and what it could not see."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import SERVICE, Application
from veza_nb.permissions import NEEDED
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.vocabulary import RolloutPhase

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]
CONFIRMED = ("--confirm", SERVICE)

Json = dict[str, Any]


def do(seen: Application, work: Callable[[Client], object]) -> None:
    """Something an administrator does in the cluster."""
    assert seen.training is not None
    seen.training.call(work)


def create(seen: Application, resource: str, body: Json) -> None:
    do(seen, lambda client: client.create(resource, seen.namespace, body))


def guards(seen: Application, *arguments: str) -> dict[str, Json]:
    """Guard to what it says, as `plan -o json` tells it."""
    told = json.loads(seen.veza_nb("plan", "-o", "json", *arguments).stdout)
    return {one["name"]: one for one in told["plan"]["guards"]}


def use_secret(seen: Application) -> None:
    """Let the good release read a Secret, then release the bad one, which does not."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db"},
        "data": {"k": "dg=="},
    }
    create(seen, "secrets", secret)
    container = seen.deployment()["spec"]["template"]["spec"]["containers"][0]["name"]
    with_it = {
        "name": container,
        "image": seen.images.good,
        "envFrom": [{"secretRef": {"name": "db"}}],
    }
    without = {"name": container, "image": seen.images.bad, "envFrom": None}
    for change in (with_it, without):
        patch = {"spec": {"template": {"spec": {"containers": [change]}}}}
        seen.apps.patch_namespaced_deployment(SERVICE, seen.namespace, patch)
        seen.wait_for(RolloutPhase.COMPLETE, RolloutPhase.STUCK)


def test_a_secret_that_the_target_needs_and_that_is_gone_blocks(application: Application) -> None:
    use_secret(application)
    do(application, lambda client: client.delete("secrets", application.namespace, "db"))

    done = application.veza_nb("rollback", *CONFIRMED)

    assert done.code == 3, done.stderr
    assert "needs secret/db, which does not exist" in " ".join(done.stderr.split())
    assert application.image == application.images.bad


def test_a_secret_changed_since_the_target_ran_is_told_without_being_read(
    application: Application,
) -> None:
    use_secret(application)
    changed = {"data": {"k": "bmV3"}}
    do(application, lambda client: client.patch("secrets", application.namespace, "db", changed))

    assert guards(application)["content-changed"]["level"] == "warn"
    assert application.training is not None
    asked = [one for one in application.training.audit() if one.resource == "secrets"]
    assert {"get"} == {one.verb for one in asked if one.agent.startswith("veza-nb")}


def test_quota_and_autoscaler_are_seen(broken: Application) -> None:
    metadata = {"name": "team"}
    create(
        broken,
        "resourcequotas",
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata,
         "spec": {"hard": {"pods": "50"}}},
    )  # fmt: skip
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": SERVICE}
    create(
        broken,
        "horizontalpodautoscalers",
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata,
         "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5}},
    )  # fmt: skip

    found = guards(broken)

    assert "quota" not in found
    assert "The autoscaler team keeps 1 to 5 replicas" in found["autoscaler"]["summary"]


def test_without_the_rights_to_look_around_the_plan_says_so_and_stands(broken: Application) -> None:
    broken.allow("rollback-bot", NEEDED)

    found = guards(broken, "--context", "veza-training-bot")

    assert "autoscalers" in found["not-seen"]["summary"]
    assert "quotas" in found["not-seen"]["summary"]
    assert [] == [name for name, one in found.items() if one["level"] == "block"]


def test_a_lock_that_somebody_else_holds_is_respected_until_it_is_taken_by_force(
    broken: Application,
) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": f"veza-nb-{SERVICE}", "annotations": {"veza.dev/incident": "i-9"}},
        "spec": {
            "holderIdentity": "bob@elsewhere (pid 1)",
            "leaseDurationSeconds": 3600,
            "acquireTime": "2026-01-01T00:00:00.000000Z",
            "renewTime": "2999-01-01T00:00:00.000000Z",
        },
    }
    create(broken, "leases", lease)

    refused = broken.veza_nb("rollback", *CONFIRMED)
    forced = broken.veza_nb("rollback", *CONFIRMED, "--force-lock", "bob is on a plane")

    assert (refused.code, forced.code) == (3, 0), forced.stderr
    assert "bob@elsewhere" in refused.stderr
    folder = max(broken.records.iterdir())
    assert "bob is on a plane" in (folder / "journal.jsonl").read_text()


def test_a_change_freeze_is_respected_until_somebody_breaks_it(broken: Application) -> None:
    freeze = "freeze: [{from: 2020-01-01T00:00:00Z, to: 2999-01-01T00:00:00Z, reason: year end}]\n"
    broken.catalog.write_text(broken.catalog.read_text() + freeze)

    refused = broken.veza_nb("rollback", *CONFIRMED)
    broken_glass = broken.veza_nb("rollback", *CONFIRMED, "--break-glass", "nobody can pay")

    assert (refused.code, broken_glass.code) == (3, 0)
    assert "Changes are frozen now: year end" in " ".join(refused.stderr.split())
    assert "nobody can pay" in json.dumps(broken.record()["plan"]["guards"])


def test_two_people_where_the_catalogue_asks_for_two(broken: Application) -> None:
    broken.catalog.write_text(broken.catalog.read_text() + "approval: {two_people: true}\n")
    plan = json.loads(broken.veza_nb("plan", "-o", "json").stdout)["plan"]["id"]

    alone = broken.veza_nb("rollback", *CONFIRMED, "--operator", "alice")
    same = broken.veza_nb("rollback", "--confirm", f"{plan}:Alice", "--operator", "alice")
    both = broken.veza_nb("rollback", "--confirm", f"{plan}:bob", "--operator", "alice")

    assert (alone.code, same.code, both.code) == (3, 3, 0)
    assert "Two people are required" in alone.stderr
    assert broken.record()["approval"]["approver"] == "bob"


@pytest.mark.parametrize("choice", ["--image", "--as-of"])
def test_the_target_may_be_named_by_image_or_by_time(broken: Application, choice: str) -> None:
    found: Any = broken.apps.list_namespaced_replica_set(broken.namespace).items
    good = next(
        one for one in found
        if one.spec.template.spec.containers[0].image == broken.images.good
    )  # fmt: skip
    created = good.metadata.creation_timestamp.isoformat()
    named = broken.images.good if choice == "--image" else created

    told = json.loads(broken.veza_nb("plan", "-o", "json", choice, named).stdout)["plan"]

    assert set(told["images_after"].values()) == {broken.images.good}
    assert "named" in " ".join(told["reasons"])
