"""Faults for those who use a cluster: as operations of its control line, and as one small object.

A `Faults` is the same in front of a cluster of this process and of one in another process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from veza_nb.sandbox.faults import parsing
from veza_nb.sandbox.faults.edge import Edge
from veza_nb.sandbox.steering.control import Control, ControlError

Json = dict[str, Any]


def offer_faults(control: Control, edge: Edge) -> None:
    """Offer `faults.add`, `faults.list`, `faults.remove` with an `id`, and `faults.clear`."""

    async def add(arguments: Json) -> Json:
        return await edge.add(parsing.parse(arguments))

    async def remove(arguments: Json) -> Json:
        name = arguments.get("id")
        if not isinstance(name, str):
            raise ControlError("say which: the id of a fault")
        return await edge.remove(name)

    async def clear(_: Json) -> list[Json]:
        return await edge.clear()

    control.on("faults.add", add)
    control.on("faults.list", lambda _: edge.listing())
    control.on("faults.remove", remove)
    control.on("faults.clear", clear)


class Faults:
    """The faults of a cluster.

    Args:
        perform: Lets the cluster do an operation: its name, its arguments.
    """

    def __init__(self, perform: Callable[[str, Json], Any]) -> None:
        self._perform = perform

    def add(self, kind: str, **rule: object) -> str:
        """Put a fault into force and return its id.

        Args:
            kind: Such as "error"; one of `faults.Kind`.
            rule: The other members of `faults.Rule` and `faults.Selector`: `code`, `seconds`,
                `verbs`, `resources`, `rate`, `count`, `lasting`…

        Raises:
            ControlError: It makes no sense; the message says what does.
        """
        return str(self._perform("faults.add", {"kind": kind, **rule})["id"])

    def list(self) -> list[Json]:
        """Tell every fault in force: its id, its hits, its rule."""
        found: list[Json] = self._perform("faults.list", {})
        return found

    def hits(self, name: str) -> int:
        """How many requests met a fault that is in force.

        Raises:
            ControlError: There is none of that id.
        """
        for each in self.list():
            if each["id"] == name:
                return int(each["hits"])
        raise ControlError(f"no fault {name!r} is in force")

    def remove(self, name: str) -> Json:
        """End one; tell how it was.

        Raises:
            ControlError: There is none of that id.
        """
        told: Json = self._perform("faults.remove", {"id": name})
        return told

    def clear(self) -> None:
        """End all."""
        self._perform("faults.clear", {})
