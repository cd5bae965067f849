"""A workload as it changes: three watches, one snapshot after each change.

A watch may break, expire (410) or be forbidden; each has its answer here, so that whoever
follows a rollout sees snapshots and nothing else. Without the `watch` verb the lists are
read again every second instead.
"""

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from veza_nb.clock import Deadline
from veza_nb.cluster.client import Cluster
from veza_nb.cluster.transport import pause, pieces
from veza_nb.controllerrevisions import READERS, as_deployment, as_workload
from veza_nb.errors import ForbiddenError, NotFoundError, VezaError
from veza_nb.objects import ObjectMeta, Pod, Workload
from veza_nb.typed import decode_json

HEARTBEAT = 1.0
"""Seconds after which a snapshot comes even though nothing changed."""
WATCH_SECONDS = 60
"""The server ends a watch after that; it is taken up again where it ended."""
RETRY_PAUSE = 0.5
"""Seconds before a watch that came to nothing is begun again; doubled each time, up to 5."""
WORTHWHILE = 1.0
"""Seconds after which a watch was worth beginning even though it told nothing."""
POLL = 1.0
"""Seconds between two lists where watching is not allowed."""


def watch_workload(
    cluster: Cluster, name: str, selector: str, *, deadline: Deadline
) -> Generator[Workload, None, None]:
    """Snapshots of a workload of the cluster's kind with its revisions and pods.

    The first comes when all three are known, then one after each change (changes that come
    together make one), and one every `HEARTBEAT`. Ends at the deadline.

    Raises:
        NotFoundError: the workload is gone.
        VezaError: at the deadline, something can not be read (any more); the reason.
    """
    changes: queue.SimpleQueue[_Feed] = queue.SimpleQueue()
    kind, (owner, kept) = cluster.kind, READERS[cluster.kind]
    by_name, by_label = {"fieldSelector": f"metadata.name={name}"}, {"labelSelector": selector}
    feeds = (
        _Feed(cluster, "apps/v1", kind.resource, owner, by_name, changes),
        _Feed(cluster, "apps/v1", kind.revisions, kept, by_label, changes),
        _Feed(cluster, "v1", "pods", Pod, by_label, changes),
    )
    for feed in feeds:
        feed.start()
    try:
        yield from _snapshots(name, feeds, changes, deadline)
    finally:
        for feed in feeds:
            feed.stop()


def _snapshots(
    name: str,
    feeds: tuple["_Feed", "_Feed", "_Feed"],
    changes: "queue.SimpleQueue[_Feed]",
    deadline: Deadline,
) -> Iterator[Workload]:
    while not deadline.passed:
        with suppress(queue.Empty):
            changes.get(timeout=min(HEARTBEAT, deadline.left))
        while not changes.empty():
            changes.get()
        for feed in feeds:
            if isinstance(feed.problem, ForbiddenError) and not feed.synced:
                raise feed.problem  # waiting does not bring a right
        if all(feed.synced for feed in feeds):
            yield _snapshot(name, *feeds)
    # An outage is waited out; one that lasts to the end makes the last snapshot a guess.
    for feed in feeds:
        if feed.problem is not None:
            raise feed.problem


def _snapshot(name: str, *feeds: "_Feed") -> Workload:
    owners, revisions, pods = (feed.objects() for feed in feeds)
    if not owners:
        kind = feeds[0].cluster.kind
        raise NotFoundError(f"The {kind} {name} is gone.", next_step="Somebody deleted it.")
    return as_workload(as_deployment(owners[0]), revisions, pods)


class _Line(msgspec.Struct, frozen=True):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class _Meta(msgspec.Struct, frozen=True):
    """As much of an object as a cache needs."""

    metadata: ObjectMeta


@dataclass(slots=True, eq=False)
class _Feed:
    """One resource, listed and then watched in a thread of its own.

    Attributes:
        synced: it has been listed once; from then on `objects` knows them.
        problem: why it can not be listed at present.
    """

    cluster: Cluster
    group_version: str
    resource: str
    kind: type[Any]
    query: dict[str, str]
    changes: "queue.SimpleQueue[_Feed]"
    synced: bool = False
    problem: VezaError | None = None
    _known: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _may_watch: bool = True
    _in_vain: int = 0
    _response: urllib3.BaseHTTPResponse | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._run, name=f"watch-{self.resource}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread, also where it waits for the server."""
        self._stopped.set()
        with suppress(Exception):
            if self._response is not None:
                self._response.shutdown()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def objects(self) -> tuple[Any, ...]:
        """What is known now, in the order of names."""
        with self._lock:
            return tuple(sorted(self._known.values(), key=lambda item: item.metadata.name))

    def _run(self) -> None:
        version: str | None = None
        while not self._stopped.is_set():
            self._in_vain += 1  # until something comes of it
            try:
                version = self._follow(version or self._list())
            except (VezaError, HTTPError, msgspec.DecodeError, OSError):
                version = None
            if self._in_vain:
                self._stopped.wait(pause(self._in_vain, RETRY_PAUSE))

    def _follow(self, version: str) -> str | None:
        """Take changes from that version on; the version to go on from, None to list again."""
        if self._may_watch:
            began = self.cluster.clock.monotonic()
            try:
                return self._watch(version)
            except ForbiddenError:
                self._may_watch = False
            finally:
                if self.cluster.clock.monotonic() - began >= WORTHWHILE:
                    self._in_vain = 0
        self._stopped.wait(POLL)
        self._in_vain = 0
        return None

    def _list(self) -> str:
        try:
            items, version = self.cluster.list_all(
                self.group_version, self.resource, self.kind, self.query
            )
        except VezaError as error:
            self.problem = error
            raise
        with self._lock:
            self._known = {item.metadata.uid: item for item in items}
        self.synced, self.problem = True, None
        self.changes.put(self)
        return version

    def _watch(self, version: str) -> str | None:
        """Take changes until the server ends the watch; the version to go on from."""
        query = {
            **self.query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        path = self.cluster.path(self.group_version, self.resource)
        response = self.cluster.transport.stream(path, query, timeout=WATCH_SECONDS + 10.0)
        self._response = response
        try:
            if self._stopped.is_set():  # it came too late for `stop` to see
                return None
            latest: str | None = version
            for line in _lines(response):
                latest = self._take(decode_json(line, _Line))
                if latest is None or self._stopped.is_set():
                    return None
            return latest
        finally:
            self._response = None
            response.close()

    def _take(self, line: _Line) -> str | None:
        if line.type == "ERROR":
            # 410 Gone, or a server in trouble: begin again with a list.
            return None
        meta = decode_json(line.object, _Meta).metadata
        if line.type == "BOOKMARK":
            return meta.resource_version
        self._in_vain = 0
        with self._lock:
            if line.type == "DELETED":
                self._known.pop(meta.uid, None)
            else:
                self._known[meta.uid] = decode_json(line.object, self.kind)
        self.changes.put(self)
        return meta.resource_version


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for piece in pieces(response):
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line for line in whole if line.strip())
