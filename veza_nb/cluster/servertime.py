"""What time it is for the API server, learnt from its answers.

Operators' machines disagree about the time. Where one judges what another one wrote, such as
the renewal of a lock, both go by the server's clock.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from veza_nb.clock import Clock

_HALF_A_SECOND = timedelta(seconds=0.5)


class ServerTime:
    """The server's clock as far as the `Date` of its newest answer tells, give or take 1 s.

    Args:
        clock: goes on from that answer to now.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: timedelta | None = None

    def learn(self, date: str) -> None:
        """Take in the `Date` header of an answer that has just come; "" and nonsense are none."""
        try:
            said = parsedate_to_datetime(date)
        except ValueError:
            return
        # The header has whole seconds, rounded down: on average it is half a second late.
        said = (said if said.tzinfo else said.replace(tzinfo=UTC)) + _HALF_A_SECOND
        self._ahead = said - self._clock.now()

    def now(self) -> datetime | None:
        """The server's time (aware, UTC), or None where it has not told."""
        ahead = self._ahead
        return None if ahead is None else self._clock.now() + ahead
