"""Argo CD and Flux in the training cluster: they bring back what Git says, unless paused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.sandbox.conftest import NAMESPACE, ApiInProcess
from tests.sandbox.planes import REPOSITORY, SPACE, Stage, play, tag_in
from veza_nb.sandbox.apiserver.client import PatchType
from veza_nb.sandbox.controllers.gitops import differs, seconds_of

Json = dict[str, Any]
SELF_HEAL: Json = {"syncPolicy": {"automated": {"selfHeal": True}}}


def commit(stage: Stage, tag: str, owner: str = "shop", *, first: bool = False) -> None:
    """Let Git say which image is to run."""
    containers = [{"name": "c", "image": f"{REPOSITORY}:{tag}"}]
    manifest = {
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": containers}}},
    }
    data = {"web.yaml": yaml.safe_dump(manifest)}
    if first:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"git-{owner}"}}
        stage.admin.create("configmaps", SPACE, {**body, "data": data})
    else:
        stage.admin.patch("configmaps", SPACE, f"git-{owner}", {"data": data})


def own(stage: Stage, resource: str, **spec: Any) -> None:
    """Let a tool own the Deployment, with v1 in Git."""
    kinds = {
        "applications": ("argoproj.io/v1alpha1", "Application"),
        "kustomizations": ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
        "helmreleases": ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
    }
    version, kind = kinds[resource]
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": "shop"}, "spec": spec}
    commit(stage, "v1", first=True)
    stage.admin.create(resource, SPACE, body)


def test_argo_cd_takes_a_manual_change_back_within_seconds() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(tag="v1")
        own(stage, "applications", **SELF_HEAL)
        await stage.pass_time(10)
        stage.set_image("v2")
        await stage.pass_time(6)

        assert tag_in(stage.get()) == "v1"
        notes = stage.get()["metadata"]["annotations"]
        assert notes["argocd.argoproj.io/tracking-id"] == f"shop:apps/Deployment:{SPACE}/web"
        writers = {each["manager"] for each in stage.get()["metadata"]["managedFields"]}
        assert "argocd-controller" in writers

    play(story)


@pytest.mark.parametrize(
    "spec",
    [{}, {"syncPolicy": {"automated": {}}}, {"syncPolicy": {"automated": {"enabled": False}}}],
)
def test_without_self_heal_argo_cd_only_says_that_it_is_out_of_sync(spec: Json) -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(tag="v1")
        own(stage, "applications", **spec)
        if spec:
            await stage.pass_time(10)
        # What nobody tracks yet it finds on its own when it comes by.
        stage.set_image("v2")
        await stage.pass_time(200)

        assert tag_in(stage.get()) == "v2"
        status = stage.admin.get("applications", SPACE, "shop")["status"]
        assert status["sync"]["status"] == "OutOfSync"
        assert [each["status"] for each in status["resources"]] == ["OutOfSync"]

    play(story)


def test_argo_cd_applies_a_commit() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(tag="v1")
        own(stage, "applications", syncPolicy={"automated": {}})
        await stage.pass_time(10)
        commit(stage, "v2")
        await stage.pass_time(10)

        assert tag_in(stage.get()) == "v2"
        status = stage.admin.get("applications", SPACE, "shop")["status"]
        assert status["sync"]["status"] == "Synced"

    play(story)


def test_flux_takes_a_change_back_at_its_interval_and_not_while_suspended() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(tag="v1")
        own(stage, "kustomizations", interval="1m")
        await stage.pass_time(10)
        assert stage.get()["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] == "shop"

        stage.set_image("v2")
        await stage.pass_time(20)
        assert tag_in(stage.get()) == "v2"
        await stage.pass_time(45)
        assert tag_in(stage.get()) == "v1"

        stage.admin.patch("kustomizations", SPACE, "shop", {"spec": {"suspend": True}})
        stage.set_image("v2")
        await stage.pass_time(300)
        assert tag_in(stage.get()) == "v2"

        stage.admin.patch("kustomizations", SPACE, "shop", {"spec": {"suspend": False}})
        await stage.pass_time(5)
        assert tag_in(stage.get()) == "v1"

    play(story)


@pytest.mark.parametrize(("mode", "tag"), [("enabled", "v1"), ("disabled", "v2")])
def test_a_helm_release_of_flux_corrects_only_with_drift_detection(mode: str, tag: str) -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(tag="v1")
        own(stage, "helmreleases", interval="1m", driftDetection={"mode": mode})
        await stage.pass_time(10)
        stage.set_image("v2")
        await stage.pass_time(90)

        assert tag_in(stage.get()) == tag

    play(story)


def test_custom_resources_take_what_nobody_knows_and_no_strategic_patch(
    cluster: ApiInProcess,
) -> None:
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/applications"
    spec = {"source": {"anything": [1, {"deep": None}]}}
    body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "spec": spec}
    made: Any = cluster.ask("POST", path, {**body, "metadata": {"name": "shop"}}).document
    patch = {"spec": {"more": True}}
    strategic = cluster.ask("PATCH", f"{path}/shop", patch, content_type=PatchType.STRATEGIC)
    merged = cluster.ask("PATCH", f"{path}/shop", patch, content_type=PatchType.MERGE)
    changed: Any = merged.document

    assert made["spec"] == spec
    assert strategic.status == 415
    assert changed["spec"] == {**spec, "more": True}
    assert (made["metadata"]["generation"], changed["metadata"]["generation"]) == (1, 2)


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("1h30m", 5400), ("45s", 45), ("", 600), (None, 600)]
)
def test_intervals_as_flux_spells_them(text: object, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("wanted", "live", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": 1}}, {"a": None}, True),
        (
            [{"name": "c", "image": "x"}],
            [{"name": "d"}, {"name": "c", "image": "x", "p": 1}],
            False,
        ),
        ([{"name": "c", "image": "x"}], [], True),
        ([1, 2], [1, 2], False),
        ([], [1], True),
    ],
)
def test_only_what_git_asks_for_is_compared(wanted: Any, live: Any, expected: bool) -> None:
    assert differs(wanted, live) is expected
