"""A real Prometheus with known numbers in it, and a real Alertmanager, on loopback."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from veza_nb.clock import Deadline, SystemClock

START_SECONDS = 30.0


def program(name: str) -> str:
    """Its path; a missing one is a failure in CI and a skip elsewhere."""
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not installed"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return str(found)


@contextmanager
def prometheus(folder: Path, series: dict[str, Sequence[tuple[datetime, float]]]) -> Iterator[str]:
    """Prometheus over these samples; its URL.

    Args:
        folder: for its files.
        series: name with labels to its samples, oldest first.
    """
    lines = []
    for name, samples in series.items():
        lines.append(f"# TYPE {name.partition('{')[0]} gauge")
        lines += [f"{name} {value} {at.timestamp():.3f}" for at, value in samples]
    text = folder / "samples.txt"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    data = folder / "data"
    subprocess.run(
        [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)],
        check=True, capture_output=True,
    )  # fmt: skip
    settings = folder / "prometheus.yml"
    settings.write_text("global: {scrape_interval: 1h}\n")
    port = free_port()
    with running(
        [program("prometheus"), f"--config.file={settings}", f"--storage.tsdb.path={data}",
         f"--web.listen-address=127.0.0.1:{port}"],
        f"http://127.0.0.1:{port}",
    ) as url:  # fmt: skip
        yield url


@contextmanager
def alertmanager(folder: Path) -> Iterator[str]:
    """Alertmanager without alerts; its URL."""
    settings = folder / "alertmanager.yml"
    settings.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    port = free_port()
    with running(
        [program("prometheus-alertmanager"), f"--config.file={settings}",
         f"--storage.path={folder / 'alerts'}", f"--web.listen-address=127.0.0.1:{port}",
         "--cluster.listen-address="],
        f"http://127.0.0.1:{port}",
    ) as url:  # fmt: skip
        yield url


def fire(url: str, name: str, *, minutes_ago: float = 1, over: bool = False, **labels: str) -> None:
    """Let an alert fire, or be over."""
    now = datetime.now(UTC)
    alert = {
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": f"{name} of {labels.get('service', '?')}"},
        "startsAt": (now - timedelta(minutes=minutes_ago)).isoformat(),
        "endsAt": (now + (timedelta(seconds=-1) if over else timedelta(hours=1))).isoformat(),
    }
    answer = httpx.post(f"{url}/api/v2/alerts", content=json.dumps([alert]), headers=JSON)
    answer.raise_for_status()


JSON = {"Content-Type": "application/json"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(command: list[str], url: str) -> Iterator[str]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = Deadline.after(SystemClock(), START_SECONDS)
    while not deadline.passed and process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready").status_code == 200:
                return
        except httpx.HTTPError:
            SystemClock().sleep(0.05)
    pytest.fail(f"{url} did not come up")
