"""Which recordings there are, and what each one is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]
HOME = Path(__file__).parents[2] / "data" / "recordings"
_LINE = re.compile(r"- `(?P<path>[^`]+)`: (?P<text>.*)")
_COMMAND = re.compile(r"`(?P<command>[^`]+)` exit (?P<code>\w+), [\d.]+ s ?(?P<note>.*)")
KINDS = ("http", "objects", "kubectl", "watch")
_ENDINGS = (".json", ".txt", ".jsonl")


@dataclass(frozen=True)
class Recording:
    """One recorded answer.

    Attributes:
        kind: "http", "kubectl", "objects" or "watch"; the folder that it is in.
        name: of its file, without the ending.
        path: of its file, below the recordings.
        what: one line.
        asked: the path of the request that fetched it; empty where that was not written down.
    """

    kind: str
    name: str
    path: str
    what: str
    asked: str = ""

    def text(self) -> str:
        """What the file holds."""
        return (HOME / self.path).read_text("utf-8")

    def document(self) -> Json:
        """What the file holds, decoded."""
        loaded: Json = json.loads(self.text())
        return loaded


@cache
def every() -> dict[tuple[str, str], Recording]:
    """All recordings by kind and name, in the order in which they were made."""
    found = {}
    for line in (HOME / "README.md").read_text("utf-8").splitlines():
        match = _LINE.match(line)
        if match is not None and (HOME / match["path"]).is_file():
            recording = _recording(match["path"], match["text"])
            if recording.kind in KINDS:
                found[recording.kind, recording.name] = recording
    return found


def files() -> set[str]:
    """The paths of all recorded files; the times beside the watches are no recordings."""
    return {
        str(path.relative_to(HOME))
        for path in HOME.glob("*/*")
        if path.suffix in _ENDINGS and not path.name.endswith(".times.txt")
    }


def get(kind: str, name: str) -> Recording:
    """A recording by its kind and name."""
    return every()[kind, name]


def _recording(path: str, text: str) -> Recording:
    kind, _, file = path.rpartition("/")
    name = next((file.removesuffix(end) for end in _ENDINGS if file.endswith(end)), file)
    what, _, asked = text.partition(" — GET ")
    command = _COMMAND.match(text)
    if command is not None:
        note = f": {command['note']}" if command["note"] else ""
        what = f"`{command['command']}`, exit {command['code']}{note}"
    return Recording(kind, name, path, what.partition(" (raw lines;")[0], asked)
