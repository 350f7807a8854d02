"""`/v1/ledger`, for operators."""

from typing import Annotated

from fastapi import Query

from app import ids
from app.api.dependencies import DatabaseDep, OperatorDep
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import AccountId, MerchantId, Time
from app.errors import NotFound
from app.ids import Prefix
from app.reconciliation import service
from app.reconciliation.schemas import AccountsRead, TransferRead, TrialBalanceRead

router = api_router("/v1/ledger", tag="ledger")


@router.get("/trial-balance", summary="Read the trial balance")
async def read_trial_balance(
    _: OperatorDep, db: DatabaseDep, as_of: Annotated[Time | None, Query()] = None
) -> TrialBalanceRead:
    """Give what stands on all accounts now, or stood there at a past moment."""
    return TrialBalanceRead.from_domain(await service.read_trial_balance(db, as_of))


@router.get("/accounts", summary="List a merchant's accounts", responses=problems(NotFound))
async def list_ledger_accounts(
    _: OperatorDep, db: DatabaseDep, merchant_id: Annotated[MerchantId, Query()]
) -> AccountsRead:
    """Give a merchant's own accounts with their balances."""
    id_ = ids.parse(Prefix.MERCHANT, merchant_id)
    return AccountsRead.from_domain(await service.list_own_accounts(db, id_))


@router.get(
    "/accounts/{account_id}/transfers",
    summary="List an account's transfers",
    responses=problems(NotFound),
)
async def list_ledger_transfers(
    account_id: AccountId, _: OperatorDep, db: DatabaseDep, page: PageDep
) -> ListRead[TransferRead]:
    """List what moved on an account."""
    rows = await service.list_transfers(
        db,
        ids.parse(Prefix.ACCOUNT, account_id),
        before=page.after_number,
        limit=page.fetch_count,
    )
    return page.shown(rows, lambda line: line.seq, TransferRead.from_domain)
