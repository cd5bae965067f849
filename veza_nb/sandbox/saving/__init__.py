"""Snapshots: the state of a whole cluster in one file, and back."""
