"""Whom a refund pays: shown masked, changed only to a verified account of the same name."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from app.access import approvals
from app.access.approvals import Approval, Execution, Executor
from app.errors import FieldError, InvalidRequest, NotFound
from app.ids import Prefix, merchant_no_of, parse, to_text
from app.refunds import queries
from app.refunds.answer import refund_answer
from app.refunds.commands import NamePayee, VerifyPayee
from app.refunds.errors import RefundNotAllowed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from app.db.engine import Database, Transaction
    from app.db.sealing import Sealer
    from app.refunds.answer import Answer
    from app.refunds.rows import CardRefund
    from app.writer.engine import Writer
    from app.writer.requests import RequestKey

VERIFY_PAYEE: Final = "refund.payee_account"
"""The action under which accounts that holders name are verified."""

_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class NamedAccount:
    """An account as its holder names it; only ever sealed, masked or on its way to the bank."""

    holder_name: str
    account_number: str
    bank_code: str | None


def shown(
    sealer: Sealer, name: bytes | None, number: bytes | None, bank: str | None
) -> Answer | None:
    """Show an account masked; nothing where there is none yet."""
    if name is None or number is None:
        return None
    return {
        "holder_name": _masked_name(sealer.open(name)),
        "account_number": _masked(sealer.open(number)),
        "bank_code": bank,
    }


def payee_of(sealer: Sealer, refund: CardRefund) -> Answer | None:
    """Show whom a refund pays."""
    return shown(sealer, refund.payee_name, refund.payee_account_number, refund.payee_bank_code)


def naming(
    sealer: Sealer,
    refund: CardRefund,
    account: NamedAccount,
    *,
    consumer: UUID,
    request: RequestKey,
) -> NamePayee:
    """Make the command that names an account of the one who was to be paid.

    Raises:
        InvalidRequest: The account is in another name.
    """
    if refund.payee_name is not None:
        known = sealer.open(refund.payee_name)
        if _plain(known) != _plain(account.holder_name):
            raise InvalidRequest(
                FieldError("/holder_name", "The account must be in the name that was to be paid")
            )
    return NamePayee(
        refund.merchant_no,
        request,
        refund.refund_id,
        consumer,
        sealer.seal(account.holder_name),
        sealer.seal(account.account_number),
        account.bank_code,
    )


async def propose(db: Database, sealer: Sealer, refund: CardRefund) -> None:
    """Put the account that was named before a person; again changes nothing."""
    number, name = refund.new_payee_account_number, refund.new_payee_name
    if number is None or name is None:
        # It was verified in the meantime.
        return
    async with db.transaction() as tx:
        if await queries.is_proposed(tx, VERIFY_PAYEE, _seal(number)):
            return
        request = {
            "holder_name": sealer.open(name),
            "account_number": _masked(sealer.open(number)),
            "bank_code": refund.new_payee_bank_code,
            "seal": _seal(number),
        }
        subject = to_text(Prefix.REFUND, refund.refund_id)
        await approvals.propose(tx, VERIFY_PAYEE, subject, request, f"consumer:{refund.consumer}")


def executors(writer: Writer, sealer: Sealer) -> Mapping[str, Executor]:
    """Say what the approvals of this capability do, by action."""

    async def verify(tx: Transaction, approval: Approval) -> Execution:
        assert approval.subject_id is not None
        refund_id = parse(Prefix.REFUND, approval.subject_id)
        no = merchant_no_of(refund_id)
        refund = await queries.find_refund(tx, no, refund_id)
        if refund is None:
            raise NotFound
        number = refund.new_payee_account_number
        outdated = number is None or _seal(number) != approval.request["seal"]
        paid_to = refund.payee_account_number
        if outdated and paid_to is not None and _seal(paid_to) == approval.request["seal"]:
            # An earlier try did it, and its own commit was lost.
            return Execution(refund_answer(refund, payee_of(sealer, refund)))
        if number is None or outdated:
            raise RefundNotAllowed("Another account was named since; verify that one.")
        outcome = await writer.submit(VerifyPayee(no, None, refund_id, number))
        done: CardRefund = outcome.result
        return Execution(refund_answer(done, payee_of(sealer, done)))

    return {VERIFY_PAYEE: verify}


def _seal(number: bytes) -> str:
    """Name a sealed number; the same number sealed again has another name."""
    return sha256(number).hexdigest()


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def _masked(number: str) -> str:
    return f"****{number[-_SHOWN:]}" if len(number) > 2 * _SHOWN else "****"


def _masked_name(name: str) -> str:
    return f"{name[:1]}**"
