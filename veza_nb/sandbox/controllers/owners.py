"""Which objects a controller owns: orphans that match are adopted, what no longer does is freed."""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.selectors import LabelSelector, from_object
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.controllers.informer import Informer, key_of
from veza_nb.sandbox.controllers.revisions import owner_reference


def claim(
    client: Client, informer: Informer, owner: Json, api_version: str, kind: str
) -> list[Json]:
    """The objects in `informer` that `owner` controls, after adoption and release.

    `informer` needs the indexes "controller" and "orphan".
    """
    selector = from_object(owner["spec"]["selector"])
    uid, namespace = owner["metadata"]["uid"], owner["metadata"]["namespace"]
    owned = []
    for item in informer.select("controller", uid):
        if selector.matches(item["metadata"].get("labels")) or _is_going(item):
            owned.append(item)
        else:
            _release(client, informer, item, uid)
    for item in informer.select("orphan", namespace):
        if _adoptable(item, selector):
            reference = owner_reference(owner, api_version, kind)
            owned.append(_adopt(client, informer, item, reference))
    return owned


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
