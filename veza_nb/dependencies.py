"""In what order services come back: what others depend on goes first."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter


def find_cycle(depends_on: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Names that depend on each other in a circle, the first one again at the end.

    Args:
        depends_on: every service with those that it depends on.

    Returns:
        The circle; empty where there is none.
    """
    try:
        TopologicalSorter(depends_on).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        # The sorter tells it from the service that is needed to the one that needs it.
        return tuple(reversed(found))
    return ()


def among(
    names: Iterable[str], depends_on: Mapping[str, Iterable[str]]
) -> dict[str, frozenset[str]]:
    """Which of these services must be back before which other one begins.

    A service that is not among them still hands its order on: where A needs B and B needs C,
    A comes after C, whether or not B is rolled back too.

    Args:
        names: the services that are rolled back, in the order in which they were named.
        depends_on: every service of the catalogue with those that it depends on, no circle.

    Returns:
        Every name with those of the others that go first.
    """
    chosen = tuple(dict.fromkeys(names))
    return {name: below(name, depends_on) & set(chosen) - {name} for name in chosen}


def in_order(after: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The names so that each comes after those that it waits for; else as they were named."""
    sorter = TopologicalSorter(after)
    return tuple(sorter.static_order())


def below(name: str, depends_on: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """All services that this one needs, directly or through others."""
    found: set[str] = set()
    waiting = [*depends_on.get(name, ())]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += depends_on.get(one, ())
    return frozenset(found)
