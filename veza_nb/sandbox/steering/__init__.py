"""Steering a cluster that runs: commands from outside reach it here, never through its API."""
