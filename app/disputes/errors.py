"""What a dispute refuses beside what charges refuse."""

from typing import Final

from app.charges.errors import ChargeDisputed, ChargeNotConfirmed

_WHY: Final = {
    "pending": "The use is being reversed already; it comes back when the merchant's money covers "
    "it.",
    "failed": "The use was taken back, but the closing merchant's money did not cover it; the "
    "closure's certificate names it as owed by the merchant.",
}


class ChargeBeingReversed(ChargeNotConfirmed):
    """The merchant takes the use back already, or did in vain: there is nothing to contest."""

    def __init__(self, status: str, reversal_status: str) -> None:
        super().__init__(status, _WHY[reversal_status], reversal_status=str(reversal_status))


class DisputeDecided(ChargeDisputed):
    """The use was disputed before, and that was decided."""

    def __init__(self, status: str) -> None:
        super().__init__(
            "The use was disputed before, and that was decided; it stays so.",
            dispute_status=str(status),
        )
