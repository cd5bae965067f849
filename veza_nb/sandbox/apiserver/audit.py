"""Who asked for what, and what was answered: the record that tests and debriefs read."""

from __future__ import annotations

import collections
from datetime import datetime
from pathlib import Path

import msgspec


class AuditEntry(msgspec.Struct, frozen=True, gc=False):
    """One request and its answer.

    Attributes:
        at: Cluster time when it was answered.
        user: User name; in-process controllers have "system:" names.
        agent: User-Agent, or the name of an in-process client.
        verb: Kubernetes' verb: get, list, watch, create, update, patch, delete, deletecollection.
        resource: Plural name; the path for requests that are not about a resource.
        subresource: Such as "scale"; empty for the object itself.
        namespace: Empty at cluster scope.
        name: Empty for collections.
        code: HTTP status of the answer.
        dry_run: Nothing was kept.
        content_type: Media type of the body; tells the patch types apart.
        group: API group; empty for the core group and for paths.
        groups: Of the user.
        impersonator: Who really asked, when the user is impersonated; else empty.
        reason: Of a refusal, such as "Forbidden"; else empty.
        fault: Ids of the faults that the request met; else empty.
        id: What the client was told in the header Audit-Id; empty for in-process clients.
    """

    at: datetime
    user: str
    agent: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    dry_run: bool
    content_type: str
    group: str = ""
    groups: tuple[str, ...] = ()
    impersonator: str = ""
    reason: str = ""
    fault: str = ""
    id: str = ""


class AuditLog:
    """The newest entries in memory, and all of them in a file if one is given.

    Args:
        file: JSON lines are appended here, one an entry, at once.
        keep: Entries kept in memory.
    """

    def __init__(self, file: Path | None = None, keep: int = 100_000) -> None:
        self.entries: collections.deque[AuditEntry] = collections.deque(maxlen=keep)
        self._sink = file.open("ab", buffering=0) if file else None

    def add(self, entry: AuditEntry) -> None:
        """Keep an entry and write its line."""
        self.entries.append(entry)
        if self._sink is not None:
            self._sink.write(msgspec.json.encode(entry) + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None
