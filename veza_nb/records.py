"""One folder per incident: what happened, for people, for machines and for the next shift.

Every write is atomic and passes through redaction.
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from pathlib import Path

import msgspec

from veza_nb.accounts import (
    SCHEMA_VERSION,
    Action,
    Cluster,
    Durations,
    Json,
    Record,
    actions_from,
    durations_of,
)
from veza_nb.clock import Clock
from veza_nb.errors import RecordError, RecordFolderError, UsageError
from veza_nb.fastimport import quicken
from veza_nb.journal import Journal, read_journal, sync_folder
from veza_nb.plain import to_plain
from veza_nb.redact import Redactor
from veza_nb.typed import convert, decode_json
from veza_nb.vocabulary import Outcome
from veza_nb.words import listing

__all__ = [
    "SCHEMA_VERSION",
    "Action",
    "Cluster",
    "Durations",
    "Folder",
    "Record",
    "absolute",
    "actions_from",
    "durations_of",
    "find_folder",
    "new_incident_id",
    "open_folder",
    "record_schema",
    "to_plain",
]

RECORD = "record.json"
JOURNAL = "journal.jsonl"
EVIDENCE = "evidence"
SUMS = "SHA256SUMS"

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UNSAFE = re.compile(r"[^a-z0-9]+")


def new_incident_id(service: str, now: datetime) -> str:
    """Return an id that sorts by time and is safe as a folder's name."""
    name = _UNSAFE.sub("-", service.lower()).strip("-")[:63] or "service"
    return f"{now:%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(2)}"


def absolute(path: str, variable: str = "") -> str:
    """A path whole: whoever goes on with it may stand elsewhere, with another environment.

    Args:
        path: as it was given.
        variable: of the environment, that counts where none was given.

    Returns:
        The path; "" where there is none, or the variable names several.
    """
    found = path or os.environ.get(variable, "")
    several = not path and os.pathsep in found
    return str(Path(found).expanduser().absolute()) if found and not several else ""


def find_folder(root: Path, incident_id: str) -> tuple["Folder", Record]:
    """The folder of an incident that has begun, with its record; nothing is written.

    Raises:
        UsageError: there is no such incident in that records folder.
        RecordError: its record cannot be read.
    """
    known = sorted(path.parent.name for path in root.glob(f"*/{RECORD}"))
    if incident_id not in known:
        there = listing(reversed(known), limit=5) or "none"
        raise UsageError(
            f"There is no incident {incident_id!r} in {root}. There are: {there}.",
            next_step="Name one of them, or its records folder with --records.",
        )
    folder = Folder(root / incident_id, Redactor())
    record = folder.read_record()
    if record is None:
        raise RecordError(f"{folder.path}: the record is gone.")
    return folder, record


def open_folder(root: Path, incident_id: str, *, redactor: Redactor | None = None) -> "Folder":
    """Create the folder of an incident, or come back to it.

    Raises:
        UsageError: the id is no plain name.
        RecordFolderError: the folder cannot be made or written, or it is not this incident's.
    """
    if not _SAFE_NAME.fullmatch(incident_id) or ".." in incident_id:
        raise UsageError(
            f"{incident_id!r} is no usable incident id.",
            next_step="Use letters, digits, dots, dashes and underscores, up to 128.",
        )
    path = root / incident_id
    folder = Folder(path, redactor or Redactor())
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        _claim(folder, incident_id)
        path.chmod(0o700)
        (path / EVIDENCE).mkdir(mode=0o700, exist_ok=True)
        # Better to learn now than in the middle of an undo that nothing can be written.
        trial = path / f".writable-{os.getpid()}"
        _write_atomically(trial, b"")
        trial.unlink(missing_ok=True)
    except OSError as error:
        raise RecordFolderError(
            f"{path}: the records folder cannot be used: {error.strerror or error}.",
            next_step="Choose a folder that you may write with --records.",
        ) from error
    return folder


def _claim(folder: "Folder", incident_id: str) -> None:
    """Refuse a folder that holds something else than this incident."""
    names = {entry.name for entry in folder.path.iterdir()}
    record = folder.read_record() if RECORD in names else None
    foreign = record.incident_id != incident_id if record else names - {JOURNAL, EVIDENCE}
    if folder.path.is_symlink() or (foreign and not _leftovers(names)):
        raise RecordFolderError(
            f"{folder.path}: this folder belongs to something else than incident {incident_id}.",
            next_step="Choose another incident id or another records folder.",
        )


def _leftovers(names: set[str]) -> bool:
    """Only temporary files of a write that a crash cut off."""
    return all(name in (JOURNAL, EVIDENCE) or name.startswith(".") for name in names)


class Folder:
    """The folder of one incident.

    Attributes:
        path: the folder.
        redactor: through which everything passes that is written here.
    """

    def __init__(self, path: Path, redactor: Redactor) -> None:
        """Take a folder that is there; `open_folder` makes one."""
        self.path = path
        self.redactor = redactor
        self._counts: dict[str, Mapping[str, int]] = {}

    @property
    def journal_path(self) -> Path:
        """Where the journal is."""
        return self.path / JOURNAL

    def open_journal(self, *, actor: str, clock: Clock) -> Journal:
        """Open the incident's journal; its redactions count towards the record."""
        redactor = self.redactor.fresh()
        self._counts[JOURNAL] = redactor.counts
        return Journal.open(self.journal_path, actor=actor, clock=clock, redactor=redactor)

    def write_record(self, record: Record) -> Record:
        """Write `record.json`; return the record as written, with durations and redactions.

        Raises:
            RecordError: it could not be written; an older one is still whole.
        """
        record = msgspec.structs.replace(record, durations=durations_of(record))
        plain = to_plain(record)
        redactor = self.redactor.fresh()
        plain = redactor.data(plain)
        self._counts[RECORD] = redactor.counts
        plain["redactions"] = self._redactions(record.redactions)
        self._write(self.path / RECORD, _pretty(plain))
        return convert(plain, Record)

    def _redactions(self, before: Mapping[str, int]) -> dict[str, int]:
        """Masked values by rule, over all files; never fewer than an earlier run counted."""
        total: dict[str, int] = dict.fromkeys(before, 0)
        for counts in self._counts.values():
            for rule, count in counts.items():
                total[rule] = total.get(rule, 0) + count
        return {rule: max(count, before.get(rule, 0)) for rule, count in sorted(total.items())}

    def read_record(self) -> Record | None:
        """Read `record.json`; None where there is none yet.

        Raises:
            RecordError: it is there and cannot be read.
        """
        path = self.path / RECORD
        try:
            return decode_json(path.read_bytes(), Record)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordError(
                f"{path}: the record cannot be read: {error}.",
                next_step="Begin again under a new incident id; keep this folder as evidence.",
            ) from error

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file into the folder, redacted; return its path."""
        return self._write_redacted(self.path / _plain_name(name), text)

    def write_evidence(self, name: str, data: object) -> Path:
        """Write JSON into `evidence/`, redacted; return its path."""
        path = self.path / EVIDENCE / _plain_name(name)
        redactor = self.redactor.fresh()
        plain = redactor.data(to_plain(data))
        self._counts[f"{EVIDENCE}/{name}"] = redactor.counts
        return self._write(path, _pretty(plain))

    def _write_redacted(self, path: Path, text: str) -> Path:
        redactor = self.redactor.fresh()
        clean = redactor.text(text)
        self._counts[path.name] = redactor.counts
        return self._write(path, clean.encode("utf-8", "backslashreplace"))

    def _write(self, path: Path, content: bytes) -> Path:
        try:
            _write_atomically(path, content)
        except OSError as error:
            raise RecordError(
                f"{path}: cannot write: {error.strerror or error}.",
                state="What was written before is still there.",
                next_step="Make room or fix the folder's permissions, then run the cell again.",
            ) from error
        return path

    def seal(self) -> Path:
        """Write `SHA256SUMS` over all files, as `sha256sum --check` reads it; return its path."""
        sums = [f"{_digest(path)}  {name}\n" for name, path in self._files()]
        return self._write(self.path / SUMS, "".join(sums).encode())

    def verify(self) -> tuple[str, ...]:
        """Check sums, journal chain and schema; return what is wrong, one sentence each."""
        return (*self._check_sums(), *self._check_journal(), *self._check_schema())

    def _files(self) -> list[tuple[str, Path]]:
        found = (p for p in self.path.rglob("*") if p.is_file() and not p.name.startswith("."))
        named = ((p.relative_to(self.path).as_posix(), p) for p in found)
        return sorted((name, path) for name, path in named if name != SUMS)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: recovered, and every file is vouched for."""
        record = self.read_record()
        recovered = record is not None and record.outcome is Outcome.RECOVERED
        return recovered and not self._check_sums()

    def _check_sums(self) -> list[str]:
        try:
            text = (self.path / SUMS).read_text("utf-8")
        except FileNotFoundError:
            return [f"{SUMS} is missing: the folder was never sealed."]
        sealed = {
            name: digest for digest, _, name in (x.partition("  ") for x in text.splitlines())
        }
        files = dict(self._files())
        problems = [f"{name} is missing." for name in sealed if name not in files]
        for name, path in files.items():
            if name not in sealed:
                problems.append(f"{name} was added after the folder was sealed.")
            elif _digest(path) != sealed[name]:
                problems.append(f"{name} was changed after the folder was sealed.")
        return problems

    def _check_journal(self) -> list[str]:
        journal = read_journal(self.journal_path)
        problems = []
        if journal.broken_at is not None:
            problems.append(f"{JOURNAL} was changed at line {journal.broken_at}.")
        if journal.torn:
            problems.append(f"{JOURNAL} ends in half a line.")
        return problems

    def _check_schema(self) -> list[str]:
        try:
            record = json.loads((self.path / RECORD).read_bytes())
        except FileNotFoundError:
            return [f"{RECORD} is missing."]
        except ValueError as error:
            return [f"{RECORD} is no JSON: {error}."]
        quicken()
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - costs 0.2 s

        errors = Draft202012Validator(record_schema()).iter_errors(record)
        return [f"{RECORD}: {error.json_path}: {error.message}" for error in errors]


def record_schema() -> Json:
    """Return the JSON Schema of `record.json`."""
    text = resources.files("veza_nb").joinpath("schemas", "record-1.0.json").read_text("utf-8")
    schema: Json = json.loads(text)
    return schema


def _plain_name(name: str) -> str:
    if not _SAFE_NAME.fullmatch(name) or ".." in name:
        raise UsageError(f"{name!r} is no usable file name.")
    return name


def _pretty(plain: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_atomically(path: Path, content: bytes) -> None:
    """Put the content there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
