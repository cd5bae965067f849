"""get, list and watch."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from veza_nb.sandbox.apimachinery import selectors, status
from veza_nb.sandbox.apimachinery.conversion import from_storage
from veza_nb.sandbox.apimachinery.decoding import empty
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apimachinery.selectors import FieldRequirement, LabelSelector
from veza_nb.sandbox.apiserver import paging, tables
from veza_nb.sandbox.apiserver.calls import Call, Core
from veza_nb.sandbox.apiserver.messages import Response
from veza_nb.sandbox.apiserver.negotiation import Form, negotiate
from veza_nb.sandbox.apiserver.paging import ListOptions, Token
from veza_nb.sandbox.apiserver.routes import TRUE
from veza_nb.sandbox.apiserver.store import ABOUT, GoneError, Table, key_of
from veza_nb.sandbox.apiserver.watching import Subscription, View, WatchEvent

Json = dict[str, Any]
_INITIAL_END = "k8s.io/initial-events-end"
_BLUEPRINT = "kubernetes.io/initial-events-list-blueprint"


class Selection:
    """Which objects of a resource a request is about."""

    def __init__(self, call: Call) -> None:
        self.resource = call.resource
        self.namespace = call.target.namespace if call.resource.namespaced else ""
        self.everywhere = call.resource.namespaced and not call.target.namespace
        self.labels: LabelSelector = selectors.label_selector(call.query.get("labelSelector", ""))
        self.fields: list[FieldRequirement] = selectors.stored_fields(
            call.resource.group, selectors.field_selector(call.query.get("fieldSelector", ""))
        )
        selectors.check_fields(call.resource.kind, self.fields)

    @property
    def key(self) -> Hashable:
        """Equal for equal selections from one resource."""
        return self.everywhere, self.namespace, self.labels, tuple(self.fields)

    @property
    def selective(self) -> bool:
        """Whether there is any selector."""
        return bool(self.labels.requirements or self.fields)

    def matches(self, document: Json) -> bool:
        """Return whether an object is in scope and fulfils the selectors."""
        metadata = document["metadata"]
        return (
            (self.everywhere or metadata.get("namespace", "") == self.namespace)
            and self.labels.matches(metadata.get("labels"))
            and selectors.fields_match(document, self.fields)
        )

    def place(self, entry: Json) -> str:
        """Return where an object stands in a list; a continue token says where to go on."""
        namespace, name = key_of(entry)
        return f"{namespace}/{name}" if self.everywhere else name

    def present(self, table: Table, start: str = "") -> Iterator[Json]:
        """Yield the matching objects of the present state, from a place on, in their order."""
        name = self._wanted("metadata.name")
        if name is not None and not self.everywhere:
            found = table.get(self.namespace, name)
            candidates = iter([found] if found is not None else [])
            yield from (entry for entry in candidates if self.matches(entry) and name >= start)
            return
        space, first = self.namespace, start
        if self.everywhere:
            space, _, first = start.partition("/")
        wanted = None if self.everywhere else self.namespace
        about = self._wanted(ABOUT) or ""
        for entry in table.select(wanted, self.labels, (space, first), about):
            if not self.fields or selectors.fields_match(entry, self.fields):
                yield entry

    def _wanted(self, name: str) -> str | None:
        """Return the value that a field must have; None when it may have several."""
        found = (each.value for each in self.fields if each.field == name and each.equal)
        return next(found, None)


class Reader:
    """Answers reads."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(self, call: Call) -> Response:
        """Answer one object."""
        return self.render_one(call, self.stored(call))

    def stored(self, call: Call) -> Json:
        """Return the stored object that the path names.

        Raises:
            ApiError: 404.
        """
        namespace = call.target.namespace if call.resource.namespaced else ""
        found = self._core.store.table(call.resource.key).get(namespace, call.target.name)
        if found is None:
            raise call.not_found()
        return found

    def render_one(
        self, call: Call, document: Json, code: int = 200, *, served: bool = False
    ) -> Response:
        """Answer an object in the form that the client takes.

        Args:
            call: The request.
            document: The object.
            code: HTTP status.
            served: Whether the object is in its served form already.
        """
        form = negotiate(call.request.headers.get("accept", ""))
        shown = document if served else from_storage(call.resource, document)
        return Response(code, document=self._transform(call, form)(shown))

    def _transform(self, call: Call, form: Form) -> Callable[[Json], Json]:
        """Return what turns a served object into the form that the client takes."""
        if form.transform == "Table":
            include = call.query.get("includeObject", "Metadata")
            now = self._core.clock.now()
            return lambda each: tables.table(call.resource, [each], form.version, include, now=now)
        if form.transform:
            return lambda each: tables.partial(each, form.version)
        return lambda each: each

    def list_objects(self, call: Call) -> Response:
        """Answer a collection, or a page of it."""
        form = negotiate(call.request.headers.get("accept", ""))
        selection, options = Selection(call), paging.parse(call.query)
        entries, metadata = self._page(call.resource, selection, options)
        served = [from_storage(call.resource, entry) for entry in entries]
        return Response(document=self._collection(call, form, served, metadata))

    def _collection(self, call: Call, form: Form, served: list[Json], metadata: Json) -> Json:
        resource = call.resource
        if form.transform == "Table":
            include = call.query.get("includeObject", "Metadata")
            now = self._core.clock.now()
            return tables.table(resource, served, form.version, include, now=now, metadata=metadata)
        if form.transform:
            items = [tables.partial(entry, form.version) for entry in served]
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": f"meta.k8s.io/{form.version}",
                "metadata": metadata,
                "items": items,
            }
        return {
            "kind": f"{resource.kind}List",
            "apiVersion": resource.api_version,
            "metadata": metadata,
            "items": [item(entry) for entry in served],
        }

    def _page(
        self, resource: Resource, selection: Selection, options: ListOptions
    ) -> tuple[list[Json], Json]:
        """Return the entries of a page, and the metadata of the list."""
        version, matching = self._state(resource, selection, options)
        metadata: Json = {"resourceVersion": str(version)}
        entries = list(itertools.islice(matching, options.limit or None))
        following = next(matching, None)
        if following is not None:
            start = selection.place(entries[-1]) + "\0"
            prefix = "" if resource.kind == "Event" else "/"
            metadata["continue"] = Token(version, start).encode(prefix)
            if not selection.selective:
                metadata["remainingItemCount"] = 1 + sum(1 for _ in matching)
        return entries, metadata

    def _state(
        self, resource: Resource, selection: Selection, options: ListOptions
    ) -> tuple[int, Iterator[Json]]:
        """Return the version that is listed, and the matching objects of it from the token on."""
        store, table = self._core.store, self._core.store.table(resource.key)
        wanted = options.token.version if options.token else options.version
        if wanted is not None and wanted > store.version:
            raise status.version_in_future(wanted, store.version)
        exact = options.match == "Exact" or (options.token is not None and wanted != -1)
        start = options.token.start if options.token else ""
        if not exact or wanted is None:
            return store.version, selection.present(table, start)
        if wanted == store.version or table.unchanged_since(wanted):
            return wanted, selection.present(table, start)
        try:
            state = table.at(wanted)
        except GoneError as gone:
            if options.token:
                raise paging.token_expired(options.token) from gone
            why = "The resourceVersion for the provided list is too old."
            raise status.expired(why) from gone
        matching = (entry for entry in state.values() if selection.matches(entry))
        return wanted, (entry for entry in matching if selection.place(entry) >= start)

    def watch(self, call: Call) -> Response:
        """Answer with a stream of changes."""
        form = negotiate(call.request.headers.get("accept", ""))
        selection, options = Selection(call), paging.parse(call.query)
        initial = call.query.get("sendInitialEvents", "").lower()
        _check_initial(initial, options)
        table, store = self._core.store.table(call.resource.key), self._core.store
        render = self._watch_render(call, form)
        # Each row of a Table is made for one client: ages, and columns only once.
        key = None if form.transform == "Table" else (call.resource.path, selection.key, form)
        view = View(selection.matches, render, _bookmark(call.resource, form), key)
        from_start = options.version is None if not initial else initial in TRUE
        floor = None if from_start else options.version
        try:
            follower = table.follow(floor)
        except GoneError as gone:
            return Response(watch=_expired_watch(table, view, store.version, floor, gone))
        subscription = Subscription(
            follower,
            view,
            lambda: store.version,
            timeout=_timeout(call),
            bookmarks=call.query.get("allowWatchBookmarks", "").lower() in TRUE,
            floor=floor or 0,
        )
        if from_start:
            present = selection.present(table)
            subscription.pending = [WatchEvent("ADDED", render(entry)) for entry in present]
            if initial in TRUE and view.bookmark:
                notes = {_INITIAL_END: "true", _BLUEPRINT: _blueprint(call.resource)}
                end = WatchEvent("BOOKMARK", view.bookmark(store.version, notes))
                subscription.pending.append(end)
        return Response(watch=subscription)

    def _watch_render(self, call: Call, form: Form) -> Callable[[Json], Json]:
        transform = self._transform(call, form)
        if form.transform != "Table":
            return lambda each: transform(from_storage(call.resource, each))
        first = True
        include = call.query.get("includeObject", "Metadata")

        def row(each: Json) -> Json:
            # Only the first Table of a stream names its columns.
            nonlocal first
            served, now = from_storage(call.resource, each), self._core.clock.now()
            shown = tables.table(call.resource, [served], form.version, include, now=now)
            if not first:
                shown["columnDefinitions"] = None
            first = False
            return shown

        return row


def _bookmark(resource: Resource, form: Form) -> Callable[[int, Json], Json]:
    head = {"kind": resource.kind, "apiVersion": resource.api_version}

    def bookmark(version: int, annotations: Json) -> Json:
        metadata: Json = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        blank = head | {**empty(struct(resource.schema)), "metadata": metadata}
        return tables.partial(blank, form.version) if form.transform else blank

    return bookmark


def item(document: Json) -> Json:
    """Return an object as lists show it, without kind and version."""
    return {part: document[part] for part in document if part not in ("kind", "apiVersion")}


def _timeout(call: Call) -> float | None:
    text = call.query.get("timeoutSeconds", "")
    if not text:
        return None
    try:
        return float(int(text)) or None
    except ValueError as error:
        why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise status.bad_request(why) from error


def _check_initial(initial: str, options: ListOptions) -> None:
    if initial and options.match != "NotOlderThan" and initial in TRUE:
        why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        cause = status.Cause("FieldValueForbidden", why, "resourceVersionMatch")
        raise status.invalid("ListOptions", "meta.k8s.io", "", [cause])


def _expired_watch(
    table: Table, view: View, version: int, floor: int | None, gone: GoneError
) -> Subscription:
    error = status.expired(f"too old resource version: {floor} ({gone.oldest})")
    over = Subscription(table.follow(None), view, lambda: version)
    over.pending = [WatchEvent("ERROR", error.document())]
    over.close()
    return over


def _blueprint(resource: Resource) -> str:
    body: Json = {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": {},
        "items": None,
    }
    text = json.dumps(body, separators=(",", ":")) + "\n"
    return base64.b64encode(text.encode()).decode()
