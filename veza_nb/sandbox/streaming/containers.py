"""Programs in containers, and containers themselves, with what is typed and what they print."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.status import ApiError, Cause
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.logs import LogQuery, LogStore
from veza_nb.sandbox.apiserver.messages import Session
from veza_nb.sandbox.nodes import commands, environment, programs
from veza_nb.sandbox.nodes.commands import SCHEMA, NotCarriedError
from veza_nb.sandbox.nodes.environment import ConfigError
from veza_nb.sandbox.nodes.host import container_spec
from veza_nb.sandbox.nodes.kubelet import Kubelet

Json = dict[str, Any]
Write = Callable[[str, bytes], object]
"""Told "stdout" or "stderr", and what to write there."""
SUCCESS: Json = {"metadata": {}, "status": "Success"}


class Containers:
    """Runs what is asked for in the containers of a cluster.

    Args:
        kubelet: Has the containers.
        client: Reads the Secrets and ConfigMaps that they refer to.
        logs: Where they print.
    """

    def __init__(self, kubelet: Kubelet, client: Client, logs: LogStore) -> None:
        self._kubelet = kubelet
        self._client = client
        self._logs = logs

    async def execute(
        self, session: Session, stdin: AsyncIterator[bytes] | None, write: Write
    ) -> Json:
        """Run a command in a container; return the Status of how it ended.

        Only the program that the container's image carries is there; nothing else ever runs.
        """
        spec = container_spec(session.pod, session.container)
        carried = self._kubelet.releases.carried_by(spec["image"])
        if carried is None:
            return _missing(session.command[0])
        try:
            env = environment.of(session.pod, spec, self._read)
            rest = commands.arguments(carried, session.command, (), env)
        except (ConfigError, NotCarriedError):
            rest = None
        if rest is None:
            return _missing(session.command[0])
        env.pop(SCHEMA, None)
        if carried.schema is not None:
            env[SCHEMA] = str(carried.schema)
        argv = [carried.program, *rest]
        code = await programs.run(argv, env, stdin=stdin, on_output=write)
        return SUCCESS if code == 0 else _ended(code)

    async def attach(
        self,
        session: Session,
        stdin: AsyncIterator[bytes] | None,
        write: Callable[[bytes], Awaitable[None]],
    ) -> Json:
        """Pass on what a container prints until it ends; return a Status.

        One that was started to be typed to is shown from the beginning: whoever did it is the one
        that attaches, and came as fast as could be.
        """
        uid, name = session.pod["metadata"]["uid"], session.container
        typed_to = container_spec(session.pod, name).get("stdin", False)
        query = LogQuery(tail=None if typed_to else 0)
        typing = None if stdin is None else asyncio.ensure_future(self._type(uid, name, stdin))
        try:
            async for line in self._logs.follow(uid, name, session.run, query):
                await write(line)
        finally:
            if typing is not None:
                typing.cancel()
                await asyncio.gather(typing, return_exceptions=True)
        return SUCCESS

    async def _type(self, uid: str, container: str, stdin: AsyncIterator[bytes]) -> None:
        async for data in stdin:
            process = self._kubelet.process(uid, container)
            if process is not None and data:
                process.write(data)
        process = self._kubelet.process(uid, container)
        if process is not None:
            process.write(b"")

    def _read(self, resource: str, namespace: str, name: str) -> Json | None:
        try:
            return self._client.get(resource, namespace, name)
        except ApiError:
            return None


def _ended(code: int) -> Json:
    """Return the Status of a program that ended with another exit code than 0."""
    message = f"command terminated with non-zero exit code: exit status {code}"
    details = {"causes": [Cause("ExitCode", str(code), "").document()]}
    return {
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "NonZeroExitCode",
        "details": details,
    }


def _missing(program: str) -> Json:
    """Return the Status of a program that is not in the image, in a container runtime's words."""
    why = f'exec: "{program}": executable file not found in $PATH: unknown'
    if "/" in program:
        why = f'exec: "{program}": stat {program}: no such file or directory: unknown'
    return status.internal(
        "error executing command in container: failed to exec in container: failed to start exec "
        f'"{secrets.token_hex(32)}": OCI runtime exec failed: exec failed: unable to start '
        f"container process: {why}"
    ).document()
