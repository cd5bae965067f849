"""All services of the catalogue at a glance: the page that a tired person opens first."""

from dataclasses import dataclass
from functools import partial

import msgspec

from veza_nb import display, render
from veza_nb.catalog import Catalog, usual_catalog
from veza_nb.cluster import Cluster
from veza_nb.cluster.client import concurrently
from veza_nb.detect import Detection, detect
from veza_nb.errors import VezaError


@dataclass(frozen=True, slots=True)
class Glance:
    """One service: what a look at it saw, or why it could not be seen."""

    service: str
    detection: Detection | None
    problem: str


def overview(
    *,
    namespace: str = "",
    context: str = "",
    kubeconfig: str = "",
    catalog: str = "",
    timeout: float = 10.0,
) -> None:
    """Show which cluster this is, who you are, and how every service is; changes nothing.

    Args:
        namespace: "" takes the catalogue's.
        context: of the kubeconfig; "" takes the current one.
        kubeconfig: path; "" takes the usual places.
        catalog: path of the services file; "" takes $VEZA_CATALOG, then the built-in one.
        timeout: seconds for one request.
    """
    book = usual_catalog(catalog)
    cluster = Cluster.connect(
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace or book.namespace,
        timeout=timeout,
    )
    user = cluster.whoami()
    glances = concurrently(
        *(partial(_glance, cluster, book, name, namespace) for name in book.services)
    )
    display.show(render.overview(cluster.context, cluster.server, user, glances))


def _glance(cluster: Cluster, book: Catalog, name: str, namespace: str) -> Glance:
    service = book.service(name, namespace=namespace)
    quick = msgspec.structs.replace(book.verify, samples=2)
    try:
        seen = detect(cluster.at(service.namespace).of(service.kind), service, settings=quick)
    except VezaError as error:
        return Glance(name, None, error.what)
    return Glance(name, seen, "")
