"""A training cluster's state, kept and brought back later as if no time had passed.

Kept are all objects as they are stored (uids, resource versions, field managers), what containers
printed, the catalogue of releases and the scenario. What runs is not kept: a container's restarts
and back-off stand in its pod's status, from which a kubelet goes on as after its own restart.
Credentials, the audit log, faults on demand and open watches belong to one process and are new.

Dates move, so that the moment of saving is the moment of restoring: those that the cluster wrote
itself, in metadata, status, events, Leases and taints. What people wrote stays: an annotation such
as `kubectl.kubernetes.io/restartedAt` is part of a pod template and must not change. Versions go on
far above the saved ones, and none before is known any more, so that whoever watched the old cluster
gets 410 Expired and lists anew.
"""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from veza_nb.sandbox.apiserver.logs import Line, RunRecord
from veza_nb.sandbox.clock import parse_timestamp
from veza_nb.sandbox.controllers.namespaces import ROOT_CA
from veza_nb.sandbox.nodes.releases import Releases
from veza_nb.sandbox.plane import ControlPlane
from veza_nb.sandbox.saving import files
from veza_nb.sandbox.saving.files import SnapshotError
from veza_nb.sandbox.scenarios import Scenario

__all__ = ["Snapshot", "SnapshotError", "restore", "take"]

Json = dict[str, Any]
VERSION_GAP = 1_000_000
"""Resource versions left out by a restore: more than the cluster made after it was saved."""
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
# Fields besides metadata and status that hold dates, by kind.
_DATED = {
    "Event": ("firstTimestamp", "lastTimestamp", "eventTime", "series"),
    "Lease": ("spec",),
    "Node": ("spec",),
}
_DATED_METADATA = ("creationTimestamp", "deletionTimestamp")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole cluster at one moment.

    Attributes:
        saved_at: the cluster's date then, aware UTC.
        version: the resource version of its newest change.
        scenario: what is being played.
        injected: whether the scenario's fault is in.
        releases: how images behave.
        objects: by storage key; shared with the cluster, not to be changed.
        logs: what containers printed.
    """

    saved_at: datetime
    version: int
    scenario: Scenario
    injected: bool
    releases: Releases
    objects: Mapping[str, Sequence[Json]]
    logs: Sequence[RunRecord]

    @property
    def size(self) -> int:
        """How many objects there are."""
        return sum(map(len, self.objects.values()))

    def save(self, path: Path) -> int:
        """Write it to a file in one step; return its length in bytes. Only the owner can read it.

        Raises:
            SnapshotError: it cannot be written; a file that was there before is untouched.
        """
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields["objects"] = {key: _encoded(entries) for key, entries in self.objects.items()}
        fields["logs"] = _encoded(self.logs)
        return files.write(path, msgspec.json.encode(fields))

    @classmethod
    def load(cls, path: Path) -> Snapshot:
        """Read one from a file.

        Raises:
            SnapshotError: it is missing, broken, cut short, none, or of a newer version.
        """
        try:
            with _uncollected():
                found = msgspec.json.decode(files.read(path), type=cls)
            _check(found)
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, SnapshotError):
                raise
            raise SnapshotError(f"the snapshot {path} does not make sense: {error}") from error
        return found


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which walks over all that is being made again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _encoded(entries: Sequence[object]) -> list[msgspec.Raw]:
    """One by one, because a thread that encodes all of them at once stops all others."""
    return [msgspec.Raw(msgspec.json.encode(entry)) for entry in entries]


def _check(snapshot: Snapshot) -> None:
    """Refuse objects that a store would stumble over."""
    for entry in _every(snapshot.objects):
        metadata = entry["metadata"]
        if not {"name", "uid"} <= set(metadata):
            raise ValueError(f"an object of kind {entry['kind']} has no name or uid")
        if not 0 < int(metadata["resourceVersion"]) <= snapshot.version:
            raise ValueError(f"{metadata['name']} is newer than the cluster it is from")


def _every(objects: Mapping[str, Sequence[Json]]) -> Iterator[Json]:
    return (entry for entries in objects.values() for entry in entries)


def take(plane: ControlPlane, scenario: Scenario, *, injected: bool) -> Snapshot:
    """What a running cluster is at this moment; quick, because everything in it is shared."""
    store = plane.api.core.store
    return Snapshot(
        saved_at=plane.clock.now(),
        version=store.version,
        scenario=scenario,
        injected=injected,
        releases=plane.kubelet.releases,
        objects=store.dump(),
        logs=plane.logs.dump(),
    )


def restore(plane: ControlPlane, snapshot: Snapshot, root_certificate: str = "") -> None:
    """Fill a control plane that has not been started.

    Args:
        plane: made with the snapshot's releases.
        snapshot: what it is to be.
        root_certificate: of the new server, in PEM, for `kube-root-ca.crt`.
    """
    later = timedelta(seconds=math.floor((plane.clock.now() - snapshot.saved_at).total_seconds()))
    with _uncollected():
        objects = {
            key: [_renewed(moved(entry, later), root_certificate) for entry in entries]
            for key, entries in snapshot.objects.items()
        }
        plane.api.core.store.load(objects, snapshot.version + VERSION_GAP)
    plane.logs.load(_moved_record(record, later) for record in snapshot.logs)


def moved(entry: Json, later: timedelta) -> Json:
    """A copy of an object whose own dates are so much later, a whole number of seconds."""
    metadata = entry["metadata"]
    dated = {name: _moved(metadata[name], later) for name in _DATED_METADATA if name in metadata}
    if "managedFields" in metadata:
        # Not what is in `fieldsV1`: there are no dates in it, and it is most of an object.
        dated["managedFields"] = [
            {name: value if name == "fieldsV1" else _moved(value, later) for name, value in each}
            for each in map(dict.items, metadata["managedFields"])
        ]
    result = {**entry, "metadata": {**metadata, **dated}}
    for field in ("status", *_DATED.get(entry["kind"], ())):
        if field in result:
            result[field] = _moved(result[field], later)
    return result


def _moved(value: Any, later: timedelta) -> Any:
    """The same with every date in it so much later."""
    if isinstance(value, dict):
        return {name: _moved(each, later) for name, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, later) for each in value]
    if isinstance(value, str) and _STAMP.fullmatch(value):
        return _moved_stamp(value, later)
    return value


@lru_cache(maxsize=4096)
def _moved_stamp(stamp: str, later: timedelta) -> str:
    """A timestamp so many whole seconds later; its fraction stays as it is written."""
    try:
        moment = parse_timestamp(stamp[:19] + "Z") + later
    except (ValueError, OverflowError):
        return stamp
    return f"{moment:%Y-%m-%dT%H:%M:%S}{stamp[19:]}"


def _moved_record(record: RunRecord, later: timedelta) -> RunRecord:
    return replace(record, lines=tuple(Line(line.at + later, line.text) for line in record.lines))


def _renewed(entry: Json, root_certificate: str) -> Json:
    """The object, with the new cluster's certificate where it carries the old one's."""
    if entry["kind"] != "ConfigMap" or entry["metadata"]["name"] != ROOT_CA:
        return entry
    return {**entry, "data": {**entry.get("data", {}), "ca.crt": root_certificate}}
