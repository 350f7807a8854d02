"""Rows of closures, and what of cards and books they read."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from app.cards.domain import CardKind
from app.closures.domain import REFUNDABLE, Closure, KindTotal, Standing
from app.db.engine import Transaction
from app.db.rows import columns_of
from app.ledger.books import LockedBook
from app.ledger.chart import MERCHANT_ACCOUNT_TYPES, AccountType, account_id
from app.money import Fen

_COLUMNS: Final = ", ".join(column.name for column in columns_of(Closure))
_QUALIFIED: Final = ", ".join(f"closure.{column.name}" for column in columns_of(Closure))
LEFT: Final = (
    "card.paid_amount - card.released_amount - card.refunded_amount"
    " - card.adjusted_amount - card.recalled_amount"
)
DISPUTED: Final = (
    "SELECT CAST(draw ->> 'card_id' AS uuid) FROM charge"
    " CROSS JOIN LATERAL jsonb_array_elements(charge.draws) AS draw"
    " WHERE charge.merchant_no = :no AND charge.status = 'disputed'"
    # One that was upheld waits for payable, not for its dispute.
    " AND charge.reversal_status IS NULL"
)


class Merchant(NamedTuple):
    """Whose closure it is, and who may see it."""

    merchant_no: int
    merchant_id: UUID
    name: str
    licence_number: str
    industry: str
    district: str


class Number(NamedTuple):
    """A merchant."""

    merchant_no: int


class Totals(NamedTuple):
    """Cards that are not refunded yet."""

    card_count: int
    refund_amount: Fen


class _Balance(NamedTuple):
    type: str
    balance: Fen


async def find_merchant(tx: Transaction, merchant_no: int) -> Merchant | None:
    """Give a merchant."""
    return await tx.fetch_one(
        Merchant,
        "SELECT merchant_no, merchant_id, name, licence_number, industry, district"
        " FROM merchant WHERE merchant_no = :no",
        no=merchant_no,
    )


async def insert_closure(tx: Transaction, closure: Closure) -> None:
    """Store a new closure."""
    await tx.insert("closure", Closure, [closure])


async def find_closure(tx: Transaction, merchant_no: int, closure_id: UUID) -> Closure | None:
    """Give a closure; it stays as it is while its merchant's book is locked."""
    return await tx.fetch_one(
        Closure,
        f"SELECT {_COLUMNS} FROM closure"  # noqa: S608  # our own column names
        " WHERE merchant_no = :no AND closure_id = :id",
        no=merchant_no,
        id=closure_id,
    )


async def standing_closure(tx: Transaction, merchant_no: int) -> Closure | None:
    """Give the merchant's closure that was not cancelled."""
    return await tx.fetch_one(
        Closure,
        f"SELECT {_COLUMNS} FROM closure"  # noqa: S608  # our own column names
        " WHERE merchant_no = :no AND status <> 'cancelled'",
        no=merchant_no,
    )


async def closures_of(
    tx: Transaction, merchant_no: int, *, before: UUID | None, count: int
) -> Sequence[Closure]:
    """Give a page of a merchant's closures, newest first, those that were cancelled too."""
    return await tx.fetch(
        Closure,
        f"""
        SELECT {_COLUMNS} FROM closure
        WHERE merchant_no = :no
            AND (CAST(:before AS uuid) IS NULL OR closure_id < CAST(:before AS uuid))
        ORDER BY closure_id DESC LIMIT :count
        """,  # noqa: S608  # our own column names
        no=merchant_no,
        before=before,
        count=count,
    )


async def closures_to_carry_on(tx: Transaction, *, every: bool) -> Sequence[Closure]:
    """Give the closures on which something may be to do, oldest first.

    That is where the notice is over, or the book has gone on since it was looked at last; with
    `every` all that have not ended.
    """
    return await tx.fetch(
        Closure,
        f"""
        SELECT {_QUALIFIED} FROM closure JOIN book USING (merchant_no)
        WHERE CASE closure.status
            WHEN 'cancelled' THEN false
            WHEN 'notice' THEN notice_ends_at <= anxin_now()
            WHEN 'closing' THEN :every OR book.seq > seen_seq
            WHEN 'refunding' THEN :every OR book.seq > seen_seq
            -- A reversal that waits is no entry yet; nobody but the closure can end it now. One
            -- that it has left waiting is served by what comes, which is an entry.
            ELSE book.seq > seen_seq OR (book.waiting_reversal_amount > 0 AND EXISTS (
                SELECT FROM charge LEFT JOIN dispute USING (merchant_no, charge_id)
                WHERE charge.merchant_no = closure.merchant_no
                    AND charge.reversal_status = 'pending'
                    AND (dispute.status = 'upheld' AND set_aside_amount > 0) IS NOT TRUE))
        END
        ORDER BY closure.created_at, closure_id
        """,  # noqa: S608  # our own column names
        every=every,
    )


async def mark_seen(tx: Transaction, closure: Closure, seq: int) -> None:
    """Record that nothing is to be done until the book goes on."""
    await tx.execute(
        "UPDATE closure SET seen_seq = :seq WHERE merchant_no = :no AND closure_id = :id",
        no=closure.merchant_no,
        id=closure.closure_id,
        seq=seq,
    )


async def update_closure(tx: Transaction, closure: Closure) -> None:
    """Store where a closure stands."""
    changed = closure._asdict()
    for name in ("kind", "reason", "ordered_by", "created_at", "notice_ends_at"):
        del changed[name]
    times = ("closing_at", "started_at", "finished_at")
    settings = ", ".join(
        f"{name} = CAST(:{name} AS timestamptz)" if name in times else f"{name} = :{name}"
        for name in changed
        if name not in {"merchant_no", "closure_id"}
    )
    await tx.execute(
        f"UPDATE closure SET {settings}"  # noqa: S608  # our own column names
        " WHERE merchant_no = :merchant_no AND closure_id = :closure_id",
        **{**changed, "status": str(closure.status)},
    )


async def set_book_status(tx: Transaction, merchant_no: int, status: str) -> None:
    """Let every process see it: each reads the book's row when it locks it."""
    await tx.execute(
        "UPDATE book SET status = :status WHERE merchant_no = :no", status=status, no=merchant_no
    )


async def standing_of(tx: Transaction, merchant_no: int) -> Standing:
    """Read what bounds a closure as this transaction sees it."""
    rows = await tx.fetch(
        _Balance,
        """
        SELECT type, balance FROM account
        WHERE merchant_no = :no AND account_id = ANY(CAST(:ids AS uuid[]))
        """,
        no=merchant_no,
        ids=[account_id(merchant_no, kind) for kind in MERCHANT_ACCOUNT_TYPES],
    )
    waiting = await tx.value(
        "SELECT waiting_reversal_amount FROM book WHERE merchant_no = :no", no=merchant_no
    )
    assert isinstance(waiting, int), "a merchant has a book"
    return _standing({AccountType(row.type): row.balance for row in rows}, Fen(waiting))


def standing_in(book: LockedBook) -> Standing:
    """Read what bounds a closure from a locked book."""
    balances = {kind: book.balance(kind) for kind in MERCHANT_ACCOUNT_TYPES}
    return _standing(balances, book.head.waiting_reversal_amount)


def _standing(balances: dict[AccountType, Fen], waiting: Fen) -> Standing:
    in_transit = balances[AccountType.RELEASE_IN_TRANSIT] + balances[AccountType.REFUND_IN_TRANSIT]
    return Standing(
        custody_amount=balances[AccountType.CUSTODY],
        bank_claim_amount=balances[AccountType.BANK_CLAIM],
        payable_amount=balances[AccountType.MERCHANT_PAYABLE],
        disputed_amount=balances[AccountType.RELEASE_DISPUTED],
        in_transit_amount=Fen(in_transit),
        refund_payable_amount=balances[AccountType.REFUND_PAYABLE],
        suspense_amount=balances[AccountType.SUSPENSE],
        custody_yield_amount=balances[AccountType.CUSTODY_YIELD],
        waiting_reversal_amount=waiting,
    )


async def kind_totals(tx: Transaction, merchant_no: int) -> Sequence[KindTotal]:
    """Add up, per kind of card, what is left on cards that nobody refunds yet."""
    rows = await tx.fetch(
        KindTotal,
        f"""
        SELECT kind, CAST(count(*) AS integer) AS card_count,
               CAST(sum({LEFT}) AS bigint) AS refund_amount
        FROM card
        WHERE merchant_no = :no AND status = ANY(CAST(:statuses AS text[])) AND {LEFT} > 0
        GROUP BY kind ORDER BY kind
        """,  # noqa: S608  # our own column names
        no=merchant_no,
        statuses=list(REFUNDABLE),
    )
    return [row._replace(kind=CardKind(row.kind)) for row in rows]


async def count_waiting(tx: Transaction, merchant_no: int) -> tuple[int, int]:
    """Count the cards that wait for a dispute, and those under a hold."""

    class Waiting(NamedTuple):
        disputed: int
        held: int

    found = await tx.fetch_one(
        Waiting,
        f"""
        SELECT CAST(count(*) FILTER (WHERE card_id IN ({DISPUTED})) AS integer) AS disputed,
               CAST(count(*) FILTER (WHERE on_hold) AS integer) AS held
        FROM card
        WHERE merchant_no = :no AND status = ANY(CAST(:statuses AS text[])) AND {LEFT} > 0
        """,  # noqa: S608  # our own column names
        no=merchant_no,
        statuses=list(REFUNDABLE),
    )
    assert found is not None, "an aggregate gives one row"
    return found.disputed, found.held


async def count_certificates(tx: Transaction, closure: Closure) -> int:
    """Count the certificates that were issued for a closure."""
    found = await tx.value(
        "SELECT count(*) FROM closure_certificate WHERE merchant_no = :no AND closure_id = :id",
        no=closure.merchant_no,
        id=closure.closure_id,
    )
    assert isinstance(found, int), "a count is a number"
    return found
