"""Guards about a service that stands at 0 while its database goes back: what would wake it up."""

from collections.abc import Iterator

from veza_nb.guards.case import Case, Guard
from veza_nb.vocabulary import Level

_OF_KEDA = "keda-hpa-"
"""Before the ScaledObject's name, unless that says otherwise."""


def scaling(case: Case) -> Iterator[Guard]:
    """Autoscalers: the usual one sleeps while there are 0 replicas, KEDA does not."""
    if not case.order.migrate_down or case.noop:
        return
    for one in case.around.autoscalers:
        if one.owner:
            yield Guard(
                "scaled-by-keda",
                Level.BLOCK,
                f"{one.owner} ({one.name}) may scale the service up while its database goes back.",
                f"Pause its ScaledObject first: `{_pause(case, one.name)}`; remove that "
                "annotation when the service is back.",
            )
        else:
            yield Guard(
                "autoscaler-sleeps",
                Level.INFO,
                f"The autoscaler {one.name} does nothing while there are 0 replicas; it takes over "
                "again when they come back.",
                "",
            )


def healing(case: Case) -> Iterator[Guard]:
    """A tool that brings the replicas back by itself, in the middle of a migration."""
    if not case.order.migrate_down or case.noop:
        return
    for one in case.around.reconcilers:
        if one.exists and one.heals and not one.paused and not one.will_pause:
            yield Guard(
                "heals-while-drained",
                Level.BLOCK,
                f"{one.tool}'s {one.handle} would scale the service up while its database goes "
                "back.",
                "Pause it first, or let the catalogue allow that (`gitops.pause`).",
            )


def _pause(case: Case, autoscaler: str) -> str:
    name = autoscaler.removeprefix(_OF_KEDA) if autoscaler.startswith(_OF_KEDA) else "NAME"
    return case.kubectl("annotate", "scaledobject", name, "autoscaling.keda.sh/paused=true")
