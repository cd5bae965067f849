"""The folder of an incident: whole at every moment, sealed, checked."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from veza_nb.clock import ManualClock
from veza_nb.errors import RecordError, RecordFolderError, UsageError
from veza_nb.journal import Line
from veza_nb.records import (
    Cluster,
    Durations,
    Folder,
    Record,
    actions_from,
    new_incident_id,
    open_folder,
    record_schema,
    to_plain,
)
from veza_nb.redact import MASK, Redactor
from veza_nb.vocabulary import JournalEvent, Outcome, Step, Verdict

AT = datetime(2026, 11, 24, 8, 39, 12, tzinfo=UTC)
ID = "20261124-083912-veza-backend-api-3f9c"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return open_folder(tmp_path / "records", ID)


@pytest.fixture
def record() -> Record:
    return Record(incident_id=ID, service="veza-backend-api", started_at=AT)


def full_record() -> Record:
    """A record in which every field holds something."""
    check = {"name": "observed", "title": "Seen", "verdict": "pass", "evidence": ["3 of 3"]}
    return Record(
        incident_id=ID,
        service="veza-backend-api",
        title="Rollback of veza-backend-api",
        cluster=Cluster(context="prod", server="https://10.0.0.1:6443", version="v1.32.1"),
        started_at=AT,
    ).but(
        outcome=Outcome.RECOVERED,
        exit_code=0,
        changed=True,
        detected_at=AT + timedelta(seconds=2),
        approved_at=AT + timedelta(seconds=30),
        mutated_at=AT + timedelta(seconds=31),
        recovered_at=AT + timedelta(seconds=62),
        closed_at=AT + timedelta(seconds=70),
        parameters={"service": "veza-backend-api", "to_revision": 0},
        preflight=({"verb": "patch", "resource": "deployments", "allowed": True},),
        diagnosis={"decision": "roll back", "argument": ["only new pods"], "findings": []},
        history={"revisions": [{"number": 2, "replicaset": "a-1"}], "current": None},
        plan={"id": "p-0123456789ab", "to_revision": 2, "in_service": timedelta(hours=1)},
        baseline={"replicas": 3, "restarts": {}, "probes": []},
        approval={"by": "ada", "plan": "p-0123456789ab"},
        undo={"answer": 200},
        verification={"verdict": Verdict.PASS, "checks": [check]},
        left_to_do=("revert the commit",),
        errors=({"what": "x"},),
        versions={"veza_nb": "0.1.0"},
        environment={"platform": "linux"},
    )


def schema_problems(plain: object) -> list[str]:
    errors = Draft202012Validator(record_schema()).iter_errors(plain)
    return [f"{error.json_path}: {error.message}" for error in errors]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# --- ids and folders -------------------------------------------------------------------------


def test_an_incident_id_sorts_by_time_and_is_a_plain_name() -> None:
    first = new_incident_id("Veza Backend/API", AT)
    second = new_incident_id("veza-backend-api", AT + timedelta(seconds=1))

    assert first.startswith("20261124-083912-veza-backend-api-")
    assert first < second
    assert new_incident_id("veza", AT) != new_incident_id("veza", AT)
    assert new_incident_id("///", AT).startswith("20261124-083912-service-")


def test_a_folder_and_its_files_are_for_their_owner_only(folder: Folder, record: Record) -> None:
    folder.write_record(record)
    folder.write_text("postmortem.md", "x")
    evidence = folder.write_evidence("pods.json", {"items": []})

    folders = [folder.path, folder.path.parent, folder.path / "evidence"]
    files = [folder.path / "record.json", folder.path / "postmortem.md", evidence]
    assert {mode(path) for path in folders} == {0o700}
    assert {mode(path) for path in files} == {0o600}


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", "", ".", "..", ".hidden", "a..b", "a\n"])
def test_an_id_that_is_no_plain_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no usable incident id") as raised:
        open_folder(tmp_path, name)

    assert raised.value.exit_code == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../x", "a/b", ""])
def test_a_file_name_that_is_no_plain_name_is_refused(folder: Folder, name: str) -> None:
    with pytest.raises(UsageError, match="no usable file name"):
        folder.write_text(name, "x")


def test_a_records_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("x")

    with pytest.raises(RecordFolderError, match="cannot be used") as raised:
        open_folder(tmp_path / "records", ID)

    assert raised.value.exit_code == 2
    assert "--records" in raised.value.next_step


def test_a_records_folder_where_nothing_can_be_made_is_refused() -> None:
    with pytest.raises(RecordFolderError, match="cannot be used"):
        open_folder(Path("/proc/self"), ID)


def test_a_folder_can_be_come_back_to(folder: Folder, record: Record) -> None:
    folder.write_record(record)
    (folder.path / ".record.json.1.abcd").write_text("left by a crash")

    again = open_folder(folder.path.parent, ID)

    assert again.read_record() == folder.read_record()


def test_a_folder_with_only_a_journal_is_come_back_to(folder: Folder) -> None:
    folder.open_journal(actor="ada", clock=ManualClock()).close()

    assert open_folder(folder.path.parent, ID).read_record() is None


def test_a_folder_of_another_incident_is_not_touched(folder: Folder, record: Record) -> None:
    folder.write_record(record.but(incident_id="other"))
    before = (folder.path / "record.json").read_bytes()

    with pytest.raises(RecordFolderError, match="something else"):
        open_folder(folder.path.parent, ID)

    assert before == (folder.path / "record.json").read_bytes()


def test_a_folder_with_foreign_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / ID).mkdir()
    (tmp_path / ID / "thesis.tex").write_text("x")

    with pytest.raises(RecordFolderError, match="something else"):
        open_folder(tmp_path, ID)


def test_a_link_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ID).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(RecordFolderError, match="something else"):
        open_folder(tmp_path, ID)


# --- the record ------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_written(folder: Folder) -> None:
    written = folder.write_record(full_record())

    assert written == folder.read_record()
    assert written.durations.total == 70.0
    assert written.durations.recover == 60.0
    assert written.cluster.version == "v1.32.1"


def test_a_record_that_has_only_begun_is_open_and_valid(folder: Folder, record: Record) -> None:
    folder.write_record(record)

    plain = json.loads((folder.path / "record.json").read_bytes())
    assert plain["outcome"] == "open"
    assert plain["durations"]["total"] is None
    assert not schema_problems(plain)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_full_record_is_valid_whatever_its_outcome(folder: Folder, outcome: Outcome) -> None:
    folder.write_record(full_record().but(outcome=outcome))

    assert not schema_problems(json.loads((folder.path / "record.json").read_bytes()))


def remove(field: str) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain.pop(field)


def change(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain.update(fields)


@pytest.mark.parametrize(
    "damage",
    [
        remove("incident_id"),
        remove("outcome"),
        change(surprise=1),
        change(outcome="fine"),
        change(schema_version="2.0"),
        change(incident_id="../x"),
        change(exit_code="0"),
        change(started_at=12),
        change(plan={"to_revision": 1}),
        change(plan={"id": "nonsense", "to_revision": 1}),
        change(verification={"verdict": "maybe", "checks": []}),
        change(actions=[{"step": "undo"}]),
        change(redactions={"jwt": -1}),
        change(cluster={"context": "a", "server": "b", "version": "c", "more": "d"}),
    ],
)
def test_the_schema_refuses_a_wrong_record(damage: Callable[[dict[str, Any]], object]) -> None:
    plain = to_plain(full_record())
    damage(plain)

    assert schema_problems(plain)


def test_record_and_schema_have_the_same_fields() -> None:
    schema = record_schema()

    assert list(Record.__struct_fields__) == list(schema["properties"])
    assert list(Record.__struct_fields__) == schema["required"]
    for name, kind in (("cluster", Cluster), ("durations", Durations)):
        fields = [field.name for field in msgspec.structs.fields(kind)]
        assert fields == list(schema["properties"][name]["properties"])
    assert [str(outcome) for outcome in Outcome] == schema["properties"]["outcome"]["enum"]
    action = schema["properties"]["actions"]["items"]["properties"]
    assert [str(step) for step in Step] == action["step"]["enum"]


def test_every_field_of_the_schema_is_described() -> None:
    missing = list(undescribed("", record_schema()))

    assert not missing


def undescribed(path: str, schema: dict[str, Any]) -> list[str]:
    found = [] if "description" in schema or not path or path.endswith("[]") else [path]
    for name, inner in schema.get("properties", {}).items():
        found += undescribed(f"{path}.{name}", inner)
    if isinstance(schema.get("items"), dict):
        found += undescribed(f"{path}[]", schema["items"])
    return found


def test_a_secret_in_a_result_does_not_reach_the_record(tmp_path: Path) -> None:
    folder = open_folder(tmp_path, ID, redactor=Redactor(["known-value"]))
    change = {"where": "containers[api].env[DB_PASSWORD]", "before": "hunter2", "after": "x9x9x9"}
    record = full_record().but(
        plan={"id": "p-0123456789ab", "to_revision": 2, "changes": [change]},
        reason="known-value leaked",
    )

    written = folder.write_record(record)
    folder.write_evidence("env.json", {"token": "abc", "note": "known-value"})
    folder.write_text("postmortem.md", "password=hunter2\n")
    written = folder.write_record(record)

    text = "".join(path.read_text() for path in folder.path.rglob("*") if path.is_file())
    assert not [word for word in ("hunter2", "x9x9x9", "abc", "known-value") if word in text]
    assert written.redactions == {"key-name": 3, "known": 2, "assignment": 1}
    assert written.reason == f"{MASK} leaked"


def test_redactions_of_an_earlier_run_are_not_forgotten(folder: Folder, record: Record) -> None:
    written = folder.write_record(record.but(redactions={"jwt": 4}, reason="password=hunter2"))

    assert written.redactions == {"assignment": 1, "jwt": 4}


def test_a_broken_record_says_so(folder: Folder) -> None:
    (folder.path / "record.json").write_text('{"incident_id": ')

    with pytest.raises(RecordError, match="cannot be read"):
        folder.read_record()


def test_a_write_that_fails_keeps_the_old_file(folder: Folder, record: Record) -> None:
    folder.write_record(record)
    before = (folder.path / "record.json").read_bytes()
    script = f"""
import resource
from pathlib import Path
from veza_nb.errors import RecordError
from veza_nb.records import open_folder
folder = open_folder(Path({str(folder.path.parent)!r}), {ID!r})
record = folder.read_record()
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
try:
    folder.write_record(record.but(title="x" * 9000))
except RecordError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "cannot write" in done.stdout
    assert before == (folder.path / "record.json").read_bytes()
    assert {"evidence", "record.json"} == {path.name for path in folder.path.iterdir()}


# --- sealing ---------------------------------------------------------------------------------


@pytest.fixture
def sealed(folder: Folder) -> Folder:
    journal = folder.open_journal(actor="ada", clock=ManualClock())
    for event in (JournalEvent.INTENT, JournalEvent.DONE):
        journal.append(Step.UNDO, event)
    journal.close()
    folder.write_record(full_record())
    folder.write_evidence("pods.json", {"items": [1]})
    folder.seal()
    return folder


def test_a_sealed_folder_is_sound_for_us_and_for_sha256sum(sealed: Folder) -> None:
    check = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=sealed.path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert sealed.verify() == ()
    expected = ["evidence/pods.json: OK", "journal.jsonl: OK", "record.json: OK"]
    assert expected == check.stdout.splitlines()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda p: (p / "evidence/pods.json").write_text("[]"), "evidence/pods.json was changed"),
        (lambda p: (p / "evidence/pods.json").unlink(), "evidence/pods.json is missing"),
        (lambda p: (p / "new.txt").write_text("x"), "new.txt was added"),
        (lambda p: (p / "SHA256SUMS").unlink(), "never sealed"),
        (lambda p: (p / "record.json").unlink(), "record.json is missing"),
        (lambda p: (p / "record.json").write_text("{"), "record.json is no JSON"),
        (lambda p: (p / "record.json").write_text("{}"), "'incident_id' is a required property"),
        (
            lambda p: (p / "journal.jsonl").write_bytes(
                (p / "journal.jsonl").read_bytes().replace(b"intent", b"indent")
            ),
            "journal.jsonl was changed at line 1",
        ),
        (lambda p: os.truncate(p / "journal.jsonl", 40), "journal.jsonl ends in half a line"),
    ],
)
def test_damage_is_found(sealed: Folder, damage: Callable[[Path], object], problem: str) -> None:
    damage(sealed.path)

    assert problem in " ".join(sealed.verify())


# --- actions ---------------------------------------------------------------------------------


def line(seq: int, step: Step, event: JournalEvent, **data: object) -> Line:
    at = f"2026-11-24T08:39:{seq:02d}.500000Z"
    return Line(seq=seq, at=at, step=step, event=event, actor="ada", data=data, prev="")


def test_actions_pair_each_intent_with_its_result() -> None:
    lines = (
        line(1, Step.PLAN, JournalEvent.NOTE),
        line(2, Step.UNDO, JournalEvent.INTENT, command="kubectl rollout undo"),
        line(3, Step.UNDO, JournalEvent.NOTE),
        line(5, Step.UNDO, JournalEvent.DONE, answer=200),
        line(6, Step.VERIFY, JournalEvent.INTENT),
    )

    first, second = actions_from(lines)

    assert (first.step, first.status, first.seconds) == ("undo", "done", 3.0)
    assert first.command == "kubectl rollout undo"
    assert first.data == {"answer": 200}
    assert (second.status, second.ended_at, second.seconds) == ("unknown", None, None)


def test_an_intent_that_was_repeated_before_its_result_is_unknown() -> None:
    lines = (
        line(1, Step.UNDO, JournalEvent.INTENT),
        line(2, Step.UNDO, JournalEvent.INTENT),
        line(3, Step.UNDO, JournalEvent.FAILED),
    )

    first, second = actions_from(lines)

    assert (first.status, second.status) == ("unknown", "failed")


def test_actions_fit_the_schema() -> None:
    lines = (line(1, Step.UNDO, JournalEvent.INTENT), line(2, Step.VERIFY, JournalEvent.INTENT))
    record = full_record().but(actions=actions_from(lines))

    assert not schema_problems(to_plain(record))


# --- JSON ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    took: timedelta
    at: datetime | None


def test_results_become_json() -> None:
    value = {
        "sample": Sample("a", timedelta(minutes=2), AT),
        "view": MappingProxyType({Step.UNDO: Verdict.PASS}),
        "struct": Cluster(context="c"),
        "numbers": (1, 2.5, float("nan"), True, None),
        "set": {"b", "a"},
        "path": Path("a/b"),
        "half": "\ud800",
    }

    expected = {
        "sample": {"name": "a", "took": 120.0, "at": "2026-11-24T08:39:12.000000Z"},
        "view": {"undo": "pass"},
        "struct": {"context": "c", "server": "", "version": ""},
        "numbers": [1, 2.5, None, True, None],
        "set": ["a", "b"],
        "path": "a/b",
        "half": "\\ud800",
    }
    plain = to_plain(value)
    assert expected == plain
    assert msgspec.json.encode(plain)


def test_what_has_no_agreed_spelling_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        to_plain(object())
