"""What a running cluster lets other processes do with its time and its state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veza_nb.sandbox.clock import Clock, micro_timestamp
from veza_nb.sandbox.saving.snapshots import Snapshot
from veza_nb.sandbox.steering.control import Control, ControlError

Json = dict[str, Any]


def offer_time(control: Control, clock: Clock) -> None:
    """Offer `clock.show` and `clock.step`, the latter with the argument `seconds`."""

    def show(_: Json) -> Json:
        return {
            "now": micro_timestamp(clock.now()),
            "speed": clock.speed,
            "stepped": clock.stepped,
        }

    async def step(arguments: Json) -> Json:
        seconds = arguments.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise ControlError("say how many seconds")
        await clock.step(seconds)
        return show({})

    control.on("clock.show", show)
    control.on("clock.step", step)


def offer_snapshots(control: Control, take: Callable[[], Snapshot]) -> None:
    """Offer `snapshot.save` with the argument `path`, an absolute one."""

    async def save(arguments: Json) -> Json:
        path = Path(str(arguments.get("path", "")))
        if not path.is_absolute():
            raise ControlError(f"a snapshot needs the full path of its file, not {str(path)!r}")
        snapshot = take()
        # Packing and writing takes a while, in which the cluster goes on.
        length = await asyncio.to_thread(snapshot.save, path)
        return {"path": str(path), "bytes": length, "objects": snapshot.size}

    control.on("snapshot.save", save)
