"""A training cluster in a process of its own, as `veza-nb sandbox up` starts it."""

import base64
import os
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from tests.bench.commands import VEZA_NB
from veza_nb.sandbox import detached
from veza_nb.sandbox.steering import control

Json = dict[str, Any]
_PATIENCE_SECONDS = 120.0


class Training:
    """Started when entered, ended when left; `seconds` is the time to its first answer.

    Args:
        place: for its files.
        scenario: what is played; "" is a healthy cluster.
    """

    def __init__(self, place: Path, scenario: str = "") -> None:
        self._scenario = ["--scenario", scenario] if scenario else []
        self._environment = {**os.environ, "XDG_STATE_HOME": str(place)}
        self._directory = place / "veza-nb" / "sandbox"

    def __enter__(self) -> Self:
        begun = time.perf_counter()
        self._command("up", *self._scenario)
        running = detached.status(self._directory)
        assert running is not None
        self.url, self.kubeconfig, self.pid = running.url, running.kubeconfig, running.pid
        self.catalog, self._running = running.catalog, running
        self.authority, self.token = _credentials(Path(running.kubeconfig))
        self.http = httpx.Client(
            base_url=self.url,
            verify=ssl.create_default_context(cadata=self.authority),
            headers={"Authorization": f"Bearer {self.token}"},
        )
        self.http.get(f"/api/v1/namespaces/{running.namespace}/pods").raise_for_status()
        self.seconds = time.perf_counter() - begun
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()
        self._command("down")

    def control(self, operation: str, arguments: Json) -> Any:
        """Let the cluster do what no client can ask of it, such as "faults.add"."""
        return control.ask(self._running, operation, arguments)

    def _command(self, *words: str) -> None:
        command = [VEZA_NB, "sandbox", *words]
        subprocess.run(command, check=True, env=self._environment, stdout=subprocess.DEVNULL)

    def megabytes(self) -> float:
        """What the process holds in memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
        return int(kilobytes) / 1024

    def ask(self, method: str, path: str, body: object = None) -> Json:
        answer = self.http.request(method, path, json=body)
        answer.raise_for_status()
        found: Json = answer.json()
        return found

    def kubectl(self, *arguments: str) -> str:
        command = ["kubectl", "--kubeconfig", self.kubeconfig, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def wait(self, reached: Callable[[], bool]) -> float:
        """Seconds until something is so."""
        begun = time.perf_counter()
        while not reached():
            if time.perf_counter() - begun > _PATIENCE_SECONDS:
                raise TimeoutError(f"not reached within {_PATIENCE_SECONDS:.0f} s")
            time.sleep(0.05)
        return time.perf_counter() - begun


def _credentials(kubeconfig: Path) -> tuple[str, str]:
    """The certificate to trust, and the administrator's token."""
    content = yaml.safe_load(kubeconfig.read_text("utf-8"))
    authority = content["clusters"][0]["cluster"]["certificate-authority-data"]
    return base64.b64decode(authority).decode(), content["users"][0]["user"]["token"]
