"""Is the process alive, and can it do its work?"""

import asyncio
from typing import Final, Literal

from fastapi import Response

from app.api.dependencies import ServicesDep
from app.api.routing import api_router
from app.api.schemas import Model
from app.api.services import Services
from app.errors import DatabaseUnavailable

router = api_router(tag="health")

_READY_SECONDS: Final = 2.0


class HealthRead(Model):
    """The process answers."""

    status: Literal["ok"]


class ReadinessRead(Model):
    """Whether calls can be served, and what each part says."""

    status: Literal["ready", "unready"]
    database: bool
    schema_version: str | None
    writer: bool


@router.get("/healthz", summary="Say whether the process lives")
async def read_health() -> HealthRead:
    """Say that the process lives; the database is not asked, whose faults no restart mends."""
    return HealthRead(status="ok")


@router.get(
    "/readyz",
    summary="Say whether calls can be served",
    responses={503: {"model": ReadinessRead, "description": "Not now; ask again."}},
)
async def read_readiness(services: ServicesDep, response: Response) -> ReadinessRead:
    """Say whether database, schema and writer are there; answers within two seconds."""
    readiness = await _look(services)
    if readiness.status != "ready":
        response.status_code = 503
        response.headers["retry-after"] = "2"
    return readiness


async def _look(services: Services) -> ReadinessRead:
    version: object = None
    try:
        async with asyncio.timeout(_READY_SECONDS), services.db.snapshot() as tx:
            version = await tx.value("SELECT version_num FROM alembic_version")
    except (DatabaseUnavailable, TimeoutError):
        pass
    database = isinstance(version, str)
    writer = services.writer.is_running
    return ReadinessRead(
        status="ready" if database and writer else "unready",
        database=database,
        schema_version=version if isinstance(version, str) else None,
        writer=writer,
    )
