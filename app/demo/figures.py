"""What is printed is checked first: every figure, against the demo's own arithmetic."""

from dataclasses import dataclass
from typing import Literal, TypedDict

from app.demo.client import DemoFailed

_FEN_PER_YUAN = 100


@dataclass(slots=True)
class Figures:
    """Checks figures, counts them, and says money as people read it."""

    checked: int = 0

    def same(self, what: str, found: object, expected: object) -> str:
        """Give the text of a value that is as expected.

        Raises:
            DemoFailed: It is not; the message names the figure and both values.
        """
        self.checked += 1
        if found != expected or isinstance(found, bool) != isinstance(expected, bool):
            raise DemoFailed(f"{what}: the service says {found}, expected {expected}")
        return str(found)

    def yuan(self, what: str, found: int | None, expected: int) -> str:
        """Give an amount in fen, as yuan.

        Raises:
            DemoFailed: It is not as expected.
        """
        self.checked += 1
        if found is None or found != expected:
            said = "nothing" if found is None else yuan(found)
            raise DemoFailed(f"{what}: the service says {said}, expected {yuan(expected)}")
        return yuan(found)


class Title(TypedDict):
    """How a table says what it shows."""

    title: str
    title_justify: Literal["left"]


def titled(title: str) -> Title:
    """Say what a table shows."""
    return {"title": title, "title_justify": "left"}


def words(code: str) -> str:
    """Say a value of the contract in words, which a narrow column can break."""
    return code.replace("_", " ")


def yuan(amount: int) -> str:
    """Say an amount in fen as yuan."""
    whole, fen = divmod(abs(amount), _FEN_PER_YUAN)
    return f"{'-' if amount < 0 else ''}{whole:,}.{fen:02}"
