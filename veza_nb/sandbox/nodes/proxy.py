"""The way through the API server to pods and Services: `…/pods/NAME:PORT/proxy/PATH`."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncIterator

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.messages import Request, Response
from veza_nb.sandbox.apiserver.routes import Target
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.controllers.endpoints import serving_pods
from veza_nb.sandbox.nodes.endpoint import REFUSED, Answer, Endpoints

_MARK = "/proxy"
_PATIENCE_SECONDS = 30.0


class Proxy:
    """Asks pods on behalf of whoever asks the API server.

    Args:
        informers: where pods, Services and Endpoints are seen.
        endpoints: what listens in the pods.
    """

    def __init__(self, informers: Informers, endpoints: Endpoints) -> None:
        self._informers = informers
        self._endpoints = endpoints
        self._turns = itertools.count()

    def answer(self, target: Target, request: Request) -> Response:
        """Answer what the pod answers.

        Raises:
            ApiError: 404 for a pod or Service that is not there, 503 when nobody listens.
        """
        if target.plural not in ("pods", "services"):
            raise status.no_such_resource()
        # As clients write it: [scheme:]name[:port]
        parts = target.name.split(":")
        name, port = (parts[1], parts[2]) if len(parts) == 3 else (parts[0], "".join(parts[1:2]))
        pod, port = self._pod(target, name, port)
        path = request.path.partition(f"/{target.name}{_MARK}")[2] or "/"
        answer = self._endpoints.answer(pod["metadata"]["uid"], request.method, path)
        if answer.status == REFUSED or not _listens(pod, port):
            raise _unavailable(
                "error trying to reach service: dial tcp "
                f"{pod['status'].get('podIP', '')}:{port}: connect: connection refused"
            )
        headers = {"Content-Type": answer.content_type}
        if answer.seconds <= 0:
            return Response(answer.status, headers, text=answer.body)
        return Response(answer.status, headers, stream=_later(answer))

    def _pod(self, target: Target, name: str, port: str) -> tuple[Json, str]:
        """The pod that is meant, and the number of the port there."""
        if target.plural == "pods":
            found = self._informers.pods.get(target.namespace, name)
            if found is None:
                raise status.not_found("pods", "", name)
            return found, port or _first_port(found)
        service = self._informers.services.get(target.namespace, name)
        if service is None:
            raise status.not_found("services", "", name)
        if port and not any(_is_port(one, port) for one in service["spec"].get("ports", ())):
            raise _unavailable(f'no service port "{port}" found for service "{name}"')
        names = serving_pods(self._informers.endpoints.get(target.namespace, name))
        turn = next(self._turns) % len(names) if names else 0
        found = self._informers.pods.get(target.namespace, names[turn]) if names else None
        if found is None:
            raise _unavailable(f'no endpoints available for service "{target.name}"')
        return found, _first_port(found)


def _is_port(offered: Json, port: str) -> bool:
    return port in (offered.get("name"), str(offered["port"]))


def _ports(pod: Json) -> list[str]:
    containers = pod["spec"]["containers"]
    return [str(port["containerPort"]) for one in containers for port in one.get("ports", ())]


def _first_port(pod: Json) -> str:
    return next(iter(_ports(pod)), "80")


def _listens(pod: Json, port: str) -> bool:
    """Whether something listens there; a pod that names no port listens wherever it is asked."""
    named = _ports(pod)
    return not named or port in named


def _unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


async def _later(answer: Answer) -> AsyncIterator[bytes]:
    """The body of a slow answer; one that never comes ends when patience does."""
    await asyncio.sleep(min(answer.seconds, _PATIENCE_SECONDS))
    yield b"" if math.isinf(answer.seconds) else answer.body.encode()
