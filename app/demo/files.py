"""What the bank does with a file: take it, prove it, execute it, and say what became of it."""

import base64
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import JsonValue
from rich.table import Table

from app.demo.client import Call, DemoFailed, new_key
from app.demo.figures import titled
from app.demo.money_shapes import Files, KeySet, Order, Outcomes, PaymentFile, Signature
from app.demo.world import Shop, World

HEADER: Final = (
    "record_type,file_id,kind,bank,business_date,sequence,order_id,merchant_id,custody_account,"
    "payee_name,payee_account_number,payee_bank_code,amount,currency,remittance,order_count,"
    "total_amount"
)
_COLUMNS: Final = tuple(HEADER.split(","))


@dataclass(frozen=True, slots=True)
class CutFile:
    """A file as the bank got it, with its orders."""

    file: PaymentFile
    orders: Sequence[Order]

    def order_of(self, shop: Shop, amount: int) -> Order:
        """Give the order that pays this from the shop's custody account."""
        (found,) = (
            order
            for order in self.orders
            if (order.merchant_id, order.amount) == (shop.merchant_id, amount)
        )
        return found


@dataclass(frozen=True, slots=True)
class Cuts:
    """The cuts so far: the number of our bank's last file, and what went into others' files."""

    sequences: Counter[str] = field(default_factory=Counter[str])
    amounts: Counter[str] = field(default_factory=Counter[str])
    """Of the files of other banks: it moves in the trial balance."""

    def note(self, world: World, kind: str, made: Sequence[PaymentFile]) -> None:
        """Add the files of one cut that are not our bank's."""
        self.amounts[kind] += sum(
            file.total_amount for file in made if file.bank != world.bank_name
        )


def cut(world: World, cuts: Cuts, kind: str, expected: Sequence[tuple[Shop, int]]) -> CutFile:
    """Cut files, take ours as the bank does, and prove every byte of it.

    `expected` is what its orders must be: from whose custody, and how much.
    """
    made = world.operator.create(Files, "/v1/payment-files/cut", {"kind": kind}).data
    cuts.note(world, kind, made)
    cuts.sequences[kind] += 1
    ready = world.bank.all(PaymentFile, "/v1/bank/files", kind=kind, status="ready")
    world.figures.same(f"{kind} files that wait for the bank", len(ready), 1)
    (file,) = ready
    world.figures.same("the file's sequence", file.sequence, cuts.sequences[kind])
    world.figures.same("the file's order_count", file.order_count, len(expected))
    total = sum(amount for _, amount in expected)
    world.figures.yuan("the file's total_amount", file.total_amount, total)
    content = _content(world, file)
    _prove(world, file, content)
    orders = world.bank.all(Order, f"/v1/bank/files/{file.id}/orders")
    amounts = sorted((order.merchant_id, order.amount) for order in orders)
    wanted = sorted((shop.merchant_id, amount) for shop, amount in expected)
    world.figures.same("the orders' amounts", amounts, wanted)
    _compare(world, file, orders, content)
    return CutFile(file, orders)


def cut_nothing(world: World, cuts: Cuts, kind: str) -> None:
    """Cut once more: what is in a file already is in no other."""
    made = world.operator.create(Files, "/v1/payment-files/cut", {"kind": kind}).data
    cuts.note(world, kind, made)
    ready = world.bank.all(PaymentFile, "/v1/bank/files", kind=kind, status="ready")
    world.figures.same(f"{kind} files after everything was cut", len(ready), 0)


def _content(world: World, file: PaymentFile) -> bytes:
    """Download the file, twice: it is the same each time, and its ETag is its SHA-256."""
    call = Call("GET", f"/v1/bank/files/{file.id}/content", accept="text/csv")
    first, second = world.bank.send(call), world.bank.send(call)
    if not first.is_success:
        raise DemoFailed(f"{call}: {first.status_code} {first.text}")
    world.figures.same("the file's bytes, a second time", second.content, first.content)
    digest = hashlib.sha256(first.content).hexdigest()
    world.figures.same("the file's sha256", file.sha256, digest)
    world.figures.same("the file's ETag", first.headers.get("etag"), f'"{digest}"')
    return first.content


def _prove(world: World, file: PaymentFile, content: bytes) -> None:
    """Check the signature over the bytes with the published key."""
    signature = world.bank.get(Signature, f"/v1/bank/files/{file.id}/signature")
    world.figures.same("the signature's algorithm", signature.algorithm, "Ed25519")
    keys = world.anybody.get(KeySet, "/.well-known/anxin-keys.json").keys
    key = next((key for key in keys if key.kid == signature.key_id), None)
    if key is None:
        raise DemoFailed(f"the key {signature.key_id} is not at /.well-known/anxin-keys.json")
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key.x + "=="))
    try:
        public.verify(base64.b64decode(signature.signature), content)
    except InvalidSignature:
        raise DemoFailed(f"the signature of {file.id} does not fit its bytes") from None


def _compare(world: World, file: PaymentFile, orders: Sequence[Order], content: bytes) -> None:
    """Read the CSV and compare each row with what the API says."""
    lines = content.decode("utf-8").split("\r\n")
    world.figures.same("the CSV's header", lines[0], HEADER)
    world.figures.same("the CSV's last line ends with CRLF", lines[-1], "")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
    expected = [
        {
            "record_type": "file",
            "kind": file.kind,
            "bank": file.bank,
            "business_date": file.business_date.isoformat(),
            "sequence": str(file.sequence),
        },
        *(_order_row(order) for order in sorted(orders, key=lambda order: order.id)),
        {
            "record_type": "total",
            "currency": "CNY",
            "order_count": str(file.order_count),
            "total_amount": str(file.total_amount),
        },
    ]
    world.figures.same("the number of the CSV's rows", len(rows), len(expected))
    empty = {**dict.fromkeys(_COLUMNS, ""), "file_id": file.id}
    for found, wanted in zip(rows, expected, strict=True):
        world.figures.same(f"the CSV's {wanted['record_type']} row", found, {**empty, **wanted})


def _order_row(order: Order) -> dict[str, str]:
    return {
        "record_type": "order",
        "order_id": order.id,
        "merchant_id": order.merchant_id,
        "custody_account": order.custody_account,
        "payee_name": order.payee_name,
        "payee_account_number": order.payee_account_number,
        "payee_bank_code": order.payee_bank_code or "",
        "amount": str(order.amount),
        "currency": order.currency,
        "remittance": order.remittance,
    }


def acknowledge(world: World, cut_file: CutFile) -> None:
    """Take a file over, after a try with a wrong total."""
    file = cut_file.file
    path = f"/v1/bank/files/{file.id}/acknowledge"
    wrong: dict[str, JsonValue] = {"total_amount": file.total_amount + 1}
    world.refused_post(
        "acknowledging a file with another total", world.bank, path, wrong, "file_mismatch"
    )
    right: dict[str, JsonValue] = {
        "sha256": file.sha256,
        "order_count": file.order_count,
        "total_amount": file.total_amount,
    }
    taken = world.bank.act(PaymentFile, path, right)
    world.figures.same("an acknowledged file's status", taken.status, "acknowledged")


def report(
    world: World, cut_file: CutFile, results: Sequence[tuple[Order, str, str | None]]
) -> list[str]:
    """Report what became of orders; give the outcomes in the order of the results."""
    body: dict[str, JsonValue] = {
        "results": [
            {"order_id": order.id, "status": status, "reason": reason}
            if reason
            else {"order_id": order.id, "status": status}
            for order, status, reason in results
        ]
    }
    path = f"/v1/bank/files/{cut_file.file.id}/results"
    answer = world.bank.expect(Outcomes, Call("POST", path, body, key=new_key()), 200)
    by_order = {outcome.order_id: outcome.outcome for outcome in answer.results}
    return [by_order[order.id] for order, _, _ in results]


def files_table() -> Table:
    """Begin the table of what was in the files, and what became of it."""
    table = Table(
        "file", "date", "from the custody of", "to", **titled("Orders in bank files, yuan")
    )
    table.add_column("amount", justify="right")
    table.add_column("the bank says")
    return table
