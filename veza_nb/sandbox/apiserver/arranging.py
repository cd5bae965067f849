"""The wire's order of members: put objects into it without reading them anew."""

from __future__ import annotations

from typing import Any

from veza_nb.sandbox.apimachinery.decoding import decode
from veza_nb.sandbox.apimachinery.schema import ListOf, Node, Struct, struct

Json = dict[str, Any]


def ordered(shape: Struct, document: Json) -> Json:
    """Return an object with its members in the wire's order, on every level, all of it fresh."""
    done = decode(shape, document)
    head = {"kind": document["kind"], "apiVersion": document["apiVersion"]}
    return {**head, **done}


def arranged(shape: Struct, document: Json) -> Json:
    """Return an object whose parts are in order already, with the parts in the wire's order."""
    done = {"kind": document["kind"], "apiVersion": document["apiVersion"]}
    for entry in shape.fields:
        if entry.name in document:
            done[entry.name] = document[entry.name]
    metadata = document["metadata"]
    names = [entry.name for entry in struct("meta.v1.ObjectMeta").fields]
    done["metadata"] = {name: metadata[name] for name in names if name in metadata}
    return done


def tidied(shape: Struct, value: Json) -> Json:
    """Return an object whose values are canonical with its members in the wire's order.

    What is in order already is not copied, so that equal parts of many objects stay one object.
    """
    changed = {}
    for name, part in value.items():
        if type(part) is dict or type(part) is list:
            done = _tidied(shape.index[name].node, part)
            if done is not part:
                changed[name] = done
    places = [shape.positions[name] for name in value]
    if places != sorted(places):
        names = sorted(value, key=shape.positions.__getitem__)
        return {name: changed.get(name, value[name]) for name in names}
    return {**value, **changed} if changed else value


def _tidied(node: Node, part: Any) -> Any:
    if isinstance(node, Struct):
        return tidied(node, part)
    if isinstance(node, ListOf) and isinstance(node.item, Struct):
        shape = node.item
        done = [tidied(shape, each) for each in part]
        same = all(new is old for new, old in zip(done, part, strict=True))
        return part if same else done
    return part
