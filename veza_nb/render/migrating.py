"""What the cells of the notebook for databases show: pods that end, and Jobs at work."""

from typing import Protocol

from veza_nb.render.lines import wrapped
from veza_nb.render.marks import Mark
from veza_nb.render.page import Rendered, card, details, tag
from veza_nb.words import count

_SHOWN = 12
_TITLES = {
    "version": "Reading the schema's version",
    "backup": "Taking a backup",
    "down": "Taking the database back",
    "up": "Bringing the database to where it was",
}


class End(Protocol):
    """How a Job ended."""

    @property
    def succeeded(self) -> bool | None:
        """None where it did not end."""

    @property
    def why(self) -> str:
        """Why not."""


def draining(left: int, replicas: int) -> Rendered:
    """The wait until no pod is left."""
    mark = Mark("▶", "", "info") if left else Mark("✔", "", "good")
    title = f"Scaled to 0 ({replicas} before): {count(left, 'pod')} left"
    lead = (
        "A pod that is still ending may still write: the migration waits."
        if left
        else "No pod is left: nobody writes to the database any more."
    )
    return Rendered.of(
        [f"{mark.symbol} {title}", *wrapped(lead, "  ")], card(mark, title, lead=lead)
    )


def job(purpose: str, name: str, log: str, end: End | None = None) -> Rendered:
    """A Job, and what it printed."""
    mark, word = _state(end)
    title = f"{_TITLES.get(purpose, purpose)}: {word}"
    lead = f"Job {name}" + (f": {end.why}" if end is not None and end.why else "")
    said = log.splitlines()
    shown = [f"  | {line}" for line in said[-_SHOWN:]]
    text = [f"{mark.symbol} {title}", *wrapped(lead, "  "), *shown]
    body = details("What it printed", tag("pre", log), open_=end is None or not end.succeeded)
    return Rendered.of(text, card(mark, title, body, lead=lead))


def _state(end: End | None) -> tuple[Mark, str]:
    if end is None:
        return Mark("▶", "", "info"), "at work"
    if end.succeeded is None:
        return Mark("?", "", "warn"), "did not end in time"
    return (Mark("✔", "", "good"), "done") if end.succeeded else (Mark("✖", "", "bad"), "failed")
