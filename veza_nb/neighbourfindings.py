"""Findings about what stands beside the service: what a rollback would not cure.

Each says in `from_release` how much it explains: False where it began before the trouble and is
enough to cause it, None where it only may be. What it does not touch is left out or is only
worth knowing.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from veza_nb.evidence import Evidence, Finding, kubectl
from veza_nb.neighbourhood import Neighbour, NodeState, Role
from veza_nb.objects import Pod
from veza_nb.references import references
from veza_nb.replicasets import progressing
from veza_nb.scene import Scene
from veza_nb.surroundings import Referred
from veza_nb.troubles import NODE_REASONS, READINESS_REASONS, container_statuses, is_ready
from veza_nb.vocabulary import Severity
from veza_nb.words import clock_time, count, listing, span, utc

LATELY = timedelta(hours=1)
"""A rollout, or a change of content, that long before the trouble may have to do with it."""
TOGETHER = timedelta(minutes=10)
"""Neighbours that began to suffer no further apart may suffer from the same thing."""
_EXACTLY = timedelta(seconds=2)
"""Both are the server's times, to the second."""
_SHOWN = 5
_OF_NODES = NODE_REASONS | READINESS_REASONS | {"ContainerStatusUnknown"}
_CONTENT = frozenset({"configmap", "secret"})


def neighbour_findings(scene: Scene) -> Iterator[Finding]:
    """What is wrong beside the service, and what could not be seen."""
    for one in scene.beside.neighbours:
        if one.role is Role.NEEDED and one.ailing:
            yield _needed(scene, one)
    yield from _suffering_alike(scene)
    yield from _nodes(scene)
    yield from _contents(scene)
    if scene.beside.unseen:
        summary = f"Not looked at: {listing(scene.beside.unseen, limit=9)}."
        yield Finding("NotSeen", Severity.INFO, summary, (), None)


def _needed(scene: Scene, one: Neighbour) -> Finding:
    """Something that the service cannot do without is not well."""
    state = "is down" if one.down else "is not whole"
    since = f" since {clock_time(one.since)}" if one.since else ""
    return Finding(
        reason="DependencyDown" if one.down else "DependencyAiling",
        severity=Severity.CRITICAL if one.down else Severity.WARNING,
        summary=f"{one}, which this service needs, {state}{since}: {one.ready} of {one.wanted} "
        "ready. Older revisions need it as well.",
        evidence=(_evidence(one),),
        from_release=_dependency_explains(scene, one),
    )


def _dependency_explains(scene: Scene, one: Neighbour) -> bool | None:
    """Enough to cause it: wholly down, before it began, and not brought down by the release."""
    onset, older_serve = scene.onset, scene.rollout.old_ready > 0
    if not one.down or one.since is None or older_serve:
        return None
    caused = onset.rolled_out_at is not None and onset.rolled_out_at <= utc(one.since)
    settled = scene.live_for is not None and scene.live_for > LATELY
    return False if onset.follows(one.since) and (settled or not caused) else None


def _suffering_alike(scene: Scene) -> Iterator[Finding]:
    """Other services that began to fail at the same time and were not changed themselves.

    Services that need this one suffer because of it: they tell nothing about the cause.
    """
    began = scene.onset.at
    alike = [
        one
        for one in scene.beside.neighbours
        if one.role is Role.OTHER and one.ailing and one.since is not None
        if began is not None and abs(utc(one.since) - began) <= TOGETHER
        if not _rolled_out_lately(one)
    ]
    if alike:
        yield Finding(
            reason="NeighboursSuffer",
            severity=Severity.WARNING,
            summary=f"{count(len(alike), 'other service')} of the application "
            f"({listing(map(str, alike))}) began to fail within {span(TOGETHER)} of this one, "
            "without a rollout: something that they share may be the cause.",
            evidence=tuple(_evidence(one) for one in alike[:_SHOWN]),
            from_release=None,
        )


def _rolled_out_lately(one: Neighbour) -> bool:
    if one.changed_at is None or one.since is None:
        return False
    return utc(one.changed_at) > utc(one.since) - LATELY


def _evidence(one: Neighbour) -> Evidence:
    detail = f"{one.ready} of {one.wanted} ready"
    if one.kind == "service":
        chosen = f"kubernetes.io/service-name={one.name}"
        command = kubectl(one.namespace, "get", "endpointslices", "-l", chosen)
    else:
        command = kubectl(one.namespace, "get", str(one))
    return Evidence(one.kind.capitalize(), one.name, detail, one.since, command)


# --- nodes -----------------------------------------------------------------------------------


def _nodes(scene: Scene) -> Iterator[Finding]:
    ailing = [p for p in scene.workload.pods if not is_ready(p) and p.spec.node_name]
    for node in scene.beside.nodes:
        here = [pod for pod in ailing if pod.spec.node_name == node.name]
        if node.troubles and here:
            yield _node(scene, node, here, alone=len(here) == len(ailing))
        elif node.cordoned and here:
            summary = f"Node {node.name} takes no new pods (cordoned)."
            seen = (_node_evidence(node),)
            yield Finding("NodeCordoned", Severity.INFO, summary, seen, None)


def _node(scene: Scene, node: NodeState, here: Sequence[Pod], *, alone: bool) -> Finding:
    """A bad node; where all pods that suffer are on it, it may be the cause."""
    names = listing(pod.metadata.name for pod in here)
    whole = "all pods that suffer are on it" if alone else "other pods suffer elsewhere too"
    return Finding(
        reason="NodeNotReady" if "NotReady" in node.troubles else "NodePressure",
        severity=Severity.CRITICAL if alone else Severity.INFO,
        summary=f"Node {node.name} is in trouble ({', '.join(node.troubles)}): {whole} ({names}).",
        evidence=(_node_evidence(node),),
        from_release=False if alone and _node_explains(scene, node) else None,
    )


def _node_explains(scene: Scene, node: NodeState) -> bool:
    """It went bad before, and pods suffer what a node makes them suffer: no program of its own."""
    own = [one for one in scene.rollout.troubles if one.reason not in _OF_NODES]
    return not own and scene.onset.follows(node.since)


def _node_evidence(node: NodeState) -> Evidence:
    detail = node.message or ", ".join(node.troubles) or "cordoned"
    return Evidence(
        "Node", node.name, detail, node.since, kubectl("", "describe", "node", node.name)
    )


# --- ConfigMaps and Secrets ------------------------------------------------------------------


def _contents(scene: Scene) -> Iterator[Finding]:
    """Content that older revisions read as well: changed at the wrong time, or gone."""
    shared = {str(one) for one in references(scene.older)} if scene.older is not None else set()
    contents = [one for one in scene.beside.contents if one.reference.kind in _CONTENT]
    gone = [one for one in contents if not one.exists and not one.reference.optional]
    if gone:
        yield _gone(scene, gone, shared)
    changed = [one for one in contents if str(one.reference) in shared and _unmet(scene, one)]
    if changed:
        yield _changed(scene, changed)


def _gone(scene: Scene, gone: Sequence[Referred], shared: set[str]) -> Finding:
    names = [str(one.reference) for one in gone]
    both = all(name in shared for name in names)
    older = "older revisions need it as well" if both else "older revisions do without"
    return Finding(
        reason="ContentMissing",
        severity=Severity.WARNING,
        summary=f"{listing(names)} does not exist, and pods of the live template cannot start "
        f"without; {older}.",
        evidence=tuple(_content_evidence(scene, one, "does not exist") for one in gone[:_SHOWN]),
        from_release=False if both else None if shared.intersection(names) else True,
    )


def _unmet(scene: Scene, one: Referred) -> bool:
    """Whether no pod that serves has started since that content was changed."""
    if one.changed_at is None or utc(one.changed_at) > scene.now + timedelta(minutes=1):
        return False
    starts = [
        utc(status.state.running.started_at)
        for pod in scene.workload.pods
        if is_ready(pod)
        for status in container_statuses(pod)
        if status.state.running is not None and status.state.running.started_at is not None
    ]
    return all(start < utc(one.changed_at) for start in starts) and _is_recent(scene, one)


def _is_recent(scene: Scene, one: Referred) -> bool:
    """Changed shortly before the trouble began, or about when the rollout did; not after it."""
    if one.changed_at is None:
        return False
    changed_at, onset = utc(one.changed_at), scene.onset
    begun = onset.at or onset.rolled_out_at
    late = onset.at is not None and changed_at > onset.at + _EXACTLY
    return begun is not None and not late and changed_at >= begun - LATELY


def _changed(scene: Scene, changed: Sequence[Referred]) -> Finding:
    told = [f"{one.reference} ({clock_time(one.changed_at)})" for one in changed if one.changed_at]
    return Finding(
        reason="ContentChanged",
        severity=Severity.WARNING,
        summary=f"Changed about when it began: {listing(told)}. No pod that serves has started "
        "since, and older revisions read it as well: an undo does not bring it back.",
        evidence=tuple(_content_evidence(scene, one, "changed") for one in changed[:_SHOWN]),
        from_release=False if any(_change_explains(scene, one) for one in changed) else None,
    )


def _change_explains(scene: Scene, one: Referred) -> bool:
    """The release had rolled out and was well until the content changed."""
    seen, changed_at = progressing(scene.workload), one.changed_at
    if changed_at is None or seen is None or seen.reason != "NewReplicaSetAvailable":
        return False
    done = seen.last_update_time
    return done is not None and utc(done) < utc(changed_at) and scene.onset.follows(changed_at)


def _content_evidence(scene: Scene, one: Referred, detail: str) -> Evidence:
    kind = {"configmap": "ConfigMap", "secret": "Secret"}[one.reference.kind]
    words = ["get", str(one.reference), "-o", "yaml", "--show-managed-fields"]
    if one.reference.kind == "secret" or not one.exists:
        # Never a command that prints a Secret's content.
        words = words[:2]
    return Evidence(kind, one.reference.name, detail, one.changed_at, scene.kubectl(*words))
