"""What a decided refund does to its card and the book: money, statement, waiting charges. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.cards.domain import CardStatus
from app.cards.statement import CardEntryKind, Line, enter
from app.cards.tables import CARDS
from app.charges.using import serve_waiting
from app.charges.voiding import void_pending
from app.ledger.chart import AccountType
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.refunds.domain import RefundStatus
from app.refunds.recomputing import figure_now
from app.refunds.rows import CardRefund, facts_of
from app.refunds.tables import REFUNDS_OF_CARD, SALES
from app.writer.commands import Decision, Event

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from app.cards.domain import Card
    from app.cards.statement import CardEntry
    from app.writer.book import Book


@dataclass(frozen=True, slots=True)
class Entered:
    """A card after a movement of a refund, with its statement line and chain entry."""

    card: Card
    line: CardEntry
    entry: Entry


def enact(refund: CardRefund, book: Book, at: datetime) -> Decision[CardRefund]:
    """Decide a refund: its card is closed, what waits on it is voided, the money is on its way.

    A refund of 0 is paid at once, and the rest is the merchant's. The command must have asked
    for the card with what waits on it, its sale, its other refunds and the accounts.
    """
    voided = void_pending(book, [refund.card_id], at)
    card = voided.cards.get(refund.card_id) or book.find(CARDS, refund.card_id)
    assert card is not None, "a refund's card is loaded with it"
    decided = _with_payee(refund, card, book)._replace(decided_at=at)
    payable = book.own(AccountType.REFUND_PAYABLE)
    taken = take(card, decided, payable=payable, seq=book.next_seq, at=at)
    lines, entries = [taken.line], [taken.entry]
    card = taken.card._replace(status=CardStatus.REFUNDING)
    if decided.amount == 0:
        decided = decided._replace(status=RefundStatus.PAID)
        decided, card, adjusted = settle(decided, card, book, seq=book.next_seq + 1, at=at)
        if adjusted is not None:
            lines.append(adjusted.line)
            entries.append(adjusted.entry)
    return Decision(
        decided,
        rows=(
            *({**voided.cards, card.card_id: card}).values(),
            *lines,
            *voided.charges,
            *_declined_offers(decided, book),
            decided,
        ),
        entries=entries,
        events=(*voided.events, Event("refund.decided", decided.refund_id)),
        subject_id=decided.refund_id,
        facts=facts_of(decided),
        then=serve_waiting(book) if len(entries) > 1 else None,
    )


def settle(  # noqa: PLR0913  # what one command settles before is told too
    refund: CardRefund,
    card: Card,
    book: Book,
    *,
    seq: int,
    at: datetime,
    also: Collection[UUID] = (),
) -> tuple[CardRefund, Card, Entered | None]:
    """Finish a paid refund: the rest is the merchant's to have, and the card is refunded.

    A supplement leaves the rest alone: it is the merchant's with the first refund, or was then.
    The card is refunded when none of its refunds is open; `also` are finished with this one.
    """
    settled = refund._replace(settled_at=at)
    finished = {refund.refund_id, *also}
    waits = any(
        other.decided_at is not None
        and other.settled_at is None
        and other.refund_id not in finished
        for other in book.group(REFUNDS_OF_CARD, card.card_id)
    )
    card = card._replace(status=CardStatus.REFUNDING if waits else CardStatus.REFUNDED)
    # Uses taken back since have changed what the rest comes to.
    rest = figure_now(refund, card).residue_amount if refund.supplements is None else 0
    residue = Fen(min(rest, card.custody_amount))
    if residue == 0:
        return settled, card, None
    after = card._replace(adjusted_amount=Fen(card.adjusted_amount + residue))
    told = Line(
        CardEntryKind.ADJUSTED, refund.refund_id, None, refund.content_hash(), amount=residue
    )
    after, line = enter(after, told, seq=seq, at=at)
    payable = book.own(AccountType.MERCHANT_PAYABLE)
    moved = Movement(card.card_id, payable, residue)
    entry = Entry("refund_adjusted", refund.refund_id, moved, line.content_hash())
    return settled, after, Entered(after, line, entry)


def take(card: Card, refund: CardRefund, *, payable: UUID, seq: int, at: datetime) -> Entered:
    """Move what is refunded from the card to where it waits to be paid."""
    after = card._replace(refunded_amount=Fen(card.refunded_amount + refund.amount))
    told = Line(
        CardEntryKind.REFUNDED,
        refund.refund_id,
        None,
        refund.content_hash(),
        amount=refund.amount,
    )
    after, line = enter(after, told, seq=seq, at=at)
    moved = Movement(card.card_id, payable, refund.amount) if refund.amount > 0 else None
    entry = Entry("refund_decided", refund.refund_id, moved, line.content_hash())
    return Entered(after, line, entry)


def _with_payee(refund: CardRefund, card: Card, book: Book) -> CardRefund:
    """Pay the account that paid; after a transfer the new holder has to name one (DOMAIN §6)."""
    sale = book.find(SALES, card.card_id)
    assert sale is not None, "a card's sale is loaded with it"
    if sale.buyer != card.consumer:
        return refund._replace(status=RefundStatus.ACCOUNT_NEEDED)
    return refund._replace(
        status=RefundStatus.DECIDED,
        payee_name=sale.payer_name,
        payee_account_number=sale.payer_account_number,
    )


def _declined_offers(refund: CardRefund, book: Book) -> list[CardRefund]:
    """End the merchant's offers for a card that is refunded otherwise."""
    return [
        other._replace(status=RefundStatus.DECLINED)
        for other in book.group(REFUNDS_OF_CARD, refund.card_id)
        if other.status == RefundStatus.OFFERED and other.refund_id != refund.refund_id
    ]
