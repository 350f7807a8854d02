"""What work on files needs of its process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.calendar.current import CurrentCalendar
from app.db.engine import Database
from app.db.sealing import Sealer
from app.ledger.checkpoints import Signer
from app.policies.current import CurrentPolicies

ServeReversals = Callable[[int], Awaitable[None]]
"""Lets a merchant's waiting reversals take what was credited to its payable (DOMAIN §5)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The long-lived parts of a process that cuts files or applies their results."""

    db: Database
    sealer: Sealer
    signer: Signer
    calendar: CurrentCalendar
    policies: CurrentPolicies
    serve_reversals: ServeReversals
