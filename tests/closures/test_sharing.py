"""What custody covers is shared out pro rata, by largest remainder, ties by id."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.closures.sharing import Claim, share_out
from app.money import Fen


def claims_of(*amounts: tuple[int, int]) -> list[Claim]:
    return [
        Claim(UUID(int=number), Fen(amount), Fen(paid))
        for number, (amount, paid) in enumerate(amounts)
    ]


def shares(cash: int, *amounts: tuple[int, int]) -> list[int]:
    claims = claims_of(*amounts)
    shared = share_out(claims, cash)
    return [shared[claim.claim_id] for claim in claims]


def test_a_fen_that_is_over_goes_to_the_largest_remainder() -> None:
    assert shares(100, (200, 0), (100, 0)) == [67, 33]
    assert shares(10, (7, 0), (7, 0), (6, 0)) == [4, 3, 3]


def test_of_equal_remainders_the_smaller_id_comes_first() -> None:
    assert shares(100, (100, 0), (100, 0), (100, 0)) == [34, 33, 33]
    assert shares(1, (5, 0), (5, 0)) == [1, 0]


def test_where_custody_covers_all_every_claim_is_whole() -> None:
    assert shares(300, (100, 0), (200, 0)) == [100, 200]
    assert shares(10_000, (100, 40), (200, 0)) == [100, 200]


def test_nothing_in_custody_pays_nothing() -> None:
    assert shares(0, (100, 0), (200, 0)) == [0, 0]
    assert shares(-5, (100, 0)) == [0]


def test_what_comes_later_makes_all_shares_equal_as_far_as_it_goes() -> None:
    # Half was paid on the first; of 150 in all each has 75.
    assert shares(100, (100, 50), (100, 0)) == [75, 75]


def test_who_has_more_already_keeps_it() -> None:
    assert shares(10, (100, 90), (100, 0), (100, 0)) == [90, 5, 5]


AMOUNTS = st.lists(
    st.tuples(st.sampled_from([1, 2, 3]) | st.integers(1, 10**9), st.integers(0, 100)),
    min_size=1,
    max_size=30,
)


@given(AMOUNTS, st.integers(-10, 10**10))
def test_no_fen_is_made_or_lost(parts: list[tuple[int, int]], cash: int) -> None:
    claims = claims_of(*((amount, amount * percent // 100) for amount, percent in parts))

    shared = share_out(claims, cash)

    paid = sum(claim.paid_amount for claim in claims)
    owed = sum(claim.amount for claim in claims)
    assert sum(shared.values()) == min(owed, paid + max(0, cash))
    for claim in claims:
        assert claim.paid_amount <= shared[claim.claim_id] <= claim.amount


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=20), st.integers(0, 10**9))
def test_equal_rank_means_that_no_share_is_a_fen_from_its_part(
    amounts: list[int], cash: int
) -> None:
    claims = claims_of(*((amount, 0) for amount in amounts))
    whole = sum(amounts)
    if cash >= whole:
        return

    shared = share_out(claims, cash)

    for claim in claims:
        assert abs(shared[claim.claim_id] * whole - cash * claim.amount) < whole
