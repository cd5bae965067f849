"""How many services are changed at a time, and after how many failures no further one is."""

import math
import re
from dataclasses import dataclass

from veza_nb.errors import UsageError
from veza_nb.vocabulary import OnFailure

_LIMIT = re.compile(r"(\d{1,4})(%?)")
_WHOLE = 100


@dataclass(frozen=True, slots=True)
class Pace:
    """The rule by which several services are rolled back, chosen before the run.

    Attributes:
        at_once: services whose rollout is under way at the same time, at most.
        failures: failed services after which no further one is begun.
        on_failure: what happens to the others then.
        text: how `at_once` was typed.
    """

    at_once: int
    failures: int
    on_failure: OnFailure
    text: str = ""

    @property
    def words(self) -> str:
        """The rule as a sentence."""
        after = {
            OnFailure.STOP: "no further one is begun; what is done stays as it is",
            OnFailure.CONTINUE: "those that do not depend on it go on",
            OnFailure.PUT_BACK: "those already rolled back are put back to what they ran before",
        }
        times = "the first failure" if self.failures == 1 else f"{self.failures} failures"
        return f"At most {self.at_once} at a time. After {times} {after[self.on_failure]}."


def read_pace(*, at_once: str, failures: int, on_failure: str, services: int) -> Pace:
    """The rule as it was typed.

    Args:
        at_once: a number, or a percentage of the services ("25%", rounded up); "" for all.
        failures: 1 or more.
        on_failure: "stop", "continue" or "put back".
        services: how many there are.

    Raises:
        UsageError: one of them is nothing of the kind.
    """
    if failures < 1:
        raise UsageError(
            f"{failures} failures is no limit.", next_step="Give 1 to stop at the first."
        )
    try:
        policy = OnFailure(on_failure.strip() or OnFailure.STOP)
    except ValueError as error:
        known = ", ".join(repr(str(one)) for one in OnFailure)
        raise UsageError(
            f"{on_failure!r} is no rule for failures.", next_step=f"There are: {known}."
        ) from error
    return Pace(_at_once(at_once, services), failures, policy, at_once.strip())


def _at_once(text: str, services: int) -> int:
    if not text.strip():
        return max(services, 1)
    found = _LIMIT.fullmatch(text.strip())
    number = int(found[1]) if found else 0
    if found is None or number < 1 or (found[2] and number > _WHOLE):
        raise UsageError(
            f"{text!r} is no number of services.", next_step="Write it like 2, or like 25%."
        )
    return math.ceil(services * number / _WHOLE) if found[2] else number
