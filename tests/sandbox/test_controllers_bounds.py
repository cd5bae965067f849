"""A rolling update on running controllers keeps maxSurge and maxUnavailable at every moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.sandbox.planes import SPACE, Stage, play, rolling, tag_in
from veza_nb.sandbox.controllers import rollout
from veza_nb.sandbox.controllers.replicaset import is_available
from veza_nb.sandbox.controllers.tally import is_active

Json = dict[str, Any]
_PATIENCE_SECONDS = 600
amounts = st.one_of(st.integers(0, 8), st.integers(0, 100).map(lambda n: f"{n}%"))


@dataclass
class Watch:
    """Looks at every state that a watcher of ReplicaSets and pods sees.

    Attributes:
        highest: how many pods there may be.
        lowest: how many must be available.
        states: how many states were seen.
        most: the most pods seen at once.
        least: the fewest available ones.
    """

    stage: Stage
    highest: int
    lowest: int
    states: int = 0
    most: int = 0
    least: int = 10**6
    broken: list[str] = field(default_factory=list)
    closed: bool = False

    def begin(self) -> None:
        informers = self.stage.plane.informers
        for informer in (informers.replica_sets, informers.pods):
            informer.on_change(lambda _old, _new: self.look())

    def look(self) -> None:
        if self.closed:
            return
        informers = self.stage.plane.informers
        pods = [pod for pod in informers.pods.select("namespace", SPACE) if is_active(pod)]
        asked = sum(map(rollout.replicas_of, informers.replica_sets.select("namespace", SPACE)))
        available = sum(is_available(pod, 0, self.stage.plane.clock.now()) for pod in pods)
        self.states += 1
        self.most, self.least = max(self.most, len(pods)), min(self.least, available)
        if len(pods) > self.highest or asked > self.highest:
            self.broken.append(f"{len(pods)} pods, {asked} asked for, of {self.highest} allowed")
        if available < self.lowest:
            self.broken.append(f"{available} available of at least {self.lowest}")


async def settled(stage: Stage, replicas: int, tag: str) -> None:
    """Wait until the Deployment has nothing but pods of that tag; it must happen."""
    for _ in range(_PATIENCE_SECONDS):
        await stage.pass_time(1)
        status = stage.get().get("status", {})
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas")]
        if counts == [replicas] * 2 and status.get("availableReplicas", 0) == replicas:
            sizes = {tag_in(item): rollout.replicas_of(item) for item in stage.replica_sets()}
            if all(size == 0 for name, size in sizes.items() if name != tag):
                return
    pytest.fail(f"the rollout does not end: {stage.get()['status']}")


def limits(stage: Stage) -> tuple[int, int]:
    """The most pods that may be there, and the fewest that must be available."""
    item = stage.get()
    total = rollout.replicas_of(item)
    return total + rollout.max_surge(item), total - rollout.max_unavailable(item)


def roll(replicas: int, surge: int | str, unavailable: int | str) -> Watch:
    """Roll out v1, then v2 under watch."""

    async def story(stage: Stage) -> Watch:
        stage.deploy(replicas=replicas, strategy=rolling(surge, unavailable))
        await settled(stage, replicas, "v1")
        watch = Watch(stage, *limits(stage))
        watch.begin()
        stage.set_image("v2")
        await settled(stage, replicas, "v2")
        watch.closed = True
        return watch

    return play(story)


def both_zero(surge: int | str, unavailable: int | str) -> bool:
    """A strategy that the API refuses."""
    return {str(surge).rstrip("%"), str(unavailable).rstrip("%")} == {"0"}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(replicas=st.integers(0, 30), surge=amounts, unavailable=amounts)
@example(replicas=30, surge="25%", unavailable="25%")
@example(replicas=3, surge=1, unavailable=0)
@example(replicas=3, surge=0, unavailable="100%")
@example(replicas=1, surge="1%", unavailable="99%")
def test_a_rolling_update_never_leaves_its_bounds_and_ends(
    replicas: int, surge: int | str, unavailable: int | str
) -> None:
    if both_zero(surge, unavailable):
        unavailable = 1
    watch = roll(replicas, surge, unavailable)

    assert watch.broken == []
    assert watch.states >= replicas


def test_a_rolling_update_of_100_replicas_uses_its_room_and_no_more() -> None:
    watch = roll(100, "25%", "25%")

    assert watch.broken == []
    assert (watch.most, watch.least) == (125, 75)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    replicas=st.integers(1, 20),
    other=st.integers(0, 20),
    surge=amounts,
    unavailable=amounts,
    after=st.floats(0.0, 4.0),
)
@example(replicas=20, other=5, surge="25%", unavailable="25%", after=0.6)
@example(replicas=5, other=20, surge=1, unavailable=0, after=0.6)
def test_a_change_of_size_in_the_middle_of_a_rollout_stays_within_the_wider_bounds(
    replicas: int, other: int, surge: int | str, unavailable: int | str, after: float
) -> None:
    if both_zero(surge, unavailable):
        surge = 1

    async def story(stage: Stage) -> Watch:
        stage.deploy(replicas=replicas, strategy=rolling(surge, unavailable))
        await settled(stage, replicas, "v1")
        watch = Watch(stage, *limits(stage))
        watch.begin()
        stage.set_image("v2")
        await stage.pass_time(after)
        stage.merge({"spec": {"replicas": other}})
        highest, lowest = limits(stage)
        watch.highest = max(watch.highest, highest)
        # A shrinking Deployment shares its pods out by size, whether they are available or not, as
        # a real one does: there is no lower bound while it does so.
        watch.lowest = min(watch.lowest, lowest) if other >= replicas else 0
        await settled(stage, other, "v2")
        watch.closed = True
        return watch

    watch = play(story)

    assert watch.broken == []
