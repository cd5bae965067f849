"""Requests to a service's endpoints: does it answer, rightly, and fast enough.

The other room with network. It sends GETs and reports what came; what that means is decided
in the pure middle.
"""

import socket
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import urllib3
from urllib3 import exceptions as http_errors

from veza_nb.catalog import Service
from veza_nb.clock import Clock
from veza_nb.samples import HEALTH, USERS, Probe, Sample, joined

READ_LIMIT = 65536
"""Bytes read of an answer: enough to know that it comes, not a download."""

SLOW_FOR_USERS = 3.0
"""Seconds after which a user gives up on a page."""

CLOSER = 3
"""Times as many requests again to an endpoint that seems well."""

AT_ONCE = 4
"""Requests under way at a time: a burst would measure itself, and hurt who is down already."""


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint and what a good answer is."""

    name: str
    url: str
    expect_status: int
    max_seconds: float


def targets_of(service: Service) -> tuple[Target, ...]:
    """The service's health and critical endpoints; none where the catalogue has no URL."""
    if not service.url:
        return ()
    base = service.url.rstrip("/")
    health = Target(HEALTH, f"{base}{service.health}", 200, 1.0)
    critical = (
        Target(one.path, f"{base}{one.path}", one.status, one.max_seconds)
        for one in service.endpoints
    )
    return ((health,) if service.health else ()) + tuple(critical)


def users_target(service: Service) -> tuple[Target, ...]:
    """The page that users need; none where the catalogue has no external URL."""
    url = service.external_url
    return (Target(USERS, url, 200, SLOW_FOR_USERS),) if url else ()


def probe(
    targets: Iterable[Target], *, samples: int, timeout: float, clock: Clock
) -> tuple[Probe, ...]:
    """Ask every endpoint so many times, a few requests at a time.

    Args:
        targets: the endpoints.
        samples: requests per endpoint.
        timeout: seconds until a request is given up.
        clock: stamps the samples.

    Returns:
        One `Probe` per target, in their order.
    """
    asked = [(target, [target] * samples) for target in targets]
    if not asked or samples < 1:
        return ()
    jobs = [one for _, many in asked for one in many]
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(jobs))) as workers:
        seen = list(workers.map(lambda target: sample(target, timeout=timeout, clock=clock), jobs))
    return tuple(
        Probe(
            name=target.name,
            url=target.url,
            expect_status=target.expect_status,
            max_seconds=target.max_seconds,
            samples=tuple(seen[index * samples : (index + 1) * samples]),
        )
        for index, (target, _) in enumerate(asked)
    )


def probe_closely(
    targets: Iterable[Target], *, samples: int, timeout: float, clock: Clock
) -> tuple[Probe, ...]:
    """Ask every endpoint as `probe` does, and those without a failure again and more often.

    One that fails four times in ten gives five good answers in a row in one of 13 looks; 20 it
    gives once in 27,000. One that has failed already needs no closer look.
    """
    asked = tuple(targets)
    first = probe(asked, samples=samples, timeout=timeout, clock=clock)
    well = [one for one, seen in zip(asked, first, strict=False) if _well(seen)]
    more = probe(well, samples=CLOSER * samples, timeout=timeout, clock=clock)
    return joined(first, more)


def _well(seen: Probe) -> bool:
    """Whether nothing is wrong so far; one that is slow already needs no closer look either."""
    return not seen.failures and all(one.seconds <= seen.max_seconds for one in seen.samples)


def sample(target: Target, *, timeout: float, clock: Clock) -> Sample:
    """Ask one endpoint once; never raises."""
    at, begin = clock.now(), clock.monotonic()
    status, error = _ask(target.url, timeout)
    return Sample(at=at, seconds=clock.monotonic() - begin, status=status, error=error)


def answer(url: str, *, timeout: float) -> tuple[bytes, str]:
    """What a URL says, up to `READ_LIMIT` bytes, and "" or why there is nothing; never raises."""
    status, said, error = _fetch(url, timeout)
    if error or status is None:
        return b"", error
    return (said, "") if status < 300 else (b"", f"HTTP {status}")


def _ask(url: str, timeout: float) -> tuple[int | None, str]:
    status, _, error = _fetch(url, timeout)
    return status, error


def _fetch(url: str, timeout: float) -> tuple[int | None, bytes, str]:
    try:
        response = _pool().request(
            "GET",
            url,
            timeout=urllib3.Timeout(total=timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            said = response.read(READ_LIMIT)
            return response.status, said, ""
        finally:
            response.release_conn()
    except (http_errors.HTTPError, OSError, ValueError) as error:
        return None, b"", _kind(error)


@lru_cache(maxsize=1)
def _pool() -> urllib3.PoolManager:
    # The system's own authorities, as a user's browser would have them.
    return urllib3.PoolManager(maxsize=16, ssl_context=ssl.create_default_context())


def _kind(error: Exception) -> str:
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (http_errors.NameResolutionError, "dns"),
        (http_errors.SSLError, "tls"),
        (http_errors.NewConnectionError, "refused"),
        (http_errors.TimeoutError, "timeout"),
        (http_errors.ProtocolError, "reset"),
        (ssl.SSLError, "tls"),
        (socket.gaierror, "dns"),
        (OSError, "reset"),
    )
    return next((name for kind, name in kinds if isinstance(error, kind)), "wrong url")
