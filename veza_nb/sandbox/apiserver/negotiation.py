"""What form of an answer a client takes: the object, a Table, metadata only, YAML, a stream."""

from __future__ import annotations

from dataclasses import dataclass

from veza_nb.sandbox.apimachinery import status

_OFFERED = (
    "application/json, application/yaml, application/vnd.kubernetes.protobuf, "
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
)
_META = "meta.k8s.io"


@dataclass(frozen=True, slots=True)
class Form:
    """The form of an answer.

    Attributes:
        transform: "", "Table", "PartialObjectMetadata" or "PartialObjectMetadataList".
        version: Version of the transformed form: "v1" or "v1beta1".
        yaml: Text is YAML.
    """

    transform: str = ""
    version: str = "v1"
    yaml: bool = False


def negotiate(accept: str) -> Form:
    """Return the first form of an Accept header that the server has.

    Raises:
        ApiError: 406 when there is none.
    """
    if not accept.strip():
        return Form()
    for clause in accept.split(","):
        form = _form(clause)
        if form is not None:
            return form
    raise status.not_acceptable(_OFFERED)


def _form(clause: str) -> Form | None:
    media, *parameters = (part.strip() for part in clause.split(";"))
    given = dict(part.partition("=")[::2] for part in parameters)
    if media in ("*/*", "application/*", "application/json"):
        is_yaml = False
    elif media in ("application/yaml", "application/x-yaml"):
        is_yaml = True
    else:
        return None
    transform = given.get("as", "")
    if not transform:
        return Form(yaml=is_yaml)
    known = transform in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
    if not known or given.get("g") != _META or given.get("v") not in ("v1", "v1beta1"):
        return None
    return Form(transform, given["v"], is_yaml)
