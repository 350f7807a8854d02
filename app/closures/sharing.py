"""Share out what custody covers among claims that rank equal (DOMAIN §6, Closure). Pure.

Pro rata by largest remainder, ties by id: a claim's share is what it would have of all that was
ever paid on these claims and can be paid now. Who has more than that already keeps it, and the
others share the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from app.money import Fen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Claim(NamedTuple):
    """What is owed to one holder or payer, and what of it has gone to a bank already."""

    claim_id: UUID
    amount: Fen
    paid_amount: Fen = Fen(0)


def share_out(claims: Sequence[Claim], cash: int) -> Mapping[UUID, Fen]:
    """Say what each claim comes to in all, where `cash` can be paid besides what was paid.

    Every share lies between what was paid and the claim; their sum is what was paid and the
    cash, at most all claims.
    """
    shares: dict[UUID, Fen] = {}
    sharing = list(claims)
    total = max(0, cash) + sum(claim.paid_amount for claim in sharing)
    while True:
        whole = sum(claim.amount for claim in sharing)
        if total >= whole:
            return {**shares, **{claim.claim_id: claim.amount for claim in sharing}}
        ahead = [one for one in sharing if one.paid_amount * whole > total * one.amount]
        if not ahead:
            return {**shares, **_pro_rata(sharing, total, whole)}
        shares.update({one.claim_id: one.paid_amount for one in ahead})
        total -= sum(one.paid_amount for one in ahead)
        gone = {one.claim_id for one in ahead}
        sharing = [one for one in sharing if one.claim_id not in gone]


def _pro_rata(claims: Sequence[Claim], total: int, whole: int) -> Mapping[UUID, Fen]:
    """Share by largest remainder; ties go to the smaller id."""
    shares = {claim.claim_id: total * claim.amount // whole for claim in claims}
    over = total - sum(shares.values())
    by_remainder = sorted(
        claims, key=lambda claim: (-(total * claim.amount % whole), claim.claim_id)
    )
    for claim in by_remainder[:over]:
        shares[claim.claim_id] += 1
    return {claim_id: Fen(amount) for claim_id, amount in shares.items()}
