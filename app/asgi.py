"""The web process for an ASGI server: `uvicorn app.asgi:app`, or `anxin serve`."""

import gc

from app.commands.starting import prepared_settings
from app.main import create_app

app = create_app(prepared_settings())

# A use makes hundreds of short-lived tuples and few cycles. What is loaded by now stays, so it is
# not looked at again, and the rest is looked at less often than after every 700 allocations.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
