"""What a finding is made of, and the commands that show the same by hand."""

from dataclasses import dataclass
from datetime import datetime
from shlex import quote

from veza_nb.vocabulary import Severity


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was seen.

    Attributes:
        kind: "Pod", "Deployment", "ReplicaSet", "Event", "Probe".
        name: of that object, the reason of an event, or the URL of a probe.
        detail: what was seen, one line.
        at: when, where known.
        command: the command that shows the same by hand.
    """

    kind: str
    name: str
    detail: str
    at: datetime | None
    command: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        reason: a word for it: Kubernetes' own, or "ProbeFailing", "ProbeSlow", …
        severity: how much it hurts.
        summary: one sentence with names and numbers.
        evidence: what it rests on.
        from_release: True where only pods of the new template suffer, False where others
            suffer too, None where that cannot be told.
        hint: what it means, for somebody who sees it for the first time; "" where nobody wrote
            that down.
    """

    reason: str
    severity: Severity
    summary: str
    evidence: tuple[Evidence, ...]
    from_release: bool | None
    hint: str = ""


def kubectl(namespace: str, *words: str) -> str:
    """`kubectl -n NAMESPACE …`, quoted for a shell where it must be."""
    scope = ("-n", namespace) if namespace else ()
    return " ".join(["kubectl", *(quote(word) for word in (*scope, *words))])


def curl(url: str) -> str:
    """The command that asks a URL once and prints status and seconds."""
    return f"curl -sS -o /dev/null -w '%{{http_code}} %{{time_total}} s\\n' {quote(url)}"
