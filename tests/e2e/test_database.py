"""A service and its database go back together, on a real PostgreSQL; half done is never silent."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.way_back import NEW, OLD, REPLICAS, SERVICE, WayBack, way_back
from tests.sandbox.postgres import Postgres, postgres
from tests.sandbox.test_kubelet_migrate import processes
from veza_nb.clock import Deadline, SystemClock
from veza_nb.database import DatabaseIncident
from veza_nb.errors import NotRecoveredError, RefusedError, UsageError
from veza_nb.incident import Incident
from veza_nb.permissions import HELPFUL, MIGRATING, NEEDED, Permission, role, role_binding
from veza_nb.plans import Plan
from veza_nb.records import Folder
from veza_nb.redact import Redactor
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.sandbox.programs import migrate
from veza_nb.vocabulary import Annotation

__all__ = ["postgres"]

BACKUP = "snapshot of this morning"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingCluster]:
    """A training cluster whose time runs faster: most of a test is waiting."""
    with TrainingCluster.start(directory=tmp_path_factory.mktemp("cluster"), speed=5) as cluster:
        yield cluster


@pytest.fixture
def made(quick: TrainingCluster, postgres: Postgres, tmp_path: Path) -> Iterator[WayBack]:
    with way_back(quick, postgres, tmp_path) as one:
        yield one


def planned(made: WayBack, **more: str) -> tuple[DatabaseIncident, Plan]:
    incident = made.open(**more)
    incident.detect()
    incident.history()
    plan = incident.plan(migrate_down=2, backup=BACKUP, to_revision=1)
    incident.approve(plan, confirm=SERVICE)
    return incident, plan


def finished(incident: DatabaseIncident, plan: Plan) -> None:
    incident.drain(plan)
    incident.migrate(plan)
    incident.undo(plan)
    incident.restore(plan)
    incident.verify()
    incident.close()


def what(made: WayBack) -> list[str]:
    """What was changed, in order, in words."""
    return [f"{one.verb} {one.name.rpartition('-')[0]}" for one in made.changes()]


def test_service_and_database_go_back_and_no_row_is_lost(made: WayBack) -> None:
    incident, plan = planned(made)

    finished(incident, plan)

    assert (made.schema, made.tag, made.replicas, made.rows) == ("4|f", OLD, REPLICAS, ["1"])
    assert not {Annotation.REPLICAS_BEFORE, Annotation.DRAINED_BY} & made.annotations.keys()
    assert what(made) == [
        "create veza-nb-version",
        "delete veza-nb-version",
        "patch veza-backend",
        "create veza-nb-down",
        "create veza-nb-version",
        "delete veza-nb-version",
        "patch veza-backend",
        "patch veza-backend",
    ]
    record = made.record(incident.id)
    assert (record["outcome"], record["changed"]) == ("recovered", True)
    assert Folder(made.records / incident.id, Redactor()).verify() == ()


def test_every_cell_again_changes_nothing_more(made: WayBack) -> None:
    incident, plan = planned(made)
    for step in (incident.drain, incident.migrate, incident.undo, incident.restore):
        step(plan)
        before = len(made.changes())
        step(plan)
        assert len(made.changes()) == before, step.__name__

    assert (made.schema, made.tag, made.replicas) == ("4|f", OLD, REPLICAS)


def test_before_an_approval_nothing_is_changed(made: WayBack) -> None:
    incident = made.open()
    incident.detect()
    plan = incident.plan(migrate_down=2, backup=BACKUP, to_revision=1)

    for step in (incident.drain, incident.migrate, incident.undo):
        with pytest.raises(RefusedError):
            step(plan)
    assert made.changes() == []


def test_an_approval_of_the_undo_alone_does_not_take_the_database_back(made: WayBack) -> None:
    incident = made.open()
    incident.detect()
    alone = super(DatabaseIncident, incident).plan(to_revision=1)
    incident.approve(alone, confirm=SERVICE)
    plan = incident.plan(migrate_down=2, backup=BACKUP, to_revision=1)

    with pytest.raises(RefusedError, match="not approved"):
        incident.drain(plan)
    assert plan.id != alone.id
    assert made.changes() == []


def test_cells_out_of_order_are_refused_and_change_nothing(made: WayBack) -> None:
    incident, plan = planned(made)

    with pytest.raises(RefusedError, match="'drain' first"):
        incident.migrate(plan)
    with pytest.raises(RefusedError, match="'migrate' first"):
        incident.undo(plan)
    with pytest.raises(RefusedError, match="'undo' first"):
        incident.restore(plan)
    assert made.changes() == []


def test_without_a_word_about_a_backup_nothing_is_changed(made: WayBack) -> None:
    incident = made.open()
    incident.detect()
    plan = incident.plan(migrate_down=2, to_revision=1)
    incident.approve(plan, confirm=SERVICE)

    with pytest.raises(RefusedError, match="Nobody said that there is a backup"):
        incident.drain(plan)
    assert (made.schema, made.replicas) == ("6|f", REPLICAS)


def test_a_schema_that_somebody_left_half_done_is_refused(made: WayBack) -> None:
    made.postgres.ask("UPDATE schema_migrations SET dirty = true", made.url)
    incident, plan = planned(made)

    with pytest.raises(RefusedError, match="version 6, half done"):
        incident.drain(plan)
    assert (made.replicas, made.tag) == (REPLICAS, NEW)


def test_more_migrations_than_there_are_is_refused(made: WayBack) -> None:
    incident = made.open()
    incident.detect()
    plan = incident.plan(migrate_down=7, backup=BACKUP, to_revision=1)
    incident.approve(plan, confirm=SERVICE)

    with pytest.raises(RefusedError, match="there are no 7 migrations"):
        incident.drain(plan)
    assert (made.schema, made.replicas) == ("6|f", REPLICAS)


def test_a_database_that_cannot_be_reached_is_refused_before_the_first_change(
    made: WayBack,
) -> None:
    made.core.patch_namespaced_secret(
        "backend-secrets", made.namespace, _wrong_password(made), _preload_content=False
    )
    incident, plan = planned(made)

    with pytest.raises(RefusedError, match="The schema's version cannot be read"):
        incident.drain(plan)
    assert (made.schema, made.replicas) == ("6|f", REPLICAS)


def _wrong_password(made: WayBack) -> dict[str, Any]:
    return {"stringData": {"DATABASE_URL": made.url.replace(made.postgres.password, "wrong")}}


def test_a_migration_that_fails_brings_the_replicas_back(made: WayBack) -> None:
    incident, plan = planned(made)
    incident.drain(plan)
    # What the way down drops is held by something that the migration does not know.
    made.postgres.ask("CREATE VIEW report AS SELECT isrc FROM tracks", made.url)

    with pytest.raises(NotRecoveredError) as caught:
        incident.migrate(plan)

    assert made.tag == NEW
    assert made.rows == ["1"]
    if made.schema.endswith("|t"):
        assert made.replicas == 0
        assert f"--replicas={REPLICAS}" in caught.value.next_step
        assert "stays at 0" in caught.value.what
    else:
        assert made.replicas == REPLICAS


def test_an_undo_that_is_refused_brings_schema_and_replicas_back(made: WayBack) -> None:
    incident, plan = planned(made)
    incident.drain(plan)
    incident.migrate(plan)
    made.release("v2.4.1")  # somebody is working on it

    with pytest.raises(NotRecoveredError, match="everything is as before"):
        incident.undo(plan)
    assert made.schema == "6|f"
    assert (made.tag, made.replicas, made.rows) == ("v2.4.1", REPLICAS, ["1"])


def test_a_service_without_a_migration_in_the_catalogue_is_wrong_usage(
    quick: TrainingCluster, postgres: Postgres, tmp_path: Path
) -> None:
    with way_back(quick, postgres, tmp_path) as made:
        text = made.catalog.read_text()
        made.catalog.write_text(text.replace("    migration: {}\n", ""))
        incident = made.open()
        incident.detect()

        with pytest.raises(UsageError, match="does not say how the database"):
            incident.plan(migrate_down=2, backup=BACKUP)


def test_headless_service_and_database_go_back(made: WayBack) -> None:
    done = made.veza_nb(
        "rollback", SERVICE, "--migrate-down", "2", "--backup", BACKUP, "--to-revision", "1",
        "--confirm", SERVICE, "--incident", "both",
    )  # fmt: skip

    assert done.code == 0, done.stdout + done.stderr
    assert (made.schema, made.tag, made.replicas, made.rows) == ("4|f", OLD, REPLICAS, ["1"])
    assert Folder(made.records / "both", Redactor()).verify() == ()


def test_an_autoscaler_sleeps_meanwhile_and_the_plan_says_so(made: WayBack) -> None:
    hpa = {
        "metadata": {"name": "team"},
        "spec": {
            "minReplicas": 2,
            "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": SERVICE},
        },
    }
    made.training.call(lambda admin: admin.create("horizontalpodautoscalers", made.namespace, hpa))
    incident, plan = planned(made)
    incident.drain(plan)
    incident.migrate(plan)
    drained = made.replicas
    incident.undo(plan)
    incident.restore(plan)

    assert "autoscaler-sleeps" in {guard.name for guard in plan.guards}
    assert drained == 0
    assert (made.schema, made.tag, made.replicas) == ("4|f", OLD, REPLICAS)


@pytest.mark.parametrize("missing", MIGRATING, ids=str)
def test_a_right_that_the_database_needs_is_named_and_the_service_alone_goes_without(
    made: WayBack, missing: Permission
) -> None:
    rights = [one for one in (*NEEDED, *MIGRATING, *HELPFUL) if one != missing]
    given = role("rollback", made.namespace, dict.fromkeys(rights))
    bound = role_binding("rollback", made.namespace, ("User", "rollback-bot"))
    made.training.call(lambda admin: admin.create("roles", made.namespace, given))
    made.training.call(lambda admin: admin.create("rolebindings", made.namespace, bound))
    incident = made.open(context="veza-training-bot")
    incident.detect()
    plan = incident.plan(migrate_down=2, backup=BACKUP, to_revision=1)
    with pytest.raises(RefusedError, match="blocked"):
        incident.approve(plan, confirm=SERVICE)
    alone = Incident.open(SERVICE, **made.opening(context="veza-training-bot"))
    alone.detect()

    assert [str(missing) in blocker.summary for blocker in plan.blockers] == [True]
    assert alone.plan(to_revision=1).blockers == ()
    assert made.changes() == []


def test_a_service_that_another_incident_has_drained_is_left_to_that_one(made: WayBack) -> None:
    first, plan = planned(made)
    first.drain(plan)
    first.opened.lock.release()
    second, again = planned(made, incident_id="another")

    with pytest.raises(RefusedError, match=f"{first.id} has scaled it to 0 \\(3 before\\)"):
        second.drain(again)
    assert made.annotations[Annotation.REPLICAS_BEFORE] == str(REPLICAS)


def test_a_target_that_is_live_already_takes_no_database_back(made: WayBack) -> None:
    made.release(OLD)
    incident = made.open()
    incident.detect()
    plan = incident.plan(migrate_down=2, backup=BACKUP, to_revision=3)

    with pytest.raises(RefusedError, match="live already"):
        incident.drain(plan)
    assert (made.schema, made.changes()) == ("6|f", [])


def test_an_approval_for_fewer_migrations_does_not_carry_over(made: WayBack) -> None:
    incident, plan = planned(made)
    incident.drain(plan)
    incident.opened.lock.release()
    resumed = made.open(incident_id=incident.id)
    resumed.detect()
    more = resumed.plan(migrate_down=4, backup=BACKUP, to_revision=1)

    with pytest.raises(RefusedError, match="not approved"):
        resumed.migrate(more)
    assert made.schema == "6|f"


def test_no_list_of_processes_shows_the_databases_password(made: WayBack) -> None:
    session = migrate.Database(made.url)
    session.run("BEGIN; LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE;")
    incident, plan = planned(made)

    def seen() -> list[str]:
        deadline = Deadline.after(SystemClock(), 30)
        while not deadline.passed and not processes(made.url):
            SystemClock().sleep(0.05)
        assert processes(made.url)
        found = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
        session.close()
        return [one.decode("utf-8", "replace") for one in found]

    with ThreadPoolExecutor(1) as beside:
        watching = beside.submit(seen)
        incident.drain(plan)

    assert [words for words in watching.result() if made.postgres.password in words] == []


def test_no_artifact_holds_the_databases_password(made: WayBack) -> None:
    incident, plan = planned(made)
    finished(incident, plan)

    found = [
        path
        for path in made.records.rglob("*")
        if path.is_file() and made.postgres.password in path.read_text("utf-8", "replace")
    ]
    jobs = made.training.call(lambda admin: admin.list("jobs", made.namespace))
    assert found == []
    assert jobs
    assert made.postgres.password not in str(jobs)
