"""One operator at a time, whatever is wrong with clocks, answers and processes."""

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.test_transport import Answer, cluster_at, server
from veza_nb.clock import Clock, Deadline, ManualClock, SystemClock
from veza_nb.cluster import Cluster
from veza_nb.cluster.kubeconfig import load_access
from veza_nb.cluster.leases import Lease, LeaseSpec, create_lease, read_lease, replace_lease
from veza_nb.errors import RefusedError
from veza_nb.locks import INCIDENT, REASON, Lock
from veza_nb.sandbox.lifecycle import TrainingCluster

HERE = socket.gethostname()
WORKLOAD = "storefront"
NAME = f"veza-nb-{WORKLOAD}"


@pytest.fixture(scope="module")
def training() -> Iterator[TrainingCluster]:
    with TrainingCluster.start() as cluster:
        yield cluster


@pytest.fixture
def connect(training: TrainingCluster) -> Callable[..., Cluster]:
    """The cluster as a machine with that clock sees it, in a namespace of the test's own."""
    namespace = f"locks-{uuid.uuid4().hex[:8]}"
    training.call(
        lambda client: client.create("namespaces", None, {"metadata": {"name": namespace}})
    )
    access = load_access(str(training.kubeconfig))
    return lambda clock=None: Cluster(access, namespace=namespace, clock=clock or SystemClock())


@pytest.fixture
def cluster(connect: Callable[..., Cluster]) -> Cluster:
    return connect()


@pytest.fixture
def make(cluster: Cluster) -> Iterator[Callable[..., Lock]]:
    """Locks, given back at the end of the test."""
    made: list[Lock] = []

    def lock(who: str, incident: str = "", *, at: Cluster = cluster, **more: int) -> Lock:
        made.append(
            Lock(at, WORKLOAD, f"{who}@{HERE}", incident or who, f"because of {who}", **more)
        )
        return made[-1]

    yield lock
    for one in made:
        one.release()


def lease(cluster: Cluster) -> Lease:
    found = read_lease(cluster, NAME)
    assert found is not None
    return found


def left_by(cluster: Cluster, holder: str, incident: str = "other", *, ago: float = 0.0) -> Lease:
    """Somebody took the lock and gave their last sign of life that many seconds ago."""
    seen = datetime.now(UTC) - timedelta(seconds=ago)
    spec = LeaseSpec(holder, 60, acquire_time=seen, renew_time=seen)
    return create_lease(cluster, NAME, spec, {INCIDENT: incident, REASON: "theirs"})


def hand_over(cluster: Cluster, holder: str) -> None:
    """Somebody takes the lock, whoever has it."""
    present = lease(cluster)
    spec = msgspec.structs.replace(present.spec, holder_identity=holder)
    replace_lease(cluster, present, spec, {INCIDENT: "theirs", REASON: "an emergency"})


def wait_until(condition: Callable[[], bool]) -> None:
    clock = SystemClock()
    deadline = Deadline.after(clock, 30)
    while not condition():
        assert not deadline.passed
        clock.sleep(0.02)


def renewals(cluster: Cluster) -> Callable[[], bool]:
    """Whether there was a renewal since this call."""
    before = lease(cluster).spec.renew_time
    return lambda: lease(cluster).spec.renew_time != before


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as done:
        pass
    return done.pid


class TestAcquiring:
    def test_the_lease_names_who_where_which_process_and_why(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        lock = make("kim")
        lock.acquire()
        found = lease(cluster)

        assert lock.held
        assert f"kim@{HERE} (pid {os.getpid()})" == found.spec.holder_identity
        assert {INCIDENT: "kim", REASON: "because of kim"} == found.metadata.annotations

    def test_a_second_operator_is_refused_with_who_since_when_why_and_the_way_out(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        make("ann").acquire()
        since = lease(cluster).spec.acquire_time
        with pytest.raises(RefusedError) as caught:
            make("bob").acquire()

        assert f"ann@{HERE} (pid {os.getpid()})" in caught.value.what
        assert f"since {since:%H:%M:%S} UTC" in caught.value.what
        assert "because of ann" in caught.value.what
        assert f"kubectl -n {cluster.namespace} delete lease {NAME}" in caught.value.next_step

    def test_a_lock_without_a_sign_of_life_is_taken_over(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        left_by(cluster, "ann@far (pid 1)", ago=63)
        make("bob").acquire()

        assert lease(cluster).spec.holder_identity.startswith("bob@")
        assert 1 == lease(cluster).spec.lease_transitions

    def test_a_lock_that_was_given_back_is_free_at_once(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        first = make("ann")
        first.acquire()
        first.release()

        assert not first.held
        assert "" == lease(cluster).spec.holder_identity
        make("bob").acquire()
        assert lease(cluster).spec.holder_identity.startswith("bob@")

    def test_acquiring_what_is_held_keeps_it(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        lock = make("ann")
        lock.acquire()
        since = lease(cluster).spec.acquire_time
        lock.acquire()

        assert since == lease(cluster).spec.acquire_time

    def test_acquiring_what_is_not_renewed_any_more_renews_it_again(
        self, make: Callable[..., Lock]
    ) -> None:
        lock = make("ann", duration=20_000)  # longer than any lock is renewed
        lock.acquire()
        hold = lock._hold
        assert hold is not None
        first = hold.renewer
        assert first is not None
        first.join(timeout=10)
        lock.acquire()

        assert hold is lock._hold
        assert hold.renewer is not first


class TestTheSameIncident:
    def test_gets_the_lock_of_its_killed_process_back_at_once(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        left_by(cluster, f"kim@{HERE} (pid {dead_pid()})", "same")
        make("kim", "same").acquire()

        assert f"(pid {os.getpid()})" in lease(cluster).spec.holder_identity

    def test_gets_the_lock_of_its_dead_process_that_nobody_has_asked_after(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.read()  # its end; only this process could ask how it ended
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
            left_by(cluster, f"kim@{HERE} (pid {other.pid})", "same")
            make("kim", "same").acquire()

        assert f"(pid {os.getpid()})" in lease(cluster).spec.holder_identity

    def test_does_not_get_the_lock_of_its_living_process(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            left_by(cluster, f"kim@{HERE} (pid {other.pid})", "same")
            with pytest.raises(RefusedError, match=rf"\(pid {other.pid}\)"):
                make("kim", "same").acquire()
            other.communicate()

    @pytest.mark.parametrize("holder", ["kim@{far} (pid {pid})", "kim@{here}", "somebody"])
    def test_waits_for_the_expiry_where_it_cannot_tell_whether_the_process_lives(
        self, make: Callable[..., Lock], cluster: Cluster, holder: str
    ) -> None:
        left_by(cluster, holder.format(far="far", here=HERE, pid=dead_pid()), "same")
        with pytest.raises(RefusedError):
            make("kim", "same").acquire()

    def test_another_incident_does_not_profit_from_a_dead_process(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        left_by(cluster, f"kim@{HERE} (pid {dead_pid()})", "other")
        with pytest.raises(RefusedError):
            make("kim", "same").acquire()


class TestRenewing:
    def test_goes_on_while_it_is_held(self, make: Callable[..., Lock], cluster: Cluster) -> None:
        make("ann", duration=1).acquire()

        wait_until(renewals(cluster))
        wait_until(renewals(cluster))

    def test_goes_on_after_a_second_acquire(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        lock = make("ann", duration=1)
        lock.acquire()
        lock.release()
        lock.acquire()

        wait_until(renewals(cluster))

    def test_survives_a_lost_answer(self, make: Callable[..., Lock], cluster: Cluster) -> None:
        lock = make("ann", duration=1)
        lock.acquire()
        hand_over_to_ourselves(cluster)

        wait_until(renewals(cluster))
        assert lock.held
        lock.release()
        assert "" == lease(cluster).spec.holder_identity

    def test_giving_back_survives_a_lost_answer(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        lock = make("ann")
        lock.acquire()
        hand_over_to_ourselves(cluster)
        lock.release()

        assert "" == lease(cluster).spec.holder_identity


def hand_over_to_ourselves(cluster: Cluster) -> None:
    """A renewal that arrived although nobody here knows it: the version here is now old."""
    present = lease(cluster)
    spec = msgspec.structs.replace(present.spec, renew_time=datetime.now(UTC))
    replace_lease(cluster, present, spec, present.metadata.annotations)


class TestLosing:
    def test_is_noticed_by_the_renewal(self, make: Callable[..., Lock], cluster: Cluster) -> None:
        lock = make("ann", duration=1)
        lock.acquire()
        hand_over(cluster, "bob@far (pid 7)")

        wait_until(lambda: not lock.held)
        lock.release()
        assert "bob@far (pid 7)" == lease(cluster).spec.holder_identity

    def test_is_noticed_at_once_when_somebody_asks(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        lock = make("ann")
        lock.acquire()
        lock.confirm()
        hand_over(cluster, "bob@far (pid 7)")

        with pytest.raises(RefusedError, match=r"bob@far \(pid 7\).*an emergency"):
            lock.confirm()
        assert not lock.held

    def test_is_noticed_by_the_next_acquire(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        lock = make("ann")
        lock.acquire()
        hand_over(cluster, "bob@far (pid 7)")

        with pytest.raises(RefusedError, match="bob@far"):
            lock.acquire()

    def test_to_somebody_who_deleted_it_is_noticed_too(
        self, make: Callable[..., Lock], cluster: Cluster, training: TrainingCluster
    ) -> None:
        lock = make("ann")
        lock.acquire()
        training.call(lambda client: client.delete("leases", cluster.namespace, NAME))

        with pytest.raises(RefusedError, match="not ours"):
            lock.confirm()
        lock.acquire()
        assert lock.held

    def test_a_lock_that_was_never_taken_is_not_confirmed(self, make: Callable[..., Lock]) -> None:
        with pytest.raises(RefusedError, match="not ours"):
            make("ann").confirm()

    def test_confirming_renews_what_would_soon_expire(
        self, make: Callable[..., Lock], cluster: Cluster
    ) -> None:
        lock = make("ann")
        lock.acquire()
        present = lease(cluster)
        old = datetime.now(UTC) - timedelta(seconds=50)
        spec = msgspec.structs.replace(present.spec, renew_time=old)
        replace_lease(cluster, present, spec, present.metadata.annotations)
        lock.confirm()

        renewed = lease(cluster).spec.renew_time
        assert renewed is not None
        assert renewed - old > timedelta(seconds=40)


class TestClocks:
    @pytest.fixture(params=[timedelta(hours=1), timedelta(seconds=-90)], ids=["ahead", "behind"])
    def wrong(self, request: pytest.FixtureRequest) -> Clock:
        return ManualClock(datetime.now(UTC) + request.param)

    def test_a_wrong_one_does_not_steal_a_living_lock(
        self, make: Callable[..., Lock], connect: Callable[..., Cluster], wrong: Clock
    ) -> None:
        make("ann").acquire()
        with pytest.raises(RefusedError, match="ann"):
            make("bob", at=connect(wrong)).acquire()

    def test_a_wrong_one_does_take_over_a_dead_lock(
        self, make: Callable[..., Lock], connect: Callable[..., Cluster], wrong: Clock
    ) -> None:
        left_by(connect(), "ann@far (pid 1)", ago=63)
        lock = make("bob", at=connect(wrong))
        lock.acquire()

        assert lock.held

    def test_a_wrong_one_writes_the_time_of_the_server(
        self, make: Callable[..., Lock], connect: Callable[..., Cluster], wrong: Clock
    ) -> None:
        make("bob", at=connect(wrong)).acquire()
        written = lease(connect()).spec.renew_time

        assert written is not None
        assert abs(written - datetime.now(UTC)) < timedelta(seconds=60)


class TestServerThatDoesNotTellTheTime:
    """Behind a proxy that takes the `Date` header away, only watching can tell."""

    @staticmethod
    def answers(*, renewed: bool) -> Callable[[str, int], Answer]:
        def answer(request: str, number: int) -> Answer:
            version = str(number) if renewed else "1"
            body = {
                "metadata": {"name": NAME, "resourceVersion": version},
                "spec": {
                    "holderIdentity": "ann@far (pid 1)",
                    "leaseDurationSeconds": 60,
                    "renewTime": "2000-01-01T00:00:00.000000Z",
                },
            }
            return 200, {"Date": ""}, json.dumps(body).encode()

        return answer

    def test_a_lock_that_is_renewed_stays_where_it_is(self, tmp_path: Path) -> None:
        with server(self.answers(renewed=True)) as (url, asked):
            cluster, _ = cluster_at(tmp_path, url)
            with pytest.raises(RefusedError, match="ann@far"):
                Lock(cluster, WORKLOAD, "bob@here", "i", "r").acquire()

        assert not [one for one in asked if one.startswith("PUT")]

    def test_a_lock_that_is_not_renewed_for_its_whole_duration_is_taken_over(
        self, tmp_path: Path
    ) -> None:
        with server(self.answers(renewed=False)) as (url, asked):
            cluster, clock = cluster_at(tmp_path, url)
            lock = Lock(cluster, WORKLOAD, "bob@here", "i", "r")
            lock.acquire()
            waited = clock.elapsed
            lock.release()

        assert 60 == waited
        assert [one for one in asked if one.startswith("PUT")]
