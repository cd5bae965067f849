"""A workload followed through everything that ends, refuses or delays a watch."""

import json
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.test_transport import Answer, kubeconfig, server, status
from veza_nb.clock import Deadline, SystemClock
from veza_nb.cluster import Cluster, selector_of, watch_workload
from veza_nb.cluster.kubeconfig import load_access
from veza_nb.errors import NotFoundError, ServerError, UnreachableError
from veza_nb.objects import Workload
from veza_nb.permissions import Permission
from veza_nb.sandbox.lifecycle import TrainingCluster

SERVICE = "veza-stream-server"
BOT = "veza-training-bot"


@pytest.fixture(scope="module")
def training() -> Iterator[TrainingCluster]:
    with TrainingCluster.start() as cluster:
        yield cluster


def connect(kubeconfig: Path | str, context: str = "", namespace: str = "n") -> Cluster:
    return Cluster(
        load_access(str(kubeconfig), context), namespace=namespace, clock=SystemClock(), timeout=5.0
    )


@pytest.fixture
def cluster(training: TrainingCluster) -> Cluster:
    return connect(training.kubeconfig, namespace=training.namespace)


def following(
    cluster: Cluster, name: str, *, seconds: float = 60.0
) -> Generator[Workload, None, None]:
    deployment = cluster.deployment(name)
    deadline = Deadline.after(cluster.clock, seconds)
    selector = selector_of(deployment.spec.selector)
    with closing(watch_workload(cluster, name, selector, deadline=deadline)) as seen:
        yield from seen


def annotate(training: TrainingCluster, name: str, value: str) -> None:
    patch = {"metadata": {"annotations": {"tests/mark": value}}}
    training.call(lambda client: client.patch("deployments", training.namespace, name, patch))


def comes(seen: Iterator[Workload], value: str) -> bool:
    """Whether a snapshot carries that mark before the deadline."""
    return any(one.deployment.metadata.annotations.get("tests/mark") == value for one in seen)


def watchers() -> set[str]:
    return {one.name for one in threading.enumerate() if one.name.startswith("watch-")}


class TestFollowing:
    def test_changes_come_with_replicasets_and_pods(
        self, training: TrainingCluster, cluster: Cluster
    ) -> None:
        with closing(following(cluster, SERVICE)) as seen:
            first = next(seen)
            annotate(training, SERVICE, "changed")

            assert comes(seen, "changed")
        assert first.replicasets
        assert first.pods

    def test_closing_it_leaves_no_threads(self, cluster: Cluster) -> None:
        seen = following(cluster, SERVICE)
        next(seen)
        assert {"watch-deployments", "watch-replicasets", "watch-pods"} == watchers()
        seen.close()

        assert set() == watchers()

    def test_a_deployment_that_is_not_there_is_named(self, cluster: Cluster) -> None:
        deadline = Deadline.after(cluster.clock, 30)
        with pytest.raises(NotFoundError, match="none-such is gone"):
            next(watch_workload(cluster, "none-such", "app=none-such", deadline=deadline))


@pytest.fixture
def grant(training: TrainingCluster) -> Iterator[Callable[..., Cluster]]:
    """Give the bot one rule; the cluster as the bot sees it comes back."""
    namespace = training.namespace

    def give(**rule: Any) -> Cluster:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "bot"}
        subjects = [{"kind": "User", "name": "rollback-bot"}]
        meta = {"metadata": {"name": "bot"}}
        binding = {**meta, "roleRef": reference, "subjects": subjects}
        training.call(lambda client: client.create("roles", namespace, {**meta, "rules": [rule]}))
        training.call(lambda client: client.create("rolebindings", namespace, binding))
        return connect(training.kubeconfig, BOT, namespace)

    yield give
    training.call(lambda client: client.delete("rolebindings", namespace, "bot"))
    training.call(lambda client: client.delete("roles", namespace, "bot"))


class TestRights:
    def test_without_the_watch_verb_changes_are_read_instead(
        self, training: TrainingCluster, grant: Callable[..., Cluster]
    ) -> None:
        bot = grant(
            verbs=["get", "list"],
            apiGroups=["", "apps"],
            resources=["deployments", "replicasets", "pods"],
        )
        with closing(following(bot, SERVICE)) as seen:
            next(seen)
            annotate(training, SERVICE, "polled")

            assert comes(seen, "polled")

    def test_a_role_bound_to_a_name_counts_for_that_name_only(
        self, grant: Callable[..., Cluster]
    ) -> None:
        bot = grant(
            verbs=["patch"], apiGroups=["apps"], resources=["deployments"], resourceNames=[SERVICE]
        )
        named, other, every = (
            Permission("patch", "apps", "deployments", name=name) for name in (SERVICE, "web", "")
        )

        assert (other, every) == bot.denied((named, other, every))


class Line:
    """The network in front of a cluster; it can be cut and mended."""

    def __init__(self, url: str) -> None:
        self._target = (urlsplit(url).hostname, urlsplit(url).port)
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._accepting = self._start(self._accept, self._listening)

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()

    def mend(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._accepting = self._start(self._accept, self._listening)

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(self._target)
                self._open |= {near, far}
                self._start(self._pass_on, near, far)
                self._start(self._pass_on, far, near)

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _start(work: Callable[..., None], *what: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=work, args=what, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        self.cut()
        for one in self._open:
            one.close()


@pytest.fixture
def line(training: TrainingCluster) -> Iterator[Line]:
    with closing(Line(training.url)) as made:
        yield made


@pytest.fixture
def through(line: Line, training: TrainingCluster, tmp_path: Path) -> Cluster:
    """The training cluster at the far end of the line."""
    path = tmp_path / "kubeconfig"
    text = training.kubeconfig.read_text()
    path.write_text(text.replace(training.url, f"https://127.0.0.1:{line.port}"))
    return connect(path, namespace=training.namespace)


class TestOutage:
    def test_is_survived_and_what_changed_meanwhile_is_seen(
        self, training: TrainingCluster, line: Line, through: Cluster
    ) -> None:
        with closing(following(through, SERVICE)) as seen:
            next(seen)
            line.cut()
            annotate(training, SERVICE, "while away")
            next(seen)
            line.mend()

            assert comes(seen, "while away")

    def test_that_lasts_to_the_deadline_is_an_error(self, line: Line, through: Cluster) -> None:
        with closing(following(through, SERVICE, seconds=2.0)) as seen:
            next(seen)
            line.cut()
            with pytest.raises(UnreachableError, match="does not accept connections"):
                list(seen)


ENDED = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}\n'


@contextmanager
def one_deployment(folder: Path, watch: Answer) -> Iterator[tuple[Cluster, list[str]]]:
    """The API of a Deployment that grows with each list, and whose watches end as told."""

    def answers(request: str, number: int) -> Answer:
        path, _, query = request.partition("?")
        if "watch" in parse_qs(query):
            return watch
        found = {
            "metadata": {"name": "web", "uid": "u"},
            "spec": {"replicas": number, "selector": {"matchLabels": {"app": "web"}}},
        }
        items = [found] if path.endswith("/deployments") else []
        listed = {"metadata": {"resourceVersion": "5"}, "items": items}
        return 200, {}, json.dumps(found if path.endswith("/web") else listed).encode()

    with server(answers) as (url, asked):
        yield connect(kubeconfig(folder, url)), asked


def test_watches_that_end_at_once_are_not_begun_again_without_a_pause(tmp_path: Path) -> None:
    with one_deployment(tmp_path, (200, {}, b"")) as (cluster, asked):
        list(following(cluster, "web", seconds=2.0))

    assert 3 < sum("watch=true" in one for one in asked) <= 3 * 10


@pytest.mark.parametrize("watch", [(200, {}, ENDED), status(410, "too old")], ids=["line", "code"])
def test_an_expired_version_means_a_new_list_after_a_pause(tmp_path: Path, watch: Answer) -> None:
    with one_deployment(tmp_path, watch) as (cluster, asked):
        sizes = {one.deployment.spec.replicas for one in following(cluster, "web", seconds=2.0)}

    lists = sum("/deployments?" in one and "watch=true" not in one for one in asked)
    assert 1 < len(sizes) <= lists <= 10


def test_lists_are_read_page_by_page(tmp_path: Path) -> None:
    def answers(request: str, _: int) -> Answer:
        query = parse_qs(urlsplit(request.split()[1]).query)
        if "watch" in query:
            return status(403, "no")
        page = int(query.get("continue", ["0"])[0])
        metadata = {"resourceVersion": "5", "continue": str(page + 1) if page < 2 else ""}
        kind = "web" if "/deployments?" in request else f"one-of-{page}"
        items = [{"metadata": {"name": kind, "uid": kind}}]
        return 200, {}, json.dumps({"metadata": metadata, "items": items}).encode()

    with server(answers) as (url, asked):
        cluster = connect(kubeconfig(tmp_path, url))
        deadline = Deadline.after(cluster.clock, 30)
        with closing(watch_workload(cluster, "web", "app=web", deadline=deadline)) as seen:
            workload = next(seen)

    assert ["one-of-0", "one-of-1", "one-of-2"] == [one.metadata.name for one in workload.pods]
    assert all("limit=500" in one for one in asked if "watch=true" not in one)


def test_what_could_never_be_read_is_an_error_at_the_deadline(tmp_path: Path) -> None:
    with server(lambda *_: status(503, "storage is (re)initializing")) as (url, _):
        cluster = connect(kubeconfig(tmp_path, url))
        deadline = Deadline.after(cluster.clock, 2)
        with pytest.raises(ServerError, match="storage"):
            list(watch_workload(cluster, "web", "app=web", deadline=deadline))
