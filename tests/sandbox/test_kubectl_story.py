"""The recorded story of a release that goes wrong, told again with the real kubectl.

One cluster, one namespace; the steps are those of the recordings, in their order, and what kubectl
says at each must be what it said to a real control plane.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.transcripts import RECORDED_SPACE, RECORDINGS, SPACE, Kubectl, Said, normalised
from veza_nb.sandbox.lifecycle import TrainingCluster

pytestmark = pytest.mark.kubectl
# Lines with "!" are what the recorder did in between without writing it down.

STORY = """
01-get-deploy-no-namespace
01-apply
01-rollout-status-first last
02-rollout-history-one-revision
02-undo-no-history
02-undo-no-history-deployment-missing
! annotate deployment/veza-backend-api kubernetes.io/change-cause='release v1.0.0'
03-set-image
! rollout status deployment/veza-backend-api
! annotate deployment/veza-backend-api kubernetes.io/change-cause='release v1.1.0' --overwrite
04-rollout-status-done
04-rollout-history
04-rollout-history-revision-1
04-rollout-history-revision-2
04-rollout-history-revision-99
05-undo-dry-run-client
05-undo-dry-run-server
! rollout undo deployment/veza-backend-api
05-rollout-status-after-undo last
06-rollout-history-after-undo
06-undo-again-toggles
! rollout status deployment/veza-backend-api
06-history-after-second-undo
06-undo-to-current-revision
06-undo-to-gone-revision-1
06-undo-to-revision-99
06-undo-to-revision-negative
06-undo-to-revision-3
06-rollout-status last
06-history-after-to-revision
! patch deployment/veza-backend-api --type=merge -p '{"spec":{"progressDeadlineSeconds":10}}'
07-set-image-bad
07-rollout-status-deadline
08-rollout-status-after-deadline
08-wait-available
08-describe-deployment before Events:
09-undo-failed
! rollout status deployment/veza-backend-api
09-rollout-status last
10-history
11-set-image-missing
11-undo
11-rollout-status last
12-set-image-slow
12-rollout-status-deadline
12-undo
12-rollout-status last
12-history
13-pause
13-undo-paused
13-pause-again
13-set-image-while-paused
13-history-paused
13-resume
13-rollout-status-resumed last
13-resume-again
14-restart
! rollout status deployment/veza-backend-api
14-history-after-restart
14-undo-after-restart
! rollout status deployment/veza-backend-api
14-history-after-undo
17-scale
17-scale-to-4
17-scale-0
! wait --for=jsonpath={.status.observedGeneration} deployment/veza-backend-api
17-rollout-status-0
21-can-i-yes
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[TrainingCluster]:
    """Four times as fast as life, so that deadlines pass soon."""
    with TrainingCluster.start(speed=4) as running:
        yield running


def test_kubectl_says_what_it_said_to_a_real_control_plane(
    cluster: TrainingCluster, tmp_path: Path
) -> None:
    kubectl = Kubectl(cluster.kubeconfig)
    manifest = tmp_path / "veza.yaml"
    text = (RECORDINGS / "manifests" / "veza.yaml").read_text()
    manifest.write_text(text.replace(RECORDED_SPACE, SPACE))
    different = []
    for line in STORY.strip().splitlines():
        if line.startswith("! "):
            kubectl.ok(line[2:])
            continue
        name, _, how = line.partition(" ")
        then, now = kubectl.again(name, manifest)
        if compared(then, how) != compared(now, how):
            different.append((name, compared(then, how), compared(now, how)))

    assert different == []


def compared(said: Said, how: str) -> Said:
    """The part of an answer that does not depend on the moment."""
    said = normalised(said)
    if how == "last":
        return said.last_line()
    if how.startswith("before "):
        return Said(said.code, said.out.partition(how.removeprefix("before "))[0], said.err)
    return said
