"""Plays a story: does what was done when it was recorded, and compares what comes out.

A story is text, one step a line:

    kubectl NAME [how]   run a recorded command and compare what it says
    http NAME [how]      send a recorded request and compare the answer
    object NAME [how]    fetch what was fetched and compare it
    watch NAME           from here on …
    seen NAME [how]      … up to here: compare what a watcher saw
    stream NAME PATH     watch up to the server's timeout, and compare what was said
    summary NAME N DEPLOYMENT   compare how that one stands with an entry of a recorded summary
    differs VERB …       the same step must come out otherwise, on purpose
    fault KIND           let requests meet a fault; "fault none" ends all of them
    compact              let the cluster forget its history
    create PATH JSON     an object that the recorder made
    run COMMAND          what the recorder did without writing down what was said
    image PROGRAM IMAGE  what a kubectl of that name sends for `set image` …
    undo PROGRAM         … and for `rollout undo`
    send NAME            a recorded request that was compared elsewhere
    state NAME [how]     the same for NAME.deployment, NAME.replicasets and NAME.pods
    still                no time passes in the cluster after the next command
    pass SECONDS

`how` names the one respect in which an answer depends on the moment; `comparing.HOW` says what each
means.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.sandbox.recordings import comparing, hands, index, normal, places, transcripts
from tests.sandbox.recordings.index import Recording
from tests.sandbox.recordings.stage import COMMAND_SECONDS, Stage
from tests.sandbox.transcripts import Said

Json = dict[str, Any]

_STATE = ("deployment", "replicasets", "pods")
FOLDER = {
    "kubectl": "kubectl",
    "http": "http",
    "object": "objects",
    "summary": "objects",
    "seen": "watch",
    "stream": "watch",
}


@dataclass(frozen=True)
class Step:
    """One line of a story."""

    verb: str
    argument: str
    how: str = ""

    @property
    def path(self) -> str:
        """Of the recording that it compares, without its ending."""
        return f"{FOLDER[self.verb]}/{self.argument}"


@dataclass(frozen=True)
class Difference:
    """A recording that came out otherwise."""

    name: str
    then: Any
    now: Any


def steps(story: str) -> list[Step]:
    """The steps of a story."""
    found = []
    for line in story.strip().splitlines():
        verb, _, rest = line.strip().partition(" ")
        name, _, how = rest.partition(" ") if verb in FOLDER else (rest, "", "")
        if verb == "state":
            name, _, how = rest.partition(" ")
            found += [
                Step("object", f"{name}.{kind}", how if how != "alive" or kind == "pods" else "")
                for kind in _STATE
            ]
        elif verb and not verb.startswith("#"):
            found.append(Step(verb, name, how))
    return found


class Player:
    """Plays stories on a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._since: dict[str, str] = {}
        self._frozen = False
        self._before = "0"
        self.differences: list[Difference] = []

    def play(self, story: str) -> list[Difference]:
        """Play a story to its end; return what came out otherwise."""
        for step in steps(story):
            self._play(step)
        return self.differences

    def _play(self, step: Step) -> None:
        action: Callable[[Step], None] = getattr(self, f"_{step.verb}")
        action(step)

    def _compare(self, step: Step, then: Any, now: Any) -> None:
        if then != now:
            self.differences.append(Difference(step.path, then, now))

    def _kubectl(self, step: Step) -> None:
        command, then = transcripts.read(step.argument)
        vain = transcripts.waits_in_vain(command, then)
        now = self._do(self._with_our_pod(command), vain=vain)
        if step.how == "some" and comparing.is_part(now, then):
            return
        self._compare(step, comparing.said_in(then, step.how), comparing.said_in(now, step.how))

    def _run(self, step: Step) -> None:
        said = self._do(step.argument)
        assert said.code == 0, f"kubectl {step.argument}: {said.err}"

    def _image(self, step: Step) -> None:
        program, _, image = step.argument.partition(" ")
        hands.set_image(self._stage, program, image)

    def _undo(self, step: Step) -> None:
        hands.undo(self._stage, step.argument)

    def _do(self, command: str, *, vain: bool = False) -> Said:
        self._before = self._stage.version()
        if not self._frozen:
            return self._stage.kubectl(command, vain=vain)
        self._frozen = False
        return self._stage.kubectl(command, 0)

    def _still(self, _: Step) -> None:
        self._frozen = True

    def _pass(self, step: Step) -> None:
        self._stage.advance(float(step.argument))

    def _object(self, step: Step) -> None:
        recording = index.get("objects", step.argument)
        if step.how in ("passed", "among"):
            self._compare(step, *self._passed(recording))
            return
        now = self._stage.get(places.path_of(recording))
        then = recording.document()
        self._compare(step, comparing.shown(then, step.how), comparing.shown(now, step.how))

    def _passed(self, recording: Recording) -> tuple[Any, Any]:
        """The recorded objects, and each as it was seen on its way, or else as it is now."""
        path = places.path_of(recording).partition("?limit=")[0]
        changes = self._stage.changes(places.followed(path), self._before)
        then, now = recording.document(), self._stage.get(path)
        seen = [change["object"] for change in changes] + now.get("items", [now])
        states = [normal.body(comparing.bare(each)) for each in seen]
        wanted = [normal.body(comparing.bare(each)) for each in then.get("items", [then])]
        return wanted, [each if each in states else states[-1] for each in wanted]

    def _send(self, step: Step) -> Any:
        recorded = index.get("http", step.argument).document()["request"]
        self._before = self._stage.version()
        answer = self._stage.ask(
            recorded["method"],
            recorded["path"],
            recorded["body"],
            recorded["as"] or "",
            **recorded["headers"],
        )
        if not self._frozen:
            self._stage.advance(COMMAND_SECONDS)
        self._frozen = False
        return answer

    def _http(self, step: Step) -> None:
        then = index.get("http", step.argument).document()["response"]
        now = self._send(step)
        self._compare(step, then["status"], now.status_code)
        if step.how == "table":
            self._compare(step, comparing.table(then["body"]), comparing.table(now.json()))
        else:
            self._compare(step, normal.body(then["body"]), normal.body(_body(now.text)))

    def _create(self, step: Step) -> None:
        path, _, body = step.argument.partition(" ")
        answer = self._stage.ask("POST", path, body, **{"Content-Type": "application/json"})
        assert answer.status_code == 201, answer.text
        self._stage.advance(COMMAND_SECONDS)

    def _stream(self, step: Step) -> None:
        now = self._stage.lines(step.how)
        self._compare(step, *comparing.events(_watch(step), now, "states"))

    def _summary(self, step: Step) -> None:
        recorded: Any = index.get("objects", step.argument).document()
        key, _, name = step.how.partition(" ")
        found = self._stage.get(f"{places.APPS}/deployments/{name}")
        if isinstance(recorded, list):
            self._compare(step, *comparing.standing(recorded[int(key)], found))
        else:
            image = transcripts.image_in(found["spec"]["template"]["spec"])
            self._compare(step, recorded[f"after {key} undo"], image.rpartition(":")[2])

    def _differs(self, step: Step) -> None:
        [inner], before = steps(step.argument), len(self.differences)
        self._play(inner)
        if len(self.differences) == before:
            self.differences.append(Difference(inner.path, "different on purpose", "the same"))
        else:
            del self.differences[before:]

    def _fault(self, step: Step) -> None:
        self._stage.fault(step.argument)

    def _compact(self, _: Step) -> None:
        self._stage.forget()

    def _watch(self, step: Step) -> None:
        self._since[step.argument] = self._stage.version()

    def _seen(self, step: Step) -> None:
        path = places.watched(index.get("watch", step.argument))
        now = self._stage.changes(path, self._since[step.argument])
        self._compare(step, *comparing.events(_watch(step), now, step.how))

    def _with_our_pod(self, command: str) -> str:
        """A command about the pod that now runs what the recorded one ran."""
        named = transcripts.pod_named_in(command)
        if named is None:
            return command
        pods = self._stage.get(f"/api/v1/namespaces/{places.SPACE}/pods")["items"]
        image = transcripts.image_in
        ours = [each["metadata"]["name"] for each in pods if image(each["spec"]) == named[1]]
        return command.replace(named[0], ours[0])


def _watch(step: Step) -> list[Json]:
    """The recorded events of a watch."""
    lines = index.get("watch", step.argument).text().splitlines()
    return [json.loads(line) for line in lines]


def _body(text: str) -> Any:
    """A body decoded, as the recorder did; some are JSON that does not say so."""
    return json.loads(text) if text.startswith("{") else text
