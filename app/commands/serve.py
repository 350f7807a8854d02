"""`anxin serve`: the web process."""

import uvicorn

from app.api.protocol import BoundedProtocol
from app.commands.starting import (
    check_before_start,
    end_with_supervisor,
    prepared_settings,
    refuse_busy_port,
)

_GRACE_SECONDS = 10
_IDLE_SECONDS = 75


def serve() -> None:
    """Serve the API and its docs from a migrated database."""
    end_with_supervisor()
    settings = prepared_settings()
    check_before_start(settings)
    refuse_busy_port(settings.host, settings.port, setting="PORT")
    uvicorn.run(
        "app.asgi:app",
        host=settings.host,
        port=settings.port,
        http=BoundedProtocol,
        access_log=False,  # a line per request, with its id, is written by the service itself
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=_IDLE_SECONDS,
    )
