"""A rollback works with exactly the rights that `veza-nb rbac` prints, and with none fewer."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import SERVICE, VEZA_NB, Application, run_command
from veza_nb.permissions import HELPFUL, NEEDED, Permission

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]
CONFIRMED = ("--confirm", SERVICE)
BOT = ("--context", "veza-training-bot")


@pytest.mark.parametrize("options", [["--least"], []], ids=["least", "all"])
def test_the_printed_role_is_enough_and_everything_asked_is_in_it(
    broken: Application, options: list[str]
) -> None:
    printed = run_command(
        VEZA_NB, "rbac", "-n", broken.namespace, "--user", "rollback-bot", *options
    )
    subprocess.run(
        ["kubectl", "--kubeconfig", str(broken.kubeconfig), "apply", "-f", "-"],
        input=printed.stdout, text=True, check=True, capture_output=True,
    )  # fmt: skip

    done = broken.veza_nb("rollback", *CONFIRMED, *BOT)

    assert done.code == 0, done.stderr
    assert broken.image == broken.images.good
    if not options:
        assert broken.training is not None
        refused = [one for one in broken.training.audit() if one.code == 403]
        assert [] == [one for one in refused if one.namespace == broken.namespace]


@pytest.mark.parametrize("missing", NEEDED, ids=str)
def test_without_one_of_them_it_is_refused_by_name_before_anything_changed(
    broken: Application, missing: Permission
) -> None:
    broken.allow("rollback-bot", [one for one in (*NEEDED, *HELPFUL) if one is not missing])

    done = broken.veza_nb("rollback", *CONFIRMED, *BOT)

    assert done.code == 3
    assert str(missing) in " ".join(done.stderr.split())
    assert broken.image == broken.images.bad
    assert [] == [one for one in broken.undos() if one.namespace == broken.namespace]


def test_one_role_for_every_namespace_of_the_catalogue() -> None:
    printed = run_command(VEZA_NB, "rbac", "--service-account", "runner")

    role, binding, wide, everywhere = yaml.safe_load_all(printed.stdout)
    assert role["metadata"] == {"name": "veza-nb-rollback", "namespace": "veza-production"}
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "runner", "namespace": "veza-production"}
    ]
    assert (wide["kind"], everywhere["kind"]) == ("ClusterRole", "ClusterRoleBinding")
    assert everywhere["subjects"] == binding["subjects"]


def test_what_a_service_needs_elsewhere_is_looked_at_with_a_role_of_its_own(tmp_path: Path) -> None:
    catalog = tmp_path / "shop.yaml"
    catalog.write_text(
        "namespace: shop\nservices:\n  web: {depends_on: [api]}\n"
        "  api:\n    backing:\n"
        "      - {kind: statefulset, name: postgres, namespace: data}\n"
        "      - {kind: service, name: queue}\n"
    )

    printed = run_command(VEZA_NB, "rbac", "--catalog", str(catalog), "--service-account", "runner")
    least = run_command(VEZA_NB, "rbac", "--catalog", str(catalog), "--least")

    home, _, data, bound, *wide = yaml.safe_load_all(printed.stdout)
    assert {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"],
            "verbs": ["list"]} in home["rules"]  # fmt: skip
    assert data["metadata"] == {"name": "veza-nb-rollback", "namespace": "data"}
    assert data["rules"] == [
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get"]}
    ]
    assert bound["subjects"][0]["namespace"] == "shop"
    assert [one["kind"] for one in wide] == ["ClusterRole", "ClusterRoleBinding"]
    assert [one["kind"] for one in yaml.safe_load_all(least.stdout)] == ["Role"]


@pytest.mark.parametrize(
    ("migration", "options", "verbs"),
    [
        ("{migration: {}}", ["--least"], ["create", "get"]),
        ("{migration: {}}", [], ["create", "get", "delete"]),
        ("{}", [], None),
    ],
    ids=["least", "all", "no database"],
)
def test_jobs_are_in_the_role_where_a_database_goes_back(
    tmp_path: Path, migration: str, options: list[str], verbs: list[str] | None
) -> None:
    catalog = tmp_path / "shop.yaml"
    catalog.write_text(f"namespace: shop\nservices:\n  web: {migration}\n")

    printed = run_command(VEZA_NB, "rbac", "--catalog", str(catalog), *options)

    role = next(iter(yaml.safe_load_all(printed.stdout)))
    jobs = [rule for rule in role["rules"] if rule["resources"] == ["jobs"]]
    assert jobs == (
        [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": verbs}] if verbs else []
    )
