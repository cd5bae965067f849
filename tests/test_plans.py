"""A plan pins its target and carries its guards; where none is possible, it says why."""

import json
from typing import Any

import jsonpatch
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    HEALTHY,
    NOW,
    RECORDED_AT,
    Json,
    ago,
    complete_release,
    deployment,
    failed_release,
    recorded,
    recorded_json,
    replicaset,
    template,
    workload,
)
from veza_nb.choices import Choice
from veza_nb.findings import Diagnosis, decide, find
from veza_nb.guards import Guard
from veza_nb.objects import Deployment, Workload
from veza_nb.orders import Order
from veza_nb.plans import Plan, Refusal, make_plan, undo_patch
from veza_nb.podtemplates import same_template
from veza_nb.revisions import read_history
from veza_nb.rollout import read_rollout
from veza_nb.vocabulary import Decision, Level

ROLL_BACK = Diagnosis((), Decision.ROLL_BACK, ())
DO_NOT = Diagnosis((), Decision.DO_NOT, ())
UNCLEAR = Diagnosis((), Decision.UNCLEAR, ())


def propose(
    seen: Workload,
    diagnosis: Diagnosis = ROLL_BACK,
    *,
    to_revision: int | None = None,
    at: Any = NOW,
    **more: Any,
) -> Plan | Refusal:
    options: Json = {
        "service": "veza-backend-api",
        "incident": "20261124-0839-veza",
        "reason": "5xx since the release",
        "operator": "alice",
        **more,
    }
    history = read_history(seen, now=at)
    denied = options.pop("denied", ())
    order = Order(**options, choice=Choice(to_revision or 0))
    return make_plan(seen, history, diagnosis, order, denied=denied)


def plan(seen: Workload, diagnosis: Diagnosis = ROLL_BACK, **more: Any) -> Plan:
    made = propose(seen, diagnosis, **more)
    assert isinstance(made, Plan), made
    return made


def refusal(seen: Workload, **more: Any) -> Refusal:
    made = propose(seen, **more)
    assert isinstance(made, Refusal), made
    return made


def guard(of: Plan, name: str) -> Guard:
    [only] = [each for each in of.guards if each.name == name]
    return only


def names(of: Plan) -> dict[str, Level]:
    return {each.name: each.level for each in of.guards}


# The plan itself.


@pytest.mark.parametrize("why", ["break_glass", "force_lock"])
def test_an_id_that_was_approved_without_breaking_a_rule_is_none_that_breaks_it(why: str) -> None:
    seen = failed_release()
    ids = [
        plan(seen, ROLL_BACK, **{why: reason}).id
        for reason in ("", " ", "it burns", "it still does")
    ]

    assert ids[0] == ids[1] != ids[2] == ids[3]


def test_the_recorded_incident_has_a_whole_plan() -> None:
    seen = recorded("08-failed-deadline")
    history = read_history(seen, now=RECORDED_AT)
    rollout = read_rollout(seen)
    findings = find(seen, rollout, HEALTHY, now=RECORDED_AT)
    made = plan(seen, decide(findings, rollout, history, HEALTHY), at=RECORDED_AT)

    assert (made.from_revision, made.to_revision) == (6, 5)
    assert (made.namespace, made.workload) == ("veza-production", "veza-backend-api")
    assert (made.generation, made.replicas) == (9, 3)
    assert made.template_hash == "695858dfd9"
    assert made.images_before == {
        "backend-api": "registry.veza.example/veza-backend-api:v1.2.0-bad"
    }
    assert made.images_after == {"backend-api": "registry.veza.example/veza-backend-api:v1.0.0"}
    assert [change.where for change in made.changes] == ["containers[backend-api].image"]
    assert made.command == (
        "kubectl -n veza-production rollout undo deployment/veza-backend-api --to-revision=5"
    )
    assert made.reasons == ("Revision 5: 3 pods of it still available now.",)
    assert made.blockers == ()
    assert names(made) == {}
    assert not made.noop


def test_the_recommended_revision_is_taken_where_none_is_named() -> None:
    assert plan(failed_release()).to_revision == 1
    assert plan(failed_release(), to_revision=0).to_revision == 1
    assert plan(failed_release(), to_revision=1).to_revision == 1


def test_what_an_undo_leaves_as_it_is_names_the_sources_of_content() -> None:
    with_secret = template(
        "app:v1", envFrom=[{"secretRef": {"name": "db"}}, {"configMapRef": {"name": "settings"}}]
    )
    first = replicaset(1, with_secret, created=ago(days=3), pods=3)
    second = replicaset(2, template("app:v2"), created=ago(minutes=4), pods=1, available=0)
    made = plan(workload(deployment(), [first, second]))

    assert any("Replicas stay 3" in line for line in made.not_restored)
    assert any("configmap/settings, secret/db" in line for line in made.not_restored)
    assert any("Databases keep their schema" in line for line in made.not_restored)


# The patch, applied by a JSON patch library as the API server would.


def patched(name: str, to_revision: int) -> Json:
    live = recorded_json(name, "deployment")
    made = plan(recorded(name), at=RECORDED_AT, to_revision=to_revision)
    return dict(jsonpatch.apply_patch(live, [dict(op) for op in made.patch]))


def test_the_patch_brings_back_the_template_and_nothing_else() -> None:
    before = recorded_json("08-failed-deadline", "deployment")
    after = patched("08-failed-deadline", 5)
    [container] = after["spec"]["template"]["spec"]["containers"]

    assert container["image"] == "registry.veza.example/veza-backend-api:v1.0.0"
    assert after["spec"]["template"]["metadata"]["labels"] == {"app": "veza-backend-api"}
    assert {**after["spec"], "template": None} == {**before["spec"], "template": None}


def test_the_patch_keeps_annotations_that_came_since() -> None:
    """Recorded: kubectl's own undo drops them."""
    before = recorded_json("15-annotated-v1.6.0", "deployment")["metadata"]["annotations"]
    after = patched("15-annotated-v1.6.0", 14)["metadata"]["annotations"]
    by_kubectl = recorded_json("15-undone", "deployment")["metadata"]["annotations"]
    cause = "kubernetes.io/change-cause"

    assert {**before, cause: None} == {**after, cause: None}
    assert set(by_kubectl) < set(after)
    assert after[cause] == (
        "rollback to revision 14 by alice (incident 20261124-0839-veza): 5xx since the release"
    )


def test_the_patch_adds_annotations_where_there_are_none() -> None:
    bare = msgspec.convert(deployment(annotations={}), Deployment)
    document = {"metadata": {"uid": bare.metadata.uid, "generation": 2}, "spec": {"template": {}}}
    patch = undo_patch(bare, template(), change_cause="why")
    after = jsonpatch.apply_patch(document, [dict(op) for op in patch])

    assert after["metadata"]["annotations"] == {"kubernetes.io/change-cause": "why"}
    assert after["spec"]["template"] == template()


@pytest.mark.parametrize("changed", [{"uid": "another"}, {"generation": 10}])
def test_the_patch_fails_on_another_object_or_a_newer_spec(changed: Json) -> None:
    live = recorded_json("08-failed-deadline", "deployment")
    live["metadata"] |= changed
    made = plan(recorded("08-failed-deadline"), at=RECORDED_AT)

    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        jsonpatch.apply_patch(live, [dict(op) for op in made.patch])


def test_preconditions_come_before_any_change() -> None:
    assert [op["op"] for op in plan(failed_release()).patch] == ["test", "test", "replace", "add"]


def test_the_patch_is_plain_json() -> None:
    made = plan(failed_release())

    assert list(made.patch) == json.loads(json.dumps(made.patch))


def test_no_reason_leaves_no_colon_and_long_ones_stay_on_one_line() -> None:
    silent = plan(failed_release(), reason="").patch[-1]["value"]
    wordy = plan(failed_release(), reason="a\nb " * 200).patch[-1]["value"]

    assert silent == "rollback to revision 1 by alice (incident 20261124-0839-veza)"
    assert "\n" not in str(wordy)
    assert len(str(wordy)) <= 240


# The id.


def test_the_id_has_its_shape() -> None:
    made = plan(failed_release())

    assert made.id.startswith("p-")
    assert len(made.id) == 14
    assert int(made.id[2:], 16) >= 0


@given(reason=st.text(max_size=9), operator=st.text(max_size=9), incident=st.text(max_size=9))
def test_the_id_does_not_depend_on_words(reason: str, operator: str, incident: str) -> None:
    seen = failed_release()
    again = plan(seen, reason=reason, operator=operator, incident=incident, service="other")

    assert plan(seen).id == again.id


@given(generation=st.integers(1, 9), uid=st.sampled_from(["a", "b"]), old=st.sampled_from("12"))
def test_the_id_depends_on_object_spec_and_target(generation: int, uid: str, old: str) -> None:
    def made(of: tuple[int, str, str]) -> str:
        first = replicaset(1, template(f"app:v{of[2]}"), owner=of[1], pods=3)
        live = deployment(pod_template=template("app:v3"), generation=of[0])
        live["metadata"]["uid"] = of[1]
        return plan(workload(live, [first])).id

    this, reference = (generation, uid, old), (2, "a", "1")

    assert (made(this) == made(reference)) == (this == reference)


def test_the_id_tells_a_named_revision_from_a_recommended_one() -> None:
    assert plan(failed_release()).id != plan(failed_release(), to_revision=1).id


# Never twice, never forward.


def test_a_second_run_after_the_undo_has_nothing_to_do() -> None:
    """Recorded: the plan's target, which was revision 5, is live as revision 7."""
    made = plan(recorded("10-after-undo-of-failed"), DO_NOT, to_revision=7, at=RECORDED_AT)

    assert made.noop
    assert made.patch == ()
    assert made.changes == ()
    assert names(made)["already-at-target"] is Level.INFO
    assert made.blockers == ()


def test_a_second_run_without_a_number_does_not_go_forward_to_the_bad_release() -> None:
    """Recorded: `kubectl rollout undo` would."""
    refused = refusal(recorded("10-after-undo-of-failed"), at=RECORDED_AT)

    assert refused.what.startswith("No revision can be recommended.")
    assert "somebody went back from it" in refused.what


def test_a_number_that_was_renumbered_away_says_what_it_is_now() -> None:
    refused = refusal(recorded("06-after-undo"), to_revision=1, at=RECORDED_AT)

    assert refused.what == (
        "There is no revision 1. Revision 1 is now 3: an undo renumbers. There are: 3, 2."
    )
    assert (
        "kubectl -n veza-production rollout history deployment/veza-backend-api"
        in refused.next_step
    )


@pytest.mark.parametrize("number", [99, -1])
def test_a_number_that_never_was_lists_those_that_are(number: int) -> None:
    refused = refusal(recorded("27-long-history"), to_revision=number, at=RECORDED_AT)

    assert refused.what == (
        f"There is no revision {number}. There are: 81, 80, 78, 76, 74, 72, 70, 20, 19, 16, 15."
    )


def test_without_history_it_says_repair_forward() -> None:
    only = replicaset(2, template("app:v2"), pods=3)
    refused = refusal(workload(deployment(revisionHistoryLimit=0), [only]))

    assert refused.what == (
        "api has no earlier revision to go back to "
        "(revisionHistoryLimit is 0: Kubernetes keeps none)."
    )
    assert "kubectl -n veza-production set image deployment/api CONTAINER=IMAGE" in (
        refused.next_step
    )


def test_where_none_is_recommended_the_choice_is_listed() -> None:
    refused = refusal(recorded("15-annotated-v1.6.0"), at=RECORDED_AT)

    assert "Choose one of 14, 13, 11, 10, 8, 6, 4" in refused.next_step


# Guards.


def test_a_paused_deployment_blocks_and_names_resume() -> None:
    made = plan(recorded("13-paused-with-change"), at=RECORDED_AT)

    assert [each.name for each in made.blockers] == ["paused"]
    assert (
        "`kubectl -n veza-production rollout resume deployment/veza-backend-api`"
        in guard(made, "paused").remedy
    )


@pytest.mark.parametrize(
    ("diagnosis", "named", "level"),
    [
        (DO_NOT, None, Level.BLOCK),
        (DO_NOT, 1, Level.WARN),
        (UNCLEAR, None, Level.BLOCK),
        (UNCLEAR, 1, Level.WARN),
        (ROLL_BACK, None, None),
        (ROLL_BACK, 1, None),
    ],
)
def test_what_detection_says_counts(
    diagnosis: Diagnosis, named: int | None, level: Level | None
) -> None:
    made = plan(complete_release(), diagnosis, to_revision=named)

    assert names(made).get("diagnosis") is level


def test_a_blocked_plan_says_how_to_insist() -> None:
    assert "to_revision=1" in guard(plan(complete_release(), DO_NOT), "diagnosis").remedy


def marked_bad() -> Workload:
    marked = {"veza.dev/rollback-verdict": "bad: incident 17"}
    first = replicaset(1, template("app:v1"), created=ago(days=3), pods=3, **marked)
    second = replicaset(2, template("app:v2"), created=ago(minutes=3), pods=1, available=0)
    return workload(deployment(), [first, second])


def test_a_revision_marked_bad_is_only_a_warning_for_who_names_it() -> None:
    made = plan(marked_bad(), to_revision=1)

    assert guard(made, "target-bad").level is Level.WARN
    assert "bad: incident 17" in guard(made, "target-bad").summary


def test_a_revision_marked_bad_is_not_taken_unnamed() -> None:
    assert isinstance(propose(marked_bad()), Refusal)


def test_thin_evidence_is_a_warning() -> None:
    made = plan(recorded("04-rolled-out"), at=RECORDED_AT)

    assert names(made)["target-unproven"] is Level.WARN
    assert "replaced after 3 s" in guard(made, "target-unproven").summary


def test_undoing_a_restart_brings_no_code_back() -> None:
    """Recorded: kubectl undoes it without a word."""
    made = plan(recorded("14-restarted"), to_revision=12, at=RECORDED_AT)

    assert made.images_before == made.images_after
    assert names(made)["images-unchanged"] is Level.WARN
    assert [change.where for change in made.changes] == ["metadata.annotations"]


def test_scaled_to_zero_is_warned_of_with_the_command() -> None:
    made = plan(recorded("17-scaled-to-0"), DO_NOT, to_revision=18, at=RECORDED_AT)

    assert (
        "kubectl -n veza-production scale deployment/veza-backend-api --replicas=N"
        in guard(made, "scaled-to-zero").remedy
    )


def test_recreate_is_warned_of() -> None:
    made = plan(complete_release(strategy={"type": "Recreate"}))

    assert names(made)["recreate"] is Level.WARN


def test_missing_permissions_block_and_are_named() -> None:
    made = plan(failed_release(), denied=["patch deployments.apps", "list pods"])

    assert [each.name for each in made.blockers] == ["permissions"]
    assert guard(made, "permissions").summary == "You may not: patch deployments.apps, list pods."
    assert (
        "kubectl -n veza-production auth can-i patch deployments.apps"
        in guard(made, "permissions").remedy
    )


@pytest.mark.parametrize(
    ("signs", "name", "remedy"),
    [
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:ns/api"}},
            "managed-by-argo-cd",
            "argocd app set shop --sync-policy none",
        ),
        (
            {"managers": ["argocd-controller"], "labels": {"app.kubernetes.io/instance": "shop"}},
            "managed-by-argo-cd",
            "argocd app rollback shop",
        ),
        (
            {
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                }
            },
            "managed-by-flux",
            "flux suspend kustomization apps -n flux-system",
        ),
        (
            {"labels": {"helm.toolkit.fluxcd.io/name": "shop"}},
            "managed-by-flux",
            "flux suspend helmrelease shop -n veza-production",
        ),
        (
            {
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": "shop"},
            },
            "managed-by-helm",
            "helm rollback shop -n veza-production",
        ),
        ({"managers": ["helm"]}, "managed-by-helm", "helm rollback RELEASE"),
    ],
)
def test_a_tool_that_owns_the_deployment_is_named_with_its_command(
    signs: Json, name: str, remedy: str
) -> None:
    made = plan(complete_release(**signs))

    assert names(made)[name] is Level.WARN
    assert remedy in guard(made, name).remedy


def test_kubectl_and_controllers_own_nothing() -> None:
    managers = ["kubectl-client-side-apply", "kube-controller-manager", "kubectl-set"]
    labels = {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "me"}
    made = plan(complete_release(managers=managers, labels=labels))

    assert not [name for name in names(made) if name.startswith("managed-by")]


def applied(text: str) -> Workload:
    key = "kubectl.kubernetes.io/last-applied-configuration"
    return complete_release(annotations={key: text, "deployment.kubernetes.io/revision": "2"})


def test_an_applied_file_with_the_bad_image_is_warned_of() -> None:
    text = json.dumps({"spec": {"template": template("app:v2")}})
    warned = guard(plan(applied(text)), "last-applied")

    assert warned.level is Level.WARN
    assert "has other images (api=app:v2)" in warned.summary
    assert "kubectl -n veza-production apply view-last-applied deployment/api" in warned.remedy


def test_an_applied_file_with_the_target_image_is_not() -> None:
    """As recorded: applied with v1.0.0, broken by `set image`, undone to v1.0.0."""
    text = json.dumps({"spec": {"template": template("app:v1")}})

    assert "last-applied" not in names(plan(applied(text)))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"spec": 3}', "[" * 9999])
def test_an_applied_file_that_cannot_be_read_is_warned_of(text: str) -> None:
    assert "cannot be read here" in guard(plan(applied(text)), "last-applied").summary


def test_blocks_come_first() -> None:
    made = plan(complete_release(paused=True, strategy={"type": "Recreate"}), UNCLEAR)
    levels = [list(Level).index(each.level) for each in made.guards]

    assert levels == sorted(levels)
    assert len(set(levels)) > 1


def test_the_target_is_pinned_by_its_template() -> None:
    seen = failed_release()
    made = plan(seen)
    [old] = [rs for rs in seen.replicasets if rs.metadata.name == "api-hash1"]

    assert same_template(made.template, old.spec.template)
    assert "pod-template-hash" not in made.template["metadata"]["labels"]
