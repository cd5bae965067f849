"""The only room that talks to Kubernetes.

`kubeconfig` finds out where and as whom, `transport` sends bytes and turns what goes wrong
into this kit's errors, `client` asks the questions of the runbook, `around` looks at what
stands around a workload, `watching` follows it as it changes. Nothing of the vendor's client is
visible above this room.
"""

from veza_nb.cluster.around import look_around
from veza_nb.cluster.client import Cluster, selector_of
from veza_nb.cluster.kubeconfig import Access, load_access
from veza_nb.cluster.watching import watch_workload

__all__ = [
    "Access",
    "Cluster",
    "load_access",
    "look_around",
    "selector_of",
    "watch_workload",
]
