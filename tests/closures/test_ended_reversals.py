"""Uses taken back for which a closing merchant's money is not there: claims on the merchant."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.calendar.service import load_official_years
from app.charges.domain import Use
from app.disputes.errors import ChargeBeingReversed
from app.money import Fen
from tests.builder import a_consumer
from tests.closures.conftest import Closer
from tests.closures.test_shortfall import cards_of, taken
from tests.disputes.conftest import Disputer


@pytest_asyncio.fixture
async def disputer(closer: Closer) -> AsyncIterator[Disputer]:
    await load_official_years(closer.given.db, provisional=True)
    yield Disputer(closer.given)


async def test_a_use_whose_reversal_ended_is_not_disputed_while_all_is_shared_out_anew(
    closer: Closer, disputer: Disputer
) -> None:
    given, shop, li, wang = closer.given, await closer.given.shop(), a_consumer(), a_consumer()
    charge = await given.used(
        shop, li, await given.card(shop, li, bonus_amount=Fen(0)), Use(amount=Fen(100_00))
    )
    await given.paid_out(shop)
    await given.reversed(charge)
    await given.used(
        shop, wang, await given.card(shop, wang, bonus_amount=Fen(0)), Use(amount=Fen(10_00))
    )
    (card,) = await cards_of(closer, shop, 50_00)
    await taken(closer, shop, 20_00)
    closure = await closer.executed(shop)
    await closer.worked()
    await closer.paid()
    # What is earned no longer waits for the reversal, and makes good a part of what lacks.
    await closer.worked()
    assert (await closer.view(closure)).status == "refunding"

    with pytest.raises(ChargeBeingReversed) as refused:
        await disputer.disputed(li, charge)

    assert refused.value.members["reversal_status"] == "failed"
    await closer.worked()
    await closer.paid()
    await closer.worked()
    assert (await closer.view(closure)).status == "closed_with_shortfall"
    assert (await given.read(card)).status == "refunded"
