"""What a dispute refuses beside what charges refuse."""

from app.charges.errors import ChargeDisputed, ChargeNotConfirmed


class ChargeBeingReversed(ChargeNotConfirmed):
    """The merchant takes the use back already: there is nothing to contest."""

    def __init__(self, status: str) -> None:
        super().__init__(
            status,
            "The use is being reversed already; it comes back when the merchant's money covers it.",
            reversal_status="pending",
        )


class DisputeDecided(ChargeDisputed):
    """The use was disputed before, and that was decided."""

    def __init__(self, status: str) -> None:
        super().__init__(
            "The use was disputed before, and that was decided; it stays so.",
            dispute_status=str(status),
        )
