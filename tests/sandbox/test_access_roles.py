"""Roles that a cluster begins with, sums of roles, giving rights away, acting as somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess
from tests.sandbox.planes import Stage, play
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver import policy
from veza_nb.sandbox.apiserver.access import User
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.identities import as_service_account
from veza_nb.sandbox.apiserver.messages import Request, Response

Json = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
ROLES = f"/apis/{RBAC}/v1/namespaces/{NAMESPACE}/roles"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@pytest.fixture
def begun(cluster: ApiInProcess) -> ApiInProcess:
    """A cluster with the roles that every cluster begins with."""
    for role in policy.cluster_roles():
        cluster.admin.create("clusterroles", None, role)
    for binding in policy.cluster_role_bindings():
        cluster.admin.create("clusterrolebindings", None, binding)
    return cluster


def bind(cluster: ApiInProcess, role: str, *, namespace: str | None = NAMESPACE, **who: str) -> Any:
    """Bind a ClusterRole to one subject."""
    subject = {"kind": "User", "name": "ada", **who}
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    metadata = {"generateName": "given-"}
    body = {"metadata": metadata, "roleRef": reference, "subjects": [subject]}
    plural = "rolebindings" if namespace else "clusterrolebindings"
    return cluster.admin.create(plural, namespace, body)


def can(cluster: ApiInProcess, user: User, verb: str, resource: str, **more: str) -> bool:
    attributes = {"verb": verb, "resource": resource, "namespace": NAMESPACE, **more}
    body = {"spec": {"resourceAttributes": attributes}}
    answer = cluster.api.handle(Request("POST", REVIEWS, document=body, user=user))
    assert isinstance(answer.document, dict)
    return bool(answer.document["status"]["allowed"])


ADA = User("ada")


@pytest.mark.parametrize(
    ("role", "verb", "what", "allowed"),
    [
        ("view", "list", "deployments.apps", True),
        ("view", "get", "pods/log", True),
        ("view", "get", "secrets", False),
        ("view", "patch", "deployments.apps", False),
        ("edit", "patch", "deployments.apps", True),
        ("edit", "patch", "deployments/scale.apps", True),
        ("edit", "get", "secrets", True),
        ("edit", "list", "deployments.apps", True),
        ("edit", "create", "pods/eviction", True),
        ("edit", "create", f"roles.{RBAC}", False),
        ("admin", "create", f"roles.{RBAC}", True),
        ("admin", "delete", "pods", True),
        ("admin", "list", "nodes", False),
        ("cluster-admin", "delete", "nodes", True),
    ],
)
def test_the_usual_roles_allow_what_they_do_everywhere(
    begun: ApiInProcess, role: str, verb: str, what: str, allowed: bool
) -> None:
    bind(begun, role)
    resource, _, group = what.partition(".")
    plural, _, below = resource.partition("/")

    assert can(begun, ADA, verb, plural, group=group, subresource=below) is allowed
    elsewhere = {"group": group, "subresource": below, "namespace": "default"}
    assert not can(begun, ADA, verb, plural, **elsewhere)


def test_what_everybody_may_do_can_be_taken_away_where_roles_are_stored(
    begun: ApiInProcess,
) -> None:
    assert begun.ask("GET", "/apis", user="ada").status == 200

    begun.admin.delete("clusterrolebindings", None, "system:discovery")

    assert begun.ask("GET", "/apis", user="ada").status == 403
    assert begun.ask("GET", "/version", user="ada").status == 200


def test_a_group_of_a_service_account_counts(begun: ApiInProcess) -> None:
    groups = (f"system:serviceaccounts:{NAMESPACE}", "system:authenticated")
    account = User(f"system:serviceaccount:{NAMESPACE}:y", groups)
    bind(begun, "view", kind="Group", name=f"system:serviceaccounts:{NAMESPACE}")

    assert can(begun, account, "list", "pods")


def test_a_review_says_which_binding_allows(begun: ApiInProcess) -> None:
    made = bind(begun, "view")
    spec = {"user": "ada", "resourceAttributes": {"verb": "get", "resource": "pods"}}
    spec["resourceAttributes"]["namespace"] = NAMESPACE  # type: ignore[index]

    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer: Any = begun.ask("POST", path, {"spec": spec}).document

    name = made["metadata"]["name"]
    assert answer["status"] == {
        "allowed": True,
        "reason": f'RBAC: allowed by RoleBinding "{name}/{NAMESPACE}" of ClusterRole "view" '
        'to User "ada"',
    }


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({}, ["spec.resourceAttributes", "spec.user"]),
        ({"user": "ada"}, ["spec.resourceAttributes"]),
        ({"groups": ["g"], "resourceAttributes": {}, "nonResourceAttributes": {}},
         ["spec.nonResourceAttributes"]),
    ],
)  # fmt: skip
def test_a_review_of_somebody_must_make_sense(
    cluster: ApiInProcess, spec: Json, fields: list[str]
) -> None:
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

    answer: Any = cluster.ask("POST", path, {"spec": spec}).document

    assert [cause["field"] for cause in answer["details"]["causes"]] == fields


def test_a_local_review_is_about_its_namespace(begun: ApiInProcess) -> None:
    bind(begun, "view")
    path = f"/apis/authorization.k8s.io/v1/namespaces/{NAMESPACE}/localsubjectaccessreviews"
    attributes = {"verb": "get", "resource": "pods", "namespace": NAMESPACE}

    body = {"spec": {"user": "ada", "resourceAttributes": attributes}}
    answer: Any = begun.ask("POST", path, body).document
    attributes["namespace"] = "default"
    refused = begun.refusal("POST", path, body)

    assert answer["status"]["allowed"]
    said = f"spec.resourceAttributes.namespace must match namespace: {NAMESPACE}"
    assert refused == (400, said)


# -- giving rights away -----------------------------------------------------------------------


def as_ada(cluster: ApiInProcess) -> Client:
    bind(cluster, "admin")
    return Client(cluster.api, "ada", "tests")


def rules(verbs: str, resources: str, group: str = "apps") -> list[Json]:
    return [{"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}]


def test_nobody_gives_rights_that_they_do_not_have(begun: ApiInProcess) -> None:
    ada = as_ada(begun)
    role = {"metadata": {"name": "mine"}, "rules": rules("get delete", "deployments nodes")}

    with pytest.raises(ApiError) as refused:
        ada.create("roles", NAMESPACE, role)

    assert (refused.value.code, refused.value.message) == (
        403,
        'roles.rbac.authorization.k8s.io "mine" is forbidden: user "ada" '
        '(groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently '
        'held:\n{APIGroups:["apps"], Resources:["nodes"], Verbs:["get" "delete"]}',
    )


def test_rights_that_are_held_can_be_given(begun: ApiInProcess) -> None:
    ada = as_ada(begun)
    role = {"metadata": {"name": "mine"}, "rules": rules("get delete", "deployments")}

    made = ada.create("roles", NAMESPACE, role)

    wider = {"rules": [*made["rules"], *rules("*", "*", "*")]}
    with pytest.raises(ApiError, match="not currently held"):
        ada.patch("roles", NAMESPACE, "mine", wider)
    ada.patch("roles", NAMESPACE, "mine", {"metadata": {"labels": {"a": "b"}}})
    ada.patch("roles", NAMESPACE, "mine", {"rules": rules("get", "deployments")})


def test_a_part_of_a_right_is_held_and_a_wider_one_is_not(begun: ApiInProcess) -> None:
    path = [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]
    named = [{**rules("get", "nodes", "")[0], "resourceNames": ["one", "two"]}]
    own = {"metadata": {"name": "own"}, "rules": [*named, *path]}
    begun.admin.create("clusterroles", None, own)
    everything = {"metadata": {"name": "giver"}, "rules": rules("create", "clusterroles", RBAC)}
    begun.admin.create("clusterroles", None, everything)
    for role in ("own", "giver"):
        bind(begun, role, namespace=None)
    ada = Client(begun.api, "ada", "tests")

    def give(name: str, given: list[Json]) -> None:
        ada.create("clusterroles", None, {"metadata": {"name": name}, "rules": given})

    give("one", [{**named[0], "resourceNames": ["one"]}])
    give("path", path)
    for wider in (
        rules("get", "nodes", ""),
        [{**named[0], "resourceNames": ["three"]}],
        [{"verbs": ["get"], "nonResourceURLs": ["/metrics/*"]}],
        rules("get", "nodes/status", ""),
    ):
        with pytest.raises(ApiError, match="not currently held"):
            give("wide", wider)


def test_a_binding_gives_only_a_role_that_is_held_or_may_be_bound(begun: ApiInProcess) -> None:
    ada = as_ada(begun)

    def give(role: str, name: str) -> None:
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
        subjects = [{"kind": "User", "name": "bob"}]
        body = {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}
        ada.create("rolebindings", NAMESPACE, body)

    give("view", "one")
    with pytest.raises(ApiError, match=r'{NonResourceURLs:\["\*"\], Verbs:\["\*"\]}'):
        give("cluster-admin", "two")
    with pytest.raises(ApiError, match=r'clusterroles\.rbac.* "x" not found'):
        give("x", "three")
    binder = {"metadata": {"name": "binder"}, "rules": rules("bind", "clusterroles", RBAC)}
    begun.admin.create("clusterroles", None, binder)
    bind(begun, "binder", namespace=None)
    give("cluster-admin", "two")


def test_who_may_escalate_may_give_anything(begun: ApiInProcess) -> None:
    ada = as_ada(begun)
    role = {"metadata": {"name": "escalator"}, "rules": rules("escalate", "roles", RBAC)}
    begun.admin.create("clusterroles", None, role)
    bind(begun, "escalator")

    ada.create("roles", NAMESPACE, {"metadata": {"name": "all"}, "rules": rules("*", "*", "*")})


def test_a_role_without_sense_is_refused_for_that(begun: ApiInProcess) -> None:
    reference = {"apiGroup": RBAC, "kind": "Nonsense", "name": "x"}
    body = {"metadata": {"name": "odd"}, "roleRef": reference, "subjects": []}

    with pytest.raises(ApiError) as refused:
        as_ada(begun).create("rolebindings", NAMESPACE, body)

    assert refused.value.code == 422


def test_a_sum_of_roles_follows_its_parts() -> None:
    async def story(stage: Stage) -> list[bool]:
        def sees() -> bool:
            role = stage.admin.get("clusterroles", None, "edit")
            return any("widgets" in rule["resources"] for rule in role["rules"])

        seen = [sees()]
        labels = {f"{RBAC}/aggregate-to-view": "true"}
        part = {"metadata": {"name": "part", "labels": labels}, "rules": rules("get", "widgets")}
        stage.admin.create("clusterroles", None, part)
        await stage.pass_time(1)
        seen.append(sees())
        stage.admin.delete("clusterroles", None, "part")
        await stage.pass_time(1)
        return [*seen, sees()]

    assert play(story) == [False, True, False]


# -- acting as somebody else ------------------------------------------------------------------


def acting(cluster: ApiInProcess, token: str, path: str = "/api", **headers: str) -> Response:
    named = {f"impersonate-{name}": value for name, value in headers.items()}
    named["authorization"] = f"Bearer {token}"
    return cluster.api.handle(Request("GET", path, headers=named))


@pytest.fixture
def people(begun: ApiInProcess) -> ApiInProcess:
    access = begun.api.core.access
    access.add_token("master", User("root", ("system:masters", "system:authenticated")))
    access.add_token("ada", ADA)
    return begun


def test_an_administrator_acts_as_anybody_and_has_only_their_rights(people: ApiInProcess) -> None:
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    bind(people, "view", name="bob")

    assert acting(people, "master", pods, user="bob").status == 200
    assert acting(people, "master", pods, user="eve").status == 403
    entry = people.api.audit.entries[-1]
    assert (entry.user, entry.impersonator) == ("eve", "root")
    assert entry.groups == ("system:authenticated",)


def test_a_service_account_that_is_acted_as_has_its_groups(people: ApiInProcess) -> None:
    acting(people, "master", user=f"system:serviceaccount:{NAMESPACE}:default")

    assert people.api.audit.entries[-1].groups == (
        "system:serviceaccounts",
        f"system:serviceaccounts:{NAMESPACE}",
        "system:authenticated",
    )


def test_the_groups_asked_for_are_the_only_ones(people: ApiInProcess) -> None:
    acting(people, "master", user="bob", group="ops\nnight")
    known = people.api.audit.entries[-1].groups
    acting(people, "master", user="system:anonymous")

    assert known == ("ops", "night", "system:authenticated")
    assert people.api.audit.entries[-1].groups == ("system:unauthenticated",)


def test_to_act_as_somebody_takes_a_right_for_each_of_their_traits(people: ApiInProcess) -> None:
    ones = [{"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"]}]
    ones[0]["resourceNames"] = ["bob"]
    role = {"metadata": {"name": "actor"}, "rules": ones}
    people.admin.create("clusterroles", None, role)
    bind(people, "actor", namespace=None)

    assert acting(people, "ada", user="bob").status == 200
    for headers, said in (
        ({"user": "eve"}, 'users "eve" is forbidden: User "ada" cannot impersonate resource '
         '"users" in API group "" at the cluster scope'),
        ({"user": "bob", "group": "ops"}, 'groups "ops" is forbidden: User "ada" cannot '
         'impersonate resource "groups" in API group "" at the cluster scope'),
        ({"user": "bob", "uid": "1"}, 'uids.authentication.k8s.io "1" is forbidden: User "ada" '
         'cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster '
         "scope"),
        ({"user": "bob", "extra-team": "x"}, 'userextras.authentication.k8s.io "x" is forbidden: '
         'User "ada" cannot impersonate resource "userextras/team" in API group '
         '"authentication.k8s.io" at the cluster scope'),
    ):  # fmt: skip
        answer: Any = acting(people, "ada", **headers)
        assert (answer.status, answer.document["message"]) == (403, said)


def test_groups_without_a_user_are_an_error_of_the_client(people: ApiInProcess) -> None:
    assert acting(people, "master", group="ops").status == 500


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("system:serviceaccount:a:b", ("a", "b")),
        ("system:serviceaccount:a", None),
        ("system:serviceaccount:a:b:c", None),
        ("system:serviceaccount::b", None),
        ("ada", None),
    ],
)
def test_the_name_of_a_service_account(name: str, account: tuple[str, str] | None) -> None:
    assert as_service_account(name) == account
