"""What a Job's podFailurePolicy says of a pod that failed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from veza_nb.sandbox.apimachinery.status import Json

COUNT, FAIL_JOB, IGNORE = "Count", "FailJob", "Ignore"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is done about a failed pod, and in which words."""

    action: str
    message: str = ""


_USUAL = Ruling(COUNT)


def ruling(job: Json, pod: Json) -> Ruling:
    """What the first rule that matches says; without one the failure counts."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    for index, rule in enumerate(rules):
        why = _matches(rule, pod)
        if why:
            text = f"{why} matching {rule['action']} rule at index {index}"
            return Ruling(rule["action"], text)
    return _USUAL


def _matches(rule: Json, pod: Json) -> str:
    """Why a rule matches; empty: it does not."""
    codes = rule.get("onExitCodes")
    if codes is not None:
        return _by_code(codes, pod)
    return _by_condition(rule.get("onPodConditions") or (), pod)


def _by_code(codes: Json, pod: Json) -> str:
    where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    wanted, inside = set(codes["values"]), codes["operator"] == "In"
    for name, code in _exits(pod):
        if codes.get("containerName") not in (None, name) or code == 0:
            continue
        if (code in wanted) is inside:
            return f"Container {name} for pod {where} failed with exit code {code}"
    return ""


def _exits(pod: Json) -> Iterator[tuple[str, int]]:
    status = pod.get("status", {})
    for part in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(part) or ():
            ended = (container.get("state") or {}).get("terminated")
            if ended is not None:
                yield container["name"], ended.get("exitCode", 0)


def _by_condition(patterns: list[Json] | tuple[()], pod: Json) -> str:
    where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    known = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", ())}
    for pattern in patterns:
        if known.get(pattern["type"]) == pattern["status"]:
            return f"Pod {where} has condition {pattern['type']}"
    return ""
