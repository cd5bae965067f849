"""Imports that need not be slow."""

import sys

_GRAMMARS = "rfc3987_syntax"


def quicken() -> None:
    """Keep `jsonschema` from compiling grammars that this kit never uses.

    `nbformat` and `jsonschema` look for `rfc3987_syntax` when they are imported, and that
    module compiles grammars for internationalised URIs: 1.2 s, more than all the rest of a
    run's imports. A `None` in `sys.modules` makes that import fail at once; `jsonschema`
    treats the module as optional and only leaves the `iri` formats unchecked. Does nothing
    where the module is loaded already.
    """
    sys.modules.setdefault(_GRAMMARS, None)  # type: ignore[arg-type]
