"""Scenarios run through the main notebook's steps, in this process: what the kit says, how it ends.

The steps are called as the notebook's cells call them, on a training cluster with real HTTP between
the two; only the notebook's kernel is left out, which takes longer than all the rest.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from veza_nb import Incident
from veza_nb.errors import VezaError
from veza_nb.sandbox import scenarios
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.sandbox.scenarios import Scenario
from veza_nb.sandbox.serving.credentials import context

_SOAK_SECONDS, _PATIENCE_SECONDS = 0.5, 8.0


@dataclass(frozen=True)
class Seen:
    """What came out.

    Attributes:
        decision: of the detection.
        reasons: of its findings.
        guards: level by name; of the plan, or of the refusal.
        ends: the record's outcome.
        image: that is live afterwards.
    """

    decision: str
    reasons: frozenset[str]
    guards: Mapping[str, str]
    ends: str
    image: str


def exercise(name: str, folder: Path) -> Seen:
    """Run a scenario from its start to its end.

    Args:
        name: of the scenario.
        folder: for the cluster's files and the record.
    """
    scenario = scenarios.load(name)
    with TrainingCluster.start(scenario=name, directory=folder / "cluster") as cluster:
        _settle(cluster.catalog, scenario)
        with suppress(VezaError):
            _walk(scenario, cluster, folder / "records")
        live = cluster.call(
            lambda admin: admin.get("deployments", cluster.namespace, scenario.service)
        )
    record = json.loads(next((folder / "records").glob("*/record.json")).read_text())
    image = live["spec"]["template"]["spec"]["containers"][0]["image"]
    return _seen(record, str(image))


def _walk(scenario: Scenario, cluster: TrainingCluster, records: Path) -> None:
    options: dict[str, Any] = dict(scenario.options)
    confirm = str(options.pop("confirm", scenario.service))
    max_steps, users_ok = options.pop("max_steps", 0), options.pop("users_ok", "")
    incident = Incident.open(
        scenario.service,
        context=context(scenario.user),
        kubeconfig=str(cluster.kubeconfig),
        catalog=str(cluster.catalog),
        records=str(records),
        operator="kim",
    )
    incident.detect()
    incident.history()
    plan = incident.plan(**options)
    incident.approve(plan, confirm=confirm)
    incident.undo(plan)
    incident.verify(users_ok=users_ok)
    incident.further(max_steps=max_steps, confirm=confirm)
    incident.close()


def _settle(catalog: Path, scenario: Scenario) -> None:
    """Whatever a scenario says counts; else a short soak shows as much, and a busy machine that
    takes its time to answer is nobody's fault.
    """
    said = yaml.safe_load(catalog.read_text())
    said["verify"] |= {"soak_seconds": _SOAK_SECONDS, "probe_seconds": _PATIENCE_SECONDS}
    said["verify"] |= scenario.catalog.get("verify", {})
    catalog.write_text(yaml.safe_dump(said))


def _seen(record: dict[str, Any], image: str) -> Seen:
    diagnosis = record["diagnosis"] or {}
    told = record["plan"] or record["refusal"] or {}
    return Seen(
        decision=diagnosis.get("decision", ""),
        reasons=frozenset(one["reason"] for one in diagnosis.get("findings", ())),
        guards={one["name"]: one["level"] for one in told.get("guards", ())},
        ends=record["outcome"],
        image=image,
    )


def differences(name: str, seen: Seen) -> list[str]:
    """What came out otherwise than the scenario's file says; nothing where all is so."""
    scenario = scenarios.load(name)
    kit, good = scenario.kit, scenario.good_image
    missing = [one for one in kit.reasons if not seen.reasons.intersection(one.split(" or "))]
    guards = {one: level for one, level in kit.guards.items() if seen.guards.get(one) != level}
    found = {
        f"decided {seen.decision!r} instead of {kit.decision!r}": seen.decision != kit.decision,
        f"no finding {', '.join(missing)}; there are: {', '.join(sorted(seen.reasons))}": missing,
        f"no guard {guards}; there are: {dict(seen.guards)}": guards,
        f"ended {seen.ends} instead of {kit.ends}": seen.ends != kit.ends,
        f"a false 'roll back' in {name}": good is None and seen.decision == "roll back",
        f"led to {seen.image} instead of {good}": seen.ends == "recovered"
        and good not in (None, seen.image),
    }
    return [what for what, wrong in found.items() if wrong]
