"""A card's refund as it lies in the database, and what of it enters the hash chain."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from app.cards.domain import Card
from app.db.rows import Json
from app.ledger import chain
from app.money import Fen
from app.refunds.domain import Figures, Formula, Inputs, RefundClass, RefundReason, RefundStatus
from app.refunds.quoting import Quote
from app.writer.requests import StoredRequest


class CardRefund(NamedTuple):
    """Money of a card on its way back to its holder; accounts and names are sealed."""

    merchant_no: int
    refund_id: UUID
    card_id: UUID
    consumer: UUID
    status: RefundStatus
    reason: RefundReason
    refund_class: RefundClass
    formula: Formula
    formula_version: int
    policy_version: int
    inputs: Json
    as_of: date
    amount: Fen
    residue_amount: Fen
    interest_claim_amount: Fen
    case_id: UUID | None
    supplements: UUID | None
    former_status: str | None
    payee_name: bytes | None
    payee_account_number: bytes | None
    payee_bank_code: str | None
    new_payee_name: bytes | None
    new_payee_account_number: bytes | None
    new_payee_bank_code: str | None
    attempt: int
    created_at: datetime
    decided_at: datetime | None
    settled_at: datetime | None
    closure_id: UUID | None = None
    """The closure that decided it."""
    unpaid_amount: Fen = Fen(0)
    """What of it a closure's shortfall leaves unpaid: a claim that stays on the card."""

    @property
    def figures(self) -> Figures:
        """Give what it came to, paid or not."""
        amount = Fen(self.amount + self.unpaid_amount)
        return Figures(amount, self.residue_amount, self.interest_claim_amount)

    @property
    def agreed_amount(self) -> int | None:
        """Give what was offered, where it came from an offer."""
        return self.read_inputs().agreed_amount

    def read_inputs(self) -> Inputs:
        """Read what decided it."""
        return Inputs.from_json(self.inputs)

    def quoted(self, quote: Quote) -> "CardRefund":
        """Give it with what a quote says."""
        return self._replace(**_quoted(quote))

    def supplement(self, last: "CardRefund", *, refund_id: UUID, at: datetime) -> "CardRefund":
        """Give a refund that adds to this first one of a card, and pays whom the last one pays.

        It is decided now, or waits for an account where the last one does. What it comes to, and
        from which inputs, is for the caller to say.
        """
        has_payee = last.payee_name is not None and last.status != RefundStatus.ACCOUNT_NEEDED
        return self._replace(
            refund_id=refund_id,
            status=RefundStatus.DECIDED if has_payee else RefundStatus.ACCOUNT_NEEDED,
            case_id=None,
            supplements=self.refund_id,
            former_status=None,
            payee_name=last.payee_name,
            payee_account_number=last.payee_account_number,
            payee_bank_code=last.payee_bank_code,
            new_payee_name=None,
            new_payee_account_number=None,
            new_payee_bank_code=None,
            attempt=0,
            created_at=at,
            decided_at=at,
            settled_at=None,
            closure_id=None,
            unpaid_amount=Fen(0),
        )

    def content_hash(self) -> bytes:
        """Hash what decided the refund and what came of it: its lines carry this into the chain.

        The payee is not in it: it may change, and it is personal.
        """
        return chain.content_hash(
            (
                self.refund_id,
                self.card_id,
                str(self.reason),
                str(self.refund_class),
                str(self.formula),
                self.formula_version,
                self.policy_version,
                # The database keeps JSON in an order of its own.
                self.read_inputs().to_json(),
                self.as_of,
                self.figures.amount,
                self.residue_amount,
                self.interest_claim_amount,
                self.supplements,
            )
        )


def new_refund(quote: Quote, card: Card, *, refund_id: UUID, at: datetime) -> CardRefund:
    """Make a refund of a card of what a quote says; nothing is decided, and nobody is paid yet."""
    return CardRefund(
        merchant_no=card.merchant_no,
        refund_id=refund_id,
        card_id=card.card_id,
        consumer=card.consumer,
        status=RefundStatus.REQUESTED,
        case_id=None,
        supplements=None,
        former_status=str(card.status),
        payee_name=None,
        payee_account_number=None,
        payee_bank_code=None,
        new_payee_name=None,
        new_payee_account_number=None,
        new_payee_bank_code=None,
        attempt=0,
        created_at=at,
        decided_at=None,
        settled_at=None,
        **_quoted(quote),
    )


def _quoted(quote: Quote) -> dict[str, Any]:
    """Give the columns that a quote decides."""
    return {
        "reason": quote.reason,
        "refund_class": quote.refund_class,
        "formula": quote.formula,
        "formula_version": quote.formula_version,
        "policy_version": quote.policy_version,
        "inputs": Json(quote.inputs.to_json()),
        "as_of": quote.as_of,
        "amount": quote.figures.amount,
        "residue_amount": quote.figures.residue_amount,
        "interest_claim_amount": quote.figures.interest_claim_amount,
    }


def facts_of(refund: CardRefund) -> Mapping[str, object]:
    """Say what of a refund's answer later events may change."""
    return {
        "status": refund.status,
        "class": refund.refund_class,
        "formula": refund.formula,
        "amount": refund.amount,
        "payee": _payee_facts(refund),
        "policy_version": refund.policy_version,
        "inputs": json.loads(refund.inputs),
        "as_of": refund.as_of.isoformat(),
        "unpaid_amount": refund.unpaid_amount,
        "residue_amount": refund.residue_amount,
        "interest_claim_amount": refund.interest_claim_amount,
    }


def _payee_facts(refund: CardRefund) -> Sequence[str | None]:
    """Say whom it pays: an account may be verified later in its place. Sealed, as in the row."""
    name, number = refund.payee_name, refund.payee_account_number
    return (
        None if name is None else name.hex(),
        None if number is None else number.hex(),
        refund.payee_bank_code,
    )


def as_of_request(refund: CardRefund, stored: StoredRequest) -> CardRefund:
    """Give a refund as it was when a request was answered, from the refund as it is now."""
    facts = stored.read_facts()
    name, number, bank = cast("tuple[str | None, ...]", facts["payee"])
    return refund._replace(
        payee_name=None if name is None else bytes.fromhex(name),
        payee_account_number=None if number is None else bytes.fromhex(number),
        payee_bank_code=bank,
        status=RefundStatus(str(facts["status"])),
        refund_class=RefundClass(str(facts["class"])),
        formula=Formula(str(facts["formula"])),
        amount=cast("Fen", facts["amount"]),
        policy_version=cast("int", facts["policy_version"]),
        inputs=Json(json.dumps(facts["inputs"], sort_keys=True, separators=(",", ":"))),
        as_of=date.fromisoformat(str(facts["as_of"])),
        unpaid_amount=cast("Fen", facts["unpaid_amount"]),
        residue_amount=cast("Fen", facts["residue_amount"]),
        interest_claim_amount=cast("Fen", facts["interest_claim_amount"]),
    )
