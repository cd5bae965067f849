"""The cell `verify`: the checks, the question that only a person can answer, and their record."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from veza_nb import display, render
from veza_nb.checklist import Verification, replaced
from veza_nb.checks import Baseline, Check
from veza_nb.errors import UsageError, VezaError
from veza_nb.opening import Opened
from veza_nb.plans import Plan
from veza_nb.podtemplates import template_digest
from veza_nb.rollout import read_rollout
from veza_nb.samples import Probe
from veza_nb.smoke import run_smoke, variables_of
from veza_nb.smokechecks import smoke_check, smoke_not_run
from veza_nb.userchecks import Answer, read_answer, users_check
from veza_nb.verify import Word, verify
from veza_nb.vocabulary import Outcome, Step, Verdict


def check(opened: Opened, plan: Plan, baseline: Baseline, *, users_ok: str) -> Verification:
    """Make all checks, show them, write them down.

    Args:
        opened: the incident.
        plan: what was to become live.
        baseline: taken before acting.
        users_ok: what the operator says of the users; "" says nothing.

    Raises:
        UsageError: that is no answer.
    """
    answer, view = read_answer(users_ok), display.LiveView()
    if answer is not Answer.NONE:
        opened.logbook.asked(users_ok=str(answer))
    found = verify(
        opened.cluster,
        opened.service,
        plan,
        baseline,
        settings=opened.settings,
        monitoring=opened.catalog.monitoring,
        show=partial(_soak, opened, view),
        word=Word(answer, opened.operator),
        smoke=partial(_smoke, opened, plan),
    )
    _keep_pods(opened)
    _write(opened, plan, found)
    view.show(render.verification(found))
    return found


def _soak(opened: Opened, view: display.LiveView, left: float, probes: tuple[Probe, ...]) -> None:
    """Show how the soak goes, and keep it for the picture: pods now and then, every request."""
    view.show(render.soak(left, probes))
    recorder = opened.logbook.recorder
    recorder.probes(probes)
    if recorder.due:
        _keep_pods(opened)


def _keep_pods(opened: Opened) -> None:
    """A look at the pods for the picture alone."""
    recorder = opened.logbook.recorder
    try:
        seen = opened.cluster.workload(opened.service.workload, opened.service.selector)
        recorder.rollout(read_rollout(seen), always=True)
    except VezaError:
        recorder.missed()


def ask_about_users(
    opened: Opened, plan: Plan, found: Verification, keep: Callable[[Verification], None]
) -> None:
    """Show the question to a person, where nothing else answers it.

    Args:
        opened: the incident.
        plan: what was verified.
        found: by `check`.
        keep: is given the verification with the answer in it.
    """
    if opened.service.external_url or not display.person_present():
        return
    from veza_nb.widgets.question import show_question  # noqa: PLC0415 - only with a person

    def hear(answer: str) -> str:
        try:
            heard = _heard(opened, plan, found, read_answer(answer))
        except VezaError as error:
            return str(error)
        keep(heard)
        return f"Written down: {opened.operator} says {answer}. The verdict is: {heard.verdict}."

    answers = [str(one) for one in Answer if one is not Answer.NONE]
    show_question("Can users access the platform? Try it, then say.", answers, hear)


def _heard(opened: Opened, plan: Plan, found: Verification, answer: Answer) -> Verification:
    """The same verification with the answer, written down as if it had been a parameter."""
    if opened.logbook.record.outcome is not Outcome.OPEN:
        raise UsageError(
            "The incident is closed.",
            next_step="Set users_ok, then run the cells 'verify' and 'close' again.",
        )
    required = opened.settings.require_users
    said = users_check(None, answer, by=opened.operator, required=required)
    heard = replaced(found, said)
    opened.logbook.asked(users_ok=str(answer))
    _write(opened, plan, heard, users=str(answer))
    return heard


def _write(opened: Opened, plan: Plan, found: Verification, **more: object) -> None:
    logbook, now = opened.logbook, opened.cluster.clock.now()
    recovered = found.verdict is Verdict.PASS
    logbook.done(
        Step.VERIFY,
        {"verdict": found.verdict, "digest": template_digest(plan.template), **more},
        verification=found,
        recovered_at=(logbook.record.recovered_at or now) if recovered else None,
    )


def _smoke(opened: Opened, plan: Plan, through: bool) -> tuple[Check, ...]:
    """The smoke tests of this service, one after the other; their output goes into the record."""
    name = opened.service_name
    tests = [one for one in opened.settings.smoke if name in (one.services or (name,))]
    if not through:
        return tuple(smoke_not_run(test.name) for test in tests)
    folder = Path(opened.catalog.source).absolute().parent
    variables = variables_of(opened.service, name, plan)
    checks = []
    for test in tests:
        display.show(render.message(f"Smoke test {test.name}: at most {test.timeout_seconds:g} s."))
        ended = run_smoke(test, variables, folder=folder, clock=opened.cluster.clock)
        kept = opened.logbook.folder.write_evidence(f"smoke-{test.name}.json", ended)
        checks.append(smoke_check(ended, kept=f"evidence/{kept.name}"))
    return tuple(checks)
