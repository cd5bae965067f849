"""Every finding says what it means, and an application may say it in its own words."""

import re
from pathlib import Path

import veza_nb
from veza_nb.catalog import Hint, load_catalog
from veza_nb.evidence import Finding
from veza_nb.hints import built_in, with_hints
from veza_nb.troubles import IMAGE_REASONS, PLACEMENT_REASONS
from veza_nb.vocabulary import Severity

ROOMS = ("symptoms", "podsymptoms", "logfindings", "monitorfindings")
SAID_BY_KUBERNETES = {"ErrImageNeverPull"}


def finding(reason: str) -> Finding:
    return Finding(reason, Severity.WARNING, "", (), None)


def test_every_reason_that_the_kit_gives_itself_has_a_hint() -> None:
    folder = Path(veza_nb.__file__).parent
    text = "".join((folder / f"{room}.py").read_text() for room in ROOMS)
    own = set(re.findall(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)+)"', text)) - {"ReplicaSet"}

    assert own >= {"ProbeFailing", "MetricBad", "LogErrors", "ScaledToZero"}
    assert (own | IMAGE_REASONS | PLACEMENT_REASONS) - SAID_BY_KUBERNETES - set(built_in()) == set()


def test_the_catalogue_s_own_words_win(tmp_path: Path) -> None:
    path = tmp_path / "veza.yaml"
    path.write_text(
        "extends: veza\nhints:\n  OOMKilled: {means: the waveform cache is full, cure: 'no',"
        " look: empty it with `veza cache clear`}\n"
    )

    [own, other] = with_hints(
        [finding("OOMKilled"), finding("Unschedulable")], load_catalog(path).hints
    )

    assert own.hint == (
        "It means: the waveform cache is full. Going back does not cure it. "
        "Empty it with `veza cache clear`."
    )
    assert other.hint.startswith("It means: no node has room")


def test_a_reason_that_nobody_knows_stays_as_it_is() -> None:
    assert with_hints([finding("NeverHeardOf")], {"X": Hint(means="x")})[0].hint == ""
