"""Every finding says what it means and who helps; an application may say it in its own words."""

import ast
import re
from pathlib import Path

import pytest

import veza_nb
from veza_nb.catalog import Hint, load_catalog
from veza_nb.evidence import Finding
from veza_nb.hints import built_in, hint_for, with_hints
from veza_nb.troubles import (
    CONFIG_REASONS,
    IMAGE_REASONS,
    PLACEMENT_REASONS,
    READINESS_REASONS,
)
from veza_nb.vocabulary import Severity
from veza_nb.weighing import BESIDE

PACKAGE = Path(veza_nb.__file__).parent
ROOMS = (
    *("symptoms", "podsymptoms", "logfindings", "monitorfindings"),
    *("usagefindings", "neighbourfindings"),
)
KINDS = {"ReplicaSet", "PodMetrics", "ConfigMap", "NewReplicaSetAvailable", "NotReady"}
SAID_BY_KUBERNETES = {
    # Container states, pod reasons and warning events, as Kubernetes 1.32 spells them.
    *("CrashLoopBackOff", "Error", "Completed", "OOMKilled", "ContainerCannotRun", "StartError"),
    *("ContainerStatusUnknown", "DeadlineExceeded", "Failed", "ImageInspectError"),
    *("RegistryUnavailable", "BackOff", "Unhealthy", "FailedScheduling", "FailedMount"),
    *("FailedAttachVolume", "FailedKillPod", "FailedPostStartHook", "FailedPreStopHook"),
    *("InspectFailed", "NetworkNotReady", "ProbeWarning", "ReplicaSetCreateError", "FailedSync"),
    *("TaintManagerEviction", "NodeNotSchedulable", "ProgressDeadlineExceeded"),
}
NOTEBOOK = re.compile(r"(10-rollback|20-multi-service|30-database|40-troubleshoot), [a-z ]+")


def finding(reason: str) -> Finding:
    return Finding(reason, Severity.WARNING, "", (), None)


def own_reasons() -> set[str]:
    """Every word in these rooms that looks like a reason."""
    trees = (ast.parse((PACKAGE / f"{room}.py").read_text()) for room in ROOMS)
    words = {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {word for word in words if re.fullmatch(r"[A-Z]\w*[a-z][A-Z]\w+", word)} - KINDS


ALL_REASONS = sorted(
    own_reasons()
    | SAID_BY_KUBERNETES
    | IMAGE_REASONS
    | PLACEMENT_REASONS
    | READINESS_REASONS
    | CONFIG_REASONS
    | BESIDE
)


def test_the_kit_s_own_reasons_are_found_in_its_source() -> None:
    assert own_reasons() >= {
        *("ProbeFailing", "MetricBad", "LogErrors", "ScaledToZero", "MemoryNearLimit"),
        *("CPUAtLimit", "DependencyDown", "NodeNotReady", "ContentChanged", "NotSeen"),
    }


@pytest.mark.parametrize("reason", ALL_REASONS)
def test_every_reason_that_a_finding_can_have_has_a_hint(reason: str) -> None:
    assert hint_for(reason, built_in()) is not None


@pytest.mark.parametrize("reason", sorted(built_in()))
def test_what_a_person_can_do_something_about_names_the_notebook_that_helps(reason: str) -> None:
    hint = built_in()[reason]

    assert bool(hint.see) == bool(hint.cure)
    assert not hint.see or NOTEBOOK.fullmatch(hint.see)


def test_what_an_init_container_suffers_means_the_same() -> None:
    [hinted] = with_hints([finding("Init:CrashLoopBackOff")], {})

    assert hinted.hint.startswith("It means: the program ends soon after its start")


def test_the_catalogue_s_own_words_win(tmp_path: Path) -> None:
    path = tmp_path / "veza.yaml"
    path.write_text(
        "extends: veza\nhints:\n  OOMKilled: {means: the waveform cache is full, cure: 'no',"
        " look: empty it with `veza cache clear`, see: '10-rollback, plan'}\n"
    )

    [own, other] = with_hints(
        [finding("OOMKilled"), finding("Unschedulable")], load_catalog(path).hints
    )

    assert own.hint == (
        "It means: the waveform cache is full. Going back does not cure it. "
        "Empty it with `veza cache clear`. See 10-rollback, plan."
    )
    assert other.hint.startswith("It means: no node has room")


def test_a_notebook_that_is_not_there_is_not_pointed_at() -> None:
    own = {"X": Hint(means="x", see="99-nowhere, at all")}

    assert with_hints([finding("X")], own)[0].hint == "It means: x."


def test_a_reason_that_nobody_knows_stays_as_it_is() -> None:
    assert with_hints([finding("NeverHeardOf")], {"X": Hint(means="x")})[0].hint == ""
