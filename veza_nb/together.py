"""The newest moment at which several services worked together, read off their histories.

Services that changed together have to go back together: an old frontend against a new backend is
an outage of its own. A moment is good where each service ran something then that is known to
work, and where all of it ran side by side long enough to prove that it fits.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from veza_nb.revisions import PROVEN_AFTER, History, Revision, Standing
from veza_nb.words import clock_time, listing, span, utc


@dataclass(frozen=True, slots=True)
class Set:
    """What ran side by side for a while.

    Attributes:
        begin: since when.
        end: until when.
        revisions: service to the revision that it ran.
    """

    begin: datetime
    end: datetime
    revisions: Mapping[str, Revision]

    @property
    def length(self) -> timedelta:
        """For how long."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Together:
    """The set to go back to, or why there is none.

    Attributes:
        chosen: the newest set that is known to work; None where there is none.
        reasons: why this one, or why none, a sentence each.
    """

    chosen: Set | None
    reasons: tuple[str, ...]


def sets_of(histories: Mapping[str, History], *, now: datetime) -> tuple[Set, ...]:
    """What ran side by side, newest first, as far as it is known for every service.

    Args:
        histories: service to its history.
        now: ends what is live.
    """
    found: list[Set] = []
    for one in _spans(histories, now):
        last = found[-1] if found else None
        if last is not None and last.end == one.begin and _identity(last) == _identity(one):
            found[-1] = replace(last, end=one.end)
        else:
            found.append(one)
    return tuple(reversed(found))


def last_good_together(
    histories: Mapping[str, History], bad: Collection[str], *, now: datetime
) -> Together:
    """The newest set in which none of the bad services ran what it runs now.

    Args:
        histories: service to its history.
        bad: the services that have to go back; the others may keep what they run, where it ran
            in that set too.
        now: when the histories were read.
    """
    if not bad:
        return Together(None, ("Of none of these services is the live release to blame.",))
    sets = [one for one in sets_of(histories, now=now) if not _live(one, bad)]
    doubts: list[str] = []
    for one in sets:
        doubt = _doubt(one)
        if not doubt:
            return Together(one, (_because(one), *doubts))
        doubts.append(f"Passed over: {_named(one)}: {doubt}.")
    none = "There is no moment at which all of these services are known to have worked together."
    return Together(None, (none, *doubts))


def _spans(histories: Mapping[str, History], now: datetime) -> Iterator[Set]:
    """Stretches, oldest first, in which nothing changed and every service's revision is known."""
    periods = {name: tuple(_periods(one, now)) for name, one in histories.items()}
    edges = {edge for known in periods.values() for begin, end, _ in known for edge in (begin, end)}
    for begin, end in pairwise(sorted(edges)):
        running = {name: _running(known, begin, end) for name, known in periods.items()}
        there = {name: one for name, one in running.items() if one is not None}
        if len(there) == len(histories):
            yield Set(begin, end, there)


def _periods(history: History, now: datetime) -> Iterator[tuple[datetime, datetime, Revision]]:
    for one in history.revisions:
        for begin, end in one.served:
            if utc(begin) < utc(end or now):
                yield utc(begin), utc(end or now), one


def _running(
    periods: tuple[tuple[datetime, datetime, Revision], ...], begin: datetime, end: datetime
) -> Revision | None:
    return next((one for first, last, one in periods if first <= begin and end <= last), None)


def _identity(one: Set) -> tuple[str, ...]:
    return tuple(revision.replicaset for revision in one.revisions.values())


def _live(one: Set, services: Collection[str]) -> bool:
    return any(one.revisions[name].standing is Standing.CURRENT for name in services)


def _doubt(one: Set) -> str:
    """What speaks against that set; "" where nothing does."""
    for name, revision in one.revisions.items():
        known = revision.standing in (Standing.GOOD, Standing.CURRENT)
        if revision.abandoned or not known:
            return f"revision {revision.number} of {name} is {_said(revision)}"
    if one.length < PROVEN_AFTER:
        return f"together for only {span(one.length)}: too short to prove that they fit"
    return ""


def _said(revision: Revision) -> str:
    return "not known to work" if revision.standing is Standing.UNKNOWN else "known to be bad"


def _named(one: Set) -> str:
    numbers = (f"{name} {revision.number}" for name, revision in one.revisions.items())
    return listing(numbers, limit=9)


def _because(one: Set) -> str:
    return (
        f"{_named(one)} worked together for {span(one.length)}, "
        f"until {clock_time(one.end)}: the newest set that is known to fit."
    )
