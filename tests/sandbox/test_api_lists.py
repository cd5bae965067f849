"""Lists: selectors, pages, versions, forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, deployment, pod
from veza_nb.sandbox.apimachinery import selectors
from veza_nb.sandbox.apimachinery.status import ApiError

Json = dict[str, Any]
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def _names(document: Any) -> list[str]:
    return [each["metadata"]["name"] for each in document["items"]]


@pytest.fixture
def pods(cluster: ApiInProcess) -> ApiInProcess:
    """Five pods: a and b of app x, c of app y, d without labels, e on a node."""
    for name, labels in (
        ("a", {"app": "x", "n": "1"}),
        ("b", {"app": "x", "n": "5"}),
        ("c", {"app": "y"}),
        ("d", {}),
        ("e", {"app": "x", "tier": "front"}),
    ):
        cluster.admin.create("pods", NAMESPACE, pod(name, **labels))
    node = {"target": {"name": "node-1"}}
    cluster.admin.create("pods", NAMESPACE, node, name="e", subresource="binding")
    return cluster


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=x", "abe"),
        ("app==x,tier", "e"),
        ("app!=x", "cd"),
        ("app in (x, y)", "abce"),
        ("app notin (x)", "cd"),
        ("app", "abce"),
        ("!app", "d"),
        ("n>1", "b"),
        ("n<3", "a"),
        ("app=x,!tier", "ab"),
        ("app=", ""),
        ("", "abcde"),
    ],
)
def test_labels_select(pods: ApiInProcess, selector: str, names: str) -> None:
    answer = pods.ask("GET", f"{PODS}?labelSelector={quote(selector)}")

    assert list(names) == _names(answer.document)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("===", "found '==', expected: !, identifier, or 'end of string'"),
        ("a b", "found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in x", "found 'x' expected: '('"),
        ("a in (x", "found '', expected: ',' or ')'"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("(", "found '(', expected: !, identifier, or 'end of string'"),
    ],
)
def test_a_broken_label_selector_is_refused_in_the_servers_words(
    selector: str, message: str
) -> None:
    with pytest.raises(ApiError) as refused:
        selectors.label_selector(selector)

    assert (400, message) == (refused.value.code, refused.value.message)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("metadata.name=b", "b"),
        ("metadata.name!=b", "acde"),
        ("spec.nodeName=node-1", "e"),
        ("spec.nodeName=", "abcd"),
        ("status.phase=Pending,metadata.name=a", "a"),
        ("metadata.namespace=elsewhere", ""),
        ("metadata.name=nobody", ""),
    ],
)
def test_fields_select(pods: ApiInProcess, selector: str, names: str) -> None:
    answer = pods.ask("GET", f"{PODS}?fieldSelector={quote(selector)}")

    assert list(names) == _names(answer.document)


def test_events_are_selected_by_what_they_are_about(cluster: ApiInProcess) -> None:
    for name, about, kind in (("e1", "web-1", "Warning"), ("e2", "web-2", "Normal")):
        event = {
            "metadata": {"name": name},
            "involvedObject": {"kind": "Pod", "name": about, "namespace": NAMESPACE},
            "reason": "Killing",
            "type": kind,
        }
        cluster.admin.create("events", NAMESPACE, event)

    for selector in ("involvedObject.name=web-1", "type=Warning", "reason=Killing,type!=Normal"):
        found = cluster.admin.list("events", NAMESPACE, field_selector=selector)
        assert [each["metadata"]["name"] for each in found] == ["e1"]


def test_an_event_is_the_same_through_both_groups(cluster: ApiInProcess) -> None:
    path = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"
    event = {
        "metadata": {"name": "e1"},
        "eventTime": "2026-01-02T03:04:05.000006Z",
        "regarding": {"kind": "Pod", "name": "web-1", "namespace": NAMESPACE},
        "note": "it happened",
        "reason": "Killing",
        "reportingController": "kubelet",
        "reportingInstance": "node-1",
        "action": "Kill",
        "type": "Normal",
    }

    assert cluster.ask("POST", path, event).status == 201
    core = cluster.admin.get("events", NAMESPACE, "e1")
    assert (
        core["message"],
        core["reportingComponent"],
        core["involvedObject"]["name"],
    ) == ("it happened", "kubelet", "web-1")
    patch = {"note": "twice"}
    headers = {"content_type": "application/merge-patch+json"}
    changed = cluster.ask("PATCH", f"{path}/e1", patch, **headers).document
    assert changed["note"] == "twice"  # type: ignore[index]
    assert cluster.admin.get("events", NAMESPACE, "e1")["message"] == "twice"


def _pages(cluster: ApiInProcess, limit: int) -> list[list[str]]:
    pages, token = [], ""
    while True:
        page: Any = cluster.ask("GET", f"{PODS}?limit={limit}&continue={token}").document
        pages.append(_names(page))
        token = page["metadata"].get("continue", "")
        if not token:
            return pages


def test_pages_make_up_the_whole_list(pods: ApiInProcess) -> None:
    assert _pages(pods, 2) == [["a", "b"], ["c", "d"], ["e"]]
    assert _pages(pods, 5) == [["a", "b", "c", "d", "e"]]


def test_later_pages_show_the_state_of_the_first(pods: ApiInProcess) -> None:
    first: Any = pods.ask("GET", f"{PODS}?limit=2").document
    pods.admin.delete("pods", NAMESPACE, "c")
    pods.admin.create("pods", NAMESPACE, pod("bb"))

    token = first["metadata"]["continue"]
    rest: Any = pods.ask("GET", f"{PODS}?limit=9&continue={token}").document

    assert _names(rest) == ["c", "d", "e"]
    assert first["metadata"]["resourceVersion"] == rest["metadata"]["resourceVersion"]


def test_pages_of_all_namespaces_go_by_namespace_then_name(pods: ApiInProcess) -> None:
    pods.admin.create("namespaces", None, {"metadata": {"name": "another"}})
    pods.admin.create("pods", "another", pod("z"))

    first: Any = pods.ask("GET", "/api/v1/pods?limit=2").document
    token = first["metadata"]["continue"]
    rest: Any = pods.ask("GET", f"/api/v1/pods?continue={token}").document

    assert _names(first) == ["z", "a"]
    assert _names(rest) == ["b", "c", "d", "e"]


@pytest.mark.parametrize("token", ["x", "e30", "!!!", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ"])
def test_a_token_that_was_never_given_out_is_refused(pods: ApiInProcess, token: str) -> None:
    code, message = pods.refusal("GET", f"{PODS}?limit=2&continue={token}")

    assert (code, message.startswith("continue key is not valid")) == (400, True)


def test_a_list_at_an_exact_version_shows_that_state(pods: ApiInProcess) -> None:
    then = pods.api.core.store.version
    pods.admin.delete("pods", NAMESPACE, "a")
    query = f"resourceVersion={then}&resourceVersionMatch=Exact"

    assert list("abcde") == _names(pods.ask("GET", f"{PODS}?{query}").document)
    assert list("bcde") == _names(pods.ask("GET", f"{PODS}?resourceVersion={then}").document)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersionMatch=Sometimes&resourceVersion=1", 422),
        ("resourceVersionMatch=Exact&resourceVersion=0", 422),
        ("limit=many", 400),
        ("fieldSelector=spec.color%3Dred", 400),
        ("fieldSelector=nonsense", 400),
    ],
)
def test_options_that_make_no_sense_are_refused(pods: ApiInProcess, query: str, code: int) -> None:
    assert code == pods.refusal("GET", f"{PODS}?{query}")[0]


def test_a_table_can_carry_whole_objects_or_none(pods: ApiInProcess) -> None:
    for include, kind in (("Object", "Pod"), ("Metadata", "PartialObjectMetadata"), ("None", None)):
        table: Any = pods.ask("GET", f"{PODS}/a?includeObject={include}", accept=TABLE).document
        found = table["rows"][0]["object"]
        assert kind == (found and found["kind"])


def test_older_clients_get_the_beta_form(pods: ApiInProcess) -> None:
    accept = "application/json;as=Table;v=v1beta1;g=meta.k8s.io"

    table: Any = pods.ask("GET", PODS, accept=accept).document

    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1beta1")


def test_a_client_that_wants_tables_gets_its_refusals_as_they_are(pods: ApiInProcess) -> None:
    assert pods.refusal("GET", f"{PODS}/nobody", accept=TABLE) == (404, 'pods "nobody" not found')


def test_a_created_object_comes_back_in_the_form_asked_for(cluster: ApiInProcess) -> None:
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"

    table: Any = cluster.ask("POST", path, deployment(), accept=TABLE).document

    assert table["rows"][0]["cells"][:4] == ["web", "0/1", 0, 0]
