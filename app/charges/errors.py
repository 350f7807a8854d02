"""What a charge refuses."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from app import errors
from app.errors import DomainError, StateRefusal
from app.ids import Prefix, to_text


class ChargeKindMismatch(DomainError):
    """The consumer of the named card has no card of the kind that the charge needs."""

    code = "charge_kind_mismatch"

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"This consumer has no {kind} card here; nothing was charged.", needed_kind=str(kind)
        )


class InsufficientBalance(StateRefusal):
    """The cards that fit do not hold enough."""

    code = "insufficient_balance"

    def __init__(self, *, available_amount: int | None, available_sessions: int | None) -> None:
        super().__init__(
            "The cards that fit hold less than was asked; nothing was charged.",
            available_amount=available_amount,
            available_sessions=available_sessions,
        )


class ProductAmbiguous(StateRefusal):
    """The consumer holds cards of several products; the charge must name one."""

    code = "product_ambiguous"

    def __init__(self, product_ids: Sequence[UUID]) -> None:
        super().__init__(
            "The consumer holds cards of several products; send product_id.",
            product_ids=[to_text(Prefix.PRODUCT, product_id) for product_id in product_ids],
        )


class ClientReferenceUsed(StateRefusal):
    """The merchant used this reference for another charge."""

    code = "client_reference_used"

    def __init__(self, charge_id: UUID) -> None:
        super().__init__(
            "A charge with this client_reference exists; nothing was charged.",
            charge_id=to_text(Prefix.CHARGE, charge_id),
        )


class CodeInvalid(StateRefusal):
    """The code is unknown, or of another merchant or store."""

    code = "code_invalid"

    def __init__(self) -> None:
        super().__init__("This code is not valid here; ask the consumer for a new one.")


class CodeExpired(StateRefusal):
    """The code's time is over."""

    code = "code_expired"

    def __init__(self) -> None:
        super().__init__("This code has expired; ask the consumer for a new one.")


class CodeUsed(StateRefusal):
    """The code was used for a charge before."""

    code = "code_used"

    def __init__(self) -> None:
        super().__init__("This code was used before; ask the consumer for a new one.")


class CodeLimitExceeded(StateRefusal):
    """The charge is above what the consumer set for the code."""

    code = "code_limit_exceeded"

    def __init__(self, max_amount: int) -> None:
        super().__init__(
            "The charge is above the limit that the consumer set; nothing was charged.",
            max_amount=max_amount,
        )


class TooManyPending(StateRefusal):
    """A card has as many charges waiting for its holder as it may have."""

    code = "too_many_pending"

    def __init__(self, pending_max: int) -> None:
        super().__init__(
            f"A card may have {pending_max} charges waiting for confirmation; "
            "confirm, decline or cancel one first.",
            pending_max=pending_max,
        )


class ChargeNotPending(StateRefusal):
    """The charge does not wait for its consumer (any more)."""

    code = "charge_not_pending"

    def __init__(self, status: str) -> None:
        super().__init__(f"The charge is {status}.", charge_status=str(status))


class ChargeNotConfirmed(StateRefusal):
    """Only a confirmed use can be taken back."""

    code = "charge_not_confirmed"

    def __init__(self, status: str, detail: str | None = None, **members: object) -> None:
        super().__init__(detail or f"The charge is {status}.", charge_status=str(status), **members)


class ChargeDisputed(StateRefusal):
    """The use is disputed; the dispute decides it."""

    code = "charge_disputed"

    def __init__(
        self, detail: str = "The charge is disputed; the dispute decides it.", **members: object
    ) -> None:
        super().__init__(detail, **members)


class ChargeChanged(StateRefusal):
    """The consumer confirmed something else than what waits."""

    code = "charge_changed"

    def __init__(self, charge: Mapping[str, object]) -> None:
        super().__init__(
            "What was confirmed is not what waits; show the charge to the consumer again.",
            charge=charge,
        )


class DeadlinePassed(errors.DeadlinePassed):
    """The time in which a use can be disputed or taken back is over."""

    def __init__(self, deadline: datetime) -> None:
        super().__init__(
            "The time in which this use could be disputed or reversed is over.",
            deadline=deadline.isoformat(),
        )
