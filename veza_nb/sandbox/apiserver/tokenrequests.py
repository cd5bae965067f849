"""`kubectl create token`: a token of a ServiceAccount, for a time and an audience."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.decoding import DecodeError, decode
from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.calls import Call, Core, timestamp
from veza_nb.sandbox.apiserver.messages import Response
from veza_nb.sandbox.apiserver.tokens import AUDIENCES, Bound

Json = dict[str, Any]
_SCHEMA = "authentication.v1.TokenRequest"
_GROUP = "authentication.k8s.io"
_USUAL_SECONDS = 3600
_LEAST_SECONDS, _MOST_SECONDS = 600, 2**32
_PLURALS = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


def answer(core: Core, call: Call, account: Json) -> Response:
    """Answer a TokenRequest with a new token.

    Raises:
        ApiError: 400 for a broken body, 409 and 404 for what the token is to be bound to, 422.
    """
    spec = _spec(call)
    seconds = spec.get("expirationSeconds", _USUAL_SECONDS)
    audiences = spec.get("audiences") or list(AUDIENCES)
    bound = _bound(core, call, spec.get("boundObjectRef"))
    now = core.clock.now()
    if call.dry_run:
        token = ""
    else:
        issue = core.access.service_tokens.issue
        token = issue(account, now, seconds, audiences, bound)
    metadata = {
        "name": account["metadata"]["name"],
        "namespace": account["metadata"]["namespace"],
        "creationTimestamp": core.stamp(),
    }
    document = {
        "kind": "TokenRequest",
        "apiVersion": f"{_GROUP}/v1",
        "metadata": metadata,
        "spec": {
            "audiences": audiences,
            "expirationSeconds": seconds,
            "boundObjectRef": spec.get("boundObjectRef"),
        },
        "status": {
            "token": token,
            "expirationTimestamp": timestamp(now + timedelta(seconds=seconds)),
        },
    }
    return Response(201, document=document)


def _spec(call: Call) -> Json:
    call.check_options("CreateOptions")
    try:
        sent = decode(struct(_SCHEMA), call.read_body(_SCHEMA))
    except DecodeError as error:
        known = 'TokenRequest in version "v1" cannot be handled as a TokenRequest'
        raise status.bad_request(f"{known}: {error}") from error
    spec: Json = sent["spec"]
    seconds = spec.get("expirationSeconds", _USUAL_SECONDS)
    why = ""
    if seconds < _LEAST_SECONDS:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > _MOST_SECONDS:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        shown = f"Invalid value: {seconds}: {why}"
        cause = Cause("FieldValueInvalid", shown, "spec.expirationSeconds")
        raise status.invalid("TokenRequest", _GROUP, "", [cause])
    return spec


def _bound(core: Core, call: Call, reference: Json | None) -> Bound | None:
    """Return the object that a token shall die with."""
    if reference is None:
        return None
    kind, name = reference.get("kind", ""), reference.get("name", "")
    if kind not in _PLURALS or reference.get("apiVersion", "v1") != "v1":
        version = reference.get("apiVersion", "")
        raise status.bad_request(f"cannot bind token for serviceaccount to object: {version}{kind}")
    plural = _PLURALS[kind]
    namespace = "" if kind == "Node" else call.target.namespace
    found = core.store.table(plural).get(namespace, name)
    if found is None:
        raise status.not_found(plural, "", name)
    uid = found["metadata"]["uid"]
    wanted = reference.get("uid") or uid
    if wanted != uid:
        why = f"the UID in the bound object reference ({wanted}) does not match the UID in record."
        why += " The object might have been deleted and then recreated"
        raise status.conflict(plural, "", name, why)
    return Bound(kind, name, uid)
