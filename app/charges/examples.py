"""Whole examples, where a field alone would contradict another."""

from typing import Final

from pydantic import JsonValue

USE: Final[dict[str, JsonValue]] = {
    "store_id": "sto_01h455vb4pex5vsknk084sn02q",
    "consumer_code": "7K3QXM0T9V2BCDEF",
    "amount": 8000,
    "list_amount": 9000,
    "description": "剪发",
}
BATCH: Final[dict[str, JsonValue]] = {"items": [{**USE, "client_reference": "A-1001"}]}
ECHO: Final[dict[str, JsonValue]] = {
    "store_id": "sto_01h455vb4pex5vsknk084sn02q",
    "amount": 8000,
    "list_amount": 9000,
}
