"""What each node says that it has of images: `status.images`, the newest 50, as kubelets do."""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.controllers.informer import Informer
from veza_nb.sandbox.nodes.releases import image_id

MOST = 50
_SIZE = 48210344


class ImageLists:
    """Keeps the lists.

    Args:
        client: a kubelet's.
        nodes: their view.
    """

    def __init__(self, client: Client, nodes: Informer) -> None:
        self._client = client
        self._nodes = nodes

    def add(self, node: str, image: str) -> None:
        """A node has that image from now on; one that it has already is no news."""
        item = self._nodes.get("", node)
        if item is None:
            return
        listed: list[Json] = (item.get("status") or {}).get("images") or []
        if any(image in entry["names"] for entry in listed):
            return
        entry = {"names": [image_id(image), image], "sizeBytes": _SIZE}
        status = {"images": [entry, *listed][:MOST]}
        try:
            written = self._client.patch(
                "nodes", None, node, {"status": status}, subresource="status"
            )
        except ApiError:
            return  # a list that is not quite right harms nobody
        self._nodes.observe(written)
