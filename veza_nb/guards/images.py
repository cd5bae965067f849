"""Guards about images whose name says too little: the same tag may be another image by now."""

from collections.abc import Iterator

from veza_nb.guards.case import Case, Guard
from veza_nb.vocabulary import Level
from veza_nb.words import listing

_LATEST = "latest"


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
