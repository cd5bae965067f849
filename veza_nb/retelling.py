"""An incident's time line from all that was kept of it, and from monitoring where there is any."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from veza_nb.accounts import Record
from veza_nb.catalog import Monitoring, Service
from veza_nb.cluster.client import concurrently
from veza_nb.logbook import Logbook
from veza_nb.monitoring import measure_range
from veza_nb.recorder import read_series
from veza_nb.series import MeasurePoint, Point
from veza_nb.timeline import Timeline, read_timeline
from veza_nb.words import utc

BEFORE = timedelta(minutes=2)
"""So much of the time before is drawn, where monitoring knows it."""
FARTHEST = timedelta(minutes=30)
"""A release that came longer ago than that is not drawn: the incident would be a speck."""
POINTS = 100


def retell(logbook: Logbook, service: Service, monitoring: Monitoring) -> Timeline | None:
    """The time line; None where nothing was seen. Monitoring is asked once for each number.

    Args:
        logbook: of the incident; what monitoring says is kept in its series.
        service: its queries.
        monitoring: where Prometheus is.
    """
    folder, record = logbook.folder.path, logbook.record
    # What monitoring said the last time does not make the incident longer.
    seen = [one for one in read_series(folder) if not isinstance(one, MeasurePoint)]
    if not seen:
        return None
    released = released_at(record)
    logbook.recorder.write(_measured(seen, released, service, monitoring))
    plan = record.plan or {}
    return read_timeline(
        read_series(folder),
        logbook.journal.lines,
        released=released,
        target=str(plan.get("template_hash", "")),
        left=str(plan.get("from_hash", "")),
        limits={name: one.limit for name, one in service.metrics.items()},
    )


def released_at(record: Record) -> datetime | None:
    """When the release came that was live as the incident began; None where nobody knows."""
    current = (record.history or {}).get("current") or {}
    served = current.get("served") or []
    began = served[-1][0] if served and served[-1] else None
    return _moment(began)


def _moment(text: Any) -> datetime | None:
    try:
        return utc(datetime.fromisoformat(text)) if isinstance(text, str) else None
    except ValueError:
        return None


def _measured(
    seen: Sequence[Point],
    released: datetime | None,
    service: Service,
    monitoring: Monitoring,
) -> list[MeasurePoint]:
    if not monitoring.prometheus or not service.metrics:
        return []
    first, last = utc(seen[0].at), utc(seen[-1].at)
    near = released is not None and timedelta() <= first - released <= FARTHEST
    begin = (released if near and released else first) - BEFORE
    queries: Mapping[str, str] = {name: one.query for name, one in service.metrics.items()}
    step = max((last - begin) / POINTS, timedelta(seconds=1))
    looks = (partial(measure_range, monitoring, q, begin, last, step) for q in queries.values())
    found = concurrently(*looks)
    return [
        MeasurePoint(reading.at, name, reading.value)
        for name, readings in zip(queries, found, strict=True)
        for reading in readings
        if reading.at is not None
    ]
