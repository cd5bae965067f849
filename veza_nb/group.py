"""Several services in one incident: the facade that the notebook `20-multi-service` holds.

Every service has an incident and a record of its own, so that each can be looked at, resumed and
closed alone. This one holds them together: all plans, guards, approvals and locks first, and only
then the first change; then each in its turn, and one account of it all.
"""

import getpass
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event

from veza_nb.choices import fixed_moment
from veza_nb.errors import ApprovalPendingError, InterruptedRunError, RefusedError, VezaError
from veza_nb.groupacting import hold_all, put_back_changed, take_turns
from veza_nb.groupapproving import refuse_unapproved_group, take_group_approval
from veza_nb.groupopening import OpenedGroup, open_group
from veza_nb.groupplans import GroupPlan, make_group_plan, outcome_of_all
from veza_nb.groupshowing import (
    TurnsBoard,
    show_closing,
    show_detections,
    show_opening,
    show_plans,
    show_together,
    show_verifications,
)
from veza_nb.grouptargets import Target, chosen_targets, digests_of
from veza_nb.pacing import Pace, read_pace
from veza_nb.parts import Part, all_do
from veza_nb.stepping import run_first
from veza_nb.together import Together, last_good_together
from veza_nb.vocabulary import Decision, JournalEvent, Outcome, Step


class GroupIncident:
    """One incident over several services.

    Attributes:
        id: the incident's id; each service's own is this one with the service's name behind it.
        opened: what it works with.
    """

    def __init__(self, opened: OpenedGroup) -> None:
        self.id = opened.logbook.record.incident_id
        self.opened = opened
        self._stop = Event()
        self._plan: GroupPlan | None = None
        self._together: Together | None = None
        self._force_lock = self._break_glass = ""

    @classmethod
    def open(
        cls,
        services: str = "",
        *,
        group: str = "",
        at_once: str = "",
        failures: int = 1,
        on_failure: str = "stop",
        namespace: str = "",
        context: str = "",
        kubeconfig: str = "",
        catalog: str = "",
        incident_id: str = "",
        reason: str = "",
        operator: str = "",
        records: str = "",
        timeout: float = 10.0,
    ) -> "GroupIncident":
        """Begin an incident over several services, or continue one.

        Args:
            services: names in the catalogue with commas between them.
            group: or a group of the catalogue.
            at_once: services under way at the same time: a number or a share ("25%"); "" for all.
            failures: failed services after which no further one is begun.
            on_failure: "stop", "continue" or "put back": what happens to the others then.
            namespace: "" takes the catalogue's; the rest is as `Incident.open` takes it.
            context: of the kubeconfig.
            kubeconfig: path.
            catalog: path of the services file.
            incident_id: "" makes a new one; one that exists is continued.
            reason: why.
            operator: who; "" takes the login name.
            records: folder of the records.
            timeout: seconds for one request to the API server.

        Raises:
            UsageError: an argument is wrong.
            RefusedError: the cluster does not let this user in.
            UnreachableError: the cluster does not answer.
        """

        def pace(number: int) -> Pace:
            return read_pace(
                at_once=at_once, failures=failures, on_failure=on_failure, services=number
            )

        opened = open_group(
            services,
            group=group,
            pace=pace,
            incident_id=incident_id,
            operator=operator or getpass.getuser(),
            records=records,
            catalog=catalog,
            reason=reason,
            namespace=namespace,
            context=context,
            kubeconfig=kubeconfig,
            timeout=timeout,
        )
        incident = cls(opened)
        with incident._during(Step.OPEN):
            incident._done(Step.OPEN, {"services": list(opened.parts), "pace": opened.pace.words})
            show_opening(opened)
        return incident

    def detect(self) -> None:
        """Look at all services side by side; show what each needs."""
        with self._during(Step.DETECT):
            self._all("detect", lambda part: part.incident.detect())
            show_detections(self.opened)
            decisions = {one.name: _decision(one) for one in self._parts}
            self._done(Step.DETECT, {"decisions": decisions})

    def history(self) -> None:
        """Show what ran when, and the newest set of revisions that worked together."""
        with self._during(Step.HISTORY):
            self._need_detections("history")
            self._all("history", lambda part: part.incident.history())
            self._together = self._last_good()
            show_together(self.opened, self._together)
            self._done(Step.HISTORY, {"together": _numbers(self._together)})

    def plan(
        self,
        *,
        as_of: str = "",
        to_revisions: str = "",
        break_glass: str = "",
        force_lock: str = "",
    ) -> GroupPlan:
        """Make all plans, let the server check them, and show them; nothing is changed.

        Where nothing is named, the newest set that worked together is taken.

        Args:
            as_of: what every service ran then: a time, or `2h` for ago.
            to_revisions: "service=number, service=number"; services left out stay as they are.
            break_glass: why something is to be changed during a change freeze.
            force_lock: why locks are to be taken from whoever holds them.

        Raises:
            RefusedError: a service has no plan, or there is no set to go back to.
            UsageError: an argument is wrong.
        """
        with self._during(Step.PLAN):
            self._need_detections("plan")
            self._plan = None
            self._force_lock, self._break_glass = force_lock, break_glass
            moment = fixed_moment(as_of, self._parts[0].incident.cluster.now())
            self.opened.logbook.asked(as_of=moment, to_revisions=to_revisions)
            targets = chosen_targets(self.opened, moment, to_revisions, self._last_good)
            self._make(targets)
            show_plans(self.opened)
            self._refuse_missing()
            plans = {one.name: one.plan for one in self._parts if one.plan is not None}
            made = make_group_plan(self.opened.name, plans, self.opened.after, self.opened.pace)
            self._plan = made
            said = {"plan": made.id, "plans": {n: p.id for n, p in plans.items()}}
            asked = [moment.strip(), to_revisions.strip()]
            self._done(Step.PLAN, {**said, "asked": asked, "targets": digests_of(plans)})
            return made

    def approve(self, plan: GroupPlan, *, confirm: str = "") -> None:
        """Take one approval for all plans.

        Args:
            plan: from `plan()`.
            confirm: the group's name, all services' names with commas between them, or
                "<plan id>:<approver>". Empty, with a person there, shows a box to type it into.

        Raises:
            RefusedError: a guard blocks a plan, or it is not approved.
        """
        with self._during(Step.APPROVE):
            self._refuse_stale(plan)
            take_group_approval(self.opened, plan, confirm)

    def undo(self, plan: GroupPlan) -> None:
        """Undo each service in its turn; follow them all in one view.

        Args:
            plan: from `plan()`, approved.

        Raises:
            RefusedError: not approved, or a lock was not to be had; nothing was changed.
        """
        with self._during(Step.UNDO):
            self._refuse_stale(plan)
            refuse_unapproved_group(self.opened, plan)
            hold_all(self.opened, plan, self._stop)
            board = TurnsBoard(self.opened)
            turns = take_turns(self.opened, plan, self._stop, board)
            who, why = self._approver(), self._break_glass
            left = put_back_changed(self.opened, who, turns, self._stop, why)
            board.end(turns, left)
            self.opened.write(outcome=Outcome.OPEN, exit_code=None)

    def verify(self, *, users_ok: str = "") -> None:
        """Check side by side that each service whose turn came is back and stays back.

        Args:
            users_ok: whether users can access the platform: "yes", "no" or "don't know"; ""
                says nothing.

        Raises:
            UsageError: `users_ok` is no answer.
        """
        with self._during(Step.VERIFY):
            if self._plan is None:
                raise run_first("plan")
            begun = [part for part in self._parts if part.begun and not part.tried_back]
            all_do(
                begun,
                "verify",
                lambda part: part.incident.verify(users_ok=users_ok),
                stop=self._stop,
            )
            show_verifications(self.opened, begun)
            self._done(Step.VERIFY, {one.name: one.outcome for one in begun})

    def close(self) -> None:
        """Finish all records, show what is left to do, and give the locks back.

        Raises:
            PartialError: some services are back, some are not.
            NotRecoveredError: acted, and no service is back.
            InconclusiveError: acted, and it cannot be told.
        """
        with self._during(Step.CLOSE):
            self._all("close", lambda part: part.incident.close())
            outcome = outcome_of_all(map(_end_of, self._parts), changed=self.opened.logbook.changed)
            self.opened.logbook.journal.append(Step.CLOSE, JournalEvent.DONE, {"outcome": outcome})
            wrong = show_closing(self.opened, outcome)
        self.opened.logbook.let_go()
        if wrong is not None:
            raise wrong

    @property
    def _parts(self) -> tuple[Part, ...]:
        return tuple(self.opened.parts.values())

    def _all(self, step: str, action: Callable[[Part], object]) -> None:
        all_do(self._parts, step, action, stop=self._stop)

    def _done(self, step: Step, data: dict[str, object]) -> None:
        self.opened.logbook.journal.append(step, JournalEvent.DONE, data)
        self.opened.write(outcome=Outcome.OPEN, exit_code=None)

    def _last_good(self) -> Together:
        histories = {one.name: one.incident.seen.history for one in self._parts}
        bad = [one.name for one in self._parts if _decision(one) == Decision.ROLL_BACK]
        now = self._parts[0].incident.cluster.now()
        return last_good_together(histories, bad, now=now)

    def _make(self, targets: Mapping[str, Target]) -> None:
        def make(part: Part) -> None:
            part.plan = None
            target = targets[part.name]
            if target.refused:
                raise RefusedError(target.refused, next_step=target.next_step)
            part.plan = part.incident.plan(
                to_revision=target.number,
                break_glass=self._break_glass,
                force_lock=self._force_lock,
            )

        self._all("plan", make)

    def _refuse_missing(self) -> None:
        missing = [(one.name, one.error) for one in self._parts if one.error is not None]
        if missing:
            what = " ".join(f"{name}: {error.what}" for name, error in missing)
            raise RefusedError(
                f"Not every service has a plan. {what}", next_step=missing[0][1].next_step
            )

    def _refuse_stale(self, plan: GroupPlan) -> None:
        if plan is not self._plan:
            raise RefusedError(
                "This is not the newest plan.", next_step="Run the cell 'plan' again, then go on."
            )

    def _approver(self) -> str:
        line = self.opened.logbook.journal.last(Step.APPROVE, JournalEvent.APPROVAL)
        return str(line.data["approver"]) if line else self.opened.operator

    def _need_detections(self, cell: str) -> None:
        failed = [part for part in self._parts if part.incident.detection is None]
        if failed and all(part.error is None for part in failed):
            raise run_first("detect")
        for part in failed:
            if part.error is not None:
                raise RefusedError(
                    f"{part.name} could not be looked at: {part.error.what}",
                    next_step=f"{part.error.next_step} Then run 'detect' and {cell!r} again, "
                    "or leave that service out.",
                ) from part.error

    @contextmanager
    def _during(self, step: Step) -> Iterator[None]:
        """Write down whatever ends a step; give all locks back; let it through."""
        self.opened.logbook.hold()
        self._stop.clear()
        try:
            yield
        except ApprovalPendingError:
            raise
        except VezaError as error:
            self._let_go()
            self.opened.logbook.failed(step, error)
            self.opened.write()
            raise
        except KeyboardInterrupt as error:
            self._stop.set()
            self._let_go()
            stopped = InterruptedRunError(
                f"Stopped during {step}.",
                state=self.opened.logbook.state,
                next_step=f"Run this cell again, or continue incident {self.id}: "
                "it never repeats a change.",
            )
            self.opened.logbook.failed(step, stopped)
            self.opened.write()
            raise stopped from error

    def _let_go(self) -> None:
        for part in self._parts:
            part.incident.opened.lock.release()


def _decision(part: Part) -> str:
    seen = part.incident.detection
    return str(seen.diagnosis.decision) if seen else "not seen"


def _numbers(found: Together) -> dict[str, int]:
    return (
        {name: one.number for name, one in found.chosen.revisions.items()} if found.chosen else {}
    )


def _end_of(part: Part) -> Outcome:
    return Outcome.NOT_RECOVERED if part.put_back else part.outcome
