"""`veza-nb sandbox fault`, `inject`, `audit` and `user`, as people type them."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from veza_nb.sandbox import detached

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of these commands, with a cluster in it."""
    base = tmp_path_factory.mktemp("state")
    place = base / "veza-nb" / "sandbox"
    detached.up(directory=place)
    yield base
    detached.down(place)


def run(base: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "veza_nb", "sandbox", *words]
    environment = {**os.environ, "XDG_STATE_HOME": str(base)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def sandbox(home: Path) -> Iterator[Command]:
    yield lambda *words: run(home, *words)
    run(home, "fault", "clear")


def kubectl(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    config = home / "veza-nb" / "sandbox" / "kubeconfig"
    command = ["kubectl", f"--kubeconfig={config}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_fault_is_added_met_listed_and_removed(sandbox: Command, home: Path) -> None:
    added = sandbox("fault", "add", "error", "--code", "503", "--resource", "deploy")
    name = added.stdout.split()[0]

    met = kubectl(home, "get", "deployments")
    listed = sandbox("fault")
    as_json = json.loads(sandbox("fault", "list", "--json").stdout)
    removed = sandbox("fault", "remove", name)

    said = "Error from server (ServiceUnavailable): apiserver is shutting down\n"
    assert (met.returncode, met.stderr) == (1, said)
    line = f"{name}  error  code=503  resources=deployments  hits=1\n"
    assert (listed.returncode, listed.stdout) == (0, line)
    assert as_json == [
        {"id": name, "kind": "error", "hits": 1, "code": 503, "resources": ["deployments"]}
    ]
    assert removed.stdout == f"ended {line}"
    assert sandbox("fault").stdout == "No fault is in force.\n"
    assert kubectl(home, "get", "deployments").returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "error", "--code", "200"], "code must be one of 429, 500, 502, 503, 504"),
        (["add", "latency"], "latency needs seconds above 0"),
        (["add", "latency", "--seconds", "nan"], "seconds must be a number of seconds, not nan"),
        (["add", "error", "--rate", "2"], "rate must be above 0 and at most 1, not 2.0"),
        (["add", "error", "--verb", "frob"], "unknown verb 'frob'; known: get, list"),
        (["add", "error", "--resource", "frob"], "unknown resource 'frob'"),
        (["add", "outage"], "an outage needs lasting"),
        (["add", "frob"], "'frob' is not one of 'error', 'latency'"),
        (["remove", "fault-0"], "no fault 'fault-0'; in force: there is none"),
    ],
)
def test_nonsense_is_wrong_usage_with_a_word_why(
    sandbox: Command, words: list[str], said: str
) -> None:
    answer = sandbox("fault", *words)

    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr


def test_every_kind_of_fault_is_explained(sandbox: Command) -> None:
    told = sandbox("fault", "add", "--help").stdout

    for kind in ("error", "latency", "hang", "reset", "lose-answer", "storage-hang"):
        assert f"\n    {kind} " in told
    for kind in ("drop-watch", "expire-watch", "stale", "clock-skew", "outage"):
        assert f"\n    {kind} " in told


def test_two_at_the_same_time_both_get_their_fault(sandbox: Command) -> None:
    words = ("fault", "add", "latency", "--seconds", "0.01", "--resource", "/nowhere")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: sandbox(*words), range(2)))

    names = {answer.stdout.split()[0] for answer in answers}
    assert len(names) == 2
    assert len(sandbox("fault").stdout.splitlines()) == 2
    cleared = sandbox("fault", "clear").stdout.splitlines()
    assert {line.split()[1] for line in cleared} == names


def test_a_fault_that_lasts_ends_by_itself(sandbox: Command, home: Path) -> None:
    sandbox("fault", "add", "outage", "--lasting", "0.5")

    tried = 0
    while kubectl(home, "get", "--raw", "/readyz").returncode:
        tried += 1
        assert tried < 100
    assert sandbox("fault").stdout == "No fault is in force.\n"


def test_the_audit_log_tells_what_people_did(sandbox: Command, home: Path) -> None:
    kubectl(home, "annotate", "deploy", "veza-frontend", "mark=1", "--overwrite")
    kubectl(home, "get", "secrets", "--as=eve", "-n", "veza-production")

    patches = sandbox("audit", "--verb", "patch", "--name", "veza-f*").stdout.splitlines()
    refused = sandbox("audit", "--code", "403", "--tail", "1").stdout
    raw = sandbox("audit", "--verb", "patch", "--json", "--tail", "1").stdout
    everybody = sandbox("audit", "--all", "--user", "system:*").stdout

    assert len(patches) == 1
    assert (
        "  200  patch   deployments veza-frontend in veza-production  by admin (kubectl/v"
        in (patches[0])
    )
    assert "403  list    secrets in veza-production  by admin as eve (kubectl/v" in refused
    assert refused.endswith("  Forbidden\n")
    entry = json.loads(raw)
    assert (entry["user"], entry["verb"], entry["code"]) == ("admin", "patch", 200)
    assert entry["groups"] == ["system:masters", "system:authenticated"]
    assert "system:kube-controller-manager" in everybody


def test_the_audit_log_can_be_followed(sandbox: Command, home: Path) -> None:
    where = sandbox("audit", "--path").stdout.strip()
    command = [sys.executable, "-m", "veza_nb", "sandbox", "audit", "-f", "--resource", "/follow*"]
    environment = {**os.environ, "XDG_STATE_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        stop = threading.Timer(30, process.kill)
        stop.start()
        kubectl(home, "get", "--raw", "/follow-me")
        line = process.stdout.readline()
        stop.cancel()
        process.terminate()

    assert where == str(home / "veza-nb" / "sandbox" / "audit.jsonl")
    assert "404  get     /follow-me  by admin" in line


def test_people_are_listed_added_and_given_new_tokens(sandbox: Command, home: Path) -> None:
    added = sandbox("user", "add", "eve", "--group", "night")
    whoami = kubectl(home, "--context=veza-training-eve", "auth", "whoami")
    rotated = sandbox("user", "rotate", "eve")
    again = kubectl(home, "--context=veza-training-eve", "auth", "whoami")

    said = "The kubeconfig has new credentials in the context veza-training-eve.\n"
    assert added.stdout == rotated.stdout == said
    assert "Groups      [night system:authenticated]" in whoami.stdout
    assert again.returncode == 0
    assert "veza-training-eve        eve  by token\n" in sandbox("user").stdout
    assert sandbox("user", "add", "eve").returncode == 2


def test_an_expired_certificate_is_refused_as_a_real_server_does(
    sandbox: Command, home: Path
) -> None:
    sandbox("user", "add", "late", "--certificate", "--seconds", "-1")

    # So that kubectl knows the resources, and asks for nothing but the pods.
    kubectl(home, "get", "pods")
    answer = kubectl(home, "--context=veza-training-late", "get", "pods")

    assert answer.returncode == 1
    assert answer.stderr == "error: You must be logged in to the server (Unauthorized)\n"


def test_a_fault_is_injected_into_a_healthy_cluster(sandbox: Command, home: Path) -> None:
    refused = sandbox("inject")
    answer = sandbox("inject", "image-missing")

    assert "the scenario healthy has no fault; name one that has" in refused.stderr
    assert answer.stdout.startswith("image-missing: registry.veza.example/")
    pods = kubectl(home, "get", "pods").stdout
    assert "ErrImagePull" in pods or "ImagePullBackOff" in pods


@pytest.mark.parametrize("words", [["fault"], ["inject"], ["user"], ["audit"]])
def test_without_a_cluster_each_says_how_to_start_one(tmp_path: Path, words: list[str]) -> None:
    answer = run(tmp_path, *words)

    assert answer.returncode == 2
    assert "veza-nb sandbox up" in answer.stderr
