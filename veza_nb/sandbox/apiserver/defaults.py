"""What the server fills in where a client left a field out, by kind.

The functions change the canonical object that they are given. Members come out in any order; the
caller puts the object into the wire's order afterwards.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]


def apply(kind: str, document: Json) -> None:
    """Fill in the defaults of a kind, if it has any."""
    fill = _BY_KIND.get(kind)
    if fill is not None:
        fill(document)


def touches(kind: str) -> bool:
    """Return whether a kind has defaults."""
    return kind in _BY_KIND


def _set(target: Json, **values: Any) -> None:
    for name, value in values.items():
        if target.get(name) is None:
            target[name] = value


def _deployment(document: Json) -> None:
    spec = document["spec"]
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy, rollingUpdate={})
        _set(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    pod_spec(spec["template"]["spec"])


def _replicaset(document: Json) -> None:
    spec = document["spec"]
    _set(spec, replicas=1)
    pod_spec(spec["template"]["spec"])


def _statefulset(document: Json) -> None:
    spec = document["spec"]
    _set(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    _set(spec, persistentVolumeClaimRetentionPolicy={})
    _set(spec["persistentVolumeClaimRetentionPolicy"], whenDeleted="Retain", whenScaled="Retain")
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy, rollingUpdate={})
        _set(strategy["rollingUpdate"], partition=0)
    pod_spec(spec["template"]["spec"])


def _daemonset(document: Json) -> None:
    spec = document["spec"]
    annotations = document["metadata"].setdefault("annotations", {})
    _set(annotations, **{"deprecated.daemonset.template.generation": "1"})
    _set(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy, rollingUpdate={})
        _set(strategy["rollingUpdate"], maxUnavailable=1, maxSurge=0)
    pod_spec(spec["template"]["spec"])


def _job(document: Json) -> None:
    job_spec(document["spec"])


def job_spec(spec: Json) -> None:
    """Fill in the spec of a Job."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        _set(spec, completions=1)
    _set(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    _set(spec, manualSelector=False)
    _set(
        spec,
        podReplacementPolicy="Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed",
    )
    pod_spec(spec["template"]["spec"])


def _cronjob(document: Json) -> None:
    spec = document["spec"]
    _set(spec, concurrencyPolicy="Allow", suspend=False)
    _set(spec, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    pod_spec(spec["jobTemplate"]["spec"]["template"]["spec"])


def _pod(document: Json) -> None:
    spec = document["spec"]
    for container in _containers(spec):
        resources = container["resources"]
        requests = resources.setdefault("requests", {}) if resources.get("limits") else {}
        for name, amount in (resources.get("limits") or {}).items():
            requests.setdefault(name, amount)
    _set(spec, enableServiceLinks=True)
    pod_spec(spec)


def pod_spec(spec: Json) -> None:
    """Fill in the spec of a Pod or of a Pod template."""
    _set(
        spec,
        restartPolicy="Always",
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        terminationGracePeriodSeconds=30,
        securityContext={},
    )
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for container in _containers(spec):
        _container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _containers(spec: Json) -> Iterator[Json]:
    for name in ("initContainers", "containers"):
        yield from spec.get(name) or ()


def _container(container: Json, *, host_network: bool) -> None:
    _set(
        container,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=_pull_policy(container.get("image", "")),
    )
    for port in container.get("ports") or ():
        _set(port, protocol="TCP")
        if host_network:
            _set(port, hostPort=port["containerPort"])
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            _probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and hook.get("httpGet"):
            _set(hook["httpGet"], path="/", scheme="HTTP")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            _set(reference, apiVersion="v1")


def _pull_policy(image: str) -> str:
    name = image.partition("@")[0].rpartition("/")[2]
    tag = name.partition(":")[2] or ("" if "@" in image else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _probe(probe: Json) -> None:
    _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if probe.get("httpGet") is not None:
        _set(probe["httpGet"], path="/", scheme="HTTP")
    if probe.get("grpc") is not None:
        _set(probe["grpc"], service="")


def _volume(volume: Json) -> None:
    if len(volume) == 1:
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "projected", "downwardAPI"):
        if volume.get(source) is not None:
            _set(volume[source], defaultMode=420)
    if volume.get("hostPath") is not None:
        _set(volume["hostPath"], type="")
    for source in (volume.get("projected") or {}).get("sources") or ():
        if source.get("serviceAccountToken") is not None:
            _set(source["serviceAccountToken"], expirationSeconds=3600)
        _field_references(source.get("downwardAPI"))
    _field_references(volume.get("downwardAPI"))


def _field_references(source: Json | None) -> None:
    for item in (source or {}).get("items") or ():
        if item.get("fieldRef") is not None:
            _set(item["fieldRef"], apiVersion="v1")


def _service(document: Json) -> None:
    spec = document["spec"]
    _set(spec, type="ClusterIP", sessionAffinity="None")
    for port in spec.get("ports") or ():
        _set(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port["port"]
    if spec["type"] != "ExternalName":
        _set(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)


def _namespace(document: Json) -> None:
    labels = document["metadata"].setdefault("labels", {})
    if document["metadata"].get("name"):
        labels["kubernetes.io/metadata.name"] = document["metadata"]["name"]


def _secret(document: Json) -> None:
    _set(document, type="Opaque")
    texts = document.pop("stringData", None)
    if texts:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        document["data"] = {**(document.get("data") or {}), **encoded}


def _endpoints(document: Json) -> None:
    for subset in document.get("subsets") or ():
        for port in subset.get("ports") or ():
            _set(port, protocol="TCP")


def _endpointslice(document: Json) -> None:
    for port in document.get("ports") or ():
        _set(port, name="", protocol="TCP")


def _autoscaler(document: Json) -> None:
    spec = document["spec"]
    _set(spec, minReplicas=1)
    if document.get("apiVersion") == "autoscaling/v1":
        return
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if spec.get("behavior") is not None:
        _scaling_rules(spec["behavior"])


def _scaling_rules(behavior: Json) -> None:
    doubling = {"type": "Percent", "value": 100, "periodSeconds": 15}
    four_more = {"type": "Pods", "value": 4, "periodSeconds": 15}
    _set(behavior, scaleUp={}, scaleDown={})
    _set(behavior["scaleUp"], stabilizationWindowSeconds=0)
    for name, policies in (("scaleUp", [four_more, doubling]), ("scaleDown", [doubling])):
        _set(behavior[name], selectPolicy="Max")
        if not behavior[name].get("policies"):
            behavior[name]["policies"] = [dict(each) for each in policies]


def _binding(document: Json) -> None:
    _set(document["roleRef"], apiGroup="rbac.authorization.k8s.io")
    if not document["roleRef"]["apiGroup"]:
        document["roleRef"]["apiGroup"] = "rbac.authorization.k8s.io"
    for subject in document.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            _set(subject, apiGroup="rbac.authorization.k8s.io")


def _priority_class(document: Json) -> None:
    _set(document, preemptionPolicy="PreemptLowerPriority")


def _claim(document: Json) -> None:
    _set(document["spec"], volumeMode="Filesystem")


_BY_KIND: dict[str, Callable[[Json], None]] = {
    "ClusterRoleBinding": _binding,
    "CronJob": _cronjob,
    "DaemonSet": _daemonset,
    "Deployment": _deployment,
    "EndpointSlice": _endpointslice,
    "Endpoints": _endpoints,
    "HorizontalPodAutoscaler": _autoscaler,
    "Job": _job,
    "Namespace": _namespace,
    "PersistentVolumeClaim": _claim,
    "Pod": _pod,
    "PriorityClass": _priority_class,
    "ReplicaSet": _replicaset,
    "RoleBinding": _binding,
    "Secret": _secret,
    "Service": _service,
    "StatefulSet": _statefulset,
}
