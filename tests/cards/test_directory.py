"""Merchants by their number: remembered for a minute, read again together."""

import pytest

from app.cards import directory as module
from app.cards.directory import MerchantDirectory
from app.errors import NotFound
from app.ids import MERCHANT_NO_MAX
from tests.builder import Builder


class _Clock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


async def _rename(given: Builder, merchant_no: int, name: str) -> None:
    async with given.db.transaction() as tx:
        await tx.execute(
            "UPDATE merchant SET name = :name WHERE merchant_no = :no", name=name, no=merchant_no
        )


async def test_what_is_due_is_read_again_with_whoever_asks_first(
    given: Builder, clock: _Clock
) -> None:
    known = MerchantDirectory(given.db)
    first, second, third = [(await given.merchant()).merchant_no for _ in range(3)]
    await known.find(first)
    await known.find(second)
    clock.seconds += 40
    before = (await known.find(third)).name
    for merchant_no in (first, second, third):
        await _rename(given, merchant_no, "换了名字")

    clock.seconds += 30
    assert (await known.find(second)).name == "换了名字"
    # The first came with it; nobody reads for it again within the minute.
    await _rename(given, first, "又换了名字")
    assert (await known.find(first)).name == "换了名字"
    assert (await known.find(third)).name == before

    clock.seconds += 31
    assert (await known.find(third)).name == "换了名字"
    clock.seconds += 60
    assert (await known.find(first)).name == "又换了名字"


@pytest.mark.parametrize("merchant_no", [MERCHANT_NO_MAX, MERCHANT_NO_MAX + 1])
async def test_a_number_that_nobody_has_is_not_found(given: Builder, merchant_no: int) -> None:
    with pytest.raises(NotFound):
        await MerchantDirectory(given.db).find(merchant_no)
