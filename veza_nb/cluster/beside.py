"""Looking at what stands beside a workload: what it takes, its neighbours, its nodes, its content.

Nothing here is needed for a decision: each question is sent once and read if it can be. What this
user may not read, or the server does not tell, is named as not seen. The number of questions is
bounded by the service and the catalogue, never by the cluster.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from veza_nb.catalog import Nearby
from veza_nb.cluster.around import referred
from veza_nb.cluster.client import Cluster, Listed, concurrently, decode, selector_of
from veza_nb.errors import ForbiddenError, NotFoundError, VezaError
from veza_nb.neighbourhood import Neighbour, Neighbourhood, NodeState, Role, Usage
from veza_nb.objects import (
    Condition,
    DaemonSet,
    Deployment,
    EndpointSlice,
    Node,
    ObjectMeta,
    PodMetrics,
    StatefulSet,
    Workload,
)
from veza_nb.quotas import amount
from veza_nb.references import references
from veza_nb.replicasets import condition
from veza_nb.troubles import is_ready
from veza_nb.words import one_line, utc

MOST_NEIGHBOURS, MOST_NODES, MOST_CONTENTS = 12, 3, 12
"""Asked about at most: what three nodes say the rest say."""
MOST_SLICES = "20"
_METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods"
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
_CONTENT = frozenset({"configmap", "secret"})

T = TypeVar("T")
Read = tuple[T | None, str]
"""What was read, or None and why not."""


def look_beside(cluster: Cluster, workload: Workload, nearby: Sequence[Nearby]) -> Neighbourhood:
    """All of it, asked at the same time.

    Args:
        cluster: where.
        workload: what was seen of the service.
        nearby: its neighbours, as the catalogue knows them.
    """
    others, nodes = nearby[:MOST_NEIGHBOURS], _nodes_of(workload)
    contents = [
        one for one in references(workload.deployment.spec.template) if one.kind in _CONTENT
    ]
    asked: list[Callable[[], Read[Any]]] = [
        partial(_look, "CPU and memory", partial(_usage, cluster, workload)),
        *(partial(_look, str(one), partial(_neighbour, cluster, one)) for one in others),
        *(partial(_look, f"node/{name}", partial(_node, cluster, name)) for name in nodes),
        *(
            partial(_look, str(one), partial(referred, cluster, one))
            for one in contents[:MOST_CONTENTS]
        ),
    ]
    (usage, _), *found = answers = concurrently(*asked)
    last, more = len(others) + len(nodes), len(contents) - MOST_CONTENTS
    left_out = (f"{more} more references",) if more > 0 else ()
    return Neighbourhood(
        usage=usage or (),
        neighbours=_present(found[: len(others)]),
        nodes=_present(found[len(others) : last]),
        contents=_present(found[last:]),
        unseen=(*(why for _, why in answers if why), *left_out),
    )


def _present(found: Sequence[Read[T]]) -> tuple[T, ...]:
    return tuple(one for one, _ in found if one is not None)


def _look(what: str, read: Callable[[], T]) -> Read[T]:
    try:
        return read(), ""
    except ForbiddenError:
        return None, f"{what} (not allowed)"
    except NotFoundError:
        return None, f"{what} (not there)"
    except VezaError as error:
        return None, f"{what} ({one_line(error.what).rstrip('.')})"


def _get(cluster: Cluster, path: str, kind: type[T], query: dict[str, str] | None = None) -> T:
    """Asked once: nobody waits for what is only worth knowing."""
    return decode(cluster.transport.send("GET", path, query=query), kind)


# --- what it takes ---------------------------------------------------------------------------


def _usage(cluster: Cluster, workload: Workload) -> tuple[Usage, ...]:
    query = {"labelSelector": selector_of(workload.deployment.spec.selector)}
    path = _METRICS.format(cluster.namespace)
    measured = _get(cluster, path, Listed[PodMetrics], query).items
    return tuple(one for pod in measured for one in _containers(pod))


def _containers(pod: PodMetrics) -> Iterator[Usage]:
    for one in pod.containers:
        cpu, memory = amount(one.usage.get("cpu", "")), amount(one.usage.get("memory", ""))
        yield Usage(pod.metadata.name, one.name, cpu, memory, pod.timestamp)


# --- neighbours ------------------------------------------------------------------------------


def _neighbour(cluster: Cluster, one: Nearby) -> Neighbour:
    there = cluster.at(one.namespace)
    read = {"statefulset": _stateful, "daemonset": _daemon, "service": _service}
    return read.get(one.kind, _deployment)(there, one)


def _deployment(cluster: Cluster, one: Nearby) -> Neighbour:
    seen = _get(cluster, cluster.path("apps/v1", "deployments", one.name), Deployment)
    available = condition(seen.status.conditions, "Available")
    progress = condition(seen.status.conditions, "Progressing")
    missing = available is not None and available.status == "False"
    return _made(
        one,
        wanted=seen.spec.replicas,
        ready=seen.status.ready_replicas,
        since=available.last_transition_time if available is not None and missing else None,
        changed_at=progress.last_update_time if progress else None,
    )


def _stateful(cluster: Cluster, one: Nearby) -> Neighbour:
    seen = _get(cluster, cluster.path("apps/v1", "statefulsets", one.name), StatefulSet)
    since = _status_written(seen.metadata)
    return _made(one, wanted=seen.spec.replicas, ready=seen.status.ready_replicas, since=since)


def _daemon(cluster: Cluster, one: Nearby) -> Neighbour:
    seen = _get(cluster, cluster.path("apps/v1", "daemonsets", one.name), DaemonSet)
    since, status = _status_written(seen.metadata), seen.status
    wanted, ready = status.desired_number_scheduled, status.number_ready
    return _made(one, wanted=wanted, ready=ready, since=since)


def _service(cluster: Cluster, one: Nearby) -> Neighbour:
    """By its endpoints. A Service without a single slice is not one that Kubernetes keeps."""
    query = {"labelSelector": f"kubernetes.io/service-name={one.name}", "limit": MOST_SLICES}
    path = cluster.path("discovery.k8s.io/v1", "endpointslices")
    slices = _get(cluster, path, Listed[EndpointSlice], query).items
    if not slices:
        raise NotFoundError(f"service/{one.name} has no EndpointSlices.", next_step="")
    conditions = [end.conditions.ready for each in slices for end in each.endpoints or ()]
    ready = sum(state is not False for state in conditions)
    return _made(one, wanted=max(1, len(conditions)), ready=ready, since=_changed(slices))


def _made(
    one: Nearby,
    *,
    wanted: int,
    ready: int,
    since: datetime | None = None,
    changed_at: datetime | None = None,
) -> Neighbour:
    known = since if ready < wanted else None
    return Neighbour(
        Role(one.role), one.kind, one.name, one.namespace, wanted, ready, known, changed_at
    )


def _status_written(metadata: ObjectMeta) -> datetime | None:
    """When the controller last changed the status: there is no condition that tells."""
    times = [one.time for one in metadata.managed_fields if one.subresource == "status"]
    return max((utc(at) for at in times if at is not None), default=None)


def _changed(slices: Sequence[EndpointSlice]) -> datetime | None:
    """When endpoints last came or went."""
    times = [one.time for each in slices for one in each.metadata.managed_fields]
    return max((utc(at) for at in times if at is not None), default=None)


# --- nodes -----------------------------------------------------------------------------------


def _nodes_of(workload: Workload) -> tuple[str, ...]:
    """Nodes that carry pods which are not ready, the one with most of them first."""
    names = [p.spec.node_name for p in workload.pods if p.spec.node_name and not is_ready(p)]
    return tuple(sorted(dict.fromkeys(names), key=names.count, reverse=True)[:MOST_NODES])


def _node(cluster: Cluster, name: str) -> NodeState:
    seen = _get(cluster, f"/api/v1/nodes/{name}", Node)
    wrong = [one for one in seen.status.conditions if _is_trouble(one)]
    times = [utc(one.last_transition_time) for one in wrong if one.last_transition_time]
    return NodeState(
        name=name,
        troubles=tuple("NotReady" if one.type == "Ready" else one.type for one in wrong),
        cordoned=seen.spec.unschedulable,
        since=min(times, default=None),
        message=one_line("; ".join(one.message for one in wrong if one.message)),
    )


def _is_trouble(one: Condition) -> bool:
    if one.type == "Ready":
        return one.status != "True"
    return one.type in _PRESSURES and one.status == "True"
