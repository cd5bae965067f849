"""A real PostgreSQL of one's own on 127.0.0.1: made for a test session, gone with it."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_SECONDS = 60
_PASSWORD = "only-for-tests"


class Postgres:
    """A running server.

    Attributes:
        port: on 127.0.0.1.
    """

    user = "tester"
    password = _PASSWORD

    def __init__(self, programs: Path, directory: Path) -> None:
        self.port = _free_port()
        self._programs = programs
        self._data = directory / "data"
        self._prefix = _as_user(directory)
        self._names = itertools.count(1)
        secret = directory / "password"
        secret.write_text(_PASSWORD)
        _give_away(secret)
        options = ["-U", self.user, "-A", "scram-sha-256", f"--pwfile={secret}", "-N"]
        self._run("initdb", "-D", str(self._data), *options, "--locale=C.UTF-8", "-E", "UTF8")

    def start(self) -> None:
        """Listen; return when it answers."""
        options = f"-h 127.0.0.1 -p {self.port} -k '' -c fsync=off -c max_connections=30"
        log = str(self._data / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """End it and all sessions."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "stop")

    def database(self) -> str:
        """Make a new empty database; return its URL."""
        name = f"test{next(self._names)}"
        self.ask(f"CREATE DATABASE {name}", "postgres")
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgres://{self.user}:{_PASSWORD}@127.0.0.1:{self.port}/{name}"

    def ask(self, sql: str, database: str) -> list[str]:
        """Run one statement in a database, given by name or URL; return its rows, "|" between."""
        name = database.rpartition("/")[2]
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-d", name]
        command = [self._programs / "psql", "-X", "-q", "-A", "-t", *where, "-c", sql]
        env = {**os.environ, "PGPASSWORD": _PASSWORD}
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
        return done.stdout.splitlines()

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._prefix, str(self._programs / program), *arguments]
        # Not captured: the server would keep a pipe open for as long as it runs.
        done = subprocess.run(
            command, cwd="/", stdout=subprocess.DEVNULL, timeout=_SECONDS, check=False
        )
        assert done.returncode == 0, f"{program} failed"


def _as_user(directory: Path) -> list[str]:
    """How to run as somebody who is not root: a PostgreSQL server refuses to be root."""
    if os.geteuid() != 0:
        return []
    _give_away(directory)
    user = _somebody()
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _give_away(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, _somebody().pw_uid, _somebody().pw_gid)


def _somebody() -> pwd.struct_passwd:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _programs() -> Path | None:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    every = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return every[-1].parent if every else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for the whole session; take a `database()` of your own."""
    programs = _programs()
    if programs is None:
        why = "PostgreSQL is not installed (Debian's package postgresql)"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    directory = Path(tempfile.mkdtemp(prefix="veza-postgres-"))
    try:
        server = Postgres(programs, directory)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
