"""Where capabilities meet: what one of them triggers in another, which it does not import."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fastapi import FastAPI

from app.access import service as access_service
from app.access.approvals import Executor
from app.access.routes import approve
from app.api.application import declare_refusals
from app.calendar import service as calendar_service
from app.card_products import exemptions
from app.cards.errors import CardNotActive, CardOnHold, MerchantFrozen
from app.cases import rulings
from app.cases.conduct import Conducts
from app.cases.errors import CaseState
from app.cases.routes import answer_case
from app.cases.rows import CaseKind
from app.cases.service import Desk
from app.charges.commands import ServeReversals
from app.charges.errors import ChargeDisputed
from app.charges.tables import SERVED_MAX
from app.closures import executing as closures
from app.closures.errors import ClosureState
from app.disputes import deciding as disputes
from app.errors import InvalidRequest
from app.holds import service as holds_service
from app.holds.errors import HoldNotActive
from app.merchants import payees
from app.policies import service as policies_service
from app.policies.current import CurrentPolicies
from app.policies.errors import PolicyDatePassed, PolicyOverlaps
from app.purchases import returning, suspense
from app.purchases import service as purchases_service
from app.purchases.errors import PurchaseNotAwaitingPayment, ReceiptNotInSuspense
from app.refunds import payees as refund_payees
from app.refunds import service as refunds_service
from app.refunds.errors import ClosureInProgress, RefundNotAllowed
from app.writer.engine import Writer

CONDUCTS: Final[Conducts] = {
    CaseKind.DISPUTE: disputes.conduct,
    CaseKind.REFUND_CLAIM: refunds_service.conduct_claim,
}
"""What carries out the steps of each kind of case."""


def executors(
    policies: CurrentPolicies, till: purchases_service.Till, desk: Desk
) -> Mapping[str, Executor]:
    """Say what happens on approval, by action; those that move money submit to the writer."""
    return _without_doubles(
        access_service.EXECUTORS,
        calendar_service.EXECUTORS,
        exemptions.EXECUTORS,
        closures.EXECUTORS,
        holds_service.executors(till.writer),
        payees.executors(policies),
        policies_service.EXECUTORS,
        refund_payees.executors(till.writer, till.sealer),
        rulings.executors(desk),
        returning.EXECUTORS,
        suspense.executors(till),
    )


def serving(writer: Writer) -> Callable[[int], Awaitable[None]]:
    """Give what follows a bank's results: paid refunds are finished, then reversals served."""

    async def serve(merchant_no: int) -> None:
        await refunds_service.settle_paid(writer, merchant_no)
        served = SERVED_MAX
        while served >= SERVED_MAX:
            # A step takes so many at most; the next finds what the last has written.
            served = (await writer.submit(ServeReversals(merchant_no))).result

    return serve


def declare(api: FastAPI) -> None:
    """Say in the contract what calls may refuse for a capability that their own does not know."""
    # What stands in the way of upholding a case, whoever does.
    on_upholding = (CardNotActive, CardOnHold, ChargeDisputed, ClosureInProgress)
    # What an executor finds when it is approved: the world went on since it was proposed.
    on_approval = (
        CaseState,
        ClosureState,
        HoldNotActive,
        InvalidRequest,
        MerchantFrozen,
        PolicyDatePassed,
        PolicyOverlaps,
        PurchaseNotAwaitingPayment,
        ReceiptNotInSuspense,
        RefundNotAllowed,
    )
    declare_refusals(api, answer_case, *on_upholding)
    declare_refusals(api, approve, *on_approval, *on_upholding)


def _without_doubles(*parts: Mapping[str, Executor]) -> Mapping[str, Executor]:
    united: dict[str, Executor] = {}
    for part in parts:
        doubles = united.keys() & part.keys()
        if doubles:
            raise ValueError(f"two executors for {sorted(doubles)}")
        united.update(part)
    return united
