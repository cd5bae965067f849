"""The facade a notebook holds: one method per cell, each safe to run again.

A step reads its arguments, calls the room that does the work, writes journal and record, and
shows the result. What a later step needs it asks of the earlier one; run out of order, it
says which cell comes first.
"""

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from veza_nb import __version__, display, render
from veza_nb.accounts import Cluster as Where
from veza_nb.approvals import Approval, how_to_approve, read_confirmation
from veza_nb.attempts import newest
from veza_nb.catalog import Catalog, Service, usual_catalog
from veza_nb.checks import Baseline, Verification
from veza_nb.choices import Choice, read_choice
from veza_nb.cluster import Cluster
from veza_nb.detect import Detection, detect_settled
from veza_nb.errors import (
    ApprovalPendingError,
    InterruptedRunError,
    RefusedError,
    UsageError,
    VezaError,
)
from veza_nb.history import history
from veza_nb.locks import Lock
from veza_nb.logbook import Logbook, identity_of
from veza_nb.orders import Order
from veza_nb.outcomes import complaint, left_to_do, outcome_of
from veza_nb.plans import Plan, Refusal, in_effect
from veza_nb.preflight import Preflight, preflight
from veza_nb.prepare import prepare
from veza_nb.records import Record, new_incident_id
from veza_nb.remember import remarks, remember
from veza_nb.report import postmortem
from veza_nb.rollout import RolloutState
from veza_nb.typed import convert
from veza_nb.undo import UndoKind, UndoResult, follow, send
from veza_nb.verify import verify
from veza_nb.vocabulary import JournalEvent, Outcome, Step, Verdict


class Incident:
    """One incident on one service.

    Attributes:
        id: the incident's id, also the name of its folder.
        service_name: name in the catalogue.
        service: what the catalogue says of it.
        cluster: where it is.
        logbook: journal and record.
    """

    def __init__(
        self,
        *,
        service_name: str,
        service: Service,
        catalog: Catalog,
        cluster: Cluster,
        logbook: Logbook,
        operator: str,
    ) -> None:
        self.id = logbook.record.incident_id
        self.service_name = service_name
        self.service = service
        self.cluster = cluster
        self.logbook = logbook
        self._catalog = catalog
        self._settings = catalog.verify
        self._operator = operator
        self._preflight: Preflight | None = None
        self._detection: Detection | None = None
        self._plan: Plan | None = None
        self._verification: Verification | None = None
        self._force_lock = ""
        self._lock = Lock(
            cluster,
            service.workload,
            holder=f"{operator}@{socket.gethostname()}",
            incident=self.id,
            reason=logbook.record.reason,
        )

    @classmethod
    def open(
        cls,
        service: str,
        *,
        namespace: str = "",
        context: str = "",
        kubeconfig: str = "",
        catalog: str = "",
        incident_id: str = "",
        reason: str = "",
        operator: str = "",
        records: str = "",
        timeout: float = 10.0,
    ) -> "Incident":
        """Begin an incident, or continue one.

        Args:
            service: name in the catalogue.
            namespace: "" takes the catalogue's.
            context: of the kubeconfig; "" takes the current one.
            kubeconfig: path; "" takes the usual places.
            catalog: path of the services file; "" takes $VEZA_CATALOG, then the built-in one.
            incident_id: "" makes a new one; one that exists is continued.
            reason: why, for the change cause and the record.
            operator: who; "" takes the login name.
            records: folder of the records; "" takes $VEZA_RECORDS, then "records".
            timeout: seconds for one request to the API server.

        Raises:
            UsageError: an argument is wrong.
            RefusedError: the cluster does not let this user in.
            UnreachableError: the cluster does not answer.
        """
        book = usual_catalog(catalog)
        chosen = book.service(service, namespace=namespace)
        cluster = Cluster.connect(
            kubeconfig=kubeconfig, context=context, namespace=chosen.namespace, timeout=timeout
        )
        who = operator or getpass.getuser()
        first = Record(
            incident_id=incident_id or new_incident_id(service, cluster.clock.now()),
            service=service,
            title=f"Rollback of {service}",
            namespace=chosen.namespace,
            workload=chosen.workload,
            operator=who,
            reason=reason,
            started_at=cluster.clock.now(),
            cluster=Where(context=cluster.context, server=cluster.server),
        )
        root = Path(records or os.environ.get("VEZA_RECORDS", "") or "records").expanduser()
        incident = cls(
            service_name=service,
            service=chosen,
            catalog=book,
            cluster=cluster,
            logbook=Logbook.open(root, first, clock=cluster.clock),
            operator=who,
        )
        incident._open()
        return incident

    def detect(self) -> None:
        """Look at the service; show findings and the decision."""
        with self._during(Step.DETECT):
            view = display.LiveView()
            seen = detect_settled(
                self.cluster,
                self.service,
                settings=self._settings,
                monitoring=self._catalog.monitoring,
                hints=self._catalog.hints,
                show=lambda one: view.show(render.diagnosis(one.diagnosis, now=one.at)),
            )
            self._detection = seen
            facts = {"detected_at": seen.at, "diagnosis": seen.diagnosis, "baseline": seen.baseline}
            if self._first:
                self.logbook.folder.write_evidence("workload-before.json", seen.workload)
            self.logbook.done(
                Step.DETECT,
                {"decision": seen.diagnosis.decision},
                **(facts if self._first else {}),
            )

    def history(self) -> None:
        """Show the revisions, and which one is recommended."""
        with self._during(Step.HISTORY):
            found = history(self.cluster, self.service)
            number = found.recommended.number if found.recommended else None
            facts = {"history": found} if self._first else {}
            self.logbook.done(Step.HISTORY, {"recommended": number}, **facts)
            display.show(render.history(found, now=self.cluster.clock.now()))

    def plan(
        self,
        *,
        to_revision: int = 0,
        as_of: str = "",
        image: str = "",
        break_glass: str = "",
        force_lock: str = "",
    ) -> Plan:
        """Make the plan, let the server check it, and show it; nothing is changed.

        Where neither revision, time nor image is named, the recommended revision is taken.

        Args:
            to_revision: go back to this number.
            as_of: go back to what was in service then: a time, or `2h` for ago.
            image: go back to the newest revision with this image or tag.
            break_glass: why something is to be changed during a change freeze.
            force_lock: why the lock is to be taken from whoever holds it.

        Raises:
            RefusedError: there is nothing to go back to.
            UsageError: an argument is wrong.
        """
        with self._during(Step.PLAN):
            self._plan = self._verification = None
            now = self.cluster.clock.now()
            choice = read_choice(to_revision=to_revision, as_of=as_of, image=image, now=now)
            self._force_lock = force_lock.strip()
            made = self._prepare(choice, break_glass)
            if isinstance(made, Refusal):
                self.logbook.update(refusal=made)
                display.show(render.refusal(made))
                raise RefusedError(made.what, next_step=made.next_step)
            self._plan = made
            # What was sent stays in the record; a no-op after it tells nothing new.
            facts = {} if made.noop and not self._first else {"plan": made, "refusal": None}
            self.logbook.done(Step.PLAN, {"plan": made.id, "to": made.to_revision}, **facts)
            display.show(render.plan(made))
            return made

    def approve(self, plan: Plan, *, confirm: str = "") -> None:
        """Take the approval of this plan.

        Args:
            plan: from `plan()`.
            confirm: the service's name, or "<plan id>:<approver>". Empty, with a person
                there, shows a box to type it into.

        Raises:
            RefusedError: a guard blocks the plan, or it is not approved.
        """
        with self._during(Step.APPROVE):
            self._refuse_stale(plan)
            if plan.noop:
                display.show(render.message("Nothing to approve: the target is already live."))
                return
            _refuse_blocked(plan)
            if self.logbook.approves(plan):
                display.show(render.message("This plan is already approved."))
                return
            if not confirm and display.person_present():
                self._ask(plan)
            display.show(render.message(self._take(plan, confirm)))

    def undo(self, plan: Plan) -> None:
        """Send the undo if it is still needed, and follow the rollout.

        Args:
            plan: from `plan()`, approved.

        Raises:
            RefusedError: not approved, blocked, locked by somebody else, or changed since.
        """
        with self._during(Step.UNDO):
            self._refuse_stale(plan)
            self._verification = None
            if not plan.noop:
                _refuse_blocked(plan)
                if not self.logbook.approves(plan):
                    raise RefusedError("This plan is not approved.", next_step=how_to_approve(plan))
                self._take_lock()
            result = send(self.cluster, plan, self.logbook.journal)
            mutated_at = self._mutated_at(result)
            self.logbook.update(outcome=Outcome.OPEN, exit_code=None, mutated_at=mutated_at)
            state = self._follow(plan, result)
            self.logbook.update(undo={"result": result, "rollout": state})

    def verify(self) -> None:
        """Check that the service is back and stays back; show the checklist."""
        with self._during(Step.VERIFY):
            plan = self._need_plan()
            view = display.LiveView()
            verification = verify(
                self.cluster,
                self.service,
                plan,
                self._baseline(),
                settings=self._settings,
                monitoring=self._catalog.monitoring,
                show=lambda left, probes: view.show(render.soak(left, probes)),
            )
            self._verification = verification
            now = self.cluster.clock.now()
            recovered = verification.verdict is Verdict.PASS
            self.logbook.done(
                Step.VERIFY,
                {"verdict": verification.verdict},
                verification=verification,
                recovered_at=(self.logbook.record.recovered_at or now) if recovered else None,
            )
            view.show(render.verification(verification))

    def close(self) -> None:
        """Finish the record, show what is left to do, and give the lock back.

        Raises:
            NotRecoveredError: acted, and the service is not back.
            InconclusiveError: acted, and it cannot be told.
        """
        with self._during(Step.CLOSE):
            try:
                outcome = self._finish()
            finally:
                self._lock.release()
        wrong = complaint(outcome, self.service_name, self.logbook.state)
        if wrong is not None:
            raise wrong

    def _finish(self) -> Outcome:
        logbook = self.logbook
        verdict = self._verification.verdict if self._verification else None
        still_live = verdict is not Verdict.PASS or self._still_live()
        outcome = outcome_of(verdict, changed=logbook.changed, still_live=still_live)
        logbook.journal.append(Step.CLOSE, JournalEvent.DONE, {"outcome": outcome})
        todo = left_to_do(self._plan, changed=logbook.changed)
        if outcome is Outcome.RECOVERED and logbook.changed:
            marks = remarks(logbook.record, self.cluster.clock.now())
            todo += remember(self.cluster, logbook.journal, marks)
        logbook.close(outcome, self.cluster.clock.now(), left_to_do=todo)
        logbook.folder.write_text(
            "postmortem.md", postmortem(logbook.record, logbook.journal.lines)
        )
        logbook.folder.seal()
        display.show(render.closing(logbook.record, str(logbook.folder.path)))
        return outcome

    def _open(self) -> None:
        with self._during(Step.OPEN):
            self._preflight = preflight(self.cluster, self.service)
            seen = self._preflight
            if self.logbook.resumed:
                self.logbook.begin(Step.OPEN, resumed=True)
            self.logbook.done(
                Step.OPEN,
                {"user": seen.user, "version": seen.version, "kit": __version__},
                cluster=Where(
                    context=self.cluster.context, server=self.cluster.server, version=seen.version
                ),
                preflight=seen.lines,
            )
            display.show(render.opening(self.logbook.record, seen, resumed=self.logbook.resumed))

    def _prepare(self, choice: Choice, break_glass: str) -> Plan | Refusal:
        seen = self._need_detection()
        if self._preflight is not None and self._preflight.denied:
            # Rights may have been granted since; without this a person had to begin again.
            self._preflight = preflight(self.cluster, self.service)
        return prepare(
            self.cluster,
            self.service,
            seen.diagnosis,
            Order(
                service=self.service_name,
                incident=self.id,
                operator=self._operator,
                reason=self.logbook.record.reason,
                choice=choice,
                freeze=self._catalog.frozen(self.cluster.clock.now()),
                break_glass=break_glass,
                force_lock=self._force_lock,
            ),
            lock=self._lock,
            earlier=None if choice.named else newest(self.logbook.attempts),
            denied=self._preflight.denied if self._preflight else (),
        )

    @property
    def _first(self) -> bool:
        """Whether nothing was sent yet: what is seen now is what it was before the undo."""
        return not self.logbook.attempts

    def _refuse_stale(self, plan: Plan) -> None:
        if plan is not self._plan:
            raise UsageError(
                "This is not the newest plan.", next_step="Run the cell 'plan' again, then go on."
            )

    def _take(self, plan: Plan, confirm: str) -> str:
        now = self.cluster.clock.now()
        read = read_confirmation(
            confirm,
            plan,
            operator=self._operator,
            now=now,
            two_people=self._catalog.approval.two_people,
        )
        if isinstance(read, Refusal):
            raise RefusedError(read.what, next_step=read.next_step)
        self._write_approval(plan, read)
        return f"Approved by {read.approver} ({read.method})."

    def _write_approval(self, plan: Plan, approval: Approval) -> None:
        said = {"plan": plan.id, "approver": approval.approver, "method": approval.method}
        data = {**said, **identity_of(plan)}
        self.logbook.journal.append(Step.APPROVE, JournalEvent.APPROVAL, data)
        self.logbook.update(approval=approval, approved_at=approval.at)

    def _ask(self, plan: Plan) -> None:
        """Show the box to type into, and stop here: the next cell runs once it is approved."""
        from veza_nb.widgets.approval import show_approval  # noqa: PLC0415 - only with a person

        def submit(typed: str) -> str:
            try:
                return f"{self._take(plan, typed)} Run the next cell to send it."
            except VezaError as error:
                return str(error)

        show_approval(plan.service, submit)
        raise ApprovalPendingError(
            "Waiting for your approval.",
            next_step="Type the service's name above, press Approve, then run the next cell.",
        )

    def _follow(self, plan: Plan, result: UndoResult) -> RolloutState:
        view = display.LiveView()
        begin = self.cluster.clock.monotonic()

        def show(state: RolloutState) -> None:
            view.show(render.progress(state, self.cluster.clock.monotonic() - begin, result.kind))

        return follow(self.cluster, plan, settings=self._settings, show=show)

    def _take_lock(self) -> None:
        taken = self._lock.acquire(force=self._force_lock)
        if taken:
            note = {"lock taken": taken, "reason": self._force_lock}
            self.logbook.journal.append(Step.UNDO, JournalEvent.NOTE, note)

    def _mutated_at(self, result: UndoResult) -> object:
        if result.kind is UndoKind.NOOP:
            return self.logbook.record.mutated_at
        return self.logbook.record.mutated_at or self.cluster.clock.now()

    def _baseline(self) -> Baseline:
        """From before the undo, also where an earlier run of this incident took it."""
        if not self._first and self.logbook.record.baseline is not None:
            return convert(self.logbook.record.baseline, Baseline)
        return self._need_detection().baseline

    def _still_live(self) -> bool:
        """Whether what was verified is still what runs: a verdict is about one template."""
        plan = self._need_plan()
        try:
            live = self.cluster.deployment(plan.workload)
        except VezaError:
            return True  # not asked is not denied: the verdict was about the moment it was made
        return in_effect(live, plan)

    def _need_detection(self) -> Detection:
        if self._detection is None:
            raise _first("detect")
        return self._detection

    def _need_plan(self) -> Plan:
        if self._plan is None:
            raise _first("plan")
        return self._plan

    @contextmanager
    def _during(self, step: Step) -> Iterator[None]:
        """Write down whatever ends a step, then let it through."""
        try:
            yield
        except ApprovalPendingError:
            raise
        except VezaError as error:
            self._lock.release()  # taken again by the next undo; nobody waits for it meanwhile
            self.logbook.failed(step, error)
            raise
        except KeyboardInterrupt as error:
            self._lock.release()
            stopped = InterruptedRunError(
                f"Stopped during {step}.",
                state=self.logbook.state,
                next_step=f"Run this cell again, or continue incident {self.id}: "
                "it never repeats a change.",
            )
            self.logbook.failed(step, stopped)
            raise stopped from error


def _refuse_blocked(plan: Plan) -> None:
    if plan.blockers:
        what = "; ".join(guard.summary.rstrip(".") for guard in plan.blockers)
        raise RefusedError(f"This plan is blocked: {what}.", next_step=plan.blockers[0].remedy)


def _first(cell: str) -> UsageError:
    return UsageError(
        f"The cell {cell!r} has not been run.", next_step=f"Run the cell {cell!r} first."
    )
