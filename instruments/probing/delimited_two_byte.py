"""Tables in UTF-16, as spreadsheets and some instruments on Windows save text: read from a copy in UTF-8."""

import codecs
from dataclasses import replace
from pathlib import Path

from instruments.adapter import Source
from instruments.errors import CorruptField, ReadingLimit

_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def is_two_byte(source: Source) -> bool:
    """Tell whether ``source`` begins with a byte order mark of UTF-16."""
    return source.head.startswith(_MARKS)


def narrow_head(source: Source) -> Source:
    """Return ``source`` with its head in UTF-8, enough to recognise it by."""
    head = source.head[: len(source.head) // 2 * 2].decode("utf-16", "ignore").encode()
    return replace(source, head=head, size_bytes=max(len(head), source.size_bytes // 2))


def narrow(source: Source, folder: Path, limit_bytes: int) -> Source:
    """Return a copy of ``source`` in UTF-8 below ``folder``.

    Raises:
        ReadingLimit: it is larger than ``limit_bytes``; saved as UTF-8 it may be of any size.
        CorruptField: it is no UTF-16.
    """
    if source.size_bytes > limit_bytes:
        message = "a table in UTF-16 is too large to be read; save it as UTF-8"
        raise ReadingLimit(message, file=source.name, expected=limit_bytes, found=source.size_bytes)
    try:
        data = source.path.read_bytes().decode("utf-16").encode()
    except UnicodeError as error:
        offset = getattr(error, "start", None)
        raise CorruptField("the text begins as UTF-16 and is none", file=source.name, offset=offset) from None
    if len(data) > limit_bytes:
        message = "a table in UTF-16 is too large to be read; save it as UTF-8"
        raise ReadingLimit(message, file=source.name, expected=limit_bytes, found=len(data))
    copy = folder / "table.txt"
    copy.write_bytes(data)
    return replace(source, path=copy, size_bytes=len(data), head=data[: len(source.head)])
