"""What containers take, against what they may take: a warning, never a verdict, never a guess."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    HEALTHY,
    NOW,
    Json,
    ago,
    deployment,
    pod,
    replicaset,
    template,
    workload,
)
from veza_nb.evidence import Finding
from veza_nb.findings import decide, find
from veza_nb.neighbourhood import Neighbourhood, Usage
from veza_nb.objects import Workload
from veza_nb.quotas import amount
from veza_nb.revisions import read_history
from veza_nb.rollout import read_rollout
from veza_nb.vocabulary import Decision, Severity

LIMITS = {"cpu": "500m", "memory": "512Mi"}
MEBI = Decimal(2**20)


def limited(name: str, of: Json, limits: Json | None = None) -> Json:
    """A pod that serves, with limits."""
    made = pod(name, of)
    resources = {"limits": LIMITS if limits is None else limits}
    made["spec"] = {"containers": [{"name": "api", "resources": resources}]}
    return made


def seen(limits: Json | None = None, *, old: bool = False) -> Workload:
    """One pod `new` of the live template, and `old` of the older one where that is wanted."""
    first = replicaset(1, template("app:v1"), created=ago(days=3), pods=1)
    live = replicaset(2, template("app:v2"), created=ago(minutes=9), pods=1)
    pods = [limited("new", live, limits), *([limited("old", first, limits)] if old else [])]
    selector = {"matchLabels": {"app": "api"}}
    return workload(deployment(replicas=1, selector=selector), [first, live], pods)


def use(pod_name: str, *, cpu: str = "10m", memory: str = "100Mi", at: Any = NOW) -> Usage:
    return Usage(pod_name, "api", amount(cpu), amount(memory), at)


def found(of: Workload, *usage: Usage) -> dict[str, Finding]:
    findings = find(of, read_rollout(of), HEALTHY, beside=Neighbourhood(usage=usage), now=NOW)
    return {one.reason: one for one in findings if one.reason in ("MemoryNearLimit", "CPUAtLimit")}


def test_memory_close_to_its_limit_is_told_with_numbers_and_the_command() -> None:
    finding = found(seen(), use("new", memory="497Mi"))["MemoryNearLimit"]
    [evidence] = finding.evidence

    assert finding.severity is Severity.WARNING
    assert finding.summary == (
        "1 pod (new) close to the memory limit: beyond it a container is killed; "
        "api takes 497Mi of 512Mi (97 %)."
    )
    assert (evidence.kind, evidence.name, evidence.at) == ("PodMetrics", "new", NOW)
    assert evidence.command == "kubectl -n veza-production top pods -l app=api --containers"


def test_cpu_at_its_limit_is_told() -> None:
    finding = found(seen(), use("new", cpu="499876543n"))["CPUAtLimit"]

    assert "api takes 500m of 500m (100 %)" in finding.summary


@pytest.mark.parametrize(
    ("usage", "reasons"),
    [
        (use("new", cpu="424m", memory="435Mi"), set()),
        (use("new", cpu="425m", memory="436Mi"), {"MemoryNearLimit", "CPUAtLimit"}),
        (use("new", cpu="NaN", memory=""), set()),
        (use("new", cpu="inf", memory="x"), set()),
        (use("somebody-else", memory="512Mi"), set()),
        (Usage("new", "sidecar", Decimal(9), MEBI * 900, NOW), set()),
        (use("new", memory="512Mi", at=None), {"MemoryNearLimit"}),
    ],
)
def test_seventeen_twentieths_are_close_and_what_is_no_number_is_not_known(
    usage: Usage, reasons: set[str]
) -> None:
    assert set(found(seen(), usage)) == reasons


def test_a_measurement_of_long_ago_tells_nothing() -> None:
    old = NOW.replace(hour=NOW.hour - 1)

    assert found(seen(), use("new", memory="512Mi", at=old)) == {}


@pytest.mark.parametrize("limits", [{}, {"memory": "0"}, {"memory": "NaN"}, {"memory": "-5Mi"}])
def test_without_a_limit_nothing_is_close_to_it(limits: Json) -> None:
    assert found(seen(limits), use("new", memory="900Gi")) == {}


def test_whose_doing_it_is_older_pods_tell() -> None:
    full, empty = use("new", memory="510Mi"), use("old", memory="100Mi")
    both = (full, use("old", memory="511Mi"))

    assert found(seen(old=True), full, empty)["MemoryNearLimit"].from_release is True
    assert found(seen(old=True), *both)["MemoryNearLimit"].from_release is False
    assert found(seen(), full)["MemoryNearLimit"].from_release is None


def test_it_warns_and_does_not_decide() -> None:
    of = seen()
    beside = Neighbourhood(usage=(use("new", memory="512Mi", cpu="500m"),))
    rollout = read_rollout(of)
    findings = find(of, rollout, HEALTHY, beside=beside, now=NOW)
    diagnosis = decide(findings, rollout, read_history(of, now=NOW), HEALTHY)

    assert diagnosis.decision is Decision.DO_NOT
    assert any("close to the memory limit" in one for one in diagnosis.argument)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("512Mi", Decimal(536870912)),
        ("250m", Decimal("0.25")),
        ("1e3", Decimal(1000)),
        ("12E", Decimal(12 * 10**18)),
        ("NaN", None),
        ("-Infinity", None),
        ("1e999999999", None),
        ("9e999999Ei", None),
        ("", None),
        ("Mi", None),
    ],
)
def test_a_quantity_is_a_number_or_none(text: str, number: Decimal | None) -> None:
    assert amount(text) == number


@given(st.text(alphabet="0123456789.eE+-nmkMGTPi NaInfity", max_size=14))
def test_no_text_breaks_it(text: str) -> None:
    value = amount(text)

    assert value is None or value.is_finite()
    assert set(found(seen({"memory": text, "cpu": text}), use("new", cpu=text, memory=text))) <= {
        "MemoryNearLimit",
        "CPUAtLimit",
    }
