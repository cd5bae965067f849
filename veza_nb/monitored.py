"""What monitoring says of one service, asked side by side."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from veza_nb.catalog import Measure, Monitoring, Service
from veza_nb.cluster.client import concurrently
from veza_nb.measures import NOT_ASKED, Alert, Measured, Monitored, Reading
from veza_nb.monitoring import alerts, measure
from veza_nb.revisions import PROVEN_AFTER

MARGIN = timedelta(seconds=60)
"""So long before the live template came is "before the rollout"."""


def monitored(
    monitoring: Monitoring, service: Service, *, now: datetime, live_since: datetime | None
) -> Monitored:
    """The service's numbers and alerts; never raises, and asks nobody that is not named.

    Args:
        monitoring: of the catalogue.
        service: its queries and labels.
        now: the moment to ask about.
        live_since: when the live template came; None leaves the time before unknown.
    """
    queries = service.metrics if monitoring.prometheus else {}
    labels = service.alerts if monitoring.alertmanager else {}
    moments = _moments(live_since, now)
    found, (firing, problem) = concurrently(
        lambda: concurrently(*(partial(_at, monitoring, one, moments) for one in queries.values())),
        lambda: _alerts(monitoring, labels),
    )
    measures = tuple(
        Measured(name, one.query, one.limit, one.tolerance, *read)
        for (name, one), read in zip(queries.items(), found, strict=True)
    )
    return Monitored(measures, firing, problem, alerts_asked=bool(labels))


def _moments(
    live_since: datetime | None, now: datetime
) -> tuple[datetime | None, datetime, datetime | None]:
    """Before the rollout, now, and when the release had served for a while, if it has."""
    if live_since is None:
        return None, now, None
    settled = live_since + PROVEN_AFTER + MARGIN
    return live_since - MARGIN, now, settled if settled < now - MARGIN else None


def _at(
    monitoring: Monitoring, one: Measure, moments: tuple[datetime | None, ...]
) -> tuple[Reading, ...]:
    """The number at each of these moments, asked side by side."""
    looks = [partial(measure, monitoring, one.query, at) for at in moments if at is not None]
    read = iter(concurrently(*looks))
    return tuple(NOT_ASKED if at is None else next(read) for at in moments)


def measures_now(
    monitoring: Monitoring, measures: tuple[Measured, ...], now: datetime
) -> tuple[Reading, ...]:
    """The same numbers again, at this moment."""
    looks = (partial(measure, monitoring, one.query, now) for one in measures)
    found: tuple[Reading, ...] = concurrently(*looks)
    return found


def _alerts(monitoring: Monitoring, labels: Mapping[str, str]) -> tuple[tuple[Alert, ...], str]:
    return alerts(monitoring, labels) if labels else ((), "")
