"""Who am I, who is that, may I, may they: the reviews, which are answered and forgotten."""

from __future__ import annotations

import json
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver import admission
from veza_nb.sandbox.apiserver.access import Attributes, Rules, User
from veza_nb.sandbox.apiserver.arranging import ordered
from veza_nb.sandbox.apiserver.calls import Call, Core
from veza_nb.sandbox.apiserver.messages import Response
from veza_nb.sandbox.apiserver.ownership import Managers
from veza_nb.sandbox.apiserver.tokens import AUDIENCES

Json = dict[str, Any]
_ONE_OF = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


class Reviews:
    """Answers reviews."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def create(self, call: Call) -> Response:
        """Answer a review."""
        call.check_options("CreateOptions")
        document = admission.decode_body(call, call.read_body())
        answer = {
            "SelfSubjectAccessReview": self._own_access,
            "SubjectAccessReview": self._access,
            "LocalSubjectAccessReview": self._access,
            "SelfSubjectRulesReview": self._rules,
            "SelfSubjectReview": self._self,
            "TokenReview": self._token,
        }.get(call.resource.kind)
        if answer is None:
            raise status.method_not_allowed()
        return Response(201, document=answer(call, document))

    def _own_access(self, call: Call, document: Json) -> Json:
        spec = document["spec"]
        if (spec.get("resourceAttributes") is None) == (spec.get("nonResourceAttributes") is None):
            where = "spec.resourceAttributes" if spec.get("resourceAttributes") else "spec"
            shown = "Invalid value: authorization.SelfSubjectAccessReviewSpec{}"
            cause = Cause("FieldValueInvalid", f"{shown}: {_ONE_OF}", where)
            raise status.invalid(call.resource.kind, call.resource.group, "", [cause])
        return self._decided(call, document, call.user)

    def _access(self, call: Call, document: Json) -> Json:
        spec = document["spec"]
        self._check(call, spec)
        resource = spec.get("resourceAttributes")
        if call.resource.namespaced:
            namespace = call.target.namespace
            if resource is None or resource.get("namespace", "") != namespace:
                where = "spec.resourceAttributes.namespace"
                raise status.bad_request(f"{where} must match namespace: {namespace}")
        user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
        return self._decided(call, document, user)

    def _check(self, call: Call, spec: Json) -> None:
        causes = []
        resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if resource is not None and other is not None:
            path, verb = (json.dumps(other.get(part, "")) for part in ("path", "verb"))
            shown = f"authorization.NonResourceAttributes{{Path:{path}, Verb:{verb}}}"
            why = "cannot be specified in combination with resourceAttributes"
            causes.append(_invalid("spec.nonResourceAttributes", shown, why))
        if resource is None and other is None:
            causes.append(_invalid("spec.resourceAttributes", "null", _ONE_OF))
        if not spec.get("user") and not spec.get("groups"):
            why = "at least one of user or group must be specified"
            causes.append(_invalid("spec.user", '""', why))
        if causes:
            raise status.invalid(call.resource.kind, call.resource.group, "", causes)

    def _decided(self, call: Call, document: Json, user: User) -> Json:
        spec = document["spec"]
        asked = _attributes(spec.get("resourceAttributes"), spec.get("nonResourceAttributes"))
        reason = self._core.access.reason(self._core.store, user, asked)
        answer: Json = {"allowed": reason is not None}
        if reason:
            answer["reason"] = reason
        return self._answered(call, document, answer)

    def _rules(self, call: Call, document: Json) -> Json:
        namespace = document["spec"].get("namespace", "")
        if not namespace:
            raise status.bad_request("no namespace on request")
        rules = self._core.access.rules(self._core.store, call.user, namespace)
        shape = struct(call.resource.schema)
        blank = ordered(shape, {**document, "spec": {}, "status": _rules_status(rules)})
        blank["metadata"] = {"creationTimestamp": None}
        return blank

    def _self(self, call: Call, document: Json) -> Json:
        return {
            "kind": document["kind"],
            "apiVersion": document["apiVersion"],
            "metadata": {"creationTimestamp": self._core.stamp()},
            "status": {"userInfo": _user_info(call.user)},
        }

    def _token(self, call: Call, document: Json) -> Json:
        spec = document["spec"]
        token = spec.get("token", "")
        if not token:
            raise status.bad_request("token is required for TokenReview in authentication")
        audiences = spec.get("audiences") or list(AUDIENCES)
        user, core = None, self._core
        if set(audiences) & set(AUDIENCES):
            user = core.access.token_user(core.store, core.clock.now(), token)
        if user is None:
            answer: Json = {"user": {}, "error": "invalid bearer token"}
        else:
            meant = [each for each in audiences if each in AUDIENCES]
            answer = {"authenticated": True, "user": _user_info(user), "audiences": meant}
        return self._answered(call, document, answer)

    def _answered(self, call: Call, document: Json, answer: Json) -> Json:
        shape = struct(call.resource.schema)
        document.pop("status", None)
        blank = ordered(shape, document)
        managers = Managers(None)
        entry = admission.manager_entry(call)
        managers.record_update(None, blank, shape, entry, self._core.stamp())
        metadata: Json = {"creationTimestamp": None}
        if managers.entries:
            metadata["managedFields"] = managers.document()
        return {**blank, "metadata": metadata, "status": answer}


def _invalid(where: str, shown: str, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", where)


def _user_info(user: User) -> Json:
    info: Json = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info


def _attributes(resource: Json | None, other: Json | None) -> Attributes:
    if resource is None:
        given = other or {}
        return Attributes(given.get("verb", ""), path=given.get("path", ""))
    return Attributes(
        resource.get("verb", ""),
        resource.get("group", ""),
        resource.get("resource", ""),
        resource.get("subresource", ""),
        resource.get("namespace", ""),
        resource.get("name", ""),
    )


def _rules_status(rules: Rules) -> Json:
    return {
        "resourceRules": rules.resources,
        "nonResourceRules": rules.paths,
        "incomplete": False,
    }
