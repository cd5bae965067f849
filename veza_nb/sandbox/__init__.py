"""The training cluster: a Kubernetes API on loopback, with controllers and pods behind it.

From the outside in: `serving` is the network's edge, `faults` what goes wrong there on demand,
`streaming` attach, exec and port-forward; `apiserver` answers requests and keeps objects, on what
`apimachinery` knows of kinds and encodings; `controllers` and `nodes` work behind it as clients do;
`metrics` is what monitoring sees, `programs` what really runs in pods. `plane` puts one control
plane together, `lifecycle` a whole cluster, `detached` a process of its own with `steering` for
commands from outside; `seeding` plays the history of `scenarios`, `saving` keeps it all in a file.
"""
