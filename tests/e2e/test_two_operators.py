"""Two operators at once: exactly one acts, whatever the timing."""

import json
import random
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import SERVICE, VEZA_NB, Application
from veza_nb.catalog import Service, usual_catalog
from veza_nb.choices import Choice
from veza_nb.clock import SystemClock
from veza_nb.cluster import Cluster
from veza_nb.detect import Detection, detect
from veza_nb.errors import RefusedError
from veza_nb.history import history
from veza_nb.journal import Journal
from veza_nb.locks import Lock
from veza_nb.orders import Order
from veza_nb.plans import Plan
from veza_nb.prepare import prepare
from veza_nb.undo import UndoKind, send

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]
ROUNDS = 50
LATEST = 0.03
"""Seconds by which one may be later than the other: some requests' time."""
OPERATORS = ("ada", "kim")


class Operator:
    """One person with a connection of their own."""

    def __init__(self, name: str, application: Application, folder: Path) -> None:
        self.name = name
        self.cluster: Cluster = application.cluster()
        self._folder = folder
        catalog = usual_catalog(str(application.catalog))
        self._service: Service = catalog.service(SERVICE)
        self._seen: Detection = detect(self.cluster, self._service, settings=catalog.verify)

    def plan(self) -> Plan:
        """Back to whichever revision is not the live one."""
        found = history(self.cluster, self._service)
        other = next(one for one in found.revisions if one is not found.current)
        order = Order(SERVICE, "i", self.name, choice=Choice(to_revision=other.number))
        made = prepare(self.cluster, self._service, self._seen.diagnosis, order, lock=self.lock())
        assert isinstance(made, Plan), made
        return made

    def lock(self) -> Lock:
        return Lock(self.cluster, SERVICE, f"{self.name}@here", f"of-{self.name}", "it is broken")

    def journal(self) -> Journal:
        path = self._folder / f"{uuid.uuid4().hex}.jsonl"
        return Journal.open(path, actor=self.name, clock=SystemClock())


@pytest.fixture
def seed() -> int:
    """Printed, so that a round that went wrong can be played again."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed: {seed}")
    return seed


@pytest.fixture
def operators(application: Application, tmp_path: Path) -> tuple[Operator, Operator]:
    """Two of them, and no pods that they would have to wait for."""
    application.apps.patch_namespaced_deployment(
        SERVICE, application.namespace, {"spec": {"replicas": 0}}, _preload_content=False
    )
    one, two = (Operator(name, application, tmp_path) for name in OPERATORS)
    return one, two


@pytest.fixture
def side_by_side() -> Iterator[Callable[..., list[object]]]:
    """Runs the same for two at once; what it raised counts as its result."""
    with ThreadPoolExecutor(2) as workers:

        def run(act: Callable[..., object], *each: tuple[object, ...]) -> list[object]:
            waiting = [workers.submit(act, *arguments) for arguments in each]
            return [one.exception() or one.result() for one in waiting]

        yield run


def test_exactly_one_acts_each_round_and_the_other_is_told_who(
    application: Application,
    operators: tuple[Operator, Operator],
    side_by_side: Callable[..., list[object]],
    seed: int,
) -> None:
    dice = random.Random(seed)
    for number in range(1, ROUNDS + 1):
        plans = [operator.plan() for operator in operators]
        locks = [operator.lock() for operator in operators]

        def act(operator: Operator, plan: Plan, lock: Lock, later: float) -> UndoKind:
            operator.cluster.clock.sleep(later)
            lock.acquire()
            return send(operator.cluster, plan, operator.journal()).kind

        delays = [dice.uniform(0, LATEST) for _ in operators]
        ended = side_by_side(act, *zip(operators, plans, locks, delays, strict=True))
        winner = OPERATORS[ended.index(UndoKind.DONE)]
        (refused,) = (one for one in ended if one is not UndoKind.DONE)
        for lock in locks:
            lock.release()

        assert isinstance(refused, RefusedError), ended
        assert f"{winner}@here" in refused.what
        assert [one.code for one in application.undos()] == [200] * number


def test_even_without_a_lock_the_second_patch_is_refused_by_the_server(
    application: Application,
    operators: tuple[Operator, Operator],
    side_by_side: Callable[..., list[object]],
    seed: int,
) -> None:
    dice = random.Random(seed)
    for number in range(1, ROUNDS // 5 + 1):
        plans = [operator.plan() for operator in operators]

        def act(operator: Operator, plan: Plan, later: float) -> UndoKind:
            operator.cluster.clock.sleep(later)
            return send(operator.cluster, plan, operator.journal()).kind

        delays = [dice.uniform(0, LATEST) for _ in operators]
        ended = side_by_side(act, *zip(operators, plans, delays, strict=True))
        (other,) = (one for one in ended if one is not UndoKind.DONE)

        assert other is UndoKind.NOOP or isinstance(other, RefusedError), ended
        assert [one.code for one in application.undos()].count(200) == number


def test_two_commands_at_once_end_with_one_undo_and_one_refusal(broken: Application) -> None:
    text = broken.catalog.read_text().replace("soak_seconds: 1", "soak_seconds: 6")
    broken.catalog.write_text(text)
    running = [
        subprocess.Popen(
            [
                VEZA_NB, "rollback", SERVICE, "--confirm", SERVICE, "--operator", operator,
                "--kubeconfig", str(broken.kubeconfig), "--context", broken.context,
                "--catalog", str(broken.catalog), "--records", str(broken.records),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for operator in OPERATORS
    ]  # fmt: skip
    said = [process.communicate(timeout=100) for process in running]
    codes = [process.returncode for process in running]

    assert sorted(codes) == [0, 3], said
    winner, loser = codes.index(0), codes.index(3)
    assert f"{OPERATORS[winner]}@" in said[loser][1]
    assert [one.code for one in broken.undos()] == [200]
    outcomes = [json.loads(path.read_text())["outcome"] for path in broken.records.glob("*/*.json")]
    assert sorted(outcomes) == ["recovered", "refused"]
