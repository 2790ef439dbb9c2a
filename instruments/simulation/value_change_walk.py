"""A walk over the raw text of a value change dump: the count that the reading library is checked against.

IEEE Std 1364-2005 clause 18 (value change dump files), with the extensions that simulators write: ``string``
variables with ``s`` values, ``$attrbegin``/``$attrend``, nine-valued VHDL logic, and time stamps with fractions, whose
ticks are then tenths, hundredths, … of the dump's. Extended dumps (``p`` port values) are refused. The walk holds a few
numbers per identifier, never the changes themselves.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from instruments.errors import CorruptField, InstrumentError, ReadingLimit, Truncated, UnsupportedVersion
from instruments.simulation.value_change_tokens import (
    FRACTION,
    MARK,
    MAXIMUM_DECIMALS,
    Tokens,
    count_decimals,
    whole_stamp,
    words_to_end,
)
from instruments.simulation.value_change_values import normalize_value

LAST_TICK = 2**63 - 1
KNOWN_TEXTS = 1 << 16
WIDEST = 1 << 20
"""Bits of a variable: sixteen times what every simulator must allow (IEEE Std 1364-2005, 4.3.1)."""
_MOST_DIGITS = 18
_EXTENDED = "extended value change dumps (EVCD, $dumpports) are not read: dump the signals with $dumpvars instead"
TEXT_COMMANDS = frozenset({"$date", "$version", "$comment", "$attrbegin", "$attrend"})
BODY_COMMANDS = frozenset(
    {b"$end", b"$dumpvars", b"$dumpall", b"$dumpon", b"$dumpoff"},
)
REAL_KINDS = frozenset({"real", "realtime", "real_parameter", "shortreal"})
SCALAR_VALUES = frozenset(b"01xXzZuUwWlLhH-")
SCALAR_TEXTS = {bytes([code]): chr(code).lower() for code in SCALAR_VALUES}
UNIT_EXPONENTS = {"s": 0, "ms": -3, "us": -6, "ns": -9, "ps": -12, "fs": -15}
INDEX = re.compile(r"\s*\[\s*(-?\d+)\s*(?::\s*(-?\d+)\s*)?\]$")


@dataclass(frozen=True)
class DeclaredVariable:
    """One ``$var``: its scopes, its name as declared and without a trailing index, and where it stands."""

    scopes: tuple[str, ...]
    reference: str
    identifier: str
    kind: str
    width: int
    line: int

    @property
    def is_empty(self) -> bool:
        """The variable has no bits and is neither a real nor a string: it can hold nothing (hardware compilers)."""
        return self.width == 0 and self.kind != "string" and self.kind not in REAL_KINDS

    @property
    def _index(self) -> re.Match[str] | None:
        """The bracketed index after the name; what stands in an escaped name is a part of it."""
        match = INDEX.search(self.reference)
        if match is None or not self.reference.startswith("\\") or " " in self.reference[: match.end(1)]:
            return match
        return match if match[2] is not None and abs(int(match[1]) - int(match[2])) + 1 == self.width else None

    @property
    def base(self) -> str:
        """The name without its last bracketed index."""
        match = self._index
        return re.sub(r"\s+\[", "[", self.reference if match is None else self.reference[: match.start()])

    @property
    def high_index(self) -> int | None:
        """The larger number of the index, ``None`` when the name has none."""
        return max(int(self._index[1]), int(self._index[2] or self._index[1])) if self._index else None

    @property
    def full_name(self) -> str:
        """Scopes and base name, joined by dots."""
        return ".".join((*self.scopes, self.base))

    @property
    def own_name(self) -> str:
        """Scopes and name, without the bounds of a vector; the index of a bit or of a word stays."""
        match = self._index
        return f"{self.full_name}[{match[1]}]" if match is not None and match[2] is None else self.full_name

    @property
    def is_bracketed(self) -> bool:
        """The name is an escaped one with an index in it: a reader takes it for a part of a vector."""
        return self._index is None and INDEX.search(self.reference) is not None


@dataclass(slots=True)
class ChangeCount:
    """How often one identifier changed, and a checksum of what it changed to and when.

    The checksum is a chain of Python hashes: fast, and equal for equal changes within one process only. A leading
    unknown value (all ``x``) is kept out of the chain, because a reader that merges bits cannot tell it from
    "not yet known".
    """

    count: int = 0
    leading_x_tick: int | None = None
    last_value: str | None = None
    chain: int = 0

    def add(self, tick: int, value: str, *, repeats: bool = False) -> None:
        """Count a change; a value equal to the last is not one unless ``repeats`` (events)."""
        if value == self.last_value and not repeats:
            return
        if self.count == 0 and self.last_value is None and not value.strip("x"):
            self.leading_x_tick = tick
        else:
            self.chain = hash((self.chain, tick, value))
        self.last_value = value
        self.count += 1

    def add_all(self, ticks: list[int], values: list[str]) -> None:
        """Count changes as ``add`` does, without repeats."""
        last, chain, count = self.last_value, self.chain, self.count
        for tick, value in zip(ticks, values, strict=True):
            if value == last:
                continue
            if last is None and count == 0 and not value.strip("x"):
                self.leading_x_tick = tick
            else:
                chain = hash((chain, tick, value))
            last = value
            count += 1
        self.last_value, self.chain, self.count = last, chain, count

    def signature(self, *, ignore_leading_x: bool = False) -> tuple[int, int | None, int]:
        """Return number, tick of a leading unknown value and checksum: equal for equal sequences of changes."""
        if ignore_leading_x:
            return self.count - (self.leading_x_tick is not None), None, self.chain
        return self.count, self.leading_x_tick, self.chain


@dataclass
class WalkedDump:
    """What the walk found: declarations, counts by identifier, and the last time stamp in ticks.

    A tick is ``10 ** -decimals`` of the dump's own; ``timescale_s`` and ``timezero`` are of the dump's own.
    """

    variables: list[DeclaredVariable] = field(default_factory=list)
    counts: dict[str, ChangeCount] = field(default_factory=dict)
    timescale: str | None = None
    timescale_s: float | None = None
    timezero: int | None = None
    date: str = ""
    version: str = ""
    last_tick: int | None = None
    ends_with_newline: bool = True
    decimals: int = 0

    @property
    def changes(self) -> int:
        """Value changes of all identifiers together."""
        return sum(count.count for count in self.counts.values())


def walk_dump(path: Path, file: str) -> WalkedDump:
    """Read the whole dump token by token.

    Args:
        path: the dump.
        file: its name for messages.

    Raises:
        Truncated: it ends within its header or within a value change.
        CorruptField: a statement that cannot be right, with its line.
        UnsupportedVersion: an extended dump (EVCD), or a command that this walk does not know.
    """
    try:
        try:
            return _walk(path, 0)
        except _FractionalStamp:
            return _walk(path, count_decimals(path))
    except InstrumentError as error:
        error.file = file
        raise


class _FractionalStamp(Exception):  # noqa: N818
    """The first time stamp with a fraction: the walk starts again with finer ticks."""


def _walk(path: Path, decimals: int) -> WalkedDump:
    dump = WalkedDump(decimals=decimals)
    with path.open("rb") as stream:
        if stream.read(3) != MARK:
            stream.seek(0)
        tokens = Tokens(stream)
        _walk_header(tokens, dump)
        _walk_body(tokens, dump)
        dump.ends_with_newline = tokens.last_line.endswith(b"\n")
    return dump


def _walk_header(tokens: Tokens, dump: WalkedDump) -> None:
    scopes: list[str] = []
    for raw in tokens:
        command, line = raw.decode("utf-8", "replace"), tokens.line
        if not command.startswith("$"):
            raise CorruptField(
                "the header has a word outside any command", offset=line, found=command, offset_unit="line"
            )
        words = words_to_end(tokens, command)
        if command == "$enddefinitions":
            return
        if command == "$scope":
            _expect_words(command, words, (1, 2), line)
            scopes.append(words[1] if len(words) == 2 else "")
        elif command == "$upscope":
            if not scopes:
                raise CorruptField("$upscope closes a scope that is not open", offset=line, offset_unit="line")
            scopes.pop()
        elif command == "$var":
            _declare(dump, words, tuple(scope for scope in scopes if scope), line)
        elif command == "$timescale":
            dump.timescale, dump.timescale_s = _timescale(words, line, dump.timescale)
        elif command == "$timezero":
            dump.timezero = _timezero(words, line)
        elif command == "$date":
            dump.date = " ".join(words)
        elif command == "$version":
            dump.version = " ".join(words)
        elif command not in TEXT_COMMANDS:
            raise UnsupportedVersion("unknown header command", offset=line, found=command, offset_unit="line")
    raise Truncated("the dump ends before $enddefinitions", offset=tokens.line, offset_unit="line")


def _expect_words(command: str, words: list[str], allowed: tuple[int, ...], line: int) -> None:
    if len(words) not in allowed:
        raise CorruptField(
            f"{command} has the wrong number of words",
            offset=line,
            expected=" or ".join(map(str, allowed)),
            found=len(words),
            offset_unit="line",
        )


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def _declare(dump: WalkedDump, words: list[str], scopes: tuple[str, ...], line: int) -> None:
    if words[:1] == ["port"] and not _is_count("".join(words[1:2])):
        raise UnsupportedVersion(_EXTENDED, offset=line, offset_unit="line")
    if len(words) < 4 or not _is_count(words[1]):
        raise CorruptField(
            "$var is not kind, width, identifier, name", offset=line, found=" ".join(words), offset_unit="line"
        )
    kind, width, identifier = words[0], int(words[1]), words[2]
    if kind == "string" or kind in REAL_KINDS:
        width = 0
    elif kind == "event":
        width = 1
    elif width > WIDEST:
        raise ReadingLimit(
            "a variable has too many bits", offset=line, expected=WIDEST, found=width, offset_unit="line"
        )
    variable = DeclaredVariable(scopes, " ".join(words[3:]), identifier, kind, width, line)
    dump.variables.append(variable)
    dump.counts.setdefault(identifier, ChangeCount())


def _timescale(words: list[str], line: int, before: str | None) -> tuple[str, float]:
    if before is not None:
        raise CorruptField("the dump has a second $timescale", offset=line, offset_unit="line")
    text = "".join(words)
    match = re.fullmatch(r"(1|10|100)(s|ms|us|ns|ps|fs)", text)
    if match is None:
        raise CorruptField(
            "$timescale is not 1, 10 or 100 of s to fs", offset=line, found=" ".join(words), offset_unit="line"
        )
    return text, float(f"{match[1]}e{UNIT_EXPONENTS[match[2]]}")


def _timezero(words: list[str], line: int) -> int:
    text = "".join(words)
    if not re.fullmatch(r"[+-]?\d+", text):
        raise CorruptField("$timezero is not a whole number", offset=line, found=text, offset_unit="line")
    return int(text)


class _Body:
    """The state of the walk through the value changes."""

    def __init__(self, dump: WalkedDump) -> None:
        self.dump = dump
        self.tick = 0
        self.by_identifier: dict[bytes, tuple[ChangeCount, str, int]] = {}
        self.known_texts: dict[tuple[bytes, str, int], str] = {}
        self.known_scalars: dict[bytes, tuple[ChangeCount, str]] = {}
        for variable in dump.variables:
            key = variable.identifier.encode()
            known = self.by_identifier.get(key)
            if known is not None and known[2] != variable.width:
                raise CorruptField(
                    f"identifier {variable.identifier} is declared with two widths",
                    offset=variable.line,
                    expected=known[2],
                    found=variable.width,
                    offset_unit="line",
                )
            kind = "real" if variable.kind in REAL_KINDS else variable.kind
            self.by_identifier[key] = (dump.counts[variable.identifier], kind, variable.width)

    def move(self, token: bytes, line: int) -> None:
        if self.dump.decimals:
            digits = whole_stamp(token, self.dump.decimals)[1:]
        else:
            digits = token[1:]
            fraction = FRACTION.fullmatch(token)
            if fraction is not None and len(fraction[2]) <= MAXIMUM_DECIMALS:
                if fraction[2].strip(b"0"):
                    raise _FractionalStamp
                digits = fraction[1]
        if not digits.isdigit():
            message = "the time stamp is not a whole number of ticks"
            raise CorruptField(message, offset=line, found=token.decode("utf-8", "replace"), offset_unit="line")
        tick = int(digits)
        if tick > LAST_TICK:
            raise CorruptField("the time stamp does not fit 63 bits", offset=line, found=tick, offset_unit="line")
        if tick < self.tick:
            raise CorruptField(
                "time runs backwards", offset=line, expected=f">= {self.tick}", found=tick, offset_unit="line"
            )
        self.tick = self.dump.last_tick = tick

    def change(self, value: bytes, identifier: bytes, line: int) -> None:
        entry = self.by_identifier.get(identifier)
        if entry is None and not identifier:
            raise Truncated("a value change has no identifier", offset=line, offset_unit="line")
        if entry is None:
            name = identifier.decode("utf-8", "replace")
            message = "a value change of an identifier that no $var declares"
            raise CorruptField(message, offset=line, found=name, offset_unit="line")
        count, kind, width = entry
        if width == 0 and kind not in ("string", "real"):
            if value not in (b"b", b"B"):
                message = "a variable without bits gets a value"
                found = value[:40].decode("utf-8", "replace")
                raise CorruptField(message, offset=line, found=found, offset_unit="line")
            return
        if width == 1 and kind != "event" and value in SCALAR_TEXTS:
            count.add(self.tick, SCALAR_TEXTS[value])
            if len(self.known_scalars) < KNOWN_TEXTS:
                self.known_scalars[value + identifier] = count, SCALAR_TEXTS[value]
            return
        normal = self.known_texts.get((value, kind, width))
        if normal is not None:
            count.add(self.tick, normal)
            return
        text = value.decode("utf-8", "replace")
        try:
            normal = "1" if kind == "event" else normalize_value(text, kind, width)
        except ValueError as error:
            name = identifier.decode("utf-8", "replace")
            message = f"identifier {name} gets a value it cannot hold: {error}"
            raise CorruptField(message, offset=line, found=text, offset_unit="line") from None
        if kind not in ("event", "string", "real") and len(self.known_texts) < KNOWN_TEXTS:
            self.known_texts[value, kind, width] = normal
        count.add(self.tick, normal, repeats=kind == "event")


def _walk_body(tokens: Tokens, dump: WalkedDump) -> None:
    body = _Body(dump)
    known = body.known_scalars
    stream = iter(tokens)
    for token in stream:
        if token in known:  # most statements of most dumps
            count, text = known[token]
            if text != count.last_value:
                count.add(body.tick, text)
            continue
        letter = token[0]
        if letter in SCALAR_VALUES:
            body.change(token[:1], token[1:], tokens.line)
        elif letter == 0x23:  # '#'
            body.move(token, tokens.line)
        elif letter in b"bBrRsS":
            line = tokens.line
            identifier = next(stream, None)
            if identifier is None:
                raise Truncated("the dump ends within a value change", offset=line, offset_unit="line")
            body.change(token, identifier, line)
        elif token == b"$comment":
            words_to_end(tokens, "$comment")
        elif letter == 0x24 and token in BODY_COMMANDS:  # '$'
            continue
        elif letter in b"pP" or token.startswith(b"$dumpports"):
            raise UnsupportedVersion(_EXTENDED, offset=tokens.line, offset_unit="line")
        else:
            found = token[:40].decode("utf-8", "replace")
            raise UnsupportedVersion("unknown statement", offset=tokens.line, found=found, offset_unit="line")
