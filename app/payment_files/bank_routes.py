"""`/v1/bank/files`: what a custodian bank's settlement job calls."""

import asyncio
from typing import Annotated, Final

from fastapi import Header, Query, Response

from app import ids
from app.api.dependencies import (
    BankDep,
    DatabaseDep,
    IdempotencyDep,
    ServicesDep,
    mark_replayed,
)
from app.api.errors import NotAcceptable
from app.api.lean import REPLAYED, LeanResponse, lean
from app.api.pagination import ListRead, PageDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import FileId
from app.errors import NotFound
from app.ids import Prefix
from app.payment_files import results, service
from app.payment_files.domain import Below, FileFilter, FileKind, FileStatus
from app.payment_files.errors import FileMismatch, OrderNotInFile
from app.payment_files.routes import parts_of
from app.payment_files.schemas import (
    FileAcknowledge,
    FileRead,
    OrderRead,
    ResultsCreate,
    ResultsRead,
    SignatureRead,
)

router = api_router("/v1/bank/files", tag="bank files")

CSV: Final = "text/csv; charset=utf-8; header=present"
_ACCEPTED: Final = frozenset({"text/csv", "text/*", "*/*"})


@router.get("", summary="List files")
async def list_bank_files(
    bank: BankDep,
    db: DatabaseDep,
    page: PageDep,
    kind: Annotated[FileKind | None, Query()] = None,
    status: Annotated[FileStatus | None, Query()] = None,
) -> ListRead[FileRead]:
    """List the bank's files."""
    rows = await service.list_files(
        db, bank.bank, FileFilter(kind, status), Below(page.after_id, page.fetch_count)
    )
    return page.shown(rows, lambda file: file.file_id, FileRead.from_domain)


@router.get("/{file_id}", summary="Read a file", responses=problems(NotFound))
async def read_bank_file(file_id: FileId, bank: BankDep, db: DatabaseDep) -> FileRead:
    """Give a file; reading it hands nothing out."""
    file = await service.read_file(db, bank.bank, ids.parse(Prefix.FILE, file_id))
    return FileRead.from_domain(file)


@router.get(
    "/{file_id}/content",
    summary="Download a file",
    response_class=Response,
    responses={
        200: {
            "description": "The file; `ETag` is its SHA-256.",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        },
        **problems(NotAcceptable, NotFound),
    },
)
async def download_bank_file(
    file_id: FileId,
    bank: BankDep,
    services: ServicesDep,
    accept: Annotated[str | None, Header(max_length=1000)] = None,
) -> Response:
    """Give the file's bytes, the same each time; from now on it cannot be cancelled."""
    _require_csv(accept)
    handed = await service.hand_out(
        services.db, services.sealer, bank.bank, ids.parse(Prefix.FILE, file_id)
    )
    return Response(
        handed.content,
        media_type=CSV,
        headers={
            "etag": f'"{handed.sha256.hex()}"',
            "content-disposition": f'attachment; filename="{file_id}.csv"',
            "cache-control": "no-store",
        },
    )


@router.get(
    "/{file_id}/signature",
    summary="Read a file's signature",
    responses=problems(NotFound),
)
async def read_bank_file_signature(
    file_id: FileId, bank: BankDep, db: DatabaseDep
) -> SignatureRead:
    """Give the detached signature over the file's bytes."""
    signed = await service.read_signature(db, bank.bank, ids.parse(Prefix.FILE, file_id))
    return SignatureRead.from_domain(signed)


@router.get(
    "/{file_id}/orders",
    summary="List a file's orders",
    responses=problems(NotFound),
)
async def list_bank_file_orders(
    file_id: FileId, bank: BankDep, services: ServicesDep, page: PageDep
) -> ListRead[OrderRead]:
    """List a file's orders; from now on it cannot be cancelled."""
    rows = await service.list_orders(
        services.db,
        services.sealer,
        bank.bank,
        ids.parse(Prefix.FILE, file_id),
        Below(page.after_id, page.fetch_count),
    )
    return page.shown(rows, lambda order: order.order_id, OrderRead.from_domain)


@router.post(
    "/{file_id}/acknowledge",
    summary="Acknowledge a file",
    responses=problems(FileMismatch, NotFound),
)
async def acknowledge_bank_file(
    file_id: FileId,
    *,
    bank: BankDep,
    request: IdempotencyDep,
    db: DatabaseDep,
    response: Response,
    body: FileAcknowledge | None = None,
) -> FileRead:
    """Say that the bank has the file; repeating it under any key gives the same."""
    figures = (body or FileAcknowledge()).to_domain()
    id_ = ids.parse(Prefix.FILE, file_id)
    taken = await service.acknowledge(db, bank.bank, id_, figures, request=request)
    mark_replayed(response, taken)
    return FileRead.from_domain(taken.value)


@router.post(
    "/{file_id}/results",
    summary="Report results",
    response_model=ResultsRead,
    responses=problems(NotFound, OrderNotInFile),
)
@lean
async def report_bank_file_results(
    file_id: FileId,
    body: ResultsCreate,
    bank: BankDep,
    request: IdempotencyDep,
    services: ServicesDep,
) -> LeanResponse:
    """Say what became of orders; it counts as acknowledgement, and repeating it does no harm."""
    # In threads: a hundred thousand lines take seconds, in which others are served.
    done = await results.report_results(
        parts_of(services),
        bank.bank,
        ids.parse(Prefix.FILE, file_id),
        await asyncio.to_thread(body.to_domain),
        request=request,
    )
    shown = await asyncio.to_thread(lambda: ResultsRead.from_domain(done.value).model_dump_json())
    return LeanResponse(200, shown.encode(), REPLAYED if done.replayed else ())


def _require_csv(accept: str | None) -> None:
    """Go on where the client takes CSV; no other form is offered yet."""
    if accept is None:
        return
    asked = {entry.split(";")[0].strip().lower() for entry in accept.split(",")}
    if not asked & _ACCEPTED:
        raise NotAcceptable("This file is offered as text/csv only.")
