"""Use cases of closures: order, preview, cancel, propose to execute, read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from app.access.principals import OperatorPrincipal
from app.closures import certificate_queries, queries
from app.closures.domain import (
    EVENTS,
    NOTICE,
    Closure,
    ClosureEvent,
    ClosureKind,
    ClosureStatus,
    Preview,
    View,
    first_status,
    next_status,
)
from app.closures.errors import ClosureState, ClosureUnderWay
from app.db.rows import json_text
from app.errors import Forbidden, NotFound
from app.ids import merchant_no_of, new_id, new_platform_id
from app.ledger.books import LockedBook, locked_books
from app.ledger.posting import Entry
from app.money import Fen
from app.writer import requests
from app.writer.answers import Answered, as_facts, from_facts
from app.writer.writing import OutboxRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from app.access.principals import RegulatorPrincipal
    from app.closures.certificate import Certificate
    from app.db.engine import Database, Transaction
    from app.writer.requests import RequestKey

    Authority = OperatorPrincipal | RegulatorPrincipal

log = structlog.get_logger()


async def order_closure(  # noqa: PLR0913  # an order is its fields
    db: Database,
    merchant_id: UUID,
    kind: ClosureKind,
    reason: str,
    *,
    by: Authority,
    request: RequestKey,
) -> Answered[View]:
    """Close a merchant; nothing is refunded yet. A retry gives the same closure.

    Raises:
        ClosureUnderWay: It is closing, or has closed.
        Forbidden: That a merchant absconded is for a regulator to say.
        IdempotencyKeyReused: The key was used for another request.
        NotFound: There is no such merchant, or it is outside the regulator's scope.
    """
    if kind is ClosureKind.ABSCONDED and isinstance(by, OperatorPrincipal):
        raise Forbidden("That a merchant absconded is ordered by its regulator.")
    no = merchant_no_of(merchant_id)
    async with db.transaction() as tx:
        merchant = await require_merchant(tx, no, by)
        if merchant.merchant_id != merchant_id:
            raise NotFound
        stored = await requests.claim(tx, no, request)
        if stored is not None:
            return Answered(from_facts(View, stored), replayed=True)
        async with locked_books(tx, [no]) as books:
            book = books[no]
            standing = await queries.standing_closure(tx, no)
            if standing is not None:
                raise ClosureUnderWay(standing.closure_id)
            closure = _ordered(book, kind, reason, by.person_id)
            await queries.insert_closure(tx, closure)
            await take_effect(tx, book, closure)
        view = await view_of(tx, closure)
        await requests.keep(
            tx,
            no,
            request,
            command="order_closure",
            subject_id=closure.closure_id,
            answer=as_facts(view),
        )
    log.info("closure.ordered", closure_id=str(closure.closure_id), kind=closure.kind)
    return Answered(view)


def _ordered(book: LockedBook, kind: ClosureKind, reason: str, person_id: str) -> Closure:
    no, on_notice = book.head.merchant_no, kind is ClosureKind.NOTICE
    return Closure(
        merchant_no=no,
        closure_id=new_id(no),
        kind=kind,
        reason=reason,
        status=first_status(kind),
        ordered_by=person_id,
        created_at=book.at,
        notice_ends_at=book.at + NOTICE if on_notice else None,
        closing_at=None if on_notice else book.at,
        started_at=None,
        finished_at=None,
    )


async def take_effect(tx: Transaction, book: LockedBook, closure: Closure) -> None:
    """Let the book have the closure's status, for every process at once, and the chain too."""
    status = closure.status
    no = closure.merchant_no
    cancelled = status == ClosureStatus.CANCELLED
    await queries.set_book_status(tx, no, "open" if cancelled else status)
    book.append(Entry(f"closure_{status}", closure.closure_id, None, closure.content_hash()))
    event = EVENTS[ClosureStatus(status)]
    happened = json_text([[no, event, str(closure.closure_id)]])
    await tx.insert("outbox", OutboxRow, [OutboxRow(new_platform_id(), happened, book.at)])


async def end_notice(tx: Transaction, book: LockedBook, closure: Closure) -> Closure:
    """Let a closure whose notice is over be closing in its rows too; else leave it."""
    if not closure.is_due(book.at):
        return closure
    status = next_status(ClosureStatus(closure.status), ClosureEvent.END_NOTICE)
    closing = closure._replace(status=status, closing_at=book.at)
    await queries.update_closure(tx, closing)
    await take_effect(tx, book, closing)
    return closing


async def read_closure(db: Database, closure_id: UUID, *, by: Authority) -> View:
    """Give a closure with its progress.

    Raises:
        NotFound: There is no such closure, or it is outside the regulator's scope.
    """
    async with db.snapshot() as tx:
        return await view_of(tx, await require_closure(tx, closure_id, by))


async def list_closures(
    db: Database, merchant_id: UUID, *, by: Authority, before: UUID | None, count: int
) -> Sequence[View]:
    """Give a page of a merchant's closures, newest first.

    Raises:
        NotFound: There is no such merchant, or it is outside the regulator's scope.
    """
    no = merchant_no_of(merchant_id)
    async with db.snapshot() as tx:
        merchant = await require_merchant(tx, no, by)
        if merchant.merchant_id != merchant_id:
            raise NotFound
        found = await queries.closures_of(tx, no, before=before, count=count)
        return [await view_of(tx, closure) for closure in found]


async def view_anyones(db: Database, closure_id: UUID) -> Closure:
    """Give a closure with its progress to who may read the whole database.

    Raises:
        NotFound: There is no such closure.
    """
    async with db.snapshot() as tx:
        closure = await queries.find_closure(tx, merchant_no_of(closure_id), closure_id)
        if closure is None:
            raise NotFound
        view = await view_of(tx, closure)
        return view.closure._replace(status=view.status)


async def read_certificate(db: Database, closure_id: UUID, *, by: Authority) -> Certificate:
    """Give the certificate of a closure that counts: the last.

    Raises:
        NotFound: There is none yet, or no such closure in the caller's scope.
    """
    async with db.snapshot() as tx:
        closure = await require_closure(tx, closure_id, by)
        certificate = await certificate_queries.last_certificate(tx, closure)
    if certificate is None:
        raise NotFound
    return certificate


async def preview_closure(db: Database, closure_id: UUID, *, by: Authority) -> Preview:
    """Say what executing would do as things stand now; nothing changes.

    Raises:
        ClosureState: It was cancelled.
        NotFound: There is no such closure, or it is outside the regulator's scope.
    """
    async with db.snapshot() as tx:
        closure = await require_closure(tx, closure_id, by)
        if closure.status == ClosureStatus.CANCELLED:
            raise ClosureState(closure.status)
        return await preview_in(tx, closure)


async def cancel_closure(
    db: Database, closure_id: UUID, *, by: Authority, request: RequestKey
) -> Answered[View]:
    """Take back a closure that is on notice: the merchant sells again. Again gives the same.

    Raises:
        ClosureState: Its notice is over, or it had none.
        IdempotencyKeyReused: The key was used for another request.
        NotFound: There is no such closure, or it is outside the regulator's scope.
    """
    no = merchant_no_of(closure_id)
    async with db.transaction() as tx:
        await require_closure(tx, closure_id, by)
        stored = await requests.claim(tx, no, request)
        if stored is not None:
            return Answered(from_facts(View, stored), replayed=True)
        async with locked_books(tx, [no]) as books:
            closure = await require_closure(tx, closure_id, by)
            if closure.status != ClosureStatus.CANCELLED:
                status = next_status(closure.status_at(books[no].at), ClosureEvent.CANCEL)
                closure = closure._replace(status=status, finished_at=books[no].at)
                await queries.update_closure(tx, closure)
                await take_effect(tx, books[no], closure)
        view = await view_of(tx, closure)
        await requests.keep(
            tx, no, request, command="cancel_closure", subject_id=closure_id, answer=as_facts(view)
        )
    log.info("closure.cancelled", closure_id=str(closure_id))
    return Answered(view)


async def require_merchant(tx: Transaction, merchant_no: int, by: Authority) -> queries.Merchant:
    """Give a merchant that the caller may see.

    Raises:
        NotFound: There is none, or it is outside the regulator's scope.
    """
    merchant = await queries.find_merchant(tx, merchant_no)
    if merchant is None:
        raise NotFound
    if not isinstance(by, OperatorPrincipal) and not (
        (by.industries is None or merchant.industry in by.industries)
        and (by.districts is None or merchant.district in by.districts)
    ):
        raise NotFound
    return merchant


async def require_closure(tx: Transaction, closure_id: UUID, by: Authority) -> Closure:
    """Give a closure that the caller may see.

    Raises:
        NotFound: There is none, or it is outside the regulator's scope.
    """
    no = merchant_no_of(closure_id)
    closure = await queries.find_closure(tx, no, closure_id)
    if closure is None:
        raise NotFound
    await require_merchant(tx, no, by)
    return closure


async def view_of(tx: Transaction, closure: Closure) -> View:
    """Show a closure: before it is executed, with what there is to refund now.

    Later with what there was then, or what was refunded where more came to be owed since.
    """
    merchant = await queries.find_merchant(tx, closure.merchant_no)
    assert merchant is not None, "a closure is a merchant's"
    status = closure.status_at(await tx.now())
    if closure.started_at is None and status != ClosureStatus.CANCELLED:
        totals = await queries.kind_totals(tx, closure.merchant_no)
        closure = closure._replace(
            card_count=sum(total.card_count for total in totals),
            refund_amount=Fen(sum(total.refund_amount for total in totals)),
        )
    else:
        closure = closure._replace(
            card_count=max(closure.card_count, closure.refunded_count),
            refund_amount=Fen(max(closure.refund_amount, closure.refunded_amount)),
        )
    issued = await queries.count_certificates(tx, closure)
    return View(closure, merchant.merchant_id, status, issued)


async def preview_in(tx: Transaction, closure: Closure) -> Preview:
    """Say what executing a closure would do as this transaction sees it."""
    disputed, held = await queries.count_waiting(tx, closure.merchant_no)
    return Preview(
        closure,
        await tx.now(),
        await queries.kind_totals(tx, closure.merchant_no),
        disputed,
        held,
        await queries.standing_of(tx, closure.merchant_no),
    )
