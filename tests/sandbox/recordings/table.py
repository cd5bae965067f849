"""The table of all recordings: which come out the same here, in which respect, and which do not.

It is worked out from the tests themselves: `python -m tests.sandbox.recordings.table` writes it.
"""

from __future__ import annotations

from pathlib import Path

from tests.sandbox import recorded
from tests.sandbox.recordings import comparing, index, player, stories

DOCUMENT = Path(__file__).parents[3] / "docs" / "recordings.md"

# Recordings that come out otherwise, and why that is right.
DIFFERENT = {
    ("kubectl", "23-top-pods"): "there is a metrics API here; its absence is `http/20-404-metrics`",
    ("kubectl", "23-top-nodes"): "there is a metrics API here",
    ("kubectl", "23-exec"): "the stand-in for a kubelet refused in words of its own",
    ("objects", "22-leases.kube-system"): "nobody elects a leader here: all controllers are one "
    "program; Leases themselves are `http/22-lease-*` and `http/22-table-leases`",
    ("objects", "22-leases.kube-node-lease"): "nodes here do not die of a missing heartbeat",
    ("objects", "30-stale-deadline-frequency"): "counts how often a race of milliseconds was lost; "
    "that the stale condition is seen is `watch/30-*`",
}
_ROW = "rows whose Events were recorded, too"
# Compared in test_api_recordings.py by parts.
_PARTLY = {("http", "22-table-events"): _ROW}


def claims() -> dict[tuple[str, str], str]:
    """Recording to how it is compared: a text, empty where everything must be equal."""
    found = {("http", name.removesuffix(".json")): "" for name in recorded.names()} | _PARTLY
    for story in stories.STORIES.values():
        for step in player.steps(story):
            if step.verb in player.FOLDER:
                how = comparing.HOW.get(step.how, "")
                found.setdefault((player.FOLDER[step.verb], step.argument), how)
    return found


def missing() -> list[str]:
    """Recordings that no test looks at."""
    known = claims().keys() | DIFFERENT.keys()
    return [each.path for key, each in index.every().items() if key not in known]


def document() -> str:
    """The page of the documentation."""
    told = claims()
    lines = [_row(key, each, told) for key, each in index.every().items()]
    same = len(lines) - len(DIFFERENT)
    head = _HEAD.format(all=len(lines), same=same, different=len(DIFFERENT))
    return head + "\n".join(lines) + "\n"


def _row(key: tuple[str, str], each: index.Recording, told: dict[tuple[str, str], str]) -> str:
    verdict = f"**different**: {DIFFERENT[key]}" if key in DIFFERENT else "same"
    if key not in DIFFERENT and told[key]:
        verdict = f"same: {told[key]}"
    what = each.what.replace("|", "\\|")
    return f"| `{each.path}` | {what} | {verdict} |"


_HEAD = """# The recordings of a real control plane, and what the training cluster answers

`tests/data/recordings` holds {all} answers of a real Kubernetes 1.32 control plane: objects, error
bodies, Tables, watches, and what kubectl printed. The tests play the same stories on the training
cluster, in the same order, with the real kubectl, and compare: **{same} are the same**, {different}
are different on purpose. Names made by the server, identities, versions, times, addresses and nodes
are replaced before by what they are; "same: …" says which one respect depends on the moment, or on
the stand-in for a kubelet that the recordings were made with.

This page is written by `python -m tests.sandbox.recordings.table`; a test keeps it so.

| recording | what it is | here |
|---|---|---|
"""


if __name__ == "__main__":
    DOCUMENT.write_text(document(), "utf-8")
