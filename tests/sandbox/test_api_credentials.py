"""Certificates, tokens and the kubeconfig."""

from __future__ import annotations

import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import yaml

from tests.sandbox.conftest import ApiServer
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.sandbox.serving.certificates import KeyPair
from veza_nb.sandbox.serving.credentials import Credentials, write_kubeconfig


def test_a_kubeconfig_is_private_and_complete(tmp_path: Path) -> None:
    credentials, path = Credentials(), tmp_path / "deep" / "kubeconfig"

    made = (credentials.ca_pem, credentials.tokens, credentials.certificates)
    write_kubeconfig(path, "https://127.0.0.1:1", *made)
    write_kubeconfig(path, "https://127.0.0.1:2", *made)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["kubeconfig"]
    found = yaml.safe_load(path.read_text("utf-8"))
    assert found["current-context"] == "veza-training"
    contexts = ["veza-training", "veza-training-nobody", "veza-training-bot"]
    contexts.append("veza-training-oncall")
    assert [each["name"] for each in found["contexts"]] == contexts
    assert {each["context"]["namespace"] for each in found["contexts"]} == {"veza-production"}
    assert found["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:2"


def test_two_clusters_share_no_secret() -> None:
    one, two = Credentials(), Credentials()

    assert not set(one.tokens.values()) & set(two.tokens.values())
    assert one.ca_pem != two.ca_pem
    keys = [each.key for made in (one, two) for each in made.certificates.values()]
    assert len(set(keys)) == len(keys)


def test_only_a_client_that_trusts_the_authority_gets_through(server: ApiServer) -> None:
    with (
        httpx.Client(verify=ssl.create_default_context()) as stranger,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        stranger.get(server.url)
    with server.http(None) as http:
        assert http.get("/healthz").text == "ok"


# -- client certificates ----------------------------------------------------------------------

WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def shown(server: ApiServer, pair: KeyPair | None, directory: Path, token: str = "") -> Any:
    """What a client with that certificate, and maybe a token, is told about itself."""
    context = server.credentials.client_context()
    if pair is not None:
        file = directory / "client.pem"
        file.write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(file)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=server.url, verify=context, headers=headers) as http:
        return http.post(WHOAMI, json={})


def test_a_certificate_says_who_and_in_which_groups(server: ApiServer, tmp_path: Path) -> None:
    pair = server.credentials.authority.issue("ada", ["veza:on-call", "night"])

    answer = shown(server, pair, tmp_path)

    told = answer.json()["status"]["userInfo"]
    assert answer.status_code == 201
    assert (told["username"], told["groups"]) == (
        "ada", ["veza:on-call", "night", "system:authenticated"],
    )  # fmt: skip
    (credential,) = told["extra"]["authentication.kubernetes.io/credential-id"]
    assert credential.startswith("X509SHA256=")


def test_a_certificate_of_the_masters_opens_every_door(server: ApiServer, tmp_path: Path) -> None:
    pair = server.credentials.authority.issue("root", ["system:masters"])
    file = tmp_path / "root.pem"
    file.write_bytes(pair.certificate + pair.key)
    context = server.credentials.client_context()
    context.load_cert_chain(file)

    with httpx.Client(base_url=server.url, verify=context) as http:
        assert http.get("/api/v1/nodes").status_code == 200


def test_an_expired_certificate_is_refused_by_the_api(server: ApiServer, tmp_path: Path) -> None:
    pair = server.credentials.authority.issue("ada", good_for=timedelta(seconds=-1))

    answer = shown(server, pair, tmp_path)

    assert (answer.status_code, answer.json()["message"]) == (401, "Unauthorized")


def test_a_certificate_of_a_stranger_is_not_let_in(server: ApiServer, tmp_path: Path) -> None:
    """A real server lets it through TLS and answers 401; Python's TLS ends the handshake."""
    stranger = Credentials().authority
    for pair in (stranger.issue("root", ["system:masters"]), _unsigned("root")):
        with pytest.raises(httpx.HTTPError):
            shown(server, pair, tmp_path)

    assert shown(server, None, tmp_path).status_code == 403


def _unsigned(name: str) -> KeyPair:
    """The certificate of an authority of one's own, which signs itself."""
    made = trustme.CA(organization_name=name)
    return KeyPair(made.cert_pem.bytes(), made.private_key_pem.bytes())


def test_a_good_token_helps_where_the_certificate_does_not(
    server: ApiServer, tmp_path: Path
) -> None:
    pair = server.credentials.authority.issue("ada", good_for=timedelta(seconds=-1))

    answer = shown(server, pair, tmp_path, server.credentials.tokens["bot"])

    assert answer.json()["status"]["userInfo"]["username"] == "rollback-bot"


def test_a_good_certificate_goes_before_a_token(server: ApiServer, tmp_path: Path) -> None:
    pair = server.credentials.authority.issue("ada")

    answer = shown(server, pair, tmp_path, server.credentials.tokens["bot"])

    assert answer.json()["status"]["userInfo"]["username"] == "ada"


def test_without_certificate_and_token_one_is_anonymous(server: ApiServer, tmp_path: Path) -> None:
    assert (
        shown(server, None, tmp_path)
        .json()["message"]
        .startswith(
            'selfsubjectreviews.authentication.k8s.io is forbidden: User "system:anonymous" cannot'
        )
    )


def test_only_certificates_of_clients_that_this_authority_signed_are_known() -> None:
    mine, other = Credentials().authority, Credentials().authority
    now = datetime.now(UTC)

    def der(pair: KeyPair) -> bytes:
        return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())

    known = mine.user(der(mine.issue("ada")), now)
    assert known is not None
    assert known.name == "ada"
    assert mine.user(der(other.issue("ada")), now) is None
    assert mine.user(b"nonsense", now) is None
    assert mine.user(der(mine.issue("ada")), now + timedelta(days=400)) is None


def test_kubectl_comes_with_the_certificate_of_its_context() -> None:
    with TrainingCluster.start() as cluster:
        words = ["kubectl", f"--kubeconfig={cluster.kubeconfig}", "--context=veza-training-oncall"]
        answer = subprocess.run(
            [*words, "auth", "whoami"], capture_output=True, text=True, check=True, timeout=30
        )

    lines = [line.split(maxsplit=1) for line in answer.stdout.splitlines()]
    assert ["Username", "ada"] in lines
    assert ["Groups", "[veza:on-call system:authenticated]"] in lines


def test_many_wrong_tokens_and_huge_headers_leave_the_server_well(server: ApiServer) -> None:
    kept = len(server.api.core.access.service_tokens._checked)
    with server.http() as http:
        for number in range(300):
            headers = {"Authorization": f"Bearer {number}.{'x' * number}.y"}
            assert http.get("/api", headers=headers).status_code == 401
        for size in (4000, 20_000, 200_000):
            code = http.get("/api", headers={"Authorization": "Bearer " + "x" * size}).status_code
            assert code in (400, 401, 431)
        assert http.get("/api").status_code == 200

    assert len(server.api.core.access.service_tokens._checked) == kept
