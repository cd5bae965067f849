"""Tokens of ServiceAccounts: asked for, shown, reviewed, and when they are good no more."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, pod
from veza_nb.sandbox.apiserver.access import Access
from veza_nb.sandbox.apiserver.api import Api
from veza_nb.sandbox.apiserver.audit import AuditLog
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.apiserver.messages import Request, Response

Json = dict[str, Any]
TOKENS = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default/token"
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
ISSUER = "https://kubernetes.default.svc.cluster.local"


class Watch:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


class Tokens(ApiInProcess):
    """An API with a ServiceAccount and a clock of its own."""

    def __init__(self) -> None:
        self.clock, self.logs = Watch(), LogStore()
        self.api = Api(clock=self.clock, logs=self.logs, access=Access(), audit=AuditLog())
        self.admin = Client(self.api, "admin", "tests")
        self.admin.create("namespaces", None, {"metadata": {"name": NAMESPACE}})
        self.account = self.admin.create(
            "serviceaccounts", NAMESPACE, {"metadata": {"name": "default"}}
        )

    def token(self, **spec: object) -> str:
        answer: Any = self.ask("POST", TOKENS, {"spec": spec}).document
        return str(answer["status"]["token"])

    def show(self, token: str, path: str = SELF, body: object = None) -> Response:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        content = json.dumps(body or {}).encode()
        return self.api.handle(Request("POST", path, headers=headers, body=content))


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


def claims(token: str) -> Json:
    part = token.split(".")[1]
    found: Json = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_a_token_is_asked_for_and_says_whose_it_is(tokens: Tokens) -> None:
    response = tokens.ask("POST", TOKENS, {"spec": {"expirationSeconds": 900}})
    answer: Any = response.document
    said = claims(answer["status"]["token"])

    uid = tokens.account["metadata"]["uid"]
    assert (response.status, answer["kind"]) == (201, "TokenRequest")
    assert answer["spec"] == {
        "audiences": [ISSUER], "expirationSeconds": 900, "boundObjectRef": None,
    }  # fmt: skip
    assert answer["status"]["expirationTimestamp"] == "2026-11-24T00:15:00Z"
    assert said["exp"] - said["iat"] == 900
    assert (said["iss"], said["aud"]) == (ISSUER, [ISSUER])
    assert said["sub"] == f"system:serviceaccount:{NAMESPACE}:default"
    account = {"namespace": NAMESPACE, "serviceaccount": {"name": "default", "uid": uid}}
    assert said["kubernetes.io"] == account


def test_its_bearer_is_the_service_account(tokens: Tokens) -> None:
    token = tokens.token()

    answer: Any = tokens.show(token).document

    assert answer["status"]["userInfo"] == {
        "username": f"system:serviceaccount:{NAMESPACE}:default",
        "uid": tokens.account["metadata"]["uid"],
        "groups": [
            "system:serviceaccounts",
            f"system:serviceaccounts:{NAMESPACE}",
            "system:authenticated",
        ],
        "extra": {"authentication.kubernetes.io/credential-id": [f"JTI={claims(token)['jti']}"]},
    }


def _spoiled(token: str) -> str:
    head, _, sign = token.split(".")
    other = {**claims(token), "sub": "system:serviceaccount:kube-system:root"}
    text = base64.urlsafe_b64encode(json.dumps(other).encode()).rstrip(b"=").decode()
    return f"{head}.{text}.{sign}"


@pytest.mark.parametrize("spoil", [
    _spoiled,
    lambda token: token[:-4] + "AAAA",
    lambda token: token.rpartition(".")[0] + ".",
    lambda token: token.rpartition(".")[0] + ".*ä*",
    lambda token: token + ".x",
    lambda _: "a.b.c",
    lambda _: "..",
])  # fmt: skip
def test_what_is_not_signed_here_is_nobodys(tokens: Tokens, spoil: Any) -> None:
    token = tokens.token()
    assert tokens.show(token).status == 201

    assert tokens.show(spoil(token)).status == 401


def test_a_token_of_another_cluster_is_nobodys(tokens: Tokens) -> None:
    tokens.token()

    assert tokens.show(Tokens().token()).status == 401


def test_a_token_ends_when_its_time_is_up(tokens: Tokens) -> None:
    token = tokens.token(expirationSeconds=600)

    tokens.clock.at += timedelta(seconds=599)
    before = tokens.show(token).status
    tokens.clock.at += timedelta(seconds=1)

    assert (before, tokens.show(token).status) == (201, 401)


def test_a_token_dies_with_its_account_even_if_one_of_that_name_comes_back(tokens: Tokens) -> None:
    token = tokens.token()

    tokens.admin.delete("serviceaccounts", NAMESPACE, "default")
    gone = tokens.show(token).status
    tokens.admin.create("serviceaccounts", NAMESPACE, {"metadata": {"name": "default"}})

    assert (gone, tokens.show(token).status) == (401, 401)
    assert tokens.show(tokens.token()).status == 201


def test_a_token_that_is_bound_to_a_pod_dies_with_it(tokens: Tokens) -> None:
    made = tokens.admin.create("pods", NAMESPACE, pod("web"))
    token = tokens.token(boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "web"})

    answer: Any = tokens.show(token).document
    tokens.admin.delete("pods", NAMESPACE, "web", grace=0)

    extra = answer["status"]["userInfo"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["web"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [made["metadata"]["uid"]]
    assert tokens.show(token).status == 401


def test_a_token_for_others_does_not_open_this_door(tokens: Tokens) -> None:
    assert tokens.show(tokens.token(audiences=["vault"])).status == 401
    assert tokens.show(tokens.token(audiences=["vault", ISSUER])).status == 201


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        ({"expirationSeconds": 599}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 2**32 + 1}, 422, "may not specify a duration larger than 2^32"),
        ({"expirationSeconds": "long"}, 400, "cannot be handled as a TokenRequest"),
        ({"boundObjectRef": {"kind": "Pod", "name": "no"}}, 404, 'pods "no" not found'),
        ({"boundObjectRef": {"kind": "Deployment", "name": "no"}}, 400, "cannot bind token"),
        ({"boundObjectRef": {"kind": "Pod", "name": "web", "uid": "x"}}, 409, "does not match"),
    ],
)
def test_a_request_without_sense_is_refused(
    tokens: Tokens, spec: Json, code: int, said: str
) -> None:
    tokens.admin.create("pods", NAMESPACE, pod("web"))

    answer = tokens.refusal("POST", TOKENS, {"spec": spec})

    assert answer[0] == code
    assert said in answer[1]


def test_a_token_is_for_those_who_may_and_for_accounts_that_are(tokens: Tokens) -> None:
    assert tokens.refusal("POST", TOKENS, {"spec": {}}, user="ada") == (
        403,
        'serviceaccounts "default" is forbidden: User "ada" cannot create resource '
        f'"serviceaccounts/token" in API group "" in the namespace "{NAMESPACE}"',
    )
    missing = TOKENS.replace("default/", "nobody/")
    assert tokens.refusal("POST", missing, {"spec": {}})[0] == 404
    assert tokens.refusal("GET", TOKENS)[0] == 405


def test_a_review_tells_whose_token_it_is(tokens: Tokens) -> None:
    answer: Any = tokens.ask("POST", REVIEWS, {"spec": {"token": tokens.token()}}).document

    assert answer["status"]["authenticated"]
    assert answer["status"]["audiences"] == [ISSUER]
    assert answer["status"]["user"]["username"] == f"system:serviceaccount:{NAMESPACE}:default"


def test_a_review_of_nobodys_token_says_so(tokens: Tokens) -> None:
    for spec in ({"token": "x"}, {"token": tokens.token(), "audiences": ["vault"]}):
        answer: Any = tokens.ask("POST", REVIEWS, {"spec": spec}).document
        assert answer["status"] == {"user": {}, "error": "invalid bearer token"}
    assert tokens.refusal("POST", REVIEWS, {"spec": {}}) == (
        400, "token is required for TokenReview in authentication",
    )  # fmt: skip


def test_a_dry_run_gives_no_token(tokens: Tokens) -> None:
    answer: Any = tokens.ask("POST", f"{TOKENS}?dryRun=All", {"spec": {}}).document

    assert answer["status"]["token"] == ""
