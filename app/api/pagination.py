"""Lists: a limit, an opaque cursor, newest first.

A page is read by keyset: the cursor holds the position of the last row shown, so that rows
which arrive meanwhile neither repeat nor hide others.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from app.api.schemas import Model
from app.errors import FieldError, InvalidRequest

LIMIT_MAX: Final = 200
LIMIT_DEFAULT: Final = 50

_CURSOR_LENGTH_MAX: Final = 64
_ID_BYTES: Final = 16
_NUMBER_BYTES: Final = 8

Row = TypeVar("Row")
Item = TypeVar("Item")


class ListRead(Model, Generic[Item]):
    """One page of a list, newest first."""

    data: list[Item]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Slice(Generic[Row]):
    """The rows of one page, and where the next one starts."""

    rows: Sequence[Row]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Which page was asked for.

    A route reads `fetch_count` rows (one more than are shown tells whether there is a next
    page) below `after_id` or `after_number`, and gives them to `close`.
    """

    limit: int
    cursor: str | None
    request: Request
    response: Response

    @property
    def fetch_count(self) -> int:
        """Say how many rows to read: one more than the page shows."""
        return self.limit + 1

    @property
    def after_id(self) -> UUID | None:
        """Give the id of the last row of the page before, in a list ordered by id.

        Raises:
            InvalidRequest: The cursor is not one of this list.
        """
        position = self._position(_ID_BYTES)
        return None if position is None else UUID(bytes=position)

    @property
    def after_number(self) -> int | None:
        """Give the number of the last row of the page before, in a list ordered by number.

        Raises:
            InvalidRequest: The cursor is not one of this list.
        """
        position = self._position(_NUMBER_BYTES)
        return None if position is None else int.from_bytes(position, "big", signed=True)

    def close(self, rows: Sequence[Row], position: Callable[[Row], UUID | int]) -> Slice[Row]:
        """Cut the rows to the page, and name the next one in the answer's `Link` header."""
        if len(rows) <= self.limit:
            return Slice(rows, None)
        shown = rows[: self.limit]
        cursor = encode_cursor(position(shown[-1]))
        query = [pair for pair in parse_qsl(self.request.url.query) if pair[0] != "cursor"]
        target = f"{self.request.url.path}?{urlencode([*query, ('cursor', cursor)])}"
        self.response.headers["link"] = f'<{target}>; rel="next"'
        return Slice(shown, cursor)

    def shown(
        self,
        rows: Sequence[Row],
        position: Callable[[Row], UUID | int],
        show: Callable[[Row], Item],
    ) -> ListRead[Item]:
        """Answer with the page, each row as `show` shows it."""
        cut = self.close(rows, position)
        return ListRead(data=[show(row) for row in cut.rows], next_cursor=cut.next_cursor)

    def _position(self, length: int) -> bytes | None:
        if self.cursor is None:
            return None
        try:
            padded = self.cursor.encode("ascii") + b"=" * (-len(self.cursor) % 4)
            position = urlsafe_b64decode(padded)
        except (NotBase64, UnicodeEncodeError):
            position = b""
        if len(position) != length:
            raise InvalidRequest(FieldError("/query/cursor", "This is no cursor of this list"))
        return position


def encode_cursor(position: UUID | int) -> str:
    """Make the opaque text for a position."""
    raw = (
        position.bytes
        if isinstance(position, UUID)
        else position.to_bytes(_NUMBER_BYTES, "big", signed=True)
    )
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


async def _page(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    cursor: Annotated[
        str | None,
        Query(max_length=_CURSOR_LENGTH_MAX, description="`next_cursor` of the page before."),
    ] = None,
) -> Page:
    return Page(limit, cursor, request, response)


PageDep = Annotated[Page, Depends(_page)]
