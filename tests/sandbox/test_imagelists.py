"""Nodes name the images they have, as kubelets do: newest first, fifty at most."""

from __future__ import annotations

from typing import Any

from tests.sandbox.planes import REPOSITORY, Stage, play
from veza_nb.sandbox.nodes.imagelists import MOST, ImageLists

Json = dict[str, Any]


def named(stage: Stage, node: str = "veza-node-1") -> list[str]:
    """Names of the images of a node, by tag."""
    status = stage.admin.get("nodes", None, node)["status"]
    return [entry["names"][1] for entry in status.get("images", [])]


def test_a_node_has_what_its_pods_were_started_from_and_nothing_that_was_not_pulled() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(tag="v1", replicas=3)
        await stage.pass_time(10)
        stage.set_image("v2-missing")
        await stage.pass_time(10)
        stage.set_image("v3")
        await stage.pass_time(30)

        nodes = stage.admin.list("nodes")
        assert len(nodes) == 3
        for node in nodes:
            images = named(stage, node["metadata"]["name"])
            assert images == [f"{REPOSITORY}:v3", f"{REPOSITORY}:v1"]
            assert node["status"]["images"][0]["names"][0].startswith(f"{REPOSITORY}@sha256:")

    play(story)


def test_a_list_holds_fifty_and_an_unknown_node_has_none() -> None:
    async def story(stage: Stage) -> None:
        await stage.pass_time(1)
        lists = ImageLists(stage.admin, stage.plane.informers.nodes)
        for number in range(MOST + 2):
            lists.add("veza-node-1", f"{REPOSITORY}:v{number}")
        lists.add("veza-node-1", f"{REPOSITORY}:v{MOST}")
        lists.add("nowhere", f"{REPOSITORY}:v1")

        assert len(named(stage)) == MOST
        assert named(stage)[:2] == [f"{REPOSITORY}:v{MOST + 1}", f"{REPOSITORY}:v{MOST}"]
        assert f"{REPOSITORY}:v0" not in named(stage)

    play(story)
