"""The facade a notebook holds: one method per cell, each safe to run again.

A step reads its arguments, calls the room that does the work, writes journal and record, and
shows the result. What a later step needs it asks of the earlier one; run out of order, it
says which cell comes first.
"""

from veza_nb import display, render
from veza_nb.acting import act, take_lock
from veza_nb.approving import take_approval
from veza_nb.attempts import newest
from veza_nb.catalog import Service
from veza_nb.checklist import Verification
from veza_nb.checks import Baseline
from veza_nb.choices import Choice, fixed_moment, read_choice
from veza_nb.cluster import Cluster
from veza_nb.detect import Detection, detect_settled
from veza_nb.errors import RefusedError, UsageError
from veza_nb.finishing import finish
from veza_nb.furthering import look_further
from veza_nb.history import history
from veza_nb.logbook import Logbook
from veza_nb.opening import Opened, introduce, open_incident
from veza_nb.outcomes import complaint
from veza_nb.planning import Reasons, make
from veza_nb.plans import Plan, Refusal
from veza_nb.preflight import Preflight, preflight
from veza_nb.stepping import during, run_first
from veza_nb.typed import convert
from veza_nb.verifying import ask_about_users, check
from veza_nb.vocabulary import RolloutPhase, Step, Verdict


class Incident:
    """One incident on one service.

    Attributes:
        id: the incident's id, also the name of its folder.
        opened: what it works with: service, catalogue, cluster, logbook, lock.
    """

    _migrate_down = 0
    """Migrations that are taken back before the undo; none here."""

    def __init__(self, opened: Opened) -> None:
        self.id = opened.logbook.record.incident_id
        self.opened = opened
        self._preflight: Preflight | None = None
        self._detection: Detection | None = None
        self._plan: Plan | None = None
        self._verification: Verification | None = None
        self._reasons = Reasons()
        self._way_on = ""

    @property
    def service(self) -> Service:
        """What the catalogue says of the service."""
        return self.opened.service

    @property
    def cluster(self) -> Cluster:
        """Where it is."""
        return self.opened.cluster

    @property
    def logbook(self) -> Logbook:
        """Journal and record."""
        return self.opened.logbook

    @property
    def detection(self) -> Detection | None:
        """What the last look saw; None before there was one."""
        return self._detection

    @property
    def seen(self) -> Detection:
        """What the last look saw.

        Raises:
            UsageError: there was none yet.
        """
        return self._need_detection()

    @property
    def phase(self) -> RolloutPhase | None:
        """Where the rollout of the last undo stood when it was left; None before there was one."""
        undone = self.logbook.record.undo
        return RolloutPhase(undone["rollout"]["phase"]) if undone else None

    @property
    def verdict(self) -> Verdict | None:
        """Of the verification after the last change; None where there was none."""
        return self._verification.verdict if self._verification else None

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
        opened = open_incident(
            service,
            namespace=namespace,
            context=context,
            kubeconfig=kubeconfig,
            catalog=catalog,
            incident_id=incident_id,
            reason=reason,
            operator=operator,
            records=records,
            timeout=timeout,
        )
        incident = cls(opened)
        with during(opened, Step.OPEN):
            incident._preflight = introduce(opened)
        return incident

    def detect(self) -> None:
        """Look at the service; show findings and the decision."""
        with during(self.opened, Step.DETECT):
            view = display.LiveView()
            seen = detect_settled(
                self.cluster,
                self.service,
                settings=self.opened.settings,
                monitoring=self.opened.catalog.monitoring,
                hints=self.opened.catalog.hints,
                show=lambda one: view.show(render.diagnosis(one.diagnosis, now=one.now)),
            )
            self._detection = seen
            self.logbook.recorder.rollout(seen.rollout)
            self.logbook.recorder.probes(seen.probes)
            facts = {"detected_at": seen.at, "diagnosis": seen.diagnosis, "baseline": seen.baseline}
            if self.opened.first:
                self.logbook.folder.write_evidence("workload-before.json", seen.workload)
            self.logbook.done(
                Step.DETECT,
                {"decision": seen.diagnosis.decision},
                **(facts if self.opened.first else {}),
            )

    def history(self) -> None:
        """Show the revisions, and which one is recommended."""
        with during(self.opened, Step.HISTORY):
            found = history(self.cluster, self.service)
            number = found.recommended.number if found.recommended else None
            facts = {"history": found} if self.opened.first else {}
            self.logbook.done(Step.HISTORY, {"recommended": number}, **facts)
            display.show(render.history(found, now=self.cluster.now()))

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
        with during(self.opened, Step.PLAN):
            self._plan = self._verification = None
            now = self.cluster.now()
            choice = read_choice(to_revision=to_revision, as_of=as_of, image=image, now=now)
            moment = fixed_moment(as_of, now)
            self.logbook.asked(to_revision=to_revision, as_of=moment, image=image)
            self._reasons = Reasons(break_glass, force_lock.strip(), self._migrate_down)
            made = self._prepare(choice)
            if isinstance(made, Refusal):
                self.logbook.update(refusal=made)
                display.show(render.refusal(made))
                raise RefusedError(made.what, next_step=made.next_step)
            self._plan = made
            # What was sent stays in the record; a no-op after it tells nothing new.
            sent = {one.plan for one in self.logbook.attempts}
            known = made.noop and (self.logbook.record.plan or {}).get("id") in sent
            facts = {} if known else {"plan": made, "refusal": None}
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
        with during(self.opened, Step.APPROVE):
            self._refuse_stale(plan)
            take_approval(self.opened, plan, confirm)

    def undo(self, plan: Plan) -> None:
        """Send the undo if it is still needed, and follow the rollout.

        Args:
            plan: from `plan()`, approved.

        Raises:
            RefusedError: not approved, blocked, locked by somebody else, or changed since.
        """
        with during(self.opened, Step.UNDO):
            self._refuse_stale(plan)
            self._verification = None
            act(self.opened, plan, force_lock=self._reasons.force_lock)

    def hold(self) -> None:
        """Take the lock already, as one of several services that have to be free together.

        Raises:
            RefusedError: somebody else holds it.
        """
        with during(self.opened, Step.UNDO):
            take_lock(self.opened, self._reasons.force_lock)

    def verify(self, *, users_ok: str = "") -> None:
        """Check that the service is back and stays back; show the checklist.

        Args:
            users_ok: whether users can access the platform: "yes", "no" or "don't know". Empty,
                with a person there and no external URL in the catalogue, shows the question.

        Raises:
            UsageError: `users_ok` is no answer.
        """
        with during(self.opened, Step.VERIFY):
            plan = self._need_plan()
            found = check(self.opened, plan, self._baseline(), users_ok=users_ok)
            self._verification = found
            if not users_ok:
                ask_about_users(self.opened, plan, found, self._keep)

    def further(self, *, max_steps: int = 0, confirm: str = "") -> None:
        """Where verification failed, go on to the next good revision, if that is allowed.

        Args:
            max_steps: undos that this incident may do, the first included; 0 takes the
                catalogue's.
            confirm: as for `approve()`. The service's name approves each step, a plan's id that
                plan only; the run goes no further then, and says what to approve next.

        Raises:
            UsageError: the cell `verify` has not been run, or `max_steps` is no such number.
        """
        while self._step_further(max_steps, confirm):
            self.verify()

    def close(self) -> None:
        """Finish the record, show what is left to do, and give the lock back.

        Raises:
            NotRecoveredError: acted, and the service is not back.
            InconclusiveError: acted, and it cannot be told.
        """
        with during(self.opened, Step.CLOSE):
            try:
                outcome = finish(self.opened, self._plan, self._verification)
            finally:
                self.opened.lock.release()
        self.logbook.let_go()
        remedies = self._verification.remedies if self._verification else ()
        wrong = complaint(outcome, self.opened.service_name, self.logbook.state, remedies)
        if wrong is not None:
            wrong.next_step = self._way_on or wrong.next_step
            raise wrong

    def _step_further(self, max_steps: int, confirm: str) -> bool:
        """One undo further, if it is allowed, possible and approved."""
        before, sent = (self._plan, self._verification), newest(self.logbook.attempts)
        with during(self.opened, Step.FURTHER):
            plan, found = self._need_plan(), self._verification
            if found is None:
                raise run_first("verify")
            step = look_further(
                self.opened, plan, found, self._reasons, max_steps=max_steps, confirm=confirm
            )
            self._way_on = step.way_on
        if step.plan is None or not step.approved:
            return False
        self._plan, self._verification = step.plan, None
        try:
            with during(self.opened, Step.UNDO):
                act(self.opened, step.plan, force_lock="")
        except BaseException:
            if newest(self.logbook.attempts) == sent:
                self._plan, self._verification = before  # it was not sent: that is still so
            raise
        return True

    def _keep(self, found: Verification) -> None:
        self._verification = found

    def _prepare(self, choice: Choice) -> Plan | Refusal:
        seen = self._need_detection()
        seen_before = self._preflight
        if seen_before is not None and (seen_before.denied or seen_before.not_migrating):
            # Rights may have been granted since; without this a person had to begin again.
            self._preflight = preflight(self.cluster, self.service)
        denied = self._preflight.denied if self._preflight else ()
        if self._migrate_down and self._preflight is not None:
            denied += self._preflight.not_migrating
        return make(self.opened, seen.diagnosis, choice, self._reasons, denied=denied)

    def _refuse_stale(self, plan: Plan) -> None:
        if plan is not self._plan:
            raise UsageError(
                "This is not the newest plan.", next_step="Run the cell 'plan' again, then go on."
            )

    def _baseline(self) -> Baseline:
        """From before the undo, also where an earlier run of this incident took it."""
        if not self.opened.first and self.logbook.record.baseline is not None:
            return convert(self.logbook.record.baseline, Baseline)
        return self._need_detection().baseline

    def _need_detection(self) -> Detection:
        if self._detection is None:
            raise run_first("detect")
        return self._detection

    def _need_plan(self) -> Plan:
        if self._plan is None:
            raise run_first("plan")
        return self._plan
