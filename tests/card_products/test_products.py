from hashlib import sha256
from uuid import uuid4

import pytest

from app.card_products import service
from app.card_products.domain import CardKind, CeilingExemption, Terms
from app.card_products.errors import ProductTermsRefused
from app.db.engine import Database
from app.errors import InvalidRequest, NotFound
from app.money import Fen
from app.policies.current import CurrentPolicies
from app.policies.domain import Policies
from app.writer.requests import RequestKey
from tests.builder import PROPOSER, Builder, a_product


@pytest.fixture
def given(db: Database) -> Builder:
    return Builder(db)


@pytest.mark.parametrize("kind", list(CardKind))
async def test_a_product_is_read_as_it_was_made(
    db: Database, given: Builder, kind: CardKind
) -> None:
    merchant = await given.merchant()
    made = await given.product(
        merchant, kind, ceiling_exemption=CeilingExemption("《管理办法》第 9 条", "杭商 1 号")
    )

    assert await service.read_product(db, merchant.merchant_no, made.product_id) == made
    assert await service.list_products(db, merchant.merchant_no, before=None, limit=9) == [made]
    assert made.contract.sha256 == sha256(made.contract.text.encode()).digest()


async def test_a_replay_gives_the_same_product(db: Database, given: Builder) -> None:
    merchant = await given.merchant()
    request = RequestKey(uuid4(), bytes(32))

    first, again = [
        await service.create_product(
            db,
            CurrentPolicies(db, Policies()),
            merchant.merchant_no,
            a_product(),
            by=PROPOSER,
            request=request,
        )
        for _ in range(2)
    ]

    assert (first.replayed, again.replayed) == (False, True)
    assert first.value == again.value


async def test_another_merchants_product_does_not_exist(db: Database, given: Builder) -> None:
    merchant, other = await given.merchant(), await given.merchant()
    made = await given.product(merchant)

    with pytest.raises(NotFound):
        await service.read_product(db, other.merchant_no, made.product_id)


@pytest.mark.parametrize(
    ("kind", "fields", "pointers"),
    [
        (CardKind.COUNT, {"sessions": None}, ["/sessions"]),
        (CardKind.COUNT, {"bonus_amount": Fen(1)}, ["/bonus_amount"]),
        (CardKind.PERIOD, {"term_days": None}, ["/term_days"]),
        (CardKind.PERIOD, {"sessions": 3, "bonus_amount": Fen(1)}, ["/sessions", "/bonus_amount"]),
        (CardKind.STORED_VALUE, {"sessions": 3}, ["/sessions"]),
        (CardKind.STORED_VALUE, {"gift_sessions": 3}, ["/gift_sessions"]),
    ],
)
def test_a_field_that_its_kind_lacks_or_needs_is_named(
    kind: CardKind, fields: dict[str, object], pointers: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        a_product(kind, **fields)

    assert [error.pointer for error in refusal.value.errors] == pointers


@pytest.mark.parametrize(
    ("terms", "refused"),
    [
        (Terms(refundable=False), ["refundable"]),
        (Terms(transferable=False), ["transferable"]),
        (Terms(forfeits_on_expiry=True), ["forfeits_on_expiry"]),
        (Terms(merchant_may_change=True), ["merchant_may_change"]),
        (
            Terms("概不退款", refundable=False, merchant_may_change=True),
            ["refundable", "merchant_may_change"],
        ),
    ],
)
def test_terms_that_take_away_a_right_are_refused(terms: Terms, refused: list[str]) -> None:
    with pytest.raises(ProductTermsRefused) as refusal:
        a_product(terms=terms)

    assert refusal.value.members == {"refused": refused}
