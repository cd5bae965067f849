"""The recordings of a real control plane, played again on the training cluster and compared."""
