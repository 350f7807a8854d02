"""What each gets of money that does not cover all claims (DOMAIN §6): fractions, no `app`."""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple, TypeVar

Key = TypeVar("Key")


class Claim(NamedTuple):
    """What somebody is owed in all, and what of it a bank has been told to pay."""

    amount: int
    paid: int


def shared_out(claims: Mapping[Key, Claim], cash: int) -> Mapping[Key, int]:
    """Say what each claim comes to in all: the same part of each, whoever was paid first.

    Whoever has more than that keeps it. Fen that do not divide go to the largest remainders, and
    where those are equal to the smaller id.
    """
    ahead: dict[Key, int] = {}
    while True:
        sharing = {key: claim for key, claim in claims.items() if key not in ahead}
        there = max(0, cash) + sum(claim.paid for claim in sharing.values())
        whole = sum(claim.amount for claim in sharing.values())
        part = min(Fraction(1), Fraction(there, whole)) if whole else Fraction(1)
        more = {key: one.paid for key, one in sharing.items() if one.paid > part * one.amount}
        if not more:
            break
        ahead |= more
    quotas = {key: part * claim.amount for key, claim in sharing.items()}
    shares = {key: int(quota) for key, quota in quotas.items()}
    over = min(there, whole) - sum(shares.values())
    for key in sorted(quotas, key=lambda key: (int(quotas[key]) - quotas[key], key))[:over]:
        shares[key] += 1
    return {**ahead, **shares}
