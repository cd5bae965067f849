"""Error lines are found whatever their form, and told apart by what they say and who says it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOW, ago, deployment, pod, replicaset, template, workload
from veza_nb.checklist import conclude
from veza_nb.checks import Check
from veza_nb.logchecks import log_check
from veza_nb.logfindings import log_findings
from veza_nb.loglines import LONGEST, PodLog, error_groups, is_error, kind_of, release_errors
from veza_nb.rollout import read_rollout
from veza_nb.scene import Scene
from veza_nb.vocabulary import Severity, Verdict


@pytest.mark.parametrize(
    "line",
    [
        'level=error msg="request failed" status=500',
        '{"level":"error","msg":"no"}',
        '{"severity": "CRITICAL"}',
        "2026-01-02 03:04:05 ERROR main: no",
        "panic: runtime error: index out of range",
        "fatal error: concurrent map writes",
        "Traceback (most recent call last):",
        'Exception in thread "main" java.lang.NullPointerException',
        "E0102 03:04:05.678901       1 main.go:7] no",
        "lvl=crit msg=no",
    ],
)
def test_an_error_line_is_known_by_its_level_or_its_form(line: str) -> None:
    assert is_error(line)


@pytest.mark.parametrize(
    "line",
    [
        "", 'level=info msg="no error"', '{"level":"info","errors":0}', "GET /error 200",
        "I0102 03:04:05.678901       1 main.go:7] ok", "terror", "errors=0",
        "a fatal mistake was avoided",
    ],
)  # fmt: skip
def test_lines_that_only_mention_errors_are_none(line: str) -> None:
    assert not is_error(line)


def test_what_is_different_each_time_is_taken_out() -> None:
    one = "ERROR 10.244.1.7:5432 took 35ms id=3f2504e0-4f89-11d3-9a0c-0305e82c3301 at 0xc0001b2000"
    two = "ERROR 10.244.2.9:5432 took 7ms id=9b2504e0-4f89-11d3-9a0c-0305e82c33ff at 0xc000ffffff"

    assert kind_of(one) == kind_of(two) == "ERROR <address> took #ms id=<id> at <hex>"


def log(text: str, *, name: str = "a", new: bool = True, previous: bool = False) -> PodLog:
    return PodLog(name, "api", new, previous, text)


STAMPED = """\
2026-11-24T11:59:01.123456789Z level=info msg="starting"
2026-11-24T11:59:02.000000001Z level=error msg="no table" run=1
2026-11-24T11:59:04Z level=error msg="no table" run=2
"""


def test_lines_that_say_the_same_are_one_group_with_times_and_pods() -> None:
    [group] = error_groups([log(STAMPED), log(STAMPED, name="b")])

    assert (group.count, group.pods) == (4, ("a", "b"))
    assert group.first == datetime(2026, 11, 24, 11, 59, 2, tzinfo=UTC)
    assert group.last == datetime(2026, 11, 24, 11, 59, 4, tzinfo=UTC)
    assert group.example == 'level=error msg="no table" run=2'


def test_what_only_new_pods_print_comes_first_however_rare() -> None:
    noise = "level=error msg=noise\n"
    logs = [log(noise + "level=error msg=news\n"), log(noise * 9, name="old", new=False)]

    assert ["level=error msg=news", "level=error msg=noise"] == [
        one.kind for one in error_groups(logs)
    ]


@given(st.text(), st.binary())
def test_no_log_breaks_it(text: str, binary: bytes) -> None:
    groups = error_groups([log(text), log(binary.decode("utf-8", "replace"))])

    assert all(one.count > 0 for one in groups)


def test_an_endless_line_is_looked_at_only_at_its_beginning() -> None:
    endless = "level=error " + "x" * 1_000_000

    [group] = error_groups([log(endless + "\n" + "y" * LONGEST + " ERROR")])

    assert (group.count, len(group.example)) == (1, 240)


# As findings.


def scene() -> Scene:
    one = replicaset(1, template("app:v1"), created=ago(days=3), pods=1)
    two = replicaset(2, template("app:v2"), created=ago(minutes=5), pods=1)
    seen = workload(deployment(), [one, two], [pod("old", one), pod("new", two)])
    return Scene.of(seen, read_rollout(seen), NOW + timedelta(seconds=1))


def test_errors_that_only_new_pods_print_are_the_release_s_doing() -> None:
    logs = [log("panic: no setting\n", name="new", previous=True), log("", name="old", new=False)]

    [found] = log_findings(scene(), logs)

    assert (found.reason, found.severity) == ("LogErrors", Severity.WARNING)
    assert found.from_release is True
    assert found.summary == (
        "1 error line that only pods of the new template print: panic: no setting"
    )
    [evidence] = found.evidence
    assert evidence.command == "kubectl -n veza-production logs new -c api --previous"


def test_without_older_logs_to_compare_with_nobody_is_blamed() -> None:
    [found] = log_findings(scene(), [log("panic: no\n", name="new")])

    assert found.from_release is None
    assert found.summary == "1 error line: panic: no"


def test_what_older_pods_print_too_is_only_worth_knowing() -> None:
    logs = [log("ERROR 1\n", name="new"), log("ERROR 2\n", name="old", new=False)]

    [found] = log_findings(scene(), logs)

    assert (found.reason, found.severity, found.from_release) == (
        "LogErrorsBefore", Severity.INFO, False,
    )  # fmt: skip


# As a check.


def test_an_error_of_the_bad_release_in_the_soak_is_a_failure() -> None:
    logs = [log("ERROR 7 no table\nERROR noise\n")]

    check = log_check(logs, ["ERROR # no table"])

    assert Verdict.FAIL is check.verdict
    assert check.evidence[0] == "1 line in 1 pod: ERROR 7 no table"


def test_other_errors_are_shown_and_do_not_fail() -> None:
    check = log_check([log("ERROR noise\n")], ["ERROR # no table"])

    assert (Verdict.PASS, ("1 line in 1 pod: ERROR noise",)) == (check.verdict, check.evidence)


def test_without_logs_a_person_looks_and_the_verdict_stands() -> None:
    good = Check("x", "x", Verdict.PASS, ())

    gap = log_check([], ["ERROR # no table"])

    assert Verdict.INCONCLUSIVE is gap.verdict
    assert Verdict.PASS is conclude([good, gap]).verdict
    assert Verdict.INCONCLUSIVE is conclude([gap]).verdict


def test_the_release_s_errors_are_those_that_older_pods_do_not_print() -> None:
    new, old = log("ERROR 1 a\nERROR b\n"), log("ERROR b\n", name="old", new=False)

    assert release_errors([new, old]) == ("ERROR # a",)
    assert release_errors([new]) == ()
