"""Run the Jobs of a database's way back: each once, its log shown and kept, and read the schema."""

from collections.abc import Sequence

from veza_nb import display, render
from veza_nb.attempts import Effect
from veza_nb.catalog import Migration
from veza_nb.cluster.jobs import JobEnd, create_job, delete_job, read_job, wait_for_job
from veza_nb.errors import (
    NotRecoveredError,
    RefusedError,
    ServerError,
    UnreachableError,
    UsageError,
    VezaError,
)
from veza_nb.evidence import kubectl
from veza_nb.migrationjobs import JobOrder, SchemaVersion, filled, job_manifest, read_version
from veza_nb.objects import PodTemplate
from veza_nb.opening import Opened
from veza_nb.patience import not_begun, patiently
from veza_nb.sagas import JOB, Saga, read_saga
from veza_nb.vocabulary import JournalEvent, Step

READ, BACKUP, DOWN, UP = "version", "backup", "down", "up"


def saga_of(opened: Opened) -> Saga:
    """How far this incident is."""
    return read_saga(opened.logbook.journal.lines)


def rule_of(opened: Opened) -> Migration:
    """How the service's database goes back.

    Raises:
        UsageError: the catalogue does not say.
    """
    if opened.service.migration is None:
        raise UsageError(
            f"The catalogue does not say how the database of {opened.service_name} goes back.",
            next_step="Give it a `migration`, or roll the service back alone with 10-rollback.",
        )
    return opened.service.migration


def read_schema(opened: Opened, step: Step, template: PodTemplate) -> SchemaVersion:
    """What the database says of itself, read by a Job in the release that has the migrations.

    Raises:
        VezaError: it cannot be read: no image, no connection, wrong credentials, no answer.
    """
    rule = rule_of(opened)
    end = run_job(opened, step, READ, filled(rule.version, steps=0, version=None), template)
    found = read_version(end.log)
    if found is None or (not end.succeeded and found.number is not None and not found.dirty):
        why = end.why or end.unseen or "the Job printed no version."
        right = "You need the right to read logs (`veza-nb rbac` prints it). " if end.unseen else ""
        raise RefusedError(
            f"The schema's version cannot be read: {why} {last_words(end.log)}".rstrip(),
            next_step=f"{right}Is the database there, and are the service's credentials right? "
            "See the Job's log in evidence/.",
        )
    return found


def schema_or_none(opened: Opened, step: Step, template: PodTemplate) -> SchemaVersion | None:
    """The same; None where it cannot be read."""
    try:
        return read_schema(opened, step, template)
    except VezaError:
        return None


def run_job(
    opened: Opened, step: Step, purpose: str, command: Sequence[str], template: PodTemplate
) -> JobEnd:
    """Run one Job to its end, once, its log shown and kept.

    A run that goes on after a crash finds the Job that was made, by its name.

    Args:
        opened: the incident.
        step: the cell.
        purpose: `READ`, `BACKUP`, `DOWN` or `UP`.
        command: filled in.
        template: raw, of the release that has the migrations.

    Raises:
        VezaError: it could not be made, or what became of it cannot be seen.
    """
    rule, journal, view = rule_of(opened), opened.logbook.journal, display.LiveView()
    order = order_of(opened, purpose, command)
    manifest = _manifest(order, template, rule)
    said = {"deed": JOB, "purpose": purpose, "job": order.name, "command": " ".join(command)}
    intent = journal.append(step, JournalEvent.INTENT, said).seq

    def settle(effect: Effect, **more: object) -> None:
        event = JournalEvent.DONE if effect is Effect.DONE else JournalEvent.FAILED
        journal.append(step, event, {"deed": JOB, "intent": intent, "effect": effect, **more})

    try:
        _make(opened, order, manifest)
    except VezaError as error:
        unsure = isinstance(error, (UnreachableError, ServerError)) and not not_begun(error)
        settle(Effect.UNKNOWN if unsure else Effect.NONE, error=error.what)
        raise
    # From here on it may be at work: an error leaves its intent open, and whoever goes on looks.
    end = wait_for_job(
        opened.cluster,
        order.name,
        seconds=rule.timeout_seconds,
        show=lambda log: view.show(render.job(purpose, order.name, log)),
    )
    opened.logbook.folder.write_evidence(f"{order.name}.json", {"log": end.log.splitlines()})
    view.show(render.job(purpose, order.name, end.log, end=end))
    if end.succeeded is None:
        raise _unended(opened, order, end)
    more: dict[str, object] = {"why": end.why, "made": True}
    if purpose == READ and (found := read_version(end.log)) is not None:
        more |= {"number": found.number, "dirty": found.dirty}
    settle(Effect.DONE if end.succeeded else Effect.NONE, **more)
    if purpose == READ:
        _tidy(opened, order)
    return end


def order_of(opened: Opened, purpose: str, command: Sequence[str] = ()) -> JobOrder:
    """The next Job of that purpose."""
    return JobOrder(
        purpose,
        command,
        saga_of(opened).turns(purpose),
        opened.logbook.record.incident_id,
        opened.service.workload,
    )


def is_there(opened: Opened, order: JobOrder) -> bool:
    """Whether that Job was made, and is not tidied up yet."""
    found = patiently(opened.cluster.clock, lambda: read_job(opened.cluster, order.name))
    return found is not None


def last_words(log: str) -> str:
    """The last line of a log, as a sentence; "" where it is empty."""
    said = [line.strip() for line in log.splitlines() if line.strip()]
    return f"It said: {said[-1][:240]}" if said else ""


def _manifest(order: JobOrder, template: PodTemplate, rule: Migration) -> dict[str, object]:
    try:
        return job_manifest(order, template, rule)
    except KeyError as error:
        raise UsageError(
            f"The live release has no container {rule.container!r}.",
            next_step="Mend `migration.container` in the catalogue.",
        ) from error


def _make(opened: Opened, order: JobOrder, manifest: dict[str, object]) -> None:
    """Create the Job; where the answer is lost, look whether it is there.

    Where it is not, it is asked for again: of one name there is never more than one.
    """

    def make_or_find() -> None:
        try:
            create_job(opened.cluster, manifest)
        except (UnreachableError, ServerError):
            if read_job(opened.cluster, order.name) is None:
                raise

    patiently(opened.cluster.clock, make_or_find)


def _tidy(opened: Opened, order: JobOrder) -> None:
    try:
        delete_job(opened.cluster, order.name)
    except VezaError:
        return  # the cluster tidies it up itself in a day


def _unended(opened: Opened, order: JobOrder, end: JobEnd) -> VezaError:
    command = kubectl(opened.cluster.namespace, "describe", "job", order.name)
    return NotRecoveredError(
        f"The Job {order.name} ({order.purpose}): {end.why}. It may still be at work.",
        next_step=f"Look at it with `{command}`; once it has ended, run this cell again.",
    )
