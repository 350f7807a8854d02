"""What a client is told of what a service gives: the rest may differ in a repeated answer."""

from typing import Final
from uuid import UUID

from app.access.approvals import Approval
from app.card_life.rows import CardTransfer
from app.cards.directory import MerchantRef
from app.cards.domain import Card
from app.cards.schemas import CardRead
from app.cases.rows import CaseFile
from app.cases.schemas import CaseRead
from app.charges.domain import Charge
from app.charges.schemas import ChargeRead
from app.refunds.rows import CardRefund
from app.refunds.schemas import RefundRead
from tests.builder import SEALER

_MERCHANT: Final = MerchantRef(1, UUID(int=1), "安心")


def shown(answer: object) -> object:
    """Give an answer as its caller sees it."""
    match answer:
        case Approval():
            # What was proposed and done is told once: names and texts of people are in it.
            told = answer.approval_id, answer.status
        case Card():
            # What holds a card is always told as it is now.
            card = answer._replace(on_hold=False)
            told = CardRead.from_domain(card, _MERCHANT, card.activated_on)
        case CardRefund():
            told = RefundRead.from_domain(answer, SEALER)
        case CardTransfer():
            told = answer.transfer_id, answer.status, answer.ended_at
        case CaseFile():
            told = CaseRead.from_domain(answer, _MERCHANT.merchant_id, SEALER)
        case Charge():
            told = ChargeRead.from_domain(answer, _MERCHANT)
        case _:
            told = answer
    return told
