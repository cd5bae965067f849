"""A plan as a file: made by one person, approved by another, and run exactly as it is, or not.

The plan's id stands for the Deployment, its generation, the target's template and what was
named. Whoever runs the file makes the plan anew; where the id is another one, the approval is
for something else, and the run refuses.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import msgspec

from veza_nb.errors import UsageError
from veza_nb.plain import to_plain
from veza_nb.redact import Redactor
from veza_nb.typed import decode_json

FORMAT = 1


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was named when the plan was made: it is named again when the plan is run."""

    namespace: str = ""
    to_revision: int = 0
    as_of: str = ""
    image: str = ""
    break_glass: str = ""
    force_lock: str = ""


class _Plan(msgspec.Struct, frozen=True):
    id: str
    service: str


class PlanFile(msgspec.Struct, frozen=True, kw_only=True):
    """As far as it is read: the rest is for people and for `jq`."""

    format: int
    asked: Asked
    plan: _Plan


class _Output(click.ParamType[str]):
    """`text`, `json`, or the path of a file."""

    name = "text|json|FILE.json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if text not in ("text", "json") and not text.endswith(".json"):
            self.fail(
                f"{text!r} is neither text nor json nor a file that ends in .json", param, ctx
            )
        return text


OUTPUT = _Output()


def document(asked: Asked, **results: object) -> str:
    """The plan with all it rests on, as JSON, secrets masked."""
    whole = to_plain({"format": FORMAT, "asked": msgspec.to_builtins(asked), **results})
    return json.dumps(Redactor().data(whole), indent=2, ensure_ascii=False)


def write(path: Path, text: str) -> None:
    """Write it, whole or not at all.

    Raises:
        UsageError: it cannot be written there.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}.",
            next_step="Choose another file.",
        ) from error


def read(path: Path) -> PlanFile:
    """Read one.

    Raises:
        UsageError: it is no plan file, or one that holds no plan.
    """
    try:
        data = path.read_bytes()
        found = decode_json(data, PlanFile)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} holds no plan: {error}.",
            next_step="Make one with `veza-nb plan SERVICE -o FILE.json`.",
        ) from error
    if found.format != FORMAT:
        raise UsageError(
            f"{path} has format {found.format}; this version reads {FORMAT}.",
            next_step="Make the plan again with this version.",
        )
    return found
