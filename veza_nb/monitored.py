"""What monitoring says of one service, asked side by side."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from veza_nb.catalog import Monitoring, Service
from veza_nb.cluster.client import concurrently
from veza_nb.measures import NOT_ASKED, Alert, Measured, Monitored, Reading
from veza_nb.monitoring import alerts, measure

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
    earlier = live_since - MARGIN if live_since else None
    looks = [partial(measure, monitoring, one.query, now) for one in queries.values()]
    if earlier is not None:
        looks += [partial(measure, monitoring, one.query, earlier) for one in queries.values()]
    found, (firing, problem) = concurrently(
        lambda: concurrently(*looks), lambda: _alerts(monitoring, labels)
    )
    before = found[len(queries) :] or (NOT_ASKED,) * len(queries)
    measures = tuple(
        Measured(name, one.query, one.limit, one.tolerance, was, is_)
        for (name, one), is_, was in zip(queries.items(), found, before, strict=False)
    )
    return Monitored(measures, firing, problem, alerts_asked=bool(labels))


def measures_now(
    monitoring: Monitoring, measures: tuple[Measured, ...], now: datetime
) -> tuple[Reading, ...]:
    """The same numbers again, at this moment."""
    looks = (partial(measure, monitoring, one.query, now) for one in measures)
    found: tuple[Reading, ...] = concurrently(*looks)
    return found


def _alerts(monitoring: Monitoring, labels: Mapping[str, str]) -> tuple[tuple[Alert, ...], str]:
    return alerts(monitoring, labels) if labels else ((), "")
