"""Services come back in the order in which they need each other."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veza_nb.catalog import load_catalog
from veza_nb.dependencies import among, find_cycle, in_order
from veza_nb.errors import CatalogError

VEZA = {"api": (), "web": ("api",), "stream": ("api",), "mobile": ("web",)}


def test_a_service_waits_for_those_that_it_needs() -> None:
    after = among(["web", "api", "stream"], VEZA)

    assert after == {"web": {"api"}, "api": frozenset(), "stream": {"api"}}
    assert in_order(after) == ("api", "web", "stream")


def test_order_is_handed_on_by_a_service_that_stays_as_it_is() -> None:
    assert among(["mobile", "api"], VEZA) == {"mobile": {"api"}, "api": frozenset()}


def test_a_name_that_is_given_twice_is_one_service() -> None:
    assert among(["api", "api"], VEZA) == {"api": frozenset()}


def test_a_circle_is_found_and_told_in_the_direction_of_need() -> None:
    assert find_cycle({"a": ("b",), "b": ("c",), "c": ("a",), "d": ()}) in {
        ("a", "b", "c", "a"),
        ("b", "c", "a", "b"),
        ("c", "a", "b", "c"),
    }
    assert find_cycle(VEZA) == ()


@given(st.dictionaries(st.integers(0, 9), st.sets(st.integers(0, 9), max_size=4), max_size=10))
def test_each_comes_after_those_that_it_needs_in_any_catalogue_without_a_circle(
    needs: dict[int, set[int]],
) -> None:
    known = {f"s{one}": tuple(f"s{o}" for o in sorted(others)) for one, others in needs.items()}
    if find_cycle(known):
        return
    order = in_order(among(known, known))

    assert sorted(order) == sorted(known)
    for name, others in known.items():
        assert all(order.index(o) < order.index(name) for o in others if o in known)


CIRCLE = """
services:
  a: {depends_on: [b]}
  b: {depends_on: [a]}
"""
STRANGER = """
services: {a: {}}
groups: {all: [a, b]}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [(CIRCLE, "these depend on each other: "), (STRANGER, "the group all has 'b'")],
)
def test_a_catalogue_with_an_impossible_order_is_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "services.yaml"
    path.write_text(text)

    with pytest.raises(CatalogError) as caught:
        load_catalog(path)

    assert expected in caught.value.what
    assert caught.value.what.startswith(f"{path}:3: ")
