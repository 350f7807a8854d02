"""Another account for money from suspense that its payer's account does not take any more.

A bank said `account_closed`, `account_unknown` or `name_mismatch` of it, so no file pays that
account again. The payer has no credential here: an operator enters the account that the payer
named to them, a second person verifies it, and it must be in the payer's name.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from app.access import approvals
from app.access.approvals import Approval, Execution, Executor
from app.errors import FieldError, InvalidRequest, NotFound
from app.ids import PLATFORM_NO, Prefix, merchant_no_of, parse, to_text
from app.ledger.books import locked_books
from app.merchants.domain import masked
from app.purchases import queries
from app.purchases.suspense import receipt_result
from app.refunds.errors import RefundNotAllowed
from app.writer import requests
from app.writer.answers import Answered, as_facts, from_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.db.engine import Transaction
    from app.db.sealing import Sealer
    from app.purchases.service import Till
    from app.refunds.payees import NamedAccount
    from app.writer.requests import RequestKey

PAYEE: Final = "receipt.payee_account"


class _Refund(NamedTuple):
    """A receipt's refund, as far as its payee goes; all of it sealed."""

    refund_id: UUID
    status: str
    payee_name: bytes
    payee_account_number: bytes
    new_payee_account_number: bytes | None


async def propose_payee(
    till: Till, receipt_id: UUID, account: NamedAccount, *, by: str, request: RequestKey
) -> Answered[Approval]:
    """Put before a second person where a receipt goes back to; naming another replaces it.

    Raises:
        IdempotencyKeyReused: The key was used for another request.
        InvalidRequest: The account is in another name than the payer's.
        NotFound: No such receipt.
        RefundNotAllowed: The receipt is not on its way back, or its account still takes it.
    """
    no = merchant_no_of(receipt_id)
    async with till.db.transaction() as tx:
        stored = await requests.claim(tx, no, request)
        if stored is not None:
            return Answered(from_facts(Approval, stored), replayed=True)
        if no == PLATFORM_NO or await queries.find_receipt(tx, no, receipt_id) is None:
            raise NotFound
        # The book's lock: cuts and banks' results move the refund under it.
        async with locked_books(tx, [no]):
            refund = await _needing_account(tx, no, receipt_id)
            _check_name(till.sealer, refund, account)
            number = till.sealer.seal(account.account_number)
            await _name(tx, no, refund.refund_id, till.sealer, account, number)
        facts = {
            "holder_name": account.holder_name,
            "account_number": masked(account.account_number),
            "bank_code": account.bank_code,
            "seal": _seal(number),
        }
        approval = await approvals.propose(
            tx, PAYEE, to_text(Prefix.RECEIPT, receipt_id), facts, by
        )
        await requests.keep(
            tx,
            no,
            request,
            command=PAYEE,
            subject_id=approval.approval_id,
            answer=as_facts(approval),
        )
    return Answered(approval)


async def _verify(tx: Transaction, approval: Approval) -> Execution:
    """Let the next file pay the account that was named; in the approval's own transaction."""
    receipt_id = parse(Prefix.RECEIPT, approval.subject_id or "")
    no = merchant_no_of(receipt_id)
    async with locked_books(tx, [no]):
        refund = await _needing_account(tx, no, receipt_id)
        named = refund.new_payee_account_number
        if named is None or _seal(named) != approval.request["seal"]:
            raise RefundNotAllowed("Another account was named since; verify that one.")
        await _pay_named(tx, no, refund.refund_id)
    receipt = await queries.find_receipt(tx, no, receipt_id)
    assert receipt is not None
    return Execution(receipt_result(receipt))


EXECUTORS: Final[Mapping[str, Executor]] = {PAYEE: _verify}


async def _needing_account(tx: Transaction, no: int, receipt_id: UUID) -> _Refund:
    refund = await tx.fetch_one(
        _Refund,
        """
        SELECT refund_id, status, payee_name, payee_account_number, new_payee_account_number
        FROM refund WHERE merchant_no = :no AND receipt_id = :id
        """,
        no=no,
        id=receipt_id,
    )
    if refund is None:
        raise RefundNotAllowed("The receipt does not go back; it needs no other account.")
    if refund.status != "account_needed":
        raise RefundNotAllowed(
            f"The refund is {refund.status}; it needs no other account.",
            refund_status=refund.status,
        )
    return refund


def _check_name(sealer: Sealer, refund: _Refund, account: NamedAccount) -> None:
    if _plain(sealer.open(refund.payee_name)) != _plain(account.holder_name):
        raise InvalidRequest(
            FieldError("/holder_name", "The account must be in the name that was to be paid")
        )


async def _name(  # noqa: PLR0913, PLR0917  # what is written is an account of a refund of a book
    tx: Transaction,
    no: int,
    refund_id: UUID,
    sealer: Sealer,
    account: NamedAccount,
    number: bytes,
) -> None:
    await tx.execute(
        """
        UPDATE refund SET new_payee_name = :name, new_payee_account_number = :number,
            new_payee_bank_code = CAST(:bank AS text)
        WHERE merchant_no = :no AND refund_id = :id
        """,
        no=no,
        id=refund_id,
        name=sealer.seal(account.holder_name),
        number=number,
        bank=account.bank_code,
    )


async def _pay_named(tx: Transaction, no: int, refund_id: UUID) -> None:
    await tx.execute(
        """
        UPDATE refund SET status = 'decided', payee_name = new_payee_name,
            payee_account_number = new_payee_account_number,
            payee_bank_code = new_payee_bank_code, new_payee_name = NULL,
            new_payee_account_number = NULL, new_payee_bank_code = NULL
        WHERE merchant_no = :no AND refund_id = :id
        """,
        no=no,
        id=refund_id,
    )


def _seal(number: bytes) -> str:
    """Name a sealed number; the same number sealed again has another name."""
    return sha256(number).hexdigest()


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()
