"""Runs that are cut off, put to sleep or left without a disk: what is said, and how they go on."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import SERVICE, VEZA_NB, Application, Finished, run_command
from tests.e2e.crash_matrix import PLUG
from tests.e2e.moments import INTENDED, MOMENTS, SENT, UNDONE, Moment
from veza_nb.clock import Deadline, SystemClock
from veza_nb.sandbox.lifecycle import TrainingCluster

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]
CONFIRMED = ("--confirm", SERVICE)
CUT = ("--incident", "cut")
LONG_AGO = 120
"""Seconds after which a lock without a sign of life is nobody's."""
(PLANNED,) = (one for one in MOMENTS if one.step == "plan")
(LOCKED,) = (one for one in MOMENTS if one.step == "approve" and one.before_next)


def resume(application: Application, *arguments: str, incident: str = "cut") -> Finished:
    records = ("--records", str(application.records))
    return run_command(VEZA_NB, "rollback", "--resume", incident, *records, *arguments)


def cut_off(application: Application, moment: Moment, *arguments: str, what: str = "kill") -> None:
    """A run with a broken kernel: it says so."""
    given = (*CUT, *CONFIRMED, *arguments)
    done = application.veza_nb("rollback", *given, **moment.breaking(what))

    assert done.code in {1, 5}, done.stderr + done.stdout


@contextmanager
def asleep(application: Application, moment: Moment) -> Iterator["subprocess.Popen[str]"]:
    """A run whose kernel sleeps from that moment on, as under a laptop's lid, to the end."""
    running = subprocess.Popen(
        [
            VEZA_NB, "rollback", SERVICE, *CUT, *CONFIRMED, "--operator", "ada",
            "--kubeconfig", str(application.kubeconfig), "--context", application.context,
            "--catalog", str(application.catalog), "--records", str(application.records),
        ],
        env={**os.environ, **moment.breaking("stop")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    kernel = _stopped_child(running.pid)
    try:
        yield running
    finally:
        os.kill(kernel, signal.SIGCONT)


def ended(running: "subprocess.Popen[str]") -> Finished:
    stdout, stderr = running.communicate(timeout=100)
    return Finished(running.returncode, stdout, stderr)


def _stopped_child(parent: int) -> int:
    """The process below that one which is stopped, once it is."""
    clock = SystemClock()
    deadline = Deadline.after(clock, 60)
    while not deadline.passed:
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                return int(child)
        clock.sleep(0.02)
    pytest.fail("nobody stopped")


def codes(application: Application) -> list[int]:
    return [one.code for one in application.undos()]


def outcome(records: Path, incident: str = "cut") -> tuple[str, bool | None]:
    record = json.loads((records / incident / "record.json").read_text())
    return record["outcome"], record["changed"]


class TestResume:
    def test_unknown_incident_names_those_there_are(self, broken: Application) -> None:
        cut_off(broken, PLANNED)

        done = resume(broken, incident="never-was")

        assert done.code == 2
        assert "no incident 'never-was'" in done.stderr
        assert "There are: cut." in done.stderr
        assert [one.name for one in broken.records.iterdir()] == ["cut"]

    def test_needs_an_approval_where_none_was_written(self, broken: Application) -> None:
        cut_off(broken, PLANNED)

        done = resume(broken)

        assert done.code == 3
        assert "This plan is not approved." in done.stderr
        assert codes(broken) == []

    def test_takes_cluster_and_target_from_the_record(self, broken: Application) -> None:
        cut_off(broken, PLANNED, "--to-revision", "1")

        done = resume(broken, *CONFIRMED)

        assert done.code == 0, done.stderr + done.stdout
        assert broken.image == broken.images.other

    @pytest.mark.parametrize("moment", [INTENDED, SENT, UNDONE], ids=lambda one: str(one.says))
    def test_named_revision_is_gone_by_now_and_still_the_target(
        self, broken: Application, moment: Moment
    ) -> None:
        cut_off(broken, moment, "--to-revision", "1")

        done = resume(broken)

        assert done.code == 0, done.stderr + done.stdout
        assert (broken.image, codes(broken)) == (broken.images.other, [200])

    def test_same_command_line_again_means_the_same_target(self, broken: Application) -> None:
        named = ("--image", broken.images.other)
        cut_off(broken, UNDONE, *named)

        done = broken.veza_nb("rollback", *CUT, *CONFIRMED, *named)

        assert done.code == 0, done.stderr + done.stdout
        assert (broken.image, codes(broken)) == (broken.images.other, [200])

    def test_finished_incident_is_another_story(self, broken: Application) -> None:
        broken.veza_nb("rollback", *CUT, *CONFIRMED)
        sums = (broken.records / "cut" / "SHA256SUMS").read_text()

        done = resume(broken)

        assert done.code == 3
        assert "is finished" in done.stderr
        assert "begins a new incident" in done.stderr
        assert (broken.records / "cut" / "SHA256SUMS").read_text() == sums

    def test_other_service_is_refused(self, broken: Application) -> None:
        cut_off(broken, PLANNED)

        done = resume(broken, "veza-frontend")

        assert done.code == 2
        assert f"is about {SERVICE}, not veza-frontend" in done.stderr

    def test_other_cluster_is_refused(self, broken: Application, tmp_path: Path) -> None:
        cut_off(broken, PLANNED)
        content = yaml.safe_load(broken.kubeconfig.read_text())
        for one in content["clusters"]:
            one["cluster"]["server"] = "https://127.0.0.1:1"
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_text(yaml.safe_dump(content))
        before = (broken.records / "cut" / "record.json").read_text()

        done = resume(broken, "--kubeconfig", str(elsewhere))

        assert done.code == 2
        assert "is about the cluster" in done.stderr
        assert (broken.records / "cut" / "record.json").read_text() == before

    def test_incident_that_another_process_works_on_is_refused_and_not_touched(
        self, broken: Application
    ) -> None:
        with asleep(broken, INTENDED) as running:
            journal = (broken.records / "cut" / "journal.jsonl").read_bytes()
            done = resume(broken)
            untouched = (broken.records / "cut" / "journal.jsonl").read_bytes() == journal
        slept = ended(running)

        assert done.code == 3
        assert f"ada (process {running.pid} on" in done.stderr
        assert untouched
        assert slept.code == 0, slept.stderr + slept.stdout
        assert codes(broken) == [200]


class TestSleep:
    def test_outage_during_it_is_survived(
        self, broken: Application, powers: TrainingCluster
    ) -> None:
        with asleep(broken, UNDONE) as running:
            powers.faults.add("outage", lasting=1.0)
        slept = ended(running)

        assert slept.code == 0, slept.stderr + slept.stdout
        assert (outcome(broken.records), codes(broken)) == (("recovered", True), [200])

    @pytest.mark.parametrize("moment", [LOCKED, INTENDED], ids=lambda one: str(one.says))
    def test_longer_than_the_lock_another_operator_acts_and_it_does_not(
        self, broken: Application, powers: TrainingCluster, moment: Moment
    ) -> None:
        with asleep(broken, moment) as running:
            later = powers.faults.add("clock-skew", seconds=LONG_AGO)
            try:
                kim = broken.veza_nb("rollback", *CONFIRMED, "--to-revision", "1")
            finally:
                powers.faults.remove(later)
        slept = ended(running)

        assert kim.code == 0, kim.stderr + kim.stdout
        assert slept.code == 3, slept.stderr + slept.stdout
        assert broken.image == broken.images.other
        assert codes(broken).count(200) == 1
        assert outcome(broken.records) == ("refused", False)


def test_plug_is_pulled_and_the_run_resumed_as_the_docs_show(tmp_path: Path) -> None:
    """The drill of docs/crash-matrix.md, typed into a shell."""
    path = f"{Path(VEZA_NB).parent}{os.pathsep}{os.environ['PATH']}"
    with (tmp_path / "typed").open("w+") as typed:
        typed.write("\n".join(PLUG))
        typed.flush()
        done = subprocess.run(
            ["bash", typed.name],
            env={**os.environ, "HOME": str(tmp_path), "PATH": path},
            cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip
    told = [line for line in done.stdout.splitlines() if "patch   deployments" in line]
    undos = [line for line in told if "dry run" not in line]

    assert outcome(tmp_path / "records", "plug") == ("recovered", True), done.stdout + done.stderr
    assert (len(told) > len(undos), len(undos)) == (True, 1), told


class TestDisk:
    @pytest.mark.parametrize("moment", [PLANNED, LOCKED, INTENDED], ids=lambda one: str(one.says))
    def test_that_is_full_is_named_and_the_same_incident_goes_on(
        self, broken: Application, moment: Moment
    ) -> None:
        cut = broken.veza_nb("rollback", *CUT, *CONFIRMED, **moment.breaking("fill disk"))
        before = codes(broken)

        done = resume(broken, *CONFIRMED)

        assert cut.code == (5 if moment is INTENDED else 1), cut.stderr + cut.stdout
        assert "cannot write" in cut.stderr
        assert "Traceback" not in cut.stderr
        assert before == ([200] if moment is INTENDED else [])
        assert done.code == 0, done.stderr + done.stdout
        assert (outcome(broken.records), codes(broken)) == (("recovered", True), [200])

    def test_records_that_are_gone_stop_a_run_before_it_acts(self, broken: Application) -> None:
        cut = broken.veza_nb("rollback", *CUT, *CONFIRMED, **LOCKED.breaking("remove records"))

        assert cut.code == 1, cut.stderr + cut.stdout
        assert "the record is gone" in cut.stderr
        assert "it was deleted meanwhile" in cut.stderr
        assert codes(broken) == []

    def test_records_that_are_gone_after_it_acted_are_told_as_unknown_and_nothing_is_repeated(
        self, broken: Application
    ) -> None:
        cut = broken.veza_nb("rollback", *CUT, *CONFIRMED, **INTENDED.breaking("remove records"))

        again = broken.veza_nb("rollback", *CONFIRMED)

        assert cut.code == 1, cut.stderr + cut.stdout
        assert "It is not known whether the undo took effect." in cut.stderr
        assert again.code == 3, again.stderr + again.stdout
        assert codes(broken) == [200]
