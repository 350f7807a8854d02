"""The composition root: every capability is put into the service here, and nowhere else."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog
from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from app.access import queries as access_queries
from app.access.keys import KeyRing
from app.access.limits import FailureLimit
from app.access.routes import router as access_router
from app.access.tokens import LocalIssuer, TokenVerifier
from app.api.application import lean_routes_of, make_api
from app.api.front import Front
from app.api.health import router as health_router
from app.api.lean import LeanDispatcher
from app.api.services import Services
from app.calendar import service as calendar_service
from app.calendar.current import CurrentCalendar
from app.calendar.routes import router as calendar_router
from app.card_life.routes import router as card_life_router
from app.card_products.routes import router as card_products_router
from app.cards.directory import MerchantDirectory
from app.cards.routes import router as cards_router
from app.cases.routes import router as cases_router
from app.cases.service import Desk
from app.charges.batches import BatchShare
from app.charges.consumer_routes import router as own_charges_router
from app.charges.routes import router as charges_router
from app.closures.routes import router as closures_router
from app.db.engine import Database
from app.db.sealing import Sealer
from app.db.signing import Ed25519Signer
from app.disputes.routes import router as disputes_router
from app.errors import DatabaseUnavailable
from app.evidence.routes import router as evidence_router
from app.holds.routes import router as holds_router
from app.merchants.public_routes import router as public_router
from app.merchants.routes import router as merchants_router
from app.observability import Metrics, configure_logging
from app.payment_files.bank_routes import router as bank_files_router
from app.payment_files.routes import router as payment_files_router
from app.policies.current import CurrentPolicies
from app.policies.domain import Policies, PolicyInvalid
from app.policies.routes import router as policies_router
from app.purchases import service as purchases_service
from app.purchases.receipt_routes import router as receipts_router
from app.purchases.routes import router as purchases_router
from app.reconciliation.routes import router as reconciliation_router
from app.refunds.routes import router as refunds_router
from app.registry import REGISTRY
from app.sandbox.routes import router as sandbox_router
from app.seams import CONDUCTS, declare, executors, serving
from app.settings import Settings, StartRefused
from app.writer.engine import Writer, WriterLimits

_log = structlog.stdlib.get_logger()

ROUTERS: Final[tuple[APIRouter, ...]] = (
    access_router,
    bank_files_router,
    calendar_router,
    card_life_router,
    card_products_router,
    cards_router,
    cases_router,
    charges_router,
    closures_router,
    disputes_router,
    evidence_router,
    own_charges_router,
    health_router,
    holds_router,
    merchants_router,
    payment_files_router,
    policies_router,
    public_router,
    purchases_router,
    receipts_router,
    reconciliation_router,
    refunds_router,
)
SANDBOX_ROUTERS: Final[tuple[APIRouter, ...]] = (sandbox_router,)
"""Calls without a credential, which only a sandbox has."""

_CUSTODY_EVERY_SECONDS: Final = 15.0
_CODE_GUESSES_PER_MINUTE: Final = 300
"""Per merchant, or as many as its uses by code: far above what scanning mistakes make, far below
what guessing 64 bits needs."""
_CODES_GUESSED: Final = (
    "Too many unknown codes from this merchant's tills; wait a minute, or charge by card_id."
)


@asynccontextmanager
async def open_services(
    settings: Settings, metrics: Metrics | None = None
) -> AsyncGenerator[Services, None]:
    """Open the long-lived parts of a process, web or worker, and close them in order.

    Raises:
        StartRefused: A key is missing or cannot be read, or production has a sandbox key.
    """
    metrics = metrics or Metrics()
    db = Database.connect(_database_url(settings))
    writer = _writer(settings, metrics)
    try:
        signer = _signer(settings)
        policies, sealer = CurrentPolicies(db, _policies(settings)), _sealer(settings)
        calendar = CurrentCalendar(db, provisional=settings.is_sandbox)
        directory = MerchantDirectory(db)
        till = purchases_service.Till(db, writer, sealer, calendar, policies)
        desk = Desk(db, writer, sealer, directory, CONDUCTS)
        services = Services(
            settings=settings,
            policies=policies,
            calendar=calendar,
            directory=directory,
            metrics=metrics,
            db=db,
            writer=writer,
            keys=KeyRing(db),
            tokens=_tokens(settings),
            code_guesses=FailureLimit(_CODE_GUESSES_PER_MINUTE, told=_CODES_GUESSED),
            batch_share=BatchShare(settings.writer.queue_max),
            signer=signer,
            sealer=sealer,
            serve_reversals=serving(writer),
            conducts=CONDUCTS,
            executors=executors(policies, till, desk),
        )
        await _refuse_sandbox(settings, db)
        await signer.publish(db)
        await calendar_service.load_official_years(db, provisional=settings.is_sandbox)
        await writer.start()
        yield services
    finally:
        await writer.stop()
        await db.close()


def create_api(settings: Settings) -> FastAPI:
    """Make the application with its contract, without the front."""
    routers = (*ROUTERS, *SANDBOX_ROUTERS) if settings.is_sandbox else ROUTERS

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncGenerator[Mapping[str, Services], None]:
        async with (
            open_services(settings, api.state.metrics) as services,
            _kept_up(services),
            _metrics_served(services),
        ):
            _log.info("service.started", mode=str(settings.mode), port=settings.port)
            yield {"services": services}
        _log.info("service.stopped")

    api = make_api(routers, lifespan)
    declare(api)
    api.state.metrics = Metrics()
    return api


def create_app(settings: Settings) -> ASGIApp:
    """Make the service for an ASGI server: front, then hot routes, then all others."""
    configure_logging(settings.log_level)
    api = create_api(settings)
    metrics: Metrics = api.state.metrics
    return Front(LeanDispatcher(api, lean_routes_of(api)), metrics.observe_request)


@asynccontextmanager
async def _kept_up(services: Services) -> AsyncGenerator[None, None]:
    """Keep what is remembered in this process young, for as long as it serves."""
    tasks = [
        asyncio.create_task(services.keys.watch(), name="revocations"),
        asyncio.create_task(_watch_custody(services), name="custody"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch_custody(services: Services) -> None:
    while True:
        try:
            await services.metrics.read_custody(services.db)
            await services.metrics.read_alerts(services.db)
        except DatabaseUnavailable:
            _log.warning("custody.unread")
        services.metrics.queue_length.set(services.writer.queued)
        await asyncio.sleep(_CUSTODY_EVERY_SECONDS)


@asynccontextmanager
async def _metrics_served(services: Services) -> AsyncGenerator[None, None]:
    port = services.settings.metrics_port
    try:
        server = services.metrics.serve(port)
    except OSError as error:
        raise StartRefused(
            f"METRICS_PORT {port} is taken ({error.strerror}): choose another."
        ) from error
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise StartRefused("DATABASE_URL is not set.")
    return settings.database_url


def _writer(settings: Settings, metrics: Metrics) -> Writer:
    limits = WriterLimits(
        lanes=settings.writer.lanes,
        batch_max=settings.writer.batch_max,
        queue_max=settings.writer.queue_max,
    )
    return Writer(
        _database_url(settings),
        REGISTRY,
        limits=limits,
        observe=metrics.observe_batch,
    )


def _policies(settings: Settings) -> Policies:
    try:
        return Policies.from_settings(settings.policies)
    except PolicyInvalid as error:
        raise StartRefused(f"POLICIES cannot be used: {error}.") from error


def _signer(settings: Settings) -> Ed25519Signer:
    if settings.signing_key_file is None:
        raise StartRefused("SIGNING_KEY_FILE is not set.")
    return Ed25519Signer.load(settings.signing_key_file)


def _sealer(settings: Settings) -> Sealer:
    if settings.data_key is None:
        raise StartRefused("DATA_KEY is not set.")
    try:
        return Sealer(base64.b64decode(settings.data_key.get_secret_value(), validate=True))
    except ValueError as error:
        raise StartRefused("DATA_KEY is not 32 bytes in base64.") from error


def _tokens(settings: Settings) -> TokenVerifier:
    local = (LocalIssuer.of(settings.data).issuer,) if settings.is_sandbox else ()
    return TokenVerifier((*settings.issuers, *local))


async def _refuse_sandbox(settings: Settings, db: Database) -> None:
    if settings.is_sandbox:
        return
    async with db.snapshot() as tx:
        if await access_queries.exists_sandbox_key(tx):
            raise StartRefused("Production refuses the sandbox's API keys; revoke them first.")
        if await tx.value("SELECT EXISTS (SELECT FROM sandbox_clock WHERE offset_seconds > 0)"):
            raise StartRefused("Production refuses a database whose clock a sandbox has moved.")
