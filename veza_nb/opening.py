"""Open an incident: where, whose, and what a run works with from its first cell to its last."""

import getpass
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from veza_nb import __version__, display, render
from veza_nb.accounts import Cluster as Where
from veza_nb.catalog import Catalog, Service, Verify, usual_catalog
from veza_nb.cluster import Cluster
from veza_nb.locks import Lock
from veza_nb.logbook import Logbook
from veza_nb.preflight import Preflight, preflight
from veza_nb.records import Record, absolute, new_incident_id
from veza_nb.vocabulary import Step


@dataclass(frozen=True, slots=True)
class Opened:
    """What stays the same from an incident's first cell to its last.

    Attributes:
        service_name: name in the catalogue.
        service: what the catalogue says of it.
        catalog: the whole of it.
        cluster: where the service is.
        logbook: journal and record.
        operator: who leads it.
        lock: the workload's.
    """

    service_name: str
    service: Service
    catalog: Catalog
    cluster: Cluster
    logbook: Logbook
    operator: str
    lock: Lock

    @property
    def settings(self) -> Verify:
        """How recovery is judged."""
        return self.catalog.verify

    @property
    def first(self) -> bool:
        """Whether nothing was sent yet: what is seen now is what it was before the undo."""
        return not self.logbook.begun


def open_incident(
    service: str,
    *,
    namespace: str,
    context: str,
    kubeconfig: str,
    catalog: str,
    incident_id: str,
    reason: str,
    operator: str,
    records: str,
    timeout: float,
) -> Opened:
    """Connect, and begin the record or come back to it; the arguments are `Incident.open`'s."""
    book = usual_catalog(catalog)
    chosen = book.service(service, namespace=namespace)
    cluster = Cluster.connect(
        kubeconfig=kubeconfig,
        context=context,
        namespace=chosen.namespace,
        timeout=timeout,
        kind=chosen.kind,
    )
    who = operator or getpass.getuser()
    first = Record(
        incident_id=incident_id or new_incident_id(service, cluster.clock.now()),
        service=service,
        title=f"Rollback of {service}",
        namespace=chosen.namespace,
        kind=chosen.kind,
        workload=chosen.workload,
        operator=who,
        reason=reason,
        started_at=cluster.clock.now(),
        cluster=Where(context=cluster.context, server=cluster.server),
        parameters={
            "namespace": namespace,
            "context": context,
            "kubeconfig": absolute(kubeconfig, "KUBECONFIG"),
            "catalog": absolute(catalog, "VEZA_CATALOG"),
            "timeout": timeout,
            "reason": reason,
        },
    )
    root = Path(records or os.environ.get("VEZA_RECORDS", "") or "records").expanduser()
    logbook = Logbook.open(root, first, clock=cluster.clock)
    return Opened(
        service_name=service,
        service=chosen,
        catalog=book,
        cluster=cluster,
        logbook=logbook,
        operator=who,
        lock=_lock(cluster, chosen, logbook, who),
    )


def _lock(cluster: Cluster, service: Service, logbook: Logbook, operator: str) -> Lock:
    return Lock(
        cluster,
        service.workload,
        holder=f"{operator}@{socket.gethostname()}",
        incident=logbook.record.incident_id,
        reason=logbook.record.reason,
    )


def introduce(opened: Opened) -> Preflight:
    """Ask who this is and what they may do; write it down and show it."""
    cluster, logbook = opened.cluster, opened.logbook
    seen = preflight(cluster, opened.service)
    if logbook.resumed:
        logbook.begin(Step.OPEN, resumed=True)
    logbook.done(
        Step.OPEN,
        {"user": seen.user, "version": seen.version, "kit": __version__},
        cluster=Where(context=cluster.context, server=cluster.server, version=seen.version),
        preflight=seen.lines,
    )
    display.show(render.opening(logbook.record, seen, resumed=logbook.resumed))
    return seen
