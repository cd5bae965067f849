"""Tokens of ServiceAccounts: signed, for a time, for an audience, and only while their owner lives.

The key is made when the first one is issued, so that a cluster without them pays nothing.
"""

from __future__ import annotations

import base64
import collections
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from veza_nb.sandbox.apiserver.identities import (
    CREDENTIAL_ID,
    User,
    service_account_groups,
    service_account_name,
)
from veza_nb.sandbox.apiserver.store import Store

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

Json = dict[str, Any]
ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCES = (ISSUER,)
_KUBERNETES = "kubernetes.io"
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_COORDINATE_BYTES = 32
_KEPT = 1000
_BOUND_TABLES = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


@dataclass(frozen=True, slots=True)
class Bound:
    """The object that a token dies with: "Pod", "Secret" or "Node", its name and uid."""

    kind: str
    name: str
    uid: str


class ServiceTokens:
    """Issues and checks the tokens of ServiceAccounts."""

    def __init__(self) -> None:
        self._key: EllipticCurvePrivateKey | None = None
        self._key_id = ""
        # Checking a signature takes longer than most requests.
        self._checked: collections.OrderedDict[str, Json] = collections.OrderedDict()

    def issue(
        self,
        account: Json,
        now: datetime,
        seconds: int,
        audiences: Sequence[str] = AUDIENCES,
        bound: Bound | None = None,
    ) -> str:
        """Return a new token of a ServiceAccount that is good for so many seconds."""
        metadata = account["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        inside: Json = {"namespace": namespace}
        inside["serviceaccount"] = {"name": name, "uid": metadata["uid"]}
        if bound is not None:
            inside[bound.kind.lower()] = {"name": bound.name, "uid": bound.uid}
        begin = int(now.timestamp())
        claims = {
            "aud": list(audiences),
            "exp": begin + seconds,
            "iat": begin,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            _KUBERNETES: inside,
            "nbf": begin,
            "sub": service_account_name(namespace, name),
        }
        return self._sign(claims)

    def user(
        self, store: Store, now: datetime, token: str, audiences: Sequence[str] = AUDIENCES
    ) -> User | None:
        """Return whose token that is, or None when it is not good, or not any more."""
        claims = self.claims(token)
        if claims is None or not set(audiences) & set(claims["aud"]):
            return None
        if not claims["nbf"] <= now.timestamp() < claims["exp"]:
            return None
        inside = claims[_KUBERNETES]
        namespace, owner = inside["namespace"], inside["serviceaccount"]
        if not _lives(store, "serviceaccounts", namespace, owner):
            return None
        extra = {CREDENTIAL_ID: (f"JTI={claims['jti']}",)}
        for kind, plural in _BOUND_TABLES.items():
            bound = inside.get(kind.lower())
            if bound is not None:
                space = "" if kind == "Node" else namespace
                if not _lives(store, plural, space, bound):
                    return None
                if kind == "Pod":
                    extra |= {_POD_NAME: (bound["name"],), _POD_UID: (bound["uid"],)}
        return User(claims["sub"], service_account_groups(namespace), owner["uid"], extra)

    def claims(self, token: str) -> Json | None:
        """Return what a token says, if it is signed here; None for any other text."""
        found = self._checked.get(token)
        if found is None and self._key is not None and token.count(".") == 2:
            found = self._verify(token)
            if found is not None:
                self._checked[token] = found
                if len(self._checked) > _KEPT:
                    self._checked.popitem(last=False)
        return found

    def _sign(self, claims: Json) -> str:
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - only with such tokens
        from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415

        if self._key is None:
            self._key, self._key_id = ec.generate_private_key(ec.SECP256R1()), uuid.uuid4().hex
        head = _encoded({"alg": "ES256", "kid": self._key_id})
        text = f"{head}.{_encoded(claims)}"
        signed = self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        numbers = utils.decode_dss_signature(signed)
        raw = b"".join(number.to_bytes(_COORDINATE_BYTES, "big") for number in numbers)
        return f"{text}.{_base64(raw)}"

    def _verify(self, token: str) -> Json | None:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415

        assert self._key is not None
        text, _, signature = token.rpartition(".")
        try:
            raw = _decoded(signature)
            if len(raw) != 2 * _COORDINATE_BYTES:
                return None
            one = int.from_bytes(raw[:_COORDINATE_BYTES], "big")
            two = int.from_bytes(raw[_COORDINATE_BYTES:], "big")
            signed = utils.encode_dss_signature(one, two)
            self._key.public_key().verify(signed, text.encode(), ec.ECDSA(hashes.SHA256()))
            claims: Json = json.loads(_decoded(text.partition(".")[2]))
        except (InvalidSignature, ValueError):
            return None
        return claims


def _lives(store: Store, plural: str, namespace: str, named: Json) -> bool:
    found = store.table(plural).get(namespace, named["name"])
    return found is not None and found["metadata"]["uid"] == named["uid"]


def _encoded(value: Json) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
