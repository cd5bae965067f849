"""What earlier incidents said of a pod template: `good` or `bad`, as a mark on its ReplicaSet.

`kubectl rollout undo` copies a ReplicaSet's annotations to the Deployment, and Kubernetes hands
them on to the next ReplicaSet. So a mark names the template it speaks of, and a mark that came
with another template says nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from veza_nb.objects import ReplicaSet
from veza_nb.replicasets import template_hash
from veza_nb.vocabulary import Annotation
from veza_nb.words import one_line, utc

GOOD, BAD = "good", "bad"
_TEMPLATE = "template="


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody found out about a pod template.

    Attributes:
        bad: it is not to be gone back to.
        text: the mark in full, one line.
    """

    bad: bool
    text: str


def read_mark(replicaset: ReplicaSet) -> Mark | None:
    """The mark of this ReplicaSet; None where it has none, or another template's."""
    text = one_line(replicaset.metadata.annotations.get(Annotation.VERDICT, ""))
    word = text.lower()
    if not word.startswith((GOOD, BAD)):
        return None
    named = next((part for part in text.split() if part.startswith(_TEMPLATE)), "")
    about = named.removeprefix(_TEMPLATE).rstrip(";,")
    if about and about != template_hash(replicaset):
        return None
    return Mark(word.startswith(BAD), text)


def write_mark(
    word: str, pod_template_hash: str, *, incident: str, operator: str, at: datetime, reason: str
) -> str:
    """The annotation's value.

    Args:
        word: `GOOD` or `BAD`.
        pod_template_hash: of the ReplicaSet that it is written on.
        incident: where that was found out.
        operator: who led it.
        at: when.
        reason: in a few words; may be empty.
    """
    when = f"{utc(at):%Y-%m-%dT%H:%M:%SZ}"
    parts = [f"{word} {_TEMPLATE}{pod_template_hash}", f"incident {incident} by {operator}", when]
    return one_line("; ".join([*parts, reason] if reason.strip() else parts))
