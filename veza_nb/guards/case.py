"""What a guard is, and what guards look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from veza_nb.evidence import kubectl
from veza_nb.findings import Diagnosis
from veza_nb.objects import Deployment, Workload
from veza_nb.orders import Order
from veza_nb.podtemplates import same_template
from veza_nb.revisions import Revision
from veza_nb.surroundings import NOTHING_SEEN, Surroundings
from veza_nb.vocabulary import Level


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
        workload: as it is now, with its revisions and pods.
        target: where to go back to.
        diagnosis: what detection said.
        order: what is asked for, and by whom.
        denied: permissions that are missing.
        around: what stands around it.
    """

    workload: Workload
    target: Revision
    diagnosis: Diagnosis
    order: Order
    denied: Sequence[str]
    around: Surroundings = NOTHING_SEEN

    @property
    def deployment(self) -> Deployment:
        """As it is now."""
        return self.workload.deployment

    @property
    def named(self) -> bool:
        """True where the operator named the target, rather than taking the recommended one."""
        return self.order.choice.named

    @property
    def noop(self) -> bool:
        """True where the live template is the target already."""
        return same_template(self.deployment.spec.template, self.target.template)

    def kubectl(self, *words: str) -> str:
        """A command in the workload's namespace."""
        return kubectl(self.deployment.metadata.namespace, *words)
