"""A real API server without controllers, in a thread of its own, joined at the end."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import pytest
import yaml

from veza_nb.sandbox.apiserver.access import Access, User, system_user
from veza_nb.sandbox.apiserver.api import DEFAULT_VERSION, Api, Request, Response
from veza_nb.sandbox.apiserver.audit import AuditLog
from veza_nb.sandbox.apiserver.calls import Time
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.serving.credentials import Credentials, write_kubeconfig
from veza_nb.sandbox.serving.server import Server

Json = dict[str, Any]
RECORDINGS = Path(__file__).parent.parent / "data" / "recordings"
NAMESPACE = "veza-production"


class ApiServer:
    """An API server on a free port, and ways to talk to it."""

    def __init__(
        self,
        directory: Path,
        clock: Time | None = None,
        version: str = DEFAULT_VERSION,
        **patience: float,
    ) -> None:
        self.credentials = Credentials()
        self.logs = LogStore()
        self.api = Api(
            clock=clock or Clock(),
            logs=self.logs,
            access=self.credentials.access(),
            audit=AuditLog(),
            version=version,
        )
        self.kubeconfig = directory / "kubeconfig"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._server = Server(self.api, self.credentials, **patience)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def start(self) -> None:
        """Listen, write the kubeconfig, make the namespace."""
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(10)
        credentials = self.credentials
        write_kubeconfig(self.kubeconfig, self.url, credentials.ca_pem, credentials.tokens)
        self.as_admin(lambda client: client.create("namespaces", None, _named(NAMESPACE)))

    def stop(self) -> None:
        """Stop listening and join the thread."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def connections(self) -> int:
        """Return how many connections the server holds."""
        return self._server.connections

    def as_admin(self, function: Callable[[Client], Any]) -> Any:
        """Run a function with an administrator's client inside the loop."""
        done: Future[Any] = Future()

        def run() -> None:
            try:
                done.set_result(function(Client(self.api, "admin", "tests")))
            except BaseException as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(10)

    def http(self, user: str | None = "admin", **options: Any) -> httpx.Client:
        """Return an HTTP client of a user; None: nobody, or a user without a token: a bad one."""
        headers = {"Accept": "application/json", "User-Agent": "python-urllib3/2.0"}
        if user is not None:
            headers["Authorization"] = f"Bearer {self.credentials.tokens.get(user, 'wrong')}"
        context: ssl.SSLContext = self.credentials.client_context()
        return httpx.Client(base_url=self.url, headers=headers, verify=context, **options)

    def apply_manifest(self) -> None:
        """Create what `manifests/veza.yaml` says."""
        text = (RECORDINGS / "manifests" / "veza.yaml").read_text("utf-8")
        for document in yaml.safe_load_all(text):
            if document["kind"] != "Namespace":
                plural = document["kind"].lower() + "s"
                self.as_admin(
                    lambda client, plural=plural, document=document: client.create(
                        plural, NAMESPACE, document
                    )
                )


def _named(name: str) -> Json:
    return {"metadata": {"name": name}}


def recording(path: str) -> Json:
    """Return a recording, such as "http/20-403-get.json"."""
    loaded: Json = json.loads((RECORDINGS / path).read_text("utf-8"))
    return loaded


def recording_lines(path: str) -> list[Json]:
    """Return the lines of a recorded watch."""
    return [json.loads(line) for line in (RECORDINGS / path).read_text("utf-8").splitlines()]


class ApiInProcess:
    """The API without sockets, and the two ways to ask it: as a client, or by raw requests."""

    def __init__(self) -> None:
        self.logs = LogStore()
        self.api = Api(clock=Clock(), logs=self.logs, access=Access(), audit=AuditLog())
        self.admin = Client(self.api, "admin", "tests")
        self.admin.create("namespaces", None, _named(NAMESPACE))

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str = "system:test",
        **headers: str,
    ) -> Response:
        """Send a request; a query may be part of the path, "_" in header names means "-"."""
        parts = urlsplit(path)
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked_by = system_user(user) if user.startswith("system:") else User(user)
        return self.api.handle(
            Request(
                method, unquote(parts.path), dict(parse_qsl(parts.query)), named, raw, user=asked_by
            )
        )

    def refusal(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, str]:
        """Send a request that is refused; return the code and the message."""
        response = self.ask(method, path, body, **headers)
        assert isinstance(response.document, dict)
        assert response.document["kind"] == "Status"
        return response.status, response.document["message"]


def deployment(name: str = "web", **spec: Any) -> Json:
    """Return a small Deployment."""
    labels = {"app": name}
    containers = [{"name": "main", "image": "registry.example/web:v1"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            **spec,
        },
    }


def pod(name: str, **labels: str) -> Json:
    """Return a small Pod."""
    containers = [{"name": "main", "image": "registry.example/web:v1"}]
    return {"metadata": {"name": name, "labels": labels}, "spec": {"containers": containers}}


@pytest.fixture
def cluster() -> ApiInProcess:
    """A fresh API in this process, with the namespace `veza-production`."""
    return ApiInProcess()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """A fresh server with the namespace `veza-production`."""
    running = ApiServer(tmp_path)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def veza(server: ApiServer) -> ApiServer:
    """A fresh server with Veza's Deployments and Services."""
    server.apply_manifest()
    return server
