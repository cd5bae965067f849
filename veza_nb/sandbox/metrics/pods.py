"""A pod's own page, `/metrics`: requests, errors, answer times, and its process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.metrics import histogram
from veza_nb.sandbox.metrics.exposition import Family, Sample, number
from veza_nb.sandbox.metrics.histogram import BUCKETS, Histogram
from veza_nb.sandbox.metrics.processes import Process, Processes
from veza_nb.sandbox.metrics.profiles import Route, profile
from veza_nb.sandbox.metrics.traffic import Asked, Load, Mood, Traffic
from veza_nb.sandbox.nodes.releases import tag_of

USUAL_ERRORS = 0.0004
"""Share of requests that any release fails."""


class Pages:
    """The pages of all pods.

    Args:
        traffic: what pods are asked for.
        processes: what runs in them.
    """

    def __init__(self, traffic: Traffic, processes: Processes) -> None:
        self._traffic = traffic
        self._processes = processes

    def page(self, pod: Json) -> list[Family] | None:
        """What a pod's first container tells of itself; None while it does not run."""
        first = pod["spec"]["containers"][0]["name"]
        process = next((one for one in self._processes.of(pod) if one.name == first), None)
        if process is None:
            return None
        counts = requests(process.loads)
        for (method, path, code), count in self._traffic.visits(pod).items():
            asked = (method, path, code)
            counts[asked] = counts.get(asked, 0) + count
        times = durations(process.loads)
        for asked_for, seen in self._traffic.durations(pod).items():
            times.setdefault(asked_for, Histogram()).add(seen)
        return [*_about_requests(counts, times), *_about_process(process)]


def requests(loads: Iterable[Load]) -> dict[Asked, int]:
    """Background requests by method, path and status; each number only ever grows."""
    counts: dict[Asked, int] = {}
    for route, mood, count in _routes(loads):
        # Errors are a share of the whole number: so neither they nor the rest ever shrink.
        failed = int(count * max(mood.errors, USUAL_ERRORS))
        for code, share in ((200, count - failed), (500, failed)):
            asked = (route.method, route.path, code)
            counts[asked] = counts.get(asked, 0) + share
    return counts


def durations(loads: Iterable[Load]) -> dict[tuple[str, str], Histogram]:
    """Answer times of background requests by method and path."""
    times: dict[tuple[str, str], Histogram] = {}
    for route, mood, count in _routes(loads):
        known = times.setdefault((route.method, route.path), Histogram())
        known.add(histogram.of_many(count, route.seconds + mood.latency))
    return times


def _routes(loads: Iterable[Load]) -> Iterator[tuple[Route, Mood, int]]:
    for load in loads:
        for mood, requests in load.requests.items():
            for route in profile(load.service).routes if mood.answers else ():
                yield route, mood, int(requests * route.share)


def _about_requests(
    counts: Mapping[Asked, int], times: Mapping[tuple[str, str], Histogram]
) -> Iterator[Family]:
    failed: dict[tuple[str, str], int] = {}
    for (method, path, code), count in counts.items():
        failed[method, path] = failed.get((method, path), 0) + (count if code >= 500 else 0)
    yield Family(
        "http_requests_total",
        "counter",
        "Requests answered, by method, path and status code.",
        [
            Sample(count, {"method": method, "path": path, "code": str(code)})
            for (method, path, code), count in sorted(counts.items())
        ],
    )
    yield Family(
        "http_request_errors_total",
        "counter",
        "Requests answered with a status code of 500 or above.",
        [
            Sample(count, {"method": method, "path": path})
            for (method, path), count in sorted(failed.items())
        ],
    )
    yield Family(
        "http_request_duration_seconds",
        "histogram",
        "How long answers took.",
        [
            sample
            for (method, path), known in sorted(times.items())
            for sample in _distribution(known, {"method": method, "path": path})
        ],
    )


def _distribution(known: Histogram, labels: Mapping[str, str]) -> Iterator[Sample]:
    for bound, count in zip(BUCKETS, known.below, strict=True):
        yield Sample(count, {**labels, "le": number(bound)}, "_bucket")
    yield Sample(known.count, {**labels, "le": "+Inf"}, "_bucket")
    yield Sample(known.total, labels, "_sum")
    yield Sample(known.count, labels, "_count")


def _about_process(process: Process) -> Iterator[Family]:
    plain = (
        ("process_cpu_seconds_total", "counter", "Core-seconds taken.", process.cpu_seconds),
        ("process_resident_memory_bytes", "gauge", "Memory held.", process.memory),
        (
            "process_start_time_seconds",
            "gauge",
            "When the process began, in seconds since 1970.",
            process.started.timestamp(),
        ),
    )
    for name, kind, help_, value in plain:
        yield Family(name, kind, help_, [Sample(value, {})])
    built = {"version": tag_of(process.image), "image": process.image}
    yield Family("veza_build_info", "gauge", "The release that runs.", [Sample(1, built)])
