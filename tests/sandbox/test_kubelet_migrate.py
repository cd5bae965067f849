"""The migration program on a real PostgreSQL: by hand, and as the work of a pod."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.planes import SPACE, Stage, play
from tests.sandbox.postgres import Postgres, postgres
from veza_nb.sandbox.apiserver.logs import LogQuery
from veza_nb.sandbox.programs import migrate
from veza_nb.sandbox.programs.migrate import MigrateError

__all__ = ["postgres"]

Json = dict[str, Any]
SCRIPT = migrate.__file__
IMAGE = "registry.veza.example/veza-migrate"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
SESSIONS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
SESSIONS += "AND pid <> pg_backend_pid()"
STATE = "SELECT version, dirty FROM schema_migrations"


def run(url: str, *words: str, **env: str) -> tuple[int, list[str]]:
    """Run the program; return its exit code and its log, without times."""
    command = [sys.executable, "-I", SCRIPT, "-database", url, "-path", "/migrations", *words]
    done = subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, [line.partition(" (")[0] for line in done.stderr.splitlines()]


def test_up_and_down_move_the_schema_and_its_version(postgres: Postgres) -> None:
    url = postgres.database()

    assert run(url, "up", "2") == (0, ["1/u users", "2/u tracks"])
    assert postgres.ask(TABLES, url) == ["schema_migrations", "tracks", "users"]
    assert run(url, "version") == (0, ["2"])
    code, said = run(url, "up")
    assert (code, said[-1]) == (0, "6/u track_isrc")
    assert run(url, "up") == (0, ["no change"])
    assert run(url, "down", "1") == (0, ["6/d track_isrc"])
    assert postgres.ask(STATE, url) == ["5|f"]
    assert run(url, "goto", "3") == (0, ["5/d track_loudness", "4/d stream_tokens"])
    assert run(url, "down") == (2, ["error: down needs a number of migrations, or -all"])
    assert run(url, "down", "-all") == (0, ["3/d playlists", "2/d tracks", "1/d users"])
    assert postgres.ask(TABLES, url) == ["schema_migrations"]
    assert run(url, "version") == (1, ["error: no migration"])


def test_a_migration_that_fails_leaves_nothing_but_its_mark(postgres: Postgres) -> None:
    url = postgres.database()
    postgres.ask("CREATE TABLE playlist_tracks (note text)", url)

    code, said = run(url, "up")
    assert code == 1
    assert 'relation "playlist_tracks" already exists' in said[-1]
    assert said[:2] == ["1/u users", "2/u tracks"]
    assert postgres.ask(STATE, url) == ["3|t"]
    assert "playlists" not in postgres.ask(TABLES, url)
    dirty = "error: Dirty database version 3. Fix and force version."
    assert run(url, "up") == (1, [dirty])
    assert run(url, "down", "1") == (1, [dirty])
    postgres.ask("DROP TABLE playlist_tracks", url)
    assert run(url, "force", "2") == (0, [])
    assert run(url, "up", "1") == (0, ["3/u playlists"])
    assert run(url, "force", "-1") == (0, [])
    assert postgres.ask(STATE, url) == []


def test_an_older_image_does_not_have_the_newer_migrations(postgres: Postgres) -> None:
    url = postgres.database()
    run(url, "up")
    why = "read down for version 6 migrations: file does not exist"

    code, said = run(url, "down", "1", MIGRATIONS_NEWEST="4")

    assert (code, said) == (1, [f"error: no migration found for version 6: {why}"])
    assert postgres.ask(STATE, url) == ["6|f"]


def test_two_at_once_follow_one_another(postgres: Postgres) -> None:
    url = postgres.database()
    command = [sys.executable, "-I", SCRIPT, "-database", url, "up"]
    env = {"PATH": os.environ["PATH"]}
    both = [subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) for _ in "ab"]
    said = [process.communicate(timeout=60)[1] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert sorted(len(text.splitlines()) for text in said) == [1, 6]
    assert postgres.ask(STATE, url) == ["6|f"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgres://u:p@127.0.0.1:1/db", "Connection refused"),
        ("mysql://u:p@127.0.0.1/db", "unknown driver mysql"),
        ("postgres://u:p@127.0.0.1:port/db", "failed to parse the database URL"),
        ("", "unknown driver"),
    ],
)
def test_a_database_that_cannot_be_reached_is_an_error_of_one_line(url: str, words: str) -> None:
    code, said = run(url, "up")

    assert code == 1
    assert words in "\n".join(said)
    assert "Traceback" not in "\n".join(said)


def test_psql_is_found_on_the_path_or_where_debian_puts_it(tmp_path: Path) -> None:
    with pytest.raises(MigrateError, match="psql not found: install the PostgreSQL client"):
        migrate.find_psql("", tmp_path)
    for release in ("9", "15"):
        program = tmp_path / release / "bin" / "psql"
        program.parent.mkdir(parents=True)
        program.touch(mode=0o755)

    assert migrate.find_psql("", tmp_path) == str(program)
    assert migrate.find_psql(str(tmp_path / "9" / "bin"), tmp_path) == f"{tmp_path}/9/bin/psql"


def test_a_wrong_password_is_not_repeated(postgres: Postgres) -> None:
    url = postgres.database().replace(postgres.password, "hunter2")

    code, said = run(url, "up")

    assert code == 1
    assert "password authentication failed" in "\n".join(said)
    assert "hunter2" not in "\n".join(said)


# -- in a pod --------------------------------------------------------------------------------


def pod(name: str, tag: str, args: list[str], **spec: Any) -> Json:
    reference = {"secretKeyRef": {"name": "db", "key": "url"}}
    container = {
        "name": "c",
        "image": f"{IMAGE}:{tag}",
        "args": args,
        "env": [{"name": "DATABASE_URL", "valueFrom": reference}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container], **spec},
    }


def with_database(url: str, story: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a story in a namespace whose Secret `db` holds the URL."""

    async def prepared(stage: Stage) -> None:
        data = {"url": base64.b64encode(url.encode()).decode()}
        body = {"metadata": {"name": "db"}, "type": "Opaque", "data": data}
        stage.admin.create("secrets", SPACE, body)
        await story(stage)

    play(prepared)


async def finished(stage: Stage, name: str) -> tuple[str, Json]:
    """The phase and the end of a pod's container, when it has ended."""
    async with asyncio.timeout(60):
        while True:
            status = stage.admin.get("pods", SPACE, name)["status"]
            if status.get("phase") in ("Succeeded", "Failed"):
                return status["phase"], status["containerStatuses"][0]["state"]["terminated"]
            await stage.pass_time(0.1)


def log(stage: Stage, name: str, container: str = "c") -> str:
    uid = stage.admin.get("pods", SPACE, name)["metadata"]["uid"]
    return stage.plane.logs.read(uid, container, 0, LogQuery()).decode()


def test_a_pod_really_migrates_the_database_that_its_secret_names(postgres: Postgres) -> None:
    url = postgres.database()

    async def story(stage: Stage) -> None:
        stage.admin.create("pods", SPACE, pod("up", "v2.5.0", ["-path", "/migrations", "up"]))
        phase, ended = await finished(stage, "up")
        assert (phase, ended["exitCode"], ended["reason"]) == ("Succeeded", 0, "Completed")
        assert "6/u track_isrc" in log(stage, "up")
        words = ["migrate", "-database", "$(DATABASE_URL)", "-path", "/migrations", "down", "1"]
        stage.admin.create("pods", SPACE, pod("down", "v2.3.0", words))
        phase, ended = await finished(stage, "down")
        assert (phase, ended["exitCode"], ended["reason"]) == ("Failed", 1, "Error")
        assert "no migration found for version 6" in log(stage, "down")

    with_database(url, story)
    assert postgres.ask(STATE, url) == ["6|f"]


def test_a_shells_simple_command_is_understood(postgres: Postgres) -> None:
    url = postgres.database()
    text = 'migrate -database "$DATABASE_URL" -path=/migrations up 1'

    async def story(stage: Stage) -> None:
        body = pod("up", "v2.5.0", [])
        body["spec"]["containers"][0] |= {"command": ["sh", "-c", text]}
        stage.admin.create("pods", SPACE, body)
        assert (await finished(stage, "up"))[0] == "Succeeded"

    with_database(url, story)
    assert postgres.ask(STATE, url) == ["1|f"]


def test_an_init_container_migrates_before_the_application_starts(postgres: Postgres) -> None:
    url = postgres.database()

    async def story(stage: Stage) -> None:
        body = pod("app", "v2.5.0", ["up"])
        body["spec"]["initContainers"] = body["spec"]["containers"]
        body["spec"]["containers"] = [{"name": "app", "image": "web:v1"}]
        body["spec"]["restartPolicy"] = "Always"
        stage.admin.create("pods", SPACE, body)
        async with asyncio.timeout(60):
            while stage.admin.get("pods", SPACE, "app")["status"].get("phase") != "Running":
                await stage.pass_time(0.1)
        assert postgres.ask(STATE, url) == ["6|f"]

    with_database(url, story)


def processes(url: str) -> set[str]:
    """The command lines of the migration programs that work on a database."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            knows = url.encode() in (entry / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if SCRIPT in words and knows:
            found.add(words)
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["deleted", "stopped"])
def test_a_program_does_not_outlive_its_pod_nor_the_cluster(postgres: Postgres, how: str) -> None:
    """The program waits for a lock that somebody else holds, so it would run for long."""
    url = postgres.database()
    holder = migrate.Database(url)
    holder.run(f"DO $$ BEGIN PERFORM pg_advisory_lock({migrate._LOCK}); END $$;")

    async def story(stage: Stage) -> None:
        words = ["-database", "$(DATABASE_URL)", "up"]
        stage.admin.create("pods", SPACE, pod("up", "v2.5.0", words))
        await until(lambda: processes(url) != set())
        assert not [words for words in processes(url) if postgres.password in words]
        if how == "deleted":
            stage.admin.delete("pods", SPACE, "up", grace=0)
            await until(lambda: processes(url) == set())

    try:
        with_database(url, story)
        assert processes(url) == set()
    finally:
        holder.close()


RUNNER = """
import asyncio, sys
from veza_nb.sandbox.nodes import programs

url = sys.argv[1]
asyncio.run(programs.run(["migrate", "-database", url, "up"], {"DATABASE_URL": url}))
"""


def test_a_program_does_not_outlive_a_cluster_that_is_killed(postgres: Postgres) -> None:
    url = postgres.database()
    holder = migrate.Database(url)
    holder.run(f"DO $$ BEGIN PERFORM pg_advisory_lock({migrate._LOCK}); END $$;")
    try:
        with subprocess.Popen([sys.executable, "-c", RUNNER, url]) as runner:
            asyncio.run(until(lambda: processes(url) != set()))
            runner.kill()
        asyncio.run(until(lambda: processes(url) == set()))
    finally:
        holder.close()
    asyncio.run(until(lambda: len(postgres.ask(SESSIONS, url)) == 0))


def test_a_pod_that_is_gone_before_its_program_began_runs_nothing(postgres: Postgres) -> None:
    url = postgres.database()

    async def story(stage: Stage) -> None:
        running = asyncio.Event()
        stage.plane.informers.pods.on_change(
            lambda _, new: running.set() if "running" in str((new or {}).get("status")) else None
        )
        words = ["-database", "$(DATABASE_URL)", "up"]
        made = stage.admin.create("pods", SPACE, pod("up", "v2.5.0", words))
        async with asyncio.timeout(60):
            await running.wait()
        stage.admin.delete("pods", SPACE, "up", grace=0)
        await until(lambda: not stage.plane.kubelet._host._tasks)
        assert processes(url) == set()
        assert not stage.plane.logs.has(made["metadata"]["uid"], "c", 0)

    with_database(url, story)
    assert postgres.ask(TABLES, url) == []


def test_a_program_is_asked_to_end_before_it_is_made_to(postgres: Postgres) -> None:
    """The migration program ends at SIGTERM; its pod is gone long before its grace is over."""
    url = postgres.database()
    holder = migrate.Database(url)
    holder.run(f"DO $$ BEGIN PERFORM pg_advisory_lock({migrate._LOCK}); END $$;")

    async def story(stage: Stage) -> None:
        stage.admin.create("pods", SPACE, pod("up", "v2.5.0", ["up"]))
        await until(lambda: bool(stage.plane.kubelet._host._tasks))
        clock = stage.plane.clock
        clock.real_time()
        stage.admin.delete("pods", SPACE, "up")
        await until(lambda: stage.admin.list("pods", SPACE) == [])
        clock.fast_forward()

    try:
        with_database(url, story)
    finally:
        holder.close()


def test_nothing_but_the_programs_of_the_table_is_run(postgres: Postgres, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    commands = [["touch", str(mark)], ["/bin/sh", "-c", f"touch {mark}"]]
    commands += [["sh", "-c", f"migrate version; touch {mark}"], ["migrate", f";touch {mark}"]]

    async def story(stage: Stage) -> None:
        for number, command in enumerate(commands):
            body = pod(f"p{number}", "v2.5.0", [])
            body["spec"]["containers"][0] |= {"command": command}
            stage.admin.create("pods", SPACE, body)
        ends = [await finished(stage, f"p{number}") for number in range(len(commands))]
        assert [end["exitCode"] for _, end in ends] == [128, 128, 2, 2]
        assert "executable file not found in $PATH" in ends[0][1]["message"]

    with_database(postgres.database(), story)
    assert not mark.exists()


def test_a_pods_environment_cannot_steer_the_interpreter(
    postgres: Postgres, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    names = ("PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD", "PATH", "HOME")

    async def story(stage: Stage) -> None:
        body = pod("up", "v2.5.0", ["up"])
        body["spec"]["containers"][0]["env"] += [
            {"name": name, "value": str(tmp_path)} for name in names
        ]
        stage.admin.create("pods", SPACE, body)
        assert (await finished(stage, "up"))[0] == "Succeeded"

    with_database(postgres.database(), story)
    assert not (tmp_path / "ran").exists()
