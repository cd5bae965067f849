"""What is compared of an answer, where it depends on the moment."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from tests.sandbox.recordings import normal
from tests.sandbox.transcripts import Said

Json = dict[str, Any]

HOW = {
    "": "",
    "rows": "rows in any order, ages apart",
    "states": "the states of each object in order; how those of different objects mix is chance",
    "lines": "each line once, in any order: how often it is repeated depends on the moment",
    "described": "ages apart, events in any order",
    "table": "rows in any order, ages and descriptions of columns apart",
    "combined": "but for events of scaling: of more than ten texts which are combined is chance",
    "among": "each object is among all those that are there: which come first hangs on their names",
    "passed": "it is one of the states that a watcher sees after the command",
    "raced": "one state may be missing, or be told as progress: two controllers raced",
    "together": "states may be missing in which some pods are ready: here all get ready at once",
    "crashes": "rows in any order, ages apart, and how often a pod was restarted",
    "stand-in": "but for states that the stand-in for a kubelet left out: running but not yet "
    "ready, ended before gone; and for pods that were going already when it began",
    "some": "some lines may be missing: what happens at one moment is told at once",
    "alive": "but for pods that are going: how long they are seen is chance",
    "requests": "the requests and answers that it tells of, without times and statistics",
    "json": "as a document",
    "events": "of many texts of one reason only the first ten: which are combined is chance",
    "spec": "all but the status, which was caught at a moment of its own",
}
# Beyond these, texts of one reason are combined.
_TEXTS = 9


def said_in(said: Said, how: str) -> Said:
    """What is compared of a command's outputs."""
    out: Any = normal.text(said.out)
    err = normal.text(said.err)
    if how == "rows":
        out = normal.rows(said.out)
    elif how == "crashes":
        out = re.sub(r"  \d+ \(", "  N (", normal.rows(said.out))
    elif how == "described":
        out = normal.described(said.out)
    elif how == "combined":
        out = sorted(unscaled(normal.described(said.out)))
    elif how == "requests":
        err = normal.requests(said.err)
    elif how == "json":
        out = normal.body(json.loads(said.out))
    elif how == "lines":
        out, err = (normal.lines(each) for each in (said.out, said.err))
    return Said(said.code, out, err)


def unscaled(printed: str) -> list[str]:
    """The lines that tell of no scaling."""
    return [line for line in printed.splitlines() if "  ScalingReplicaSet  " not in line]


def is_part(now: Said, then: Said) -> bool:
    """Whether a command said some of the recorded lines, in their order, and the same last one."""
    lines, rest = now.out.splitlines(), iter(then.out.splitlines())
    same_end = (now.code, now.err, lines[-1]) == (then.code, then.err, then.out.splitlines()[-1])
    return same_end and all(line in rest for line in lines)


def shown(document: Json, how: str) -> Any:
    """What is compared of an object or a list."""
    if how == "alive":
        going = [each for each in document["items"] if "deletionTimestamp" in each["metadata"]]
        document = {**document, "items": [each for each in document["items"] if each not in going]}
    if how == "events":
        document = {**document, "items": first_texts(document["items"])}
    if how == "raced":
        return progressing(document)
    if how == "spec":
        document = without_status(document)
    return normal.body(document)


def table(document: Json) -> Any:
    """What is compared of a Table: rows in one order, without ages; columns by name and type."""
    columns = [
        {name: each[name] for name in ("name", "type", "format", "priority")}
        for each in document["columnDefinitions"]
    ]
    rows = [
        {**row, "cells": [normal.rows(str(cell)) for cell in row["cells"]]}
        for row in document["rows"]
    ]
    ordered = sorted(normal.body(rows), key=lambda each: json.dumps(each, sort_keys=True))
    return {**normal.body(document), "columnDefinitions": columns, "rows": ordered}


def first_texts(items: list[Json]) -> list[Json]:
    """Events, but of those of one reason about one object only the first, without counts."""
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for item in sorted(items, key=lambda each: each["firstTimestamp"] or each["eventTime"]):
        key = (item["involvedObject"]["uid"], item["reason"])
        seen[key] += 1
        if seen[key] <= _TEXTS and item["reason"] != "Unhealthy":
            kept.append({name: value for name, value in item.items() if name != "count"})
    return kept


def without_status(document: Json) -> Json:
    """An object, or the objects of a list, without status and without those who wrote it."""
    if "items" in document:
        return {**document, "items": [without_status(item) for item in document["items"]]}
    metadata = document["metadata"]
    managers = [each for each in metadata["managedFields"] if each.get("subresource") != "status"]
    return {**document, "metadata": {**metadata, "managedFields": managers}, "status": None}


def events(then: list[Json], now: list[Json], how: str) -> tuple[Any, Any]:
    """What is compared of a watch: of the recorded one, and of this one."""
    if how == "states":
        return of_each(then), of_each(now)
    if how == "stand-in":
        ours, theirs = (of_each(_unstopped(_staying(seen))) for seen in (now, then))
        return leaving_out(theirs, ours)
    if how == "raced":
        ours, theirs = ([progressing(event) for event in seen] for seen in (now, then))
        return leaving_out([ours], [theirs])[::-1]
    if how == "together":
        return leaving_out(
            [[normal.body(event) for event in now]], [[normal.body(event) for event in then]], 2
        )[::-1]
    return [normal.body(event) for event in then], [normal.body(event) for event in now]


def standing(then: Json, deployment: Json) -> tuple[Json, Json]:
    """How a Deployment stood, by a recorded summary, and how it stands."""
    status = deployment["status"]
    reasons = [condition["reason"] for condition in status["conditions"]]
    now = {
        "at_failure": {name: status.get(name) for name in then["at_failure"]},
        "deadline (3 s) fired": "ProgressDeadlineExceeded" in reasons,
        "replicas": deployment["spec"]["replicas"],
        "strategy": deployment["spec"]["strategy"],
    }
    return {name: then[name] for name in now}, now


def of_each(seen: list[Json]) -> list[list[Json]]:
    """The events of each object, in order; the objects in one order, repetitions left out."""
    found: dict[str, list[Json]] = {}
    for event in seen:
        of_one, state = (
            found.setdefault(event["object"]["metadata"].get("uid", ""), []),
            normal.body(event),
        )
        if of_one[-1:] != [state]:
            of_one.append(state)
    return sorted(found.values(), key=lambda each: json.dumps(each, sort_keys=True))


def leaving_out(fewer: list[list[Json]], more: list[list[Json]], most: int = 1) -> tuple[Any, Any]:
    """Both, made equal where each sequence of the first leaves out at most so many states."""
    if len(fewer) != len(more):
        return fewer, more
    pairs = [
        (few, few) if len(many) - len(few) <= most and _part(few, many) else (few, many)
        for few, many in zip(fewer, more, strict=True)
    ]
    return [few for few, _ in pairs], [many for _, many in pairs]


def _part(few: list[Any], many: list[Any]) -> bool:
    rest = iter(many)
    return all(each in rest for each in few)


def _staying(seen: list[Json]) -> list[Json]:
    """The events of all pods but those that were on their way out before the first event."""
    first: dict[str, Json] = {}
    for event in seen:
        first.setdefault(event["object"]["metadata"]["uid"], event)
    going = {
        uid
        for uid, event in first.items()
        if event["type"] != "ADDED" and "deletionTimestamp" in event["object"]["metadata"]
    }
    return [event for event in seen if event["object"]["metadata"]["uid"] not in going]


def _unstopped(seen: list[Json]) -> list[Json]:
    """Pods on their way out without their status: the stand-in did not stop containers."""
    return [
        {**event, "object": without_status(event["object"])}
        if "deletionTimestamp" in event["object"]["metadata"]
        else event
        for event in seen
    ]


def progressing(document: Any) -> Any:
    """Where a Deployment tells that its ReplicaSet was made, let it tell of progress."""
    text = json.dumps(normal.body(document))
    text = text.replace('"NewReplicaSetCreated"', '"ReplicaSetUpdated"')
    return json.loads(_CREATED.sub(r'ReplicaSet \\"\1\\" is progressing.', text))


_CREATED = re.compile(r'Created new replica set \\"([\w-]+)\\"')


def bare(item: Json) -> Json:
    """An object as it stands in a list, where it does not say what it is."""
    return {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}
