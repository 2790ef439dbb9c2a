"""Lines of text as files mean them."""

import re

_LINE_END = re.compile(r"\r\n|\n|\r")


def split_lines(text: str) -> list[str]:
    r"""Return the lines of ``text``, without a last empty one: they end with CR LF, LF or CR, and with nothing else.

    ``str.splitlines`` also ends a line at a vertical tab, a form feed, U+001C, U+0085, U+2028 and others, so that a
    damaged or a foreign character in a row would make two rows of it.
    """
    lines = _LINE_END.split(text)
    return lines[:-1] if not lines[-1] else lines
