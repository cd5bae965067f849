"""Images: whether a name is one, whether the node has it, and what is said when it has not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from veza_nb.sandbox.nodes.behaviors import Behavior

PULL_SECONDS = 0.1
"""How long a pull takes of which the catalogue says nothing."""

_LONGEST = 512
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"
_REFERENCE = re.compile(
    rf"{_HOST}{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]+)?"
)


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a container cannot be made of an image.

    Attributes:
        reason: what the container waits with.
        event: reason of the event that says so.
        message: for both.
    """

    reason: str
    event: str
    message: str


def unusable(image: str, policy: str, behavior: Behavior) -> Unusable | None:
    """Why an image is not even tried to be pulled; None: it is there, or can be tried."""
    if len(image) > _LONGEST or not _REFERENCE.fullmatch(image):
        wrong = f'couldn\'t parse image name "{image}": invalid reference format'
        message = f'Failed to apply default image tag "{image}": {wrong}'
        return Unusable("InvalidImageName", "InspectFailed", message)
    if policy == "Never" and not is_present(behavior):
        message = f'Container image "{image}" is not present with pull policy of Never'
        return Unusable("ErrImageNeverPull", "ErrImageNeverPull", message)
    return None


def is_present(behavior: Behavior) -> bool:
    """Whether the node has the image already."""
    return behavior.pulls and behavior.pull_seconds == 0


def pull_error(image: str) -> str:
    """What a container runtime says of an image that its registry does not have."""
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": '
        f'failed to resolve reference "{image}": {image}: not found'
    )


def present_words(image: str) -> str:
    """What is said of an image that need not be pulled."""
    return f'Container image "{image}" already present on machine'


def pulled_words(image: str, seconds: float) -> str:
    """What is said of an image that was pulled."""
    took = f"{seconds:.3f}s"
    return (
        f'Successfully pulled image "{image}" in {took} '
        f"({took} including waiting). Image size: 48210344 bytes."
    )
