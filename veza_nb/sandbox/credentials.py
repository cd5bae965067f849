"""The training cluster's certificates, tokens and kubeconfig; made afresh for each cluster."""

from __future__ import annotations

import base64
import os
import secrets
import ssl
from collections.abc import Mapping
from pathlib import Path

import trustme
import yaml

from veza_nb.sandbox.apiserver.access import AUTHENTICATED, MASTERS, Access, User

CLUSTER = "veza-training"
NAMESPACE = "veza-production"
_HOSTS = ("127.0.0.1", "localhost", "::1")
# Name in the kubeconfig to user: an administrator, somebody without rights, and a bot with the
# rights that roles give it.
USERS: Mapping[str, User] = {
    "admin": User("admin", (MASTERS, AUTHENTICATED), "uid-admin"),
    "nobody": User("nobody-user", (AUTHENTICATED,), "uid-nobody"),
    "bot": User("rollback-bot", (AUTHENTICATED,), "uid-bot"),
}


class Credentials:
    """A certificate authority, a server certificate signed by it, and a token a user."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name=CLUSTER, organization_unit_name="cluster CA")
        self._certificate = self._authority.issue_cert(*_HOSTS, common_name="kube-apiserver")
        self.tokens = {name: f"{name}-{secrets.token_hex(16)}" for name in USERS}

    @property
    def ca_pem(self) -> bytes:
        """The authority's certificate."""
        return self._authority.cert_pem.bytes()

    def access(self) -> Access:
        """Return an `Access` that knows the tokens."""
        return Access({token: USERS[name] for name, token in self.tokens.items()})

    def server_context(self) -> ssl.SSLContext:
        """Return the TLS settings of the server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._certificate.configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return the TLS settings of a client that trusts only this cluster."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context


def write_kubeconfig(path: Path, url: str, ca_pem: bytes, tokens: Mapping[str, str]) -> None:
    """Write a kubeconfig that only its owner can read.

    Args:
        path: File to write; replaced in one step.
        url: Of the server.
        ca_pem: Certificate to trust, embedded in the file.
        tokens: User ("admin", "nobody", "bot") to token. The context of "admin" carries the name of
            the cluster and is current; the others have their user's name appended.
    """
    authority = base64.b64encode(ca_pem).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": CLUSTER, "cluster": {"server": url, "certificate-authority-data": authority}}
        ],
        "users": [
            {"name": _user(name), "user": {"token": token}} for name, token in tokens.items()
        ],
        "contexts": [{"name": context(name), "context": _context(name)} for name in tokens],
        "current-context": CLUSTER,
        "preferences": {},
    }
    _write_private(path, yaml.safe_dump(document, sort_keys=False))


def context(name: str) -> str:
    """Return the context of a user of the training cluster."""
    return CLUSTER if name == "admin" else f"{CLUSTER}-{name}"


def _user(name: str) -> str:
    return f"{CLUSTER}-{name}"


def _context(name: str) -> dict[str, str]:
    return {"cluster": CLUSTER, "user": _user(name), "namespace": NAMESPACE}


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
