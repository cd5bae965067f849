"""A tool that owns the workload takes an undo back, unless it is paused first, and says when."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import SERVICE, VEZA_NB, Application, Finished, run_command
from veza_nb.choices import Choice
from veza_nb.clock import Deadline, SystemClock
from veza_nb.cluster import Cluster
from veza_nb.cluster.reconcilers import read_object
from veza_nb.errors import ConflictError, RefusedError, UnreachableError
from veza_nb.findings import Diagnosis
from veza_nb.gitops import pause_of, read_reconciler
from veza_nb.journal import Journal
from veza_nb.managers import ARGO_CD, Handle
from veza_nb.orders import Order
from veza_nb.pauses import open_pauses
from veza_nb.pausing import paused
from veza_nb.pausing import resume as end
from veza_nb.permissions import HELPFUL, NEEDED, Permission
from veza_nb.plans import Plan, make_plan
from veza_nb.revisions import read_history
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.vocabulary import Decision, JournalEvent, RolloutPhase, Step

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]

Json = dict[str, Any]
ARGO_READ = Permission("get", "argoproj.io", "applications")
AUTOMATED = {"prune": True, "selfHeal": True}
CONFIRMED = ("--confirm", SERVICE)


def do(seen: Application, work: Callable[[Client], Any]) -> Any:
    """Something an administrator does in the cluster."""
    assert seen.training is not None
    return seen.training.call(work)


def commit(seen: Application, image: str) -> None:
    """Let Git say which image is to run."""
    containers = [{"name": "app", "image": image}]
    spec = {"template": {"spec": {"containers": containers}}}
    data = {"app.yaml": yaml.safe_dump({"metadata": {"name": SERVICE}, "spec": spec})}
    do(seen, lambda admin: admin.patch("configmaps", seen.namespace, "git-shop", {"data": data}))


def settings(seen: Application, **gitops: Any) -> None:
    """The catalogue, with that said of the tool that owns the application."""
    book = yaml.safe_load(seen.catalog.read_text())
    seen.catalog.write_text(yaml.safe_dump({**book, "gitops": gitops}))


def own(seen: Application, resource: str, spec: Json) -> None:
    """Let a tool own the application, and roll out the bad release from Git."""
    version, kind = {
        "applications": ("argoproj.io/v1alpha1", "Application"),
        "kustomizations": ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
    }[resource]
    git = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "git-shop"}}
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": "shop"}, "spec": spec}
    do(seen, lambda admin: admin.create("configmaps", seen.namespace, git))
    commit(seen, seen.images.bad)
    do(seen, lambda admin: admin.create(resource, seen.namespace, body))
    seen.wait_for(RolloutPhase.STUCK)


@pytest.fixture
def argo(application: Application) -> Application:
    """The application, owned by Argo CD, which has rolled out the bad release."""
    own(application, "applications", {"syncPolicy": {"automated": AUTOMATED}})
    settings(application, pause=True, argocd_namespace=application.namespace)
    return application


@pytest.fixture
def flux(application: Application) -> Application:
    """The same, owned by Flux."""
    own(application, "kustomizations", {"interval": "30m"})
    settings(application, pause=True)
    return application


def found(seen: Application, resource: str = "applications") -> Json:
    """The tool's object."""
    answer: Json = do(seen, lambda admin: admin.get(resource, seen.namespace, "shop"))
    return answer


def resume(seen: Application, *more: str) -> Finished:
    """The command that the record names."""
    incident = max(seen.records.iterdir()).name
    records = {"VEZA_RECORDS": str(seen.records)}
    return run_command(VEZA_NB, "gitops", "resume", incident, *more, **records)


def checks(seen: Application) -> dict[str, str]:
    """Check to its verdict, in the newest record."""
    return {one["name"]: one["verdict"] for one in seen.record()["verification"]["checks"]}


def wait_until(true: Callable[[], bool]) -> None:
    deadline = Deadline.after(SystemClock(), 30)
    while not true():
        assert not deadline.passed
        SystemClock().sleep(0.1)


def test_argo_cd_takes_an_undo_back_and_the_verdict_says_so(argo: Application) -> None:
    settings(argo, argocd_namespace=argo.namespace)

    done = argo.veza_nb("rollback", *CONFIRMED)

    assert done.code == 4, done.stderr
    assert checks(argo)["not-taken-back-argo-cd"] == "fail"
    assert "argocd-controller" in json.dumps(argo.record()["verification"])
    assert found(argo)["spec"]["syncPolicy"] == {"automated": AUTOMATED}


def test_argo_cd_is_paused_before_the_undo_and_resumed_by_hand_once_git_is_right(
    argo: Application,
) -> None:
    done = argo.veza_nb("rollback", *CONFIRMED)

    assert done.code == 0, done.stdout
    assert checks(argo)["not-taken-back-argo-cd"] == "pass"
    assert "automated" not in found(argo)["spec"]["syncPolicy"]
    incident = argo.record()["incident_id"]
    assert f"veza-nb gitops resume {incident}" in json.dumps(argo.record()["left_to_do"])
    assert [one["status"] for one in argo.record()["actions"] if one["step"] == "gitops"] == [
        "done"
    ]

    early = resume(argo)

    assert early.code == 3
    assert "Git does not have what runs" in " ".join(early.stderr.split())
    assert "automated" not in found(argo)["spec"]["syncPolicy"]

    commit(argo, argo.image)
    wait_until(lambda: bool(found(argo)["status"]["sync"]["status"] == "Synced"))
    again, twice = resume(argo), resume(argo)

    assert (again.code, twice.code) == (0, 0), again.stderr
    assert found(argo)["spec"]["syncPolicy"] == {"automated": AUTOMATED}
    assert "veza.dev/paused" not in found(argo)["metadata"].get("annotations", {})
    assert "gitops resume" not in json.dumps(argo.record()["left_to_do"])
    assert argo.image == argo.images.good
    assert len(argo.undos()) == 1


def test_the_plan_shows_the_pause_and_its_id_stands_for_it(argo: Application) -> None:
    with_it = json.loads(argo.veza_nb("plan", "-o", "json").stdout)["plan"]
    settings(argo, argocd_namespace=argo.namespace)
    without = json.loads(argo.veza_nb("plan", "-o", "json").stdout)["plan"]

    guards = {one["name"]: one for one in with_it["guards"]}
    assert guards["pauses-argo-cd"]["level"] == "warn"
    assert [one["handle"]["name"] for one in with_it["pauses"]] == ["shop"]
    assert without["pauses"] == []
    assert with_it["id"] != without["id"]
    assert found(argo)["spec"]["syncPolicy"] == {"automated": AUTOMATED}


def test_who_may_not_pause_is_told_before_anything_is_changed(argo: Application) -> None:
    argo.allow("rollback-bot", (*NEEDED, *HELPFUL, ARGO_READ))

    done = argo.veza_nb("rollback", *CONFIRMED, "--context", "veza-training-bot")

    assert done.code == 3
    assert "you may not patch applications" in " ".join(done.stderr.split())
    assert argo.image == argo.images.bad
    assert argo.undos() == []


def test_flux_is_suspended_before_the_undo_and_resumed_on_a_persons_word(
    flux: Application,
) -> None:
    done = flux.veza_nb("rollback", *CONFIRMED)

    assert done.code == 0, done.stdout
    assert found(flux, "kustomizations")["spec"]["suspend"] is True

    assert resume(flux).code == 3
    commit(flux, flux.image)
    assert resume(flux, "--git-is-right").code == 0
    assert "suspend" not in found(flux, "kustomizations")["spec"]
    assert flux.image == flux.images.good


def test_a_verdict_before_flux_came_by_is_none(flux: Application) -> None:
    settings(flux, wait_seconds=1)

    done = flux.veza_nb("rollback", *CONFIRMED)

    assert done.code == 5, done.stderr
    assert checks(flux)["not-taken-back-flux"] == "inconclusive"
    assert "comes by only every 1800 s" in json.dumps(flux.record()["verification"])


# What goes wrong between pause and undo.


@pytest.fixture
def shop(application: Application) -> Application:
    """An Application beside the workload; nothing of it is in Git."""
    spec = {"syncPolicy": {"automated": AUTOMATED}}
    body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
    whole = {**body, "metadata": {"name": "shop"}, "spec": spec}
    do(application, lambda admin: admin.create("applications", application.namespace, whole))
    return application


def planned(seen: Application, tmp_path: Path) -> tuple[Cluster, Plan, Journal]:
    """A plan that pauses the Application, and a journal."""
    cluster = seen.cluster()
    handle = Handle("Application", "argoproj.io/v1alpha1", "applications", seen.namespace, "shop")
    read = read_reconciler(ARGO_CD, handle, read_object(cluster, handle), about=("", ""))
    pause = pause_of(read, incident="i-1", operator="kim")
    workload = cluster.workload(SERVICE)
    order = Order(service=SERVICE, incident="i-1", operator="kim", choice=Choice(1))
    history = read_history(workload, now=cluster.clock.now())
    made = make_plan(workload, history, Diagnosis((), Decision.ROLL_BACK, ()), order)
    assert isinstance(made, Plan)
    journal = Journal.open(tmp_path / "journal.jsonl", actor="kim", clock=cluster.clock)
    return cluster, replace(made, pauses=(pause,)), journal


def policy(seen: Application) -> Json:
    found_policy: Json = found(seen)["spec"]["syncPolicy"]
    return found_policy


def effects(journal: Journal) -> list[str]:
    results = (line.data for line in journal.lines if "effect" in line.data)
    return [f"{one['action']} {one['effect']}" for one in results]


@pytest.mark.parametrize("error", [ConflictError("changed"), KeyboardInterrupt()])
def test_what_was_paused_for_an_undo_that_was_refused_is_put_back(
    shop: Application, tmp_path: Path, error: BaseException
) -> None:
    cluster, plan, journal = planned(shop, tmp_path)

    with pytest.raises(type(error)), paused(cluster, plan, journal):
        assert "automated" not in policy(shop)
        raise error

    assert policy(shop) == {"automated": AUTOMATED}
    assert effects(journal) == ["pause done", "resume done"]
    assert open_pauses(journal.lines) == ()
    journal.close()


def test_what_a_run_that_was_killed_had_paused_is_put_back_by_the_next_one(
    shop: Application, tmp_path: Path
) -> None:
    cluster, plan, journal = planned(shop, tmp_path)
    with paused(cluster, plan, journal):
        pass  # killed before the undo was begun
    again = replace(plan, pauses=())

    with pytest.raises(ConflictError), paused(cluster, again, journal):
        raise ConflictError("changed")

    assert policy(shop) == {"automated": AUTOMATED}
    assert open_pauses(journal.lines) == ()
    journal.close()


@pytest.mark.parametrize("effect", [None, "done", "unknown"])
def test_what_was_paused_for_an_undo_that_may_be_in_effect_stays_paused(
    shop: Application, tmp_path: Path, effect: str | None
) -> None:
    cluster, plan, journal = planned(shop, tmp_path)

    with pytest.raises(UnreachableError), paused(cluster, plan, journal):
        data: Json = {"digest": "d", "uid": plan.uid, "generation": 1}
        line = journal.append(Step.UNDO, JournalEvent.INTENT, data)
        if effect:
            settled = {"intent": line.seq, "effect": effect}
            journal.append(Step.UNDO, JournalEvent.FAILED, settled)
        raise UnreachableError("no answer")

    assert "automated" not in policy(shop)
    assert [one.sure for one in open_pauses(journal.lines)] == [True]
    journal.close()


def test_a_pause_whose_answer_was_lost_is_found_out_by_looking(
    shop: Application, powers: TrainingCluster, tmp_path: Path
) -> None:
    cluster, plan, journal = planned(shop, tmp_path)
    lost = powers.faults.add(
        "lose-answer", verbs=["patch"], resources=["applications"], namespace=shop.namespace
    )
    try:
        with paused(cluster, plan, journal):
            pass
    finally:
        powers.faults.remove(lost)

    assert effects(journal) == ["pause done"]
    assert "automated" not in policy(shop)
    journal.close()


def test_a_pause_that_is_refused_begins_nothing(shop: Application, tmp_path: Path) -> None:
    cluster, plan, journal = planned(shop, tmp_path)
    changed = {"spec": {"syncPolicy": {"automated": {"prune": False}}}}
    do(shop, lambda admin: admin.patch("applications", shop.namespace, "shop", changed))

    with (
        pytest.raises(RefusedError, match="could not be paused") as caught,
        paused(cluster, plan, journal),
    ):
        pytest.fail("the undo was begun")

    assert "Plan again" in caught.value.next_step
    assert effects(journal) == ["pause none"]
    assert policy(shop) == {"automated": {"prune": False, "selfHeal": True}}
    journal.close()


def test_a_pause_that_cannot_be_put_back_is_said_with_the_command_that_ends_it(
    shop: Application, powers: TrainingCluster, tmp_path: Path
) -> None:
    cluster, plan, journal = planned(shop, tmp_path)
    refused = ""
    try:
        with pytest.raises(ConflictError) as caught, paused(cluster, plan, journal):
            refused = powers.faults.add(
                "error",
                code=503,
                verbs=["patch"],
                resources=["applications"],
                namespace=shop.namespace,
            )
            raise ConflictError("changed")
    finally:
        powers.faults.remove(refused)

    assert "is still paused" in caught.value.state
    assert "veza-nb gitops resume i-1" in caught.value.state
    assert [str(one) for one in open_pauses(journal.lines)] == [
        f"Argo CD's Application {shop.namespace}/shop"
    ]

    [left] = open_pauses(journal.lines)
    assert "is resumed" in end(cluster, left, "i-1", journal)
    assert policy(shop) == {"automated": AUTOMATED}
    assert "nothing to do" in end(cluster, left, "i-1", journal)
    journal.close()
