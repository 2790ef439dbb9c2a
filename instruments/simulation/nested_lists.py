"""Text made of nested parentheses: tokens, lists in lists, with the line of each list."""

import re
from collections.abc import Iterator

from instruments.errors import CorruptField, ReadingLimit, Truncated

COMMENT = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\r\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[()]|(?:\\.|[^\s()"\\])+|["\\]')
DEEPEST = 64


class NestedList(list["str | NestedList"]):
    """A list of words (quoted ones without their quotes) and lists; ``line`` is where it begins."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line

    @property
    def head(self) -> str:
        """The first word in capitals, or nothing."""
        return self[0].upper() if self and isinstance(self[0], str) else ""

    def words(self) -> list[str]:
        """The words after the first, without lists."""
        return [item for item in self[1:] if isinstance(item, str)]

    def lists(self) -> "list[NestedList]":
        """The lists in it."""
        return [item for item in self if isinstance(item, NestedList)]

    def text(self) -> str:
        """The list as it was written, words a space apart."""
        return " ".join(item if isinstance(item, str) else f"({item.text()})" for item in self)


def without_comments(text: str) -> str:
    """Return ``text`` with ``//`` and ``/* */`` comments blanked, lines kept, quoted words untouched."""
    return COMMENT.sub(lambda match: match[0] if match[0][0] == '"' else re.sub(r"[^\r\n]", " ", match[0]), text)


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line, place = 1, 0
    for match in TOKEN.finditer(text):
        line += text.count("\n", place, match.start())
        place = match.start()
        yield match[0], line


def read_nested(text: str, file: str) -> NestedList:
    """Return the only list of ``text``, which has no comments left; ``file`` is for errors.

    Raises:
        Truncated: the text ends inside a list.
        CorruptField: there is something outside of the list, or a quote without its end.
        ReadingLimit: lists are nested too deep.
    """
    outer = NestedList(1)
    open_lists = [outer]
    for word, line in _tokens(text):
        if word == "(":
            inner = NestedList(line)
            open_lists[-1].append(inner)
            open_lists.append(inner)
            if len(open_lists) > DEEPEST:
                raise ReadingLimit(f"more than {DEEPEST} lists in each other", file=file, offset=line)
        elif word == ")":
            if len(open_lists) == 1:
                message = "a parenthesis closes that none opened"
                raise CorruptField(message, file=file, offset=line, offset_unit="line")
            open_lists.pop()
        elif word in ('"', "\\"):
            message = "a quotation mark or backslash stands alone"
            raise CorruptField(message, file=file, offset=line, offset_unit="line")
        else:
            open_lists[-1].append(word[1:-1] if word[0] == '"' else word)
    if len(open_lists) > 1:
        message = "the text ends inside a list"
        raise Truncated(message, file=file, offset=open_lists[-1].line, offset_unit="line")
    if len(outer) != 1 or not isinstance(outer[0], NestedList):
        raise CorruptField("the file is not one list in parentheses", file=file, found=len(outer))
    return outer[0]
