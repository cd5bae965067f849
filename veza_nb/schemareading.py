"""What the database's side says about its schema: a ConfigMap's key, or an answer over HTTP."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from veza_nb.catalog import SchemaHas, Service
from veza_nb.cluster import Cluster
from veza_nb.cluster.client import decode
from veza_nb.errors import UnreachableError, VezaError
from veza_nb.probes import answer
from veza_nb.schemagates import SchemaSeen

ANSWER_SECONDS = 3.0


def read_schema(cluster: Cluster, service: Service) -> SchemaSeen | None:
    """The database's version as it is told; None where the catalogue does not say where.

    Raises:
        UnreachableError: the API server does not answer at all.
    """
    if service.schema is None:
        return None
    has = service.schema.has
    return _config_map(cluster, has) if has.configmap else _http(service, has)


def _config_map(cluster: Cluster, has: SchemaHas) -> SchemaSeen:
    where = f"configmap/{has.configmap}, key {has.key}"
    try:
        data = cluster.transport.read(cluster.path("v1", "configmaps", has.configmap))
    except UnreachableError:
        raise
    except VezaError as error:
        return SchemaSeen("", where, f"{where} cannot be read ({error.what.rstrip('.')})")
    found = (decode(data, _ConfigMap).data or {}).get(has.key, "").strip()
    return SchemaSeen(found, where, "" if found else f"{where} is empty or not there")


def _http(service: Service, has: SchemaHas) -> SchemaSeen:
    url = f"{service.url.rstrip('/')}{has.url}" if has.url.startswith("/") else has.url
    where = f"{has.field} of {url}"
    said, why = answer(url, timeout=ANSWER_SECONDS)
    if why:
        return SchemaSeen("", where, f"{url} does not tell ({why})")
    found = _field(said, has.field)
    return SchemaSeen(found, where, "" if found else f"{url} has no {has.field}")


def _field(said: bytes, path: str) -> str:
    """A field of an answer in JSON, "" where there is none."""
    try:
        value: Any = json.loads(said)
    except (ValueError, RecursionError):
        return ""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    plain = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() if plain else ""


class _ConfigMap(msgspec.Struct, frozen=True):
    data: dict[str, str] | None = None
