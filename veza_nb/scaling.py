"""Scale a Deployment to 0 and back: one patch each, with preconditions and what it replaces.

The number that was there is written onto the Deployment itself: whoever finds it at 0 can bring it
back without this kit and without its record.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from veza_nb.attempts import Effect
from veza_nb.clock import Deadline
from veza_nb.cluster import Cluster
from veza_nb.errors import InvalidError, ServerError, UnreachableError, VezaError
from veza_nb.evidence import kubectl
from veza_nb.journal import Journal
from veza_nb.objects import Deployment, Pod
from veza_nb.patience import not_begun
from veza_nb.sagas import SCALE_DOWN, SCALE_UP, read_saga
from veza_nb.vocabulary import Annotation, JournalEvent, Step

LOOK_SECONDS = 10.0
PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Scaling:
    """One change of the number of replicas.

    Attributes:
        deed: `SCALE_DOWN` or `SCALE_UP`.
        step: the cell.
        to: so many.
        replicas: that were there before anything was scaled.
        incident: its id.
    """

    deed: str
    step: Step
    to: int
    replicas: int
    incident: str

    def in_effect(self, live: Deployment) -> bool:
        """Whether the Deployment is as this leaves it."""
        marked = Annotation.REPLICAS_BEFORE in live.metadata.annotations
        return live.spec.replicas == self.to and marked == (self.deed == SCALE_DOWN)

    def patch(self, live: Deployment) -> tuple[Mapping[str, object], ...]:
        """The JSON patch, with its preconditions."""
        metadata = live.metadata
        return (
            {"op": "test", "path": "/metadata/uid", "value": metadata.uid},
            {"op": "test", "path": "/metadata/generation", "value": metadata.generation},
            {"op": "replace", "path": "/spec/replicas", "value": self.to},
            *self._marks(metadata.annotations),
        )

    def _marks(self, annotations: Mapping[str, str]) -> Sequence[Mapping[str, object]]:
        marks = {
            str(Annotation.REPLICAS_BEFORE): str(self.replicas),
            str(Annotation.DRAINED_BY): self.incident,
        }
        if self.deed == SCALE_UP:
            there = [key for key in marks if key in annotations]
            return [{"op": "remove", "path": _path(key)} for key in there]
        if not annotations:
            return [{"op": "add", "path": "/metadata/annotations", "value": marks}]
        return [{"op": "add", "path": _path(k), "value": v} for k, v in marks.items()]


def _path(key: str) -> str:
    return "/metadata/annotations/" + key.replace("~", "~0").replace("/", "~1")


def drained_by(live: Deployment, incident: str) -> bool:
    """Whether it stands at 0 because of that incident."""
    annotations = live.metadata.annotations
    return live.spec.replicas == 0 and annotations.get(Annotation.DRAINED_BY) == incident


def command_back(namespace: str, workload: str, replicas: int) -> str:
    """The command that brings the replicas back by hand."""
    return kubectl(namespace, "scale", f"deployment/{workload}", f"--replicas={replicas}")


def scale(
    cluster: Cluster,
    workload: str,
    wanted: Scaling,
    journal: Journal,
    *,
    live: Deployment | None = None,
) -> Deployment:
    """Send it once, if it is still needed; where its answer is lost, look.

    Args:
        cluster: where.
        workload: its name.
        wanted: the change.
        journal: of the incident.
        live: as it was judged: changed since, it is refused. None takes it as it is now.

    Raises:
        VezaError: refused, or it cannot be told what became of it.
    """
    live = live or cluster.deployment(workload)
    if wanted.in_effect(live):
        return _found(live, wanted, journal)
    intent = _intend(live, wanted, journal)
    try:
        after = cluster.patch_workload(workload, wanted.patch(live))
    except InvalidError as error:
        _settle(journal, wanted, intent, Effect.NONE, error=error.what)
        now = cluster.deployment(workload)
        if wanted.in_effect(now):  # the patch of an earlier try came in between
            return _found(now, wanted, journal)
        raise
    except (UnreachableError, ServerError) as error:
        found = None if not_begun(error) else _look(cluster, workload, wanted)
        if found is None:
            effect = Effect.NONE if not_begun(error) else Effect.UNKNOWN
            _settle(journal, wanted, intent, effect, error=error.what)
            raise
        after = found
    except VezaError as error:
        _settle(journal, wanted, intent, Effect.NONE, error=error.what)
        raise
    _settle(journal, wanted, intent, Effect.DONE, generation=after.metadata.generation)
    return after


def _intend(live: Deployment, wanted: Scaling, journal: Journal) -> int:
    namespace, workload = live.metadata.namespace, live.metadata.name
    said = {
        "deed": wanted.deed,
        "replicas": wanted.replicas,
        "to": wanted.to,
        "generation": live.metadata.generation,
        "command": command_back(namespace, workload, wanted.to),
        "back": command_back(namespace, workload, wanted.replicas),
    }
    return journal.append(wanted.step, JournalEvent.INTENT, said).seq


def _settle(journal: Journal, wanted: Scaling, intent: int, effect: Effect, **more: object) -> None:
    event = JournalEvent.DONE if effect is Effect.DONE else JournalEvent.FAILED
    data = {"deed": wanted.deed, "intent": intent, "effect": effect, **more}
    journal.append(wanted.step, event, data)


def _found(live: Deployment, wanted: Scaling, journal: Journal) -> Deployment:
    """It is so already: by a patch whose end nobody wrote down, or by a person's hand."""
    saga, generation = read_saga(journal.lines), live.metadata.generation
    same = [deed for deed in saga.deeds if deed.what == wanted.deed]
    if same and same[-1].effect is Effect.UNKNOWN:
        _settle(journal, wanted, same[-1].intent, Effect.DONE, generation=generation)
    elif (saga.drained is None) == (wanted.deed == SCALE_DOWN):
        intent = _intend(live, wanted, journal)
        _settle(journal, wanted, intent, Effect.DONE, generation=generation, found=True)
    return live


def _look(cluster: Cluster, workload: str, wanted: Scaling) -> Deployment | None:
    deadline = Deadline.after(cluster.clock, LOOK_SECONDS)
    while not deadline.passed:
        with suppress(UnreachableError, ServerError):
            live = cluster.deployment(workload)
            if wanted.in_effect(live):
                return live
        cluster.clock.sleep(PAUSE)
    return None


def wait_until_gone(
    cluster: Cluster,
    workload: str,
    selector: str,
    *,
    seconds: float,
    show: Callable[[int], None],
) -> tuple[str, ...]:
    """Wait until no pod is left, also none that is still ending: it may still write.

    A pod that has ended and is only not tidied up (evicted, for one) writes nothing any more.

    Returns:
        What is left when the time is up, in words; nothing where all are gone.
    """
    deadline, before = Deadline.after(cluster.clock, seconds), -1
    names: tuple[str, ...] = (_UNSEEN,)
    while True:
        with suppress(UnreachableError, ServerError):
            pods = cluster.pods(selector)
            names = tuple(pod.metadata.name for pod in pods if _may_write(pod))
            if len(names) != before:
                show(len(names))
                before = len(names)
            if not names:
                if _is_settled(cluster.deployment(workload)):
                    return ()
                names = (_UNSEEN,)  # its controller may still be making pods
        if deadline.passed:
            return names
        cluster.clock.sleep(PAUSE)


_UNSEEN = "nobody could tell whether any is left"


def _may_write(pod: Pod) -> bool:
    return pod.status.phase not in ("Succeeded", "Failed")


def _is_settled(live: Deployment) -> bool:
    """Whether its controller knows that no pods are asked for."""
    seen = live.status.observed_generation >= live.metadata.generation
    return seen and live.spec.replicas == 0 and live.status.replicas == 0
