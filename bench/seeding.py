"""A ledger with merchants, cards and a history, made by the service's own pure functions.

The rows are those that sales and uses would have left, hash chains included, so that `anxin
verify` proves them. They are copied in book by book: selling 200,000 cards over HTTP would take
longer than the measurement.
"""

import asyncio
import base64
import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from multiprocessing import get_context
from os import urandom
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from app.access.domain import SECRET_PREFIX, secret_hash
from app.access.principals import consumer_of
from app.cards.domain import Card, CardKind, Draw
from app.cards.statement import CardEntry, CardEntryKind, Line, enter
from app.charges.domain import Charge, ChargeStatus, ConfirmationMethod, write_draws
from app.db.rows import Json, Row, columns_of
from app.ids import new_id, new_platform_id
from app.ledger.chain import genesis
from app.ledger.chart import MERCHANT_ACCOUNT_TYPES, AccountType, account_id
from app.ledger.posting import Entry, Movement, append
from app.ledger.rows import Account, BookHead, Fact, Transfer
from app.money import Fen
from app.purchases.domain import (
    CardIssue,
    CoolingOff,
    Product,
    Purchase,
    PurchaseStatus,
    Receipt,
    ReceiptStatus,
    new_card,
)
from app.settings import SANDBOX_ISSUER
from bench.money import BONUS_AMOUNT, PRICE_AMOUNT

_BOOKS_A_COPY: Final = 100
_CONTRACT: Final = "A contract of the benchmark."
_SEALED: Final = b"\x01sealed"
_WORKERS: Final = 2


class Shape(NamedTuple):
    """How large a ledger is."""

    merchants: int
    cards: int
    uses_per_card: int = 0

    @property
    def transfers(self) -> int:
        """How many transfers it holds: each card's payment, and its uses."""
        return self.cards * (1 + self.uses_per_card)


@dataclass(frozen=True, slots=True)
class Till:
    """A merchant as its point of sale knows it, with its cards."""

    merchant_no: int
    merchant_id: UUID
    store_id: UUID
    key: str
    cards: list[UUID] = field(default_factory=list[UUID])
    consumers: list[str] = field(default_factory=list[str])


class _Merchant(NamedTuple):
    merchant_no: int
    merchant_id: UUID
    name: str
    licence_number: str
    industry: str
    district: str
    created_at: datetime


class _Store(NamedTuple):
    merchant_no: int
    store_id: UUID
    name: str
    status: str
    created_at: datetime


class _Custody(NamedTuple):
    merchant_no: int
    bank: str
    account_number: str
    holder_name: str
    created_at: datetime


class _Key(NamedTuple):
    key_id: UUID
    secret_hash: bytes
    role: str
    person_id: str
    merchant_no: int
    created_at: datetime


class _ProductRow(NamedTuple):
    merchant_no: int
    product_id: UUID
    name: str
    kind: str
    price_amount: int
    bonus_amount: int
    terms: Json
    contract_version: int
    contract_text: str
    contract_sha256: bytes
    created_at: datetime


class _ConsumerMerchant(NamedTuple):
    consumer: UUID
    merchant_no: int


_TABLES: Final[dict[str, type[Row]]] = {
    "merchant": _Merchant,
    "book": BookHead,
    "store": _Store,
    "custody_account": _Custody,
    "api_key": _Key,
    "account": Account,
    "card_product": _ProductRow,
    "purchase": Purchase,
    "receipt": Receipt,
    "card": Card,
    "consumer_merchant": _ConsumerMerchant,
    "card_entry": CardEntry,
    "charge": Charge,
    "transfer": Transfer,
    "fact": Fact,
}
"""In the order of their foreign keys."""


class _Shop(NamedTuple):
    """Where and when a card is sold."""

    product: Product
    store_id: UUID
    at: datetime


class _Rows:
    """Rows of some books, by table."""

    def __init__(self) -> None:
        self.by_table: dict[str, list[Any]] = {name: [] for name in _TABLES}
        self._table_of = {shape: name for name, shape in _TABLES.items()}

    def add(self, *rows: Row) -> None:
        for row in rows:
            self.by_table[self._table_of[type(row)]].append(row)


def secret_of(merchant_no: int) -> str:
    """Give the key of a merchant's till. The cluster lives for one run on one machine."""
    digest = sha256(f"bench till {merchant_no}".encode()).digest()
    return SECRET_PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def seed(dsn: str, shape: Shape) -> None:
    """Fill an empty, migrated database, book by book."""
    parts = [
        range(first, min(first + _BOOKS_A_COPY, shape.merchants + 1))
        for first in range(1, shape.merchants + 1, _BOOKS_A_COPY)
    ]
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(_seed_books, dsn, shape, part) for part in parts]:
            done.result()
    asyncio.run(_settle(dsn))


async def read_tills(dsn: str) -> list[Till]:
    """Read the merchants with their cards, in the order of their numbers."""
    connection = await asyncpg.connect(dsn)
    try:
        merchants = await connection.fetch(
            "SELECT merchant_no, merchant_id, store_id FROM merchant JOIN store USING (merchant_no)"
            " ORDER BY merchant_no"
        )
        tills = {no: Till(no, id_, store, secret_of(no)) for no, id_, store in merchants}
        for no, card, consumer in await connection.fetch(
            "SELECT merchant_no, card_id, consumer_id FROM card ORDER BY card_id"
        ):
            tills[no].cards.append(card)
            tills[no].consumers.append(consumer)
    finally:
        await connection.close()
    return list(tills.values())


def _seed_books(dsn: str, shape: Shape, numbers: Iterable[int]) -> None:
    asyncio.run(_copy_books(dsn, shape, numbers))


async def _copy_books(dsn: str, shape: Shape, numbers: Iterable[int]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        at: datetime = await connection.fetchval("SELECT anxin_now()")
        rows = _Rows()
        for no in numbers:
            cards = shape.cards // shape.merchants + (no <= shape.cards % shape.merchants)
            _make_book(rows, no, cards, shape.uses_per_card, at)
        async with connection.transaction():
            for table, row_type in _TABLES.items():
                await connection.copy_records_to_table(
                    table,
                    records=rows.by_table[table],
                    columns=[column.name for column in columns_of(row_type)],
                )
    finally:
        await connection.close()


async def _settle(dsn: str) -> None:
    """Leave the tables as autovacuum would."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()


def _make_book(rows: _Rows, no: int, cards: int, uses: int, at: datetime) -> None:
    """Make a merchant, its cards in the order of their sale, and what was used of them since."""
    store_id = new_id(no)
    product = _add_merchant(rows, no, store_id, at)
    accounts = {
        id_: Account(no, id_, kind)
        for kind in MERCHANT_ACCOUNT_TYPES
        for id_ in (account_id(no, kind),)
    }
    entries: list[Entry] = []
    sold: list[Card] = []
    for number in range(cards):
        card, entry = _sell(rows, _Shop(product, store_id, at), number, seq=len(entries) + 1)
        sold.append(card)
        entries.append(entry)
        accounts[card.card_id] = Account(no, card.card_id, AccountType.CARD)
    for _ in range(uses):
        for position, card in enumerate(sold):
            sold[position], entry = _use(rows, card, store_id, seq=len(entries) + 1, at=at)
            entries.append(entry)
    head = BookHead(no, "open", 0, genesis(no), at, Fen(0))
    appended = append(head, accounts, entries, at)
    rows.add(appended.head, *{**accounts, **appended.accounts}.values(), *sold)
    rows.add(*appended.transfers, *appended.facts)


def _add_merchant(rows: _Rows, no: int, store_id: UUID, at: datetime) -> Product:
    contract_sha256 = sha256(_CONTRACT.encode()).digest()
    product = Product(
        no,
        new_id(no),
        CardKind.STORED_VALUE,
        PRICE_AMOUNT,
        BONUS_AMOUNT,
        *(None, None, None, None),
        1,
        contract_sha256,
        on_sale=True,
    )
    rows.add(
        _Merchant(no, new_id(no), f"Merchant {no}", f"BENCH{no:013}", "fitness", "330106", at),
        _Store(no, store_id, f"Store {no}", "open", at),
        _Custody(no, "HZCB", f"{no:020}", f"Custody {no}", at),
        _Key(new_platform_id(), secret_hash(secret_of(no)), "merchant", "till", no, at),
        _ProductRow(
            no,
            product.product_id,
            "Card",
            product.kind,
            product.price_amount,
            product.bonus_amount,
            Json(json.dumps({})),
            1,
            _CONTRACT,
            contract_sha256,
            at,
        ),
    )
    return product


def _sell(rows: _Rows, shop: _Shop, number: int, *, seq: int) -> tuple[Card, Entry]:
    """Make a card with its purchase, its receipt and the first line of its statement."""
    product, store_id, at = shop
    no = product.merchant_no
    consumer_id = f"bench-{no}-{number}"
    card_id, purchase_id = new_id(no), new_id(no)
    purchase = Purchase(
        no,
        purchase_id,
        product.product_id,
        store_id,
        PurchaseStatus.FUNDED,
        product.price_amount,
        consumer_of(SANDBOX_ISSUER, consumer_id),
        consumer_id,
        SANDBOX_ISSUER,
        product.contract_version,
        product.contract_sha256,
        at,
        card_id,
        at + timedelta(minutes=30),
        at,
    )
    receipt = Receipt(
        no,
        new_id(no),
        ReceiptStatus.MATCHED,
        None,
        "HZCB",
        f"BENCH-{no}-{number}",
        f"{no:020}",
        product.price_amount,
        purchase.payment_reference,
        *(_SEALED, _SEALED, _SEALED),
        purchase_id,
        card_id,
        None,
        at,
        at,
    )
    card = new_card(
        purchase,
        product,
        CardIssue(card_id, urandom(16), CoolingOff(7, at.date() + timedelta(days=7))),
        paid_at=at,
        at=at,
    )
    told = Line(CardEntryKind.FUNDED, receipt.receipt_id, store_id, card.terms_hash)
    card, line = enter(card, told, seq=seq, at=at)
    rows.add(purchase, receipt, line, _ConsumerMerchant(card.consumer, no))
    custody = account_id(no, AccountType.CUSTODY)
    movement = Movement(custody, card_id, receipt.amount)
    return card, Entry("purchase_funded", receipt.receipt_id, movement, line.content_hash())


def _use(rows: _Rows, card: Card, store_id: UUID, *, seq: int, at: datetime) -> tuple[Card, Entry]:
    """Make a use by code, as `app.charges.placing` would have decided it."""
    no = card.merchant_no
    face = Fen(1_00 + seq % 199_00)
    draw = Draw(card.card_id, face, None, None, None)
    after = card.use(draw)
    release = Fen(after.released_amount - card.released_amount)
    draw = draw._replace(release_amount=release)
    charge = _charge(card, store_id, face, at).confirmed(
        confirmation_id=new_id(no),
        method=ConfirmationMethod.CONSUMER_CODE,
        draws=[draw],
        at=at,
    )
    evidence = charge.confirmation_hash
    assert evidence is not None, "a confirmed charge has one"
    told = Line(CardEntryKind.USED, charge.charge_id, store_id, evidence, draw, release)
    after, line = enter(after, told, seq=seq, at=at)
    rows.add(charge._replace(balance_face_amount=after.face_available_amount), line)
    movement = Movement(card.card_id, account_id(no, AccountType.MERCHANT_PAYABLE), release)
    return after, Entry("use_confirmed", charge.charge_id, movement, line.content_hash())


def _charge(card: Card, store_id: UUID, face: Fen, at: datetime) -> Charge:
    return Charge(
        merchant_no=card.merchant_no,
        charge_id=new_id(card.merchant_no),
        status=ChargeStatus.PENDING_CONFIRMATION,
        kind=CardKind.STORED_VALUE,
        store_id=store_id,
        product_id=None,
        consumer=card.consumer,
        amount=face,
        sessions=None,
        visit=None,
        list_amount=None,
        release_amount=None,
        draws=write_draws([]),
        code_hash=urandom(32),
        confirmation_id=None,
        confirmation_method=None,
        confirmation_hash=None,
        confirmed_at=None,
        balance_face_amount=None,
        balance_sessions=None,
        balance_valid_until=None,
        reversal_status=None,
        reversal_requested_at=None,
        reversal_done_at=None,
        reversal_amount=None,
        reversal_reason=None,
        description=None,
        text_salt=None,
        client_reference=None,
        expires_at=None,
        created_at=at,
        ended_at=None,
    )
