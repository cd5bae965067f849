"""Findings read off the service's own monitoring: numbers beyond their limits, alerts that fire."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from veza_nb.evidence import Evidence, Finding
from veza_nb.measures import (
    Alert,
    Measured,
    Monitored,
    began_later,
    judge,
    told,
    was_bad_before,
)
from veza_nb.revisions import PROVEN_AFTER
from veza_nb.scene import Scene
from veza_nb.vocabulary import Severity, Verdict
from veza_nb.words import count, listing, utc

RINGS_AFTER = timedelta(minutes=10)
"""Alerts wait for that long, at most, to be sure."""


def monitor_findings(scene: Scene, seen: Monitored) -> Iterator[Finding]:
    """What monitoring says is wrong, and what it does not say."""
    for one in seen.measures:
        yield from _measure(scene, one, seen)
    if seen.alerts:
        yield _alerts(scene, seen)
    elif seen.problem:
        yield Finding(
            "AlertsNotKnown",
            Severity.INFO,
            f"Which alerts fire is not known: {seen.problem}.",
            (),
            None,
        )


def _measure(scene: Scene, one: Measured, seen: Monitored) -> Iterator[Finding]:
    verdict = judge(one)
    if verdict is Verdict.PASS:
        return
    evidence = Evidence("Metric", one.name, told(one), one.now.at, one.query)
    if verdict is Verdict.INCONCLUSIVE:
        summary = f"{one.name}: {one.now.problem}. Prometheus has no number for it."
        yield Finding("MetricWithoutData", Severity.INFO, summary, (evidence,), None)
        return
    beyond = one.now.value is not None and one.now.value > one.limit
    yield Finding(
        "MetricBad",
        Severity.CRITICAL if beyond else Severity.WARNING,
        f"{one.name}: {told(one)}.",
        (evidence,),
        _blame(scene, one, seen),
    )


def _blame(scene: Scene, one: Measured, seen: Monitored) -> bool | None:
    """Did it begin with the rollout?

    Bad before it clears the release. Good before it does not yet convict one that has served
    for a while, nor one whose pods do not serve at all; a number that was still good after that
    while began to be bad for another reason. Where nobody knows what it was before, the alerts
    may tell when it began.
    """
    before, later = was_bad_before(one), began_later(one)
    if before:
        return False
    if later or not scene.rollout.ready:
        return None
    if before is False:
        return True if later is False or scene.began_with_rollout else None
    return True if _all_since_rollout(scene, seen) else None


def monitor_signs(seen: Monitored, rolled_out_at: datetime | None) -> Iterator[datetime]:
    """When monitoring noticed that something is wrong, as far as it tells.

    Alerts that rang before the rollout are about something else.
    """
    for one in seen.measures:
        later, after = began_later(one), one.after.at
        if judge(one) is Verdict.FAIL and later is not None and after is not None:
            yield after if later else after - PROVEN_AFTER
    for alert in seen.alerts:
        if alert.since and rolled_out_at and utc(alert.since) >= utc(rolled_out_at):
            yield alert.since


def _alerts(scene: Scene, seen: Monitored) -> Finding:
    names = listing(dict.fromkeys(alert.name for alert in seen.alerts))
    since = _all_since_rollout(scene, seen)
    return Finding(
        reason="AlertFiring",
        severity=Severity.WARNING,
        summary=f"{count(len(seen.alerts), 'alert')} firing: {names}"
        + (", all since the rollout." if since else "."),
        evidence=tuple(
            Evidence("Alert", alert.name, alert.summary or alert.name, alert.since, "")
            for alert in seen.alerts[:5]
        ),
        from_release=True if since else None,
    )


def _all_since_rollout(scene: Scene, seen: Monitored) -> bool:
    begun = [_since_rollout(scene, alert) for alert in seen.alerts]
    return bool(begun) and all(begun)


def _since_rollout(scene: Scene, alert: Alert) -> bool:
    """It rings since then, allowing for the minutes that it takes to be sure."""
    if alert.since is None or scene.live_for is None:
        return False
    after = utc(alert.since) - (scene.now - scene.live_for)
    return timedelta() <= after <= PROVEN_AFTER + RINGS_AFTER
