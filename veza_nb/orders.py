"""What a plan is asked for, and by whom."""

from dataclasses import dataclass

from veza_nb.choices import RECOMMENDED, Choice


@dataclass(frozen=True, slots=True)
class Order:
    """What a plan is asked for, and by whom.

    Attributes:
        service: its name in the catalogue.
        incident: id, kept in the change cause.
        operator: kept in the change cause.
        reason: kept in the change cause; may be empty.
        choice: what the operator named.
        freeze: why changes are frozen now; "" where they are not.
        break_glass: why something is changed all the same; may be empty.
        force_lock: why a lock is to be taken from whoever holds it; may be empty.
        migrate_down: migrations of the database that are taken back before the undo.
    """

    service: str
    incident: str
    operator: str
    reason: str = ""
    choice: Choice = RECOMMENDED
    freeze: str = ""
    break_glass: str = ""
    force_lock: str = ""
    migrate_down: int = 0
