"""Do the pods that serve now print what the bad release printed?"""

from collections.abc import Collection, Sequence

from veza_nb.checks import Check
from veza_nb.loglines import ErrorGroup, PodLog, error_groups
from veza_nb.vocabulary import Item, Verdict
from veza_nb.words import count

_SHOWN = 3


def log_check(logs: Sequence[PodLog], release_errors: Collection[str]) -> Check:
    """The error lines of the soak.

    Lines of a kind that only the bad release printed are a failure: it is not gone, or it was
    not the cause. Others are shown: a service may complain for years and serve well. Where no
    log could be read, a person has to look, and the verdict does not hang on it.

    Args:
        logs: of pods of the live template, since the soak began.
        release_errors: kinds of lines that only the bad release's pods printed.
    """
    title = "Its logs show no error of the bad release"
    if not logs:
        unread = ("no log could be read",)
        return Check("logs", title, Verdict.INCONCLUSIVE, unread, advisory=True, item=Item.LOGS)
    groups = error_groups(logs)
    again = [one for one in groups if one.kind in release_errors]
    rest = [one for one in groups if one.kind not in release_errors]
    lines = [_line(one) for one in (*again, *rest)[:_SHOWN]] or [_quiet(logs)]
    verdict = Verdict.FAIL if again else Verdict.PASS
    return Check("logs", title, verdict, tuple(lines), item=Item.LOGS)


def _line(group: ErrorGroup) -> str:
    return f"{count(group.count, 'line')} in {count(len(group.pods), 'pod')}: {group.example}"


def _quiet(logs: Sequence[PodLog]) -> str:
    return f"no error line in the logs of {count(len({log.pod for log in logs}), 'pod')}"
