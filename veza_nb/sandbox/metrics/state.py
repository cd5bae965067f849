"""What the objects of the cluster say of themselves, under the names of kube-state-metrics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from veza_nb.sandbox.apimachinery import quantity
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.metrics.exposition import Family, Sample
from veza_nb.sandbox.metrics.podstate import PODS
from veza_nb.sandbox.metrics.reading import Row, condition, field, identity, moment, owner


def families(informers: Informers) -> Iterator[Family]:
    """All families; the samples are read from the objects while they are rendered."""
    pages = (
        (_DEPLOYMENTS, informers.deployments),
        (_REPLICA_SETS, informers.replica_sets),
        (_STATEFUL_SETS, informers.stateful_sets),
        (_DAEMON_SETS, informers.daemon_sets),
        (_JOBS, informers.jobs),
        (PODS, informers.pods),
        (_ENDPOINTS, informers.endpoints),
        (_NODES, informers.nodes),
    )
    for rows, informer in pages:
        present = tuple(informer.list())
        for row in rows:
            samples = chain.from_iterable(map(row.read, present))
            yield Family(row.name, row.kind, row.help, samples)


def _rows(kind: str, *, label: str = "", **paths: str) -> Iterator[Row]:
    """Rows of plain numbers: what follows `kube_<kind>_` in the name, and where it stands."""
    for name, path in paths.items():
        yield Row(f"kube_{kind}_{name}", f"The object's {path}.", field(label or kind, path))


def _workload(kind: str) -> tuple[Row, ...]:
    """The rows that workloads with replicas have in common."""
    named = f"kube_{kind}"
    return (
        Row(f"{named}_created", "When it was created.", moment(kind, "metadata.creationTimestamp")),
        Row(f"{named}_spec_replicas", "Replicas wished for.", field(kind, "spec.replicas", 1)),
    )


def _endpoint_addresses(item: Json) -> Iterator[Sample]:
    for ready, part in (("true", "addresses"), ("false", "notReadyAddresses")):
        count = sum(len(subset.get(part) or ()) for subset in item.get("subsets") or ())
        yield Sample(count, {**identity("endpoint", item), "ready": ready})


def _node_amounts(item: Json) -> Iterator[Sample]:
    units = {"cpu": "core", "memory": "byte", "ephemeral_storage": "byte"}
    for name, amount in item.get("status", {}).get("allocatable", {}).items():
        resource = name.replace("-", "_")
        labels = {"resource": resource, "unit": units.get(resource, "integer")}
        yield Sample(float(quantity.parse(amount)), {**identity("node", item), **labels})


def _conditions(kind: str) -> Row:
    return Row(f"kube_{kind}_status_condition", "Its conditions.", condition(kind))


_DEPLOYMENTS = (
    *_workload("deployment"),
    *_rows(
        "deployment",
        metadata_generation="metadata.generation",
        spec_paused="spec.paused",
        status_observed_generation="status.observedGeneration",
        status_replicas="status.replicas",
        status_replicas_available="status.availableReplicas",
        status_replicas_ready="status.readyReplicas",
        status_replicas_unavailable="status.unavailableReplicas",
        status_replicas_updated="status.updatedReplicas",
    ),
    _conditions("deployment"),
)
_REPLICA_SETS = (
    *_workload("replicaset"),
    Row("kube_replicaset_owner", "Who controls it.", owner("replicaset")),
    *_rows(
        "replicaset",
        metadata_generation="metadata.generation",
        status_observed_generation="status.observedGeneration",
        status_replicas="status.replicas",
        status_ready_replicas="status.readyReplicas",
    ),
)
_STATEFUL_SETS = (
    Row(
        "kube_statefulset_replicas",
        "Replicas wished for.",
        field("statefulset", "spec.replicas", 1),
    ),
    *_rows(
        "statefulset",
        metadata_generation="metadata.generation",
        status_observed_generation="status.observedGeneration",
        status_replicas="status.replicas",
        status_replicas_available="status.availableReplicas",
        status_replicas_ready="status.readyReplicas",
        status_replicas_updated="status.updatedReplicas",
    ),
)
_DAEMON_SETS = tuple(
    _rows(
        "daemonset",
        metadata_generation="metadata.generation",
        status_observed_generation="status.observedGeneration",
        status_desired_number_scheduled="status.desiredNumberScheduled",
        status_number_available="status.numberAvailable",
        status_number_ready="status.numberReady",
        status_number_unavailable="status.numberUnavailable",
        status_updated_number_scheduled="status.updatedNumberScheduled",
    )
)
_JOBS = tuple(
    _rows(
        "job",
        label="job_name",  # the label `job` is Prometheus' own
        status_active="status.active",
        status_failed="status.failed",
        status_succeeded="status.succeeded",
        spec_completions="spec.completions",
    )
)
_ENDPOINTS = (Row("kube_endpoint_address", "Addresses of a Service.", _endpoint_addresses),)
_NODES = (
    Row("kube_node_created", "When it was created.", moment("node", "metadata.creationTimestamp")),
    *_rows("node", spec_unschedulable="spec.unschedulable"),
    Row("kube_node_status_allocatable", "What it has for pods.", _node_amounts),
    _conditions("node"),
)
