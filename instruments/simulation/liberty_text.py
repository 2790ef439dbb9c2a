"""Liberty as text: groups ``name(arguments) { … }`` with attributes ``name : value;`` and ``name(values);``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from instruments.errors import CorruptField, ReadingLimit, Truncated
from instruments.simulation.nested_lists import without_comments

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[(){};:,]|(?:\\\r?\n|[^\s(){};:,"\\])+|["\\]', re.DOTALL)
CONTINUED = re.compile(r"\\\r?\n")
DEEPEST = 16
PUNCTUATION = "(){};:,"


@dataclass
class Group:
    """A group.

    Attributes:
        name: its kind, for example ``cell``.
        arguments: words in its parentheses.
        line: where it begins.
        attributes: by name, the words of each of that name's values, in order.
        groups: those inside.
    """

    name: str
    arguments: tuple[str, ...]
    line: int
    attributes: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    groups: "list[Group]" = field(default_factory=list)

    def first(self, name: str) -> str:
        """Return the first word of the attribute ``name``, or nothing."""
        values = self.attributes.get(name)
        return values[0][0] if values and values[0] else ""

    def inside(self, name: str) -> "Iterator[Group]":
        """Yield the groups of a kind."""
        return (group for group in self.groups if group.name == name)


def read_groups(text: str, file: str) -> Group:
    """Return the only top group of ``text``; ``file`` is for errors.

    Raises:
        Truncated: the text ends inside a group.
        CorruptField: a statement that is none.
        ReadingLimit: groups are nested too deep.
    """
    top = Group("", (), 1)
    _Statements(without_comments(text), file).read_into([top])
    if len(top.groups) != 1 or top.attributes:
        raise CorruptField("the file is not one group", file=file, found=len(top.groups))
    return top.groups[0]


class _Statements:
    """The statements of a text, one after another."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._text = text
        self._tokens = TOKEN.finditer(text)
        self._counted, self._line = 0, 1

    def _error(self, message: str, found: str) -> CorruptField:
        return CorruptField(message, file=self._file, offset=self._line, found=found[:60], offset_unit="line")

    def _next(self) -> str | None:
        match = next(self._tokens, None)
        if match is None:
            return None
        self._line += self._text.count("\n", self._counted, match.start())
        self._counted = match.start()
        if match[0] in ('"', "\\"):
            raise self._error("a quotation mark or backslash stands alone", match[0])
        return match[0]

    def _word(self, text: str) -> str:
        return CONTINUED.sub("", text[1:-1] if text[0] == '"' else text).strip()

    def read_into(self, stack: list[Group]) -> None:
        """Read all statements into the last group of ``stack``."""
        while (name := self._next()) is not None:
            if name == ";":
                continue
            if name == "}":
                self._close(stack)
                continue
            if name in PUNCTUATION:
                raise self._error("a statement begins with a mark", name)
            self._statement(self._word(name), stack)
        if len(stack) > 1:
            message = f"the text ends inside the group {stack[-1].name}"
            raise Truncated(message, file=self._file, offset=stack[-1].line, offset_unit="line")

    def _statement(self, name: str, stack: list[Group]) -> None:
        line, mark = self._line, self._next()
        if mark == ":":
            stack[-1].attributes.setdefault(name, []).append(self._value())
            return
        if mark != "(":
            raise self._missing(mark, f"{name} is followed by neither a colon nor a parenthesis")
        words = self._arguments()
        after = self._next()
        if after == "{":
            if len(stack) > DEEPEST:
                raise ReadingLimit(f"more than {DEEPEST} groups in each other", file=self._file, offset=line)
            group = Group(name, words, line)
            stack[-1].groups.append(group)
            stack.append(group)
        elif after == ";":
            stack[-1].attributes.setdefault(name, []).append(words)
        elif after == "}":
            stack[-1].attributes.setdefault(name, []).append(words)
            self._close(stack)
        else:
            raise self._missing(after, f"{name}(…) is followed by neither a semicolon nor a brace")

    def _close(self, stack: list[Group]) -> None:
        if len(stack) == 1:
            raise self._error("a brace closes that none opened", "}")
        stack.pop()

    def _missing(self, found: str | None, message: str) -> CorruptField | Truncated:
        if found is None:
            return Truncated("the text ends inside a statement", file=self._file, offset=self._line, offset_unit="line")
        return self._error(message, found)

    def _value(self) -> tuple[str, ...]:
        words: list[str] = []
        while (mark := self._next()) != ";":
            if mark is None or mark in "{}":
                raise self._missing(mark, "a value ends without a semicolon")
            words.append(mark if mark in PUNCTUATION else self._word(mark))
        return (" ".join(words),)

    def _arguments(self) -> tuple[str, ...]:
        words: list[str] = []
        while (mark := self._next()) != ")":
            if mark is None or mark in "{};":
                raise self._missing(mark, "a parenthesis is not closed")
            if mark != ",":
                words.append(self._word(mark))
        return tuple(words)
