"""Are the service's numbers normal again, and its alerts gone?"""

from collections.abc import Iterator

from veza_nb.checks import Check
from veza_nb.measures import Alert, Measured, Monitored, spelled, verdict_of
from veza_nb.vocabulary import Verdict
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
    what = spelled(one.now.value) if one.now.value is not None else f"no value ({one.now.problem})"
    during = before.now.value if before else None
    lines = [
        f"{what} now, at most {spelled(one.limit)} expected",
        f"{spelled(usual)} before the bad release, {spelled(during)} before the undo",
    ]
    return Check(f"metric-{one.name}", f"{one.name} is normal", verdict, tuple(lines))


def _alerts(now: Monitored, before: Monitored) -> Iterator[Check]:
    """An alert that began only after the undo is a failure; an old one may only be late."""
    if not now.alerts_asked:
        return
    title = "Its alerts are gone"
    if now.problem:
        yield Check("alerts", title, Verdict.INCONCLUSIVE, (f"not known: {now.problem}",))
        return
    known = {_identity(alert) for alert in before.alerts}
    new = [alert for alert in now.alerts if _identity(alert) not in known]
    verdict = Verdict.INCONCLUSIVE if now.alerts else Verdict.PASS
    lines = [_line(alert) for alert in now.alerts] or ["none is firing"]
    yield Check("alerts", title, Verdict.FAIL if new else verdict, tuple(lines))


def _identity(alert: Alert) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(alert.labels.items()))


def _line(alert: Alert) -> str:
    since = f" since {clock_time(alert.since)}" if alert.since else ""
    return f"{alert.name} is firing{since}: {alert.summary}".rstrip(": ")
