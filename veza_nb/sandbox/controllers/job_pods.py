"""The pods of a Job: how they are made, which number they work on, and who counts them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.podcontrol import pod_from_template

TRACKING = "batch.kubernetes.io/job-tracking"
"""Finalizer of pods that their Job has not counted yet."""
INDEX = "batch.kubernetes.io/job-completion-index"


def is_indexed(job: Json) -> bool:
    """Whether every completion has a number."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def index_of(pod: Json) -> int | None:
    """The number of the completion that a pod works on; None where there is none."""
    text = pod["metadata"].get("annotations", {}).get(INDEX, "")
    return int(text) if text.isdigit() else None


def is_counted(pod: Json) -> bool:
    """Whether a pod is in its Job's numbers already."""
    return TRACKING not in pod["metadata"].get("finalizers", ())


def parse_indexes(text: str) -> set[int]:
    """Numbers from "0-2,5"."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first:
            found |= set(range(int(first), int(last or first) + 1))
    return found


def format_indexes(indexes: Iterable[int]) -> str:
    """Numbers as "0-2,5"."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def build_pod(job: Json, index: int | None = None) -> Json:
    """A pod of the Job, maybe for one number."""
    body = pod_from_template(job, job["spec"]["template"], "batch/v1", "Job")
    metadata = body["metadata"]
    metadata["finalizers"] = [TRACKING]
    if index is None:
        return body
    name = f"{job['metadata']['name']}-{index}"
    metadata["generateName"] = f"{name}-"
    metadata["labels"][INDEX] = str(index)
    metadata.setdefault("annotations", {})[INDEX] = str(index)
    body["spec"].setdefault("hostname", name)
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    variable = {"name": "JOB_COMPLETION_INDEX", "valueFrom": source}
    body["spec"]["containers"] = [
        {**container, "env": [*container.get("env", []), variable]}
        for container in body["spec"]["containers"]
    ]
    return body
