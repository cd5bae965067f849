"""Faults on demand, decided: rules and the facts of a request in, what is to go wrong out.

No sockets, no clock, no global chance here: the time is an argument and every rule has dice of its
own, thrown from a seed, so that the same requests meet the same faults again. `edge` acts on what
is decided here; `parsing` reads rules from what people write.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

Json = dict[str, Any]


class Kind(StrEnum):
    """What goes wrong; the value is its name in commands."""

    ERROR = "error"
    LATENCY = "latency"
    HANG = "hang"
    RESET = "reset"
    LOSE_ANSWER = "lose-answer"
    STORAGE_HANG = "storage-hang"
    DROP_WATCH = "drop-watch"
    EXPIRE_WATCH = "expire-watch"
    STALE = "stale"
    CLOCK_SKEW = "clock-skew"
    OUTAGE = "outage"


# Of these a request meets at most one: the first rule that strikes.
ENDINGS = (Kind.RESET, Kind.ERROR, Kind.STORAGE_HANG, Kind.LOSE_ANSWER)
WATCH_KINDS = (Kind.DROP_WATCH, Kind.EXPIRE_WATCH)
# These are states of the whole server, not answers to single requests.
STATES = (Kind.CLOCK_SKEW, Kind.OUTAGE)
MOST = 500


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at in a request.

    Attributes:
        verb: Kubernetes' verb; the method in lower case for other paths.
        group, resource, subresource, namespace, name: Empty where there is none.
        path: Of a request that is not about a resource.
        user: User name, after impersonation; "" when the token is not known.
        agent: User-Agent.
        unversioned: A read with resourceVersion 0: "any state will do".
    """

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    user: str = ""
    agent: str = ""
    unversioned: bool = False

    @property
    def reads(self) -> bool:
        """Whether it is a read of a resource."""
        return bool(self.resource) and self.verb in ("get", "list", "watch")


@dataclass(frozen=True, slots=True)
class Selector:
    """Which requests a rule is about; empty parts choose all. Texts may have `*` and `?`.

    Attributes:
        verbs: Kubernetes' verbs.
        resources: "deployments", "deployments.apps", "pods/log"; or paths, beginning with "/".
            A resource without a subresource means its subresources, too.
        namespace, name, user, agent: Patterns.
    """

    verbs: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    namespace: str = ""
    name: str = ""
    user: str = ""
    agent: str = ""

    def matches(self, facts: Facts) -> bool:
        """Whether a request is meant."""
        return (
            (not self.verbs or facts.verb in self.verbs)
            and (not self.resources or any(_resource_fits(each, facts) for each in self.resources))
            and _fits(self.namespace, facts.namespace)
            and _fits(self.name, facts.name)
            and _fits(self.user, facts.user)
            and _fits(self.agent, facts.agent)
        )


def _fits(pattern: str, value: str) -> bool:
    return not pattern or fnmatchcase(value, pattern)


def _resource_fits(pattern: str, facts: Facts) -> bool:
    if pattern.startswith("/"):
        return bool(facts.path) and fnmatchcase(facts.path, pattern)
    if not facts.resource:
        return False
    wanted, _, below = pattern.partition("/")
    plural, _, group = wanted.partition(".")
    return (
        fnmatchcase(facts.resource, plural)
        and _fits(group, facts.group)
        and _fits(below, facts.subresource)
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault.

    Attributes:
        kind: What goes wrong.
        where: Which requests meet it.
        rate: Share of them, above 0, up to 1.
        seed: Of the dice; None: the rule's number.
        count: After so many it is over; None: never.
        lasting: Seconds after which it is over; None: never.
        code: HTTP status of an error.
        retry_after: Seconds that an error asks to wait; None: it says nothing.
        message: Of an error; "" is the usual one of that status.
        seconds: Of latency: how long. Of a clock skew: how far, below 0 is the past. Of stale
            reads: how old. Of a hanging storage: until the server gives up; 0 is its usual time.
        versions: Of stale reads: how many changes of the cluster old.
        every_read: Stale are all reads, not only those that ask for no version in particular.
        after: Of watches: seconds until they are cut.
        events: Of watches: how many events they still tell.
    """

    kind: Kind
    where: Selector = Selector()
    rate: float = 1.0
    seed: int | None = None
    count: int | None = None
    lasting: float | None = None
    code: int = 500
    retry_after: int | None = None
    message: str = ""
    seconds: float = 0.0
    versions: int = 0
    every_read: bool = False
    after: float = 0.0
    events: int | None = None

    def concerns(self, facts: Facts) -> bool:
        """Whether a request could meet this fault."""
        if self.kind in STATES or not self.where.matches(facts):
            return False
        if self.kind in WATCH_KINDS:
            return facts.verb == "watch"
        if self.kind is Kind.STALE:
            return facts.reads and not facts.subresource and (facts.unversioned or self.every_read)
        return True


@dataclass(slots=True)
class Fault:
    """A rule that is in force.

    Attributes:
        id: Such as "fault-1"; never used twice in the life of a cluster.
        rule: What it does.
        since: Time when it was added, as the caller counts.
        hits: Requests that met it.
    """

    id: str
    rule: Rule
    since: float
    dice: random.Random
    hits: int = 0

    def over(self, now: float) -> bool:
        """Whether it strikes no more."""
        rule = self.rule
        spent = rule.count is not None and self.hits >= rule.count
        return spent or (rule.lasting is not None and now >= self.since + rule.lasting)

    def left(self, now: float) -> float | None:
        """Seconds until it ends by itself; None when it does not."""
        lasting = self.rule.lasting
        return None if lasting is None else max(0.0, self.since + lasting - now)

    def strikes(self) -> bool:
        """Throw the dice; count the hit."""
        if self.rule.rate < 1 and self.dice.random() >= self.rule.rate:
            return False
        self.hits += 1
        return True


@dataclass(slots=True)
class Decision:
    """What a request is to meet.

    Attributes:
        delay: Seconds to wait first.
        hang: The fault that holds it until it is over.
        ending: What happens instead of, or after, the work.
        watch: What will cut a watch.
        stale: What makes a read see the past.
    """

    delay: float = 0.0
    hang: Fault | None = None
    ending: Fault | None = None
    watch: Fault | None = None
    stale: Fault | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The faults that an answer is owed to."""
        struck = (self.hang, self.ending, self.watch, self.stale)
        return tuple(each.id for each in struck if each is not None)


@dataclass(slots=True)
class FaultBook:
    """The faults in force, in the order in which they were added."""

    faults: dict[str, Fault] = field(default_factory=dict)
    added: int = 0

    def __bool__(self) -> bool:
        return bool(self.faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self.faults.values()))

    def add(self, rule: Rule, now: float) -> Fault:
        """Put a rule into force.

        Raises:
            ValueError: There is an outage or a clock skew already, or too much of the rest.
        """
        self.tidy(now)
        if len(self.faults) >= MOST:
            raise ValueError(f"there are {MOST} faults already, which is enough")
        if rule.kind in STATES:
            there = next((each for each in self if each.rule.kind is rule.kind), None)
            if there is not None:
                raise ValueError(f"there is {_shown(rule.kind)} already: {there.id}")
        self.added += 1
        seed = self.added if rule.seed is None else rule.seed
        fault = Fault(f"fault-{self.added}", rule, now, random.Random(seed))
        self.faults[fault.id] = fault
        return fault

    def remove(self, name: str) -> Fault:
        """Take one out.

        Raises:
            ValueError: There is none of that id.
        """
        fault = self.faults.pop(name, None)
        if fault is None:
            known = ", ".join(self.faults) or "there is none"
            raise ValueError(f"no fault {name!r}; in force: {known}")
        return fault

    def tidy(self, now: float) -> list[Fault]:
        """Take out and return what is over; what is spent stays listed until its time is up."""
        done = [each for each in self if each.left(now) == 0]
        for fault in done:
            del self.faults[fault.id]
        return done

    def decide(self, facts: Facts, now: float) -> Decision:
        """Return what a request is to meet, and count it."""
        decision = Decision()
        for fault in self:
            if fault.over(now) or not fault.rule.concerns(facts):
                continue
            self._apply(fault, decision)
        return decision

    def _apply(self, fault: Fault, decision: Decision) -> None:
        kind = fault.rule.kind
        if kind is Kind.LATENCY:
            if fault.strikes():
                decision.delay += fault.rule.seconds
            return
        slot = _slot(kind)
        if getattr(decision, slot) is None and fault.strikes():
            setattr(decision, slot, fault)


def _slot(kind: Kind) -> str:
    if kind in ENDINGS:
        return "ending"
    if kind in WATCH_KINDS:
        return "watch"
    return "hang" if kind is Kind.HANG else "stale"


def _shown(kind: Kind) -> str:
    return "an outage" if kind is Kind.OUTAGE else "a clock skew"
