"""Who may do what: tokens, roles, reviews."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, deployment
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver.client import Client

Json = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"


def _grant(cluster: ApiInProcess, *rules: Json, subject: Json | None = None) -> None:
    subject = subject or {"kind": "User", "name": "rollback-bot"}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "bot"}
    cluster.admin.create("roles", NAMESPACE, {"metadata": {"name": "bot"}, "rules": list(rules)})
    cluster.admin.create(
        "rolebindings",
        NAMESPACE,
        {"metadata": {"name": "bot"}, "roleRef": reference, "subjects": [subject]},
    )


def _rule(verbs: str, resources: str, group: str = "apps", names: str = "") -> Json:
    rule: Json = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    if names:
        rule["resourceNames"] = names.split()
    return rule


def test_the_least_role_for_an_undo_is_enough_and_nothing_more(cluster: ApiInProcess) -> None:
    cluster.admin.create("deployments", NAMESPACE, deployment())
    _grant(cluster, _rule("get patch", "deployments"), _rule("list", "replicasets"))
    bot = Client(cluster.api, "rollback-bot", "bot")

    bot.get("deployments", NAMESPACE, "web")
    bot.list("replicasets", NAMESPACE)
    bot.patch("deployments", NAMESPACE, "web", {"spec": {"replicas": 2}})
    for forbidden in (
        lambda: bot.list("deployments", NAMESPACE),
        lambda: bot.get("pods", NAMESPACE, "x"),
        lambda: bot.patch("deployments", NAMESPACE, "web", {}, subresource="scale"),
        lambda: bot.patch("deployments", "default", "web", {}),
        lambda: bot.delete("deployments", NAMESPACE, "web"),
        lambda: bot.list("replicasets"),
    ):
        with pytest.raises(ApiError) as refused:
            forbidden()
        assert refused.value.code == 403


def test_a_subresource_needs_a_right_of_its_own(cluster: ApiInProcess) -> None:
    cluster.admin.create("deployments", NAMESPACE, deployment())
    _grant(cluster, _rule("patch", "deployments/scale"))
    bot = Client(cluster.api, "rollback-bot", "bot")

    scaled = bot.patch(
        "deployments", NAMESPACE, "web", {"spec": {"replicas": 3}}, subresource="scale"
    )

    assert scaled["spec"] == {"replicas": 3}
    with pytest.raises(ApiError, match='cannot patch resource "deployments" in API group'):
        bot.patch("deployments", NAMESPACE, "web", {})


def test_a_role_may_be_for_single_names_also_in_a_selected_list(cluster: ApiInProcess) -> None:
    cluster.admin.create("deployments", NAMESPACE, deployment())
    _grant(cluster, _rule("get list watch", "deployments", names="web"))
    bot = Client(cluster.api, "rollback-bot", "bot")

    assert len(bot.list("deployments", NAMESPACE, field_selector="metadata.name=web")) == 1
    with pytest.raises(ApiError):
        bot.list("deployments", NAMESPACE)
    with pytest.raises(ApiError):
        bot.get("deployments", NAMESPACE, "other")


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "Group", "name": "on-call"},
        {"kind": "Group", "name": "system:authenticated"},
        {"kind": "User", "name": "ada"},
    ],
)
def test_rights_come_through_users_and_groups(cluster: ApiInProcess, subject: Json) -> None:
    _grant(cluster, _rule("list", "deployments"), subject=subject)

    ada = Client(cluster.api, "ada", "ada", groups=("on-call",))

    assert ada.list("deployments", NAMESPACE) == []


def test_a_cluster_role_counts_everywhere_or_where_it_is_bound(cluster: ApiInProcess) -> None:
    role = {"metadata": {"name": "reader"}, "rules": [_rule("list", "*", "*")]}
    cluster.admin.create("clusterroles", None, role)
    reference = {"kind": "ClusterRole", "name": "reader"}
    for user, plural, namespace in (
        ("near", "rolebindings", NAMESPACE),
        ("far", "clusterrolebindings", None),
    ):
        subjects = [{"kind": "User", "name": user}]
        body = {"metadata": {"name": user}, "roleRef": reference, "subjects": subjects}
        cluster.admin.create(plural, namespace, body)

    near, far = (Client(cluster.api, user, user) for user in ("near", "far"))
    assert near.list("deployments", NAMESPACE) == far.list("deployments", "default") == []
    assert len(far.list("namespaces")) == 1
    for allowed_nowhere_else in ("default", None):
        with pytest.raises(ApiError):
            near.list("deployments", allowed_nowhere_else)


def _review(cluster: ApiInProcess, user: str, **attributes: str) -> bool:
    body = {"spec": {"resourceAttributes": attributes}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    document: Any = cluster.ask("POST", path, body, user=user).document
    return bool(document["status"]["allowed"])


def test_a_review_tells_what_a_request_would_find(cluster: ApiInProcess) -> None:
    _grant(cluster, _rule("get", "deployments"))
    asked = {"namespace": NAMESPACE, "group": "apps", "resource": "deployments", "verb": "get"}

    assert _review(cluster, "rollback-bot", **asked)
    assert not _review(cluster, "rollback-bot", **{**asked, "verb": "patch"})
    assert not _review(cluster, "rollback-bot", **{**asked, "subresource": "scale"})
    assert not _review(cluster, "rollback-bot", **{**asked, "namespace": ""})
    assert _review(cluster, "system:anybody", **{**asked, "verb": "anything"})


def test_a_review_must_be_about_exactly_one_thing(cluster: ApiInProcess) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    both = {"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/x"}}

    for spec in ({}, both):
        assert cluster.refusal("POST", path, {"spec": spec})[0] == 422


def test_the_rules_of_a_bound_role_are_listed(cluster: ApiInProcess) -> None:
    rule = _rule("get patch", "deployments")
    _grant(cluster, rule)
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"

    body = {"spec": {"namespace": NAMESPACE}}
    document: Any = cluster.ask("POST", path, body, user="rollback-bot").document

    assert rule in document["status"]["resourceRules"]


def test_paths_are_guarded_too(cluster: ApiInProcess) -> None:
    assert cluster.ask("GET", "/version", user="nobody").status == 200
    assert cluster.refusal("GET", "/metrics", user="nobody") == (
        403,
        'forbidden: User "nobody" cannot get path "/metrics"',
    )


def test_every_request_is_in_the_audit_log_with_verb_and_code(cluster: ApiInProcess) -> None:
    cluster.api.audit.entries.clear()
    agent = {"user_agent": "kubectl/v1.32"}
    cluster.ask("POST", DEPLOYMENTS, deployment(), **agent)
    patch = {"spec": {"replicas": 2}}
    kind = "application/merge-patch+json"
    cluster.ask("PATCH", f"{DEPLOYMENTS}/web?dryRun=All", patch, content_type=kind, **agent)
    cluster.ask("GET", f"{DEPLOYMENTS}/web/scale", user="nobody", **agent)
    cluster.ask("DELETE", DEPLOYMENTS, **agent)

    told = [
        (each.verb, each.resource, each.subresource, each.name, each.code, each.dry_run)
        for each in cluster.api.audit.entries
    ]
    assert told == [
        ("create", "deployments", "", "web", 201, False),
        ("patch", "deployments", "", "web", 200, True),
        ("get", "deployments", "scale", "web", 403, False),
        ("deletecollection", "deployments", "", "", 200, False),
    ]
    assert {each.agent for each in cluster.api.audit.entries} == {"kubectl/v1.32"}
    assert cluster.api.audit.entries[1].content_type == kind
