"""History: the revisions that could be gone back to, read afresh."""

from veza_nb.catalog import Service
from veza_nb.cluster import Cluster
from veza_nb.revisions import History, read_history


def history(cluster: Cluster, service: Service) -> History:
    """The service's revisions as they are now.

    Numbers noted earlier may be gone: an undo renumbers. So they are never kept.
    """
    workload = cluster.workload(service.workload, service.selector)
    return read_history(workload, now=cluster.now())
