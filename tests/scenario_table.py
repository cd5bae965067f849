"""The page about all scenarios: what is wrong, what is found, how a drill ends.

It is worked out from the scenarios' files, which the tests hold to what happens:
`python -m tests.scenario_table` writes it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from veza_nb.sandbox import scenarios
from veza_nb.sandbox.scenarios import Scenario
from veza_nb.vocabulary import Outcome

DOCUMENT = Path(__file__).parents[1] / "docs" / "scenarios.md"

_HEAD = """\
# Scenarios: everything that can be practised

`make drill SCENARIO=NAME` (or `veza-nb drill NAME`) plays a scenario on a training cluster of its
own and runs the main notebook against it; `veza-nb drill --list` names them all, and
`veza-nb sandbox up --scenario NAME` only starts the cluster, to play in by hand.

There are {all} of them. In {innocent} an undo would not help: **in none of these does the detection
say "roll back"**. The tests play every one and compare decision, findings, guards, where the
rollback led and how the run ended with this page. More may be found than is listed here: these are
the findings and guards that must be there.

This page is written by `python -m tests.scenario_table`; a test keeps it so. A scenario is a YAML
file in `veza_nb/sandbox/data/scenarios`, and may be a file of your own
(`veza-nb drill ./mine.yaml`).

Numbers and alerts of a real Prometheus come with `veza-nb sandbox up --scenario errors-5xx
--prometheus`; `tests/e2e/test_monitored_rollback.py` plays that.
"""
_HELPS = """
## Where a rollback helps

| scenario | what is wrong | back to | findings | guards | decision | the run ends |
|---|---|---|---|---|---|---|
"""
_DOES_NOT = """
## Where it does not

| scenario | what is wrong | findings | guards | decision | the run ends |
|---|---|---|---|---|---|
"""
_FINDINGS = """
## By finding

| finding | scenarios |
|---|---|
"""
_GUARDS = """
## By guard

| guard | scenarios |
|---|---|
"""
_STORIES = """
## What happened

"""
_YOUR_OWN = """
## A scenario of your own

```yaml
name: mine
title: The cache is gone
story: Somebody deleted the cache's Secret, and pods that start anew cannot start.
service: veza-backend-api
history:                # ages count back from now; other services have their usual history
- {image: "registry.veza.example/veza-backend-api:v2.3.0", age: 5d20h, cause: "release v2.3.0"}
- image: "registry.veza.example/veza-backend-api:v2.3.1"
  age: 35m
  cause: "release v2.3.1"
  template: {metadata: {labels: {tier: api}}}   # what else changes, as a strategic merge patch
deeds:                  # create, apply, patch, delete, push, turn, node; `after: 5s` comes later
- {age: 5m, user: kim, delete: {kind: Secret, name: veza-backend-secrets}}
- {age: 4m, delete: {kind: Pod, labels: app=veza-backend-api, count: 2}}
catalog: {verify: {soak_seconds: 5}}            # laid over the catalogue
options: {}             # parameters of the main notebook
expect: no rollback     # or: rollback to IMAGE
kit: {decision: do not roll back, ends: refused}
```

`fault` is a release that comes last, at the start or with `veza-nb sandbox inject`. How images
behave stands in `veza_nb/sandbox/data/releases.yaml`: by name, or by what the tag contains (`bad`,
`oom`, `flaky`, …). `push` gives an image another behaviour for containers made from then on; `turn`
lets all programs of a service behave otherwise at once, because what they depend on is down. A
mistake in the file is told with its line.
"""


def document() -> str:
    """The page of the documentation."""
    every = [scenarios.load(name) for name in scenarios.names()]
    innocent = sum(one.good_image is None for one in every)
    head = _HEAD.format(all=len(every), innocent=innocent)
    reasons = {one.name: " or ".join(one.kit.reasons).split(" or ") for one in every}
    guards = {one.name: one.kit.guards for one in every}
    return "".join(
        [
            head,
            _HELPS,
            *(_row(one) for one in every if one.good_image is not None),
            _DOES_NOT,
            *(_row(one) for one in every if one.good_image is None),
            _FINDINGS,
            *_index(reasons),
            _GUARDS,
            *_index(guards),
            _STORIES,
            "\n".join(f"- **{one.name}**: {' '.join(one.story.split())}" for one in every),
            "\n",
            _YOUR_OWN,
        ]
    )


def _row(one: Scenario) -> str:
    kit = one.kit
    guards = [f"{name} ({level})" for name, level in kit.guards.items()]
    ends = f"{kit.ends}, exit code {int(Outcome(kit.ends).exit_code)}"
    cells = [
        f"`{one.name}`",
        one.title,
        *([one.good_image.rpartition(":")[2]] if one.good_image else []),
        ", ".join(kit.reasons),
        ", ".join(guards),
        kit.decision,
        f"{ends}. {kit.why}" if kit.why else ends,
    ]
    return f"| {' | '.join(cells)} |\n"


def _index(named: Mapping[str, Iterable[str]]) -> list[str]:
    """Rows that tell, the other way round, in which scenarios something is."""
    found: dict[str, list[str]] = defaultdict(list)
    for scenario, names in named.items():
        for name in filter(None, names):
            found[name].append(f"`{scenario}`")
    return [f"| {name} | {', '.join(found[name])} |\n" for name in sorted(found)]


if __name__ == "__main__":
    DOCUMENT.write_text(document(), "utf-8")
