"""Guards about who else writes the workload and would take the undo back."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from veza_nb.guards.case import Case, Guard
from veza_nb.managers import owners_of, show_command
from veza_nb.podtemplates import images
from veza_nb.vocabulary import Annotation, Level
from veza_nb.words import listing


def last_applied(case: Case) -> Iterator[Guard]:
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
        + case.kubectl("apply", "view-last-applied", case.deployment.ref)
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


def server_side_applied(case: Case) -> Iterator[Guard]:
    """Who applied the workload server-side, and so will set its template again?"""
    metadata = case.deployment.metadata
    known = {owner.sign for owner in owners_of(metadata)}
    appliers = sorted(
        {one.manager for one in metadata.managed_fields if one.operation == "Apply"}
        - {sign.removeprefix("field manager ") for sign in known}
    )
    if appliers:
        yield Guard(
            "server-side-applied",
            Level.WARN,
            f"{listing(appliers)} applied this {case.deployment.kind} server-side: its next apply "
            "sets the template again, or is refused because of a conflict with this undo.",
            f"Tell whoever runs it before they do; see `{show_command(case.deployment)}`.",
        )
