"""Keyset pages: opaque cursors over UUIDv7 primary keys, which are ordered by time of creation."""

import base64
import binascii
import uuid
from dataclasses import dataclass

MAX_PAGE = 1000
_VERSION = b"\x01"


class BadCursor(ValueError):  # noqa: N818
    """A cursor that this service did not make."""


@dataclass(frozen=True)
class PageRequest:
    """Which rows: at most ``limit``, after the row ``after``, newest or oldest first."""

    limit: int = 100
    after: uuid.UUID | None = None
    newest_first: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_PAGE:
            raise ValueError(f"a page has 1 to {MAX_PAGE} rows, not {self.limit}")


def encode_cursor(last: uuid.UUID) -> str:
    """Return the cursor of the page that follows the row ``last``."""
    return base64.urlsafe_b64encode(_VERSION + last.bytes).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str) -> uuid.UUID:
    """Return the row that a cursor points behind; raises :class:`BadCursor` for anything not made here."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadCursor("the cursor is not base64url") from error
    if len(raw) != 17 or raw[:1] != _VERSION:
        raise BadCursor("the cursor was not made by this service")
    last = uuid.UUID(bytes=raw[1:])
    if encode_cursor(last) != cursor:
        raise BadCursor("the cursor is not in its canonical form")
    return last
