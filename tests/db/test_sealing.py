import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.sealing import SealBroken, Sealer

SEALER = Sealer(bytes(32))


@given(st.text())
def test_what_was_sealed_opens_again_and_never_looks_the_same(text: str) -> None:
    first, second = SEALER.seal(text), SEALER.seal(text)

    assert SEALER.open(first) == SEALER.open(second) == text
    assert first != second


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_does_not_open(position: int, change: int) -> None:
    sealed = bytearray(SEALER.seal("6222 0212 3456 7890"))
    sealed[position % len(sealed)] ^= change

    with pytest.raises(SealBroken):
        SEALER.open(bytes(sealed))


def test_another_key_neither_opens_nor_finds() -> None:
    other = Sealer(os.urandom(32))

    with pytest.raises(SealBroken):
        other.open(SEALER.seal("6222 0212 3456 7890"))
    assert other.index("6222 0212 3456 7890") != SEALER.index("6222 0212 3456 7890")
    assert SEALER.index("6222 0212 3456 7890") == Sealer(bytes(32)).index("6222 0212 3456 7890")


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"short")
