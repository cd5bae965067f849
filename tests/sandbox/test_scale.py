"""Many objects, many watches: nothing is lost, nothing is kept twice, and answers stay the same."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from typing import Any

import aiohttp
import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, ApiServer, pod, recording
from tests.sandbox.planes import SPACE, Stage, play
from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver.arranging import ordered, tidied
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.controllers.conditions import is_true
from veza_nb.sandbox.controllers.replicaset import BURST
from veza_nb.sandbox.controllers.tally import Tally, is_active
from veza_nb.sandbox.serving.fanout import Turns

Json = dict[str, Any]
NOTES = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
WATCHES, EVENTS, IN_ONE_GO = 50, 2000, 40
MANY = 20 * BURST


def test_fifty_watches_see_two_thousand_events_in_order(server: ApiServer) -> None:
    def create(client: Client) -> None:
        client.create("configmaps", NAMESPACE, {"metadata": {"name": "n"}, "data": {"n": "0"}})

    def change(client: Client, numbers: list[int]) -> None:
        for number in numbers:
            client.patch("configmaps", NAMESPACE, "n", {"data": {"n": str(number)}})

    async def follow(stream: aiohttp.ClientResponse) -> list[tuple[str, int, int]]:
        found: list[tuple[str, int, int]] = []
        async for line in stream.content:
            told = json.loads(line)
            thing = told["object"]
            version = int(thing["metadata"]["resourceVersion"])
            found.append((told["type"], int(thing["data"]["n"]), version))
            if len(found) > EVENTS:
                break
        return found

    async def story() -> list[list[tuple[str, int, int]]]:
        context = server.credentials.client_context()
        async with aiohttp.ClientSession(
            server.url,
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            headers={"Authorization": f"Bearer {server.credentials.tokens['admin']}"},
        ) as session:
            streams = [await session.get(NOTES, params={"watch": "1"}) for _ in range(WATCHES)]
            told = [asyncio.create_task(follow(stream)) for stream in streams]
            for first in range(1, EVENTS + 1, IN_ONE_GO):
                numbers = list(range(first, first + IN_ONE_GO))
                await asyncio.to_thread(
                    server.as_admin, lambda client, some=numbers: change(client, some)
                )
            found = await asyncio.gather(*told)
            for stream in streams:
                stream.close()
            return found

    server.as_admin(create)
    for seen in asyncio.run(story()):
        versions = [version for _, _, version in seen]

        assert [("ADDED", 0)] == [(kind, number) for kind, number, _ in seen[:1]]
        assert [("MODIFIED", number) for number in range(1, EVENTS + 1)] == [
            (kind, number) for kind, number, _ in seen[1:]
        ]
        assert sorted(set(versions)) == versions


def test_watches_with_different_views_share_nothing(cluster: ApiInProcess) -> None:
    watches = {
        chosen: cluster.admin.watch("pods", NAMESPACE, label_selector=chosen)
        for chosen in ("", "app=a", "app=b", "app!=a")
    }
    for number in range(30):
        cluster.admin.create("pods", NAMESPACE, pod(f"p{number:02}", app="ab"[number % 2]))

    async def seen() -> dict[str, list[str]]:
        batches = {chosen: await watch.next_batch() for chosen, watch in watches.items()}
        return {
            chosen: [event.object["metadata"]["name"] for event in batch]
            for chosen, batch in batches.items()
        }

    every = [f"p{number:02}" for number in range(30)]
    assert {"": every, "app=a": every[::2], "app=b": every[1::2], "app!=a": every[1::2]} == (
        asyncio.run(seen())
    )


def test_a_watch_that_takes_one_event_at_a_time_sees_them_all(cluster: ApiInProcess) -> None:
    one, other = (cluster.admin.watch("configmaps", NAMESPACE) for _ in range(2))
    for number in range(250):
        body = {"metadata": {"name": f"c{number:03}"}}
        cluster.admin.create("configmaps", NAMESPACE, body)

    async def seen() -> list[list[str]]:
        singly = [(await anext(one)).object["metadata"]["name"] for _ in range(250)]
        batches: list[str] = []
        while len(batches) < 250:
            batch = await other.next_batch(7)
            assert len(batch) <= 7
            batches += [event.object["metadata"]["name"] for event in batch]
        return [singly, batches]

    names = [f"c{number:03}" for number in range(250)]
    assert [names, names] == asyncio.run(seen())


def test_streams_take_turns_so_that_others_come_in_between() -> None:
    async def story() -> Counter[int]:
        turns, rounds, now = Turns(), Counter[int](), 0

        async def stream() -> None:
            for _ in range(5):
                await turns.take()
                rounds[now] += 1

        streams = [asyncio.create_task(stream()) for _ in range(40)]
        while not all(each.done() for each in streams):
            now += 1
            await asyncio.sleep(0)
        return rounds

    rounds = asyncio.run(story())
    assert rounds.total() == 5 * 40
    assert max(rounds.values()) <= 8


def test_pages_over_all_namespaces_tell_every_object_once(cluster: ApiInProcess) -> None:
    for space, number in itertools.product(("a", "a-b", "a0", "ab"), range(3)):
        if number == 0:
            cluster.admin.create("namespaces", None, {"metadata": {"name": space}})
        cluster.admin.create("configmaps", space, {"metadata": {"name": f"c{number}"}})
    told, token = [], ""
    while True:
        answer = cluster.ask("GET", f"/api/v1/configmaps?limit=2&continue={token}")
        page: Any = answer.document
        told += [
            (each["metadata"]["namespace"], each["metadata"]["name"]) for each in page["items"]
        ]
        # Others go on changing things; the pages are of one state.
        cluster.admin.create("configmaps", "a", {"metadata": {"name": f"later{len(told)}"}})
        token = page["metadata"].get("continue", "")
        if not token:
            break

    # In the order of the storage's keys: "-" comes before "/", and "/" before digits and letters.
    spaces = ("a-b", "a", "a0", "ab")
    assert list(itertools.product(spaces, ("c0", "c1", "c2"))) == told


def test_pages_say_how_many_follow(cluster: ApiInProcess) -> None:
    for number in range(7):
        cluster.admin.create("configmaps", NAMESPACE, {"metadata": {"name": f"c{number}"}})
    first: Any = cluster.ask("GET", f"{NOTES}?limit=3").document
    token = first["metadata"]["continue"]
    second: Any = cluster.ask("GET", f"{NOTES}?limit=3&continue={token}").document

    assert [4, 1] == [each["metadata"]["remainingItemCount"] for each in (first, second)]


def test_a_list_by_two_labels_is_the_same_in_either_order(cluster: ApiInProcess) -> None:
    for number in range(20):
        labels = {"app": "web"} | ({"picked": "yes"} if number in (3, 11, 17) else {})
        cluster.admin.create("pods", NAMESPACE, pod(f"p{number:02}", **labels))
    listed = [
        [each["metadata"]["name"] for each in cluster.admin.list("pods", label_selector=chosen)]
        for chosen in ("app=web,picked=yes", "picked=yes,app=web", "picked=yes,app=other")
    ]

    assert [["p03", "p11", "p17"], ["p03", "p11", "p17"], []] == listed


def test_pods_of_one_template_share_what_is_the_same_in_them(cluster: ApiInProcess) -> None:
    body = pod("one", app="web")
    body["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    one = cluster.admin.create("pods", NAMESPACE, body)
    two = cluster.admin.create("pods", NAMESPACE, {**body, "metadata": {"name": "two"}})
    first, second = (each["spec"]["containers"][0] for each in (one, two))

    assert first["ports"] is second["ports"]
    assert first["volumeMounts"] != second["volumeMounts"]
    fields = [each["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"] for each in (one, two)]
    assert fields[0] is fields[1]


def test_a_pod_that_looks_like_an_accepted_one_is_read_on_its_own(cluster: ApiInProcess) -> None:
    body = pod("one")
    cluster.admin.create("pods", NAMESPACE, {**body, "spec": {**body["spec"], "hostNetwork": True}})

    # In Python the two are equal.
    with pytest.raises(ApiError, match="cannot unmarshal number into Go struct field"):
        cluster.admin.create(
            "pods", NAMESPACE, {**pod("two"), "spec": {**body["spec"], "hostNetwork": 1}}
        )


def test_a_body_may_be_changed_after_it_was_sent(cluster: ApiInProcess) -> None:
    body = pod("one")
    cluster.admin.create("pods", NAMESPACE, body)
    body["metadata"]["name"] = "two"
    body["spec"]["containers"][0]["image"] = "registry.example/web:v2"
    two = cluster.admin.create("pods", NAMESPACE, body)

    assert (
        "registry.example/web:v1"
        == (cluster.admin.get("pods", NAMESPACE, "one")["spec"]["containers"][0]["image"])
    )
    assert "registry.example/web:v2" == two["spec"]["containers"][0]["image"]


def test_tidying_gives_what_reading_anew_gives() -> None:
    shape = struct("core.v1.Pod")
    for item in recording("objects/02-created-complete.pods.json")["items"]:
        del item["metadata"]["managedFields"]
        complete = {"kind": "Pod", "apiVersion": "v1", **item}
        shuffled = _turned(complete)

        assert json.dumps(ordered(shape, complete)) == json.dumps(tidied(shape, shuffled))
        assert tidied(shape, complete) is complete


def _turned(value: Any) -> Any:
    """The members of every object the other way round; maps, whose order is free, as they are."""
    if isinstance(value, dict):
        free = all(isinstance(each, str) for each in value.values())
        names = list(value) if free else reversed(value)
        return {name: _turned(value[name]) for name in names}
    return [_turned(each) for each in value] if isinstance(value, list) else value


def test_many_pods_come_and_go_in_strides() -> None:
    async def story(stage: Stage) -> list[int]:
        stage.deploy(replicas=MANY)
        while not stage.pods():
            await stage.pass_time(0.001)
        sizes = [len(stage.pods())]
        # In the middle of a stride it is decided otherwise.
        for wanted in (4 * BURST, 11 * BURST, 7):
            stage.merge({"spec": {"replicas": wanted}})
            await stage.pass_time(60)
            sizes.append(len(stage.pods()))
            assert stage.status()["readyReplicas"] == wanted
        return sizes

    sizes = play(story)
    assert 0 < sizes[0] < MANY
    assert [4 * BURST, 11 * BURST, 7] == sizes[1:]


def test_a_pod_that_no_longer_matches_is_set_free_and_replaced_among_many() -> None:
    async def story(stage: Stage) -> tuple[int, int, list[Json]]:
        stage.deploy(replicas=60)
        await stage.pass_time(30)
        name = stage.pods()[0]["metadata"]["name"]
        stage.admin.patch("pods", SPACE, name, {"metadata": {"labels": {"app": "suspect"}}})
        await stage.pass_time(30)
        free = stage.admin.get("pods", SPACE, name)["metadata"].get("ownerReferences", [])
        # Back again it is one too many.
        stage.admin.patch("pods", SPACE, name, {"metadata": {"labels": {"app": "web"}}})
        replaced = stage.status()["readyReplicas"]
        await stage.pass_time(60)
        return replaced, len(stage.pods()), free

    assert (60, 60, []) == play(story)


def test_a_tally_counts_what_a_look_at_every_pod_would_count() -> None:
    def check(stage: Stage, tally: Tally) -> int:
        for item in stage.replica_sets():
            uid = item["metadata"]["uid"]
            pods = list(stage.plane.informers.pods.select("controller", uid))
            active = [pod for pod in pods if is_active(pod)]
            labels = item["spec"]["template"]["metadata"]["labels"].items()
            counts = tally.counts(uid)

            assert len(active) == counts.active
            assert sum(is_true(pod["status"], "Ready") for pod in active) == counts.ready
            assert sum(labels <= pod["metadata"]["labels"].items() for pod in active) == (
                counts.labeled(labels)
            )
        return len(stage.replica_sets())

    async def story(stage: Stage) -> int:
        tally, looks = Tally(stage.plane.informers.pods, "ReplicaSet"), 0
        stage.deploy(replicas=9)
        for step in range(120):
            if step in (20, 60):
                stage.set_image(f"v{step}")
            if step == 40:
                name = stage.pods()[0]["metadata"]["name"]
                stage.admin.patch("pods", SPACE, name, {"metadata": {"labels": {"x": "y"}}})
            if step == 80:
                stage.merge({"spec": {"replicas": 2}})
            await stage.pass_time(0.05)
            looks += check(stage, tally)
        return looks

    assert play(story) >= 120
