"""Wrong input: one clear line, the right exit code, and nothing changed."""

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import SERVICE, VEZA_NB, Application, Finished, run_command

CONFIRMED = ("--confirm", SERVICE)
NOTHING_CHANGED = "Nothing was changed in the cluster."

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def kubeconfig(application: Application, tmp_path: Path) -> Callable[[Change], str]:
    """A copy of the kubeconfig with something changed in it."""

    def changed(change: Change) -> str:
        content = yaml.safe_load(application.kubeconfig.read_text())
        change(content)
        path = tmp_path / "changed.kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return str(path)

    return changed


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Bound, so that nobody else gets it, and not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def at_port(port: int) -> Change:
    """Points every cluster of a kubeconfig to this port."""

    def change(content: dict[str, Any]) -> None:
        for entry in content["clusters"]:
            entry["cluster"]["server"] = f"https://127.0.0.1:{port}"

    return change


def expire(content: dict[str, Any]) -> None:
    for entry in content["users"]:
        entry["user"] = {"token": "expired"}


def assert_refused(application: Application, done: Finished, code: int, *said: str) -> None:
    """This exit code, these words in one line, a few lines only, and an untouched Deployment."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert code == done.code, done.stderr + done.stdout
    assert any(all(word in line for word in said) for line in lines), done.stderr
    assert len(lines) <= 3, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert NOTHING_CHANGED in done.stderr
    assert (application.generation, application.image) == (2, application.images.good)


def assert_recorded(application: Application, outcome: str) -> None:
    """A record was begun: it says how it ended, and its sums hold."""
    record = application.record()
    assert (record["outcome"], record["changed"]) == (outcome, False)
    folder = application.records / record["incident_id"]
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_unknown_service(application: Application) -> None:
    done = run_command(
        VEZA_NB, "rollback", "veza-nothing", "--kubeconfig", str(application.kubeconfig),
        "--catalog", str(application.catalog), "--records", str(application.records),
    )  # fmt: skip

    assert_refused(application, done, 2, "veza-nothing")
    assert SERVICE in done.stderr
    assert not application.records.exists()


def test_unknown_namespace(application: Application) -> None:
    done = application.veza_nb("rollback", *CONFIRMED, "--namespace", "nowhere")

    assert_refused(application, done, 2, "no namespace 'nowhere'")
    assert_recorded(application, "usage")


def test_unknown_context(application: Application) -> None:
    done = application.veza_nb("rollback", *CONFIRMED, "--context", "nope")

    assert_refused(application, done, 2, "no context 'nope'")
    assert_recorded(application, "usage")


def test_unknown_revision(application: Application) -> None:
    done = application.veza_nb("rollback", *CONFIRMED, "--to-revision", "99")

    assert_refused(application, done, 3, "99")
    assert_recorded(application, "refused")


def test_missing_kubeconfig(application: Application, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")

    done = application.veza_nb("rollback", *CONFIRMED, "--kubeconfig", missing)

    assert_refused(application, done, 2, "no kubeconfig at", missing)
    assert_recorded(application, "usage")


@pytest.mark.parametrize("content", ["", "clusters: [", "\x00\x01"])
def test_broken_kubeconfig(application: Application, tmp_path: Path, content: str) -> None:
    broken = tmp_path / "broken"
    broken.write_text(content)

    done = application.veza_nb("rollback", *CONFIRMED, "--kubeconfig", str(broken))

    assert_refused(application, done, 2, str(broken))
    assert_recorded(application, "usage")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("services:", "services: ["),
        ("selector:", "selektor:"),
        ("soak_seconds: 1", "soak_seconds: soon"),
    ],
)
def test_broken_catalogue_with_file_and_line(application: Application, old: str, new: str) -> None:
    text = application.catalog.read_text()
    assert old in text
    application.catalog.write_text(text.replace(old, new))

    done = application.veza_nb("rollback", *CONFIRMED)

    assert_refused(application, done, 2, str(application.catalog))
    assert re.search(rf"{re.escape(str(application.catalog))}:\d+", done.stderr)
    assert not application.records.exists()


def test_unreachable_server(
    application: Application, kubeconfig: Callable[[Change], str], closed_port: int
) -> None:
    done = application.veza_nb(
        "rollback", *CONFIRMED, "--kubeconfig", kubeconfig(at_port(closed_port))
    )

    assert_refused(application, done, 1, str(closed_port))
    assert_recorded(application, "error")


def test_hanging_server(
    application: Application, kubeconfig: Callable[[Change], str], silent_port: int
) -> None:
    done = application.veza_nb(
        "rollback", *CONFIRMED, "--timeout", "0.5", "--kubeconfig", kubeconfig(at_port(silent_port))
    )

    assert_refused(application, done, 1, str(silent_port))
    assert_recorded(application, "error")


def test_expired_token(application: Application, kubeconfig: Callable[[Change], str]) -> None:
    done = application.veza_nb("rollback", *CONFIRMED, "--kubeconfig", kubeconfig(expire))

    assert_refused(application, done, 3, "does not accept these credentials")
    assert_recorded(application, "refused")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("to_revison", "3", "no parameter 'to_revison'"), ("to_revision", "three", "'three'")],
)
def test_unknown_parameter_or_value(
    application: Application, name: str, value: str, said: str
) -> None:
    done = application.veza_nb("rollback", *CONFIRMED, "-p", name, value)

    assert_refused(application, done, 2, said)
    assert not application.records.exists()


def test_records_folder_that_is_a_file(application: Application) -> None:
    application.records.write_text("not a folder")

    done = application.veza_nb("rollback", *CONFIRMED)

    assert_refused(application, done, 2, str(application.records), "cannot be used")


@pytest.mark.parametrize("place", ["/proc", "/dev/null/records"])
def test_records_folder_that_nobody_may_write(application: Application, place: str) -> None:
    done = application.veza_nb("rollback", *CONFIRMED, "--records", place)

    assert_refused(application, done, 2, place, "cannot be used")


@pytest.mark.parametrize("incident", ["../elsewhere", "x" * 200])
def test_incident_id_that_is_no_name(application: Application, incident: str) -> None:
    done = application.veza_nb("rollback", *CONFIRMED, "--incident", incident)

    assert_refused(application, done, 2, incident, "no usable incident id")
    assert not application.records.exists()


def test_wrong_context_in_a_second_run_is_not_the_first_run_s_success(
    application: Application,
) -> None:
    again = ("rollback", *CONFIRMED, "--incident", "x5")
    first = application.veza_nb(*again, "--to-revision", "1")

    second = application.veza_nb(*again, "--context", "nope")

    assert (first.code, second.code) == (0, 2), first.stderr + second.stderr
    assert "recovered" not in second.stdout
    assert "no context 'nope'" in second.stderr
    record = json.loads((application.records / "x5" / "record.json").read_text())
    assert (record["outcome"], record["changed"]) == ("usage", True)
