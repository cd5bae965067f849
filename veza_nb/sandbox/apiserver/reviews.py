"""Who am I, may I: the reviews, which are answered and forgotten."""

from __future__ import annotations

from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apiserver import admission
from veza_nb.sandbox.apiserver.access import Attributes, Rules, User
from veza_nb.sandbox.apiserver.calls import Call, Core
from veza_nb.sandbox.apiserver.messages import Response
from veza_nb.sandbox.apiserver.ownership import Managers

Json = dict[str, Any]


class Reviews:
    """Answers reviews."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def create(self, call: Call) -> Response:
        """Answer a review."""
        call.check_options("CreateOptions")
        document = admission.decode_body(call, call.read_body())
        answer = {
            "SelfSubjectAccessReview": self._access,
            "SubjectAccessReview": self._access,
            "SelfSubjectRulesReview": self._rules,
            "SelfSubjectReview": self._self,
        }.get(call.resource.kind)
        if answer is None:
            raise status.method_not_allowed()
        return Response(201, document=answer(call, document))

    def _access(self, call: Call, document: Json) -> Json:
        spec, user = document["spec"], call.user
        resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if (resource is None) == (other is None):
            where = "spec.resourceAttributes" if resource else "spec"
            why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            shown = "Invalid value: authorization.SelfSubjectAccessReviewSpec{}"
            cause = status.Cause("FieldValueInvalid", f"{shown}: {why}", where)
            raise status.invalid(call.resource.kind, call.resource.group, "", [cause])
        if call.resource.kind == "SubjectAccessReview":
            user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
        allowed = self._core.access.allowed(self._core.store, user, _attributes(resource, other))
        return self._answered(call, document, {"allowed": allowed})

    def _rules(self, call: Call, document: Json) -> Json:
        namespace = document["spec"].get("namespace", "")
        if not namespace:
            raise status.bad_request("no namespace on request")
        rules = self._core.access.rules(self._core.store, call.user, namespace)
        shape = struct(call.resource.schema)
        blank = admission.ordered(shape, {**document, "spec": {}, "status": _rules_status(rules)})
        blank["metadata"] = {"creationTimestamp": None}
        return blank

    def _self(self, call: Call, document: Json) -> Json:
        info: Json = {"username": call.user.name}
        if call.user.uid:
            info["uid"] = call.user.uid
        info["groups"] = list(call.user.groups)
        return {
            "kind": document["kind"],
            "apiVersion": document["apiVersion"],
            "metadata": {"creationTimestamp": self._core.stamp()},
            "status": {"userInfo": info},
        }

    def _answered(self, call: Call, document: Json, answer: Json) -> Json:
        shape = struct(call.resource.schema)
        document.pop("status", None)
        blank = admission.ordered(shape, document)
        managers = Managers(None)
        entry = admission.manager_entry(call)
        managers.record_update(None, blank, shape, entry, self._core.stamp())
        metadata: Json = {"creationTimestamp": None}
        if managers.entries:
            metadata["managedFields"] = managers.document()
        return {**blank, "metadata": metadata, "status": answer}


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
