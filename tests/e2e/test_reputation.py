"""A rollback leaves word on the ReplicaSets, so that nobody goes back to the bad one unaware."""

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import SERVICE, Application
from veza_nb.permissions import NEEDED

VERDICT = "veza.dev/rollback-verdict"
CONFIRMED = ("--confirm", SERVICE)


def marks(seen: Application) -> dict[str, str]:
    """Image to the mark on its ReplicaSet."""
    found: Any = seen.apps.list_namespaced_replica_set(seen.namespace).items
    return {_image(one): (one.metadata.annotations or {}).get(VERDICT, "") for one in found}


def _image(replicaset: Any) -> str:
    image: str = replicaset.spec.template.spec.containers[0].image
    return image


def kubectl(seen: Application, *words: str) -> None:
    scope = ["--kubeconfig", str(seen.kubeconfig), "--context", seen.context, "-n", seen.namespace]
    subprocess.run(["kubectl", *scope, *words], check=True, capture_output=True)


def revisions(seen: Application) -> dict[str, dict[str, Any]]:
    """Image to its revision, as `plan -o json` tells it."""
    told = json.loads(seen.veza_nb("plan", "-o", "json").stdout)
    return {next(iter(one["images"].values())): one for one in told["history"]["revisions"]}


def test_after_a_recovery_the_bad_revision_is_marked_and_so_is_the_good_one(
    broken: Application,
) -> None:
    done = broken.veza_nb("rollback", *CONFIRMED, "--incident", "i-17", "--reason", "5xx")

    assert done.code == 0, done.stderr
    found = marks(broken)
    assert found[broken.images.bad].startswith("bad template=")
    assert "incident i-17" in found[broken.images.bad]
    assert "; 5xx" in found[broken.images.bad]
    assert found[broken.images.good].startswith("good template=")


def test_going_back_to_the_marked_one_is_spoken_against(broken: Application) -> None:
    broken.veza_nb("rollback", *CONFIRMED)
    number = revisions(broken)[broken.images.bad]["number"]

    done = broken.veza_nb("plan", "--to-revision", str(number))

    assert f"Revision {number} is known to be bad" in " ".join(done.stdout.split())


def test_a_mark_that_kubectl_carries_on_to_other_templates_blames_none_of_them(
    broken: Application,
) -> None:
    broken.veza_nb("rollback", *CONFIRMED)
    kubectl(broken, "rollout", "undo", f"deployment/{SERVICE}")
    broken.release(broken.images.other)

    found = revisions(broken)

    assert marks(broken)[broken.images.other].startswith("bad template=")
    assert found[broken.images.bad]["standing"] == "bad"
    assert found[broken.images.other]["standing"] == "current"
    assert "bad" not in " ".join(found[broken.images.other]["reasons"])


@pytest.mark.powers
@pytest.mark.usefixtures("powers")
def test_without_the_right_to_mark_the_rollback_works_and_the_mark_is_left_to_do(
    broken: Application,
) -> None:
    broken.allow("rollback-bot", NEEDED)

    done = broken.veza_nb("rollback", *CONFIRMED, "--context", "veza-training-bot")

    assert done.code == 0, done.stderr
    todo = " ".join(broken.record()["left_to_do"])
    assert f"kubectl -n {broken.namespace} annotate --overwrite replicaset/" in todo
    assert set(marks(broken).values()) == {""}
