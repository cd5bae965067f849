"""Two pod templates as YAML, line by line, secrets masked."""

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given

from tests.builders import template
from tests.test_podtemplates import TEMPLATES
from veza_nb.podtemplates import same_template
from veza_nb.yamldiff import YamlDiff, to_yaml, yaml_diff


def api(image: str = "app:v1", **container: Any) -> dict[str, Any]:
    return template(image, **container)


def text(diff: YamlDiff) -> list[str]:
    return [f"{line.sign}{line.text}" for line in diff.lines]


def test_the_same_templates_have_no_diff() -> None:
    assert yaml_diff(api(), api()).lines == ()


def test_a_diff_shows_what_goes_then_what_comes_with_some_lines_around() -> None:
    diff = yaml_diff(api("app:v2"), api("app:v1"))

    assert text(diff) == [
        "@3 lines the same",
        " spec:",
        "   containers:",
        "   - name: api",
        "-    image: app:v2",
        "+    image: app:v1",
    ]
    assert diff.counted == "1 line goes, 1 comes"


def test_order_of_keys_and_the_hash_label_are_no_difference() -> None:
    one = api(env=[{"name": "A", "value": "1"}], ports=[{"containerPort": 80, "name": "http"}])
    two = copy.deepcopy(one)
    container = two["spec"]["containers"][0]
    two["spec"]["containers"][0] = dict(reversed(container.items()))
    two["metadata"]["labels"]["pod-template-hash"] = "abc"

    assert yaml_diff(one, two).lines == ()


def test_name_and_image_come_first() -> None:
    lines = to_yaml(api(env=[{"value": "1", "name": "A"}], command=["x"])).splitlines()

    start = lines.index("  - name: api")
    assert lines[start + 1] == "    image: app:v1"
    assert "    - name: A" in lines


def test_a_secret_that_changed_shows_masked_on_both_sides() -> None:
    one, two = (api(env=[{"name": "DB_PASSWORD", "value": v}]) for v in ("hunter2-a", "hunter2-b"))
    diff = yaml_diff(one, two)
    shown = "\n".join(text(diff))

    assert (diff.removed, diff.added) == (1, 1)
    assert "hunter2" not in shown
    assert shown.count("[redacted]") == 2
    assert shown.isascii()


def test_a_secret_that_stayed_is_no_change() -> None:
    one, two = (api(v, env=[{"name": "API_TOKEN", "value": "s3cr3t-1"}]) for v in ("a:1", "a:2"))
    diff = yaml_diff(one, two, context=99)

    assert (diff.removed, diff.added) == (1, 1)
    assert "s3cr3t" not in "\n".join(text(diff))


def test_a_script_is_shown_as_lines() -> None:
    one, two = (api(args=[f"set -e\nmigrate {step}\nserve\n"]) for step in ("up", "down"))
    diff = yaml_diff(one, two)

    assert "-      migrate up" in text(diff)
    assert "+      migrate down" in text(diff)
    assert diff.removed == 1


def test_long_stretches_that_stay_are_left_out_and_counted() -> None:
    many = [{"name": f"V{n}", "value": str(n)} for n in range(40)]
    one, two = api("app:v1", env=many), api("app:v2", env=many)

    assert text(yaml_diff(one, two))[-1] == "@78 lines the same"
    assert len(yaml_diff(one, two).lines) < 15


@given(TEMPLATES, TEMPLATES)
def test_a_diff_is_empty_exactly_where_nothing_differs(a: dict, b: dict) -> None:
    assert same_template(a, b) == (not yaml_diff(a, b).lines)


@given(TEMPLATES)
def test_what_is_shown_is_yaml(a: dict) -> None:
    yaml.safe_load(to_yaml(a))


@pytest.mark.parametrize(
    "odd", [{}, {"spec": None}, {"metadata": None}, {"spec": {"containers": 3}}]
)
def test_odd_templates_are_shown_not_refused(odd: dict) -> None:
    assert yaml_diff(odd, api()).added > 0
