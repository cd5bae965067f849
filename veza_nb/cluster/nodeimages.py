"""What images the nodes have, as their kubelets name them."""

from collections.abc import Iterable

import msgspec

from veza_nb.cluster.client import Cluster, decode
from veza_nb.imagenames import full_name
from veza_nb.objects import Node
from veza_nb.surroundings import OnNodes

MOST_NODES = 50
"""Nodes that are looked at: the cost follows the service, not the cluster."""


def on_nodes(cluster: Cluster, images: Iterable[str]) -> OnNodes | None:
    """Which of these images none of the first nodes names; None where nodes name none at all.

    Raises:
        VezaError: the nodes cannot be read.
    """
    data = cluster.transport.read("/api/v1/nodes", {"limit": str(MOST_NODES)})
    nodes = decode(data, _Nodes).items
    named = {
        full_name(name) for node in nodes for one in node.status.images for name in one.names or ()
    }
    if not named:
        return None
    return OnNodes(len(nodes), tuple(sorted(one for one in images if full_name(one) not in named)))


class _Nodes(msgspec.Struct, frozen=True):
    items: tuple[Node, ...] = ()
