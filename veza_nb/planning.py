"""The cell `plan`: what is asked for in this incident, made into a plan or a refusal."""

from dataclasses import dataclass

from veza_nb.attempts import going_on
from veza_nb.choices import RECOMMENDED, Choice
from veza_nb.findings import Diagnosis
from veza_nb.opening import Opened
from veza_nb.orders import Order
from veza_nb.permissions import Permission
from veza_nb.plans import Plan, Refusal
from veza_nb.prepare import prepare


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why rules are broken, in the operator's words, "" respects them; and what else is done.

    Attributes:
        break_glass: why something is changed during a change freeze.
        force_lock: why the lock is taken from whoever holds it.
        migrate_down: migrations of the database that are taken back before the undo.
    """

    break_glass: str = ""
    force_lock: str = ""
    migrate_down: int = 0


def make(
    opened: Opened,
    diagnosis: Diagnosis,
    choice: Choice,
    reasons: Reasons,
    *,
    denied: tuple[Permission, ...],
) -> Plan | Refusal:
    """The plan of this incident, checked by the server; nothing is changed.

    Args:
        opened: the incident.
        diagnosis: what detection said.
        choice: what the operator named; what this incident has sent counts more than nothing.
        reasons: why rules are broken.
        denied: rights that are missing.
    """
    choice, earlier = going_on(choice, opened.logbook.attempts)
    return prepare(
        opened.cluster,
        opened.service,
        diagnosis,
        order_of(opened, reasons, choice),
        lock=opened.lock,
        earlier=earlier,
        denied=denied,
    )


def order_of(opened: Opened, reasons: Reasons, choice: Choice = RECOMMENDED) -> Order:
    """What is asked for, and by whom."""
    record = opened.logbook.record
    return Order(
        service=opened.service_name,
        incident=record.incident_id,
        operator=opened.operator,
        reason=record.reason,
        choice=choice,
        freeze=opened.catalog.frozen(opened.cluster.clock.now()),
        break_glass=reasons.break_glass,
        force_lock=reasons.force_lock,
        migrate_down=reasons.migrate_down,
    )
