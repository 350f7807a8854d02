import re

import pytest

from app.card_products.contract import Seller, write_contract, yuan
from app.card_products.domain import CardKind, Terms
from app.money import AMOUNT_MAX, Fen
from app.policies.domain import Policies
from tests.builder import a_product

SELLER = Seller("安心健身", "91330106MA0001")


@pytest.mark.parametrize(
    ("kind", "phrases"),
    [
        (
            CardKind.STORED_VALUE,
            ["储值卡", "可用面值600.00元", "赠送100.00元", "500.00元", "余额没有到期日"],
        ),
        (
            CardKind.COUNT,
            ["计次卡", "付费10次", "赠送2次", "共12次", "1200.00元", "单次原价150.00元"],
        ),
        (CardKind.PERIOD, ["期限卡", "共365天", "3650.00元", "第几天÷365"]),
    ],
)
def test_a_contract_says_what_is_sold_and_how_it_is_counted(
    kind: CardKind, phrases: list[str]
) -> None:
    text = write_contract(a_product(kind), SELLER, Policies()).text

    for phrase in (*phrases, SELLER.name, SELLER.licence_number, "7日内", "银行专用托管账户"):
        assert phrase in text
    assert "None" not in text
    assert re.search(r"[{}]", text) is None


def test_the_same_product_gives_the_same_bytes() -> None:
    first, second = (write_contract(a_product(), SELLER, Policies()) for _ in range(2))

    assert first == second


def test_any_term_changes_the_hash() -> None:
    variants = [
        write_contract(product, SELLER, policies).sha256
        for product in (
            a_product(),
            a_product(name="年卡"),
            a_product(price_amount=Fen(500_01)),
            a_product(bonus_amount=Fen(0)),
            a_product(term_days=90),
            a_product(list_price_amount=Fen(1)),
            a_product(terms=Terms(text="请提前一天预约。")),
            a_product(CardKind.COUNT),
            a_product(CardKind.COUNT, gift_sessions=None),
        )
        for policies in (Policies(), Policies(cooling_off_days=15))
    ]

    assert len(set(variants)) == len(variants)


def test_a_region_that_protects_unused_cards_only_says_so() -> None:
    text = write_contract(a_product(), SELLER, Policies(cooling_off_unused_only=True)).text

    assert "已使用的除外" in text


def test_braces_in_a_merchants_own_words_stay_as_they_are() -> None:
    text = write_contract(
        a_product(name="{price}", terms=Terms(text="{version}")), SELLER, Policies()
    ).text

    assert "{price}" in text
    assert "{version}" in text


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(1, "0.01元"), (100, "1.00元"), (123_45, "123.45元"), (AMOUNT_MAX, "90071992547409.91元")],
)
def test_amounts_are_shown_in_yuan(amount: int, shown: str) -> None:
    assert yuan(Fen(amount)) == shown
