"""The Jobs of a database's way back: what is sent, and what is read of what they print."""

from typing import Any

import pytest

from veza_nb.catalog import Migration
from veza_nb.migrationjobs import (
    INCIDENT,
    JobOrder,
    SchemaVersion,
    filled,
    job_manifest,
    read_version,
    would_be_taken,
)

SECRET = "veza:only-for-tests@db"
ORDER = JobOrder("down", ("migrate", "down", "2"), 0, "20260102-031500-api-7f3a", "api")


def template() -> dict[str, Any]:
    url = {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}
    return {
        "metadata": {"labels": {"app": "api", "version": "v2"}},
        "spec": {
            "serviceAccountName": "api",
            "imagePullSecrets": [{"name": "registry"}],
            "restartPolicy": "Always",
            "nodeName": "node-1",
            "volumes": [{"name": "certificates", "secret": {"secretName": "ca"}}],
            "containers": [
                {
                    "name": "api",
                    "image": "registry.example/api:v2",
                    "args": ["serve"],
                    "env": [url],
                    "ports": [{"containerPort": 8080}],
                    "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}},
                    "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}},
                    "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                    "volumeMounts": [{"name": "certificates", "mountPath": "/etc/ca"}],
                },
                {"name": "proxy", "image": "registry.example/proxy:v1"},
            ],
        },
    }


DEFAULTS = Migration()


def made(rule: Migration = DEFAULTS, order: JobOrder = ORDER) -> dict[str, Any]:
    return job_manifest(order, template(), rule)


def container(job: dict[str, Any]) -> dict[str, Any]:
    (one,) = job["spec"]["template"]["spec"]["containers"]
    return one  # type: ignore[no-any-return]


# -- what is printed -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("6", SchemaVersion(6)),
        ("v6\n", SchemaVersion(6)),
        ("20260102031500\n", SchemaVersion(20260102031500)),
        ("6 (dirty)", SchemaVersion(6, dirty=True)),
        ("6 dirty", SchemaVersion(6, dirty=True)),
        ("version=6, dirty=true", SchemaVersion(6, dirty=True)),
        ("version=6, dirty=false", SchemaVersion(6)),
        ('{"version": 6, "dirty": false}', SchemaVersion(6)),
        ("2026/01/02 03:15:00 connecting to 10.0.0.7:5432\n6\n", SchemaVersion(6)),
        ("6\n2026/01/02 03:15:00 closed after 35 ms\n", SchemaVersion(6)),
        ("5\n6\n", SchemaVersion(6)),
        ("schema version: 6\nbye\n", SchemaVersion(6)),
        ("error: no migration", SchemaVersion(None)),
        ("2026/01/02 03:15:00 no migration.\n", SchemaVersion(None)),
        ("dial tcp 127.0.0.1:5432: connect: connection refused", None),
        ('FATAL: password authentication failed for user "veza" (SQLSTATE 28P01)', None),
        ("", None),
        ("\n\n", None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_the_version_is_read_among_other_lines(log: str, found: SchemaVersion | None) -> None:
    assert read_version(log) == found


def test_an_image_without_the_file_does_not_pass_for_an_empty_database() -> None:
    seen = read_version("error: no migration found for version 6: file does not exist")

    assert seen != SchemaVersion(None)


def test_a_version_says_what_it_is() -> None:
    said = [str(one) for one in (SchemaVersion(None), SchemaVersion(6), SchemaVersion(6, True))]

    assert said == ["no version", "version 6", "version 6, half done"]


# -- what is sent ----------------------------------------------------------------------------


def test_a_job_has_the_services_settings_and_none_of_its_life() -> None:
    job = made()

    pod, one = job["spec"]["template"]["spec"], container(job)
    assert pod["serviceAccountName"] == "api"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["volumes"] == template()["spec"]["volumes"]
    assert pod["restartPolicy"] == "Never"
    assert "nodeName" not in pod
    assert one["volumeMounts"] == [{"name": "certificates", "mountPath": "/etc/ca"}]
    assert not {"args", "ports", "readinessProbe", "livenessProbe", "lifecycle"} & one.keys()
    assert one["command"] == ["migrate", "down", "2"]


def test_its_pod_is_never_one_of_the_services() -> None:
    job = made(Migration(labels={"team": "data"}))

    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/managed-by": "veza-nb", "team": "data"}
    assert "app" not in job["metadata"]["labels"]


@pytest.mark.parametrize(
    ("labels", "selector", "taken"),
    [
        ({"app": "api"}, {"app": "api"}, True),
        ({"app": "api", "team": "data"}, {"app": "api"}, True),
        ({"app": "api"}, {"app": "api", "tier": "backend"}, False),
        ({"app": "other"}, {"app": "api"}, False),
        ({}, {"app": "api"}, False),
        ({"app": "api"}, {}, False),
    ],
)
def test_labels_that_the_deployment_selects_are_told(
    labels: dict[str, str], selector: dict[str, str], taken: bool
) -> None:
    assert would_be_taken(labels, selector) is taken


def test_credentials_are_passed_on_by_reference_only() -> None:
    job = made()

    assert container(job)["env"] == template()["spec"]["containers"][0]["env"]
    assert "value" not in container(job)["env"][0]
    assert SECRET not in str(job)


def test_a_job_is_tried_once_and_has_an_end() -> None:
    job = made(Migration(timeout_seconds=0.4))

    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["activeDeadlineSeconds"] == 1
    assert job["metadata"]["annotations"][INCIDENT] == ORDER.incident


def test_the_container_is_chosen_by_name_and_the_first_without_one() -> None:
    assert container(made())["image"] == "registry.example/api:v2"
    assert container(made(Migration(container="proxy")))["image"] == "registry.example/proxy:v1"
    with pytest.raises(KeyError):
        made(Migration(container="nobody"))


def test_an_image_of_its_own_takes_the_services_settings() -> None:
    job = made(Migration(image="registry.example/migrations:v2"))

    assert container(job)["image"] == "registry.example/migrations:v2"
    assert container(job)["env"] == template()["spec"]["containers"][0]["env"]


def test_a_name_is_the_same_for_the_same_try_and_another_for_every_other() -> None:
    names = [
        JobOrder(purpose, (), turn, incident, workload).name
        for purpose in ("version", "down")
        for turn in (0, 1)
        for incident in ("a", "b" * 128)
        for workload in ("api", "web")
    ]

    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 for name in names)
    assert ORDER.name == JobOrder("down", ("other",), 0, ORDER.incident, "api").name


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (("migrate", "down", "{steps}"), ("migrate", "down", "2")),
        (("goto", "{version}"), ("goto", "6")),
        (("-database", "$(DATABASE_URL)"), ("-database", "$(DATABASE_URL)")),
        (("{steps}{version}", "{other}"), ("26", "{other}")),
    ],
)
def test_places_are_filled_in_and_variables_are_left_to_kubernetes(
    command: tuple[str, ...], found: tuple[str, ...]
) -> None:
    assert filled(command, steps=2, version=6) == found


def test_no_version_fills_in_nothing() -> None:
    assert filled(("goto={version}",), steps=0, version=None) == ("goto=",)
