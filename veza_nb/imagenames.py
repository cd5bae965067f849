"""Names of images, spelled the way container runtimes spell them."""


def full_name(image: str) -> str:
    """The image with the registry, folder and tag that are meant where none is given.

    `nginx` and `docker.io/library/nginx:latest` are one image.
    """
    name, at, digest = image.partition("@")
    head, slash, rest = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in head and ":" not in head and head != "localhost":
        name = f"docker.io/{name}"
    elif head in ("index.docker.io", "registry-1.docker.io"):
        name = f"docker.io/{rest}"
    if at:
        # A digest pins whatever a tag beside it says.
        return f"{_without_tag(name)}@{digest}"
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _without_tag(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"
