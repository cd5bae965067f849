"""A training cluster in the foreground: `python -m veza_nb.sandbox`, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from veza_nb.sandbox import detached
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.detached import ClusterError, Running
from veza_nb.sandbox.lifecycle import Cluster, Options, serve
from veza_nb.sandbox.plane import VERSION
from veza_nb.sandbox.saving.snapshots import Snapshot
from veza_nb.sandbox.scenarios import ScenarioError
from veza_nb.sandbox.seeding import FaultNotSeenError
from veza_nb.sandbox.serving import credentials


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a cluster until a signal ends it; returns the exit code."""
    _collect_seldom()
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    directory = given.directory or detached.default_directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        options = Options(
            directory,
            given.scenario,
            given.speed,
            given.reported_version,
            given.inject,
            controlled=True,
            stepped=given.stepped,
            prometheus=given.prometheus,
        )
        options = options.restored(Snapshot.load(given.snapshot) if given.snapshot else None)
        clock = options.clock()
        with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
            runner.run(_run(clock, options, given.ready_fd))
    except (ScenarioError, FaultNotSeenError, ClusterError, OSError, ValueError) as error:
        _say(given.ready_fd, {"error": str(error)})
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _collect_seldom() -> None:
    """Look for cycles only now and then: what a cluster keeps is trees, and there are many."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _run(clock: Clock, options: Options, ready_fd: int | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for kind in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(kind, stopping.set)

    def tell(cluster: Cluster, *, ready: bool) -> None:
        running = describe(cluster, ready=ready)
        detached.write_state(options.directory, running)
        _say(ready_fd, asdict(running))
        if ready and ready_fd is None:
            print(
                f"scenario {running.scenario}\nexport KUBECONFIG={running.kubeconfig}", flush=True
            )

    try:
        await serve(
            clock,
            options,
            lambda cluster: tell(cluster, ready=True),
            stopping,
            lambda cluster: tell(cluster, ready=False),
        )
    finally:
        # Tokens must not outlive the cluster.
        for name in (detached.KUBECONFIG, detached.STATE):
            (options.directory / name).unlink(missing_ok=True)


def describe(cluster: Cluster, *, ready: bool) -> Running:
    """What `status` tells about this process's cluster."""
    directory = cluster.options.directory
    return Running(
        pid=os.getpid(),
        started=detached.process_start(os.getpid()) or "",
        url=cluster.url,
        kubeconfig=str(directory / detached.KUBECONFIG),
        catalog=str(directory / detached.CATALOG),
        context=credentials.CLUSTER,
        namespace=credentials.NAMESPACE,
        scenario=cluster.options.scenario,
        ready=ready,
        endpoints=dict(cluster.endpoints),
        control_url=cluster.port.url,
        control_token=cluster.port.token,
        speed=cluster.options.speed,
        stepped=cluster.options.stepped,
        metrics=cluster.metrics.url,
        prometheus=cluster.prometheus,
        alertmanager=cluster.alertmanager,
    )


def _say(descriptor: int | None, word: dict[str, Any]) -> None:
    """Tell the process that started this one, if it still listens."""
    if descriptor is None:
        return
    try:
        os.write(descriptor, json.dumps(word).encode() + b"\n")
        if word.get("ready") or "error" in word:
            os.close(descriptor)
    except OSError:
        # It asked only whether the server answers, and went on.
        logging.getLogger(__name__).debug("nobody listens")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m veza_nb.sandbox", description=__doc__)
    parser.add_argument("--directory", type=Path, help="for the cluster's files")
    parser.add_argument(
        "--scenario", default=detached.HEALTHY, help="a name (`veza-nb drill --list`), or a file"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="cluster seconds per second")
    parser.add_argument("--stepped", action="store_true", help="stand still until told to go on")
    parser.add_argument("--snapshot", type=Path, help="bring this state back; it has a scenario")
    parser.add_argument(
        "--prometheus",
        type=int,
        metavar="PORT",
        help="with a real Prometheus on that port (0: a free one) and its Alertmanager",
    )
    parser.add_argument("--reported-version", default=VERSION, help="of the server")
    parser.add_argument(
        "--no-inject", dest="inject", action="store_false", help="leave the fault out"
    )
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
