"""An undo that takes a minute, beside `kubectl rollout status`: how soon, and how many requests.

The kit works in a process of its own (`python -m tests.bench.verdict KUBECONFIG CATALOG RECORDS`),
cell by cell as its notebook does; the server's audit log tells the rest.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import yaml

from tests.bench.bars import Bar
from tests.bench.training import Json
from veza_nb.incident import Incident
from veza_nb.sandbox.apiserver.audit import AuditEntry
from veza_nb.sandbox.apiserver.client import Client, PatchType
from veza_nb.sandbox.lifecycle import TrainingCluster

SERVICE, SPACE = "slow", "bench"
KIT, KUBECTL = "veza-nb/", "kubectl"
REPLICAS, READY_AFTER_SECONDS = 3, 20
"""One pod after the other: a minute."""
T = TypeVar("T")
_PATIENCE_SECONDS = 180.0
_FEW = {"maxSurge": 1, "maxUnavailable": 0}
_MANY = {"maxSurge": "100%", "maxUnavailable": "100%"}


@dataclass(frozen=True, slots=True)
class Story:
    """What the audit log and the kit tell of one rollback.

    Attributes:
        sent: when the undo arrived.
        true: when the rollout was complete: the controller had said so, and the last pod of the
            older revision had ended. kubectl does not wait for that, but it serves until then.
        told: when the kit's cell "undo" was through.
        ours: requests of the kit between the first two.
        theirs: requests of `kubectl rollout status`.
    """

    sent: datetime
    true: datetime
    told: datetime
    ours: int
    theirs: int


def verdict_bars() -> list[Bar]:
    """How soon the verdict comes, and at what price."""
    with tempfile.TemporaryDirectory() as folder:
        story = _play(Path(folder))
    minute = (story.true - story.sent).total_seconds()
    return [
        Bar(
            "verdict on a rollout, after it is true on the server",
            (story.told - story.true).total_seconds(),
            "s",
            0.3,
            "the later of the controller's last word and the last old pod's end",
        ),
        Bar(
            f"requests during a rollout of {minute:.0f} s",
            story.ours,
            "requests",
            story.theirs + 20,
            f"kubectl rollout status: {story.theirs}, and 20",
        ),
    ]


def _play(place: Path) -> Story:
    with TrainingCluster.start(directory=place / "cluster") as cluster:
        _released(cluster)
        with _undoing(cluster, place) as kit:
            sent = _until(lambda: next(filter(_is_undo, cluster.audit()), None))
            code = _status(cluster)
            told = kit.communicate(timeout=_PATIENCE_SECONDS)[0]
        assert (code, kit.returncode) == (0, 0)
        entries = [one for one in cluster.audit() if one.at > sent.at]
    true = max(one.at for one in entries if _is_word(one) or _is_end(one))
    return Story(
        sent=sent.at,
        true=true,
        told=datetime.fromisoformat(told.strip()),
        ours=sum(one.agent.startswith(KIT) and one.at <= true for one in entries),
        theirs=sum(one.agent.startswith(KUBECTL) for one in entries),
    )


def _until(look: Callable[[], T | None]) -> T:
    """What a look finds, as soon as it does."""
    last = time.monotonic() + _PATIENCE_SECONDS
    while (found := look()) is None:
        if time.monotonic() > last:
            raise TimeoutError(f"not reached within {_PATIENCE_SECONDS:.0f} s")
        time.sleep(0.05)
    return found


# --- the service -----------------------------------------------------------------------------


def _released(cluster: TrainingCluster) -> None:
    """A release that takes its time, then one that does not; the next rollout goes pod by pod."""
    cluster.call(lambda admin: admin.create("namespaces", None, {"metadata": {"name": SPACE}}))
    cluster.call(lambda admin: admin.create("deployments", SPACE, _deployment()))
    _until(lambda: _complete(cluster, 1))
    _patch(cluster, {"template": _template("v2", 0), "strategy": _strategy(_MANY)})
    _until(lambda: _complete(cluster, 2))
    _patch(cluster, {"strategy": _strategy(_FEW)})
    _until(lambda: _complete(cluster, 3))


def _deployment() -> Json:
    labels = {"app": SERVICE}
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": labels},
        "template": _template("v1", READY_AFTER_SECONDS),
    }
    return {"metadata": {"name": SERVICE, "labels": labels}, "spec": spec}


def _template(tag: str, ready_after: int) -> Json:
    probe = {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": ready_after}
    container = {"name": "c", "image": f"registry.example/slow:{tag}", "readinessProbe": probe}
    return {"metadata": {"labels": {"app": SERVICE}}, "spec": {"containers": [container]}}


def _strategy(bounds: Json) -> Json:
    return {"type": "RollingUpdate", "rollingUpdate": bounds}


def _patch(cluster: TrainingCluster, spec: Json) -> None:
    def send(admin: Client) -> None:
        admin.patch("deployments", SPACE, SERVICE, {"spec": spec}, kind=PatchType.MERGE)

    cluster.call(send)


def _complete(cluster: TrainingCluster, generation: int) -> bool | None:
    """True when that generation is rolled out, and None before."""
    status = cluster.call(lambda admin: admin.get("deployments", SPACE, SERVICE)).get("status", {})
    counts = [status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    done = status.get("observedGeneration", 0) >= generation and counts == [REPLICAS] * 3
    return done or None


# --- the two who look ------------------------------------------------------------------------


@contextmanager
def _undoing(cluster: TrainingCluster, place: Path) -> Iterator[subprocess.Popen[str]]:
    catalog = place / "services.yaml"
    services = {SERVICE: {"selector": f"app={SERVICE}", "health": ""}}
    catalog.write_text(yaml.safe_dump({"namespace": SPACE, "services": services}), "utf-8")
    given = [str(cluster.kubeconfig), str(catalog), str(place / "records")]
    with subprocess.Popen(
        [sys.executable, "-m", __name__, *given], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _status(cluster: TrainingCluster) -> int:
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "--namespace", SPACE]
    command += ["rollout", "status", f"deployment/{SERVICE}"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode


def _is_undo(one: AuditEntry) -> bool:
    return (
        (one.verb, one.resource, one.subresource) == ("patch", "deployments", "")
        and one.agent.startswith(KIT)
        and not one.dry_run
    )


def _is_end(one: AuditEntry) -> bool:
    """Whether a pod has ended: its node takes it away."""
    return (one.verb, one.resource, one.namespace, one.agent) == (
        "delete",
        "pods",
        SPACE,
        "kubelet",
    )


def _is_word(one: AuditEntry) -> bool:
    """Whether that is the controller's word on how far the rollout is."""
    return (one.resource, one.subresource, one.name) == ("deployments", "status", SERVICE)


def _undo(kubeconfig: str, catalog: str, records: str) -> datetime:
    """From the first cell to "undo"; when that was through."""
    incident = Incident.open(SERVICE, kubeconfig=kubeconfig, catalog=catalog, records=records)
    incident.detect()
    plan = incident.plan(to_revision=1)
    incident.approve(plan, confirm=SERVICE)
    incident.undo(plan)
    told = datetime.now(UTC)
    incident.opened.lock.release()
    return told


if __name__ == "__main__":
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        moment = _undo(*sys.argv[1:])
    print(moment.isoformat())
