"""The catalogue's file as data, with the line of every key, for errors that name it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from veza_nb.errors import CatalogError

MEND = "Mend that line; `veza-nb doctor` checks it again."


class CatalogFile:
    """A YAML file as data, with the line of every key."""

    def __init__(self, path: Path, root: yaml.Node | None) -> None:
        self.path = path
        self.root = root
        _refuse_doubled_keys(self, root)
        self.data: dict[str, Any] = self._top_level()

    @classmethod
    def read(cls, path: Path) -> "CatalogFile":
        """The file at that path.

        Raises:
            CatalogError: it cannot be read, is not YAML, or no mapping.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CatalogError(
                f"The catalogue {path} cannot be read: {_reason(error)}.",
                next_step="Give another one with --catalog, or none for Veza's.",
            ) from error
        try:
            return cls(path, yaml.compose(text, Loader=yaml.SafeLoader))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f"{mark.line + 1}" if mark else "?"
            problem = getattr(error, "problem", None) or "not YAML"
            raise CatalogError(f"{path}:{line}: {problem}.", next_step=MEND) from error

    def wrong(self, path: tuple[str | int, ...], message: str) -> CatalogError:
        """An error at the deepest line that this path reaches."""
        return CatalogError(f"{self.path}:{self.line(path)}: {message}.", next_step=MEND)

    def line(self, path: tuple[str | int, ...]) -> int:
        """The line on which that path stands, or the nearest one above it."""
        node, line = self.root, 1
        for step in path:
            node, found = _child(node, step)
            if node is None:
                break
            line = found
        return line

    def _top_level(self) -> dict[str, Any]:
        data = yaml.SafeLoader("").construct_document(self.root) if self.root else {}
        if not isinstance(data, dict):
            raise self.wrong((), "a catalogue is a mapping with `services`")
        if data.get("extends", "veza") != "veza":
            raise self.wrong(("extends",), "`extends` takes `veza`, the built-in catalogue")
        return data


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, int]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step].start_mark.line + 1
    return None, 0


def _nodes(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _nodes(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _nodes(value)


def _refuse_doubled_keys(document: CatalogFile, root: yaml.Node | None) -> None:
    for mapping in _nodes(root):
        seen: set[str] = set()
        for key, _ in mapping.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise CatalogError(
                    f"{document.path}:{line}: the key {key.value!r} is there twice.",
                    next_step=MEND,
                )
            seen.add(key.value)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
