"""A service and its database go back together: the facade that the notebook `30-database` holds."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from veza_nb import display, render
from veza_nb.acting import follow_rollout, send_undo, take_lock
from veza_nb.approving import refuse_blocked, refuse_unapproved
from veza_nb.catalog import Migration
from veza_nb.errors import RefusedError, UsageError
from veza_nb.findings import Diagnosis
from veza_nb.incident import Incident
from veza_nb.logbook import identity_of
from veza_nb.migrating import bring_back, drain, is_drained, migrate_down, or_take_back
from veza_nb.migrationjobs import would_be_taken
from veza_nb.migrationruns import rule_of, saga_of
from veza_nb.objects import Deployment
from veza_nb.pausing import paused
from veza_nb.plans import Plan, in_effect
from veza_nb.stepping import during
from veza_nb.typed import convert
from veza_nb.undo import UndoKind, UndoResult
from veza_nb.vocabulary import JournalEvent, Step, WorkloadKind


class DatabaseIncident(Incident):
    """One incident on one service whose database goes back with it."""

    _backup = ""

    def detect(self) -> None:
        """Look at the service; once it is drained, what was seen before counts."""
        super().detect()
        known = self.logbook.record.diagnosis
        if saga_of(self.opened).drained is not None and known is not None and self._detection:
            before = convert(known, Diagnosis)
            self._detection = replace(self._detection, diagnosis=before)
            said = "The service is drained by this incident: what was found before still counts."
            display.show(render.message(said))

    def plan(self, *, migrate_down: int = 1, backup: str = "", **choice: Any) -> Plan:
        """Make the plan for service and database, and show it; nothing is changed.

        Args:
            migrate_down: migrations to take back, 1 or more.
            backup: which backup of the database there is, or why none is needed; may be empty
                where the catalogue has a command that takes one.
            choice: as `Incident.plan` takes it.

        Raises:
            RefusedError: there is nothing to go back to.
            UsageError: an argument is wrong, or the catalogue does not say how.
        """
        self._migrate_down, self._backup = migrate_down, backup
        with during(self.opened, Step.PLAN):
            self.logbook.asked(migrate_down=migrate_down, backup=backup)
            rule = rule_of(self.opened)
            if migrate_down < 1 or self.service.kind is not WorkloadKind.DEPLOYMENT:
                raise UsageError(
                    "A way back of the database needs a Deployment and 1 migration at least.",
                    next_step="Without a migration use 10-rollback.",
                )
            self._refuse_labels(rule)
            if not (rule.backup or backup.strip()):
                display.show(
                    render.message("Say with `backup` which backup of the database there is.")
                )
        made = super().plan(**choice)
        self._carry_over(made)
        return made

    def drain(self, plan: Plan) -> None:
        """Read the schema, make sure of a backup, scale to 0, wait until no pod is left.

        Args:
            plan: from `plan()`, approved.

        Raises:
            RefusedError: not approved, blocked, locked, or the database is not fit.
        """
        with during(self.opened, Step.DRAIN):
            self._begin(plan)
            with self._held_still(plan):
                live = drain(self.opened, plan, steps=plan.migrate_down, backup=self._backup)
            self._follow_own_change(plan, live)
            self.logbook.update(exit_code=None)

    def migrate(self, plan: Plan) -> None:
        """Take the database back, and check where it is then.

        Args:
            plan: from `plan()`, approved; the service is drained.

        Raises:
            RefusedError: not approved, or not drained.
            NotRecoveredError: the migration failed; says what was done about it.
        """
        with during(self.opened, Step.MIGRATE):
            self._begin(plan)
            with self._held_still(plan):
                migrate_down(self.opened, plan, steps=plan.migrate_down)
            self.logbook.update(exit_code=None)

    def undo(self, plan: Plan) -> None:
        """Send the undo while the service is at 0; where it is refused, bring all back.

        Args:
            plan: from `plan()`, approved; the database is back.

        Raises:
            RefusedError: the database was not taken back.
            NotRecoveredError: the undo was refused; schema and replicas were brought back.
        """
        with during(self.opened, Step.UNDO):
            self._begin(plan)
            self._verification = None
            if saga_of(self.opened).migrated is None:
                raise RefusedError(
                    "The database was not taken back: the older release could not read it.",
                    next_step="Run the cell 'migrate' first.",
                )
            current, force = self._current(plan), self._reasons.force_lock
            with self._held_still(plan):
                or_take_back(
                    self.opened,
                    plan,
                    lambda: send_undo(
                        self.opened, current, force_lock=force, may_resume=self._is_back
                    ),
                )

    def restore(self, plan: Plan) -> None:
        """Bring the replicas back, and follow the rollout.

        Args:
            plan: from `plan()`; its undo was sent.

        Raises:
            RefusedError: the undo was not sent.
            NotRecoveredError: the replicas could not be brought back.
        """
        with during(self.opened, Step.RESTORE):
            self._begin(plan)
            live = self.cluster.deployment(plan.workload)
            if not in_effect(live, plan):
                raise RefusedError(
                    "The undo was not sent: the newer release would come back.",
                    next_step="Run the cell 'undo' first.",
                )
            if not self._is_back() or is_drained(self.opened, live):
                live = bring_back(self.opened, plan, Step.RESTORE)
            sent = UndoResult(UndoKind.FOUND_DONE, live.metadata.generation)
            follow_rollout(self.opened, plan, sent)

    def _held_still(self, plan: Plan) -> AbstractContextManager[None]:
        """What would scale it up again by itself is paused for as long as it stands at 0."""
        journal = self.logbook.journal
        return paused(self.cluster, plan, journal, may_resume=self._is_back)

    def _is_back(self) -> bool:
        """Whether the replicas are where they were."""
        return saga_of(self.opened).drained is None

    def _refuse_labels(self, rule: Migration) -> None:
        """A Job's pod is none of the service's: users would be sent to it, and drain wait for it.

        Raises:
            UsageError: by its labels it would pass for one.
        """
        live = self.cluster.deployment(self.service.workload)
        if would_be_taken(rule.labels, live.spec.selector.match_labels):
            raise UsageError(
                "With the catalogue's `migration.labels` a Job's pod would pass for one of the "
                "service's own.",
                next_step="Leave out those that the Deployment selects its pods by.",
            )

    def _begin(self, plan: Plan) -> None:
        """What every step that changes something asks for first."""
        self._refuse_stale(plan)
        if plan.noop and saga_of(self.opened).moved is None:
            # Nobody approves a plan that changes nothing: its yes covers no database.
            raise RefusedError(
                "The target is live already: there is no release to take the database back for.",
                next_step="Name another revision, or go on with the incident that sent the undo.",
            )
        if not plan.noop:
            refuse_blocked(plan)
            refuse_unapproved(self.opened, self._current(plan))
        take_lock(self.opened, self._reasons.force_lock)

    def _current(self, plan: Plan) -> Plan:
        """The plan at the generation that this run's own scaling made."""
        made = saga_of(self.opened).generation
        if made is None or plan.generation >= made:
            return plan
        return _at_generation(plan, made)

    def _follow_own_change(self, plan: Plan, live: Deployment) -> None:
        """The approval holds for what this run's own scaling made of the Deployment."""
        if live.metadata.generation != plan.generation:
            self._approve_again(_at_generation(plan, live.metadata.generation))

    def _carry_over(self, plan: Plan) -> None:
        """After a crash: an approval still holds where only this incident's scaling came since."""
        line = self.logbook.journal.last(Step.APPROVE, JournalEvent.APPROVAL)
        drained = saga_of(self.opened).drained
        if line is None or drained is None or self.logbook.approves(plan):
            return
        bound = {k: v for k, v in identity_of(plan).items() if k != "generation"}
        same = bound.items() <= line.data.items()
        if same and saga_of(self.opened).generation == plan.generation:
            self._approve_again(plan)

    def _approve_again(self, plan: Plan) -> None:
        line = self.logbook.journal.last(Step.APPROVE, JournalEvent.APPROVAL)
        approver = line.data.get("approver", "") if line else ""
        said = {
            "plan": plan.id,
            "approver": approver,
            "method": "the same approval; only this run's own scaling came between",
        }
        data = {**said, **identity_of(plan)}
        self.logbook.journal.append(Step.APPROVE, JournalEvent.APPROVAL, data)


def _at_generation(plan: Plan, generation: int) -> Plan:
    """The same plan for the same Deployment, whose generation this run's own scaling raised."""
    patch = tuple(
        {**one, "value": generation} if one["path"] == "/metadata/generation" else one
        for one in plan.patch
    )
    return replace(plan, generation=generation, patch=patch)
