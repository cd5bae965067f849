"""The environment that a container gets: from literals, ConfigMaps, Secrets, and the pod itself."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from veza_nb.sandbox.nodes import environment
from veza_nb.sandbox.nodes.environment import ConfigError

Json = dict[str, Any]
POD: Json = {
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "uid": "u1",
        "labels": {"app": "web"},
        "annotations": {"example.com/team": "music"},
    },
    "spec": {"nodeName": "node-1", "serviceAccountName": "default"},
    "status": {"hostIP": "10.0.0.1"},
}
OBJECTS: dict[tuple[str, str], Json] = {
    ("configmaps", "settings"): {"data": {"LEVEL": "info", "URL": "http://x"}},
    ("secrets", "keys"): {"data": {"KEY": base64.b64encode(b"s3cret").decode()}},
    ("secrets", "empty"): {},
}


def of(*env: Json, sources: tuple[Json, ...] = (), **spec: Any) -> dict[str, str]:
    container = {"name": "c", "env": list(env), "envFrom": list(sources), **spec}
    return environment.of(
        POD, container, lambda kind, _, name: OBJECTS.get((kind, name)), "10.1.1.9"
    )


def test_sources_come_first_and_single_variables_win() -> None:
    found = of(
        {"name": "LEVEL", "value": "debug"},
        {"name": "WHOLE", "value": "$(APP_URL)/$(LEVEL)/$(NONE)/$$(LEVEL)"},
        {"name": "EMPTY"},
        sources=(
            {"prefix": "APP_", "configMapRef": {"name": "settings"}},
            {"secretRef": {"name": "keys"}},
            {"secretRef": {"name": "empty"}},
        ),
    )

    assert found == {
        "APP_LEVEL": "info",
        "APP_URL": "http://x",
        "KEY": "s3cret",
        "LEVEL": "debug",
        "WHOLE": "http://x/debug/$(NONE)/$(LEVEL)",
        "EMPTY": "",
    }


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"secretKeyRef": {"name": "keys", "key": "KEY"}}, "s3cret"),
        ({"configMapKeyRef": {"name": "settings", "key": "LEVEL"}}, "info"),
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "web-1"),
        ({"fieldRef": {"fieldPath": "metadata.labels['app']"}}, "web"),
        ({"fieldRef": {"fieldPath": "metadata.annotations['example.com/team']"}}, "music"),
        ({"fieldRef": {"fieldPath": "spec.nodeName"}}, "node-1"),
        ({"fieldRef": {"fieldPath": "status.hostIP"}}, "10.0.0.1"),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "10.1.1.9"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "1"),
        ({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}, "500"),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}, "64"),
        ({"resourceFieldRef": {"resource": "requests.cpu"}}, "0"),
    ],
)
def test_a_variable_can_come_from_elsewhere(source: Json, value: str) -> None:
    resources = {"limits": {"cpu": "500m", "memory": "64Mi"}}

    assert of({"name": "X", "valueFrom": source}, resources=resources) == {"X": value}


def test_what_is_optional_and_missing_is_left_out() -> None:
    source = {"secretKeyRef": {"name": "none", "key": "k", "optional": True}}

    assert of({"name": "X", "valueFrom": source}) == {}
    with pytest.raises(ConfigError, match='secret "none" not found'):
        of({"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}})
