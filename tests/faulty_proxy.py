"""A real HTTP proxy in front of an API server that loses, holds back or refuses answers."""

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import yaml


class Fault(StrEnum):
    """What happens to an undo (a PATCH that is no dry run)."""

    NONE = "none"
    LOSE_ANSWER = "lose answer"
    UNAVAILABLE = "503"
    TOO_MANY = "429"


@dataclass
class Proxy:
    """The proxy's address and its fault, which may be changed at any time."""

    kubeconfig: Path
    fault: Fault = Fault.NONE
    patches: list[str] = field(default_factory=list)


@contextmanager
def faulty_proxy(kubeconfig: Path, folder: Path) -> Iterator[Proxy]:
    """A proxy to the cluster of that kubeconfig, with a kubeconfig of its own."""
    document = yaml.safe_load(kubeconfig.read_text())
    target = document["clusters"][0]["cluster"]
    authority = ssl.create_default_context(cadata=_ca_of(target))
    with httpx.Client(base_url=target["server"], verify=authority, timeout=10) as upstream:
        proxy = Proxy(folder / "proxied")
        with ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy, upstream)) as server:
            target["server"] = f"http://127.0.0.1:{server.server_port}"
            target.pop("certificate-authority-data", None)
            proxy.kubeconfig.write_text(yaml.safe_dump(document))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            yield proxy
            server.shutdown()
            thread.join()


def _ca_of(target: dict[str, str]) -> str:
    return base64.b64decode(target["certificate-authority-data"]).decode()


def _handler(proxy: Proxy, upstream: httpx.Client) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            is_patch = self.command == "PATCH" and "/deployments/" in self.path
            undo = is_patch and "dryRun" not in self.path
            if undo:
                proxy.patches.append(self.path)
            if undo and proxy.fault in {Fault.UNAVAILABLE, Fault.TOO_MANY}:
                self._answer(int(proxy.fault.value), b'{"kind":"Status","message":"not now"}')
                return
            kept = {"accept", "authorization", "content-type", "user-agent"}
            headers = {k: v for k, v in self.headers.items() if k.lower() in kept}
            if "watch=true" in self.path:
                self._answer(403, b'{"kind":"Status","message":"no watching through here"}')
                return
            answer = upstream.request(self.command, self.path, content=body, headers=headers)
            if undo and proxy.fault is Fault.LOSE_ANSWER:
                self.close_connection = True
                return
            self._answer(answer.status_code, answer.content)

        do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - the base class's spelling

        def _answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
