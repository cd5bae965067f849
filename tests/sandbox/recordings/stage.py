"""A cluster whose time moves only when a story says so, the real kubectl, and raw requests."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from tests.sandbox.recordings.clockwork import SteppedClock
from tests.sandbox.recordings.index import HOME
from tests.sandbox.transcripts import Said
from veza_nb.sandbox import seeding
from veza_nb.sandbox.faults import parsing
from veza_nb.sandbox.nodes import releases
from veza_nb.sandbox.plane import ControlPlane
from veza_nb.sandbox.serving.credentials import Credentials
from veza_nb.sandbox.serving.server import Server

Json = dict[str, Any]
T = TypeVar("T")
_PATIENCE = 60.0
# How long a command waits in vain; enough for it to look once.
_ENOUGH = 3.0
_TICK = 0.05
# What a command took when it was recorded; the controllers act in that time.
COMMAND_SECONDS = 0.1
_HEADERS = {"Accept": "application/json", "User-Agent": "python-urllib3/2.0"}
_TIMEOUT = re.compile(r"(--timeout=|--request-timeout=)\d+s")


class Stage:
    """One control plane with three nodes, served over HTTPS, as the recorded one was set up."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = SteppedClock()
        self.credentials = Credentials()
        self._loop = self.clock.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="recordings")
        self.url = ""

    def __enter__(self) -> Stage:
        self._thread.start()
        self._await(self._start())
        self._write_files()
        self._http = httpx.Client(base_url=self.url, verify=self.credentials.client_context())
        self.advance(2)
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._await(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _start(self) -> None:
        self.clock.hold()
        self.plane = ControlPlane(
            clock=self.clock,
            access=self.credentials.access(),
            releases=releases.parse(CATALOGUE, "the recorded behaviour"),
            root_certificate=self.credentials.ca_pem.decode(),
        )
        self._server = Server(self.plane.api, self.credentials)
        await self.plane.start()
        seeding.create_cluster(self.plane)
        self.url = await self._server.start()

    async def _end(self) -> None:
        await self._server.stop()
        await self.plane.stop()

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    # -- time ----------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass in the cluster."""
        self._await(self.clock.advance(seconds))

    # -- requests ------------------------------------------------------------------------------

    def ask(
        self, method: str, path: str, body: object = None, user: str = "admin", **headers: str
    ) -> httpx.Response:
        """Send a request; a body that is no text is sent as JSON."""
        content = body if isinstance(body, str | None) else json.dumps(body)
        named = {**_HEADERS, **_authorization(self.credentials, user), **headers}
        return self._http.request(method, path, content=content, headers=named)

    def get(self, path: str) -> Json:
        """The body of a GET."""
        answer = self.ask("GET", path)
        assert answer.status_code == 200, f"GET {path}: {answer.text}"
        found: Json = answer.json()
        return found

    def version(self) -> str:
        """The version that the cluster has come to."""
        return str(self.plane.api.core.store.version)

    def changes(self, path: str, since: str) -> list[Json]:
        """The events of a watch from a version on, up to now."""
        joint = "&" if "?" in path else "?"
        return self.lines(f"{path}{joint}watch=true&resourceVersion={since}&timeoutSeconds=1")

    def lines(self, path: str) -> list[Json]:
        """The events of a watch that ends by its timeout."""
        answer = self.ask("GET", path)
        return [json.loads(line) for line in answer.text.splitlines()]

    # -- trouble -------------------------------------------------------------------------------

    def fault(self, kind: str) -> None:
        """Let the requests of clients meet a fault; "none" ends all of them."""
        edge = self._server.edge
        self._await(edge.clear() if kind == "none" else edge.add(parsing.parse({"kind": kind})))

    def forget(self) -> None:
        """Let the cluster know nothing of its history but the present."""

        async def compact() -> None:
            store = self.plane.api.core.store
            store.compact(store.version)

        self._await(compact())

    # -- kubectl -------------------------------------------------------------------------------

    def kubectl(
        self, command: str, seconds: float = COMMAND_SECONDS, *, vain: bool = False
    ) -> Said:
        """Run a command; once it watches something, time passes until it ends.

        Its timeouts are two seconds when it waits in vain.

        Args:
            command: without the word kubectl.
            seconds: that pass in the cluster after it.
            vain: it waits for what does not come: time stands still, and it is ended if it has no
                timeout of its own.
        """
        process = self._popen(_TIMEOUT.sub(r"\g<1>2s", command) if vain else command)
        try:
            self._await_end(process, command, vain=vain)
        finally:
            process.kill()
            out, err = process.communicate()
        self.advance(seconds)
        return Said(process.returncode, out, err)

    def _await_end(self, process: subprocess.Popen[str], command: str, *, vain: bool) -> None:
        seen, began = len(self.plane.api.audit.entries), time.monotonic()
        endless = vain and _TIMEOUT.search(command) is None
        while process.poll() is None:
            passed = time.monotonic() - began
            assert passed < _PATIENCE, f"kubectl {command} does not end"
            if endless and passed > _ENOUGH:
                process.kill()
            if not vain and self._watched(seen):
                self.advance(_TICK)
            time.sleep(0.01)

    def _watched(self, since: int) -> bool:
        entries = list(self.plane.api.audit.entries)[since:]
        return any(entry.verb == "watch" and "kubectl" in entry.agent for entry in entries)

    def _popen(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["kubectl", *shlex.split(self._here(command))],
            cwd=self.directory,
            env={**os.environ, "KUBECONFIG": "kubeconfig", "HOME": str(self.directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _here(self, command: str) -> str:
        command = command.replace("https://127.0.0.1:16443", self.url).removesuffix(" </dev/null")
        return command.replace("admin-token-local-only", self.credentials.tokens["admin"])

    def _write_files(self) -> None:
        """The recorder's folder: a kubeconfig, the manifests, the authority's certificate."""
        shutil.copytree(HOME / "manifests", self.directory / "manifests")
        authority = self.directory / "pki" / "ca.crt"
        authority.parent.mkdir()
        authority.write_bytes(self.credentials.ca_pem)
        tokens = self.credentials.tokens
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "local",
                    "cluster": {"server": self.url, "certificate-authority": str(authority)},
                }
            ],
            "users": [{"name": name, "user": {"token": token}} for name, token in tokens.items()],
            "contexts": [
                {"name": f"{name}@local", "context": {"cluster": "local", "user": name}}
                for name in tokens
            ],
            "current-context": "admin@local",
        }
        (self.directory / "kubeconfig").write_text(yaml.safe_dump(config))


def _authorization(credentials: Credentials, user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credentials.tokens.get(user, 'wrong')}"}


CATALOGUE = """
behaviors:
  good: &good
    start_seconds: 1.0
    ready_seconds: 0
    startup: &startup
      - '2026-11-23T09:31:39Z starting {image} (restart {run})'
      - 'listening on :{port}'
      - 'ready'
  crash:
    start_seconds: 1.0
    ready_seconds: null
    runs_seconds: 0.72
    exit_code: 1
    startup: ['2026-11-23T09:31:39Z starting {image} (restart {run})']
    last_words: ['panic: fakelet: image tag says so', 'exit status 1']
  missing:
    pulls: false
  slow:
    start_seconds: 1.0
    ready_seconds: null
    startup: ['2026-11-23T09:31:39Z starting {image} (restart {run})']
  flaky:
    start_seconds: 1.0
    ready_seconds: 0
    runs_seconds: 8.0
    exit_code: 1
    startup: *startup
    last_words: ['panic: fakelet: image tag says so', 'exit status 1']
  complete:
    start_seconds: 1.0
    ready_seconds: 0
    runs_seconds: 2.0
  fail:
    start_seconds: 1.0
    ready_seconds: null
    runs_seconds: 2.0
    exit_code: 1
images:
  registry.veza.example/migrate:v1: complete
tags:
  - {contains: bad, behavior: crash}
  - {contains: missing, behavior: missing}
  - {contains: slow, behavior: slow}
  - {contains: flaky, behavior: flaky}
  - {contains: fail, behavior: fail}
  - {contains: v, behavior: good}
"""
