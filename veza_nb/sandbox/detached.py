"""A training cluster in a process of its own: started, asked after and ended by its directory.

Light on imports, because commands that only ask should answer at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HEALTHY = "healthy"
STATE, KUBECONFIG, CATALOG, LOG, LOCK = "state.json", "kubeconfig", "veza.yaml", "log", "lock"
MONITORING = "monitoring"
AUDIT = "audit.jsonl"
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_LOOK_SECONDS = 0.01
_LOG_TAIL = 2000


class ClusterError(Exception):
    """A training cluster could not be started or stopped; the message says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A training cluster that runs in a process of its own.

    Attributes:
        pid: of the process.
        started: when the process began, as the system counts it; tells a reused pid apart.
        url: of the API server.
        kubeconfig: path of the file.
        catalog: path of the overlay for the kit's catalogue.
        context: the administrator's context.
        namespace: where Veza runs.
        scenario: what is being played: a name, or the path of a file.
        ready: whether the scenario's state has been reached.
        endpoints: Service to its HTTP address.
        control_url: of its control port; empty when it has none.
        control_token: what opens that; nobody else is to see it.
        speed: cluster seconds per real second.
        stepped: whether its time stands still until it is told to go on.
        metrics: address of what the cluster measures, for a Prometheus.
        prometheus: its address, where one was asked for.
        alertmanager: its address, likewise.
    """

    pid: int
    started: str
    url: str
    kubeconfig: str
    catalog: str
    context: str
    namespace: str
    scenario: str
    ready: bool
    endpoints: Mapping[str, str]
    control_url: str = ""
    control_token: str = field(default="", repr=False)
    speed: float = 1.0
    stepped: bool = False
    metrics: str = ""
    prometheus: str = ""
    alertmanager: str = ""


def default_directory() -> Path:
    """`$XDG_STATE_HOME/veza-nb/sandbox`, or the same under `~/.local/state`."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "veza-nb" / "sandbox"


def up(
    *,
    scenario: str | None = None,
    directory: Path | None = None,
    wait: bool = True,
    speed: float = 1.0,
    version: str | None = None,
    inject: bool = True,
    stepped: bool = False,
    snapshot: Path | None = None,
    prometheus: bool = False,
    prometheus_port: int = 0,
) -> Running:
    """Start a cluster that goes on when this process ends; or return the one that runs already.

    Args:
        scenario: name or file; None is a healthy cluster, or whatever runs already.
        directory: for its files; None is the default one.
        wait: until the scenario's fault shows; False returns as soon as the server answers.
        speed: cluster seconds per real second.
        version: what the server says it is.
        inject: False leaves the fault out.
        stepped: its time stands still until it is told to go on.
        snapshot: file of a state to bring back instead of playing a scenario.
        prometheus: with a real Prometheus and Alertmanager that watch it.
        prometheus_port: where that Prometheus listens; 0 is a free port.

    Raises:
        ClusterError: another scenario is running there, or the cluster does not come up.
    """
    if scenario is not None and snapshot is not None:
        raise ClusterError("a snapshot brings its own scenario: give one of the two")
    place = directory or default_directory()
    _make_private(place)
    with _locked(place):
        wanted = _as_asked(scenario)
        present = status(place)
        if present is not None:
            if snapshot is not None:
                raise _occupied(present, "a snapshot is brought back into a new one")
            if (stepped and not present.stepped) or speed not in (1, present.speed):
                raise _occupied(present, "its time passes in another way")
            if prometheus and not present.prometheus:
                raise _occupied(present, "it was started without Prometheus")
            return _same(place, present, wanted, wait=wait)
        _clean(place)
        arguments = ["--directory", str(place), "--scenario", wanted or HEALTHY]
        arguments += ["--speed", str(speed)]
        arguments += ["--reported-version", version] if version else []
        arguments += [] if inject else ["--no-inject"]
        arguments += ["--stepped"] if stepped else []
        arguments += ["--prometheus", str(prometheus_port)] if prometheus else []
        arguments += ["--snapshot", str(snapshot.resolve())] if snapshot else []
        return _spawn(place, arguments, wait=wait)


def status(directory: Path | None = None) -> Running | None:
    """The cluster that runs with that state directory; None when none does."""
    try:
        text = ((directory or default_directory()) / STATE).read_text("utf-8")
        found = Running(**json.loads(text))
    except (OSError, ValueError, TypeError):
        return None
    return found if process_start(found.pid) == found.started else None


def down(directory: Path | None = None) -> bool:
    """End the cluster of that state directory and remove its files; False when none was running.

    The log and the audit log stay.

    Raises:
        ClusterError: the process does not end.
    """
    place = directory or default_directory()
    if not place.is_dir():
        return False
    with _locked(place):
        present = status(place)
        if present is not None:
            _end(present)
        _clean(place)
    return present is not None


def write_state(directory: Path, running: Running) -> None:
    """Note what runs; replaced in one step."""
    draft = directory / f".{STATE}"
    draft.write_text(json.dumps(asdict(running), indent=1), "utf-8")
    draft.chmod(0o600)
    draft.replace(directory / STATE)


def process_start(pid: int) -> str | None:
    """When a process began, as text; None when it is not running."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii")
    except (OSError, ValueError):
        return None if Path("/proc/self/stat").exists() else _start_by_ps(pid)
    # The name in parentheses may itself contain spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _start_by_ps(pid: int) -> str | None:
    """The same where there is no /proc."""
    import subprocess  # noqa: PLC0415 - needed only on such systems

    asked = ["ps", "-o", "lstart=", "-p", str(pid)]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def _as_asked(scenario: str | None) -> str | None:
    """A scenario's name, or the full path of its file."""
    is_file = scenario is not None and scenario.endswith((".yaml", ".yml"))
    return str(Path(scenario).resolve()) if scenario is not None and is_file else scenario


def _same(place: Path, present: Running, scenario: str | None, *, wait: bool) -> Running:
    """The cluster that runs already, if it is the one that is wanted."""
    if scenario is not None and scenario != present.scenario:
        raise _occupied(present, "it plays one at a time")
    deadline = time.monotonic() + _START_SECONDS
    while wait and not present.ready and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        now = status(place)
        if now is None:
            raise ClusterError("the training cluster that was running has just ended")
        present = now
    return present


def _occupied(present: Running, why: str) -> ClusterError:
    return ClusterError(
        f"a training cluster is already running with the scenario {present.scenario} "
        f"(process {present.pid}), and {why}; end it first with: veza-nb sandbox down"
    )


def _make_private(place: Path) -> None:
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.chmod(0o700)
    except OSError as error:
        raise ClusterError(f"cannot use the directory {place}: {error.strerror}") from error


def _clean(place: Path) -> None:
    """Remove what only a running cluster needs, tokens first of all."""
    for name in (KUBECONFIG, STATE, CATALOG):
        (place / name).unlink(missing_ok=True)
    if (place / MONITORING).is_dir():
        import shutil  # noqa: PLC0415 - needed only after Prometheus

        shutil.rmtree(place / MONITORING, ignore_errors=True)


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Let only one command at a time start or end the cluster of a directory."""
    with (place / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _spawn(place: Path, arguments: list[str], *, wait: bool) -> Running:
    """Start the process and wait for its word."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    command = [sys.executable, "-m", "veza_nb.sandbox", *arguments, "--ready-fd", str(writing)]
    log = str(place / LOG)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        # A session of its own: a Ctrl-C in this terminal is not meant for it.
        pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        for word in _words(pipe.fileno()):
            if "error" in word:
                _reap(pid)
                raise ClusterError(word["error"])
            if word["ready"] or not wait:
                return Running(**word)
    if process_start(pid) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _reap(pid)
    raise ClusterError(f"the training cluster did not come up; its log says:\n{_tail(place / LOG)}")


def _words(descriptor: int) -> Iterator[dict[str, Any]]:
    """What the new process says, line by line, until it says no more or takes too long."""
    deadline, pending = time.monotonic() + _START_SECONDS, b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            return
        piece = os.read(descriptor, 65536)
        if not piece:
            return
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _tail(log: Path) -> str:
    try:
        return log.read_text("utf-8", "replace")[-_LOG_TAIL:].strip() or "(nothing)"
    except OSError:
        return "(nothing)"


def _end(present: Running) -> None:
    """Ask the process to end, then insist."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(present.pid, kind)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            if process_start(present.pid) != present.started:
                _reap(present.pid)
                return
            time.sleep(_LOOK_SECONDS)
    raise ClusterError(f"the process {present.pid} of the training cluster does not end")


def _reap(pid: int) -> None:
    """Take leave of a process that this one may have started."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
