"""Guard about the database: an undo brings the program back, not the schema."""

from collections.abc import Iterator

from veza_nb.guards.case import Case, Guard
from veza_nb.vocabulary import Level
from veza_nb.words import count


def schema(case: Case) -> Iterator[Guard]:
    """The target cannot work with the database as it is, or nobody can tell."""
    gate = case.around.schema
    if case.order.migrate_down:
        yield Guard(
            "schema",
            Level.INFO,
            f"The database goes back first, by {count(case.order.migrate_down, 'migration')}.",
            "The older release runs only after that, and only if the schema says so then.",
        )
        return
    if gate is None or case.noop:
        return
    number = case.target.number
    if gate.fits is None:
        yield Guard(
            "schema-unknown",
            Level.INFO,
            f"Whether revision {number} works with the database as it is cannot be told: "
            f"{gate.why}.",
            "Ask whoever wrote the last migration.",
        )
    elif not gate.fits:
        yield Guard(
            "schema",
            Level.BLOCK,
            f"Revision {number} cannot work with the database as it is: {gate.why}.",
            "Migrate the database to a schema that it knows first, with the release that is live "
            "now (only that has the files of its own migrations), or take another revision.",
        )
    else:
        yield Guard("schema-fits", Level.INFO, f"The database fits: {gate.why}.", "")
