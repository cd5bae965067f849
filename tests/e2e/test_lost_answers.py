"""An undo whose answer is lost or refused: found out by looking, never by sending it again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SERVICE, Application
from tests.faulty_proxy import Fault, Proxy, faulty_proxy
from veza_nb import Incident
from veza_nb.errors import ServerError, VezaError

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]


@pytest.fixture
def proxy(broken: Application, tmp_path: Path) -> Iterator[Proxy]:
    with faulty_proxy(broken.kubeconfig, tmp_path) as running:
        yield running


def approved(broken: Application, proxy: Proxy) -> tuple[Incident, Any]:
    arguments = broken.opening(incident_id="lost", kubeconfig=str(proxy.kubeconfig))
    incident = Incident.open(SERVICE, **arguments)
    incident.detect()
    plan = incident.plan()
    incident.approve(plan, confirm=SERVICE)
    return incident, plan


def test_lost_answer_is_found_out_by_looking(broken: Application, proxy: Proxy) -> None:
    incident, plan = approved(broken, proxy)
    proxy.fault = Fault.LOSE_ANSWER

    incident.undo(plan)
    incident.verify()
    incident.close()

    assert len(proxy.patches) == 1
    assert broken.image == broken.images.good
    record = broken.record()
    assert record["outcome"] == "recovered"
    assert record["undo"]["result"]["kind"] == "found done"


def test_server_in_trouble_leaves_it_unknown_and_the_next_run_goes_on(
    broken: Application, proxy: Proxy
) -> None:
    incident, plan = approved(broken, proxy)
    proxy.fault = Fault.UNAVAILABLE

    with pytest.raises(VezaError, match="no good answer") as caught:
        incident.undo(plan)

    assert "may still take effect" in caught.value.state or "not known" in caught.value.state
    record = broken.record()
    assert (record["outcome"], record["changed"]) == ("inconclusive", None)
    assert broken.image == broken.images.bad

    proxy.fault = Fault.NONE
    again, plan = approved(broken, proxy)
    again.undo(plan)
    again.verify()
    again.close()

    assert len(proxy.patches) == 2
    assert broken.image == broken.images.good
    assert broken.record()["outcome"] == "recovered"


def test_too_many_requests_is_known_to_have_changed_nothing(
    broken: Application, proxy: Proxy
) -> None:
    incident, plan = approved(broken, proxy)
    proxy.fault = Fault.TOO_MANY

    with pytest.raises(ServerError):
        incident.undo(plan)

    record = broken.record()
    assert (record["outcome"], record["changed"]) == ("error", False)
    assert len(proxy.patches) == 1
    assert broken.image == broken.images.bad
