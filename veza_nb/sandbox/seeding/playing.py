"""One thing after the other: what happened before, then the fault and what comes after it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.plane import ControlPlane
from veza_nb.sandbox.scenarios import Deed, Fault, PastRelease, Scenario
from veza_nb.sandbox.seeding.acting import act
from veza_nb.sandbox.seeding.application import (
    create_application,
    create_deployment,
    release,
    undo,
)
from veza_nb.sandbox.seeding.machines import create_cluster
from veza_nb.sandbox.seeding.showing import fault_shows

_CLUSTER_AGE = timedelta(days=41)
_BEFORE_FIRST_RELEASE = timedelta(hours=1)
_LOOK_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0


class FaultNotSeenError(Exception):
    """A fault was injected and did not show in time."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One release or deed at its time; the first release of a service creates its Deployment."""

    at: datetime
    done: PastRelease | Deed
    service: str = ""
    first: bool = False


def _steps(scenario: Scenario, now: datetime) -> list[_Step]:
    """All releases of all services and all past deeds in the order of time, as seen from `now`."""
    found = [
        _Step(now - told.age, told, service, first=number == 0)
        for service, releases in scenario.history.items()
        for number, told in enumerate(releases)
    ]
    found += [_Step(now - deed.age, deed) for deed in scenario.deeds if deed.age is not None]
    return sorted(found, key=lambda step: step.at)


async def play_history(plane: ControlPlane, scenario: Scenario) -> None:
    """Let the cluster live through the scenario's past; afterwards its time is the real time.

    Raises:
        ScenarioError: a release is undone whose revision is no longer kept, or a deed fails.
    """
    clock, now = plane.clock, plane.clock.now()
    todo = _steps(scenario, now)
    clock.fast_forward(now - max(_CLUSTER_AGE, now - todo[0].at + 2 * _BEFORE_FIRST_RELEASE))
    create_cluster(plane)
    await _sleep_until(plane, todo[0].at - _BEFORE_FIRST_RELEASE)
    deployments = create_application(plane)
    for step in todo:
        await _sleep_until(plane, step.at)
        _do(plane, step, deployments)
    await _sleep_until(plane, now)
    clock.real_time()


def _do(plane: ControlPlane, step: _Step, deployments: dict[str, Json]) -> None:
    done = step.done
    if isinstance(done, Deed):
        act(plane, done)
    elif step.first:
        create_deployment(plane, deployments[step.service], done)
    elif done.undo:
        undo(plane, step.service, done.image)
    else:
        release(plane, step.service, Fault(done.image, done.cause, template=done.template))


async def _sleep_until(plane: ControlPlane, moment: datetime) -> None:
    await plane.clock.sleep((moment - plane.clock.now()).total_seconds())


async def inject(plane: ControlPlane, scenario: Scenario) -> None:
    """Deploy the scenario's bad release; return when the failure can be seen.

    What is done with it is done, too; what comes after it comes in its time, on its own.

    Raises:
        FaultNotSeenError: it did not show in time.
        ScenarioError: a deed fails.
    """
    fault = scenario.fault
    if fault is not None:
        release(plane, scenario.service, fault)
    later = scenario.later
    for deed in later:
        if not deed.after:
            act(plane, deed)
    if any(deed.after for deed in later):
        plane.spawn(_go_on(plane, [deed for deed in later if deed.after]))
    if fault is not None and not fault.at_once:
        await _until_it_shows(plane, scenario, fault)


async def _go_on(plane: ControlPlane, deeds: list[Deed]) -> None:
    """Do each in its time, counted from now."""
    passed = timedelta()
    for deed in deeds:
        await plane.clock.sleep((deed.after - passed).total_seconds())
        passed = deed.after
        act(plane, deed)


async def _until_it_shows(plane: ControlPlane, scenario: Scenario, fault: Fault) -> None:
    # Real time, so that a fast or slow cluster clock cannot make this wait for ever.
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while not fault_shows(plane, scenario.service, fault):
        if asyncio.get_running_loop().time() > deadline:
            raise FaultNotSeenError(
                f"{scenario.name}: {fault.image} was deployed and nothing shows"
            )
        await _pass_time(plane.clock, _LOOK_SECONDS)


async def _pass_time(clock: Clock, seconds: float) -> None:
    """Wait; a clock that stands is moved."""
    await (clock.step(seconds) if clock.stepped else clock.sleep(seconds))
