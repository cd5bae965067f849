"""The training cluster's certificates, tokens and kubeconfig; made afresh for each cluster."""

from __future__ import annotations

import base64
import os
import secrets
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import trustme
import yaml

from veza_nb.sandbox.apiserver.access import AUTHENTICATED, MASTERS, Access, User
from veza_nb.sandbox.serving.certificates import ClientAuthority, KeyPair

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
# Name in the kubeconfig to the user and the groups of a client certificate.
CERTIFIED: Mapping[str, tuple[str, Sequence[str]]] = {"oncall": ("ada", ("veza:on-call",))}
# A certificate that has expired is refused as such by the API, not by the handshake.
_NO_CHECK_OF_TIME = 0x200000


class Credentials:
    """A certificate authority, a server certificate signed by it, and a token a user.

    Attributes:
        tokens: User in the kubeconfig to token.
        authority: Signs and recognises client certificates.
        certificates: User in the kubeconfig to client certificate.
    """

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name=CLUSTER, organization_unit_name="cluster CA")
        self._certificate = self._authority.issue_cert(*_HOSTS, common_name="kube-apiserver")
        self.tokens = {name: new_token(name) for name in USERS}
        key = self._authority.private_key_pem.bytes()
        self.authority = ClientAuthority(self.ca_pem, key)
        self.certificates = {
            name: self.authority.issue(user, groups) for name, (user, groups) in CERTIFIED.items()
        }

    @property
    def ca_pem(self) -> bytes:
        """The authority's certificate."""
        return self._authority.cert_pem.bytes()

    def groups_of(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Return the user and the groups of a client certificate made at the start."""
        user, groups = CERTIFIED[name]
        return user, tuple(groups)

    def access(self) -> Access:
        """Return an `Access` that knows the tokens and the client certificates."""
        known = {token: USERS[name] for name, token in self.tokens.items()}
        return Access(known, self.authority)

    def server_context(self) -> ssl.SSLContext:
        """Return the TLS settings of the server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._certificate.configure_cert(context)
        self._authority.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= _NO_CHECK_OF_TIME
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return the TLS settings of a client that trusts only this cluster."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context


def new_token(name: str) -> str:
    """Return a bearer token that nobody can guess."""
    return f"{name}-{secrets.token_hex(16)}"


def write_kubeconfig(
    path: Path,
    url: str,
    ca_pem: bytes,
    tokens: Mapping[str, str],
    certificates: Mapping[str, KeyPair] = MappingProxyType({}),
) -> None:
    """Write a kubeconfig that only its owner can read.

    Args:
        path: File to write; replaced in one step.
        url: Of the server.
        ca_pem: Certificate to trust, embedded in the file.
        tokens: User ("admin", "nobody", "bot") to token. The context of "admin" carries the name of
            the cluster and is current; the others have their user's name appended.
        certificates: The same for users with a client certificate.
    """
    authority = _encoded(ca_pem)
    users = {name: {"token": token} for name, token in tokens.items()}
    users |= {name: _key_pair(pair) for name, pair in certificates.items()}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": CLUSTER, "cluster": {"server": url, "certificate-authority-data": authority}}
        ],
        "users": [{"name": _user(name), "user": user} for name, user in users.items()],
        "contexts": [{"name": context(name), "context": _context(name)} for name in users],
        "current-context": CLUSTER,
        "preferences": {},
    }
    _write_private(path, yaml.safe_dump(document, sort_keys=False))


def _key_pair(pair: KeyPair) -> dict[str, str]:
    return {
        "client-certificate-data": _encoded(pair.certificate),
        "client-key-data": _encoded(pair.key),
    }


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


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
