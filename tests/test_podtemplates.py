"""Comparing pod templates: the same or not, and every place where they differ."""

import copy
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.builders import recorded, template
from veza_nb.podtemplates import (
    images,
    only_restarted,
    same_template,
    template_changes,
    template_digest,
    without_hash,
)
from veza_nb.references import named_sources

KEYS = ["name", "env", "value", "image", "labels", "volumes", "x"]
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=8,
)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("ab")},
        optional={
            "image": st.sampled_from(["v1", "v2"]),
            "env": st.lists(
                st.fixed_dictionaries(
                    {"name": st.sampled_from("PQ")}, optional={"value": st.text(max_size=2)}
                ),
                max_size=3,
            ),
        },
    ),
    max_size=3,
)
TEMPLATES = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.dictionaries(
            st.sampled_from(["labels", "annotations", "creationTimestamp"]), VALUES
        ),
        "spec": st.dictionaries(st.sampled_from(["containers", "volumes", "x"]), VALUES)
        | st.fixed_dictionaries({"containers": CONTAINERS}),
    },
)


def hashed(pod_template: dict, value: str = "5d9c") -> dict:
    labels = {**pod_template["metadata"]["labels"], "pod-template-hash": value}
    return {**pod_template, "metadata": {**pod_template["metadata"], "labels": labels}}


def where(live: dict, target: dict) -> list[str]:
    return [change.where for change in template_changes(live, target)]


@given(TEMPLATES, TEMPLATES)
def test_no_changes_exactly_where_templates_are_the_same(a: dict, b: dict) -> None:
    assert same_template(a, b) == (template_changes(a, b) == ())
    assert same_template(a, b) == (template_digest(a) == template_digest(b))


@given(TEMPLATES)
def test_a_template_is_the_same_as_its_copy(a: dict) -> None:
    twin = json.loads(json.dumps(a))

    assert same_template(a, twin)
    assert not only_restarted(a, twin)


@given(TEMPLATES, TEMPLATES)
def test_every_change_shows_two_different_texts(a: dict, b: dict) -> None:
    assume(not same_template(a, b))

    assert all(change.before != change.after for change in template_changes(a, b))


@given(TEMPLATES, st.text(max_size=5))
def test_neither_hash_label_nor_order_of_keys_change_the_digest(a: dict, value: str) -> None:
    metadata = a.get("metadata", {})
    assume(isinstance(metadata.get("labels", {}), dict))
    labels = {"pod-template-hash": value, **metadata.get("labels", {})}
    labels["pod-template-hash"] = value
    backwards = dict(reversed({**a, "metadata": {**metadata, "labels": labels}}.items()))

    assert template_digest(a) == template_digest(backwards)


def test_the_hash_label_goes_and_nothing_else() -> None:
    given_template = hashed(template())
    before = copy.deepcopy(given_template)

    assert template() == without_hash(given_template)
    assert before == given_template


@pytest.mark.parametrize("odd", [1, None, "x", [], {"metadata": None}, {"metadata": {"labels": 3}}])
def test_odd_templates_are_compared_not_refused(odd: object) -> None:
    odd_template = odd if isinstance(odd, dict) else {"spec": odd}

    assert same_template(odd_template, copy.deepcopy(odd_template))
    assert images(odd_template) == {}


def test_a_number_is_not_the_same_number_as_text() -> None:
    [change] = template_changes(template(port=8080), template(port="8080"))

    assert (
        change.where,
        change.before,
        change.after,
    ) == ("containers[api].port", "8080", '"8080"')


def test_an_image_is_named_with_its_container() -> None:
    [change] = template_changes(template("app:v2"), template("app:v1"))

    assert (
        change.where,
        change.before,
        change.after,
    ) == ("containers[api].image", "app:v2", "app:v1")


def test_images_come_first_then_env_resources_probes_volumes_and_the_rest() -> None:
    live, target = (
        {
            "metadata": {"labels": {"tier": value}},
            "spec": {
                "volumes": [{"name": "data", "emptyDir": {"medium": value}}],
                "containers": [
                    {
                        "name": "api",
                        "readinessProbe": {"periodSeconds": value},
                        "resources": {"limits": {"cpu": value}},
                        "env": [{"name": "MODE", "value": value}],
                        "image": value,
                    }
                ],
            },
        }
        for value in ("old", "new")
    )

    assert where(live, target) == [
        "containers[api].image",
        "containers[api].env[MODE]",
        "containers[api].resources.limits.cpu",
        "containers[api].readinessProbe.periodSeconds",
        "volumes[data].emptyDir.medium",
        "metadata.labels.tier",
    ]


def test_containers_that_come_and_go_are_shown_by_their_images() -> None:
    live = template()
    target = copy.deepcopy(live)
    target["spec"]["containers"] = [{"name": "proxy", "image": "proxy:v9", "tty": True}]

    shown = [(c.where, c.before, c.after) for c in template_changes(live, target)]

    assert shown == [
        ("containers[api]", "app:v1", ""),
        ("containers[proxy]", "", "proxy:v9"),
    ]


def test_order_counts_where_only_it_differs() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    [change] = template_changes(template(env=env), template(env=env[::-1]))

    assert (
        change.where,
        change.before,
        change.after,
    ) == ("containers[api].env (order)", "A, B", "B, A")


def test_an_empty_value_is_told_from_a_missing_one() -> None:
    live = template(env=[{"name": "A", "value": ""}])
    target = template(env=[])
    [change] = template_changes(live, target)

    assert (change.before, change.after) == ('""', "")


def test_long_values_are_cut_around_the_difference() -> None:
    live, target = (
        template(env=[{"name": "CONFIG", "value": "x" * 500 + end + "y" * 500}])
        for end in ("old", "new")
    )
    [change] = template_changes(live, target)

    assert "old" in change.before
    assert "new" in change.after
    assert len(change.before) <= 130


def test_keys_with_dots_and_slashes_stay_readable() -> None:
    live, target = template(), template()
    target["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "2026"}

    assert where(live, target) == ["metadata.annotations"]
    live["metadata"]["annotations"] = {"a": "b"}
    target["metadata"]["annotations"]["a"] = "b"
    assert where(live, target) == ["metadata.annotations[kubectl.kubernetes.io/restartedAt]"]


def test_a_restart_is_told_from_a_release() -> None:
    restarted, released = template(), template("app:v2")
    for changed in (restarted, released):
        changed["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "2026"}

    assert only_restarted(template(), restarted)
    assert not only_restarted(template(), released)


def test_the_recorded_release_changes_one_image() -> None:
    old, bad = (
        next(
            rs.spec.template
            for rs in recorded("08-failed-deadline").replicasets
            if mark in rs.metadata.name
        )
        for mark in ("695858dfd9", "55b45f7cdf")
    )
    [change] = template_changes(bad, old)

    assert change.where == "containers[backend-api].image"
    assert change.before == "registry.veza.example/veza-backend-api:v1.2.0-bad"
    assert change.after == "registry.veza.example/veza-backend-api:v1.0.0"


def test_sources_of_content_are_named_once() -> None:
    pod_template = template(
        env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
        envFrom=[{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "db"}}],
    )
    pod_template["spec"]["volumes"] = [
        {"name": "v", "persistentVolumeClaim": {"claimName": "uploads"}},
        {"name": "w", "projected": {"sources": [{"configMap": {"name": "extra"}}]}},
    ]

    assert named_sources(pod_template) == (
        "configmap/extra",
        "configmap/settings",
        "persistentvolumeclaim/uploads",
        "secret/db",
    )
