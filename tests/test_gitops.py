"""What Argo CD and Flux say of themselves, how they are paused, and what the journal keeps."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOW, Json, complete_release, deployment, failed_release, workload
from veza_nb.catalog import GitOps
from veza_nb.choices import Choice
from veza_nb.cli import rbac
from veza_nb.clock import SystemClock
from veza_nb.findings import Diagnosis
from veza_nb.gitops import (
    Pause,
    Reconciler,
    is_paused_by,
    pause_of,
    read_reconciler,
    resume_patch,
    seconds_of,
)
from veza_nb.guards import Guard
from veza_nb.healchecks import heal_checks, seconds_to_wait
from veza_nb.journal import Journal
from veza_nb.logbook import identity_of
from veza_nb.managers import ARGO_CD, FLUX, Handle, owners_of
from veza_nb.objects import Deployment, Workload
from veza_nb.orders import Order
from veza_nb.outcomes import left_to_do
from veza_nb.pauses import PAUSE, RESUME, intent_of, left_paused, open_pauses
from veza_nb.plain import to_plain
from veza_nb.plans import Plan, make_plan
from veza_nb.revisions import read_history
from veza_nb.surroundings import Surroundings
from veza_nb.vocabulary import Annotation, Decision, JournalEvent, Level, Step, Verdict

ABOUT = ("veza-production", "api")
APP = Handle("Application", "argoproj.io/v1alpha1", "applications", "argocd", "shop")
KUSTOMIZATION = Handle(
    "Kustomization", "kustomize.toolkit.fluxcd.io/v1", "kustomizations", "flux-system", "apps"
)
RELEASE = Handle("HelmRelease", "helm.toolkit.fluxcd.io/v2", "helmreleases", "shop", "api")
ROLL_BACK = Diagnosis((), Decision.ROLL_BACK, ())


def argo(automated: Any = None, *, policy: bool = True, **metadata: Any) -> Json:
    spec = {"syncPolicy": {"automated": automated}} if policy else {}
    return {"metadata": {"uid": "u", "generation": 7, "name": "shop", **metadata}, "spec": spec}


def flux(**spec: Any) -> Json:
    return {"metadata": {"uid": "u", "generation": 3, "name": "apps"}, "spec": spec}


def read(handle: Handle, found: Json) -> Reconciler:
    tool = ARGO_CD if handle == APP else FLUX
    return read_reconciler(tool, handle, found, about=ABOUT)


# What they do by themselves.


@pytest.mark.parametrize(
    ("handle", "found", "heals", "paused"),
    [
        (APP, argo({"selfHeal": True, "prune": True}), True, False),
        (APP, argo({"prune": True}), False, False),
        (APP, argo({}), False, False),
        (APP, argo({"selfHeal": True, "enabled": False}), False, True),
        (APP, argo(None), False, True),
        (APP, argo(policy=False), False, True),
        (KUSTOMIZATION, flux(interval="10m"), True, False),
        (KUSTOMIZATION, flux(interval="10m", suspend=False), True, False),
        (KUSTOMIZATION, flux(interval="10m", suspend=True), True, True),
        (RELEASE, flux(interval="10m"), False, False),
        (RELEASE, flux(interval="10m", driftDetection={"mode": "warn"}), False, False),
        (RELEASE, flux(interval="10m", driftDetection={"mode": "enabled"}), True, False),
    ],
)
def test_what_takes_a_manual_change_back(
    handle: Handle, found: Json, heals: bool, paused: bool
) -> None:
    seen = read(handle, found)

    assert (seen.heals, seen.paused) == (heals, paused)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", 600), ("1h30m0s", 5400), ("45s", 45), ("500ms", 0.5), ("1.5h", 5400),
        ("", None), ("10", None), ("m", None), (None, None), ("10m!", None),
    ],
)  # fmt: skip
def test_lengths_of_time_are_read_as_go_writes_them(text: object, expected: float | None) -> None:
    assert seconds_of(text) == expected


@pytest.mark.parametrize(
    ("metadata", "parent"),
    [
        ({}, ""),
        (
            {"ownerReferences": [{"kind": "ApplicationSet", "name": "all"}]},
            "the ApplicationSet all",
        ),
        ({"labels": {"argocd.argoproj.io/instance": "root"}}, "the Application root"),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "root:argoproj.io/App:a/shop"}},
            "the Application root",
        ),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, ""),
    ],
)
def test_what_manages_an_application_in_turn_is_named(metadata: Json, parent: str) -> None:
    assert read(APP, argo({"selfHeal": True}, **metadata)).parent == parent


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, None),
        ({"sync": {"status": "Synced"}}, True),
        ({"sync": {"status": "OutOfSync"}}, None),
        ({"resources": [{"group": "apps", "namespace": ABOUT[0], "name": "api",
                         "status": "OutOfSync"}], "sync": {"status": "OutOfSync"}}, False),
        ({"resources": [{"group": "apps", "namespace": ABOUT[0], "name": "api",
                         "status": "Synced"}], "sync": {"status": "OutOfSync"}}, True),
        ({"resources": [{"group": "apps", "namespace": "else", "name": "api",
                         "status": "Synced"}]}, None),
    ],
)  # fmt: skip
def test_whether_git_has_what_runs_is_told_of_the_very_workload(
    status: Json, expected: bool | None
) -> None:
    assert read(APP, {**argo(), "status": status}).in_step is expected


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["spec", "syncPolicy", "automated", "metadata", "annotations",
                         "veza.dev/paused", "ownerReferences", "status", "resources", "suspend",
                         "driftDetection", "interval", "labels"]), inner),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), _ODD))
@pytest.mark.parametrize("handle", [APP, KUSTOMIZATION])
def test_odd_objects_are_read_as_far_as_they_make_sense(handle: Handle, odd: Json) -> None:
    seen = read(handle, odd)

    assert seen.will_pause is False
    assert is_paused_by(odd, "i") is False


# Pause and resume.


@pytest.mark.parametrize(
    ("handle", "found"),
    [
        (APP, argo({"selfHeal": True, "prune": True})),
        (APP, argo({"selfHeal": True}, annotations={"mine": "stays"})),
        (KUSTOMIZATION, flux(interval="10m")),
        (KUSTOMIZATION, flux(interval="10m", suspend=False)),
        (RELEASE, flux(interval="1m", driftDetection={"mode": "enabled"})),
    ],
)
def test_a_pause_is_ended_with_exactly_what_was_there(handle: Handle, found: Json) -> None:
    pause = pause_of(read(handle, found), incident="i-1", operator="kim")
    paused = jsonpatch.apply_patch(found, list(pause.patch))
    seen = read(handle, paused)

    assert seen.paused
    assert seen.paused_by == "i-1"
    assert is_paused_by(paused, "i-1")
    assert not is_paused_by(paused, "i-2")

    back = jsonpatch.apply_patch(paused, list(resume_patch(paused, handle, pause.before)))

    assert back["spec"] == found["spec"]
    assert back["metadata"].get("annotations", {}) == found["metadata"].get("annotations", {})


@pytest.mark.parametrize(
    ("handle", "found", "change"),
    [
        (APP, argo({"selfHeal": True}), {"metadata": {"uid": "another"}}),
        (APP, argo({"selfHeal": True}), {"spec": {"syncPolicy": {"automated": {}}}}),
        (KUSTOMIZATION, flux(interval="10m"), {"metadata": {"generation": 4}}),
    ],
)
def test_a_pause_of_what_was_changed_meanwhile_does_not_apply(
    handle: Handle, found: Json, change: Json
) -> None:
    pause = pause_of(read(handle, found), incident="i-1", operator="kim")
    meanwhile = {key: {**found[key], **change.get(key, {})} for key in found}

    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        jsonpatch.apply_patch(meanwhile, list(pause.patch))


def test_resuming_a_policy_that_is_gone_makes_it_again() -> None:
    pause = pause_of(read(APP, argo({"selfHeal": True})), incident="i-1", operator="kim")
    paused = jsonpatch.apply_patch(argo({"selfHeal": True}), list(pause.patch))
    del paused["spec"]["syncPolicy"]
    back = jsonpatch.apply_patch(paused, list(resume_patch(paused, APP, pause.before)))

    assert back["spec"] == {"syncPolicy": {"automated": {"selfHeal": True}}}


def test_the_commands_do_the_same_by_hand() -> None:
    pause = pause_of(read(APP, argo({"selfHeal": True})), incident="i-1", operator="kim")

    assert pause.command == (
        "kubectl -n argocd patch applications.argoproj.io/shop --type=merge -p "
        """'{"spec":{"syncPolicy":{"automated":null}}}'"""
    )
    assert '{"automated":{"selfHeal":true}}' in pause.by_hand
    assert pause.resume == "veza-nb gitops resume i-1"


# What the journal keeps.


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path / "journal.jsonl", actor="kim", clock=SystemClock())


def some_pause() -> Pause:
    seen = read(APP, argo({"selfHeal": True, "prune": True}))
    return pause_of(seen, incident="i-1", operator="kim")


def write(journal: Journal, action: str, effect: str = "") -> None:
    line = journal.append(Step.GITOPS, JournalEvent.INTENT, intent_of(some_pause(), action))
    if effect:
        event = JournalEvent.DONE if effect == "done" else JournalEvent.FAILED
        data = {"intent": line.seq, "action": action, "effect": effect}
        journal.append(Step.GITOPS, event, data)


@pytest.mark.parametrize(
    ("story", "sure"),
    [
        ([], None),
        ([(PAUSE, "done")], True),
        ([(PAUSE, "none")], None),
        ([(PAUSE, "")], False),
        ([(PAUSE, "unknown")], False),
        ([(PAUSE, "done"), (RESUME, "done")], None),
        ([(PAUSE, "done"), (RESUME, "unknown")], True),
        ([(PAUSE, "done"), (RESUME, "")], True),
        ([(PAUSE, "done"), (RESUME, "done"), (PAUSE, "done")], True),
    ],
)
def test_what_is_paused_by_now_is_read_off_the_journal(
    journal: Journal, story: list[tuple[str, str]], sure: bool | None
) -> None:
    for action, effect in story:
        write(journal, action, effect)
    left = open_pauses(journal.lines)

    assert [one.sure for one in left] == ([] if sure is None else [sure])
    assert all(one.handle == APP for one in left)
    assert all(one.before == {"selfHeal": True, "prune": True} for one in left)
    assert len(left_paused(journal.lines, "i-1")) == len(left)
    journal.close()


# Guards.


def owned(*, tracked: bool = True) -> Workload:
    notes = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:veza-production/api"}
    return complete_release(annotations=notes if tracked else {})


def plan(*reconcilers: Reconciler, seen: Workload | None = None) -> Plan:
    seen = owned() if seen is None else seen
    order = Order(service="api", incident="i-1", operator="kim", choice=Choice(1))
    around = Surroundings(reconcilers=reconcilers)
    made = make_plan(seen, read_history(seen, now=NOW), ROLL_BACK, order, around=around)
    assert isinstance(made, Plan)
    return made


def guards(made: Plan) -> dict[str, Guard]:
    return {one.name: one for one in made.guards}


HEALING = read(APP, argo({"selfHeal": True}))


def test_without_leave_to_pause_the_operator_is_told_what_to_run() -> None:
    made = plan(HEALING)

    assert guards(made)["managed-by-argo-cd"].level is Level.WARN
    assert "argocd app set shop --sync-policy none" in guards(made)["managed-by-argo-cd"].remedy
    assert made.pauses == ()


def test_with_leave_to_pause_the_plan_says_that_it_will_and_when_to_resume() -> None:
    made = plan(replace(HEALING, may_pause=True, parent="the ApplicationSet all"))
    told = guards(made)["pauses-argo-cd"]

    assert [one.handle for one in made.pauses] == [APP]
    assert made.blockers == ()
    assert "The ApplicationSet all manages it in turn" in told.summary
    assert "Correct Git first" in told.remedy
    assert "veza-nb gitops resume i-1" in told.remedy
    assert guards(made)["managed-by-argo-cd"].level is Level.INFO
    assert "is paused first" in guards(made)["managed-by-argo-cd"].summary


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (replace(HEALING, may_pause=False), "you may not patch applications"),
        (
            Reconciler(ARGO_CD, APP, unseen="Not allowed: get", may_pause=True),
            "it cannot be read (Not allowed: get)",
        ),
    ],
)
def test_a_pause_that_is_asked_for_and_not_possible_blocks(seen: Reconciler, why: str) -> None:
    made = plan(seen)

    assert [one.name for one in made.blockers] == ["gitops-pause"]
    assert why in made.blockers[0].summary
    assert "argocd app set shop" in made.blockers[0].remedy


@pytest.mark.parametrize(
    ("seen", "level", "said"),
    [
        (read(APP, argo(None)), Level.INFO, "is paused now"),
        (Reconciler(ARGO_CD, APP, exists=False), Level.INFO, "is not there (any more)"),
        (read(APP, argo({})), Level.WARN, "corrects nothing by itself"),
        (
            replace(HEALING, paused=True, paused_by="i-0"),
            Level.WARN,
            "is paused by incident i-0",
        ),
    ],
)
@pytest.mark.parametrize("may_pause", [True, None])
def test_what_needs_no_pause_gets_none_and_is_told_as_it_is(
    seen: Reconciler, level: Level, said: str, may_pause: bool | None
) -> None:
    made = plan(replace(seen, may_pause=may_pause))

    assert guards(made)["managed-by-argo-cd"].level is level
    assert said in guards(made)["managed-by-argo-cd"].summary
    assert made.pauses == ()
    assert made.blockers == ()


@pytest.mark.parametrize(
    ("labels", "annotations", "owners", "tools"),
    [
        ({"helm.sh/chart": "shop-1"}, {}, [], ["Helm"]),
        ({"app.kubernetes.io/managed-by": "Helm"},
         {"argocd.argoproj.io/tracking-id": "shop:x"}, [], ["Argo CD"]),
        ({"helm.toolkit.fluxcd.io/name": "x"},
         {"meta.helm.sh/release-name": "x"}, [], ["Flux"]),
        ({}, {"argocd.argoproj.io/sync-wave": "1"}, [], ["Argo CD"]),
        ({}, {}, [{"kind": "Shop", "name": "main", "controller": True}], ["The Shop main"]),
        ({}, {}, [{"kind": "Shop", "name": "main"}], []),
    ],
)  # fmt: skip
def test_who_owns_a_workload_is_found_by_whatever_they_leave_on_it(
    labels: Json, annotations: Json, owners: list[Json], tools: list[str]
) -> None:
    made = deployment(labels=labels, annotations=annotations)
    made["metadata"]["ownerReferences"] = owners

    assert [one.tool for one in owners_of(workload(made).deployment.metadata)] == tools


@pytest.mark.parametrize(
    ("tracking", "namespace", "name"),
    [
        ("shop:apps/Deployment:a/b", "argo", "shop"),
        ("team-a_shop:apps/Deployment:a/b", "team-a", "shop"),
    ],
)
def test_an_application_is_looked_for_where_its_tracking_says(
    tracking: str, namespace: str, name: str
) -> None:
    made = deployment(annotations={"argocd.argoproj.io/tracking-id": tracking})
    [owner] = owners_of(workload(made).deployment.metadata, "argo")

    assert owner.handle is not None
    assert (owner.handle.namespace, owner.handle.name) == (namespace, name)


# Verification.


def live(made: Plan, seen: Workload, *, undone: bool = True) -> Deployment:
    fields: Json = {"f:spec": {"f:template": {}}}
    managed = [
        {"manager": "veza-nb", "operation": "Update", "time": "2026-11-24T11:00:00Z",
         "fieldsV1": fields},
        {"manager": "argocd-controller", "operation": "Update", "time": "2026-11-24T11:00:05Z",
         "fieldsV1": fields},
    ]  # fmt: skip
    body = deployment(pod_template=made.template if undone else None)
    body["metadata"]["managedFields"] = managed
    return workload(body).deployment


SLOW = read(KUSTOMIZATION, flux(interval="10m"))


@pytest.mark.parametrize(
    ("seen", "settings", "waited", "verdict"),
    [
        (HEALING, GitOps(), 10, Verdict.PASS),
        (HEALING, GitOps(), 9, Verdict.INCONCLUSIVE),
        (HEALING, GitOps(heal_seconds=30), 10, Verdict.INCONCLUSIVE),
        (replace(HEALING, paused=True), GitOps(), 0, Verdict.PASS),
        (read(APP, argo({})), GitOps(), 0, Verdict.PASS),
        (SLOW, GitOps(), 180, Verdict.INCONCLUSIVE),
        (SLOW, GitOps(heal_seconds=60), 60, Verdict.PASS),
        (Reconciler(ARGO_CD, APP, unseen="no"), GitOps(), 10, Verdict.PASS),
        (Reconciler(FLUX, KUSTOMIZATION, unseen="no"), GitOps(), 999, Verdict.INCONCLUSIVE),
        (Reconciler(FLUX, KUSTOMIZATION, unseen="no"), GitOps(heal_seconds=5), 9, Verdict.PASS),
        (replace(SLOW, interval=None), GitOps(), 999, Verdict.INCONCLUSIVE),
    ],
)
def test_an_undo_counts_only_once_its_owner_has_come_by(
    seen: Reconciler, settings: GitOps, waited: float, verdict: Verdict
) -> None:
    made = plan()
    [check] = heal_checks((seen,), live(made, owned()), made, waited=waited, settings=settings)

    assert check.verdict is verdict


@pytest.mark.parametrize("seen", [HEALING, replace(HEALING, paused=True), SLOW])
def test_an_undo_that_was_taken_back_fails_and_names_who_did_it(seen: Reconciler) -> None:
    made = plan()
    after = live(made, owned(), undone=False)
    [check] = heal_checks((seen,), after, made, waited=99, settings=GitOps())

    assert check.verdict is Verdict.FAIL
    assert "by argocd-controller at 2026-11-24 11:00:05 UTC" in check.evidence[0]


@pytest.mark.parametrize(
    ("reconcilers", "settings", "seconds"),
    [
        ((), GitOps(), 0),
        ((HEALING,), GitOps(), 10),
        ((HEALING, SLOW), GitOps(), 180),
        ((SLOW,), GitOps(wait_seconds=700), 600),
        ((replace(SLOW, paused=True),), GitOps(), 0),
        ((Reconciler(ARGO_CD, APP, exists=False),), GitOps(), 0),
    ],
)
def test_verification_waits_no_longer_than_it_must(
    reconcilers: tuple[Reconciler, ...], settings: GitOps, seconds: float
) -> None:
    assert seconds_to_wait(reconcilers, settings) == seconds


# Who wrote the template, and when.


def rolling(*managed: tuple[str, str], cause: str = "") -> Workload:
    seen = failed_release()
    body = deployment(
        pod_template=seen.deployment.spec.template,
        annotations={str(Annotation.CHANGE_CAUSE): cause},
    )
    body["metadata"]["managedFields"] = [
        {"manager": manager, "operation": "Update", "time": time,
         "fieldsV1": {"f:spec": {"f:template": {}}}}
        for manager, time in managed
    ]  # fmt: skip
    new = workload(body).deployment
    return Workload(deployment=new, replicasets=seen.replicasets, pods=seen.pods)


def rollout_guard(seen: Workload, diagnosis: Diagnosis, *, to: int = 1) -> Guard | None:
    order = Order(service="api", incident="i-1", operator="kim", choice=Choice(to))
    made = make_plan(seen, read_history(seen, now=NOW), diagnosis, order)
    assert isinstance(made, Plan)
    return next((one for one in made.guards if one.name.startswith("rollout-")), None)


AT = "2026-11-24T11:58:00Z"


def test_a_template_that_detection_has_not_seen_blocks_and_says_whose_it_is() -> None:
    found = rollout_guard(
        rolling(("kubectl-set", AT)), Diagnosis((), Decision.ROLL_BACK, (), template_hash="older")
    )

    assert found is not None
    assert (found.name, found.level) == ("rollout-since-detection", Level.BLOCK)
    assert "written by kubectl-set at 2026-11-24 11:58:00 UTC" in found.summary


@pytest.mark.parametrize(
    ("managed", "cause"),
    [
        # What this incident itself has sent is nobody else's rollout.
        ([("veza-nb", AT)], "rollback to revision 1 by kim (incident i-1)"),
        ([("kubectl-set", "2026-11-24T11:00:00Z"), ("veza-nb", AT)], "… (incident i-1): 5xx"),
    ],
)
def test_this_incidents_own_undo_is_not_somebody_elses(
    managed: list[tuple[str, str]], cause: str
) -> None:
    seen = Diagnosis((), Decision.ROLL_BACK, (), template_hash="older")

    assert rollout_guard(rolling(*managed, cause=cause), seen) is None


def test_the_kit_in_another_incident_is_somebody_else() -> None:
    cause = "rollback to revision 1 by bob (incident i-9)"
    seen = Diagnosis((), Decision.ROLL_BACK, (), template_hash="older")
    found = rollout_guard(rolling(("veza-nb", AT), cause=cause), seen)

    assert found is not None
    assert found.level is Level.BLOCK


def test_the_bad_rollout_itself_is_no_reason_to_wait() -> None:
    seen = Diagnosis((), Decision.ROLL_BACK, (), template_hash="hash2")
    found = rollout_guard(rolling(("kubectl-set", AT)), seen)

    assert found is None or found.level is Level.INFO


def progressing() -> Workload:
    """A rollout that has just begun and does well."""
    seen = rolling(("kubectl-rollout", AT))
    healthy = tuple(one for one in seen.pods if "hash1" in one.metadata.name)
    return Workload(deployment=seen.deployment, replicasets=seen.replicasets, pods=healthy)


@pytest.mark.parametrize(
    ("decision", "level"),
    [
        (Decision.ROLL_BACK, Level.INFO),
        (Decision.UNCLEAR, Level.WARN),
        (Decision.DO_NOT, Level.WARN),
    ],
)
def test_a_rollout_that_does_well_so_far_is_told_of(decision: Decision, level: Level) -> None:
    found = rollout_guard(progressing(), Diagnosis((), decision, ()))

    assert found is not None
    assert (found.name, found.level) == ("rollout-in-progress", level)
    assert "written by kubectl-rollout" in found.summary


def test_what_is_paused_is_told_once_at_the_end_by_the_journal(journal: Journal) -> None:
    write(journal, PAUSE, "done")
    todo = left_to_do(plan(replace(HEALING, may_pause=True)), changed=True)

    assert not [one for one in todo if "gitops resume" in one]
    assert [one for one in left_paused(journal.lines, "i-1") if "gitops resume i-1" in one]
    journal.close()


def test_who_approved_a_plan_without_a_pause_has_not_approved_of_one() -> None:
    without, paused = plan(HEALING), plan(replace(HEALING, may_pause=True))

    assert not identity_of(paused).items() <= identity_of(without).items()
    assert identity_of(without).items() <= identity_of(paused).items()


def test_a_role_for_pausing_only_where_the_catalogue_allows_it(tmp_path: Path) -> None:
    path = tmp_path / "veza.yaml"
    path.write_text("extends: veza\ngitops: {pause: true, argocd_namespace: cd}\n")
    runner = CliRunner()
    allowed = runner.invoke(rbac.command, ["--catalog", str(path), "--user", "kim", "--least"])
    plain = runner.invoke(rbac.command, ["--user", "kim"])
    roles = [one for one in yaml.safe_load_all(allowed.stdout) if one["kind"] == "Role"]
    places = {one["metadata"]["namespace"]: one["rules"] for one in roles}

    assert set(places) == {"veza-production", "cd", "flux-system"}
    assert places["cd"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["applications"], "verbs": ["get", "patch"]}
    ]
    assert "argoproj.io" not in plain.stdout


def test_a_plan_with_a_pause_has_an_id_of_its_own_and_goes_into_a_record() -> None:
    without, made = plan(HEALING), plan(replace(HEALING, may_pause=True))

    assert without.id != made.id
    assert json.dumps(to_plain(made.pauses))
