"""Book what happens to orders of one merchant, under the lock of its book."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from app.db.engine import Transaction
from app.ledger.books import LockedBook
from app.ledger.chart import AccountType
from app.ledger.posting import Entry, Movement
from app.money import Fen
from app.payment_files import result_queries
from app.payment_files.decisions import Position, RefundStanding, book, refund_status_after
from app.payment_files.domain import BLOCKING, Booking, FileKind, OrderStatus, Reason, RefundStatus
from app.payment_files.result_queries import LiveOrder, LiveRefund


@dataclass(slots=True)
class Desk:
    """A merchant's locked book with the orders at hand; `store` writes what has changed."""

    ledger: LockedBook
    orders: dict[UUID, LiveOrder]
    refunds: dict[UUID, LiveRefund]
    _touched: set[UUID] = field(default_factory=set[UUID])
    _blocked: dict[UUID, Reason] = field(default_factory=dict[UUID, Reason])

    @staticmethod
    async def of(tx: Transaction, ledger: LockedBook, order_ids: Iterable[UUID]) -> "Desk":
        """Read orders, and the refunds that they pay, of a locked book."""
        merchant_no = ledger.head.merchant_no
        orders = await result_queries.live_orders(tx, merchant_no, sorted(set(order_ids)))
        paying = [order.refund_id for order in orders.values() if order.refund_id is not None]
        refunds = await result_queries.live_refunds(tx, merchant_no, paying) if paying else {}
        return Desk(ledger, orders, refunds)

    def book(
        self,
        order_id: UUID,
        status: OrderStatus,
        bookings: Iterable[Booking],
        reason: Reason | None = None,
    ) -> None:
        """Post the bookings of an order, and take its refund and its payee along."""
        for booking in bookings:
            self._post(self.orders[order_id], booking, reason)
        order = self.orders[order_id]
        kept = order.reason if reason is None else reason
        self.orders[order_id] = order._replace(status=status, reason=kept)
        self._touched.add(order_id)

    async def store(self, tx: Transaction) -> None:
        """Write what has changed; the transfers are written by the book."""
        merchant_no = self.ledger.head.merchant_no
        if not self._touched:
            return
        changed = [self.orders[order_id] for order_id in sorted(self._touched)]
        await result_queries.update_orders(tx, merchant_no, changed)
        if self.refunds:
            statuses = {
                refund.refund_id: RefundStatus(refund.status) for refund in self.refunds.values()
            }
            await result_queries.update_refunds(tx, merchant_no, statuses)
        for payee_account_id, reason in self._blocked.items():
            await result_queries.block_payee(tx, merchant_no, payee_account_id, reason)

    def _post(self, order: LiveOrder, booking: Booking, reason: Reason | None) -> None:
        kind = FileKind(order.kind)
        booked = book(kind, booking, order.amount, self._position(order))
        for move in booked.moves:
            debit, credit = self.ledger.own(move.debit), self.ledger.own(move.credit)
            self.ledger.append(
                Entry(f"{kind}_{booking}", order.order_id, Movement(debit, credit, move.amount))
            )
        claimed_amount = max(order.claimed_amount, booked.claimed_amount)
        self.orders[order.order_id] = order._replace(claimed_amount=booked.claimed_amount)
        if order.refund_id is not None:
            self._follow(self.refunds[order.refund_id], booking, reason, Fen(claimed_amount))
        undone = booking in {Booking.REJECTED, Booking.RETURNED}
        if undone and reason in BLOCKING and order.payee_account_id is not None:
            assert reason is not None
            self._blocked.setdefault(order.payee_account_id, reason)

    def _follow(
        self, refund: LiveRefund, booking: Booking, reason: Reason | None, claimed_amount: Fen
    ) -> None:
        standing = RefundStanding(RefundStatus(refund.status), refund.card_id is not None)
        after = refund_status_after(standing, booking, reason, claimed_amount=claimed_amount)
        self.refunds[refund.refund_id] = refund._replace(status=after)

    def _position(self, order: LiveOrder) -> Position:
        if order.refund_id is None:
            payable = self.ledger.balance(AccountType.MERCHANT_PAYABLE)
        else:
            refund = self.refunds[order.refund_id]
            standing = RefundStanding(RefundStatus(refund.status), refund.card_id is not None)
            # A refund that a shortfall made smaller does not cover an order for the whole.
            covers = standing.is_uncut and refund.amount == order.amount
            payable = order.amount if covers else Fen(0)
        return Position(payable, self.ledger.balance(AccountType.BANK_CLAIM), order.claimed_amount)
