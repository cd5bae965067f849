"""What a scenario is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

NO_ROLLBACK = "no rollback"
ROLLBACK_TO = "rollback to "
Json = dict[str, Any]


class ScenarioError(ValueError):
    """A scenario is unknown, or its file is not what it should be; the message says which."""


@dataclass(frozen=True, slots=True)
class PastRelease:
    """A release in a service's history.

    Attributes:
        image: which one; of an undo, the one that was gone back to.
        age: how long ago.
        cause: its change cause; empty for an undo, which brings the old one back.
        undo: whether it was a `kubectl rollout undo`.
        template: what else changes in the pod template, as a strategic merge patch.
    """

    image: str
    age: timedelta
    cause: str = ""
    undo: bool = False
    template: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """The bad release.

    Attributes:
        image: of the bad release.
        cause: its change cause.
        user: who deploys it.
        agent: with what; the field manager of the change.
        at_once: whether a start returns without waiting until the fault shows.
        template: what else changes in the pod template, as a strategic merge patch.
    """

    image: str
    cause: str
    user: str = "deploy-bot"
    agent: str = "kubectl-set"
    at_once: bool = False
    template: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that somebody does to the cluster besides releasing; one of these verbs.

    create: an object, written out. apply: the same, server-side, with force. patch: an object
    `with` a patch of that `type`. delete: an object, or so many with a label. push: another
    program under an image's name. turn: a service's programs, whatever their release, behave so
    from now on: what they depend on is down. node: its conditions; a node that is not Ready takes
    readiness from its pods.

    Attributes:
        verb: which of these.
        what: what the verb needs, as the file says it.
        age: how long ago; None: it happens with the fault, or after it.
        after: so long after the fault.
        user: who does it.
        agent: with what; the field manager of the change.
    """

    verb: str
    what: Json
    age: timedelta | None = None
    after: timedelta = timedelta()
    user: str = "kim"
    agent: str = "kubectl"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the kit says of a scenario, and how a headless run of it ends.

    Attributes:
        decision: of the detection.
        reasons: of findings that must be among those that it makes; "A or B" where the moment
            decides which of them it is.
        guards: level by name: block, warn, info; must be among the plan's.
        ends: outcome of the record.
        why: why it does not do what would be right, where it does not.
    """

    decision: str
    ends: str
    reasons: Sequence[str] = ()
    guards: Mapping[str, str] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One exercise.

    Attributes:
        name: as given to `--scenario`.
        title: one line.
        story: what happened, for the debrief.
        service: the Deployment it is about.
        history: releases of every service, oldest first.
        fault: the bad release that comes last; None when none does.
        good_image: what a rollback should lead to; None when none is right.
        deeds: what else is done to the cluster.
        kit: what the kit says of it.
        options: parameters of the main notebook.
        catalog: what the catalogue says besides.
        user: whose context of the kubeconfig is taken: admin, nobody, bot, oncall.
    """

    name: str
    title: str
    story: str
    service: str
    history: Mapping[str, Sequence[PastRelease]]
    fault: Fault | None
    good_image: str | None
    deeds: Sequence[Deed] = ()
    kit: Expected = Expected("", "")
    options: Mapping[str, str | int | bool] = field(default_factory=dict)
    catalog: Json = field(default_factory=dict)
    user: str = "admin"

    @property
    def expect(self) -> str:
        """What is right, in the words of the file."""
        return NO_ROLLBACK if self.good_image is None else ROLLBACK_TO + self.good_image

    @property
    def later(self) -> list[Deed]:
        """What happens with the fault and after it, in that order."""
        return sorted((deed for deed in self.deeds if deed.age is None), key=lambda d: d.after)
