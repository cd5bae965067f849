"""Which objects a controller owns: orphans that match are adopted, what no longer does is freed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from veza_nb.sandbox.apimachinery.selectors import LabelSelector, from_object
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.controllers.informer import Informer, key_of
from veza_nb.sandbox.controllers.revisions import owner_reference


def claim(
    client: Client,
    informer: Informer,
    owner: Json,
    api_version: str,
    kind: str,
    *,
    may_adopt: Callable[[Json], bool] = bool,
) -> list[Json]:
    """The objects in `informer` that `owner` controls, after adoption and release.

    `informer` needs the indexes "controller" and "orphan". `may_adopt` narrows the orphans.
    """
    owned = keep(client, informer, owner, informer.select("controller", owner["metadata"]["uid"]))
    return owned + adopt(client, informer, owner, api_version, kind, may_adopt=may_adopt)


def keep(client: Client, informer: Informer, owner: Json, owned: Iterable[Json]) -> list[Json]:
    """Of some objects that `owner` controls those that it keeps; the others are set free."""
    selector, uid = from_object(owner["spec"]["selector"]), owner["metadata"]["uid"]
    kept = []
    for item in owned:
        metadata = item["metadata"]
        if selector.matches(metadata.get("labels")) or "deletionTimestamp" in metadata:
            kept.append(item)
        else:
            _release(client, informer, item, uid)
    return kept


def adopt(
    client: Client,
    informer: Informer,
    owner: Json,
    api_version: str,
    kind: str,
    *,
    may_adopt: Callable[[Json], bool] = bool,
) -> list[Json]:
    """The orphans that match and that `owner` controls from now on."""
    selector, namespace = from_object(owner["spec"]["selector"]), owner["metadata"]["namespace"]
    return [
        _adopt(client, informer, item, owner_reference(owner, api_version, kind))
        for item in informer.select("orphan", namespace)
        if _adoptable(item, selector) and may_adopt(item)
    ]


def _is_going(item: Json) -> bool:
    return "deletionTimestamp" in item["metadata"]


def _adoptable(item: Json, selector: LabelSelector) -> bool:
    return not _is_going(item) and selector.matches(item["metadata"].get("labels"))


def _adopt(client: Client, informer: Informer, item: Json, reference: Json) -> Json:
    owners = [*item["metadata"].get("ownerReferences", []), reference]
    return _write_owners(client, informer, item, owners)


def _release(client: Client, informer: Informer, item: Json, uid: str) -> None:
    owners = [ref for ref in item["metadata"]["ownerReferences"] if ref["uid"] != uid]
    _write_owners(client, informer, item, owners)


def _write_owners(client: Client, informer: Informer, item: Json, owners: list[Json]) -> Json:
    namespace, name = key_of(item)
    patch = {"metadata": {"uid": item["metadata"]["uid"], "ownerReferences": owners}}
    written = client.patch(informer.resource, namespace, name, patch)
    informer.observe(written)
    return written
