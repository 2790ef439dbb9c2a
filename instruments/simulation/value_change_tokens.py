"""The words of a value change dump, with the line of each; and time stamps with fractions as whole ticks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from instruments.errors import Truncated

MAXIMUM_DECIMALS = 18
MARK = b"\xef\xbb\xbf"
FRACTION = re.compile(rb"#(\d+)\.(\d+)")


class Tokens:
    """Whitespace-separated tokens of a file with the line that each stands on."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.line = 0
        self.last_line = b"\n"
        self._iterator = self._tokens()

    def _tokens(self) -> Iterator[bytes]:
        for raw in self.stream:
            self.line += 1
            self.last_line = raw
            yield from raw.split()

    def __iter__(self) -> Iterator[bytes]:
        return self._iterator


def words_to_end(tokens: Tokens, command: str) -> list[str]:
    """Return the words up to ``$end``; raises Truncated when there is none."""
    words: list[str] = []
    line = tokens.line
    for raw in tokens:
        if raw == b"$end":
            return words
        words.append(raw.decode("utf-8", "replace"))
    raise Truncated(f"{command} has no $end", offset=line, offset_unit="line")


def count_decimals(path: Path) -> int:
    """Return the most decimals that a time stamp of the dump has, zeros at its end not counted."""
    most = 0
    for statement in body_statements(path):
        fraction = FRACTION.fullmatch(statement)
        if fraction is not None:
            most = max(most, len(fraction[2].rstrip(b"0")))
    return most


def body_statements(path: Path) -> Iterator[bytes]:
    """Yield the statements after ``$enddefinitions``, each with one blank between its words; comments are left out."""
    with path.open("rb") as stream:
        tokens = Tokens(stream)
        for token in tokens:
            if token == b"$enddefinitions":
                break
        stream_of = iter(tokens)
        for token in stream_of:
            if token == b"$comment":
                words_to_end(tokens, "$comment")
            elif token[0] in b"bBrRsS":
                yield b"%b %b" % (token, next(stream_of, b""))
            else:
                yield token


def whole_stamp(token: bytes, decimals: int) -> bytes:
    """Return a time stamp (``#3.2``) in ticks of ``10 ** -decimals`` (``#32``); what is none comes back as it is."""
    fraction = FRACTION.fullmatch(token)
    if fraction is not None:
        return b"#" + fraction[1] + fraction[2][:decimals].ljust(decimals, b"0")
    return token + b"0" * decimals if token[1:].isdigit() else token
