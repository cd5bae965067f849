"""What speaks against a plan: blocks, warnings and notes, each with its remedy."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veza_nb.evidence import kubectl
from veza_nb.findings import Diagnosis
from veza_nb.managers import owners_of, show_command
from veza_nb.objects import Deployment
from veza_nb.podtemplates import images, same_template
from veza_nb.revisions import Revision, Standing
from veza_nb.vocabulary import Annotation, Decision, Level
from veza_nb.words import listing


@dataclass(frozen=True, slots=True)
class Guard:
    """One thing that stops a plan or that its approver must know.

    Attributes:
        name: kebab-case id.
        level: block, warn or info.
        summary: what is the matter, one sentence.
        remedy: what to do about it, with the command.
    """

    name: str
    level: Level
    summary: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Case:
    """What guards look at.

    Attributes:
        deployment: as it is now.
        target: where to go back to.
        diagnosis: what detection said.
        named: the operator named the revision, rather than taking the recommended one.
        denied: permissions that are missing.
    """

    deployment: Deployment
    target: Revision
    diagnosis: Diagnosis
    named: bool
    denied: Sequence[str]

    @property
    def noop(self) -> bool:
        """True where the live template is the target already."""
        return same_template(self.deployment.spec.template, self.target.template)

    def kubectl(self, *words: str) -> str:
        """A command in the Deployment's namespace."""
        return kubectl(self.deployment.metadata.namespace, *words)


_SEVEREST_FIRST = tuple(Level)


def all_guards(case: Case) -> tuple[Guard, ...]:
    """Every guard that has something to say, blocks first."""
    found = [
        *_permissions(case),
        *_paused(case),
        *_already_there(case),
        *_diagnosis(case),
        *_target(case),
        *_outcome(case),
        *_managed(case),
        *_last_applied(case),
    ]
    return tuple(sorted(found, key=lambda guard: _SEVEREST_FIRST.index(guard.level)))


def _permissions(case: Case) -> Iterator[Guard]:
    if case.denied:
        verb, _, resource = case.denied[0].partition(" ")
        yield Guard(
            "permissions",
            Level.BLOCK,
            f"You may not: {listing(case.denied, limit=9)}.",
            f"Ask for these rights; check with `{case.kubectl('auth', 'can-i', verb, resource)}`.",
        )


def _paused(case: Case) -> Iterator[Guard]:
    if case.deployment.spec.paused:
        resume = case.kubectl("rollout", "resume", f"deployment/{case.deployment.metadata.name}")
        yield Guard(
            "paused",
            Level.WARN if case.noop else Level.BLOCK,
            "The Deployment is paused: an undo would change the template and roll out nothing.",
            f"Find out who paused it and why, then `{resume}`, and plan again.",
        )


def _already_there(case: Case) -> Iterator[Guard]:
    if case.noop:
        yield Guard(
            "already-at-target",
            Level.INFO,
            f"The live template already is revision {case.target.number}: nothing is to be done.",
            "Go on to verification. If it is still broken, the cause is not the template.",
        )


def _diagnosis(case: Case) -> Iterator[Guard]:
    decision = case.diagnosis.decision
    if decision is Decision.ROLL_BACK or case.noop:
        return
    unclear = decision is Decision.UNCLEAR
    yield Guard(
        "diagnosis",
        # Unclear is no yes: without this a second run would wander one revision further back.
        Level.WARN if case.named else Level.BLOCK,
        "Detection does not tell whether a rollback cures this."
        if unclear
        else "Detection found nothing that a rollback would cure.",
        "You named the revision yourself: approve only if you know better."
        if case.named
        else f"If you know better, name the revision: to_revision={case.target.number}.",
    )


def _target(case: Case) -> Iterator[Guard]:
    target = case.target
    why = "; ".join(target.reasons)
    if target.standing is Standing.BAD:
        yield Guard(
            "target-bad",
            Level.WARN if case.named else Level.BLOCK,
            f"Revision {target.number} is known to be bad: {why}.",
            "Take another revision from the history.",
        )
    elif target.standing is Standing.UNKNOWN:
        yield Guard(
            "target-unproven",
            Level.WARN,
            f"Nothing proves that revision {target.number} works: {why}.",
            "Ask whoever released it, or compare its images with what ran well last.",
        )


def _outcome(case: Case) -> Iterator[Guard]:
    """What the undo will do to the service while it works, or not do at all."""
    spec, name = case.deployment.spec, case.deployment.metadata.name
    if case.noop:
        return
    if images(spec.template) == images(case.target.template):
        yield Guard(
            "images-unchanged",
            Level.WARN,
            f"Revision {case.target.number} runs the same images as now: no code goes back.",
            "Look at the changes: if none of them can be the cause, choose another revision.",
        )
    if spec.replicas == 0:
        scale = case.kubectl("scale", f"deployment/{name}", "--replicas=N")
        yield Guard(
            "scaled-to-zero",
            Level.WARN,
            "The Deployment is scaled to 0 and an undo keeps that: nothing will serve.",
            f"Bring the replicas back: `{scale}`.",
        )
    elif spec.strategy.type == "Recreate":
        yield Guard(
            "recreate",
            Level.WARN,
            "The strategy is Recreate: all pods stop before the first one of the target starts.",
            "Expect a short outage, also of what still serves.",
        )


def _managed(case: Case) -> Iterator[Guard]:
    metadata = case.deployment.metadata
    for owner in owners_of(metadata):
        yield Guard(
            "managed-by-" + owner.tool.lower().replace(" ", "-"),
            Level.WARN,
            f"{owner.tool} manages this Deployment ({owner.sign}): {owner.effect}.",
            f"{owner.remedy} See for yourself: `{show_command(metadata)}`.",
        )


def _last_applied(case: Case) -> Iterator[Guard]:
    """Will `kubectl apply` of the file that was applied last undo the undo?"""
    metadata = case.deployment.metadata
    text = metadata.annotations.get(Annotation.LAST_APPLIED)
    if text is None:
        return
    applied, wanted = images(_applied_template(text)), images(case.target.template)
    differing = [f"{name}={image}" for name, image in applied.items() if wanted.get(name) != image]
    if applied and not differing:
        return
    what = f"has other images ({listing(differing)})" if applied else "cannot be read here"
    yield Guard(
        "last-applied",
        Level.WARN,
        f"The file applied last {what}: the next `kubectl apply` of it may take the undo back.",
        "Correct the file (or the branch it comes from) right after the rollback; see it with `"
        + case.kubectl("apply", "view-last-applied", f"deployment/{metadata.name}")
        + "`.",
    )


def _applied_template(text: str) -> dict[str, Any]:
    """The pod template in a last-applied annotation; empty where it cannot be read."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    for key in ("spec", "template"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, dict) else {}
