"""The API: a request in, a response out. Knows no sockets; atomic with respect to the loop."""

from __future__ import annotations

import logging

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver import discovery, routes
from veza_nb.sandbox.apiserver.access import ANONYMOUS, Access, User
from veza_nb.sandbox.apiserver.admission import Admission
from veza_nb.sandbox.apiserver.audit import AuditEntry, AuditLog
from veza_nb.sandbox.apiserver.calls import Call, Core, Time
from veza_nb.sandbox.apiserver.deleting import Deleter
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.apiserver.messages import Request, Response
from veza_nb.sandbox.apiserver.negotiation import negotiate
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
        self._reader = Reader(self.core)
        self._writer = Writer(self.core, self._reader, Admission(self.core))
        self._deleter = Deleter(self.core, self._reader, self._writer)
        self._subresources = Subresources(self.core, self._reader, self._writer, self._deleter)
        self._reviews = Reviews(self.core)
        self._discovery = discovery.Discovery(version)

    def handle(self, request: Request) -> Response:
        """Answer a request; never raises."""
        target = routes.route(request.method, request.path, request.query)
        user = request.user or ANONYMOUS
        try:
            user = request.user or self.core.access.authenticate(request.headers)
            response = self._answer(request, target, user)
        except ApiError as error:
            response = _refusal(error)
        except Exception as error:
            _log.exception("unexpected error in %s %s", request.method, request.path)
            response = _refusal(status.internal(f"{type(error).__name__}: {error}"))
        self._record(request, target, user, response)
        return response

    def _answer(self, request: Request, target: Target, user: User) -> Response:
        self.core.access.check(self.core.store, user, target.attributes)
        if target.path:
            return self._discovery.answer(request)
        named = _names_object(target)
        resource = routes.check_served(target, named=named)
        call = Call(resource, target, user, request)
        response = self._dispatch(call, resource)
        if call.warnings:
            told = (f'299 - "{_quoted(warning)}"' for warning in call.warnings)
            response.headers["Warning"] = ", ".join(told)
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
        reads = {
            "get": self._reader.get,
            "list": self._reader.list_objects,
            "watch": self._reader.watch,
            "delete": self._deleter.delete,
            "deletecollection": self._deleter.delete_collection,
        }
        return reads[target.verb](call)

    def _record(self, request: Request, target: Target, user: User, response: Response) -> None:
        self.audit.add(
            AuditEntry(
                at=self.core.clock.now(),
                user=user.name,
                agent=request.headers.get("user-agent", ""),
                verb=target.verb,
                resource=target.plural or target.path,
                subresource=target.subresource,
                namespace=target.namespace,
                name=target.name,
                code=response.status,
                dry_run=bool(request.query.get("dryRun")),
                content_type=request.headers.get("content-type", ""),
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


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
