"""What would wake a service up while its database goes back is said, or stops the plan."""

import pytest

from tests.test_gitops import APP
from tests.test_surroundings import guards
from veza_nb.gitops import Reconciler
from veza_nb.managers import ARGO_CD
from veza_nb.surroundings import Autoscaler, Surroundings
from veza_nb.vocabulary import Level


def test_an_autoscaler_sleeps_at_0_and_takes_over_again() -> None:
    around = Surroundings(autoscalers=(Autoscaler("web", "", 2, 9),))
    found = guards(around, migrate_down=2)

    assert found["autoscaler-sleeps"].level is Level.INFO
    assert "takes over again" in found["autoscaler-sleeps"].summary
    assert "autoscaler" not in found


def test_keda_stops_the_plan_until_it_is_paused() -> None:
    around = Surroundings(autoscalers=(Autoscaler("keda-hpa-web", "KEDA", 2, 9),))
    found = guards(around, migrate_down=2)["scaled-by-keda"]

    assert found.level is Level.BLOCK
    assert "annotate scaledobject web autoscaling.keda.sh/paused=true" in found.remedy


@pytest.mark.parametrize(
    ("seen", "stopped"),
    [
        (Reconciler(ARGO_CD, APP, heals=True), True),
        (Reconciler(ARGO_CD, APP, heals=True, may_pause=True), False),
        (Reconciler(ARGO_CD, APP, heals=True, paused=True), False),
        (Reconciler(ARGO_CD, APP, heals=False), False),
        (Reconciler(ARGO_CD, APP, heals=True, exists=False), False),
    ],
)
def test_what_heals_it_and_is_not_paused_stops_the_plan(seen: Reconciler, stopped: bool) -> None:
    found = guards(Surroundings(reconcilers=(seen,)), migrate_down=2)

    assert ("heals-while-drained" in found) is stopped


def test_without_a_database_none_of_it_is_said() -> None:
    keda = Autoscaler("keda-hpa-web", "KEDA", 2, 9)
    around = Surroundings(autoscalers=(keda,), reconcilers=(Reconciler(ARGO_CD, APP, heals=True),))

    assert not {"scaled-by-keda", "heals-while-drained"} & guards(around).keys()
