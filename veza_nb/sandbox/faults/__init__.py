"""Faults on demand: which request meets which, how it is answered, and where that happens."""
