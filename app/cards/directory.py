"""Who a merchant is: id, name, district and industry by its number, remembered for a minute."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice, takewhile
from time import monotonic
from typing import Final, NamedTuple
from uuid import UUID

from app.db.engine import Database
from app.db.gathering import Gathered
from app.errors import NotFound
from app.ids import MERCHANT_NO_MAX

_AGE_SECONDS_MAX: Final = 60.0
_READ_MAX: Final = 500
_ENTRIES_MAX: Final = 100_000


class MerchantRef(NamedTuple):
    """What answers say of a merchant."""

    merchant_no: int
    merchant_id: UUID
    name: str


class _Known(NamedTuple):
    ref: MerchantRef
    district: str
    industry: str
    read_at: float


class _Row(NamedTuple):
    merchant_no: int
    merchant_id: UUID
    name: str
    district: str
    industry: str


@dataclass(slots=True)
class MerchantDirectory:
    """Finds merchants. Ids never change; names and districts may be a minute old.

    A district says whose policies count: those of the new one begin a minute after a move.
    """

    db: Database
    _known: dict[int, _Known] = field(default_factory=dict[int, _Known])
    _kept: Gathered[int, _Known] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing known."""
        self._kept = Gathered(self._read)

    async def find(self, merchant_no: int) -> MerchantRef:
        """Give the merchant with this number.

        Raises:
            NotFound: There is none.
        """
        return (await self._find(merchant_no)).ref

    async def district_of(self, merchant_no: int) -> str:
        """Give the district of the merchant with this number.

        Raises:
            NotFound: There is none.
        """
        return (await self._find(merchant_no)).district

    async def industry_of(self, merchant_no: int) -> str:
        """Give the industry of the merchant with this number.

        Raises:
            NotFound: There is none.
        """
        return (await self._find(merchant_no)).industry

    async def _find(self, merchant_no: int) -> _Known:
        if merchant_no > MERCHANT_NO_MAX:
            # From an id that somebody made up: no column could hold it.
            raise NotFound
        known = self._known.get(merchant_no)
        if known is not None and monotonic() - known.read_at < _AGE_SECONDS_MAX:
            return known
        found = await self._kept.find(merchant_no)
        if found is None:
            raise NotFound
        return found

    async def _read(self, wanted: Collection[int]) -> Mapping[int, _Known]:
        """Read merchants, and with them others that are due: one query, however many there are."""
        due = monotonic() - _AGE_SECONDS_MAX
        # Those that were read longest ago come first: a look ends at the first that is not due.
        others = takewhile(lambda no: self._known[no].read_at <= due, self._known)
        numbers = list({*wanted, *islice(others, _READ_MAX)})
        async with self.db.at_once() as tx:
            rows = await tx.fetch(
                _Row,
                """
                SELECT merchant_no, merchant_id, name, district, industry FROM merchant
                WHERE merchant_no = ANY (CAST(:nos AS bigint[]))
                """,
                nos=numbers,
            )
        if len(self._known) >= _ENTRIES_MAX:
            self._known.clear()
        read_at = monotonic()
        found = {
            row.merchant_no: _Known(
                MerchantRef(row.merchant_no, row.merchant_id, row.name),
                row.district,
                row.industry,
                read_at,
            )
            for row in rows
        }
        for merchant_no in found:
            # Behind those that were read before it.
            self._known.pop(merchant_no, None)
        self._known.update(found)
        return found
