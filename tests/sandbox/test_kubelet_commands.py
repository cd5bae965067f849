"""What a container's words do: small commands are imitated, nothing of the machine runs."""

from __future__ import annotations

import pytest

from tests.sandbox.planes import SPACE, Stage, play
from tests.sandbox.pods import container, create, is_gone, pod, state, status
from veza_nb.sandbox.apiserver.logs import LogQuery
from veza_nb.sandbox.nodes.commands import NotCarriedError, arguments
from veza_nb.sandbox.nodes.imitations import Imitation, imitate
from veza_nb.sandbox.nodes.programs import PROGRAMS, Lines
from veza_nb.sandbox.nodes.releases import Carried, built_in, parse

ENV = {"URL": "postgres://x/y", "URL_2": "second"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["true"], Imitation()),
        (["/bin/false"], Imitation(code=1)),
        (["sleep", "5"], Imitation(5)),
        (["sleep", "1.5m"], Imitation(90)),
        (["sleep", "infinity"], Imitation(None)),
        (["echo", "a", "b"], Imitation(lines=("a b",))),
        (["sh", "-c", "echo one; sleep 2; exit 3; echo two"], Imitation(2, ("one",), 3)),
        (["sh", "-c", "false && echo no"], Imitation(code=1)),
        (["sh", "-c", "true && echo 'a  b'"], Imitation(lines=("a  b",))),
        (["sh", "-c", "echo up; sleep infinity"], Imitation(None, ("up",))),
        (["sh", "-c", "exit 300"], Imitation(code=44)),
        (["sh", "-c", "echo $(date)"], None),
        (["sh", "-c", "echo a | cat"], None),
        (["sh", "-c", "echo 'open"], None),
        (["sh", "-c", "echo a > /tmp/x"], None),
        (["sleep", "soon"], None),
        (["sleep", "-1"], None),
        (["sleep", "9" * 400], None),
        (["exit", "x"], None),
        (["serve"], None),
        ([], None),
    ],
)
def test_small_commands_are_known(words: list[str], expected: Imitation | None) -> None:
    assert expected == imitate(words)


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        ([], ["up"], ["up"]),
        ([], ["-path", "/migrations", "up"], ["-path", "/migrations", "up"]),
        ([], ["migrate", "up"], ["up"]),
        (["/usr/bin/migrate"], ["up"], ["up"]),
        (["sh", "-c", 'migrate -database "$URL" up'], [], ["-database", "postgres://x/y", "up"]),
        (["sh", "-c", "exec migrate -database ${URL_2} up"], [], ["-database", "second", "up"]),
        (["sh"], ["-c", "migrate down 1"], ["down", "1"]),
    ],
)
def test_the_words_of_a_program_are_what_its_image_would_get(
    command: list[str], args: list[str], expected: list[str]
) -> None:
    carried = Carried("*", "migrate", entrypoint=True)

    assert expected == arguments(carried, command, args, ENV)


@pytest.mark.parametrize(
    "command", [["touch", "x"], ["sh", "-c", "touch x"], ["/bin/sh"], ["sh", "-c", "'"]]
)
def test_an_image_with_nothing_but_its_program_has_nothing_else(command: list[str]) -> None:
    with pytest.raises(NotCarriedError, match="executable file not found"):
        arguments(Carried("*", "migrate", entrypoint=True), command, [], {})

    assert arguments(Carried("*", "migrate"), command, [], {}) is None


def test_every_program_of_the_catalogue_is_in_the_table() -> None:
    assert {carried.program for carried in built_in().programs} <= set(PROGRAMS)
    assert all(script.is_file() for script in PROGRAMS.values())


def test_a_catalogue_cannot_make_anything_else_run() -> None:
    catalogue = parse("programs: [{image: '*', program: bash, entrypoint: true}]", "test")

    async def story(stage: Stage) -> None:
        create(stage, container(args=["-c", "true"]), restartPolicy="Never")
        await stage.pass_time(5)
        ended = state(stage)["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
        assert "unknown program 'bash'" in ended["message"]

    play(story, catalogue)


def test_what_a_program_prints_becomes_lines() -> None:
    seen: list[str] = []
    lines = Lines(seen.append)
    lines("stdout", b"one\ntw")
    lines("stderr", b"oops\n")
    lines("stdout", b"o\n" + b"x" * 40_000)
    lines.end()

    assert seen[:3] == ["one", "oops", "two"]
    assert [len(line) for line in seen[3:]] == [16_384, 16_384, 7_232]


def test_a_task_is_over_when_its_words_are() -> None:
    async def story(stage: Stage) -> None:
        words = {"command": ["sh", "-c", "echo begun; sleep 20; echo done; exit 4"]}
        create(stage, container(**words), restartPolicy="Never")
        await stage.pass_time(19)
        assert status(stage)["phase"] == "Running"
        await stage.pass_time(2)
        assert state(stage)["state"]["terminated"]["exitCode"] == 4
        uid = pod(stage)["metadata"]["uid"]
        assert stage.plane.logs.read(uid, "c", 0, LogQuery()) == b"begun\ndone\n"

    play(story)


def test_a_sleep_hears_no_sigterm() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(command=["sleep", "1h"]), terminationGracePeriodSeconds=10)
        await stage.pass_time(1)
        stage.admin.delete("pods", SPACE, "web")
        await stage.pass_time(9)
        assert "running" in state(stage)["state"]
        await stage.pass_time(2)
        assert is_gone(stage)

    play(story)


def test_a_service_whose_command_ends_is_started_again() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(command=["sleep", "2"]))
        await stage.pass_time(10)
        assert state(stage)["restartCount"] > 1
        assert state(stage)["lastState"]["terminated"]["reason"] == "Completed"

    play(story)


@pytest.mark.parametrize(("command", "ready"), [(["true"], True), (["sh", "-c", "exit 1"], False)])
def test_a_known_command_decides_a_probe(command: list[str], ready: bool) -> None:
    async def story(stage: Stage) -> None:
        asked = {"exec": {"command": command}}
        create(stage, container(command=["sleep", "1h"], readinessProbe=asked))
        await stage.pass_time(12)

        assert state(stage)["ready"] is ready

    play(story)
