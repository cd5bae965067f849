"""Wait until the tools that own a workload have surely come by since the undo."""

from collections.abc import Callable
from dataclasses import dataclass

from veza_nb.catalog import GitOps
from veza_nb.checks import Check
from veza_nb.cluster import Cluster
from veza_nb.cluster.reconcilers import reconcilers_of
from veza_nb.errors import VezaError
from veza_nb.gitops import Reconciler
from veza_nb.healchecks import heal_checks, seconds_to_wait
from veza_nb.objects import Deployment
from veza_nb.plans import Plan, in_effect

LOOKS = 20
"""How often the workload is looked at meanwhile, at most once a second."""


@dataclass(frozen=True, slots=True)
class Healing:
    """What came of waiting.

    Attributes:
        reconcilers: that look after the workload.
        waited: seconds since the undo was seen in effect.
        settings: of the catalogue.
    """

    reconcilers: tuple[Reconciler, ...]
    waited: float
    settings: GitOps

    def checks(self, live: Deployment, plan: Plan) -> tuple[Check, ...]:
        """What it means for the verdict, with the workload as it is at the end."""
        return heal_checks(self.reconcilers, live, plan, waited=self.waited, settings=self.settings)


def await_reconcilers(
    cluster: Cluster,
    workload: Deployment,
    plan: Plan,
    gitops: GitOps | None,
    *,
    begin: float,
    patient: bool = True,
    show: Callable[[float], None] = lambda _: None,
) -> Healing:
    """Wait as long as they may take, or until the undo was taken back; mostly not at all.

    Args:
        cluster: where.
        workload: as it was seen after the undo.
        plan: what became live.
        gitops: of the catalogue.
        begin: monotonic time of that look; what was waited since counts.
        patient: whether there is anything to wait for; a rollout that failed has failed.
        show: is given the seconds left.
    """
    settings, clock = gitops or GitOps(), cluster.clock
    seen = reconcilers_of(
        cluster, workload, argocd_namespace=settings.argocd_namespace, pause=False
    )
    due = begin + (seconds_to_wait(seen, settings) if patient else 0.0)
    pause = max((due - clock.monotonic()) / LOOKS, 1.0)
    while clock.monotonic() < due and _stays(cluster, plan):
        show(due - clock.monotonic())
        clock.sleep(min(pause, max(due - clock.monotonic(), 0.0)))
    return Healing(seen, clock.monotonic() - begin, settings)


def _stays(cluster: Cluster, plan: Plan) -> bool:
    """Whether it is worth waiting on; who cannot look waits."""
    try:
        return in_effect(cluster.deployment(plan.workload), plan)
    except VezaError:
        return True
