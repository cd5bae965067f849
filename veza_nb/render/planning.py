"""What would be done, what speaks against it, and what it will not do."""

from collections.abc import Mapping, Sequence

from veza_nb.guards import Guard
from veza_nb.plans import Plan, Refusal
from veza_nb.podtemplates import Change
from veza_nb.render.diffs import change_lines, change_list, masked, yaml_details
from veza_nb.render.lines import bullets, fact_lines, wrapped
from veza_nb.render.marks import Mark, mark_of
from veza_nb.render.page import (
    Html,
    Rendered,
    card,
    command,
    details,
    facts,
    heading,
    html,
    marked,
    points,
    prose,
    tag,
)
from veza_nb.vocabulary import Level
from veza_nb.words import count
from veza_nb.yamldiff import YamlDiff, yaml_diff

_NOTHING = "(nothing)"


def plan(result: Plan) -> Rendered:
    """The plan: where to, what changes, what stands in its way, what it does not bring back."""
    mark, title = _headline(result)
    lead = " ".join(result.reasons)
    changes = [masked(change) for change in result.changes]
    replicas = count(result.replicas, "replica")
    about = {
        str(result.kind): f"{result.workload} in {result.namespace}, {replicas}",
        "Plan": result.id,
        **_image_facts(result.images_before, result.images_after),
        **({"Paused first": ", ".join(_paused(result))} if result.pauses else {}),
    }
    lines = [
        f"{mark.symbol} {title}",
        *wrapped(lead, "  "),
        "",
        *fact_lines(about),
        *_section("What speaks against it:", _guard_lines(result.guards)),
        *_section(f"What changes ({len(changes)}):", change_lines(changes)),
        *_section("What undo will not bring back:", bullets(result.not_restored)),
        *_section("The same by hand:", [f"  $ {result.command}"]),
    ]
    return Rendered.of(lines, card(mark, title, *_body(result, changes, about), lead=lead))


def whole_difference(result: Plan) -> YamlDiff:
    """Live and target as YAML; nothing where the plan does not hold the live template."""
    return (
        yaml_diff(result.from_template, result.template) if result.from_template else YamlDiff(())
    )


def _paused(result: Plan) -> list[str]:
    return [f"{one.tool}'s {one.handle}" for one in result.pauses]


def _headline(result: Plan) -> tuple[Mark, str]:
    if result.noop:
        return Mark(
            "✔", "", "good"
        ), f"Nothing to do: revision {result.to_revision} is live already"
    start = f" from revision {result.from_revision}" if result.from_revision else ""
    words = f"go back{start} to revision {result.to_revision}"
    if result.blockers:
        return Mark("✖", "", "bad"), f"Blocked: {words}"
    return Mark("↩", "", "info"), f"Plan: {words}"


def _body(result: Plan, changes: Sequence[Change], about: Mapping[str, str]) -> tuple[Html, ...]:
    standing = [guard for guard in result.guards if guard.level is not Level.INFO]
    notes = [guard for guard in result.guards if guard.level is Level.INFO]
    return (
        facts(about),
        html(heading("What speaks against it"), _guards(standing)) if standing else html(),
        html(heading("What changes"), change_list(changes)) if changes else html(),
        yaml_details(whole) if (whole := whole_difference(result)).lines else html(),
        html(heading("What undo will not bring back"), points(result.not_restored))
        if result.not_restored
        else html(),
        details(f"{count(len(notes), 'note')}", _guards(notes)) if notes else html(),
        details("The same by hand", command(result.command)),
    )


def _image_facts(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Which images come and go; a container's name only where there are several."""
    several = len({**before, **after}) > 1
    found = {}
    for name in {**before, **after}:
        old, new = before.get(name, _NOTHING), after.get(name, _NOTHING)
        label = f"Image {name}" if several else "Image"
        found[label] = f"{old} → {new}" if old != new else f"{old} (stays)"
    return found


def _guards(guards: Sequence[Guard]) -> Html:
    return html(
        *(
            marked(one.level, prose(one.summary), tag("div", prose(one.remedy), class_="v-soft"))
            for one in guards
        )
    )


def _guard_lines(guards: Sequence[Guard]) -> list[str]:
    lines: list[str] = []
    for guard in guards:
        mark = mark_of(guard.level)
        lines += wrapped(guard.summary, "      ", f"  {mark.symbol} {mark.word}: ")
        lines += wrapped(guard.remedy, "      ")
    return lines


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *lines] if lines else []


def refusal(result: Refusal) -> Rendered:
    """Why there is no plan, and what to do now."""
    mark = Mark("■", "", "warn")
    lines = [
        f"{mark.symbol} No plan",
        *wrapped(result.what, "  "),
        *wrapped(result.next_step, "  ", "  Next: "),
        *_guard_lines(result.guards),
    ]
    body = (tag("p", tag("b", "Next: "), prose(result.next_step)), _guards(result.guards))
    return Rendered.of(lines, card(mark, "No plan", *body, lead=result.what))
