"""Guards about images whose name says too little: the same tag may be another image by now."""

from collections.abc import Iterator

from veza_nb.guards.case import Case, Guard
from veza_nb.imagenames import full_name
from veza_nb.vocabulary import Level
from veza_nb.words import count, listing, one_line

_LATEST = "latest"
_UNPULLABLE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)
_KUBELET_NAMES = 50


def mutable(case: Case) -> Iterator[Guard]:
    """Images of the target that are pulled by a tag which does not stand still."""
    if case.noop:
        return
    wanted = sorted(set(case.target.images.values()))
    moving = [image for image in wanted if _tag(image) in ("", _LATEST)]
    if moving:
        yield Guard(
            "mutable-tag",
            Level.WARN,
            f"The target runs {listing(moving)}: that tag may mean another image today.",
            "Prefer a revision whose image has a version or a digest.",
        )
    for image in wanted:
        digests = sorted(_digests(case, image))
        if len(digests) > 1:
            yield Guard(
                "tag-moved",
                Level.WARN,
                f"Pods that run {image} run {len(digests)} different images: "
                f"{listing(digest[:19] for digest in digests)}.",
                "The tag was pushed again: new pods may get another image than the one that ran "
                "well. Ask who pushed it; a digest would pin it.",
            )


def pullable(case: Case) -> Iterator[Guard]:
    """Images of the target that may not be had any more, as far as can be known."""
    if case.noop:
        return
    for image in sorted(set(case.target.images.values())):
        failing = _failing(case, image)
        if failing:
            yield Guard(
                "image-unpullable",
                Level.WARN,
                f"{failing[0]}: {image} cannot be pulled there now.",
                f"Look whether the registry still has it: `docker manifest inspect {image}`; "
                "`" + case.kubectl("describe", "pod", failing[0].partition(" ")[0]) + "`.",
            )
    seen = case.around.on_nodes
    if seen is None or not seen.missing:
        return
    yield Guard(
        "image-not-on-nodes",
        Level.WARN,
        f"None of {count(seen.nodes, 'node')} looked at names {listing(seen.missing)}: it has to "
        f"be pulled first, if the registry still has it (a kubelet names {_KUBELET_NAMES} images "
        "at most, so this proves nothing).",
        f"Look whether the registry has it: `docker manifest inspect {seen.missing[0]}`.",
    )


def _failing(case: Case, image: str) -> list[str]:
    """Pods that cannot get that image now, with what their kubelets say."""
    wanted = full_name(image)
    return [
        f"{pod.metadata.name} waits with {waiting.reason}"
        + (f" ({one_line(waiting.message, 120)})" if waiting.message else "")
        for pod in case.workload.pods
        for status in (*pod.status.container_statuses, *pod.status.init_container_statuses)
        if (waiting := status.state.waiting) is not None
        and waiting.reason in _UNPULLABLE
        and full_name(status.image) == wanted
    ]


def _tag(image: str) -> str:
    """The tag; a digest pins whatever the tag says, so it counts as one."""
    if "@" in image:
        return image.partition("@")[2]
    return image.rpartition("/")[2].partition(":")[2]


def _digests(case: Case, image: str) -> set[str]:
    """The digests of that image in the pods that are there."""
    ids = (
        status.image_id.rpartition("@")[2]
        for pod in case.workload.pods
        for status in pod.status.container_statuses
        if status.image == image
    )
    return {digest for digest in ids if digest.startswith("sha256:")}
