"""A route that does nothing, with the body of a charge: what plain FastAPI costs by itself."""

import sys
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header
from pydantic import BaseModel, ConfigDict

app = FastAPI()


class Charge(BaseModel):
    """The fields that the benchmark sends."""

    model_config = ConfigDict(extra="forbid")

    store_id: str
    consumer_code: str
    amount: int


class Nothing(BaseModel):
    """An answer."""

    status: str


@app.post("/v1/charges")
async def charge(
    body: Charge,
    authorization: Annotated[str, Header()],
    idempotency_key: Annotated[str, Header()],
) -> Nothing:
    """Read everything and do nothing."""
    assert body.amount and authorization and idempotency_key  # noqa: PT018  # only looked at
    return Nothing(status="ok")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_config=None)
