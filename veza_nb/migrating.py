"""The way back of a service together with its database, step by step, each with its way back.

Whichever step fails, the run does the safe thing and says what state service and schema are in: a
failed migration never leads to an undo onto a schema that the older release cannot read, and
replicas never stay at 0 without a word.
"""

from collections.abc import Callable

from veza_nb import display, render
from veza_nb.attempts import Effect
from veza_nb.catalog import Migration
from veza_nb.cluster import selector_of
from veza_nb.cluster.jobs import JobEnd
from veza_nb.errors import (
    InvalidError,
    NotRecoveredError,
    RefusedError,
    ServerError,
    UnreachableError,
    VezaError,
)
from veza_nb.migrationjobs import SchemaVersion, filled
from veza_nb.migrationruns import (
    BACKUP,
    DOWN,
    UP,
    is_there,
    last_words,
    order_of,
    read_schema,
    rule_of,
    run_job,
    saga_of,
    schema_or_none,
)
from veza_nb.objects import Deployment, PodTemplate
from veza_nb.opening import Opened
from veza_nb.plans import Plan, in_effect
from veza_nb.sagas import JOB, SCALE_DOWN, SCALE_UP
from veza_nb.scaling import Scaling, command_back, drained_by, scale, wait_until_gone
from veza_nb.schemagates import SchemaSeen, gate, needed_schema
from veza_nb.undo import refuse_changed
from veza_nb.vocabulary import Annotation, JournalEvent, Step

TRIES = 3
"""How often the replicas are asked for again where the server does not answer well."""
_NO_WAY = "Mend the migration, or find another way; the release is still the bad one."


def is_drained(opened: Opened, live: Deployment) -> bool:
    """Whether it stands at 0 because of this incident."""
    return drained_by(live, opened.logbook.record.incident_id)


def drain(opened: Opened, plan: Plan, *, steps: int, backup: str) -> Deployment:
    """Read the schema, make sure of a backup, scale to 0, and wait until the pods are gone.

    Args:
        opened: the incident; its lock is held.
        plan: approved.
        steps: migrations that will be taken back.
        backup: what a person says of the backup; needed where the catalogue has no command.

    Raises:
        RefusedError: the database is not fit for the way back; nothing was changed.
        NotRecoveredError: pods did not end; replicas were brought back.
    """
    cluster, rule = opened.cluster, rule_of(opened)
    live = cluster.deployment(plan.workload)
    if saga_of(opened).migrated is not None and in_effect(live, plan):
        display.show(render.message("The service was drained already: it is past that."))
        return live
    if not is_drained(opened, live):
        _refuse_drained_by_another(opened, live)
        refuse_changed(live, plan)
        template = plan.from_template
        if saga_of(opened).moved is None:
            _refuse_unfit(read_schema(opened, Step.DRAIN, template), steps)
            _back_up(opened, rule, template, backup)
    # Read before the Jobs ran: whatever was changed meanwhile makes the server refuse.
    down = Scaling(SCALE_DOWN, Step.DRAIN, 0, plan.replicas, plan.incident)
    try:
        live = scale(cluster, plan.workload, down, opened.logbook.journal, live=live)
    except InvalidError as error:
        refuse_changed(cluster.deployment(plan.workload), plan, cause=error)
        raise
    opened.logbook.update()  # that it is at 0, and how it comes back, is in the record from now on
    left = _wait_for_pods(opened, plan, live)
    if left:
        back = _back_in_words(opened, plan, Step.DRAIN)
        raise NotRecoveredError(
            f"These pods did not end: {', '.join(left)}. The migration was not begun. {back}",
            next_step="Find out what keeps them (a finalizer? a node that is away?), then plan "
            "and approve again.",
        )
    return live


def _wait_for_pods(opened: Opened, plan: Plan, live: Deployment) -> tuple[str, ...]:
    """What is left of the service's pods when the time is up."""
    view = display.LiveView()
    return wait_until_gone(
        opened.cluster,
        plan.workload,
        selector_of(live.spec.selector),
        seconds=opened.settings.rollout_seconds,
        show=lambda number: view.show(render.draining(number, saga_of(opened).replicas)),
    )


def _refuse_drained_by_another(opened: Opened, live: Deployment) -> None:
    marks = live.metadata.annotations
    other, before = marks.get(Annotation.DRAINED_BY, ""), marks.get(Annotation.REPLICAS_BEFORE, "")
    if live.spec.replicas == 0 and other and not is_drained(opened, live):
        raise RefusedError(
            f"The incident {other} has scaled it to 0 ({before or 'unknown'} before).",
            next_step=f"Go on with that one: `veza-nb rollback --resume {other}`.",
        )


def _refuse_unfit(found: SchemaVersion, steps: int) -> None:
    if found.dirty:
        raise RefusedError(
            f"The schema is at {found}: somebody's migration was left half done.",
            next_step="Mend the schema by hand first; only a person knows what is missing.",
        )
    if found.number is None or found.number < steps:
        raise RefusedError(
            f"The schema is at {found}: there are no {steps} migrations to take back.",
            next_step="Give a smaller number, or roll the service back alone with 10-rollback.",
        )


def _back_up(opened: Opened, rule: Migration, template: PodTemplate, backup: str) -> None:
    if rule.backup:
        end = run_job(opened, Step.DRAIN, BACKUP, rule.backup, template)
        if not end.succeeded:
            raise RefusedError(
                f"The backup failed: {end.why}. {last_words(end.log)}",
                next_step="Nothing was changed. Mend the backup first.",
            )
        return
    if not backup.strip():
        raise RefusedError(
            "Nobody said that there is a backup of the database.",
            next_step="Say which one with `backup`, or why none is needed.",
        )
    note = {"backup": backup.strip(), "said by": opened.operator}
    opened.logbook.journal.append(Step.DRAIN, JournalEvent.NOTE, note)


def migrate_down(opened: Opened, plan: Plan, *, steps: int) -> None:
    """Take the database back by so many migrations, and check where it is then.

    Raises:
        RefusedError: the service is not at 0, or an earlier try left the schema elsewhere.
        NotRecoveredError: it failed; the message says what was done about it.
    """
    live, template = opened.cluster.deployment(plan.workload), plan.from_template
    if saga_of(opened).migrated is not None:
        display.show(render.message("The database was taken back already: it is not done twice."))
        return
    if not is_drained(opened, live):
        raise RefusedError(
            "The service is not drained.", next_step="Run the cell 'drain' first, then this one."
        )
    if left := _wait_for_pods(opened, plan, live):
        raise RefusedError(
            f"These pods did not end: {', '.join(left)}. They may still write.",
            next_step="Find out what keeps them, then run this cell again.",
        )
    if _led_somewhere(opened, plan):
        return
    end = _run_down(opened, plan, steps)
    found = schema_or_none(opened, Step.MIGRATE, template)
    if end.succeeded and found is not None and not found.dirty:
        if found.number != saga_of(opened).before:
            if why := _misfit(opened, plan, found):
                raise _not_read_by_target(opened, plan, found, why)
            _note_end(opened, Effect.DONE, to_version=found.number)
            return
        _note_end(opened, Effect.NONE, why="the schema did not move")
    raise _after_failure(opened, plan, end, found)


def _misfit(opened: Opened, plan: Plan, found: SchemaVersion) -> str:
    """Why the older release cannot work with that schema; "" where it can, or does not say."""
    rule = opened.service.schema
    if rule is None:
        return ""
    seen = SchemaSeen(str(found.number), "the Job that read it")
    told = gate(needed_schema(plan.template, rule.needs), seen)
    return told.why if told.fits is False else ""


def _not_read_by_target(
    opened: Opened, plan: Plan, found: SchemaVersion, why: str
) -> NotRecoveredError:
    what = f"The schema is at {found} now, and revision {plan.to_revision} cannot read it: {why}."
    back = _all_back_in_words(opened, plan, Step.MIGRATE)
    return NotRecoveredError(
        f"{what} {back}", next_step="Take another number of migrations back, in a new plan."
    )


def _run_down(opened: Opened, plan: Plan, steps: int) -> JobEnd:
    """The Job; where it surely was not made, the replicas come back at once."""
    command = filled(rule_of(opened).down, steps=steps, version=None)
    try:
        return run_job(opened, Step.MIGRATE, DOWN, command, plan.from_template)
    except VezaError as error:
        if saga_of(opened).moved is not None:
            raise
        back = _back_in_words(opened, plan, Step.MIGRATE)
        raise NotRecoveredError(
            f"The migration was not begun: {error.what} {back}", next_step=error.next_step
        ) from error


def _led_somewhere(opened: Opened, plan: Plan) -> bool:
    """Look where an earlier way down has led, before there is another: it counts from there.

    A Job that is there still is left to `run_job`, which takes it up again.
    """
    saga = saga_of(opened)
    tries = saga.jobs(DOWN)
    if not tries:
        return False
    last = tries[-1]
    if last.effect is Effect.UNKNOWN and is_there(opened, order_of(opened, DOWN)):
        return False
    found = read_schema(opened, Step.MIGRATE, plan.from_template)
    if found.number == saga.before and not found.dirty:
        if last.effect is not Effect.NONE:
            _note_end(opened, Effect.NONE, why="the schema did not move")
        return False
    if found.dirty or last.effect is Effect.NONE:
        raise RefusedError(
            f"An earlier way down has left the schema at {found}; it began at version "
            f"{saga.before}.",
            next_step=f"Bring it to version {saga.before} by hand, clean, then run this cell "
            "again.",
        )
    if why := _misfit(opened, plan, found):
        _note_end(opened, Effect.DONE)
        raise _not_read_by_target(opened, plan, found, why)
    _note_end(opened, Effect.DONE, to_version=found.number)
    return True


def _note_end(opened: Opened, effect: Effect, **more: object) -> None:
    """What the newest way down did to the schema, as part of that deed."""
    intent = saga_of(opened).jobs(DOWN)[-1].intent
    event = JournalEvent.DONE if effect is Effect.DONE else JournalEvent.FAILED
    data = {"deed": JOB, "intent": intent, "effect": effect, **more}
    opened.logbook.journal.append(Step.MIGRATE, event, data)


def _after_failure(
    opened: Opened, plan: Plan, end: JobEnd, found: SchemaVersion | None
) -> VezaError:
    """Do the safe thing after a way down that failed, and say what is true now."""
    before = saga_of(opened).before
    what = "ended, and the schema did not move" if end.succeeded else f"failed: {end.why}"
    why = f"The migration {what}. {last_words(end.log)}".rstrip()
    if found is not None and not found.dirty:
        if found.number == before:
            back = _back_in_words(opened, plan, Step.MIGRATE)
            return NotRecoveredError(
                f"{why} The schema is still at {found}. {back}", next_step=_NO_WAY
            )
        if _schema_back(opened, plan, Step.MIGRATE):
            back = _back_in_words(opened, plan, Step.MIGRATE)
            return NotRecoveredError(
                f"{why} The schema had come to {found}; it was brought back to version {before}. "
                f"{back}",
                next_step=_NO_WAY,
            )
    if found is None and end.succeeded:
        return NotRecoveredError(
            "The migration ended well, but the schema's version cannot be read: the undo waits, "
            "and the service stays at 0.",
            next_step="Find out why (see the Job's log in evidence/), then run this cell again.",
        )
    state = "cannot be read" if found is None else f"is at {found}"
    back = command_back(opened.cluster.namespace, plan.workload, saga_of(opened).replicas)
    return NotRecoveredError(
        f"{why} The schema {state}: neither release is known to work with it, so the service "
        "stays at 0.",
        next_step=f"Mend the schema by hand, then bring the service back with `{back}`.",
    )


def _schema_back(opened: Opened, plan: Plan, step: Step) -> bool:
    """Bring the schema to where it was before; True where it was seen there."""
    before = saga_of(opened).before
    command = filled(rule_of(opened).goto, steps=0, version=before)
    try:
        end = run_job(opened, step, UP, command, plan.from_template)
        found = read_schema(opened, step, plan.from_template)
    except VezaError:
        return False
    return bool(end.succeeded) and not found.dirty and found.number == before


def bring_back(opened: Opened, plan: Plan, step: Step) -> Deployment:
    """Bring the replicas back to what they were, or leave them where a person has put them.

    Sent again it can do no harm: each patch holds for one generation only.

    Raises:
        NotRecoveredError: it was refused, or it cannot be told; says the command.
    """
    cluster, saga = opened.cluster, saga_of(opened)
    before = saga.replicas or plan.replicas
    for left in reversed(range(TRIES)):
        try:
            live = cluster.deployment(plan.workload)
            up = Scaling(SCALE_UP, step, live.spec.replicas or before, before, plan.incident)
            return scale(cluster, plan.workload, up, opened.logbook.journal, live=live)
        except (UnreachableError, ServerError) as error:
            if not left:
                raise _not_back(opened, plan, before, error) from error
        except VezaError as error:
            raise _not_back(opened, plan, before, error) from error
    raise AssertionError


def _not_back(opened: Opened, plan: Plan, before: int, error: VezaError) -> NotRecoveredError:
    command = command_back(opened.cluster.namespace, plan.workload, before)
    return NotRecoveredError(
        f"The replicas could not be brought back: {error.what}",
        next_step=f"Bring them back with `{command}`. {error.next_step}".rstrip(),
    )


def _all_back_in_words(opened: Opened, plan: Plan, step: Step) -> str:
    """Bring the schema back, then the replicas; what became of that, in words."""
    if not _schema_back(opened, plan, step):
        return "The schema could NOT be brought back, so the service stays at 0."
    return _back_in_words(opened, plan, step)


def _back_in_words(opened: Opened, plan: Plan, step: Step) -> str:
    """Bring the replicas back after a failure; what became of that, in words."""
    try:
        bring_back(opened, plan, step)
    except VezaError as error:
        return f"{error.what} {error.next_step}"
    return "The replicas were brought back: everything is as before the way back was begun."


def or_take_back(opened: Opened, plan: Plan, undo: Callable[[], object]) -> None:
    """Send the undo; where the cluster refused it, bring schema and replicas back.

    Raises:
        VezaError: as `undo` raised it, with what was done about it.
    """
    known = len(opened.logbook.attempts)
    try:
        undo()
    except VezaError as error:
        sent = opened.logbook.attempts[known:]
        unsure = any(one.effect is not Effect.NONE for one in sent)
        if unsure or not _is_refusal(error):
            raise  # it may be in effect, or may go on as it is: the older schema is needed then
        back = _all_back_in_words(opened, plan, Step.RESTORE)
        raise NotRecoveredError(
            f"The undo was refused: {error.what} {back}", next_step=error.next_step
        ) from error


def _is_refusal(error: VezaError) -> bool:
    """Whether the cluster said no, rather than this run being stopped (a lock that is lost)."""
    return isinstance(error, RefusedError) and type(error) is not RefusedError
