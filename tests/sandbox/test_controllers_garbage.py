"""What owners take along, of any kind; and the names that pods have behind headless Services."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.planes import SPACE, Stage, deployment, play
from veza_nb.sandbox.apimachinery.status import ApiError

Json = dict[str, Any]


def owned_by(*owners: Json, block: bool = False) -> list[Json]:
    """References to owners, none of them in control."""
    return [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for owner in owners
    ]


def config(stage: Stage, name: str, owners: list[Json] | None = None, **metadata: Any) -> Json:
    body: Json = {"metadata": {"name": name, **metadata}}
    if owners:
        body["metadata"]["ownerReferences"] = owners
    return stage.admin.create("configmaps", SPACE, body)


def names(stage: Stage) -> set[str]:
    """Of the settings that tests made."""
    found = (item["metadata"]["name"] for item in stage.admin.list("configmaps", SPACE))
    return {name for name in found if name != "kube-root-ca.crt"}


@pytest.mark.parametrize("resource", ["configmaps", "secrets", "services", "jobs"])
def test_dependents_of_any_kind_go_with_a_deployment(resource: str) -> None:
    async def story(stage: Stage) -> None:
        owner = stage.deploy(replicas=0)
        container = {"name": "m", "image": "registry.example/m:v1"}
        pod = {"restartPolicy": "Never", "containers": [container]}
        specs: dict[str, Json] = {
            "services": {"spec": {"ports": [{"port": 80}]}},
            "jobs": {"spec": {"suspend": True, "template": {"spec": pod}}},
        }
        metadata = {"name": "mine", "ownerReferences": owned_by(owner)}
        stage.admin.create(resource, SPACE, {"metadata": metadata, **specs.get(resource, {})})
        await stage.pass_time(2)
        stage.admin.delete("deployments", SPACE, "web", propagation="Background")
        await stage.pass_time(5)

        with pytest.raises(ApiError, match="not found"):
            stage.admin.get(resource, SPACE, "mine")

    play(story)


def test_of_two_owners_one_is_enough_and_the_reference_to_the_other_goes() -> None:
    async def story(stage: Stage) -> None:
        first, second = config(stage, "first"), config(stage, "second")
        config(stage, "mine", owned_by(first, second))
        await stage.pass_time(2)
        stage.admin.delete("configmaps", SPACE, "first")
        await stage.pass_time(5)
        left = stage.admin.get("configmaps", SPACE, "mine")["metadata"]["ownerReferences"]
        assert [each["name"] for each in left] == ["second"]

        stage.admin.delete("configmaps", SPACE, "second")
        await stage.pass_time(5)
        assert names(stage) == set()

    play(story)


def test_who_is_born_to_an_owner_that_is_gone_does_not_stay() -> None:
    async def story(stage: Stage) -> None:
        owner = config(stage, "owner")
        stage.admin.delete("configmaps", SPACE, "owner")
        await stage.pass_time(2)
        config(stage, "orphan", owned_by(owner))
        await stage.pass_time(5)

        assert names(stage) == set()

    play(story)


def test_an_owner_of_the_same_name_is_not_the_same_owner() -> None:
    async def story(stage: Stage) -> None:
        owner = config(stage, "owner")
        config(stage, "mine", owned_by(owner))
        await stage.pass_time(2)
        stage.admin.delete("configmaps", SPACE, "owner")
        config(stage, "owner")
        await stage.pass_time(5)

        assert names(stage) == {"owner"}

    play(story)


@pytest.mark.parametrize(("block", "waits"), [(True, True), (False, False)])
def test_in_the_foreground_an_owner_waits_for_those_who_block_it(block: bool, waits: bool) -> None:
    async def story(stage: Stage) -> None:
        owner = config(stage, "owner")
        config(stage, "mine", owned_by(owner, block=block), finalizers=["example.com/hold"])
        await stage.pass_time(2)
        stage.admin.delete("configmaps", SPACE, "owner", propagation="Foreground")
        await stage.pass_time(5)
        assert ("owner" in names(stage)) is waits

        stage.admin.patch("configmaps", SPACE, "mine", {"metadata": {"finalizers": None}})
        await stage.pass_time(5)
        assert names(stage) == set()

    play(story)


def test_a_chain_of_owners_goes_from_the_top() -> None:
    async def story(stage: Stage) -> None:
        last = config(stage, "link-0")
        for number in range(1, 6):
            last = config(stage, f"link-{number}", owned_by(last))
        await stage.pass_time(2)
        stage.admin.delete("configmaps", SPACE, "link-0", propagation="Background")
        await stage.pass_time(5)

        assert names(stage) == set()

    play(story)


def test_orphaning_frees_dependents_of_any_kind() -> None:
    async def story(stage: Stage) -> None:
        owner = config(stage, "owner")
        config(stage, "mine", owned_by(owner))
        await stage.pass_time(2)
        stage.admin.delete("configmaps", SPACE, "owner", propagation="Orphan")
        await stage.pass_time(5)

        assert names(stage) == {"mine"}
        left = stage.admin.get("configmaps", SPACE, "mine")["metadata"]
        assert "ownerReferences" not in left

    play(story)


def test_pods_of_a_statefulset_have_names_behind_a_headless_service() -> None:
    async def story(stage: Stage) -> None:
        spec = {"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 80}]}
        stage.admin.create("services", SPACE, {"metadata": {"name": "db"}, "spec": spec})
        body = deployment("db", "v1", 2, serviceName="db")
        stage.admin.create("statefulsets", SPACE, {**body, "kind": "StatefulSet"})
        await stage.pass_time(10)

        endpoints = stage.admin.get("endpoints", SPACE, "db")
        assert endpoints["metadata"]["labels"] == {"service.kubernetes.io/headless": ""}
        [subset] = endpoints["subsets"]
        assert [each["hostname"] for each in subset["addresses"]] == ["db-0", "db-1"]
        [part] = stage.admin.list("endpointslices", SPACE)
        assert [each["hostname"] for each in part["endpoints"]] == ["db-0", "db-1"]

    play(story)


def test_a_service_may_publish_pods_before_they_are_ready() -> None:
    async def story(stage: Stage) -> None:
        spec = {
            "selector": {"app": "web"},
            "ports": [{"port": 80}],
            "publishNotReadyAddresses": True,
        }
        stage.admin.create("services", SPACE, {"metadata": {"name": "web"}, "spec": spec})
        stage.deploy(tag="v1-slow", replicas=2)
        await stage.pass_time(5)

        [subset] = stage.admin.get("endpoints", SPACE, "web")["subsets"]
        assert len(subset["addresses"]) == 2
        assert "notReadyAddresses" not in subset

    play(story)
