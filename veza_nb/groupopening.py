"""Open the incident of a group: its services and their order, one incident each, one of all."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veza_nb import display
from veza_nb.accounts import Cluster as Where
from veza_nb.catalog import Catalog, usual_catalog
from veza_nb.clock import SystemClock
from veza_nb.dependencies import among, in_order
from veza_nb.errors import UsageError, VezaError
from veza_nb.incident import Incident
from veza_nb.logbook import Logbook, effect_of
from veza_nb.pacing import Pace
from veza_nb.partbooks import NOTEBOOK, part_notebook
from veza_nb.parts import Part
from veza_nb.records import Record, absolute, new_incident_id
from veza_nb.render.page import Showable


class GroupLogbook(Logbook):
    """Journal and record of a group; what was changed is read off its services' own journals."""

    effects: Callable[[], Iterable[bool | None]] | None = None
    """Asks the services' incidents; None until those are open."""

    @property
    def changed(self) -> bool | None:
        """Whether any service was changed; None where that is not known of one of them."""
        if self.effects is None:
            return effect_of(self.folder, self.record)
        found = set(self.effects())
        return True if True in found else None if None in found else False


@dataclass(frozen=True, slots=True)
class OpenedGroup:
    """What stays the same from a group's first cell to its last.

    Attributes:
        name: the group's, or its services' names with commas between them.
        catalog: the whole of it.
        logbook: journal and record of the whole.
        operator: who leads it.
        parts: service to its part, in the order in which they go.
        after: service to those that must be back before it.
        pace: how many at a time, and what a failure means.
    """

    name: str
    catalog: Catalog
    logbook: GroupLogbook
    operator: str
    parts: dict[str, Part]
    after: dict[str, frozenset[str]]
    pace: Pace

    def write(self, **facts: object) -> None:
        """Put these facts and how every service stands into the record, and its notebook by it."""
        for part in self.parts.values():
            _write_notebook(part)
        self.logbook.update(parts=tuple(_account(one) for one in self.parts.values()), **facts)


def chosen_services(services: str, group: str, book: Catalog) -> tuple[str, tuple[str, ...]]:
    """The name of the group, and its services as they were named.

    Args:
        services: names with commas between them, "" where a group is named.
        group: of the catalogue, "" where services are named.
        book: knows both.

    Raises:
        UsageError: both or neither, or a name that the catalogue has not.
    """
    if bool(services.strip()) == bool(group.strip()):
        raise UsageError(
            "Name either the services or a group.",
            next_step=f"Groups of this catalogue: {', '.join(sorted(book.groups)) or 'none'}.",
        )
    if group.strip():
        return group.strip(), _group(group.strip(), book)
    named = tuple(dict.fromkeys(one.strip() for one in services.split(",") if one.strip()))
    for one in named:
        book.service(one)
    return ", ".join(named), named


def _group(name: str, book: Catalog) -> tuple[str, ...]:
    if name not in book.groups:
        raise UsageError(
            f"The catalogue {book.source} has no group {name!r}.",
            next_step=f"It has: {', '.join(sorted(book.groups)) or 'none'}.",
        )
    return book.groups[name]


def open_group(
    services: str,
    *,
    group: str,
    pace: Callable[[int], Pace],
    incident_id: str,
    operator: str,
    records: str,
    catalog: str,
    reason: str,
    **usual: Any,
) -> OpenedGroup:
    """Open one incident a service and the account of them all; `usual` is `Incident.open`'s.

    Raises:
        UsageError: an argument is wrong.
        RefusedError: the cluster does not let this user in.
        UnreachableError: the cluster does not answer.
    """
    book = usual_catalog(catalog)
    name, chosen = chosen_services(services, group, book)
    after = among(chosen, {one: each.depends_on for one, each in book.services.items()})
    rule = pace(len(chosen))
    root = records or os.environ.get("VEZA_RECORDS", "") or "records"
    clock = SystemClock()
    first = Record(
        incident_id=incident_id or new_incident_id(group or "services", clock.now()),
        service=name,
        title=f"Rollback of {name}",
        operator=operator,
        reason=reason,
        started_at=clock.now(),
        parameters={
            "services": services,
            "group": group,
            "at_once": rule.text,
            "failures": rule.failures,
            "on_failure": rule.on_failure,
            "catalog": absolute(catalog),
            "reason": reason,
            **usual,
            "kubeconfig": absolute(str(usual.get("kubeconfig", ""))),
        },
    )
    logbook = GroupLogbook.open(Path(root).expanduser(), first, clock=clock)
    shared = {"operator": operator, "records": root, "catalog": catalog, "reason": reason, **usual}
    parts = _open_parts(in_order(after), first.incident_id, shared)
    logbook.effects = lambda: [part.changed for part in parts.values()]
    opened = OpenedGroup(name, book, logbook, operator, parts, after, rule)
    opened.write(cluster=_where(parts.values()))
    return opened


def _open_parts(names: Sequence[str], group: str, shared: dict[str, Any]) -> dict[str, Part]:
    return {name: _open_part(name, f"{group}-{name}", shared) for name in names}


def _open_part(name: str, incident_id: str, shared: dict[str, Any]) -> Part:
    pages: dict[display.LiveView, Showable] = {}
    with display.taken_by(pages.__setitem__):
        incident = Incident.open(name, incident_id=incident_id, **shared)
    return Part(name, incident, pages={"open": pages})


def _where(parts: Iterable[Part]) -> Where:
    return next(iter(parts)).incident.logbook.record.cluster


def _write_notebook(part: Part) -> None:
    record = part.incident.logbook.record
    parameters = {
        **record.parameters,
        "service": part.name,
        "incident_id": part.incident.id,
        "operator": record.operator,
        "records": str(part.incident.logbook.folder.path.parent.absolute()),
    }
    errors = part.error._render_traceback_() if part.error else []
    text = part_notebook(parameters, {step: part.shown(step) for step in part.pages}, errors)
    # The evidence is in the record; a notebook that cannot be saved is no reason to stop.
    with suppress(OSError, VezaError):
        part.incident.logbook.folder.write_text(NOTEBOOK, text)


def _account(part: Part) -> dict[str, object]:
    record = part.incident.logbook.record
    return {
        "service": part.name,
        "incident_id": part.incident.id,
        "outcome": record.outcome,
        "exit_code": record.exit_code,
        "changed": part.changed,
        "plan": part.plan.id if part.plan else "",
        "to_revision": part.plan.to_revision if part.plan else 0,
        "put_back": part.put_back,
        "error": part.error.what if part.error else "",
    }
