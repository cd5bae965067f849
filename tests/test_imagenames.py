"""One image has many names; and what is known of whether it can be had at all."""

from typing import Any

import msgspec
import pytest

from tests.builders import NOW, Json, failed_release
from veza_nb.choices import Choice
from veza_nb.findings import Diagnosis
from veza_nb.guards import Guard
from veza_nb.imagenames import full_name
from veza_nb.objects import Workload
from veza_nb.orders import Order
from veza_nb.plans import Plan, make_plan
from veza_nb.references import Reference, pull_secrets
from veza_nb.revisions import read_history
from veza_nb.surroundings import OnNodes, Referred, Surroundings
from veza_nb.vocabulary import Decision, Level

ROLL_BACK = Diagnosis((), Decision.ROLL_BACK, ())


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("docker.io/library/nginx:1.27", "docker.io/library/nginx:1.27"),
        ("index.docker.io/veza/api", "docker.io/veza/api:latest"),
        ("veza/api:v1", "docker.io/veza/api:v1"),
        ("localhost/api:v1", "localhost/api:v1"),
        ("localhost:5000/api", "localhost:5000/api:latest"),
        ("registry.veza.example/api:v1", "registry.veza.example/api:v1"),
        ("registry.veza.example/api:v1@sha256:ab", "registry.veza.example/api@sha256:ab"),
        ("registry.veza.example/api@sha256:ab", "registry.veza.example/api@sha256:ab"),
    ],
)
def test_names_of_one_image_become_one(image: str, full: str) -> None:
    assert full_name(image) == full
    assert full_name(full) == full


def guards(around: Surroundings, seen: Workload | None = None) -> dict[str, Guard]:
    seen = seen or failed_release()
    order = Order(service="api", incident="i", operator="kim", choice=Choice(1))
    made = make_plan(seen, read_history(seen, now=NOW), ROLL_BACK, order, around=around)
    assert isinstance(made, Plan)
    return {one.name: one for one in made.guards}


def test_an_image_that_no_node_names_is_warned_of_and_proves_nothing() -> None:
    found = guards(Surroundings(on_nodes=OnNodes(3, ("app:v1",))))["image-not-on-nodes"]

    assert found.level is Level.WARN
    assert "None of 3 nodes looked at names app:v1" in found.summary
    assert "proves nothing" in found.summary
    assert "docker manifest inspect app:v1" in found.remedy


@pytest.mark.parametrize("seen", [None, OnNodes(3, ())])
def test_images_that_are_there_or_that_nobody_looked_for_are_no_news(seen: OnNodes | None) -> None:
    assert not [name for name in guards(Surroundings(on_nodes=seen)) if name.startswith("image-")]


def waiting(reason: str, image: str) -> Workload:
    """The usual incident, where a pod of the old template waits for its image."""
    seen = msgspec.to_builtins(failed_release())
    status = seen["pods"][0]["status"]["containerStatuses"][0]
    status |= {"image": image, "state": {"waiting": {"reason": reason, "message": "not found"}}}
    return msgspec.convert(seen, Workload)


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_an_image_that_cannot_be_pulled_now_is_warned_of(reason: str) -> None:
    found = guards(Surroundings(), waiting(reason, "docker.io/library/app:v1"))["image-unpullable"]

    assert found.level is Level.WARN
    assert f"waits with {reason} (not found): app:v1 cannot be pulled" in found.summary


@pytest.mark.parametrize(
    ("reason", "image"), [("ContainerCreating", "app:v1"), ("ErrImagePull", "app:v2")]
)
def test_other_waiting_and_other_images_say_nothing_about_it(reason: str, image: str) -> None:
    assert "image-unpullable" not in guards(Surroundings(), waiting(reason, image))


def test_a_pull_secret_that_is_gone_is_more_than_an_optional_reference() -> None:
    secret = Reference("secret", "registry", optional=True)
    seen = msgspec.to_builtins(failed_release())
    spec: Any = seen["replicasets"][0]["spec"]["template"]["spec"]
    spec["imagePullSecrets"] = [{"name": "registry"}]
    changed = msgspec.convert(seen, Workload)
    around = Surroundings(referred=(Referred(secret, exists=False),))
    found = guards(around, changed)

    assert found["pull-secret-missing"].level is Level.WARN
    assert "optional-reference-missing" not in found
    assert pull_secrets({"spec": spec}) == {secret}


def test_a_pull_secret_that_is_there_is_not_talked_about() -> None:
    odd: Json = {"spec": {"imagePullSecrets": "x"}}

    assert pull_secrets(odd) == frozenset()
    assert "pull-secret-missing" not in guards(Surroundings())
