"""Whether a bad release can be seen to be bad, as far as Kubernetes shows it."""

from __future__ import annotations

from collections.abc import Iterator

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.conditions import is_true
from veza_nb.sandbox.controllers.deployment_status import is_complete
from veza_nb.sandbox.controllers.endpoints import serving_pods
from veza_nb.sandbox.controllers.revisions import revision_of
from veza_nb.sandbox.nodes.releases import Behavior
from veza_nb.sandbox.plane import ControlPlane
from veza_nb.sandbox.scenarios import Fault
from veza_nb.sandbox.seeding.application import NAMESPACE, image_of


def fault_shows(plane: ControlPlane, service: str, fault: Fault) -> bool:
    """Whether a bad release can be seen to be bad, as far as Kubernetes shows it.

    One that only answers badly shows when it alone serves.
    """
    behavior = plane.kubelet.releases.of(fault.image)
    deployment = plane.informers.deployments.get(NAMESPACE, service)
    if deployment is None or image_of(deployment) != fault.image:
        return False
    pods = list(_newest_pods(plane, deployment))
    if behavior.pulls and behavior.ready_seconds is not None and behavior.runs_seconds is None:
        complete = is_complete(deployment, deployment.get("status", {}))
        serving = set(serving_pods(plane.informers.endpoints.get(NAMESPACE, service)))
        return complete and serving == {pod["metadata"]["name"] for pod in pods}
    return any(_pod_shows(pod, behavior) for pod in pods)


def _newest_pods(plane: ControlPlane, deployment: Json) -> Iterator[Json]:
    owned = plane.informers.replica_sets.select("controller", deployment["metadata"]["uid"])
    newest = max(owned, key=revision_of, default=None)
    if newest is not None:
        yield from plane.informers.pods.select("controller", newest["metadata"]["uid"])


def _pod_shows(pod: Json, behavior: Behavior) -> bool:
    status = pod.get("status", {})
    containers = status.get("containerStatuses", [])
    waiting = [item["state"].get("waiting", {}).get("reason", "") for item in containers]
    if not behavior.pulls:
        return any(reason in ("ErrImagePull", "ImagePullBackOff") for reason in waiting)
    if behavior.runs_seconds is not None:
        # A first end may be an accident; who waits after the second sees a loop.
        return "CrashLoopBackOff" in waiting
    running = any("running" in item["state"] for item in containers)
    return running and not is_true(status, "Ready")
