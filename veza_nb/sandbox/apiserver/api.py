"""The API: a request in, a response out. Knows no sockets; atomic with respect to the loop."""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import Callable

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver import discovery, routes
from veza_nb.sandbox.apiserver.access import ANONYMOUS, Access, Identity, User
from veza_nb.sandbox.apiserver.admission import Admission
from veza_nb.sandbox.apiserver.aggregation import Aggregation
from veza_nb.sandbox.apiserver.audit import AuditEntry, AuditLog
from veza_nb.sandbox.apiserver.calls import Call, Core, Time
from veza_nb.sandbox.apiserver.deleting import Deleter
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.apiserver.messages import Request, Response
from veza_nb.sandbox.apiserver.negotiation import negotiate
from veza_nb.sandbox.apiserver.past import PastStore
from veza_nb.sandbox.apiserver.reading import Reader
from veza_nb.sandbox.apiserver.reviews import Reviews
from veza_nb.sandbox.apiserver.routes import Target
from veza_nb.sandbox.apiserver.store import Store
from veza_nb.sandbox.apiserver.subresources import Subresources
from veza_nb.sandbox.apiserver.writing import Writer

__all__ = ["Api", "Request", "Response"]

_log = logging.getLogger(__name__)
DEFAULT_VERSION = "v1.32.13"


class Api:
    """The Kubernetes API of one training cluster.

    Args:
        clock: The cluster's time.
        logs: What containers print.
        access: Who may do what.
        audit: Where requests are recorded.
        version: The version reported.
        store: The objects; a new one when left out.
    """

    def __init__(
        self,
        *,
        clock: Time,
        logs: LogStore,
        access: Access,
        audit: AuditLog,
        version: str = DEFAULT_VERSION,
        store: Store | None = None,
    ) -> None:
        self.core = Core(store or Store(), clock, access, logs, version)
        self.audit = audit
        # Ids of requests look like any other uid and are cheaper.
        self._audit_prefix, self._asked = str(uuid.uuid4())[:23], 0
        self._reader = Reader(self.core)
        self._writer = Writer(self.core, self._reader, Admission(self.core))
        self._deleter = Deleter(self.core, self._reader, self._writer)
        self._subresources = Subresources(self.core, self._reader, self._writer, self._deleter)
        self._reviews = Reviews(self.core)
        self._discovery = discovery.Discovery(version)
        self.aggregation = Aggregation()
        # Who asks pods and Services on behalf of clients; set where there are any.
        self.proxy: Callable[[Target, Request], Response] | None = None

    def who(self, request: Request) -> str:
        """Return the name of whoever sends a request; "" when that is not known."""
        try:
            return self._identify(request).user.name
        except ApiError:
            return ""

    def handle(self, request: Request, *, instead: Response | None = None) -> Response:
        """Answer a request; never raises.

        Args:
            request: The request.
            instead: The answer that a fault gives, whatever was asked for.
        """
        target = routes.route(request.method, request.path, request.query)
        identity = Identity(request.user or ANONYMOUS)
        try:
            identity = self._identify(request)
            response = instead or self._answer(request, target, identity.user)
        except ApiError as error:
            response = _refusal(error)
        except Exception as error:
            _log.exception("unexpected error in %s %s", request.method, request.path)
            response = _refusal(status.internal(f"{type(error).__name__}: {error}"))
        self._record(request, target, identity, response)
        return response

    def _identify(self, request: Request) -> Identity:
        if request.user is not None:
            return Identity(request.user)
        core = self.core
        now = core.clock.now()
        return core.access.identify(core.store, now, request.headers, request.certificate)

    def _answer(self, request: Request, target: Target, user: User) -> Response:
        self.core.access.check(self.core.store, user, target.attributes)
        if target.path:
            return self._discover(request)
        if target.subresource == "proxy" and self.proxy is not None:
            return self.proxy(target, request)
        if self.aggregation.serves(target.group):
            return self.aggregation.answer(target, user, request)
        named = _names_object(target)
        resource = routes.check_served(target, named=named)
        call = Call(resource, target, user, request)
        response = self._dispatch(call, resource)
        if call.warnings:
            told = (f'299 - "{_quoted(warning)}"' for warning in call.warnings)
            response.headers["Warning"] = ", ".join(told)
        return response

    def _discover(self, request: Request) -> Response:
        found = self.aggregation.group_document(request)
        if found is not None:
            return found
        response = self._discovery.answer(request)
        if isinstance(response.document, dict) and request.path.strip("/") in ("", "apis"):
            response.document = self.aggregation.extend(response.document)
        return response

    def _dispatch(self, call: Call, resource: Resource) -> Response:
        target = call.target
        if target.subresource not in ("", "status"):
            return self._subresources.handle(call)
        if not resource.stored:
            return self._reviews.create(call)
        negotiate(call.request.headers.get("accept", ""))
        if target.subresource == "status" and target.verb not in ("get", "update", "patch"):
            raise status.method_not_allowed()
        writer = self._writer
        changes = {"create": writer.create, "update": writer.update, "patch": writer.patch}
        if target.verb in changes:
            document, code = changes[target.verb](call)
            return self._reader.render_one(call, document, code, served=True)
        reader = self._reader_of(call.request.as_of)
        reads = {
            "get": reader.get,
            "list": reader.list_objects,
            "watch": reader.watch,
            "delete": self._deleter.delete,
            "deletecollection": self._deleter.delete_collection,
        }
        return reads[target.verb](call)

    def _reader_of(self, version: int | None) -> Reader:
        if version is None:
            return self._reader
        return Reader(dataclasses.replace(self.core, store=PastStore(self.core.store, version)))

    def _record(
        self, request: Request, target: Target, identity: Identity, response: Response
    ) -> None:
        user, impersonator = identity.user, identity.impersonator
        if request.user is None:
            self._asked += 1
            response.headers["Audit-Id"] = f"{self._audit_prefix}-{self._asked:012x}"
        self.audit.add(
            AuditEntry(
                at=self.core.clock.now(),
                user=user.name,
                agent=request.headers.get("user-agent", ""),
                verb=target.verb,
                resource=target.plural or target.path,
                subresource=target.subresource,
                namespace=target.namespace,
                name=target.name or _created_name(target, response),
                code=response.status,
                dry_run=bool(request.query.get("dryRun")),
                content_type=request.headers.get("content-type", ""),
                group=target.group,
                groups=user.groups,
                impersonator=impersonator.name if impersonator else "",
                reason=_reason(response),
                fault=request.fault,
                id=response.headers.get("Audit-Id", ""),
            )
        )


def _names_object(target: Target) -> bool:
    """Return whether the path itself names an object; a field selector may do so, too."""
    return bool(target.name) and target.verb not in ("list", "watch", "deletecollection")


def _refusal(error: ApiError) -> Response:
    if error.plain is not None:
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        return Response(error.code, headers, text=error.plain)
    return Response(error.code, dict(error.headers), document=error.document())


def _created_name(target: Target, response: Response) -> str:
    made = response.document
    if target.verb != "create" or response.status != 201 or not isinstance(made, dict):
        return ""
    return str((made.get("metadata") or {}).get("name", ""))


def _reason(response: Response) -> str:
    said = response.document
    if response.status < 400 or not isinstance(said, dict):
        return ""
    return str(said.get("reason", ""))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
