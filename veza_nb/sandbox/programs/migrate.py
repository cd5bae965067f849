"""Brings a PostgreSQL database to a version of Veza's schema, and back.

    migrate -database URL [-path DIR] up [N] | down N | down -all | goto V | version | force V

Every migration runs in a transaction of its own, under an advisory lock, through `psql`. The
table `schema_migrations` holds the version; it is marked dirty before a migration begins and
clean in the migration's own transaction, so a migration that failed stays visible. Runs as a
script, with nothing but the standard library: it is what an image would contain.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import parse_qsl, unquote, urlsplit

SANDBOX = Path(__file__).resolve().parent.parent
NEWEST = "MIGRATIONS_NEWEST"
"""Environment variable: the newest migration that this image has."""

_FILE = re.compile(r"(\d+)_(\w+)\.(up|down)\.sql")
_SETTINGS = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "application_name": "PGAPPNAME",
}
_LOCK = 7_045_221_981
_LOCK_SECONDS = 15
_DONE = "-- done --"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_migrations "
    "(version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);"
)


class MigrateError(Exception):
    """Why nothing more is done; the message is for whoever reads the log."""


@dataclass(frozen=True)
class Step:
    """One migration in one direction: to `version`, None for an empty database."""

    number: int
    name: str
    direction: str
    sql: str
    version: int | None

    def __str__(self) -> str:
        return f"{self.number}/{self.direction[0]} {self.name}"


class Source:
    """The migrations in the image.

    Args:
        directory: with files such as `000003_playlists.up.sql`.
        newest: those above are not there.
    """

    def __init__(self, directory: Path, newest: int | None = None) -> None:
        self._files: dict[tuple[int, str], Path] = {}
        for path in sorted(directory.iterdir()):
            found = _FILE.fullmatch(path.name)
            if found is not None and (newest is None or int(found[1]) <= newest):
                self._files[int(found[1]), found[3]] = path
        self.numbers = sorted({number for number, _ in self._files})

    def up(self, present: int | None, count: int | None) -> list[Step]:
        """The next migrations, all that are there when no count is given."""
        self._check(present)
        above = [number for number in self.numbers if present is None or number > present]
        if not above:
            raise MigrateError("no change")
        if count is not None and count > len(above):
            raise MigrateError(f"short limit {count - len(above)}: file does not exist")
        return [self._step(number, "up", number) for number in above[:count]]

    def down(self, present: int | None, count: int | None) -> list[Step]:
        """The latest migrations backwards, all of them when no count is given."""
        self._check(present)
        if present is None:
            raise MigrateError("no change")
        below = [number for number in reversed(self.numbers) if number <= present]
        if count is not None and count > len(below):
            raise MigrateError(f"short limit {count - len(below)}: file does not exist")
        after = [*below[1:], None]
        return [
            self._step(number, "down", version)
            for number, version in list(zip(below, after, strict=True))[:count]
        ]

    def go_to(self, present: int | None, version: int) -> list[Step]:
        """The migrations from one version to another."""
        if version not in self.numbers:
            raise MigrateError(_missing(version, "up"))
        if present == version:
            raise MigrateError("no change")
        if present is None or present < version:
            return [step for step in self.up(present, None) if step.number <= version]
        return [step for step in self.down(present, None) if step.number > version]

    def _check(self, present: int | None) -> None:
        """Refuse a database that is ahead of this image."""
        if present is not None and present not in self.numbers:
            raise MigrateError(_missing(present, "down"))

    def _step(self, number: int, direction: str, version: int | None) -> Step:
        path = self._files.get((number, direction))
        if path is None:
            raise MigrateError(_missing(number, direction))
        name = path.name.split(".")[0].partition("_")[2]
        return Step(number, name, direction, path.read_text("utf-8"), version)


def _missing(number: int, direction: str) -> str:
    why = f"read {direction} for version {number} migrations: file does not exist"
    return f"no migration found for version {number}: {why}"


class Database:
    """One session of `psql`.

    Raises:
        MigrateError: there is no psql, or the database cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed in close()
        tether = [sys.executable, "-I", "-S", str(SANDBOX / "tether.py"), str(os.getpid())]
        psql = find_psql(os.environ.get("PATH", os.defpath))
        command = [psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        self._process = subprocess.Popen(
            [*tether, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **settings(url)},
            text=True,
        )
        self.run("SET client_min_messages = warning;")

    def close(self) -> None:
        """End the session."""
        self._process.communicate()
        self._errors.close()

    def run(self, sql: str) -> list[str]:
        """Run statements; return the rows, columns parted by "|".

        Raises:
            MigrateError: in the database's words. The session is over then.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{sql}\n\\echo {_DONE}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None
        rows: list[str] = []
        for line in self._process.stdout:
            if line.rstrip("\n") == _DONE:
                return rows
            rows.append(line.rstrip("\n"))
        raise self._failure()

    def _failure(self) -> MigrateError:
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip()
        return MigrateError(re.sub(r"^psql:<stdin>:\d+: ", "", said) or "the session ended")


class Migrator:
    """Moves one database along the migrations of one image."""

    def __init__(self, url: str, source: Source) -> None:
        self._url = url
        self._source = source
        self._database = Database(url)

    def close(self) -> None:
        """End the session; the lock goes with it."""
        self._database.close()

    def act(self, command: str, numbers: Sequence[int]) -> None:
        """Do what the command line says.

        Raises:
            MigrateError: it cannot be done.
        """
        if command == "version":
            self._show()
            return
        self._lock()
        if command == "force":
            self._force(numbers[0])
            return
        present = self._present()
        for step in self._steps(command, numbers, present):
            self._apply(step)

    def _steps(self, command: str, numbers: Sequence[int], present: int | None) -> list[Step]:
        count = numbers[0] if numbers else None
        if command == "up":
            return self._source.up(present, count)
        if command == "down":
            return self._source.down(present, count)
        return self._source.go_to(present, numbers[0])

    def _lock(self) -> None:
        try:
            self._database.run(
                f"SET lock_timeout = '{_LOCK_SECONDS}s';\n"
                f"DO $$ BEGIN PERFORM pg_advisory_lock({_LOCK}); END $$;\n"
                f"RESET lock_timeout;\n{_TABLE}"
            )
        except MigrateError as error:
            if "lock timeout" not in str(error):
                raise
            raise MigrateError("can't acquire database lock: somebody else migrates") from error

    def _show(self) -> None:
        there = self._database.run("SELECT to_regclass('schema_migrations') IS NOT NULL;")
        if there != ["t"]:
            raise MigrateError("no migration")
        rows = self._database.run("SELECT version, dirty FROM schema_migrations;")
        if not rows:
            raise MigrateError("no migration")
        version, _, dirty = rows[0].partition("|")
        say(f"{version} (dirty)" if dirty == "t" else version)

    def _present(self) -> int | None:
        rows = self._database.run("SELECT version, dirty FROM schema_migrations;")
        if not rows:
            return None
        version, _, dirty = rows[0].partition("|")
        if dirty == "t":
            raise MigrateError(f"Dirty database version {version}. Fix and force version.")
        return int(version)

    def _force(self, version: int) -> None:
        if version >= 0 and version not in self._source.numbers:
            raise MigrateError(_missing(version, "up"))
        self._database.run(_written(None if version < 0 else version, dirty=False))

    def _apply(self, step: Step) -> None:
        began = time.monotonic()
        # As the version that is being left or made: whoever finds it dirty knows where to look.
        marked = step.number if step.version is None else step.version
        self._database.run(_written(marked, dirty=True))
        try:
            self._database.run(f"BEGIN;\n{step.sql}\n{_statement(step.version)}\nCOMMIT;")
        except MigrateError as error:
            raise MigrateError(f"migration failed in {step}: {error}") from error
        say(f"{step} ({(time.monotonic() - began) * 1000:.3f}ms)")


def _written(version: int | None, *, dirty: bool) -> str:
    return f"BEGIN;\n{_statement(version, dirty=dirty)}\nCOMMIT;"


def _statement(version: int | None, *, dirty: bool = False) -> str:
    if version is None:
        return "DELETE FROM schema_migrations;"
    row = f"INSERT INTO schema_migrations (version, dirty) VALUES ({version}, {dirty});"
    return f"DELETE FROM schema_migrations;\n{row}"


def settings(url: str) -> dict[str, str]:
    """A database URL as libpq's environment, so that no password is seen in a list of processes.

    Raises:
        MigrateError: the URL is none of PostgreSQL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise MigrateError(f"failed to parse the database URL: {error}") from error
    if parts.scheme not in ("postgres", "postgresql"):
        raise MigrateError(f"database driver: unknown driver {parts.scheme} (forgotten import?)")
    given = {
        "host": unquote(parts.hostname or ""),
        "port": str(port or ""),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "connect_timeout": "5",
        **dict(parse_qsl(parts.query)),
    }
    found = {_SETTINGS[key]: value for key, value in given.items() if key in _SETTINGS and value}
    return {**found, "PGDATABASE": unquote(parts.path.lstrip("/")) or given["user"]}


def find_psql(path: str, installed: Path = Path("/usr/lib/postgresql")) -> str:
    """Where `psql` is: on a search path, or below where Debian installs every release.

    Raises:
        MigrateError: nowhere.
    """
    found = shutil.which("psql", path=path)
    if found is not None:
        return found
    every = sorted(installed.glob("*/bin/psql"), key=_release, reverse=True)
    if not every:
        raise MigrateError("psql not found: install the PostgreSQL client (package postgresql)")
    return str(every[0])


def _release(path: Path) -> int:
    text = path.parent.parent.name
    return int(text) if text.isdigit() else 0


def source_of(path: str, environ: Mapping[str, str]) -> Source:
    """The migrations at a path of the image; it has only one such directory.

    Raises:
        MigrateError: there is no such directory.
    """
    if PurePosixPath(path.removeprefix("file://")).name != "migrations":
        raise MigrateError(f'failed to open source, "{path}": no such file or directory')
    newest = environ.get(NEWEST, "")
    return Source(SANDBOX / "data" / "migrations", int(newest) if newest.isdigit() else None)


def arguments(words: Sequence[str], environ: Mapping[str, str]) -> argparse.Namespace:
    """The command line, in the spelling with one dash or two."""
    parser = argparse.ArgumentParser("migrate", allow_abbrev=False)
    parser.add_argument("-database", "--database", default=environ.get("DATABASE_URL", ""))
    parser.add_argument("-path", "--path", "-source", "--source", default="/migrations")
    parser.add_argument("-verbose", "--verbose", action="store_true")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down"):
        command = commands.add_parser(name, allow_abbrev=False)
        command.add_argument("numbers", nargs="?", type=_count, metavar="N")
        if name == "down":
            command.add_argument("-all", "--all", action="store_true")
    for name in ("goto", "force"):
        commands.add_parser(name, allow_abbrev=False).add_argument("numbers", type=int, metavar="V")
    commands.add_parser("version", allow_abbrev=False)
    return parser.parse_args(list(_negative(words)))


def _negative(words: Sequence[str]) -> Iterator[str]:
    """The words, where `force -1` is told from an option."""
    for number, word in enumerate(words):
        if number and words[number - 1] == "force" and word == "-1":
            yield "--"
        yield word


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def say(text: str) -> None:
    """Print a line of the log."""
    sys.stderr.write(f"{text}\n")


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command line; return the exit code: 0, 1 when it cannot be done, 2 when misused."""
    given = arguments(words, environ)
    numbers = [number for number in [getattr(given, "numbers", None)] if number is not None]
    if given.command == "down" and not numbers and not given.all:
        say("error: down needs a number of migrations, or -all")
        return 2
    try:
        migrator = Migrator(given.database, source_of(given.path, environ))
        try:
            migrator.act(given.command, numbers)
        finally:
            migrator.close()
    except MigrateError as error:
        if str(error) == "no change":
            say("no change")
            return 0
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
