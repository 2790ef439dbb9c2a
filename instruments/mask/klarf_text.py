"""KLARF as text: tokens with their places, shared by both grammars of the format."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from instruments.adapter import Source
from instruments.errors import CorruptField, NotThisFormat, ReadingLimit, Truncated

MAX_BYTES = 128 << 20
"""A KLARF file is read whole; its text takes about ten times its size in memory."""

FLAT_TOKEN = re.compile(r'"[^"]*"|;|[^\s;"]+|"')
NESTED_TOKEN = re.compile(r'"[^"]*"|[;{},]|[^\s;{},"]+|"')
ORIENTATION = frozenset(
    {"coordinatesmirrored", "orientationmarklocation", "sampleorientationmarktype", "orientationinstructions"}
)
_FILL = b"\x00\x1a"
"""What some systems fill up the last block of a text with."""
MISSING = frozenset({"N/A", "NA", "n/a", "na"})


class Token(NamedTuple):
    """A word, quoted text with its quotes, or a punctuation mark, and where it begins in the text."""

    text: str
    offset: int

    @property
    def value(self) -> str:
        """The text without quotes."""
        return unquote(self.text)

    @property
    def end(self) -> int:
        """Offset of the first character after it."""
        return self.offset + len(self.text)


@dataclass(frozen=True)
class KlarfText:
    """The whole text of a file; ``warnings`` tells how it was decoded when that is doubtful."""

    file: str
    text: str
    warnings: tuple[str, ...] = ()

    def line_of(self, offset: int) -> int:
        """Return the 1-based line number of ``offset``."""
        before = self.text[:offset]
        return 1 + before.count("\n") + before.replace("\r\n", "\n").count("\r")

    def token_at(self, place: int, pattern: re.Pattern[str] = FLAT_TOKEN) -> Token | None:
        """Return the first token from ``place`` on, ``None`` at the end; raises Truncated at a quote left open."""
        match = pattern.search(self.text, place)
        if match is None:
            return None
        if match.group() == '"':
            raise self.truncated("a quoted text does not end", match.start())
        return Token(match.group(), match.start())

    def offset_of(self, place: tuple[int, int]) -> int:
        """Return the offset of a word: so many words after an offset."""
        start, skip = place
        matches = FLAT_TOKEN.finditer(self.text, start)
        return next((match.start() for number, match in enumerate(matches) if number == skip), len(self.text))

    def corrupt(
        self, message: str, offset: int, expected: str | float | None = None, found: str | float | None = None
    ) -> CorruptField:
        """Return the error that says what is wrong on the line of ``offset``."""
        found = found[:60] if isinstance(found, str) else found
        line = self.line_of(offset)
        return CorruptField(message, file=self.file, offset=line, expected=expected, found=found, offset_unit="line")

    def truncated(self, message: str, offset: int) -> Truncated:
        """Return the error that the text ends too early, at the line of ``offset``."""
        return Truncated(message, file=self.file, offset=self.line_of(offset), offset_unit="line")


@dataclass
class WaferDefects:
    """One wafer or mask of a file, still in the file's words and units.

    Attributes:
        name: the wafer's identifier.
        version: ``1.1`` to ``1.8``.
        units_per_um: units of length of the file in a micrometre.
        columns: the columns of the defect list by name, texts as they stand; ``""`` where the file says ``N/A``.
        places: where each row begins: an offset in the text and how many words after it.
        images: of each defect, ``[file, …]`` each.
        geometry: ``DiePitch``, ``DieOrigin``, ``SampleCenterLocation`` as pairs in the file's unit, where given.
        orientation: what the file says of the sample's orientation, by the file's names, lower case.
        classes: class names by number.
        declared: defects by test number, as the file's summary says.
        listed: whether there is a list of defects, be it empty.
        metadata: everything else, verbatim.
    """

    name: str
    version: str
    units_per_um: int
    columns: dict[str, list[str]] = field(default_factory=dict)
    places: list[tuple[int, int]] = field(default_factory=list)
    images: list[list[list[str | int]]] = field(default_factory=list)
    geometry: dict[str, tuple[float, float]] = field(default_factory=dict)
    orientation: dict[str, str] = field(default_factory=dict)
    classes: dict[int, str] = field(default_factory=dict)
    declared: list[tuple[int, int]] = field(default_factory=list)
    listed: bool = False
    metadata: dict[str, object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        """Number of defects."""
        return len(self.places)


def read_text(source: Source) -> KlarfText:
    """Return the text of ``source``: UTF-8 with or without a byte order mark, or else Latin-1 with a warning.

    Raises:
        ReadingLimit: the file is larger than is read whole.
        NotThisFormat: it holds zero bytes.
    """
    if source.size_bytes > MAX_BYTES:
        message = "the KLARF file is too large to be read whole"
        raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=source.size_bytes)
    data = source.path.read_bytes().rstrip(_FILL)
    zero = data.find(b"\x00")
    if zero >= 0:
        raise NotThisFormat("there is a zero byte in the text", file=source.name, offset=zero)
    try:
        return KlarfText(source.name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        warning = f"the text is not UTF-8 from byte {error.start} on and was read as Latin-1"
        return KlarfText(source.name, data.decode("latin-1"), (warning,))


def unquote(text: str) -> str:
    """Return ``text`` without the quotes around it."""
    return text[1:-1] if text.startswith('"') else text


def parse_integer(text: str) -> int | None:
    """Return the whole number that ``text`` is, or ``None``."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
