"""Certificates, tokens and the kubeconfig."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import httpx
import pytest
import yaml

from tests.sandbox.conftest import ApiServer
from veza_nb.sandbox.credentials import Credentials, write_kubeconfig


def test_a_kubeconfig_is_private_and_complete(tmp_path: Path) -> None:
    credentials, path = Credentials(), tmp_path / "deep" / "kubeconfig"

    write_kubeconfig(path, "https://127.0.0.1:1", credentials.ca_pem, credentials.tokens)
    write_kubeconfig(path, "https://127.0.0.1:2", credentials.ca_pem, credentials.tokens)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["kubeconfig"]
    found = yaml.safe_load(path.read_text("utf-8"))
    assert found["current-context"] == "veza-training"
    contexts = ["veza-training", "veza-training-nobody", "veza-training-bot"]
    assert [each["name"] for each in found["contexts"]] == contexts
    assert {each["context"]["namespace"] for each in found["contexts"]} == {"veza-production"}
    assert found["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:2"


def test_two_clusters_share_no_secret() -> None:
    one, two = Credentials(), Credentials()

    assert not set(one.tokens.values()) & set(two.tokens.values())
    assert one.ca_pem != two.ca_pem


def test_only_a_client_that_trusts_the_authority_gets_through(server: ApiServer) -> None:
    with (
        httpx.Client(verify=ssl.create_default_context()) as stranger,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        stranger.get(server.url)
    with server.http(None) as http:
        assert http.get("/healthz").text == "ok"
