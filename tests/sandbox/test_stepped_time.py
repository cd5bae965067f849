"""A clock that stands until it is told to go on, and one that waits faster than the machine."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
import yaml

from veza_nb.sandbox.apiserver.client import Client, PatchType
from veza_nb.sandbox.clock import LONGEST_STEP, Clock, parse_timestamp, span
from veza_nb.sandbox.lifecycle import TrainingCluster

Json = dict[str, Any]
SPACE, BACKEND = "veza-production", "veza-backend-api"
START = datetime(2026, 1, 1, tzinfo=UTC)


def run(clock: Clock, story: Any) -> Any:
    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        return runner.run(story)


# -- the clock -----------------------------------------------------------------------------------


def test_nothing_happens_and_no_time_passes_without_a_step() -> None:
    clock, fired = Clock(start=START, stepped=True), []

    async def story() -> None:
        clock.call_later(0.001, lambda: fired.append("late"))
        await asyncio.sleep(0.05)

    run(clock, story())

    assert fired == []
    assert START == clock.now()


def test_a_step_lives_through_all_that_is_due_in_its_order_and_no_more() -> None:
    clock, seen = Clock(start=START, stepped=True), []

    def note(name: str) -> None:
        seen.append((name, clock.now() - START))

    async def sleeper() -> None:
        while True:
            await clock.sleep(4)
            note("sleeper")

    async def story() -> None:
        task = asyncio.create_task(sleeper())
        await asyncio.sleep(0)
        clock.call_later(6, lambda: clock.call_later(3, lambda: note("child")))
        clock.call_later(6, lambda: note("second"))
        clock.call_later(10, lambda: note("at the end"))
        clock.call_later(10.5, lambda: note("after it"))
        await clock.step(10)
        task.cancel()

    run(clock, story())

    expected = [("sleeper", 4), ("second", 6), ("sleeper", 8), ("child", 9), ("at the end", 10)]
    assert [(name, timedelta(seconds=seconds)) for name, seconds in expected] == seen
    assert START + timedelta(seconds=10) == clock.now()


def test_what_is_due_now_needs_no_time() -> None:
    clock, fired = Clock(stepped=True), []

    async def story() -> None:
        clock.call_later(0, lambda: fired.append("now"))
        await clock.step(0)

    run(clock, story())

    assert fired == ["now"]
    assert clock.monotonic() == 0


def test_a_step_waits_until_nothing_stirs() -> None:
    clock, stages = Clock(stepped=True), []

    async def work() -> None:
        for stage in range(100):
            await asyncio.sleep(0)
            stages.append(stage)

    async def story() -> int:
        clock.call_later(1, lambda: tasks.append(asyncio.create_task(work())))
        tasks: list[asyncio.Task[None]] = []
        await clock.step(1)
        return len(stages)

    assert run(clock, story()) == 100


def test_time_stands_while_a_real_process_works() -> None:
    clock = Clock(stepped=True)

    async def work() -> float:
        with clock.holding():
            process = await asyncio.create_subprocess_exec("sleep", "0.05")
            await process.wait()
            return clock.monotonic()

    async def story() -> list[float]:
        tasks: list[asyncio.Task[float]] = []
        clock.call_later(3, lambda: tasks.append(asyncio.create_task(work())))
        await clock.step(10)
        return [task.result() for task in tasks]

    assert run(clock, story()) == [3.0]
    assert clock.monotonic() == 10


def test_steps_at_the_same_time_follow_one_another() -> None:
    clock = Clock(stepped=True)

    async def story() -> None:
        await asyncio.gather(*(clock.step(seconds) for seconds in (1, 2, 4)))

    run(clock, story())

    assert clock.monotonic() == 7


def test_a_step_that_is_given_up_leaves_the_clock_standing() -> None:
    clock, fired = Clock(stepped=True), []

    async def story() -> float:
        def give_up() -> None:
            fired.append("first")
            step.cancel()

        clock.call_later(1, give_up)
        clock.call_later(2, lambda: fired.append("second"))
        step = asyncio.create_task(clock.step(5))
        await asyncio.wait([step])
        stood = clock.monotonic()
        await asyncio.sleep(0.01)
        assert stood == clock.monotonic()
        await clock.step(1)
        return stood

    assert run(clock, story()) == 1
    assert fired == ["first", "second"]


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, -math.inf, LONGEST_STEP * 2])
def test_a_step_of_no_length_is_refused(seconds: float) -> None:
    clock = Clock(stepped=True)

    with pytest.raises(ValueError, match="a step is 0 to 31622400 seconds, not"):
        run(clock, clock.step(seconds))


def test_a_clock_that_runs_cannot_be_stepped() -> None:
    clock = Clock()

    with pytest.raises(ValueError, match="clock runs by itself; only a stepped one can be moved"):
        run(clock, clock.step(1))


def test_after_a_history_a_stepped_clock_stands_where_it_ended() -> None:
    clock = Clock(start=START, stepped=True)

    async def story() -> datetime:
        clock.fast_forward(START - timedelta(days=9))
        await clock.sleep(9 * 86400)
        clock.real_time()
        await asyncio.sleep(0.01)
        await clock.step(60)
        return clock.now()

    assert run(clock, story()) == START + timedelta(seconds=60)


# -- a stepped cluster ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stepped() -> Iterator[TrainingCluster]:
    with TrainingCluster.start(stepped=True) as cluster:
        yield cluster


def http(cluster: TrainingCluster) -> httpx.Client:
    token = yaml.safe_load(cluster.kubeconfig.read_text())["users"][0]["user"]["token"]
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=cluster.url, verify=False, headers=headers)


def deployment(client: Client) -> Json:
    return client.get("deployments", SPACE, BACKEND)


def roll(cluster: TrainingCluster, tag: str, **spec: Any) -> None:
    image = f"registry.veza.example/{BACKEND}:{tag}"
    containers = [{"name": "backend-api", "image": image}]
    patch = {"spec": {**spec, "template": {"spec": {"containers": containers}}}}
    cluster.call(
        lambda client: client.patch("deployments", SPACE, BACKEND, patch, kind=PatchType.STRATEGIC)
    )


def now(cluster: TrainingCluster) -> datetime:
    with http(cluster) as client:
        return parsedate_to_datetime(client.get("/version").headers["Date"])


def reason(item: Json) -> str:
    conditions = {each["type"]: each for each in item["status"]["conditions"]}
    return str(conditions["Progressing"]["reason"])


def test_the_date_stands_and_is_the_one_that_objects_get(stepped: TrainingCluster) -> None:
    before = now(stepped)
    stepped.step(3600)
    after = now(stepped)
    made = stepped.call(
        lambda client: client.create("configmaps", SPACE, {"metadata": {"name": "stamped"}})
    )

    assert timedelta(seconds=3600) == after - before
    assert after == now(stepped) == parse_timestamp(made["metadata"]["creationTimestamp"])


def test_a_rollout_moves_only_with_the_steps(stepped: TrainingCluster) -> None:
    roll(stepped, "v2.2.7")
    with http(stepped) as client:
        for _ in range(20):
            client.get("/version")
    stood = stepped.call(deployment)
    stepped.step(30)
    done = stepped.call(deployment)

    assert stood["metadata"]["generation"] == stood["status"]["observedGeneration"] + 1
    assert done["status"]["observedGeneration"] == done["metadata"]["generation"]
    assert done["status"]["updatedReplicas"] == done["status"]["availableReplicas"] == 3


def test_the_deadline_comes_in_its_second(stepped: TrainingCluster) -> None:
    """Its clock begins when the new ReplicaSet is made."""
    roll(stepped, "v2.5.0", progressDeadlineSeconds=300)
    stepped.step(298)
    before = reason(stepped.call(deployment))
    stepped.step(6)
    after = reason(stepped.call(deployment))

    assert (before, after) == ("NewReplicaSetCreated", "ProgressDeadlineExceeded")
    roll(stepped, "v2.3.1")
    stepped.step(30)


def test_a_watch_that_waits_is_told_during_a_step(stepped: TrainingCluster) -> None:
    told: list[Json] = []
    path = f"/apis/apps/v1/namespaces/{SPACE}/deployments"
    with http(stepped) as client:
        version = client.get(path).json()["metadata"]["resourceVersion"]
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "30"}
        with client.stream("GET", path, params=query) as stream:
            lines = stream.iter_lines()
            stepping = threading.Thread(target=roll_and_step, args=(stepped, "v2.2.6"))
            stepping.start()
            for line in lines:
                told.append(json.loads(line)["object"])
                if (
                    told[-1]["status"].get("observedGeneration")
                    == told[-1]["metadata"]["generation"]
                    and reason(told[-1]) == "NewReplicaSetAvailable"
                ):
                    break
            stepping.join()

    assert len(told) > 3
    assert told[-1]["status"]["updatedReplicas"] == 3


def test_a_task_with_a_real_program_is_done_within_its_step(stepped: TrainingCluster) -> None:
    image = "registry.veza.example/veza-migrate:v2.3.1"
    body = {
        "metadata": {"name": "migrate"},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "migrate", "image": image}]},
    }
    stepped.call(lambda client: client.create("pods", SPACE, body))
    begin = now(stepped)
    stepped.step(60)
    pod = stepped.call(lambda client: client.get("pods", SPACE, "migrate"))
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]

    # It has no database to work on.
    assert (pod["status"]["phase"], ended["exitCode"] != 0) == ("Failed", True)
    assert parse_timestamp(ended["finishedAt"]) - begin < timedelta(seconds=10)


def roll_and_step(cluster: TrainingCluster, tag: str) -> None:
    roll(cluster, tag)
    cluster.step(30)


def story_of(scenario: str) -> list[tuple[float, str, str, str]]:
    """What happens in a minute of a cluster: seconds, kind, reason and how often."""
    with TrainingCluster.start(scenario=scenario, stepped=True) as cluster:
        begin = now(cluster)
        cluster.step(60)
        events = cluster.call(lambda client: client.list("events", SPACE))
    return sorted(
        (
            (parse_timestamp(event["metadata"]["creationTimestamp"]) - begin).total_seconds(),
            event["involvedObject"]["kind"],
            event["reason"],
            str(event.get("count")),
        )
        for event in events
    )


def test_the_same_story_comes_out_twice() -> None:
    first, second = story_of("crash-loop"), story_of("crash-loop")

    assert len(first) > 5
    assert first == second


def test_a_stepped_cluster_has_no_speed() -> None:
    before = threading.active_count()

    with pytest.raises(ValueError, match="a clock that is stepped has no speed"):
        TrainingCluster.start(stepped=True, speed=2)
    assert before == threading.active_count()


# -- a scaled cluster ----------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0, -1, math.nan, math.inf, 1e9, 0.001])
def test_a_speed_that_no_clock_can_have_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match=r"speed must be from 0\.01 to 1000, not"):
        Clock(speed=speed)
    with pytest.raises(ValueError, match=r"speed must be from 0\.01 to 1000, not"):
        TrainingCluster.start(speed=speed)


def test_waits_are_shorter_and_dates_are_the_machines() -> None:
    clock = Clock(speed=1000)

    async def story() -> float:
        before = clock.monotonic()
        await clock.sleep(20)
        return clock.monotonic() - before

    begin = datetime.now(UTC)
    passed = run(clock, story())

    assert passed >= 20
    assert begin - timedelta(seconds=1) < clock.now() <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("seconds", "rate", "expected"),
    [(30, 1, 30.0), (30, 10, 3.9), (0, 10, 0.9), (30, 0.5, 60.0)],
)
def test_a_span_of_dates_is_never_too_short(seconds: float, rate: float, expected: float) -> None:
    """A stamp of a whole second may be almost a second old when it is made."""
    assert timedelta(seconds=expected) == span(seconds, rate)


def test_while_time_jumps_a_span_is_what_it_says() -> None:
    clock = Clock(speed=10)

    async def story() -> tuple[float, float]:
        clock.fast_forward(START)
        jumping = clock.span(30).total_seconds()
        clock.real_time()
        return jumping, clock.span(30).total_seconds()

    assert run(clock, story()) == (30.0, 3.9)


@pytest.fixture(scope="module")
def fast() -> Iterator[TrainingCluster]:
    with TrainingCluster.start(speed=40) as cluster:
        yield cluster


def kubectl(cluster: TrainingCluster, *words: str) -> str:
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def until(cluster: TrainingCluster, wanted: str, seconds: float = 30) -> Json:
    """Wait until the backend's rollout has got so far; at most so many real seconds."""
    for _ in range(int(seconds * 100)):
        item = cluster.call(deployment)
        seen = item["status"].get("observedGeneration") == item["metadata"]["generation"]
        if seen and reason(item) == wanted:
            return item
        threading.Event().wait(0.01)
    raise AssertionError(f"{wanted} did not come: {item['status']}")


def test_no_date_in_a_fast_cluster_is_later_than_now(fast: TrainingCluster) -> None:
    roll(fast, "v2.2.5")
    until(fast, "NewReplicaSetAvailable")
    with http(fast) as client:
        date = parsedate_to_datetime(client.get("/version").headers["Date"])
        text = client.get(f"/api/v1/namespaces/{SPACE}/pods").text
        text += client.get(f"/apis/apps/v1/namespaces/{SPACE}/replicasets").text
    limit = datetime.now(UTC)
    stamps = [
        parse_timestamp(part)
        for part in text.split('"')
        if part.endswith("Z") and part.startswith("20")
    ]
    shown = kubectl(fast, "get", "pods,replicasets,events", "-n", SPACE)

    assert len(stamps) > 30
    assert max(stamps) <= limit
    assert date <= limit < date + timedelta(seconds=60)
    assert "<invalid>" not in shown
    assert "Running" in shown


def test_a_deadline_of_a_minute_passes_in_seconds(fast: TrainingCluster) -> None:
    """And kubectl, which knows nothing of speed, says so."""
    roll(fast, "v2.5.0", progressDeadlineSeconds=60)
    told = kubectl(fast, "rollout", "status", f"deployment/{BACKEND}", "--timeout=30s")
    item = until(fast, "ProgressDeadlineExceeded")
    condition = next(c for c in item["status"]["conditions"] if c["type"] == "Progressing")
    roll(fast, "v2.3.1")
    until(fast, "NewReplicaSetAvailable")

    assert f'error: deployment "{BACKEND}" exceeded its progress deadline\n' in told
    made = parse_timestamp(condition["lastUpdateTime"])
    assert abs(datetime.now(UTC) - made) < timedelta(seconds=300)


def test_ready_for_long_enough_means_cluster_seconds(fast: TrainingCluster) -> None:
    roll(fast, "v2.2.4", minReadySeconds=40, progressDeadlineSeconds=400)
    item = until(fast, "NewReplicaSetAvailable")
    pods = fast.call(lambda client: client.list("pods", SPACE, label_selector=f"app={BACKEND}"))
    ready = min(
        parse_timestamp(condition["lastTransitionTime"])
        for pod in pods
        for condition in pod["status"]["conditions"]
        if condition["type"] == "Ready"
    )
    done = next(c for c in item["status"]["conditions"] if c["type"] == "Progressing")

    assert item["status"]["availableReplicas"] == 3
    # Three pods, one after the other, of 40 cluster seconds each: three real seconds and more,
    # not two minutes.
    passed = parse_timestamp(done["lastUpdateTime"]) - ready
    assert timedelta(seconds=2) <= passed <= timedelta(seconds=100)
