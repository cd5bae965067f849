"""The questions of the runbook, asked of one cluster."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from veza_nb.clock import Clock, SystemClock, timestamp
from veza_nb.cluster.ahead import AskedOnce
from veza_nb.cluster.kubeconfig import Access, load_access
from veza_nb.cluster.transport import Transport
from veza_nb.controllerrevisions import READERS, Kept, Owner, as_deployment, as_workload
from veza_nb.errors import ForbiddenError, NotFoundError, ServerError
from veza_nb.objects import (
    Deployment,
    Event,
    LabelSelector,
    ListMeta,
    PartialObject,
    Pod,
    Workload,
)
from veza_nb.permissions import Permission
from veza_nb.typed import decode_json
from veza_nb.vocabulary import PatchType, WorkloadKind

PAGE = "500"
"""Objects per page of a list."""
EVENTS = "50"
"""Events read per object: the newest are what matters, and a flood must not drown the run."""
FIELD_MANAGER = "veza-nb"
AT_ONCE = 16
"""Requests of one question under way at the same time: as many as one look at most needs."""

T = TypeVar("T")


class Cluster:
    """One cluster and namespace, seen as one user.

    Every method raises the leaf of `errors` that fits; reads are repeated a few times where
    that is safe, writes are sent once. What is asked of workloads is asked of those of `kind`,
    and told in a Deployment's terms.
    """

    def __init__(
        self, access: Access, *, namespace: str, clock: Clock, timeout: float = 10.0
    ) -> None:
        self.access = access
        self.namespace = namespace or access.namespace or "default"
        self.clock = clock
        self.kind = WorkloadKind.DEPLOYMENT
        self.transport = Transport(access, clock=clock, timeout=timeout)
        self._seen: dict[tuple[str, WorkloadKind, str], Workload] = {}

    @classmethod
    def connect(
        cls,
        *,
        kubeconfig: str = "",
        context: str = "",
        namespace: str = "",
        timeout: float = 10.0,
        clock: Clock | None = None,
        kind: WorkloadKind = WorkloadKind.DEPLOYMENT,
    ) -> "Cluster":
        """Read the kubeconfig; nothing is sent yet.

        Args:
            kubeconfig: path, or "" for the usual places.
            context: "" takes the current one.
            namespace: "" takes the context's.
            timeout: seconds for one request.
            clock: for pauses; the machine's own where none is given.
            kind: of the workloads that will be asked for.
        """
        access = load_access(kubeconfig, context)
        clock = clock or SystemClock()
        return cls(access, namespace=namespace, clock=clock, timeout=timeout).of(kind)

    def at(self, namespace: str) -> "Cluster":
        """The same cluster over the same connections, in another namespace."""
        other = copy(self)
        other.namespace = namespace or self.namespace
        return other

    def of(self, kind: WorkloadKind) -> "Cluster":
        """The same cluster over the same connections, asked for workloads of that kind."""
        other = copy(self)
        other.kind = kind
        return other

    def ahead(self) -> "Cluster":
        """The same cluster for one look, in which nothing is read twice."""
        other = copy(self)
        other.transport = AskedOnce(self.transport)
        return other

    @property
    def context(self) -> str:
        """The kubeconfig's context."""
        return self.access.context

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self.access.server

    def now(self) -> datetime:
        """The server's time, by which it dates objects; this machine's while it told none yet."""
        return self.transport.server_now() or self.clock.now()

    def version(self) -> str:
        """The control plane's version, such as "v1.32.4"."""
        return decode(self.transport.read("/version"), _Version).git_version

    def whoami(self) -> str:
        """The user name as the API server sees it; the kubeconfig's where it does not tell."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = self._post("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
        except (NotFoundError, ForbiddenError):
            # Control planes older than 1.28 do not have it.
            return self.access.user
        return decode(answer, _SelfReview).status.user_info.username

    def denied(self, permissions: Iterable[Permission]) -> tuple[Permission, ...]:
        """Those of these permissions that this user does not have here."""
        asked = tuple(permissions)
        answers = concurrently(*(partial(self._allowed, p) for p in asked))
        return tuple(p for p, allowed in zip(asked, answers, strict=True) if not allowed)

    def namespace_exists(self) -> bool:
        """False only where the server says so; True where it will not tell."""
        try:
            self.transport.read(f"/api/v1/namespaces/{self.namespace}")
        except NotFoundError:
            return False
        except ForbiddenError:
            return True
        return True

    def deployment(self, name: str) -> Deployment:
        """The workload of that name, in a Deployment's terms."""
        data = self.transport.read(self.path("apps/v1", self.kind.resource, name))
        return self._read(data)

    def deployment_names(self) -> tuple[str, ...]:
        """Names of the namespace's workloads of this kind (first page)."""
        data = self.transport.read(self.path("apps/v1", self.kind.resource), {"limit": PAGE})
        return tuple(item.metadata.name for item in decode(data, Listed[PartialObject]).items)

    def revisions(self, selector: str) -> tuple[Kept, ...]:
        """What keeps the revisions of such workloads, by label selector."""
        _, kept = READERS[self.kind]
        return self.listed("apps/v1", self.kind.revisions, kept, selector)[0]

    def pods(self, selector: str) -> tuple[Pod, ...]:
        """Pods by label selector."""
        return self.listed("v1", "pods", Pod, selector)[0]

    def events(self, names: Sequence[str]) -> tuple[Event, ...]:
        """Events of the objects of these names, a bounded number of each."""
        pages = concurrently(*(partial(self._events_of, name) for name in names))
        return tuple(event for page in pages for event in page)

    def pod_log(
        self,
        pod: str,
        container: str,
        *,
        previous: bool = False,
        since: datetime | None = None,
        tail_lines: int,
        limit_bytes: int,
    ) -> str:
        """The end of a container's log, each line after its time; what is no UTF-8 is replaced.

        Args:
            pod: its name.
            container: one of its containers.
            previous: the run before the last restart.
            since: only lines from then on.
            tail_lines: lines at most.
            limit_bytes: bytes at most: a log may be one endless line.
        """
        query = {
            "container": container,
            "tailLines": str(tail_lines),
            "limitBytes": str(limit_bytes),
            "timestamps": "true",
        }
        if previous:
            query["previous"] = "true"
        if since is not None:
            query["sinceTime"] = timestamp(since)
        data = self.transport.read(f"{self.path('v1', 'pods', pod)}/log", query, accept="*/*")
        return data.decode("utf-8", "replace")

    def workload(self, name: str, selector: str = "") -> Workload:
        """A workload with its revisions and pods, read at the same time.

        Args:
            name: of the workload.
            selector: its label selector where it is known beforehand; where it is not, or is
                not the workload's own, the lists are read after it.
        """
        last = self.last_look(name)
        selector = selector or (selector_of(last.deployment.spec.selector) if last else "")
        found = self._read_workload(name, selector)
        self._seen[self.namespace, self.kind, name] = found
        return found

    def last_look(self, name: str) -> Workload | None:
        """A workload as it was when it was read last; None where it was not read yet.

        Good for asking ahead, and for nothing that has to be true.
        """
        return self._seen.get((self.namespace, self.kind, name))

    def _read_workload(self, name: str, selector: str) -> Workload:
        if not selector:
            deployment = self.deployment(name)
            return self._with_children(deployment)
        deployment, revisions, pods = concurrently(
            lambda: self.deployment(name),
            lambda: self.revisions(selector),
            lambda: self.pods(selector),
        )
        if selector_of(deployment.spec.selector) != selector:
            return self._with_children(deployment)
        return as_workload(deployment, revisions, pods)

    def patch_workload(
        self, name: str, operations: Sequence[Mapping[str, object]], *, dry_run: bool = False
    ) -> Deployment:
        """Send a JSON patch of a workload, once.

        Args:
            name: of the workload.
            operations: RFC 6902.
            dry_run: let the server check and answer, and keep nothing.
        """
        query = {"fieldManager": FIELD_MANAGER}
        if dry_run:
            query["dryRun"] = "All"
        send = self.transport.ask if dry_run else self.transport.send
        answer = send(
            "PATCH",
            self.path("apps/v1", self.kind.resource, name),
            query=query,
            body=operations,
            content_type=PatchType.JSON,
        )
        return self._read(answer)

    def annotate_revision(self, name: str, annotations: Mapping[str, str]) -> None:
        """Set annotations of what keeps a revision; sent again it changes nothing more."""
        self.transport.send(
            "PATCH",
            self.path("apps/v1", self.kind.revisions, name),
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": {"annotations": dict(annotations)}},
            content_type=PatchType.MERGE,
        )

    def listed(
        self, group_version: str, resource: str, kind: type[T], selector: str
    ) -> tuple[tuple[T, ...], str]:
        """All objects by label selector, and the version of that list."""
        query = {"labelSelector": selector} if selector else {}
        return self.list_all(group_version, resource, kind, query)

    def list_all(
        self, group_version: str, resource: str, kind: type[T], query: Mapping[str, str]
    ) -> tuple[tuple[T, ...], str]:
        """All objects that the query selects, page by page, and the version of that list."""
        items: list[T] = []
        asked = {**query, "limit": PAGE}
        while True:
            data = self.transport.read(self.path(group_version, resource), asked)
            page = decode(data, Listed[kind])  # type: ignore[valid-type]
            items.extend(page.items)
            if not page.metadata.continue_:
                return tuple(items), page.metadata.resource_version
            asked["continue"] = page.metadata.continue_

    def path(self, group_version: str, resource: str, name: str = "") -> str:
        """The URL path of a namespaced resource."""
        root = "api" if group_version == "v1" else "apis"
        path = f"/{root}/{group_version}/namespaces/{self.namespace}/{resource}"
        return f"{path}/{name}" if name else path

    def _with_children(self, deployment: Deployment) -> Workload:
        selector = selector_of(deployment.spec.selector)
        revisions, pods = concurrently(
            lambda: self.revisions(selector), lambda: self.pods(selector)
        )
        return as_workload(deployment, revisions, pods)

    def _read(self, data: bytes) -> Deployment:
        owner: type[Owner] = READERS[self.kind][0]
        return as_deployment(decode(data, owner))

    def _events_of(self, name: str) -> tuple[Event, ...]:
        query = {"fieldSelector": f"involvedObject.name={name}", "limit": EVENTS}
        data = self.transport.read(self.path("v1", "events"), query)
        return decode(data, Listed[Event]).items

    def _allowed(self, permission: Permission) -> bool:
        attributes = {
            "namespace": self.namespace,
            "verb": permission.verb,
            "group": permission.group,
            "resource": permission.resource,
            "subresource": permission.subresource,
            "name": permission.name,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self._post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
        return decode(answer, _AccessReview).status.allowed

    def _post(self, path: str, body: object) -> bytes:
        return self.transport.ask("POST", path, body=body)


def concurrently(*calls: Callable[[], Any]) -> tuple[Any, ...]:
    """The results of these calls, made at the same time; the first error is raised."""
    if len(calls) < 2:
        return tuple(call() for call in calls)
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(calls))) as pool:
        return tuple(future.result() for future in [pool.submit(call) for call in calls])


def selector_of(selector: LabelSelector) -> str:
    """A label selector as the API's query spells it."""
    parts = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    parts += [_expression(expression) for expression in selector.match_expressions]
    return ",".join(parts)


def _expression(expression: Mapping[str, Any]) -> str:
    key, values = expression.get("key", ""), ",".join(expression.get("values") or ())
    spellings: dict[str, str] = {
        "In": f"{key} in ({values})",
        "NotIn": f"{key} notin ({values})",
        "Exists": key,
        "DoesNotExist": f"!{key}",
    }
    return spellings[expression.get("operator", "Exists")]


def decode(data: bytes, kind: type[T]) -> T:
    """Read an answer.

    Raises:
        ServerError: it is not what a Kubernetes API server answers.
    """
    try:
        return decode_json(data, kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        start = data[:60].decode("utf-8", "replace")
        raise ServerError(
            f"This is not what a Kubernetes API server answers: {start!r} ({error}).",
            next_step="Check the server's URL in the kubeconfig; a proxy may stand in between.",
            code=200,
        ) from error


class Listed(msgspec.Struct, Generic[T], frozen=True):
    """A list, or a page of one."""

    items: tuple[T, ...] = ()
    metadata: ListMeta = ListMeta()


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    git_version: str = ""


class _UserInfo(msgspec.Struct, frozen=True):
    username: str = ""


class _SelfReviewStatus(msgspec.Struct, frozen=True, rename="camel"):
    user_info: _UserInfo = _UserInfo()


class _SelfReview(msgspec.Struct, frozen=True):
    status: _SelfReviewStatus = _SelfReviewStatus()


class _AccessReviewStatus(msgspec.Struct, frozen=True):
    allowed: bool = False


class _AccessReview(msgspec.Struct, frozen=True):
    status: _AccessReviewStatus = _AccessReviewStatus()
