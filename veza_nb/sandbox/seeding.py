"""Plays a scenario: days of history through the real controllers, then the fault.

A history costs what happens in it, not how long it is: time jumps from one thing that is due to the
next. So nothing that repeats for ever may run during it; such work begins when the history is over.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver import policy
from veza_nb.sandbox.apiserver.client import PatchType
from veza_nb.sandbox.clock import Clock, timestamp
from veza_nb.sandbox.controllers.conditions import is_true
from veza_nb.sandbox.controllers.deployment_status import is_complete
from veza_nb.sandbox.controllers.endpoints import serving_pods
from veza_nb.sandbox.controllers.revisions import (
    HASH_LABEL,
    LAST_APPLIED,
    NOT_COPIED,
    revision_of,
)
from veza_nb.sandbox.nodes.releases import Behavior
from veza_nb.sandbox.plane import ControlPlane
from veza_nb.sandbox.scenarios import Fault, PastRelease, Scenario, ScenarioError, manifest

NAMESPACE = "veza-production"
CAUSE = "kubernetes.io/change-cause"
ADMIN = "system:admin"
_CLUSTER_AGE = timedelta(days=41)
_BEFORE_FIRST_RELEASE = timedelta(hours=1)
_NODES = 3
_LOOK_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0
_NODE_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "is posting ready status"),
)


class FaultNotSeenError(Exception):
    """A fault was injected and did not show in time."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One release at its time; the first of a service creates its Deployment."""

    at: datetime
    service: str
    release: PastRelease
    first: bool


def steps(scenario: Scenario, now: datetime) -> list[_Step]:
    """All releases of all services in the order of time, as seen from `now`."""
    found = [
        _Step(now - release.age, service, release, first=number == 0)
        for service, releases in scenario.history.items()
        for number, release in enumerate(releases)
    ]
    return sorted(found, key=lambda step: step.at)


async def play_history(plane: ControlPlane, scenario: Scenario) -> None:
    """Let the cluster live through the scenario's past; afterwards its time is the real time.

    Raises:
        ScenarioError: a release is undone whose revision is no longer kept.
    """
    clock, now = plane.clock, plane.clock.now()
    todo = steps(scenario, now)
    clock.fast_forward(now - max(_CLUSTER_AGE, now - todo[0].at + 2 * _BEFORE_FIRST_RELEASE))
    create_cluster(plane)
    await _sleep_until(plane, todo[0].at - _BEFORE_FIRST_RELEASE)
    deployments = create_application(plane)
    for step in todo:
        await _sleep_until(plane, step.at)
        if step.first:
            create_deployment(plane, deployments[step.service], step.release)
        elif step.release.undo:
            undo(plane, step.service, step.release.image)
        else:
            release(plane, step.service, Fault(step.release.image, step.release.cause))
    await _sleep_until(plane, now)
    clock.real_time()


async def _sleep_until(plane: ControlPlane, moment: datetime) -> None:
    await plane.clock.sleep((moment - plane.clock.now()).total_seconds())


_NODE_TTL = {"node.alpha.kubernetes.io/ttl": "0"}


def create_cluster(plane: ControlPlane) -> None:
    """What every cluster has: its own namespaces, and nodes."""
    admin = plane.client(ADMIN, "kubeadm")
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        admin.create("namespaces", None, body)
    create_policy(plane)
    kubelet = plane.client("system:node", "kubelet")
    manager = plane.client("system:kube-controller-manager", "kube-controller-manager")
    for number in range(1, _NODES + 1):
        node_body = node(number, timestamp(plane.clock.now()))
        name = node_body["metadata"]["name"]
        kubelet.create("nodes", None, node_body)
        written = manager.patch("nodes", None, name, {"metadata": {"annotations": _NODE_TTL}})
        registered = {**written, "status": node_body["status"]}
        kubelet.update("nodes", None, name, registered, subresource="status")


def create_policy(plane: ControlPlane) -> None:
    """The roles and bindings that every cluster begins with."""
    server = plane.client("system:apiserver", "kube-apiserver")
    for role in policy.cluster_roles():
        server.create("clusterroles", None, role)
    for binding in policy.cluster_role_bindings():
        server.create("clusterrolebindings", None, binding)


def node(number: int, now: str) -> Json:
    """A worker node; `now` is an API timestamp."""
    name = f"veza-node-{number}"
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/region": "local",
        "topology.kubernetes.io/zone": f"local-{'abc'[number % 3]}",
    }
    resources = {"cpu": "16", "ephemeral-storage": "100Gi", "memory": "32Gi", "pods": "2000"}
    conditions = [
        {
            "type": kind,
            "status": status,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": f"kubelet {message}",
        }
        for kind, status, reason, message in _NODE_CONDITIONS
    ]
    range_ = f"10.244.{number}.0/24"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": range_, "podCIDRs": [range_], "providerID": f"veza://{name}"},
        "status": {
            "capacity": resources,
            "allocatable": dict(resources),
            "conditions": conditions,
            "addresses": [
                {"type": "InternalIP", "address": f"10.0.0.{10 + number}"},
                {"type": "Hostname", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": _node_info(number),
        },
    }


def _node_info(number: int) -> Json:
    machine = f"{number:032x}"
    return {
        "machineID": machine,
        "systemUUID": f"{number:08x}-0000-4000-8000-000000000000",
        "bootID": f"{number:08x}-0000-4000-8000-000000000001",
        "kernelVersion": "6.1.0-training",
        "osImage": "Debian GNU/Linux 12 (bookworm)",
        "containerRuntimeVersion": "containerd://1.7.27",
        "kubeletVersion": "v1.32.13",
        "kubeProxyVersion": "v1.32.13",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }


def create_application(plane: ControlPlane) -> dict[str, Json]:
    """Create everything of the application but its Deployments; return those by name."""
    admin = plane.client(ADMIN, "kubectl-client-side-apply")
    deployments = {}
    for item in manifest():
        if item["kind"] == "Deployment":
            deployments[item["metadata"]["name"]] = item
            continue
        namespace = item["metadata"].get("namespace")
        admin.create(_PLURALS[item["kind"]], namespace, _as_applied(item))
    return deployments


_PLURALS = {
    "Namespace": "namespaces",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Service": "services",
}


def _as_applied(item: Json) -> Json:
    """An object as `kubectl apply` creates it, with the annotation that later applies need."""
    metadata = item["metadata"]
    noted = {**item, "metadata": {**metadata, "annotations": metadata.get("annotations", {})}}
    text = json.dumps(noted, sort_keys=True, separators=(",", ":")) + "\n"
    annotations = {**metadata.get("annotations", {}), LAST_APPLIED: text}
    return {**item, "metadata": {**metadata, "annotations": annotations}}


def create_deployment(plane: ControlPlane, item: Json, first: PastRelease) -> None:
    """Create a Deployment with its first release."""
    body = json.loads(json.dumps(item))
    body["spec"]["template"]["spec"]["containers"][0]["image"] = first.image
    admin = plane.client(ADMIN, "kubectl-client-side-apply")
    admin.create("deployments", NAMESPACE, _as_applied(body))
    _annotate(plane, item["metadata"]["name"], first.cause, ADMIN)


def release(plane: ControlPlane, service: str, fault: Fault) -> None:
    """Roll out an image as a pipeline does: set the image, then note the cause."""
    client = plane.client(fault.user, fault.agent)
    current = client.get("deployments", NAMESPACE, service)
    container = current["spec"]["template"]["spec"]["containers"][0]["name"]
    containers = [{"name": container, "image": fault.image}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    client.patch("deployments", NAMESPACE, service, patch, kind=PatchType.STRATEGIC)
    _annotate(plane, service, fault.cause, fault.user)


def undo(plane: ControlPlane, service: str, image: str) -> None:
    """Go back to an image as `kubectl rollout undo --to-revision` does.

    Raises:
        ScenarioError: no revision with that image is kept.
    """
    client = plane.client(ADMIN, "kubectl-rollout")
    current = client.get("deployments", NAMESPACE, service)
    owned = plane.informers.replica_sets.select("controller", current["metadata"]["uid"])
    with_image = [item for item in owned if _image(item) == image]
    if not with_image:
        raise ScenarioError(f"history: {service} cannot go back to {image}: not kept any more")
    found = max(with_image, key=revision_of)
    template = json.loads(json.dumps(found["spec"]["template"]))
    del template["metadata"]["labels"][HASH_LABEL]
    ours, theirs = (item["metadata"].get("annotations", {}) for item in (current, found))
    annotations = {key: value for key, value in ours.items() if key in NOT_COPIED}
    annotations |= {key: value for key, value in theirs.items() if key not in NOT_COPIED}
    patch = [
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "replace", "path": "/metadata/annotations", "value": annotations},
    ]
    client.patch("deployments", NAMESPACE, service, patch, kind=PatchType.JSON)


def _annotate(plane: ControlPlane, service: str, cause: str, user: str) -> None:
    client = plane.client(user, "kubectl-annotate")
    patch = {"metadata": {"annotations": {CAUSE: cause}}}
    client.patch("deployments", NAMESPACE, service, patch)


async def inject(plane: ControlPlane, scenario: Scenario) -> None:
    """Deploy the scenario's bad release; return when the failure can be seen.

    Raises:
        FaultNotSeenError: it did not show in time.
    """
    fault = scenario.fault
    if fault is None:
        return
    release(plane, scenario.service, fault)
    if fault.at_once:
        return
    # Real time, so that a fast or slow cluster clock cannot make this wait for ever.
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while not fault_shows(plane, scenario.service, fault):
        if asyncio.get_running_loop().time() > deadline:
            raise FaultNotSeenError(
                f"{scenario.name}: {fault.image} was deployed and nothing shows"
            )
        await _pass_time(plane.clock, _LOOK_SECONDS)


async def _pass_time(clock: Clock, seconds: float) -> None:
    """Wait; a clock that stands is moved."""
    await (clock.step(seconds) if clock.stepped else clock.sleep(seconds))


def fault_shows(plane: ControlPlane, service: str, fault: Fault) -> bool:
    """Whether a bad release can be seen to be bad, as far as Kubernetes shows it.

    One that only answers badly shows when it alone serves.
    """
    behavior = plane.kubelet.releases.of(fault.image)
    deployment = plane.informers.deployments.get(NAMESPACE, service)
    if deployment is None or _image(deployment) != fault.image:
        return False
    pods = list(_newest_pods(plane, deployment))
    if behavior.pulls and behavior.ready_seconds is not None and behavior.runs_seconds is None:
        complete = is_complete(deployment, deployment.get("status", {}))
        serving = set(serving_pods(plane.informers.endpoints.get(NAMESPACE, service)))
        return complete and serving == {pod["metadata"]["name"] for pod in pods}
    return any(_pod_shows(pod, behavior) for pod in pods)


def _image(owner: Json) -> str:
    """The image of a Deployment or ReplicaSet."""
    image: str = owner["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def _newest_pods(plane: ControlPlane, deployment: Json) -> Iterator[Json]:
    owned = plane.informers.replica_sets.select("controller", deployment["metadata"]["uid"])
    newest = max(owned, key=revision_of, default=None)
    if newest is not None:
        yield from plane.informers.pods.select("controller", newest["metadata"]["uid"])


def _pod_shows(pod: Json, behavior: Behavior) -> bool:
    status = pod.get("status", {})
    containers = status.get("containerStatuses", [])
    if not behavior.pulls:
        waiting = [item["state"].get("waiting", {}).get("reason", "") for item in containers]
        return any(reason in ("ErrImagePull", "ImagePullBackOff") for reason in waiting)
    if behavior.runs_seconds is not None:
        return any("terminated" in {**item["state"], **item["lastState"]} for item in containers)
    running = any("running" in item["state"] for item in containers)
    return running and not is_true(status, "Ready")
