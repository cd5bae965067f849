"""What a smoke test's end says: exit code 0 passes, everything else is named."""

from dataclasses import dataclass

from veza_nb.checks import Check, gap
from veza_nb.vocabulary import Item, Verdict

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """How a smoke test ended.

    Attributes:
        name: in the catalogue.
        command: as it was run.
        seconds: how long it took; 0 where it could not be started.
        exit_code: None where it did not end by itself.
        problem: why it did not: "not found", "not ended after 30 s"; "" where it did.
        output: the first and the last of what it printed.
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    exit_code: int | None
    problem: str
    output: str


def smoke_check(result: SmokeResult, *, kept: str) -> Check:
    """The check that a smoke test makes: a test that could not be started proves nothing.

    Args:
        result: how it ended.
        kept: the file in the record that holds its output.
    """
    verdict = _verdict(result)
    how = result.problem or f"exit code {result.exit_code}"
    lines = [f"`{' '.join(result.command)}`: {how}, {result.seconds:.1f} s"]
    if verdict is not Verdict.PASS:
        lines += [line for line in result.output.splitlines() if line.strip()][-_SHOWN:]
    lines.append(f"output: {kept}")
    return Check(
        _name(result.name), _title(result.name), verdict, tuple(lines), item=Item.ENDPOINTS
    )


def smoke_not_run(name: str) -> Check:
    """A smoke test says nothing about a rollout that is not through."""
    why = "not run: the rollout is not complete"
    return gap(_name(name), _title(name), why, item=Item.ENDPOINTS)


def _verdict(result: SmokeResult) -> Verdict:
    if result.exit_code is not None:
        return Verdict.PASS if result.exit_code == 0 else Verdict.FAIL
    return Verdict.FAIL if result.seconds else Verdict.INCONCLUSIVE


def _name(name: str) -> str:
    return f"smoke-{name}"


def _title(name: str) -> str:
    return f"Smoke test {name}"
