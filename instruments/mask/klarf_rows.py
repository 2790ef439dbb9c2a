"""The rows of a flat KLARF file's defect lists, whatever lines they are written on."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from instruments.errors import CorruptField
from instruments.mask.klarf_text import FLAT_TOKEN, KlarfText, WaferDefects, parse_integer, unquote

_WIDTH = "has another number of values than DefectRecordSpec has columns"


@dataclass(frozen=True)
class DefectSpec:
    """A DefectRecordSpec; ``counts`` and ``images`` are the places of IMAGECOUNT and IMAGELIST, -1 when absent."""

    names: tuple[str, ...]
    counts: int
    images: int


@dataclass(frozen=True)
class _List:
    """One list: where it begins in the text, its words, and which of them begin a line."""

    start: int
    words: list[str]
    line_starts: frozenset[int]


@dataclass
class RowReader:
    """Adds the rows of one list after another to ``wafer``.

    Attributes:
        counted_images: an image list begins with the number of its images.
        words_read: values in all lists.
        off_line: rows that do not begin on a line of their own.
    """

    text: KlarfText
    counted_images: bool
    wafer: WaferDefects
    words_read: int = 0
    off_line: int = 0

    def read(self, start: int, end: int, spec: DefectSpec | None, image_file: str) -> None:
        """Read the rows between the offsets ``start`` and ``end``.

        Raises:
            CorruptField: a row is wider or narrower than ``spec``, or does not say how many images it has.
        """
        self.wafer.listed = True
        listed = _split(self.text.text[start:end], start)
        if not listed.words:
            return
        if spec is None:
            raise self.text.corrupt("defects come before DefectRecordSpec", self.text.offset_of((start, 0)))
        before = self.wafer.row_count
        self.words_read += len(listed.words)
        rows = self._place_rows(listed, spec, before)
        self.off_line += sum(1 for first, _ in rows[1:] if first not in listed.line_starts)
        if spec.images < 0:
            width = len(spec.names)
            for place, name in enumerate(spec.names):
                self.wafer.columns[name] += map(unquote, listed.words[place::width])
            self.wafer.images += [[] for _ in rows]
        else:
            for first, needed in rows:
                self._add_row(listed.words[first : first + needed], spec, image_file)
        self.wafer.places += [(start, first) for first, _ in rows]

    def _place_rows(self, listed: _List, spec: DefectSpec, before: int) -> list[tuple[int, int]]:
        """Return the first word and the number of words of each row."""
        rows: list[tuple[int, int]] = []
        first, count = 0, len(listed.words)
        while first < count:
            needed = len(spec.names)
            if spec.images >= 0:
                needed += self._image_words(listed, first, spec, before + len(rows) + 1)
            if first + needed > count:
                raise self._wrong_width(listed, [*rows, (first, needed)], before)
            rows.append((first, needed))
            first += needed
        return rows

    def _image_words(self, listed: _List, first: int, spec: DefectSpec, number: int) -> int:
        """Return how many words more than one a column the row has; 0 where it ends before its images."""
        known = 0 <= spec.counts < spec.images
        words = listed.words
        counter = first + (spec.counts if known and not self.counted_images else spec.images)
        if counter >= len(words):
            return 0
        count = parse_integer(words[counter])
        offset = (listed.start, counter)
        if count is None or count < 0 or not (known or self.counted_images):
            message = f"defect row {number} does not say how many images it has"
            raise self.text.corrupt(message, self.text.offset_of(offset), "a number", words[counter])
        if self.counted_images and known and words[first + spec.counts] != words[counter]:
            message = f"defect row {number} gives two different numbers of images"
            raise self.text.corrupt(message, self.text.offset_of(offset), words[first + spec.counts], words[counter])
        return 2 * count if self.counted_images else 2 * count - 1

    def _wrong_width(self, listed: _List, rows: list[tuple[int, int]], before: int) -> CorruptField:
        """Name the row that is too long, when line ends show it, or the last one, which is too short."""
        number, (first, needed) = len(rows), rows[-1]
        found = len(listed.words) - first
        wrong = next((row for row in range(1, len(rows)) if rows[row][0] not in listed.line_starts), None)
        if wrong is not None:
            number, (first, needed) = wrong, rows[wrong - 1]
            after = (place for place in sorted(listed.line_starts) if place > first)
            found = next(after, len(listed.words)) - first
        message = f"defect row {before + number} {_WIDTH}"
        return self.text.corrupt(message, self.text.offset_of((listed.start, first)), needed, found)

    def _add_row(self, words: list[str], spec: DefectSpec, image_file: str) -> None:
        start = spec.images + (1 if self.counted_images else 0)
        end = len(words) - (len(spec.names) - 1 - spec.images)
        listed = [unquote(word) for word in words[start:end]]
        pairs = zip(listed[::2], listed[1::2], strict=True)
        self.wafer.images.append([[image_file, *(_number_or_text(item) for item in pair)] for pair in pairs])
        values = words[: spec.images] + words[end:]
        for column, value in zip(self.wafer.columns.values(), values, strict=True):
            column.append(unquote(value))


def _split(body: str, start: int) -> _List:
    """Return the words of a list; quotes keep a text together."""
    quoted = '"' in body
    words = FLAT_TOKEN.findall(body) if quoted else body.split()
    lengths = (len(FLAT_TOKEN.findall(line) if quoted else line.split()) for line in body.splitlines())
    return _List(start, words, frozenset(accumulate(lengths, initial=0)))


def _number_or_text(text: str) -> str | int:
    value = parse_integer(text)
    return text if value is None else value


def count_list_words(text: str) -> int:
    """Return how many words stand in defect lists, by splitting the text alone."""
    return sum(_words_by_statement(text))


def _words_by_statement(text: str) -> Iterator[int]:
    pieces = text.split('"')
    inside = False
    for statement in "_".join(pieces[::2]).split(";"):
        words = statement.split()
        if not words:
            continue
        follows = inside and parse_integer(words[0]) is not None
        inside = words[0].lower() == "defectlist" or follows
        if inside:
            yield len(words) - (0 if follows else 1)
