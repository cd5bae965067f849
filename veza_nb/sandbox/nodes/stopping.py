"""How a container is ended: preStop, SIGTERM, and SIGKILL when the grace is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.nodes.behaviors import Behavior
from veza_nb.sandbox.nodes.containers import KILLED, Exit

_LEAST_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Stop:
    """When what happens, in seconds from now.

    Attributes:
        term: SIGTERM.
        kill: SIGKILL, for what still runs then.
    """

    term: float
    kill: float


def schedule(spec: Json, grace: float) -> Stop:
    """The way to the end of a container within its grace.

    Whoever spends the whole grace on preStop still gets two seconds after SIGTERM.
    """
    term = min(_pre_stop_seconds(spec), grace)
    return Stop(term, term + (max(grace - term, _LEAST_GRACE_SECONDS) if term else grace))


def reaction(behavior: Behavior, stop: Stop, age: float) -> tuple[float, Exit]:
    """When a release ends, and how, when it is stopped so.

    Args:
        behavior: of the release.
        stop: what is done to it.
        age: of the container at SIGTERM.
    """
    if behavior.ignores_sigterm or behavior.hangs(age):
        return stop.kill, KILLED
    ends = stop.term + behavior.stop_seconds
    if ends <= stop.kill:
        return ends, Exit(behavior.sigterm_exit_code)
    return stop.kill, KILLED if stop.kill else Exit()


def _pre_stop_seconds(spec: Json) -> float:
    hook = (spec.get("lifecycle") or {}).get("preStop") or {}
    if "sleep" in hook:
        return float(hook["sleep"].get("seconds") or 0)
    words = " ".join((hook.get("exec") or {}).get("command") or ()).split()
    # The usual way to write it before there was a sleep action: sh -c "sleep 5".
    if "sleep" in words[:-1]:
        seconds = words[words.index("sleep") + 1]
        return float(seconds) if seconds.isdigit() else 0.0
    return 0.0
