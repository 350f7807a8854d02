"""Who a merchant is, for answers: its id and name by its number, remembered for a minute."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Final, NamedTuple
from uuid import UUID

from app.db.engine import Database
from app.errors import NotFound

_AGE_SECONDS_MAX: Final = 60.0
_ENTRIES_MAX: Final = 100_000


class MerchantRef(NamedTuple):
    """What answers say of a merchant."""

    merchant_no: int
    merchant_id: UUID
    name: str


@dataclass(slots=True)
class MerchantDirectory:
    """Finds merchants. Names may be a minute old, ids never change; nothing is decided by them."""

    db: Database
    _known: dict[int, tuple[float, MerchantRef]] = field(
        default_factory=dict[int, tuple[float, MerchantRef]]
    )

    async def find(self, merchant_no: int) -> MerchantRef:
        """Give the merchant with this number.

        Raises:
            NotFound: There is none.
        """
        known = self._known.get(merchant_no)
        if known is not None and monotonic() - known[0] < _AGE_SECONDS_MAX:
            return known[1]
        async with self.db.transaction() as tx:
            found = await tx.fetch_one(
                MerchantRef,
                "SELECT merchant_no, merchant_id, name FROM merchant WHERE merchant_no = :no",
                no=merchant_no,
            )
        if found is None:
            raise NotFound
        if len(self._known) >= _ENTRIES_MAX:
            self._known.clear()
        self._known[merchant_no] = (monotonic(), found)
        return found
