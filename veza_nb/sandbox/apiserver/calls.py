"""One request on its way through the API, and the cluster that it is asked of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import yaml

from veza_nb.sandbox.apimachinery import protobuf, status
from veza_nb.sandbox.apimachinery.duplicates import doubled_fields
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.status import ApiError, Cause
from veza_nb.sandbox.apiserver.access import Access, User
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.apiserver.messages import Request
from veza_nb.sandbox.apiserver.routes import Target
from veza_nb.sandbox.apiserver.store import Store

Json = dict[str, Any]
_LONGEST_MANAGER = 128
MAX_BODY = 3 * 1024 * 1024
_MAX_DEPTH = 100
_JSON = ("application/json", "")
_YAML = ("application/yaml", "application/x-yaml", "text/yaml")


class Time(Protocol):
    """The part of the cluster's clock that the API reads."""

    def now(self) -> datetime:
        """Return the cluster's time, aware, UTC."""
        ...


@dataclass(slots=True)
class Core:
    """What every part of the API works on."""

    store: Store
    clock: Time
    access: Access
    logs: LogStore
    version: str

    def stamp(self) -> str:
        """Return now as an API timestamp."""
        return timestamp(self.clock.now())


def timestamp(at: datetime) -> str:
    """Return an API timestamp: RFC 3339, whole seconds."""
    return f"{at.isoformat()[:19]}Z"


def micro_timestamp(at: datetime) -> str:
    """Return the timestamp of a MicroTime field: RFC 3339, six digits of fraction."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


@dataclass(slots=True)
class Call:
    """One request: who, what, with which options.

    Attributes:
        resource: The resource asked for.
        target: The parts of the path.
        user: Who asks.
        request: As it came.
        warnings: What the client is told besides the answer.
    """

    resource: Resource
    target: Target
    user: User
    request: Request
    warnings: list[str] = field(default_factory=list)

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters."""
        return self.request.query

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters."""
        return self.request.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def manager(self) -> str:
        """The name under which changed fields are managed."""
        agent = self.request.headers.get("user-agent", "").partition("/")[0]
        return self.query.get("fieldManager") or agent[:_LONGEST_MANAGER] or "unknown"

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be kept."""
        return bool(self.query.get("dryRun"))

    def doubled(self) -> list[str]:
        """Tell which fields a JSON body has twice, unless the client does not want to know."""
        if self.request.document is not None or self.field_validation == "Ignore":
            return []
        as_json = self.content_type in _JSON or self.content_type.endswith("-patch+json")
        found = doubled_fields(self.request.body) if as_json else []
        return [f'duplicate field "{path}"' for path in found]

    @property
    def field_validation(self) -> str:
        """What to do about unknown fields: "Strict", "Warn" or "Ignore"."""
        return self.query.get("fieldValidation") or "Warn"

    def check_options(self, kind: str) -> None:
        """Refuse options that mean nothing.

        Args:
            kind: Such as "PatchOptions".

        Raises:
            ApiError: 422.
        """
        causes = []
        dry_run = self.query.get("dryRun")
        if dry_run not in (None, "", "All"):
            shown = f'Unsupported value: []string{{"{dry_run}"}}: supported values: "All"'
            causes.append(Cause("FieldValueNotSupported", shown, "dryRun"))
        manager = self.query.get("fieldManager", "")
        if len(manager) > _LONGEST_MANAGER or not manager.isprintable():
            shown = f"Too long: may not be more than {_LONGEST_MANAGER} bytes"
            if manager.isprintable():
                causes.append(Cause("FieldValueTooLong", shown, "fieldManager"))
            else:
                rule = "should only contain printable characters"
                shown = f"Invalid value: {json.dumps(manager)}: {rule}"
                causes.append(Cause("FieldValueInvalid", shown, "fieldManager"))
        validation = self.query.get("fieldValidation")
        if validation not in (None, "", "Strict", "Warn", "Ignore"):
            offered = '"", "Ignore", "Strict", "Warn"'
            shown = f'Unsupported value: "{validation}": supported values: {offered}'
            causes.append(Cause("FieldValueNotSupported", shown, "fieldValidation"))
        if causes:
            raise status.invalid(kind, "meta.k8s.io", "", causes)

    def not_found(self) -> ApiError:
        """Return the 404 about the object that the path names."""
        return status.not_found(self.resource.plural, self.resource.group, self.target.name)

    def read_body(self, schema: str = "") -> Any:
        """Return the decoded body of a create, an update or a review.

        Args:
            schema: Its type, where that is not the resource's.

        Raises:
            ApiError: 400 when it is broken, 413 when too long, 415 in an unknown format.
        """
        if self.request.document is not None:
            return self.request.document
        check_length(self.request.body)
        if self.content_type in _JSON:
            return self._json_object()
        if self.content_type in _YAML:
            return parse_yaml(self.request.body)
        if self.content_type == protobuf.MEDIA_TYPE:
            return self._protobuf(schema or self.resource.schema)
        raise status.unsupported_media_type()

    def _protobuf(self, schema: str) -> Any:
        try:
            return protobuf.decode(self.request.body, schema)
        except protobuf.BadMessageError as error:
            kind = self.resource.kind
            why = f"the object provided is unrecognized (must be of type {kind}): {error}"
            raise status.bad_request(why) from error

    def _json_object(self) -> Any:
        try:
            return parse_json(self.request.body)
        except ValueError as error:
            kind = self.resource.kind
            why = f"couldn't get version/kind; json parse error: {error}"
            shown = _summary(self.request.body)
            raise status.bad_request(
                f"the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
            ) from error


def check_length(body: bytes) -> None:
    """Refuse bodies of more than 3 MiB (413)."""
    if len(body) > MAX_BODY:
        raise status.too_large()


def parse_json(body: bytes) -> Any:
    """Return decoded JSON.

    Raises:
        ValueError: It is broken; the message is in the server's words.
    """
    try:
        document = json.loads(body, parse_constant=_no_constant)
        _check_depth(document, body)
        return _through_json(document) if b"\\ud" in body.lower() else document
    except json.JSONDecodeError as error:
        raise ValueError(_go_error(error)) from error
    except UnicodeDecodeError as error:
        raise ValueError("invalid character in string literal") from error
    except RecursionError as error:
        raise ValueError("exceeded max depth") from error


def _check_depth(document: Any, body: bytes) -> None:
    """Refuse what is nested deeper than anything that makes sense, before anybody walks into it."""
    if body.count(b"{") + body.count(b"[") <= _MAX_DEPTH:
        return
    level = [document]
    for _ in range(_MAX_DEPTH):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [one for many in inner for one in many if isinstance(one, dict | list)]
        if not level:
            return
    raise ValueError("exceeded max depth")


def _through_json(document: Any) -> Any:
    """Return what JSON can hold of a document: text as keys, no halves of characters."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    return json.loads(text.encode("utf-8", "replace"))


def _no_constant(name: str) -> Any:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


_KEY_WANTED = "looking for beginning of object key string"
_WHERE = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": _KEY_WANTED,
    "Illegal trailing comma before end of object": _KEY_WANTED,
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Extra data": "after top-level value",
}


def _go_error(error: json.JSONDecodeError) -> str:
    rest = error.doc[error.pos :].lstrip()
    if not rest or error.msg.startswith("Unterminated"):
        return "unexpected end of JSON input"
    return f"invalid character '{rest[0]}' {_WHERE.get(error.msg, 'in string literal')}"


def parse_yaml(body: bytes) -> Any:
    """Return decoded YAML, dates left as text.

    Raises:
        ApiError: 400 when it is broken.
    """
    try:
        document = yaml.load(body, Loader=_YamlLoader)
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        return parse_json(text.encode("utf-8", "replace"))
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else "invalid document"
        raise status.bad_request(f"error converting YAML to JSON: yaml: {first}") from error


class _YamlLoader(yaml.SafeLoader):
    """YAML as JSON has it: without dates, and without aliases, which may grow without bound."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted")
        return super().compose_node(parent, index)


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _summary(body: bytes) -> str:
    if not body:
        return "<empty>"
    if body[:1] == b"{":
        shown = body[:30].decode("utf-8", "replace")
        return f"{shown} ..." if len(body) > 30 else shown
    return body[:30].hex() + (" ..." if len(body) > 30 else "")
