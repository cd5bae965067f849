"""The training cluster: a Kubernetes API on loopback, with controllers and pods behind it."""
