"""The types of the API: which fields there are, in which order, and how lists merge.

`schema.txt` lists every type, one field a line: name, type, traits. `?` after a name: left
out of JSON when empty; `!`: required. `*T` may be null, `[]T` is a list, `{}T` a map. Traits:
`merge` or `merge=KEY` (strategic merge joins instead of replacing), `retainKeys`, `keys=A+B`
(identity of list items for field ownership), `set`, `atomic`, `#N` (number in protobuf; `#2.1` is
field 1 of a nested message 2 that JSON has inlined). This one table drives decoding, patches,
ownership and OpenAPI.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources

_TEXTS = ("string", "bytes", "Time", "MicroTime", "Duration", "Quantity", "IntOrString")
SCALARS = frozenset((*_TEXTS, "int32", "int64", "bool", "float64", "any"))


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf: text, number, truth, time, quantity, or any JSON."""

    name: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list and how its items are told apart.

    Attributes:
        item: Type of the items.
        merge: Strategic merge joins the lists; by `merge_key`, or as a set where that is empty.
        keys: Fields that identify an item for field ownership; empty with `is_set` False: atomic.
    """

    item: Node
    merge: bool = False
    merge_key: str = ""
    keys: tuple[str, ...] = ()
    is_set: bool = False

    @property
    def atomic(self) -> bool:
        """Whether the list is owned as one."""
        return not self.keys and not self.is_set


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map from text to values of one type."""

    value: Node
    atomic: bool = False


@dataclass(slots=True, eq=False)
class Struct:
    """An object with known fields, in the wire's order.

    Attributes:
        name: Such as "apps.v1.Deployment".
        atomic: Whether it is owned as one.
        fields: In the wire's order.
        index: The fields by name.
        positions: Places in the wire's order, by name.
        shown: Names of the fields that the wire shows even when nothing is set.
        kept: Names of the fields whose empty values are kept when they are set.
        layouts: What decoding found out about sets of members, so that it need not again.
    """

    name: str
    atomic: bool = False
    fields: list[Field] = field(default_factory=list)
    index: dict[str, Field] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    kept: frozenset[str] = frozenset()
    layouts: dict[tuple[str, ...], Layout] = field(default_factory=dict, repr=False)

    @property
    def go_name(self) -> str:
        """Return "DeploymentSpec" of "apps.v1.DeploymentSpec"."""
        return self.name.rpartition(".")[2]


Node = Scalar | ListOf | MapOf | Struct
# Members in the wire's order: name, name of its scalar type or "", whether it is kept empty, field.
Layout = tuple[tuple[str, str, bool, "Field"], ...]
_NEVER_EMPTY = (Scalar("IntOrString"), Scalar("Quantity"), Scalar("any"))


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct."""

    name: str
    node: Node
    pointer: bool = False
    omit_empty: bool = False
    required: bool = False
    atomic: bool = False
    retain_keys: bool = False
    number: tuple[int, ...] = ()

    @property
    def shown(self) -> bool:
        """Whether the wire shows the field even when it is not set."""
        plain = isinstance(self.node, Struct) or self.node in (Scalar("Time"), Scalar("MicroTime"))
        return not self.omit_empty or (plain and not self.pointer)

    @property
    def keeps_empty(self) -> bool:
        """Whether an empty value is kept when it is set."""
        whole = isinstance(self.node, Struct) or self.node in _NEVER_EMPTY
        return not self.omit_empty or self.pointer or whole


@functools.cache
def _types() -> dict[str, Struct]:
    text = resources.files(__package__).joinpath("schema.txt").read_text("utf-8")
    types: dict[str, Struct] = {}
    bodies: list[tuple[Struct, list[str]]] = []
    for line in text.splitlines():
        if line.startswith(" "):
            bodies[-1][1].append(line)
            continue
        name, *traits = line.split()
        types[name] = Struct(name, atomic="atomic" in traits)
        bodies.append((types[name], []))
    for struct, lines in bodies:
        struct.fields = [_field(line, types) for line in lines]
        struct.index = {entry.name: entry for entry in struct.fields}
        struct.positions = {entry.name: place for place, entry in enumerate(struct.fields)}
        struct.kept = frozenset(entry.name for entry in struct.fields if entry.keeps_empty)
        struct.shown = tuple(entry.name for entry in struct.fields if entry.shown)
    return types


def _field(line: str, types: dict[str, Struct]) -> Field:
    name, spelled, *traits = line.split()
    return Field(
        name=name.rstrip("?!"),
        node=_node(spelled.removeprefix("*"), traits, types),
        pointer=spelled.startswith("*"),
        omit_empty="?" in name,
        required="!" in name,
        atomic="atomic" in traits,
        retain_keys="retainKeys" in traits,
        number=_number(traits),
    )


def _number(traits: list[str]) -> tuple[int, ...]:
    found = next((trait[1:] for trait in traits if trait.startswith("#")), "")
    return tuple(int(part) for part in found.split(".") if part)


def _node(spelled: str, traits: list[str], types: dict[str, Struct]) -> Node:
    if spelled.startswith("[]"):
        given = dict(trait.partition("=")[::2] for trait in traits)
        keys = tuple(given["keys"].split("+")) if "keys" in given else ()
        item = _node(spelled[2:], [], types)
        return ListOf(item, "merge" in given, given.get("merge", ""), keys, "set" in given)
    if spelled.startswith("{}"):
        return MapOf(_node(spelled[2:], [], types), "atomic" in traits)
    return Scalar(spelled) if spelled in SCALARS else types[spelled]


def struct(name: str) -> Struct:
    """Return the type of a name such as "apps.v1.Deployment".

    Raises:
        KeyError: The table has no such type.
    """
    return _types()[name]


def reachable(root: Struct) -> Iterator[Struct]:
    """Yield a struct and every struct below it, each once."""
    seen: set[str] = set()
    todo: list[Node] = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, ListOf):
            todo.append(node.item)
        elif isinstance(node, MapOf):
            todo.append(node.value)
        elif isinstance(node, Struct) and node.name not in seen:
            seen.add(node.name)
            yield node
            todo.extend(entry.node for entry in node.fields)
