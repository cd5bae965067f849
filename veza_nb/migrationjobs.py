"""The Jobs of a database's way back: the same image, settings and Secrets as the service itself.

Credentials come from where the service's own container has them, by reference: a value is never
copied into a Job, an argument of this kit, or a log.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from veza_nb.catalog import Migration
from veza_nb.objects import PodTemplate

INCIDENT = "veza.dev/incident"
PURPOSE = "veza.dev/purpose"
KEPT_SECONDS = 86400
"""How long the cluster keeps a Job that has ended: for whoever looks the next morning."""
_OF_CONTAINER = (
    "env",
    "envFrom",
    "volumeMounts",
    "securityContext",
    "imagePullPolicy",
    "workingDir",
    "resources",
)
_OF_POD = (
    "volumes",
    "serviceAccountName",
    "automountServiceAccountToken",
    "imagePullSecrets",
    "securityContext",
    "nodeSelector",
    "tolerations",
    "affinity",
    "dnsPolicy",
    "dnsConfig",
    "hostAliases",
    "runtimeClassName",
    "priorityClassName",
)
_EMPTY = re.compile(r"(?:^|\berror: |\s)no migration[.!]?\s*$", re.IGNORECASE)
_ALONE = re.compile(r"\s*v?(\d{1,18})\s*(?:\(?dirty\)?)?\s*", re.IGNORECASE)
_CLEAN = re.compile(r"dirty\W*(?:false|no|f)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.:/-])v?(\d{1,18})(?![\w.:/-])")


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What a Job is to do.

    Attributes:
        purpose: one word, part of the Job's name: "version", "backup", "down", "up".
        command: of its container, as the catalogue writes it.
        turn: how many of that purpose this incident had before: each is one try.
        incident: its id.
        workload: the service's workload.
    """

    purpose: str
    command: Sequence[str]
    turn: int
    incident: str
    workload: str

    @property
    def name(self) -> str:
        """The Job's name: the same order has the same, so none is ever made twice."""
        said = f"{self.incident}\n{self.workload}\n{self.purpose}\n{self.turn}"
        return f"veza-nb-{self.purpose}-{sha256(said.encode()).hexdigest()[:10]}"


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """What a database says of itself.

    Attributes:
        number: of the newest migration in it; None where it says none.
        dirty: a migration was left half done.
    """

    number: int | None
    dirty: bool = False

    def __str__(self) -> str:
        name = "no version" if self.number is None else f"version {self.number}"
        return f"{name}, half done" if self.dirty else name


def filled(command: Sequence[str], *, steps: int, version: int | None) -> tuple[str, ...]:
    """A command of the catalogue with `{steps}` and `{version}` filled in.

    `$(NAME)` is left to Kubernetes, which fills in the container's own variables.
    """
    words = {"{steps}": str(steps), "{version}": "" if version is None else str(version)}
    found = []
    for part in command:
        for place, word in words.items():
            part = part.replace(place, word)  # noqa: PLW2901 - filled in place by place
        found.append(part)
    return tuple(found)


def job_manifest(order: JobOrder, template: PodTemplate, rule: Migration) -> dict[str, Any]:
    """The Job, from the pod template of the release that has the migrations.

    Args:
        order: what it is to do.
        template: raw; its first container, or the one that the catalogue names, is taken.
        rule: image, container and time limit.

    Raises:
        KeyError: the template has no such container.
    """
    pod = template.get("spec", {})
    source = _container(pod, rule.container)
    container = {key: source[key] for key in _OF_CONTAINER if key in source}
    container |= {
        "name": "migrate",
        "image": rule.image or source["image"],
        "command": list(order.command),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    marks = {INCIDENT: order.incident, PURPOSE: order.purpose}
    spec = {key: pod[key] for key in _OF_POD if key in pod}
    spec |= {"restartPolicy": "Never", "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": order.name,
            # Never the service's own labels: its Service would send users to this pod.
            "labels": {"app.kubernetes.io/managed-by": "veza-nb"},
            "annotations": marks,
        },
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "activeDeadlineSeconds": max(int(rule.timeout_seconds), 1),
            "template": {
                "metadata": {
                    "labels": {"app.kubernetes.io/managed-by": "veza-nb", **rule.labels},
                    "annotations": marks,
                },
                "spec": spec,
            },
        },
    }


def read_version(log: str) -> SchemaVersion | None:
    """The version in what the `version` command printed; None where it tells none.

    The last line that is nothing but a version counts, else the last one that has a number.
    `dirty` beside it says that a migration was left half done. Of a command that failed a number
    may be anything, a port for one: whoever asks looks at that first.
    """
    lines = list(reversed(log.splitlines()))
    for line in lines:
        if _EMPTY.search(line):
            return SchemaVersion(None)
        if alone := _ALONE.fullmatch(line):
            return SchemaVersion(int(alone[1]), _dirty(line))
    for line in lines:
        numbers = _NUMBER.findall(line.replace(",", " ").replace("=", " "))
        if numbers:
            return SchemaVersion(int(numbers[-1]), _dirty(line))
    return None


def _dirty(line: str) -> bool:
    return "dirty" in line.lower() and _CLEAN.search(line) is None


def would_be_taken(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether a Job's pod with these labels would pass for one of the service's own."""
    return bool(selector) and selector.items() <= labels.items()


def _container(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    containers = pod.get("containers") or []
    for one in containers:
        if not name or one.get("name") == name:
            return one  # type: ignore[no-any-return]
    raise KeyError(name)
