"""Read holds, and find what is to be held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from app.db.rows import columns_of
from app.errors import NotFound
from app.holds.answer import ShownHold
from app.holds.domain import Hold, HoldStatus, HoldTarget
from app.ids import Prefix, merchant_no_of, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.db.engine import Transaction


@dataclass(frozen=True, slots=True)
class Scope:
    """Which merchants a caller reaches; None reaches every industry or district."""

    industries: frozenset[str] | None = None
    districts: frozenset[str] | None = None

    def params(self) -> dict[str, list[str] | None]:
        """Say it to a query."""
        return {
            "industries": None if self.industries is None else sorted(self.industries),
            "districts": None if self.districts is None else sorted(self.districts),
        }


EVERYWHERE: Final = Scope()


@dataclass(frozen=True, slots=True)
class HoldFilter:
    """Which holds to list; None takes all."""

    status: HoldStatus | None = None
    target: HoldTarget | None = None
    merchant_id: UUID | None = None
    target_id: str | None = None


class Target(NamedTuple):
    """What is to be held, and at whose book; the merchant's own id where it is no card."""

    merchant_no: int
    target_id: UUID


class DueHold(NamedTuple):
    """A hold whose time is over, and that its row still calls active."""

    merchant_no: int
    hold_id: UUID
    target_id: UUID


_IN_SCOPE: Final = """
    (CAST(:industries AS text[]) IS NULL OR merchant.industry = ANY(CAST(:industries AS text[])))
    AND (CAST(:districts AS text[]) IS NULL OR merchant.district = ANY(CAST(:districts AS text[])))
"""
_STATUS: Final = """
    CASE WHEN hold.status = 'active' AND hold.expires_at <= anxin_now() THEN 'expired'
        ELSE hold.status END
"""
_SHOWN: Final = f"""
    SELECT hold.merchant_no, merchant.merchant_id, hold_id, target, target_id,
           custody_account.account_number AS custody_account, amount, document_number, reason,
           {_STATUS} AS status, placed_by, placed_at, expires_at,
           CASE WHEN {_STATUS} = 'expired' THEN expires_at ELSE ended_at END AS ended_at
    FROM hold JOIN merchant USING (merchant_no) LEFT JOIN custody_account USING (merchant_no)
"""  # noqa: S608  # our own column names
_TARGETS: Final[Mapping[HoldTarget, str]] = {
    HoldTarget.CARD: """
        SELECT merchant_no, card_id AS target_id FROM card JOIN merchant USING (merchant_no)
        WHERE merchant_no = :merchant_no AND card_id = CAST(:card_id AS uuid)
    """,
    HoldTarget.PAYABLE: """
        SELECT merchant_no, merchant_id AS target_id FROM merchant
        WHERE merchant_id = CAST(:merchant_id AS uuid)
    """,
    HoldTarget.CUSTODY_ACCOUNT: """
        SELECT merchant_no, merchant_id AS target_id
        FROM custody_account JOIN merchant USING (merchant_no)
        WHERE (account_number = CAST(:number AS text)
            OR merchant_id = CAST(:merchant_id AS uuid))
    """,
}
_COLUMNS: Final = ", ".join(column.name for column in columns_of(Hold))


async def find_target(tx: Transaction, target: HoldTarget, text: str, scope: Scope) -> Target:
    """Find what is to be held, among what the caller reaches.

    Raises:
        NotFound: There is no such thing for this caller.
    """
    named = _named(text)
    given = {"merchant_no": named.merchant_no, **named._asdict()}
    found = await tx.fetch_one(
        Target,
        f"{_TARGETS[target]} AND {_IN_SCOPE}",
        **{name: value for name, value in given.items() if f":{name}" in _TARGETS[target]},
        **scope.params(),
    )
    if found is None:
        raise NotFound
    return found


class _Named(NamedTuple):
    """By what a target is named: the one that is not None."""

    card_id: UUID | None
    merchant_id: UUID | None
    number: str | None

    @property
    def merchant_no(self) -> int:
        """In which book a card is; 0 is nobody's."""
        return 0 if self.card_id is None else merchant_no_of(self.card_id)


def _named(text: str) -> _Named:
    """Read a card's or merchant's id, or a custody account's number.

    Raises:
        NotFound: It is no such id.
    """
    if text.startswith(f"{Prefix.CARD}_"):
        return _Named(parse(Prefix.CARD, text), None, None)
    if text.startswith(f"{Prefix.MERCHANT}_"):
        return _Named(None, parse(Prefix.MERCHANT, text), None)
    return _Named(None, None, text)


async def find_hold(tx: Transaction, hold_id: UUID, scope: Scope) -> ShownHold:
    """Read one hold as it stands by the clock.

    Raises:
        NotFound: There is no such hold for this caller.
    """
    found = await tx.fetch_one(
        ShownHold, f"{_SHOWN} WHERE hold_id = :id AND {_IN_SCOPE}", id=hold_id, **scope.params()
    )
    if found is None:
        raise NotFound
    return found


async def list_holds(
    tx: Transaction, wanted: HoldFilter, scope: Scope, *, before: UUID | None, count: int
) -> Sequence[ShownHold]:
    """Read a page of holds over all merchants that the caller reaches, newest first."""
    return await tx.fetch(
        ShownHold,
        f"""
        {_SHOWN}
        WHERE {_IN_SCOPE}
          AND (CAST(:status AS text) IS NULL OR {_STATUS} = CAST(:status AS text))
          AND (CAST(:target AS text) IS NULL OR target = CAST(:target AS text))
          AND (CAST(:merchant AS uuid) IS NULL OR merchant.merchant_id = CAST(:merchant AS uuid))
          AND (NOT CAST(:named AS boolean) OR target_id = coalesce(
              CAST(:card_id AS uuid), CAST(:merchant_id AS uuid))
              OR (target = 'custody_account' AND account_number = CAST(:number AS text)))
          AND (CAST(:before AS uuid) IS NULL OR hold_id < CAST(:before AS uuid))
        ORDER BY hold_id DESC LIMIT :count
        """,
        status=wanted.status,
        target=wanted.target,
        merchant=wanted.merchant_id,
        before=before,
        count=count,
        named=wanted.target_id is not None,
        **_named(wanted.target_id or "")._asdict(),
        **scope.params(),
    )


async def holds_of_merchant(tx: Transaction, merchant_no: int) -> Sequence[Hold]:
    """Read what stands against a merchant's payable or custody account, worker or not."""
    return await tx.fetch(
        Hold,
        f"""
        SELECT {_COLUMNS} FROM hold
        WHERE merchant_no = :no AND status = 'active' AND target <> 'card'
        ORDER BY seq
        """,  # noqa: S608  # our own column names
        no=merchant_no,
    )


async def due_holds(
    tx: Transaction, *, count: int, except_at: Sequence[int] = ()
) -> Sequence[DueHold]:
    """Give holds that the clock has ended and no book says so yet."""
    return await tx.fetch(
        DueHold,
        """
        SELECT merchant_no, hold_id, target_id FROM hold
        WHERE status = 'active' AND expires_at <= anxin_now()
            AND merchant_no <> ALL(CAST(:except_at AS integer[]))
        ORDER BY expires_at LIMIT :count
        """,
        except_at=list(except_at),
        count=count,
    )


async def lock_lifting(tx: Transaction, hold_id: UUID) -> None:
    """Let one caller at a time propose to lift a hold, so that there is one proposal."""
    low = hold_id.int & (2**64 - 1)
    await tx.execute("SELECT pg_advisory_xact_lock(:lock)", lock=low - 2**63)
