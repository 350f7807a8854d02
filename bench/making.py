"""One merchant's book with its cards and uses, as rows, made by the service's own functions."""

from datetime import datetime, timedelta
from hashlib import sha256
from os import urandom
from typing import Final, NamedTuple
from uuid import UUID

from app.access.domain import secret_hash
from app.access.principals import consumer_of
from app.cards.domain import Card, CardKind, Draw
from app.cards.statement import CardEntryKind, Line, enter
from app.charges.domain import Balance, Charge, ChargeStatus, ConfirmationMethod, write_draws
from app.db.rows import json_text
from app.ids import new_id, new_platform_id
from app.ledger.chain import genesis
from app.ledger.chart import MERCHANT_ACCOUNT_TYPES, AccountType, account_id
from app.ledger.posting import Entry, Movement, append
from app.ledger.rows import Account, BookHead
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
from bench.keys import secret_of
from bench.money import BONUS_AMOUNT, PRICE_AMOUNT
from bench.rows import (
    ConsumerMerchantRow,
    CustodyRow,
    KeyRow,
    MerchantRow,
    ProductRow,
    Rows,
    StoreRow,
)

_CONTRACT: Final = "A contract of the benchmark."
_SEALED: Final = b"\x01sealed"


class _Shop(NamedTuple):
    """Where and when a card is sold."""

    product: Product
    store_id: UUID
    at: datetime


def make_book(rows: Rows, no: int, cards: int, uses: int, at: datetime) -> None:
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


def _add_merchant(rows: Rows, no: int, store_id: UUID, at: datetime) -> Product:
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
        MerchantRow(no, new_id(no), f"Merchant {no}", f"BENCH{no:013}", "fitness", "330106", at),
        StoreRow(no, store_id, f"Store {no}", "open", at),
        CustodyRow(no, "HZCB", f"{no:020}", f"Custody {no}", at),
        KeyRow(new_platform_id(), secret_hash(secret_of(no)), "merchant", "till", no, at),
        ProductRow(
            no,
            product.product_id,
            "Card",
            product.kind,
            product.price_amount,
            product.bonus_amount,
            json_text({}),
            1,
            _CONTRACT,
            contract_sha256,
            at,
        ),
    )
    return product


def _sell(rows: Rows, shop: _Shop, number: int, *, seq: int) -> tuple[Card, Entry]:
    """Make a card with its purchase, its receipt and the first line of its statement."""
    product, store_id, at = shop
    no = product.merchant_no
    consumer_id = f"bench-{no}-{number}"
    card_id, purchase_id = new_id(no), new_id(no)
    purchase = _purchase(shop, consumer_id, purchase_id, card_id)
    receipt = _receipt(purchase, f"BENCH-{no}-{number}", card_id, at)
    card = new_card(
        purchase,
        product,
        CardIssue(card_id, urandom(16), CoolingOff(7, at.date() + timedelta(days=7))),
        paid_at=at,
        at=at,
    )
    told = Line(CardEntryKind.FUNDED, receipt.receipt_id, store_id, card.terms_hash)
    card, line = enter(card, told, seq=seq, at=at)
    rows.add(purchase, receipt, line, ConsumerMerchantRow(card.consumer, no))
    custody = account_id(no, AccountType.CUSTODY)
    movement = Movement(custody, card_id, receipt.amount)
    return card, Entry("purchase_funded", receipt.receipt_id, movement, line.content_hash())


def _purchase(shop: _Shop, consumer_id: str, purchase_id: UUID, card_id: UUID) -> Purchase:
    product, store_id, at = shop
    no = product.merchant_no
    return Purchase(
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


def _receipt(purchase: Purchase, reference: str, card_id: UUID, at: datetime) -> Receipt:
    no = purchase.merchant_no
    return Receipt(
        no,
        new_id(no),
        ReceiptStatus.MATCHED,
        None,
        "HZCB",
        reference,
        f"{no:020}",
        purchase.amount,
        purchase.payment_reference,
        *(_SEALED, _SEALED, _SEALED),
        purchase.purchase_id,
        card_id,
        None,
        at,
        at,
    )


def _use(rows: Rows, card: Card, store_id: UUID, *, seq: int, at: datetime) -> tuple[Card, Entry]:
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
        balance=Balance(after.face_available_amount, None, None),
        at=at,
    )
    evidence = charge.confirmation_hash
    assert evidence is not None, "a confirmed charge has one"
    told = Line(CardEntryKind.USED, charge.charge_id, store_id, evidence, draw, release)
    after, line = enter(after, told, seq=seq, at=at)
    rows.add(charge, line)
    movement = Movement(card.card_id, account_id(no, AccountType.MERCHANT_PAYABLE), release)
    return after, Entry("use_confirmed", charge.charge_id, movement, line.content_hash())


def _charge(card: Card, store_id: UUID, face: Fen, at: datetime) -> Charge:
    return Charge(
        merchant_no=card.merchant_no,
        charge_id=new_id(card.merchant_no),
        status=ChargeStatus.PENDING_CONFIRMATION,
        kind=CardKind.STORED_VALUE,
        store_id=store_id,
        consumer=card.consumer,
        amount=face,
        draws=write_draws([]),
        code_hash=urandom(32),
        created_at=at,
    )
