"""The web process for an ASGI server: `uvicorn app.asgi:app`, or `anxin serve`."""

from app.commands.starting import prepared_settings
from app.main import create_app

app = create_app(prepared_settings())
