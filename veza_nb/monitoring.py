"""Questions to Prometheus and Alertmanager; the third room with network.

It never raises for what monitoring does: a service may be down because of a release while
its monitoring is down too, and the rest of the evidence still counts.
"""

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3 import exceptions as http_errors

from veza_nb.catalog import Monitoring
from veza_nb.measures import Alert, Reading
from veza_nb.typed import decode_json
from veza_nb.words import one_line

MOST_BYTES = 4_000_000
"""An answer longer than that is not read: nobody meant to ask for it."""
_OK = 200


class _AnswerError(Exception):
    """Monitoring gave no usable answer; the message says why."""


def measure(monitoring: Monitoring, query: str, at: datetime) -> Reading:
    """The number that a query has at a moment; never raises.

    Args:
        monitoring: where Prometheus is.
        query: PromQL that gives one number.
        at: the moment.
    """
    path = f"{monitoring.prometheus}/api/v1/query"
    asked = {"query": query, "time": f"{at.timestamp():.3f}"}
    try:
        value = _number(_ask(path, asked, monitoring))
    except _AnswerError as error:
        return Reading(at, None, str(error))
    return Reading(at, value)


def measure_range(
    monitoring: Monitoring, query: str, begin: datetime, end: datetime, step: timedelta
) -> tuple[Reading, ...]:
    """The number that a query had at every step of a stretch of time; never raises.

    Args:
        monitoring: where Prometheus is.
        query: PromQL that gives one number.
        begin: the first moment.
        end: not after that.
        step: between two moments.

    Returns:
        One reading a step; all without a value where there is no answer.
    """
    # Prometheus is told milliseconds: what it answers must be found again by the same ones.
    step = timedelta(milliseconds=max(round(step / timedelta(milliseconds=1)), 1))
    path = f"{monitoring.prometheus}/api/v1/query_range"
    asked = {"query": query, "step": f"{step.total_seconds():.3f}"}
    asked |= {"start": f"{begin.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
    moments = [begin + step * n for n in range(int((end - begin) / step) + 1)]
    try:
        known = _numbers(_ask(path, asked, monitoring))
    except _AnswerError as error:
        return tuple(Reading(at, None, str(error)) for at in moments)
    first, length = begin.timestamp(), step.total_seconds()
    values = {round((stamp - first) / length): value for stamp, value in known}
    found = ((at, values.get(number)) for number, at in enumerate(moments))
    return tuple(Reading(at, value, "" if value is not None else "no data") for at, value in found)


def alerts(monitoring: Monitoring, labels: Mapping[str, str]) -> tuple[tuple[Alert, ...], str]:
    """The alerts that fire with all of these labels, and why they are not known, or ""."""
    matchers = [("filter", f'{name}="{_quoted(value)}"') for name, value in labels.items()]
    asked = [("active", "true"), ("silenced", "true"), ("inhibited", "true"), *matchers]
    try:
        data = _ask(f"{monitoring.alertmanager}/api/v2/alerts", asked, monitoring)
        found = decode_json(data, list[_Alert])
    except (_AnswerError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return (), one_line(str(error))
    return tuple(sorted((one.plain() for one in found), key=lambda one: one.name)), ""


class _Alert(msgspec.Struct, rename={"starts_at": "startsAt"}):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    starts_at: datetime | None = None

    def plain(self) -> Alert:
        said = self.annotations.get("summary") or self.annotations.get("description", "")
        return Alert(self.labels.get("alertname", "?"), self.labels, one_line(said), self.starts_at)


class _Result(msgspec.Struct, rename={"kind": "resultType"}):
    kind: str = ""
    result: Any = None


class _Answer(msgspec.Struct):
    status: str = ""
    error: str = ""
    data: _Result | None = None


def _result(data: bytes) -> _Result:
    try:
        answer = decode_json(data, _Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _AnswerError("this is not what Prometheus answers") from error
    if answer.status != "success" or answer.data is None:
        raise _AnswerError(one_line(answer.error) or "no answer")
    return answer.data


def _numbers(data: bytes) -> list[tuple[float, float]]:
    """`(seconds since 1970, value)` of the only series; what is no number is left out."""
    found = _result(data).result
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _AnswerError("this is not what Prometheus answers")
    if len(found) != 1:
        what = f"{len(found)} series where one was expected" if found else "no data"
        raise _AnswerError(what)
    numbers = []
    for sample in found[0].get("values") or ():
        with suppress(_AnswerError):
            numbers.append((float(sample[0]), _finite(sample)))
    return numbers


def _number(data: bytes) -> float:
    answer = _result(data)
    found = answer.result
    if answer.kind == "vector":
        if not found:
            raise _AnswerError("no data")
        if len(found) > 1:
            raise _AnswerError(f"{len(found)} series where one was expected")
        return _finite(found[0].get("value"))
    if answer.kind == "scalar":
        return _finite(found)
    raise _AnswerError(f"a {answer.kind or 'strange'} answer where a number was expected")


def _finite(sample: Any) -> float:
    """The number of a `[time, "text"]` pair."""
    try:
        value = float(sample[1])
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise _AnswerError("this is not what Prometheus answers") from error
    if not math.isfinite(value):
        raise _AnswerError("not a number" if math.isnan(value) else "infinite")
    return value


def _ask(url: str, query: Any, monitoring: Monitoring) -> bytes:
    headers = {"Accept": "application/json"}
    token = os.environ.get(monitoring.token_env, "") if monitoring.token_env else ""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        response = _pool().request(
            "GET",
            f"{url}?{urlencode(query)}",
            headers=headers,
            timeout=urllib3.Timeout(total=monitoring.timeout_seconds),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            data = response.read(MOST_BYTES + 1)
        finally:
            response.close()
    except (http_errors.HTTPError, OSError, ValueError) as error:
        raise _AnswerError(f"no answer ({type(error).__name__})") from error
    if len(data) > MOST_BYTES:
        raise _AnswerError("the answer is too long")
    if response.status != _OK:
        raise _AnswerError(_refusal(response.status, data))
    return data


def _refusal(code: int, data: bytes) -> str:
    try:
        said = one_line(decode_json(data, _Answer).error)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = ""
    return f"HTTP {code}{f': {said}' if said else ''}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@lru_cache(maxsize=1)
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=8)
