"""Are the service's numbers normal again, and its alerts gone?"""

from collections.abc import Iterator

from veza_nb.checks import Check
from veza_nb.measures import Alert, Measured, Monitored, spelled, verdict_of
from veza_nb.vocabulary import Item, Verdict
from veza_nb.words import clock_time


def monitor_checks(now: Monitored, before: Monitored) -> tuple[Check, ...]:
    """One check a number, one for the alerts; none where the catalogue names no monitoring.

    Args:
        now: asked after the undo.
        before: asked before it; its readings from before the bad release are the measure.
    """
    earlier = {one.name: one for one in before.measures}
    checks = [_measure(one, earlier.get(one.name)) for one in now.measures]
    return (*checks, *_alerts(now, before))


def _measure(one: Measured, before: Measured | None) -> Check:
    usual = before.before.value if before else None
    verdict = verdict_of(one.now.value, usual, one.limit, one.tolerance)
    as_before = verdict is Verdict.FAIL and _no_worse(one, usual)
    what = spelled(one.now.value) if one.now.value is not None else f"no value ({one.now.problem})"
    during = before.now.value if before else None
    lines = [
        f"{what} now, at most {spelled(one.limit)} expected",
        f"{spelled(usual)} before the bad release, {spelled(during)} before the undo",
    ]
    if as_before:
        # Not the undo's failure; nor a pass: what served before may have been bad as well.
        verdict = Verdict.INCONCLUSIVE
        lines.append("more than expected, but no more than before the bad release")
    name, title = f"metric-{one.name}", f"{one.name} is normal"
    return Check(name, title, verdict, tuple(lines), item=Item.METRICS)


def _no_worse(one: Measured, usual: float | None) -> bool:
    return usual is not None and one.now.value is not None and one.now.value <= usual


def _alerts(now: Monitored, before: Monitored) -> Iterator[Check]:
    """An alert that began only after the undo is a failure; an old one may only be late."""
    if not now.alerts_asked:
        return
    title = "Its alerts are gone"
    if now.problem:
        why = (f"not known: {now.problem}",)
        yield Check("alerts", title, Verdict.INCONCLUSIVE, why, item=Item.ALERTS)
        return
    known = {_identity(alert) for alert in before.alerts}
    new = [alert for alert in now.alerts if _identity(alert) not in known]
    verdict = Verdict.INCONCLUSIVE if now.alerts else Verdict.PASS
    verdict = Verdict.FAIL if new else verdict
    lines = [_line(alert) for alert in now.alerts] or ["none is firing"]
    yield Check("alerts", title, verdict, tuple(lines), item=Item.ALERTS)


def _identity(alert: Alert) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(alert.labels.items()))


def _line(alert: Alert) -> str:
    since = f" since {clock_time(alert.since)}" if alert.since else ""
    return f"{alert.name} is firing{since}: {alert.summary}".rstrip(": ")
