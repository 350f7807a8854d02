"""The demo is a second opinion: it shares no code with the service, and a wrong figure stops it.

That it plays to its end against a service that really runs is in tests/contract.
"""

import ast
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.demo.client import DemoFailed
from app.demo.expected import ExpectedBook, ExpectedCard
from app.demo.figures import Figures, yuan

DEMO = Path(__file__).parents[2] / "app" / "demo"


def test_the_demo_imports_nothing_of_the_service() -> None:
    imported = {
        node.module or ""
        for path in DEMO.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    }

    assert {name for name in imported if name.startswith("app")} == {
        name for name in imported if name == "app.demo" or name.startswith("app.demo.")
    }


def test_a_wrong_figure_stops_the_demo_with_both_values() -> None:
    with pytest.raises(DemoFailed, match=r"payable: the service says 66\.66, expected 66\.67"):
        Figures().yuan("payable", 66_66, 66_67)
    with pytest.raises(DemoFailed, match="the service says paid, expected rejected"):
        Figures().same("status", "paid", "rejected")


def test_without_a_service_the_demo_says_what_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    ended = CliRunner().invoke(app, ["demo"])

    assert ended.exit_code == 1
    assert "start the service with `make run`" in ended.stderr


def test_what_is_released_follows_the_worked_examples() -> None:
    thirds = ExpectedCard(paid=100_00, face=3_00)
    assert [thirds.spend(1_00) for _ in range(3)] == [33_33, 33_34, 33_33]
    assert thirds.spend(-1_00) == -33_33
    assert (thirds.released, thirds.left) == (66_67, 33_33)
    assert ExpectedCard(paid=2_000_00, sessions=60, sessions_used=12).left == 1_600_00
    assert ExpectedCard(paid=3_650_00, days=365, last_visit_day=40).left == 3_250_00


def test_a_reversal_waits_for_the_shops_next_money() -> None:
    book = ExpectedBook()
    book.fund(500_00)
    book.earn(100_00)
    book.release_paid(book.cut_release())
    assert not book.take_back(60_00)
    book.earn(50_00)
    assert book.waiting == [60_00]
    book.earn(50_00)
    assert (book.waiting, book["merchant_payable"], book["card"]) == ([], 40_00, 360_00)


def test_a_change_of_mind_costs_the_list_price_of_what_was_used() -> None:
    card = ExpectedCard(paid=1_200_00, sessions=12, list_price=150_00, sessions_used=5)
    assert (card.left, card.of_a_change_of_mind) == (700_00, 450_00)
    card.sessions_used = 9
    assert card.of_a_change_of_mind == 0


def test_the_rest_of_a_card_is_the_shops_once_its_refund_is_paid() -> None:
    book, card = ExpectedBook(), ExpectedCard(paid=500_00, face=500_00)
    book.fund(500_00)
    book.refund(300_00)
    card.refunded = book.cut_refund()
    assert (card.is_over, card.left, book["merchant_payable"]) == (True, 200_00, 0)
    book.refund_paid(300_00, rest=200_00)
    assert (book["custody"], book["card"], book["merchant_payable"]) == (200_00, 0, 200_00)


def test_a_dispute_sets_aside_what_a_use_moved_and_gives_it_back() -> None:
    book = ExpectedBook()
    book.fund(500_00)
    book.earn(100_00)
    book.set_aside(60_00)
    assert book.cut_release() == 40_00
    book.uphold(60_00)
    assert (book["release_disputed"], book["card"]) == (0, 460_00)


def test_amounts_read_as_money() -> None:
    assert [yuan(amount) for amount in (0, 1, -6667, 1_234_567)] == [
        "0.00",
        "0.01",
        "-66.67",
        "12,345.67",
    ]
