"""Text as files mean it: its encoding and its lines."""

import codecs
import re

_LINE_END = re.compile(r"\r\n|\n|\r")
_TWO_BYTES = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HEAD_BYTES = 16384
_WINDOWS = "the text is not UTF-8 and was read as Windows-1252; letters beyond ASCII may be others"


def split_lines(text: str) -> list[str]:
    r"""Return the lines of ``text``, without a last empty one: they end with CR LF, LF or CR, and with nothing else.

    ``str.splitlines`` also ends a line at a vertical tab, a form feed, U+001C, U+0085, U+2028 and others, so that a
    damaged or a foreign character in a row would make two rows of it.
    """
    lines = _LINE_END.split(text)
    return lines[:-1] if not lines[-1] else lines


def decode_text(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Return ``data`` as text, and doubts about its encoding.

    UTF-8 with or without a mark, UTF-16 with one ("Unicode text" of spreadsheets), or else Windows-1252, with a doubt.

    Raises:
        UnicodeDecodeError: it is none of them.
    """
    if data.startswith(_TWO_BYTES):
        return data.decode("utf-16"), ()
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        return data.decode("cp1252"), (_WINDOWS,)


def head_text(head: bytes) -> str:
    """Return the beginning of what ``head`` begins with as text; a character may be replaced."""
    piece = head[:_HEAD_BYTES]
    if piece.startswith(_TWO_BYTES):
        return piece.decode("utf-16", "replace")
    try:
        return piece.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A character may be cut at the end of the piece.
        return piece.decode("utf-8-sig" if error.start >= len(piece) - 3 else "cp1252", "replace")
