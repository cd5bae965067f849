"""A rollback works with exactly the rights that `veza-nb rbac` prints, and with none fewer."""

import subprocess

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

    role, binding = yaml.safe_load_all(printed.stdout)
    assert role["metadata"] == {"name": "veza-nb-rollback", "namespace": "veza-production"}
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "runner", "namespace": "veza-production"}
    ]
