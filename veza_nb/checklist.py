"""The runbook's checklist: nine lines in its order, each built of the checks beneath it."""

from collections.abc import Sequence
from dataclasses import dataclass

from veza_nb.checks import Check
from veza_nb.vocabulary import Item, Verdict

_WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
_BY_HAND = {
    Item.TARGET: "There is no plan.",
    Item.UNDONE: "Look at the workload: is its template the planned one?",
    Item.PODS: "Look at the pods: `kubectl get pods`.",
    Item.HEALTH: "The catalogue names no health endpoint: ask the service yourself.",
    Item.LOGS: "No log was read: look at them yourself.",
    Item.ENDPOINTS: "The catalogue names no critical endpoint: try what users do.",
    Item.METRICS: "No metrics are known (`metrics` in the catalogue): look at the dashboards.",
    Item.USERS: "Nobody asked and nobody said: try it, then answer users_ok.",
    Item.ALERTS: "No alerts are known (`alerts` in the catalogue): look at the alerting.",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the runbook's checklist.

    Attributes:
        number: 1 to 9.
        title: as the runbook has it.
        verdict: the worst of its checks; none is inconclusive.
        checks: names of the checks beneath it.
        by_hand: what a person looks at where nothing was checked; "" otherwise.
    """

    number: int
    title: Item
    verdict: Verdict
    checks: tuple[str, ...]
    by_hand: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """The checks, the checklist they make up, and the verdict.

    Attributes:
        verdict: of all checks.
        checks: in the order they were made.
        entries: the nine lines.
    """

    verdict: Verdict
    checks: tuple[Check, ...]
    entries: tuple[Entry, ...] = ()

    @property
    def remedies(self) -> tuple[str, ...]:
        """What only a person can do about what failed, one line each."""
        return tuple(line for check in self.checks for line in check.remedies)


def conclude(checks: Sequence[Check]) -> Verification:
    """Any failure fails; else any gap, or no check at all, is inconclusive.

    A gap in what is only advice is none: it shows on its line, and does not open the verdict.
    """
    counted = [
        check.verdict
        for check in checks
        if not (check.advisory and check.verdict is Verdict.INCONCLUSIVE)
    ]
    return Verification(worst(counted), tuple(checks), checklist(checks))


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of them; of none, inconclusive."""
    seen = set(verdicts) or {Verdict.INCONCLUSIVE}
    return next(verdict for verdict in _WORST_FIRST if verdict in seen)


def checklist(checks: Sequence[Check]) -> tuple[Entry, ...]:
    """The nine lines that these checks make up."""
    return tuple(
        _entry(number, item, [one for one in checks if one.item is item])
        for number, item in enumerate(Item, start=1)
    )


def _entry(number: int, item: Item, checks: Sequence[Check]) -> Entry:
    names = tuple(check.name for check in checks)
    by_hand = "" if checks else _BY_HAND[item]
    return Entry(number, item, worst([check.verdict for check in checks]), names, by_hand)


def replaced(verification: Verification, check: Check) -> Verification:
    """The same with another check of that name, and the verdict drawn anew."""
    others = [one for one in verification.checks if one.name != check.name]
    return conclude((*others, check))
