"""What was done when the recordings were made, in that order."""

from __future__ import annotations

import json
from pathlib import Path

RELEASE = Path(__file__).with_name("release.story").read_text("utf-8")


def _timed(kubectl: str) -> str:
    """What was done to time undo with one kubectl: three healthy rollouts and three broken ones."""
    lines = []
    for number in range(3):
        for tag, seconds in ((f"v2.{number}", 5), (f"v3.{number}-bad", 3)):
            image = f"{_BACKEND}:{tag}"
            lines += [
                f"image {kubectl} {image}",
                f"pass {seconds}",
                f"undo {kubectl}",
                "pass 5",
            ]
    return "\n".join(lines) + "\n"


_BACKEND = "registry.veza.example/veza-backend-api"
# By their names; Debian's, and the one that starts another, are both called kubectl.
_KUBECTLS = ("kubectl", "kubectl.1.32", "kubectl", "kubectl.1.27", "kubectl.1.33")
LONG = (
    RELEASE
    + "".join(map(_timed, _KUBECTLS))
    + """
kubectl 27-history-long
state 27-long-history alive
"""
)

_SPACE = "/apis/apps/v1/namespaces/veza-production/deployments"


def _deployment(name: str, tag: str, **spec: object) -> str:
    labels = {"app": name}
    probe = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1}
    image = f"registry.veza.example/{name}:{tag}"
    containers = [{"name": "c", "image": image, "readinessProbe": probe}]
    body = {
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            **spec,
        },
    }
    return f"create {_SPACE} {json.dumps(body)}"


def _image(name: str, tag: str) -> str:
    return (
        f"run -n veza-production set image deployment/{name} c=registry.veza.example/{name}:{tag}"
    )


def _undone(
    number: int,
    name: str,
    replicas: int,
    strategy: dict[str, object],
    *,
    never: bool = False,
    how: str = "",
) -> str:
    """A rollout past its deadline and its undo; again, where the ReplicaSet was there before.

    Args:
        number: of the entries in the recorded summary, in twos.
        name: of the Deployment, without "t-".
        replicas: how many.
        strategy: of its rollouts.
        never: whether the deadline does not fire the second time.
        how: to compare what a watcher sees.
    """
    deployment = f"t-{name}"
    undo = f"run -n veza-production rollout undo deployment/{deployment}"
    hung = f"""
pass 15
kubectl 30-deadline-never-fires-{name}
object 30-deadline-never-fires-{name}.deployment
"""
    return f"""
{_deployment(deployment, "v1", replicas=replicas, strategy=strategy, progressDeadlineSeconds=3)}
pass 3
{_image(deployment, "v2-bad")}
pass 5
summary 30-stale-deadline-after-undo.summary {2 * number} {deployment}
watch 30-undo-after-deadline-{name}
{undo}
kubectl 30-status-right-after-undo-{name}-0 some
pass 4
seen 30-undo-after-deadline-{name} {how}
{_image(deployment, "v2-bad")}
{hung if never else "pass 5"}
summary 30-stale-deadline-after-undo.summary {2 * number + 1} {deployment}
{undo}
kubectl 30-status-right-after-undo-{name}-1 some
"""


def _rolling(surge: object, unavailable: object) -> dict[str, object]:
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
    }


STALE_DEADLINES = "run create namespace veza-production\n" + "".join(
    [
        _undone(0, "recreate", 3, {"type": "Recreate"}, never=True, how="together"),
        _undone(1, "ru-1-0", 3, _rolling(1, 0)),
        _undone(2, "ru-1-1", 3, _rolling(1, 1), how="raced"),
        _undone(3, "ru-0-1", 3, _rolling(0, 1), how="raced"),
        _undone(4, "ru-25-25-x3", 3, _rolling("25%", "25%")),
        _undone(5, "ru-25-25-x4", 4, _rolling("25%", "25%")),
        _undone(6, "ru-0-100", 3, _rolling(0, "100%"), never=True, how="together"),
        _undone(7, "single-ru", 1, _rolling("25%", "25%")),
    ]
)

_BOT = {
    "metadata": {"name": "bot"},
    "rules": [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "patch"]},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get", "list"]},
    ],
}
_ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/veza-production/roles"

UNDOING = f"""
run create namespace veza-production
{_deployment("t-twice", "v1", replicas=2)}
pass 3
{_image("t-twice", "v2")}
pass 5
{_image("t-twice", "v3-bad")}
pass 3
kubectl 31-undo-first
summary 31-undo-twice.summary first t-twice
pass 3
kubectl 31-undo-second
summary 31-undo-twice.summary second t-twice
pass 1
kubectl 31-history
{_deployment("t-mid", "v1", replicas=4)}
pass 3
watch 32-undo-mid-rollout.replicasets
{_image("t-mid", "v2")}
pass 0.5
kubectl 32-undo-mid-rollout
kubectl 32-status some
pass 2
seen 32-undo-mid-rollout.replicasets states
kubectl 32-history
create {_ROLES} {json.dumps(_BOT)}
send 21-rolebinding-created
{_deployment("t-small", "v1", replicas=3)}
pass 3
{_image("t-small", "v2-slow")}
pass 2
kubectl 37-bot-no-watch-status lines
kubectl 37-bot-no-watch-status-no-timeout lines
kubectl 37-bot-no-watch-undo
pass 3
kubectl 37-bot-set-image
pass 5
kubectl 37-bot-scale
fault storage-hang
http 39-etcd-stopped-patch
http 39-etcd-stopped-get
fault none
http 39-etcd-back
fault hang
kubectl 39-apiserver-hangs
fault none
kubectl 39-refused lines
kubectl 39-unknown-ca
kubectl 39-bad-token
kubectl 39-bad-token2
kubectl 39-no-kubeconfig
kubectl 39-no-context
kubectl 39-anonymous
{_deployment("t-minready", "v1", replicas=2, minReadySeconds=3, progressDeadlineSeconds=20)}
pass 6
{_image("t-minready", "v2")}
kubectl 40-status-minReadySeconds
pass 1
{_image("t-minready", "v3-flaky")}
kubectl 40-status-flaky
pass 70
object 40-flaky-broken-after-success.deployment
kubectl 40-status-flaky-later
kubectl 40-get-pods-flaky crashes
kubectl 40-undo-flaky
kubectl 40-status-after-undo lines
"""

STORIES = {
    "a service from its first release to its last": LONG,
    "undo past the progress deadline": STALE_DEADLINES,
    "undo, and those who may not": UNDOING,
}
