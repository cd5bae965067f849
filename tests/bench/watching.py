"""A hundred watches on ten thousand events, while others write and one asks.

Watchers, writers and the server to compare with are processes of their own, so that what they cost
is not taken for the server's: `python -m tests.bench.watching watch|write|serve`.
"""

import asyncio
import json
import re
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from tests.bench.bars import Bar
from tests.bench.training import Training
from veza_nb.sandbox.serving.credentials import Credentials

WATCHES, EVENTS = 100, 10_000
_WRITERS = 4
_NOTES = "/api/v1/namespaces/default/configmaps"
_ASKED = "/apis/apps/v1/namespaces/veza-production/deployments/veza-backend-api"
_ASK_EVERY_SECONDS = 0.02
_READY = "ready"
_TOLD = re.compile(
    rb'"name":"(writer-\d)".*?"resourceVersion":"(\d+)".*?"data":\{"number":"(\d+)"\}'
)


def measure(cluster: Training) -> list[Bar]:
    """Events lost or out of order, and how long a GET takes meanwhile, at the 99th percentile."""
    with tempfile.TemporaryDirectory() as folder:
        authority, body = Path(folder) / "ca.pem", Path(folder) / "body.json"
        authority.write_text(cluster.authority, "ascii")
        asker = _Asker(cluster.url, authority, cluster.token)
        body.write_bytes(asker.ask())
        calm = _p99([asker.seconds() for _ in range(200)])
        for number in range(_WRITERS):
            note = {"metadata": {"name": f"writer-{number}"}, "data": {"number": "0"}}
            cluster.ask("POST", _NOTES, note)
        given = (cluster.url, str(authority), cluster.token)
        begun = time.perf_counter()
        with _process("watch", *given) as watchers, _process("write", *given) as writers:
            waits = list(_until_end(watchers, asker))
            assert writers.wait() == 0
            told = json.loads(_line(watchers))
        taken = time.perf_counter() - begun
        with _process("serve", str(body), str(authority)) as plain:
            other = _Asker(_line(plain), authority, "")
            compared = _p99([other.seconds() for _ in range(200)])
    wrong = told["missing"] + told["out of order"]
    load = f"{WATCHES * EVENTS} lines told in {taken:.0f} s"
    peers = f"idle: {calm:.1f} ms; plain aiohttp with that body, idle: {compared:.1f} ms"
    return [
        Bar(f"{WATCHES} watches, {EVENTS} events: lost", wrong, "events", 0, load),
        Bar("GET under that load, p99", _p99(waits), "ms", 100, peers),
    ]


class _Asker:
    """Asks for one object over one connection."""

    def __init__(self, url: str, authority: Path, token: str) -> None:
        context = ssl.create_default_context(cafile=authority)
        self._connection = HTTPSConnection(urlsplit(url).netloc, context=context)
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self) -> bytes:
        self._connection.request("GET", _ASKED, headers=self._headers)
        return self._connection.getresponse().read()

    def seconds(self) -> float:
        begun = time.perf_counter()
        self.ask()
        return time.perf_counter() - begun


def _until_end(process: subprocess.Popen[str], asker: _Asker) -> Iterator[float]:
    while process.poll() is None:
        yield asker.seconds()
        time.sleep(_ASK_EVERY_SECONDS)


def _p99(seconds: list[float]) -> float:
    """In milliseconds."""
    return sorted(seconds)[len(seconds) * 99 // 100] * 1000


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A part of this program in a process of its own, that has said it is ready."""
    command = [sys.executable, "-m", "tests.bench.watching", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert _line(process) == _READY
            yield process
        finally:
            process.terminate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _session(url: str, authority: str, token: str) -> aiohttp.ClientSession:
    context = ssl.create_default_context(cafile=authority)
    return aiohttp.ClientSession(
        url,
        connector=aiohttp.TCPConnector(limit=0, ssl=context),
        headers={"Authorization": f"Bearer {token}"},
        timeout=aiohttp.ClientTimeout(total=None),
    )


async def _watch(url: str, authority: str, token: str) -> None:
    async with _session(url, authority, token) as session:
        async with session.get(_NOTES) as response:
            version = (await response.json())["metadata"]["resourceVersion"]
        query = {"watch": "true", "resourceVersion": version}
        streams = [await session.get(_NOTES, params=query) for _ in range(WATCHES)]
        print(_READY, flush=True)
        found = await asyncio.gather(*(_follow(stream) for stream in streams))
    missing, unordered = (sum(column) for column in zip(*found, strict=True))
    print(json.dumps({"missing": missing, "out of order": unordered}), flush=True)


async def _follow(stream: aiohttp.ClientResponse) -> tuple[int, int]:
    """Events that one watch did not see, and events that it saw in the wrong place."""
    seen, unordered, version, rest = 0, 0, 0, b""
    numbers: dict[bytes, int] = {}
    while seen < EVENTS:
        try:
            piece = await asyncio.wait_for(stream.content.readany(), 30)
        except TimeoutError:
            break
        if not piece:
            break
        lines, _, rest = (rest + piece).rpartition(b"\n")
        for told in _TOLD.finditer(lines):
            name, at, number = told[1], int(told[2]), int(told[3])
            seen += 1
            unordered += at <= version or number != numbers.get(name, 0) + 1
            version, numbers[name] = at, number
    stream.close()
    return EVENTS - seen, unordered


async def _write(url: str, authority: str, token: str) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}

    async def write(writer: int) -> None:
        for number in range(1, EVENTS // _WRITERS + 1):
            body = json.dumps({"data": {"number": str(number)}})
            path = f"{_NOTES}/writer-{writer}"
            async with session.patch(path, data=body, headers=headers) as response:
                response.raise_for_status()
                await response.read()

    async with _session(url, authority, token) as session:
        print(_READY, flush=True)
        await asyncio.gather(*map(write, range(_WRITERS)))


async def _serve(body: str, authority: str) -> None:
    content, credentials = Path(body).read_bytes(), Credentials()
    await asyncio.to_thread(Path(authority).write_bytes, credentials.ca_pem)

    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=content, content_type="application/json")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=credentials.server_context()).start()
    print(_READY, flush=True)
    print(f"https://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


_PARTS: dict[str, Callable[..., Awaitable[None]]] = {
    "watch": _watch,
    "write": _write,
    "serve": _serve,
}


async def _main(part: str, *given: str) -> None:
    await _PARTS[part](*given)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
