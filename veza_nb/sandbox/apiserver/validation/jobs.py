"""Jobs and CronJobs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from veza_nb.sandbox.apimachinery import selectors
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.validation.causes import (
    Raw,
    bad,
    not_negative,
    required,
    unsupported,
)
from veza_nb.sandbox.apiserver.validation.metadata import label_selector
from veza_nb.sandbox.apiserver.validation.pods import template

Json = dict[str, Any]
_POLICIES = ("OnFailure", "Never")
_MODES = ("NonIndexed", "Indexed")
_CONCURRENCY = ("Allow", "Forbid", "Replace")
_LONGEST_CRON_NAME = 52
_NUMBERS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
)
_IMMUTABLE = ("completions", "selector", "completionMode", "podFailurePolicy", "successPolicy")


def job(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a Job."""
    spec = document["spec"]
    yield from _job_spec(spec, "spec")
    chosen = spec.get("selector")
    if chosen is None:
        yield required("spec.selector")
        return
    problems = list(label_selector("spec.selector", chosen))
    yield from problems
    labels = spec["template"]["metadata"].get("labels")
    if not problems and not selectors.from_object(chosen).matches(labels):
        why = "`selector` does not match template `labels`"
        yield bad("spec.template.metadata.labels", labels or {}, why)


def _job_spec(spec: Json, where: str) -> Iterator[Cause]:
    for name in _NUMBERS:
        yield from not_negative(f"{where}.{name}", spec.get(name))
    mode = spec.get("completionMode")
    if mode not in (None, *_MODES):
        yield unsupported(f"{where}.completionMode", mode, _MODES)
    elif mode == "Indexed" and spec.get("completions") is None:
        why = "when completion mode is Indexed"
        yield required(f"{where}.completions", why)
    # The policy that is not allowed is said in its own words, not in those of all templates.
    yield from template(spec["template"], f"{where}.template", ("Always", *_POLICIES))
    if spec["template"]["spec"].get("restartPolicy") not in _POLICIES:
        shown = ", ".join(f'"{each}"' for each in _POLICIES)
        yield required(f"{where}.template.spec.restartPolicy", f"valid values: {shown}")


def job_change(old: Json, new: Json) -> Iterator[Cause]:
    """Yield what a change of a Job touches that may not change."""
    before, after = old["spec"], new["spec"]
    for name in _IMMUTABLE:
        if before.get(name) != after.get(name):
            shown = after.get(name)
            plain = not isinstance(shown, dict | list)
            yield bad(f"spec.{name}", shown if plain else Raw("{}"), "field is immutable")
    if before["template"] != after["template"] and not _may_change_template(old, new):
        yield bad("spec.template", Raw("core.PodTemplateSpec{}"), "field is immutable")


def _may_change_template(old: Json, new: Json) -> bool:
    """Return whether only scheduling directives of a Job change that never ran."""
    if not old["spec"].get("suspend") or (old.get("status") or {}).get("startTime"):
        return False
    return _unscheduled(old["spec"]["template"]) == _unscheduled(new["spec"]["template"])


def _unscheduled(template_: Json) -> Json:
    directives = ("nodeSelector", "tolerations", "affinity", "schedulingGates")
    spec = {name: value for name, value in template_["spec"].items() if name not in directives}
    return {"labels": None, "spec": spec}


def cron_job(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a CronJob."""
    spec, name = document["spec"], document["metadata"].get("name", "")
    if len(name) > _LONGEST_CRON_NAME:
        why = f"must be no more than {_LONGEST_CRON_NAME} characters"
        yield bad("metadata.name", name, why)
    schedule = spec.get("schedule", "")
    if not schedule:
        yield required("spec.schedule")
    else:
        wrong = schedule_problem(schedule)
        if wrong:
            yield bad("spec.schedule", schedule, wrong)
    zone = spec.get("timeZone")
    if zone is not None and not _is_zone(zone):
        yield bad("spec.timeZone", zone, f"unknown time zone {zone}")
    yield from not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    policy = spec.get("concurrencyPolicy")
    if not policy:
        yield required("spec.concurrencyPolicy")
    elif policy not in _CONCURRENCY:
        yield unsupported("spec.concurrencyPolicy", policy, _CONCURRENCY)
    for limit in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        yield from not_negative(f"spec.{limit}", spec.get(limit))
    yield from _job_spec(spec["jobTemplate"]["spec"], "spec.jobTemplate.spec")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return False
    return True


_FIELD = re.compile(r"(\*|\?|[\w]+(-[\w]+)?)(/\d+)?")
_DESCRIPTORS = frozenset(
    ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
)


def schedule_problem(schedule: str) -> str:
    """Return what is wrong with a schedule; empty: nothing."""
    if schedule.startswith("@"):
        known = schedule in _DESCRIPTORS or schedule.startswith("@every ")
        return "" if known else f"unrecognized descriptor: {schedule}"
    parts = schedule.split()
    if len(parts) != 5:
        return f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]"
    for part in parts:
        for piece in part.split(","):
            if not _FIELD.fullmatch(piece):
                parsing = f'strconv.Atoi: parsing "{piece}": invalid syntax'
                return f"failed to parse int from {piece}: {parsing}"
    return ""
