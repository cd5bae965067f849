"""Which revision an operator means: by number, by what was in service at a time, or by image."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from veza_nb.errors import UsageError
from veza_nb.revisions import History, Revision, Standing, find_revision
from veza_nb.words import clock_time, listing, utc

_AGO = re.compile(r"(\d{1,6})\s*(s|min|m|h|d)(?:\s+ago)?")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the operator named; nothing takes the recommended revision.

    Attributes:
        to_revision: its number; 0 names none.
        as_of: a moment: what was in service then.
        image: an image, or its tag.
        said: the same as it was typed: `2h` for ago is another moment each time it is read.
    """

    to_revision: int = 0
    as_of: datetime | None = None
    image: str = ""
    said: str = ""

    @property
    def named(self) -> bool:
        """Whether anything was named."""
        return bool(self.to_revision or self.as_of or self.image)

    @property
    def doubled(self) -> bool:
        """Whether more than one thing was named."""
        return sum(map(bool, (self.to_revision, self.as_of, self.image))) > 1


RECOMMENDED = Choice()
"""Nothing named."""


def read_moment(text: str, now: datetime) -> datetime | None:
    """A moment as a person writes it: ISO 8601 (UTC where it names no zone), or `2h` for ago.

    Returns:
        The moment in UTC; None where it cannot be read.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return utc(now) - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        return utc(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        return None


def fixed_moment(text: str, now: datetime) -> str:
    """The same moment however late it is read again; what cannot be read stays as it is."""
    moment = read_moment(text, now) if text.strip() else None
    return moment.isoformat() if moment else text


def read_choice(*, to_revision: int, as_of: str, image: str, now: datetime) -> Choice:
    """What the operator named, as it was typed.

    Args:
        to_revision: 0 names none.
        as_of: as `read_moment` takes it; "" names none.
        image: "" names none.
        now: for times that count back from it.

    Raises:
        UsageError: it cannot be read, or it names more than one thing.
    """
    if to_revision < 0:
        raise UsageError(
            f"There is no revision {to_revision}.",
            next_step="Give a number from the history, or 0 for the recommended one.",
        )
    moment = read_moment(as_of, now) if as_of.strip() else None
    if as_of.strip() and moment is None:
        raise UsageError(
            f"{as_of!r} is no time.",
            next_step="Write it like 2026-11-24T09:30 (UTC), or like 2h for two hours ago.",
        )
    typed = (str(to_revision or ""), as_of.strip(), image.strip())
    said = " ".join(word for word in typed if word)
    choice = Choice(to_revision, moment, image.strip(), said)
    if choice.doubled:
        raise UsageError(
            "More than one of revision, time and image is named.", next_step="Name one of them."
        )
    return choice


def find_chosen(history: History, choice: Choice) -> Revision | None:
    """The revision that was named; None where there is none."""
    if choice.to_revision:
        return find_revision(history, choice.to_revision)
    if choice.as_of is not None:
        return _in_service(history.revisions, choice.as_of)
    return next(iter(_with_image(history.revisions, choice.image)), None)


def why_none(history: History, choice: Choice) -> str:
    """Why nothing is found for that choice, and what there is, in words."""
    if choice.to_revision:
        return _no_number(history, choice.to_revision)
    if choice.as_of is not None:
        return (
            f"Which revision was in service at {clock_time(choice.as_of)} is not known. Known: "
            f"{listing(map(_period, _known(history.revisions)), limit=9) or 'nothing'}."
        )
    images = dict.fromkeys(image for one in history.revisions for image in one.images.values())
    there = listing(images, limit=9) or "none"
    return f"No revision runs the image {choice.image!r}. There are: {there}."


def _no_number(history: History, number: int) -> str:
    """No such number; after an undo the old number lives on under a new one."""
    there = listing((str(r.number) for r in history.revisions if r.number), limit=20) or "none"
    now = next((r.number for r in history.revisions if number in r.earlier_numbers), 0)
    moved = f" Revision {number} is now {now}: an undo renumbers." if now else ""
    return f"There is no revision {number}.{moved} There are: {there}."


def _in_service(revisions: Sequence[Revision], at: datetime) -> Revision | None:
    for one in _known(revisions):
        for begin, end in one.served:
            if begin <= at and (end is None or at < end):
                return one
    return None


def _known(revisions: Sequence[Revision]) -> tuple[Revision, ...]:
    return tuple(one for one in revisions if one.served)


def _period(revision: Revision) -> str:
    begin, end = revision.served[-1]
    until = clock_time(end) if end else "now"
    return f"revision {revision.number} from {clock_time(begin)} to {until}"


def _with_image(revisions: Sequence[Revision], wanted: str) -> tuple[Revision, ...]:
    """Those that run it, the best first: not the live one, not a bad one, then the newest."""
    matching = [
        one for one in revisions if any(_is(image, wanted) for image in one.images.values())
    ]
    worse = (Standing.CURRENT, Standing.BAD)
    return tuple(sorted(matching, key=lambda one: one.standing in worse))


def _is(image: str, wanted: str) -> bool:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return wanted in {image, name, tag, digest}
