"""The main job, against a real API server: one bad release, one undo, one record."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import SERVICE, Application
from veza_nb import Incident
from veza_nb.errors import ConflictError, NotFoundError, RefusedError, UsageError
from veza_nb.vocabulary import RolloutPhase

CONFIRMED = ("--confirm", SERVICE)


def folder_of(application: Application) -> Path:
    (folder,) = application.records.iterdir()
    return folder


class TestHeadless:
    def test_bad_release_is_rolled_back_verified_and_recorded(self, broken: Application) -> None:
        done = broken.veza_nb("rollback", *CONFIRMED, "--reason", "pods crash", "--operator", "kim")

        assert done.code == 0, done.stderr + done.stdout
        assert broken.image == broken.images.good
        record = broken.record()
        assert (record["outcome"], record["operator"], record["changed"]) == (
            "recovered",
            "kim",
            True,
        )
        assert record["reason"] == "pods crash"
        cause = broken.deployment()["metadata"]["annotations"]["kubernetes.io/change-cause"]
        assert record["incident_id"] in cause

    def test_record_is_complete_and_its_sums_hold(self, broken: Application) -> None:
        broken.veza_nb("rollback", *CONFIRMED)
        folder = folder_of(broken)

        assert {entry.name for entry in folder.iterdir()} == {
            "SHA256SUMS", "evidence", "journal.jsonl", "postmortem.md", "record.json",
            "series.jsonl", "timeline.svg",
            "rollback.html", "rollback.ipynb",
        }  # fmt: skip
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
        errors = [
            output
            for cell in json.loads((folder / "rollback.ipynb").read_text())["cells"]
            for output in cell.get("outputs", [])
            if output["output_type"] == "error"
        ]
        assert errors == []

    def test_second_run_finds_nothing_to_do_and_changes_nothing(self, broken: Application) -> None:
        first = broken.veza_nb("rollback", *CONFIRMED)
        generation = broken.generation

        second = broken.veza_nb("rollback", *CONFIRMED)

        assert (first.code, second.code) == (0, 3)
        assert (broken.generation, broken.image) == (generation, broken.images.good)
        assert "Nothing was changed in the cluster." in second.stderr

    def test_running_the_same_incident_again_is_a_no_op_that_says_so(
        self, broken: Application
    ) -> None:
        first = broken.veza_nb("rollback", *CONFIRMED, "--incident", "again")
        generation = broken.generation

        second = broken.veza_nb("rollback", *CONFIRMED, "--incident", "again")

        assert (first.code, second.code) == (0, 0), second.stderr + second.stdout
        assert broken.generation == generation

    @pytest.mark.parametrize("confirm", ["", "yes", "true", "veza-frontend", "p-000000000000:eve"])
    def test_without_the_right_confirmation_nothing_changes(
        self, broken: Application, confirm: str
    ) -> None:
        generation = broken.generation

        done = broken.veza_nb("rollback", "--confirm", confirm)

        assert done.code == 3
        assert (broken.generation, broken.image) == (generation, broken.images.bad)
        assert broken.record()["outcome"] == "refused"

    def test_healthy_service_is_not_rolled_back(self, application: Application) -> None:
        generation = application.generation

        done = application.veza_nb("rollback", *CONFIRMED)

        assert done.code == 3
        assert application.generation == generation

    def test_named_revision_is_taken_on_a_healthy_service(self, application: Application) -> None:
        done = application.veza_nb("rollback", *CONFIRMED, "--to-revision", "1")

        assert done.code == 0, done.stderr + done.stdout
        assert application.image == application.images.other

    def test_unknown_revision_is_refused_with_those_that_exist(self, broken: Application) -> None:
        generation = broken.generation

        done = broken.veza_nb("rollback", *CONFIRMED, "--to-revision", "99")

        assert done.code == 3
        assert "99" in done.stderr
        assert broken.generation == generation

    def test_plan_reads_only(self, broken: Application) -> None:
        generation = broken.generation

        done = broken.veza_nb("plan", "-o", "json")

        assert done.code == 0, done.stderr
        plan = json.loads(done.stdout)["plan"]
        assert plan["images_after"] == {"app": broken.images.good}
        assert broken.generation == generation
        assert not broken.records.exists()


class TestCellByCell:
    def test_every_cell_twice_sends_one_undo(self, broken: Application) -> None:
        incident = Incident.open(SERVICE, **broken.opening())
        before = broken.generation
        for _ in range(2):
            incident.detect()
            incident.history()
        plan = incident.plan()
        plan = incident.plan()
        for _ in range(2):
            incident.approve(plan, confirm=SERVICE)
        for _ in range(2):
            incident.undo(plan)
        for _ in range(2):
            incident.verify()
        for _ in range(2):
            incident.close()

        assert broken.generation == before + 1
        assert broken.image == broken.images.good
        assert broken.record()["outcome"] == "recovered"

    def test_change_by_somebody_else_after_the_plan_is_refused_and_left_alone(
        self, broken: Application
    ) -> None:
        incident = Incident.open(SERVICE, **broken.opening())
        incident.detect()
        plan = incident.plan()
        incident.approve(plan, confirm=SERVICE)
        broken.release(broken.images.other)
        generation = broken.generation

        with pytest.raises(ConflictError, match="changed after the plan") as caught:
            incident.undo(plan)

        assert caught.value.exit_code == 3
        assert (broken.generation, broken.image) == (generation, broken.images.other)
        assert broken.record()["outcome"] == "refused"

    def test_undo_without_approval_is_refused(self, broken: Application) -> None:
        incident = Incident.open(SERVICE, **broken.opening())
        incident.detect()
        plan = incident.plan()
        generation = broken.generation

        with pytest.raises(RefusedError, match="not approved"):
            incident.undo(plan)

        assert broken.generation == generation

    def test_approval_of_an_earlier_plan_does_not_count_for_another_target(
        self, broken: Application
    ) -> None:
        incident = Incident.open(SERVICE, **broken.opening())
        incident.detect()
        incident.approve(incident.plan(), confirm=SERVICE)

        with pytest.raises(RefusedError, match="not approved"):
            incident.undo(incident.plan(to_revision=1))

    def test_cells_out_of_order_say_what_comes_first(self, broken: Application) -> None:
        incident = Incident.open(SERVICE, **broken.opening())

        with pytest.raises(UsageError, match="'detect' has not been run"):
            incident.plan()
        with pytest.raises(UsageError, match="'plan' has not been run"):
            incident.verify()

    def test_second_operator_is_refused_with_the_name_of_the_first(
        self, broken: Application
    ) -> None:
        first = Incident.open(SERVICE, **broken.opening(operator="ann", reason="testing locks"))
        first.detect()
        plan = first.plan()
        first.approve(plan, confirm=SERVICE)
        first.undo(plan)
        generation = broken.generation
        second = Incident.open(SERVICE, **broken.opening(operator="bob"))
        second.detect()
        with pytest.raises(RefusedError, match=r"ann.*testing locks"):
            second.approve(second.plan(to_revision=1), confirm=SERVICE)

        assert broken.generation == generation
        first.verify()
        first.close()
        other = second.plan(to_revision=1)
        second.approve(other, confirm=SERVICE)
        second.undo(other)
        second.verify()
        second.close()
        assert broken.image == broken.images.other

    def test_stuck_target_ends_as_not_recovered(self, application: Application) -> None:
        application.release(application.images.bad)
        application.wait_for(RolloutPhase.STUCK)
        application.release(application.images.good)
        application.wait_for(RolloutPhase.COMPLETE)
        bad = max(
            int(one.metadata.annotations["deployment.kubernetes.io/revision"])
            for one in application.cluster().revisions(f"app={SERVICE}")
            if application.images.bad in json.dumps(one.spec.template)
        )

        done = application.veza_nb("rollback", *CONFIRMED, "--to-revision", str(bad))

        assert done.code == 4, done.stderr + done.stdout
        assert application.record()["outcome"] == "not recovered"


class TestBadInput:
    def test_unknown_namespace_is_named(self, application: Application) -> None:
        with pytest.raises(NotFoundError, match="no namespace 'nowhere'"):
            Incident.open(SERVICE, **application.opening(namespace="nowhere"))

        assert application.record()["outcome"] == "usage"

    def test_unknown_deployment_is_refused_with_those_that_exist(
        self, application: Application
    ) -> None:
        text = application.catalog.read_text().replace(f"{SERVICE}:", "other-name:")
        application.catalog.write_text(text)

        with pytest.raises(NotFoundError, match="no Deployment 'other-name'") as caught:
            Incident.open("other-name", **application.opening())

        assert SERVICE in caught.value.next_step
