"""Client certificates: made for users, and read back when somebody shows one.

As in Kubernetes the common name is the user, and the organizations are the groups.
"""

from __future__ import annotations

import collections
import datetime as dates
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from veza_nb.sandbox.apiserver.identities import AUTHENTICATED, CREDENTIAL_ID, User

_GOOD_FOR = dates.timedelta(days=365)
# Clocks differ a little, and this one may be skewed on purpose.
_EARLIER = dates.timedelta(days=1)
_KEPT = 1000


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both in PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class _Known:
    """What a good certificate says: its user, and from when until when."""

    user: User
    begins: datetime
    ends: datetime


class ClientAuthority:
    """Signs client certificates and recognises those that it signed.

    Args:
        certificate: Of the authority, in PEM.
        key: Its private key, in PEM.
    """

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self._certificate = x509.load_pem_x509_certificate(certificate)
        self._key_pem = key
        # Checking a signature takes longer than most requests.
        self._read: collections.OrderedDict[bytes, _Known | None] = collections.OrderedDict()

    def issue(
        self,
        user: str,
        groups: Sequence[str] = (),
        *,
        now: datetime | None = None,
        good_for: dates.timedelta = _GOOD_FOR,
    ) -> KeyPair:
        """Return a new certificate of a user; `good_for` below zero makes an expired one."""
        key = ec.generate_private_key(ec.SECP256R1())
        begin = (now or datetime.now(dates.UTC)) - _EARLIER
        ends = begin + _EARLIER + good_for
        signer = serialization.load_pem_private_key(self._key_pem, None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(names))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(begin, ends - _EARLIER))
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(signer, hashes.SHA256())
        )
        plain = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return KeyPair(made.public_bytes(serialization.Encoding.PEM), plain)

    def user(self, certificate: bytes, now: datetime) -> User | None:
        """Return whose certificate (DER) that is; None when it is not good, or no longer."""
        if certificate not in self._read:
            self._read[certificate] = self._known(certificate)
            if len(self._read) > _KEPT:
                self._read.popitem(last=False)
        known = self._read[certificate]
        return known.user if known is not None and known.begins <= now <= known.ends else None

    def _known(self, raw: bytes) -> _Known | None:
        try:
            shown = x509.load_der_x509_certificate(raw)
            shown.verify_directly_issued_by(self._certificate)
            usage = shown.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return None
        names = _values(shown, NameOID.COMMON_NAME)
        if ExtendedKeyUsageOID.CLIENT_AUTH not in usage or not names:
            return None
        groups = (*_values(shown, NameOID.ORGANIZATION_NAME), AUTHENTICATED)
        digest = f"X509SHA256={hashlib.sha256(raw).hexdigest()}"
        user = User(names[0], tuple(dict.fromkeys(groups)), extra={CREDENTIAL_ID: (digest,)})
        return _Known(user, shown.not_valid_before_utc, shown.not_valid_after_utc)


def _values(shown: x509.Certificate, kind: x509.ObjectIdentifier) -> list[str]:
    return [str(each.value) for each in shown.subject.get_attributes_for_oid(kind)]
