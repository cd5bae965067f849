"""Do the endpoints answer rightly and fast enough? Judged by shares with a bound (`rates`)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from veza_nb.checks import Baseline, Check, gap
from veza_nb.rates import RECENT, Share, share, spoken, turned_bad
from veza_nb.samples import HEALTH, Probe, Sample
from veza_nb.symptoms import ELSEWHERE, SLOW_SHARE, failures_text
from veza_nb.vocabulary import Item, Verdict
from veza_nb.words import count


def probe_checks(probes: Sequence[Probe], baseline: Baseline) -> tuple[Check, ...]:
    """Two checks an endpoint. Nothing asked is inconclusive.

    Args:
        probes: taken after the undo.
        baseline: what the endpoints answered before it; one of them not asked again is a gap.
    """
    asked = {probe.name for probe in probes}
    before = {probe.name: probe for probe in baseline.probes}
    checks = [check for probe in probes for check in _probe(probe, before.get(probe.name))]
    for name in before.keys() - asked:
        checks.append(gap(_id(name), name, "asked before, not now", item=_item(name)))
    if not checks:
        nobody = "no endpoint is known (no URL in the catalogue), so nobody asked"
        checks.append(gap("probes", "The service answers", nobody, item=Item.HEALTH))
    return tuple(checks)


def answers_check(probe: Probe, name: str, title: str, item: Item, *more: str) -> Check:
    """Does this endpoint answer as expected?

    Args:
        probe: what was seen.
        name: id of the check.
        title: for a person.
        item: the checklist's line.
        more: further evidence.
    """
    if _never_reached(probe):
        return gap(name, title, f"{failures_text(probe)}: nobody was reached from here", item=item)
    failed = share(len(probe.failures), probe.total)
    text = failures_text(probe) if probe.failures else f"{count(probe.total, 'request')}, all good"
    late = _late(probe.samples, probe.failures)
    return _judged(gap(name, title, text, item=item), failed, late, *more)


def undecided(probes: Sequence[Probe]) -> bool:
    """Whether more requests might tell what these do not."""
    return any(_undecided(probe) for probe in probes if not _never_reached(probe))


def _undecided(probe: Probe) -> bool:
    answers = share(len(probe.failures), probe.total).verdict
    if answers is Verdict.PASS:
        answers = share(len(_slow(probe)), _quick(probe)).verdict
    return answers is Verdict.INCONCLUSIVE


def _probe(probe: Probe, before: Probe | None) -> Iterator[Check]:
    was = [f"before: {failures_text(before)}"] if before and before.failures else []
    answers = f"{probe.name} answers as expected"
    yield answers_check(probe, f"{_id(probe.name)}-answers", answers, _item(probe.name), *was)
    yield _speed(probe)


def _speed(probe: Probe) -> Check:
    name, title = f"{_id(probe.name)}-speed", f"{probe.name} answers fast enough"
    p50, p95 = probe.p50, probe.percentile(SLOW_SHARE)
    if p50 is None or p95 is None:
        return gap(name, title, "no request was answered", item=_item(probe.name))
    text = (
        f"half within {p50 * 1000:.0f} ms, 95 % within {p95 * 1000:.0f} ms, "
        f"at most {probe.max_seconds * 1000:.0f} ms expected"
    )
    slow = share(len(_slow(probe)), _quick(probe))
    text += f", {slow.bad} of {count(slow.total, 'answer')} slower"
    late = _late([s for s in probe.samples if s.status is not None], _slow(probe))
    return _judged(gap(name, title, text, item=_item(probe.name)), slow, late)


def _judged(about: Check, seen: Share, late: bool, *more: str) -> Check:
    """The check `about` this, with the verdict that a share of requests gives.

    Args:
        about: name, title, line; its evidence comes first.
        seen: the share of bad ones.
        late: whether it turned bad at the end.
        more: further evidence.
    """
    lines = [*about.evidence, spoken(seen)]
    if late:
        lines.append(f"it turned bad: most of the last {RECENT} requests")
    verdict = Verdict.FAIL if late else seen.verdict
    return replace(about, verdict=verdict, evidence=(*lines, *more))


def _late(samples: Sequence[Sample], bad: Sequence[Sample]) -> bool:
    last = samples[-RECENT:]
    marked = {id(one) for one in bad}
    return turned_bad(sum(id(one) in marked for one in last), len(last))


def _slow(probe: Probe) -> tuple[Sample, ...]:
    return tuple(s for s in probe.samples if s.status is not None and s.seconds > probe.max_seconds)


def _quick(probe: Probe) -> int:
    """How many were answered at all."""
    return sum(s.status is not None for s in probe.samples)


def _never_reached(probe: Probe) -> bool:
    """The catalogue's or this network's doing: it says nothing about the service."""
    return bool(probe.samples) and all(s.error in ELSEWHERE for s in probe.samples)


def _item(name: str) -> Item:
    return Item.HEALTH if name == HEALTH else Item.ENDPOINTS


def _id(name: str) -> str:
    return f"probe-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'endpoint'}"
