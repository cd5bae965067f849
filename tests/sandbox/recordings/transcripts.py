"""What kubectl was asked, and what it said, when it was recorded."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from tests.sandbox.recordings import index
from tests.sandbox.transcripts import ENDED, Said, parse

Json = dict[str, Any]


def read(name: str) -> tuple[str, Said]:
    """A recorded command, without the word kubectl, and what it said."""
    return parse(index.get("kubectl", name).text())


def waits_in_vain(command: str, said: Said) -> bool:
    """Whether a recorded command waited for what did not come."""
    return said.code == ENDED or (said.code != 0 and "timeout=" in command)


_POD_NAME = re.compile(r"(?P<set>veza-backend-api-[a-z0-9]{8,10})-[a-z0-9]{5}\b")


def pod_named_in(command: str) -> tuple[str, str] | None:
    """The pod that a recorded command names, and the image that it ran."""
    match = _POD_NAME.search(command)
    return None if match is None else (match[0], _images()[match["set"]])


@cache
def _images() -> dict[str, str]:
    """Recorded ReplicaSet to its image."""
    found = {}
    for (kind, name), recording in index.every().items():
        if kind == "objects" and name.endswith(".replicasets"):
            for item in recording.document()["items"]:
                found[item["metadata"]["name"]] = image_in(item["spec"]["template"]["spec"])
    return found


def image_in(spec: Json) -> str:
    """The image of the first container."""
    image: str = spec["containers"][0]["image"]
    return image
