"""Can users access the platform? Asked of its external URL, and of a person."""

from enum import StrEnum

from veza_nb.checks import Check
from veza_nb.errors import UsageError
from veza_nb.probechecks import answers_check
from veza_nb.samples import Probe
from veza_nb.vocabulary import Item, Verdict

NAME = "users"
TITLE = "Users can access the platform"


class Answer(StrEnum):
    """What a person says to the question whether users can access the platform."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "don't know"
    NONE = ""


def read_answer(text: str) -> Answer:
    """The answer as it was typed.

    Raises:
        UsageError: it is none.
    """
    try:
        return Answer(text.strip().lower().replace("dont", "don't"))
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no answer to the question whether users can access the platform.",
            next_step='Say "yes", "no" or "don\'t know"; leave it empty to say nothing.',
        ) from error


def users_check(probe: Probe | None, answer: Answer, *, by: str, required: bool) -> Check:
    """The platform's external URL where one is known; what a person says, besides or instead.

    A no fails, whatever the URL answers. A yes stands where no URL is known, and does not
    outvote one that fails. Nothing known is a gap that opens the verdict only where the catalogue
    requires an answer.

    Args:
        probe: of the external URL; None where the catalogue has none.
        answer: what a person said.
        by: who.
        required: whether the catalogue requires to know.
    """
    said = (f"{by} says: {answer}",) if answer is not Answer.NONE else ()
    if probe is not None:
        seen = answers_check(probe, NAME, TITLE, Item.USERS, *said)
        verdict = Verdict.FAIL if answer is Answer.NO else seen.verdict
        return Check(NAME, TITLE, verdict, seen.evidence, item=Item.USERS)
    verdict = {Answer.YES: Verdict.PASS, Answer.NO: Verdict.FAIL}.get(answer, Verdict.INCONCLUSIVE)
    asked = ("no external_url in the catalogue, and nobody said: answer users_ok",)
    return Check(NAME, TITLE, verdict, said or asked, advisory=not required, item=Item.USERS)
