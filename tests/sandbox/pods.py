"""Pods of a story, without a workload above them."""

from __future__ import annotations

from typing import Any

from tests.sandbox.planes import REPOSITORY, SPACE, Stage

Json = dict[str, Any]
PORTS = [{"name": "http", "containerPort": 8080}]


def container(tag: str = "v1", name: str = "c", **spec: Any) -> Json:
    return {"name": name, "image": f"{REPOSITORY}:{tag}", "ports": PORTS, **spec}


def probe(path: str = "/health", **settings: Any) -> Json:
    return {"httpGet": {"path": path, "port": "http"}, **settings}


def create(stage: Stage, *containers: Json, name: str = "web", **spec: Any) -> Json:
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": list(containers), **spec},
    }
    return stage.admin.create("pods", SPACE, body)


def pod(stage: Stage, name: str = "web") -> Json:
    return stage.admin.get("pods", SPACE, name)


def status(stage: Stage, name: str = "web") -> Json:
    found: Json = pod(stage, name)["status"]
    return found


def state(stage: Stage, number: int = 0, *, init: bool = False, name: str = "web") -> Json:
    """The status of one container."""
    kind = "initContainerStatuses" if init else "containerStatuses"
    found: Json = status(stage, name)[kind][number]
    return found


def conditions(stage: Stage, name: str = "web") -> dict[str, str]:
    """Status and reason of each condition."""
    return {
        each["type"]: each["status"] + (f"/{each['reason']}" if "reason" in each else "")
        for each in status(stage, name)["conditions"]
    }


def is_gone(stage: Stage, name: str = "web") -> bool:
    return all(each["metadata"]["name"] != name for each in stage.admin.list("pods", SPACE))
