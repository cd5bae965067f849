"""Jupyter's kernel manager, made to adopt a kernel that was started before it."""

import os
import time
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from veza_nb.errors import VezaError
from veza_nb.kernel.early import EarlyKernel


class AdoptingManager(AsyncKernelManager):
    """Manages a kernel that somebody else started and will end.

    Sockets are files in the kernel's private folder: faster than TCP and open to nobody else;
    each kernel needs a folder of its own, or parallel ones would meet.
    """

    adopted: EarlyKernel

    def adopt(self, kernel: EarlyKernel) -> None:
        """Use this kernel instead of starting one."""
        self.kernel_name = "python3"
        self.client_factory = ImpatientClient
        self.transport = "ipc"
        self.ip = str(kernel.folder / "socket")
        self.connection_file = str(kernel.connection_file)
        self.adopted = kernel

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:  # noqa: ARG002
        # By now the connection file is written, which is what the kernel waits for.
        provisioner: Any = self.provisioner
        provisioner.process = self.adopted.process
        provisioner.pid = self.adopted.process.pid
        provisioner.pgid = os.getpgid(provisioner.pid)
        self._reconcile_connection_info(provisioner.connection_info)


class ImpatientClient(AsyncKernelClient):
    """Asks at short intervals whether the kernel is ready.

    Jupyter's own waits 0.2 s for a message that was published before it listened, each time.
    """

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until both channels work.

        Raises:
            VezaError: the kernel did not answer in time, or has ended.
        """
        end = time.monotonic() + (timeout if timeout is not None else 60.0)
        while time.monotonic() < end:
            self.kernel_info()
            if await _answers(self.shell_channel, 1.0) and await _answers(self.iopub_channel, 0.02):
                await _drain(self.iopub_channel)
                return
            if not await self.is_alive():
                break
        manager: Any = self.parent
        raise VezaError(
            manager.adopted.obituary() or "The notebook's kernel did not become ready in time.",
            next_step="Try again; `veza-nb doctor` says whether something is missing here.",
        )


async def _answers(channel: Any, seconds: float) -> bool:
    try:
        await channel.get_msg(timeout=seconds)
    except Empty:
        return False
    return True


async def _drain(channel: Any) -> None:
    while await _answers(channel, 0.02):
        pass
