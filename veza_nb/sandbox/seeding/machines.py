"""What every cluster has before anybody deploys anything: namespaces, policy, nodes."""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver import policy
from veza_nb.sandbox.clock import timestamp
from veza_nb.sandbox.plane import ControlPlane

ADMIN = "system:admin"
_NODES = 3
_NODE_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "is posting ready status"),
)

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
