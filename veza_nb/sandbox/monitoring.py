"""A real Prometheus and a real Alertmanager on a training cluster, for as long as that runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import aiohttp

from veza_nb.sandbox import tether
from veza_nb.sandbox.detached import MONITORING, ClusterError
from veza_nb.sandbox.metrics import scraping

_START_SECONDS = 20.0
_LOOK_SECONDS = 0.05
_PATIENCE = aiohttp.ClientTimeout(total=1.0)
_END_SECONDS = 5.0
_LOG_TAIL = 1500
_MISSING = (
    "{} is not installed; Prometheus and its Alertmanager come with Debian's packages "
    "prometheus and prometheus-alertmanager"
)


class MonitoringError(ClusterError):
    """Prometheus or Alertmanager cannot run; the message says why."""


class Monitoring:
    """Prometheus and Alertmanager on loopback, with files of their own below a state directory.

    Args:
        directory: of the cluster; theirs is below it and goes when they stop.
        port: of Prometheus; 0 takes a free one.

    Raises:
        MonitoringError: they are not installed.
    """

    def __init__(self, directory: Path, port: int = 0) -> None:
        self._prometheus_program = _find("Prometheus", "prometheus")
        self._alertmanager_program = _find(
            "Alertmanager", "prometheus-alertmanager", "alertmanager"
        )
        self._directory = directory / MONITORING
        self._port = port
        self._programs: list[_Program] = []
        self.prometheus = ""
        self.alertmanager = ""

    async def start(self, metrics: str) -> None:
        """Start both and wait until they answer.

        Args:
            metrics: host and port of the cluster's metrics.

        Raises:
            MonitoringError: one of them ends, or does not answer in time.
        """
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(mode=0o700, parents=True)
        prometheus, alertmanager = (f"127.0.0.1:{port}" for port in _ports(self._port))
        self._write_files(metrics, alertmanager)
        self._programs = [
            self._run_prometheus(prometheus),
            self._run_alertmanager(alertmanager),
        ]
        try:
            await asyncio.gather(*(program.answers() for program in self._programs))
        except BaseException:
            self.stop()
            raise
        self.prometheus, self.alertmanager = f"http://{prometheus}", f"http://{alertmanager}"

    def stop(self) -> None:
        """End both and remove their files; may be called again."""
        for program in self._programs:
            program.end()
        if self._programs:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._programs.clear()

    def _write_files(self, metrics: str, alertmanager: str) -> None:
        data = resources.files("veza_nb.sandbox").joinpath("data/prometheus")
        for name in ("rules.yml", "alertmanager.yml"):
            text = data.joinpath(name).read_text("utf-8")
            (self._directory / name).write_text(text, "utf-8")
        configuration = scraping.configuration(
            metrics, rules=str(self._directory / "rules.yml"), alertmanager=alertmanager
        )
        (self._directory / "prometheus.yml").write_text(configuration, "utf-8")

    def _run_prometheus(self, address: str) -> _Program:
        command = [
            self._prometheus_program,
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'prometheus-data'}",
            "--storage.tsdb.retention.time=2d",
            f"--web.listen-address={address}",
            f"--web.external-url=http://{address}",
            "--log.level=warn",
        ]
        return _Program("Prometheus", command, address, self._directory / "prometheus.log")

    def _run_alertmanager(self, address: str) -> _Program:
        command = [
            self._alertmanager_program,
            f"--config.file={self._directory / 'alertmanager.yml'}",
            f"--storage.path={self._directory / 'alertmanager-data'}",
            f"--web.listen-address={address}",
            f"--web.external-url=http://{address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        return _Program("Alertmanager", command, address, self._directory / "alertmanager.log")


class _Program:
    """A server in a process of its own that cannot outlive this one."""

    def __init__(self, name: str, command: Sequence[str], address: str, log: Path) -> None:
        self._name = name
        self._address = address
        self._log = log
        tied = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *command]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                tied, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    async def answers(self) -> None:
        """Wait until it says that it is ready.

        Raises:
            MonitoringError: it ends, or takes too long.
        """
        try:
            async with asyncio.timeout(_START_SECONDS), aiohttp.ClientSession() as session:
                while not await self._is_ready(session):
                    if self._process.poll() is not None:
                        raise self._failure()
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError as error:
            why = f"{self._name} did not answer within {_START_SECONDS:.0f} s"
            raise MonitoringError(f"{why}; its log says:\n{self._tail()}") from error

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(
                f"http://{self._address}/-/ready", timeout=_PATIENCE
            ) as response:
                # Whoever has taken the port may say yes to anything.
                return response.status == 200 and self._process.poll() is None
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _failure(self) -> MonitoringError:
        said = self._tail()
        if "address already in use" in said:
            return MonitoringError(
                f"{self._name} cannot listen on {self._address}: the port is taken"
            )
        return MonitoringError(f"{self._name} ended at once; its log says:\n{said}")

    def _tail(self) -> str:
        try:
            return self._log.read_text("utf-8", "replace")[-_LOG_TAIL:].strip() or "(nothing)"
        except OSError:
            return "(nothing)"

    def end(self) -> None:
        """End it at once: what it would save on a polite request is removed anyway."""
        self._process.kill()
        self._process.wait(_END_SECONDS)


def _find(name: str, *programs: str) -> str:
    for program in programs:
        if (found := shutil.which(program)) is not None:
            return found
    raise MonitoringError(_MISSING.format(name))


def _ports(prometheus: int) -> tuple[int, int]:
    """Two ports: the one asked for, or a free one, and another free one."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return prometheus or one.getsockname()[1], other.getsockname()[1]
