"""The stored images of a signal map: pages of a TIFF file, or a grid of numbers as text; each counted twice."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField, CountMismatch, ReadingLimit, UnsupportedVersion
from instruments.probing.tiff_directories import Directory, walk_directories
from instruments.text_lines import split_lines

MAXIMUM_BYTES = 512 << 20
EXPANSION_FLOOR_BYTES = 4 << 20
MAXIMUM_EXPANSION = 1100  # deflate reaches 1032:1
KINDS = {(1, 8): "u1", (1, 16): "u2", (1, 32): "u4", (2, 8): "i1", (2, 16): "i2", (2, 32): "i4"} | {
    **{(3, 16): "f2", (3, 32): "f4", (3, 64): "f8", (6, 64): "c8", (6, 128): "c16"}
}
UNCOMPRESSED = 1
SEPARATOR = re.compile(r"[;,\t]| +")
DECIMAL = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")
MISSING = frozenset({"", "nan", "n/a", "na"})


class TiffPages:
    """The pages of one TIFF file; ``file`` is its name for messages."""

    def __init__(self, path: Path, file: str) -> None:
        self.path = path
        self.file = file
        self.directories = walk_directories(path, file)
        self.used: set[int] = set()

    def outline(self, page: int) -> tuple[int, int, np.dtype[Any]]:
        """Return rows, columns and type of page ``page`` (from 0), by its directory.

        Raises:
            CorruptField: there is no such page.
            UnsupportedVersion: it has several samples a pixel, or samples of a kind that is not read.
            CountMismatch: its bytes are not those of its size.
            ReadingLimit: it is too large.
        """
        if page >= len(self.directories):
            raise CorruptField(f"{self.file} has no page {page}", expected=f"< {len(self.directories)}", found=page)
        self.used.add(page)
        directory = self.directories[page]
        kind = KINDS.get((directory.sample_format, directory.bits[0]))
        if directory.samples != 1 or kind is None:
            message = f"page {page} of {self.file} is not one number a pixel"
            found = f"{directory.samples} samples of {directory.bits[0]} bits, format {directory.sample_format}"
            raise UnsupportedVersion(message, expected="one sample", found=found)
        expected = directory.rows * directory.columns * np.dtype(kind).itemsize
        if expected > MAXIMUM_BYTES:
            raise ReadingLimit(f"page {page} of {self.file} is too large", expected=MAXIMUM_BYTES, found=expected)
        if expected > EXPANSION_FLOOR_BYTES and expected > MAXIMUM_EXPANSION * directory.stored_bytes:
            message = f"page {page} of {self.file} expands too far"
            most = MAXIMUM_EXPANSION * directory.stored_bytes
            raise ReadingLimit(message, expected=most, found=expected)
        plain = directory.compression == UNCOMPRESSED
        short = directory.stored_bytes < expected
        if plain and (short or (directory.stored_bytes != expected and not directory.tiled)):
            message = f"the bytes of page {page} of {self.file} are not those of its size"
            raise CountMismatch(message, expected=expected, found=directory.stored_bytes)
        return directory.rows, directory.columns, np.dtype(kind)

    def read(self, page: int) -> NDArray[Any]:
        """Return page ``page`` (from 0) as an array of shape ``(rows, columns)``.

        Raises:
            CorruptField: there is no such page, or tifffile cannot read it.
            UnsupportedVersion, ReadingLimit: as ``outline``.
            CountMismatch: its bytes, or what tifffile makes of them, are not those of its size.
        """
        rows, columns, dtype = self.outline(page)
        values = self._through_tifffile(page, self.directories[page])
        if values.shape != (rows, columns) or values.dtype != dtype:
            message = f"tifffile makes another image of page {page} of {self.file} than its directory says"
            expected_text = f"{rows} x {columns} {dtype}"
            raise CountMismatch(message, expected=expected_text, found=f"{values.shape} {values.dtype}")
        return values

    def _through_tifffile(self, page: int, directory: Directory) -> NDArray[Any]:
        import tifffile  # noqa: PLC0415 - loaded only where a TIFF file is read

        try:
            with tifffile.TiffFile(self.path) as opened:
                values = np.asarray(opened.pages[page].asarray(maxworkers=1))
        except Exception as error:
            text = " ".join(str(error).split()).replace(str(self.path), self.file)
            what = f"tifffile cannot read page {page} of {self.file}: {text[:200]}"
            if directory.compression != UNCOMPRESSED:
                raise UnsupportedVersion(what, found=f"compression {directory.compression}") from error
            raise CorruptField(what) from error
        return np.ascontiguousarray(values, values.dtype.newbyteorder("="))

    @property
    def unused(self) -> int:
        """How many pages no band has named."""
        return len(self.directories) - len(self.used)


def read_grid(path: Path, skip_lines: int, file: str) -> tuple[NDArray[np.float64], bool]:
    """Return a grid of numbers as text, shape ``(rows, columns)``, and whether its last line has an end.

    Empty cells and ``nan`` are NaN.

    Separators are comma, semicolon, tab or blanks, the same in the whole file. The decimal sign is a point, or a comma
    between semicolons or tabs, if some number shows that it parts no thousands.

    Raises:
        CorruptField: the text is no grid of numbers; with the line.
        CountMismatch: the separators in the text are not those of the grid.
        ReadingLimit: it is too large.
    """
    size = path.stat().st_size
    if size > MAXIMUM_BYTES:
        raise ReadingLimit(f"{file} is too large", expected=MAXIMUM_BYTES, found=size)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptField(f"{file} is not UTF-8", offset=error.start) from error
    lines = split_lines(text)
    numbered = [(number, line.strip(" \r")) for number, line in enumerate(lines, 1) if number > skip_lines]
    while numbered and not numbered[-1][1]:
        numbered.pop()
    if not numbered:
        raise CorruptField(f"{file} holds no numbers")
    found = SEPARATOR.search(numbered[0][1])
    separator = next((mark for mark in ";\t" if mark in numbered[0][1]), found[0] if found else ",")
    if separator in ";\t" and "," in numbered[0][1]:
        numbered = _with_points(numbered, separator, file)
    pattern = re.compile(" +" if separator.startswith(" ") else re.escape(separator))
    rows = [_row(pattern.split(line), number, file) for number, line in numbered]
    width = len(rows[0])
    for (number, _), row in zip(numbered, rows, strict=True):
        if len(row) != width:
            message = f"a line of {file} has another number of columns than the first"
            raise CorruptField(message, offset=number, expected=width, found=len(row), offset_unit="line")
    if not separator.startswith(" "):
        _count_separators(text, separator, skip_lines, (len(rows), width), file)
    return np.array(rows, np.float64), text.endswith(("\n", "\r"))


def _with_points(numbered: list[tuple[int, str]], separator: str, file: str) -> list[tuple[int, str]]:
    """Return the lines with decimal points for decimal commas; refuse them where a comma may part thousands."""
    cells = [cell.strip() for _, line in numbered for cell in line.split(separator)]
    clear = any(DECIMAL.fullmatch(cell) and not THOUSANDS.fullmatch(cell) for cell in cells)
    if not clear or any("." in cell for cell in cells):
        message = f"the commas in {file} may part thousands or be decimal; write numbers with a decimal point"
        raise CorruptField(message, offset=numbered[0][0], found=numbered[0][1][:40], offset_unit="line")
    return [(number, line.replace(",", ".")) for number, line in numbered]


def _row(cells: list[str], number: int, file: str) -> list[float]:
    values = []
    for column, cell in enumerate(cells, 1):
        plain = cell.strip()
        try:
            if "_" in plain:
                raise ValueError
            values.append(np.nan if plain.lower() in MISSING else float(plain))
        except ValueError:
            message = f"column {column} of {file} is no number"
            raise CorruptField(message, offset=number, found=plain[:40], offset_unit="line") from None
    return values


def _count_separators(text: str, separator: str, skip_lines: int, shape: tuple[int, int], file: str) -> None:
    """Compare rows x (columns - 1) with the separators in the text after the skipped lines."""
    rest = text
    for _ in range(skip_lines):
        rest = rest.partition("\n")[2]
    expected = shape[0] * (shape[1] - 1)
    if rest.count(separator) != expected:
        message = f"the separators in {file} are not those of its grid"
        raise CountMismatch(message, expected=expected, found=rest.count(separator))
