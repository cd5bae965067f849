"""What a guard is, and what guards look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from veza_nb.evidence import kubectl
from veza_nb.findings import Diagnosis
from veza_nb.objects import Deployment, Workload
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
        workload: the Deployment as it is now, with its ReplicaSets and pods.
        target: where to go back to.
        diagnosis: what detection said.
        named: the operator named the revision, rather than taking the recommended one.
        denied: permissions that are missing.
        around: what stands around it.
        freeze: why changes are frozen now; "" where they are not.
        break_glass: why the operator changes something all the same; may be empty.
        force_lock: why a lock is to be taken from whoever holds it; may be empty.
    """

    workload: Workload
    target: Revision
    diagnosis: Diagnosis
    named: bool
    denied: Sequence[str]
    around: Surroundings = NOTHING_SEEN
    freeze: str = ""
    break_glass: str = ""
    force_lock: str = ""

    @property
    def deployment(self) -> Deployment:
        """As it is now."""
        return self.workload.deployment

    @property
    def noop(self) -> bool:
        """True where the live template is the target already."""
        return same_template(self.deployment.spec.template, self.target.template)

    def kubectl(self, *words: str) -> str:
        """A command in the Deployment's namespace."""
        return kubectl(self.deployment.metadata.namespace, *words)
