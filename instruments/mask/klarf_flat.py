"""KLARF 1.1, 1.2 and 1.7: statements that end with ``;``. Line ends mean nothing.

A file describes one wafer, or several wafers of one lot: each WaferID after a wafer's defects begins another one, which
has its own position, defects and summary, and shares what is said of the lot, its classes and the columns of defects.

A defect row has as many values as ``DefectRecordSpec`` has columns. ``IMAGELIST`` stands for pairs (image, type): most
writers put their number before them, some leave it to ``IMAGECOUNT``; a file is read the first way if that fits it
throughout, else the second.
"""

import re
from dataclasses import dataclass, field

from instruments.errors import CorruptField, CountMismatch, InstrumentError, UnsupportedVersion
from instruments.mask.klarf_rows import DefectSpec, RowReader, count_list_words
from instruments.mask.klarf_text import ORIENTATION, KlarfText, Token, WaferDefects, parse_integer

VERSIONS = ("1.1", "1.2", "1.7")
_KEYWORDS = frozenset(
    {
        "areapertest",
        "classificationsource",
        "classlookup",
        "coordinatesmirrored",
        "customwaferlist",
        "defectclusterspec",
        "defectclustersetup",
        "defectlist",
        "defectrecordspec",
        "deviceid",
        "dieorigin",
        "diepitch",
        "endoffile",
        "filetimestamp",
        "fileversion",
        "inspectionorientation",
        "inspectionstationid",
        "inspectiontest",
        "lotid",
        "lotstatus",
        "operatorid",
        "orientationinstruction",
        "orientationinstructions",
        "orientationmarklocation",
        "processequipmentidlist",
        "product",
        "removeddielist",
        "resultsid",
        "resulttimestamp",
        "samplecenterlocation",
        "samplediemap",
        "sampleorientationmarktype",
        "samplesize",
        "sampletestplan",
        "sampletype",
        "setupid",
        "slot",
        "stepid",
        "summarylist",
        "summaryspec",
        "tifffilename",
        "tiffspec",
        "waferid",
        "waferscribe",
        "waferstatus",
    }
)
_PAIRS = {"diepitch": "DiePitch", "dieorigin": "DieOrigin", "samplecenterlocation": "SampleCenterLocation"}
_PAIR_LISTS = frozenset({"classlookup", "removeddielist", "sampletestplan"})
"""A number and as many pairs; some writers end it, and then each pair, with ``;``."""
_LIST_MARK = re.compile(r'[;"]')
_ONCE = frozenset({"fileversion", "waferid", "lotid", *_PAIRS})
_OF_THE_LOT = frozenset({"fileversion", "lotid"})


@dataclass
class _Reader:
    """What has been read so far of one file."""

    text: KlarfText
    rows: RowReader
    wafer: WaferDefects
    spec: DefectSpec | None = None
    image_file: str = ""
    statements: dict[str, list[list[str]]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    summary_columns: list[str] = field(default_factory=list)
    ended: bool = False
    wafers: list[WaferDefects] = field(default_factory=list)
    lot: WaferDefects | None = None
    """What stands before the first WaferID."""

    def run(self) -> None:
        """Read statement after statement until EndOfFile."""
        place, keyword = 0, ""
        while (token := self.text.token_at(place)) is not None:
            if self.ended:
                raise self.text.corrupt("there is more after EndOfFile", token.offset, found=token.text)
            place = token.end
            if token.text == ";":
                continue
            if parse_integer(token.text) is not None and keyword == "defectlist":
                self._warn("the defect rows end with ; each")
                place = self._read_list(token.offset)
                continue
            keyword = token.text.lower()
            if keyword == "defectlist":
                place = self._read_list(token.end)
            else:
                place = self._read_statement(token, *self._rest(token))

    def _read_list(self, start: int) -> int:
        """Read the rows from ``start`` on and return the place after them."""
        text, place = self.text.text, start
        while (mark := _LIST_MARK.search(text, place)) is not None and mark.group() == '"':
            place = text.find('"', mark.end()) + 1
            if not place:
                raise self.text.truncated("a quoted text does not end", mark.start())
        if mark is None:
            raise self.text.truncated("the file ends inside DefectList", len(text))
        self.rows.read(start, mark.start(), self.spec, self.image_file)
        return mark.end()

    def _warn(self, text: str) -> None:
        if text not in self.wafer.warnings:
            self.wafer.warnings.append(text)

    def _rest(self, keyword: Token) -> tuple[list[Token], int]:
        """Return the tokens up to the next ``;`` and the place after it.

        A keyword at the beginning of a line means that the ``;`` is missing.
        """
        rest: list[Token] = []
        place = keyword.end
        while (token := self.text.token_at(place)) is not None:
            place = token.end
            if token.text == ";":
                if not self._goes_on(keyword, rest, place):
                    return rest, place
                self._warn(f"the rows of {keyword.text} end with ; each")
                continue
            if token.text.lower() in _KEYWORDS and _begins_line(self.text.text, token.offset):
                message = f"the statement {keyword.text} is not ended by ;"
                raise self.text.corrupt(message, keyword.offset, expected=";", found=token.text)
            rest.append(token)
        if keyword.text.lower() == "endoffile" and not rest:
            self._warn("EndOfFile is not ended by ;")
            return rest, place
        raise self.text.truncated(f"the file ends inside the statement {keyword.text}", keyword.offset)

    def _goes_on(self, keyword: Token, rest: list[Token], place: int) -> bool:
        """Tell whether a list's next row, which begins with a number as no statement does, follows the ``;``."""
        name = keyword.text.lower()
        if name in _PAIR_LISTS:
            count = parse_integer(rest[0].text) if rest else None
            if count is None or len(rest) - 1 >= 2 * count:
                return False
        elif name != "summarylist":
            return False
        following = self.text.token_at(place)
        return following is not None and parse_integer(following.text) is not None

    def _read_statement(self, keyword: Token, values: list[Token], after: int) -> int:
        name = keyword.text.lower()
        if not name.isidentifier():
            raise self.text.corrupt("this is no statement", keyword.offset, "a keyword", keyword.text)
        if name == "waferid":
            self._begin_wafer()
        if name in _ONCE and name in self.seen:
            message = f"there is a second {keyword.text} before the wafer's DefectList"
            raise self.text.corrupt(message, keyword.offset, "one", " ".join(token.value for token in values))
        self.seen.add(name)
        if name == "endoffile":
            self.ended = True
        elif name == "defectrecordspec":
            self._read_spec(keyword, values)
        elif name == "summaryspec":
            self.summary_columns = [token.value.upper() for token in values[1:]]
        elif name == "summarylist":
            self._read_summary(values)
        elif name == "classlookup":
            self._read_classes(keyword, values)
        elif name == "tifffilename":
            self.image_file = " ".join(token.value for token in values)
        elif name in ORIENTATION:
            self.wafer.orientation[name] = " ".join(token.value for token in values)
        elif name in _PAIRS:
            self.wafer.geometry[_PAIRS[name]] = self._pair(keyword, values)
        elif name == "waferid":
            self.wafer.name = values[0].value if values else ""
        self.statements.setdefault(keyword.text, []).append([token.value for token in values])
        return after

    def _begin_wafer(self) -> None:
        """Keep what stands before the first WaferID as the lot's; begin another wafer after one that is whole."""
        if self.lot is None:
            self.lot = WaferDefects("", self.wafer.version, 1, geometry=dict(self.wafer.geometry))
            self.lot.metadata = {"statements": {name: list(values) for name, values in self.statements.items()}}
            return
        whole = self.wafer.listed or (self.wafer.declared and not any(count for _, count in self.wafer.declared))
        if not whole:
            return
        self.wafer.metadata = {"statements": self.statements}
        self.wafers.append(self.wafer)
        shared: dict[str, list[list[str]]] = self.lot.metadata["statements"]  # type: ignore[assignment]
        self.statements = {name: list(values) for name, values in shared.items()}
        self.seen &= _OF_THE_LOT
        before = self.wafer
        self.wafer = self.rows.wafer = WaferDefects(
            "",
            before.version,
            1,
            geometry=dict(self.lot.geometry),
            orientation=dict(before.orientation),
            classes=dict(before.classes),
            columns={name: [] for name in before.columns},
        )

    def _pair(self, keyword: Token, values: list[Token]) -> tuple[float, float]:
        try:
            first, second = (float(token.text) for token in values)
        except ValueError:
            found = " ".join(token.text for token in values)
            raise self.text.corrupt(f"{keyword.text} is not two numbers", keyword.offset, found=found) from None
        return first, second

    def _read_spec(self, keyword: Token, values: list[Token]) -> None:
        declared = parse_integer(values[0].text) if values else None
        names = tuple(token.value.upper() for token in values[1:])
        if declared != len(names):
            message = "DefectRecordSpec does not name as many columns as it says"
            found = values[0].text if declared is None and values else len(names)
            raise self.text.corrupt(message, keyword.offset, declared, found)
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None or "DEFECTID" not in names:
            message = f"DefectRecordSpec names {repeated} twice" if repeated else "DefectRecordSpec has no DEFECTID"
            raise self.text.corrupt(message, keyword.offset)
        if self.spec is not None and self.spec.names != names:
            message = "a second DefectRecordSpec with other columns is not supported"
            offset = self.text.line_of(keyword.offset)
            raise UnsupportedVersion(message, file=self.text.file, offset=offset, offset_unit="line")
        counts = names.index("IMAGECOUNT") if "IMAGECOUNT" in names else -1
        images = names.index("IMAGELIST") if "IMAGELIST" in names else -1
        self.spec = DefectSpec(names, counts, images)
        self.wafer.columns = self.wafer.columns or {name: [] for name in names if name != "IMAGELIST"}

    def _read_summary(self, values: list[Token]) -> None:
        width = len(self.summary_columns)
        if not width or len(values) % width:
            self._warn("SummaryList does not fit SummarySpec; it was not used as a check")
            return
        for start in range(0, len(values), width):
            row = dict(zip(self.summary_columns, (token.text for token in values[start : start + width]), strict=True))
            count = parse_integer(row.get("NDEFECT", ""))
            if count is not None:
                self.wafer.declared.append((parse_integer(row.get("TESTNO", "0")) or 0, count))

    def _read_classes(self, keyword: Token, values: list[Token]) -> None:
        declared = parse_integer(values[0].text) if values else None
        pairs = values[1:]
        if declared is None or len(pairs) != 2 * declared:
            message = "ClassLookup does not hold as many classes as it says"
            raise self.text.corrupt(message, keyword.offset, declared, len(pairs) / 2)
        for number, name in zip(pairs[::2], pairs[1::2], strict=True):
            value = parse_integer(number.text)
            if value is None:
                raise self.text.corrupt("a class number is no number", number.offset, found=number.text)
            self.wafer.classes[value] = name.value


def read_flat(text: KlarfText, version: str) -> tuple[WaferDefects, ...]:
    """Return every wafer of ``text``, a file of ``version``.

    Raises:
        CorruptField, Truncated, UnsupportedVersion: a statement or a row is not right; the line and the row are named.
        CountMismatch: a plain count of the words in the defect lists gives another number of values.
    """
    try:
        reader = _read(text, version, counted_images=True)
    except CorruptField as error:
        try:
            reader = _read(text, version, counted_images=False)
        except InstrumentError:
            raise error from None
        if reader.spec is None or reader.spec.images < 0:
            raise
        reader.wafer.warnings.append("the image lists have no count of their own; IMAGECOUNT was used")
    reader.wafer.metadata = {"statements": reader.statements}
    wafers = (*reader.wafers, reader.wafer)
    plain = count_list_words(text.text)
    if plain != reader.rows.words_read:
        message = "the values in the defect lists are not as many as a plain count finds"
        raise CountMismatch(message, file=text.file, expected=plain, found=reader.rows.words_read)
    _check_end(text, reader, wafers)
    off_line = reader.rows.off_line
    if off_line and off_line < sum(wafer.row_count for wafer in wafers) - 1:
        wafers[0].warnings.append(f"{off_line} defect rows do not begin on a line of their own, the others do")
    return wafers


def _read(text: KlarfText, version: str, *, counted_images: bool) -> _Reader:
    wafer = WaferDefects("", version, 1)
    reader = _Reader(text, RowReader(text, counted_images, wafer), wafer)
    reader.run()
    return reader


def _check_end(text: KlarfText, reader: _Reader, wafers: tuple[WaferDefects, ...]) -> None:
    """A file without EndOfFile is complete only if its summaries count the defects that are there."""
    if reader.ended:
        return
    for wafer in wafers:
        if not wafer.declared or sum(count for _, count in wafer.declared) != wafer.row_count:
            raise text.truncated("the file has no EndOfFile", len(text.text))
    reader.wafer.warnings.append("the file has no EndOfFile; its summary counts all its defects")


def _begins_line(text: str, offset: int) -> bool:
    """Tell whether only blanks stand between ``offset`` and the line end before it."""
    place = offset - 1
    while place >= 0 and text[place] in " \t":
        place -= 1
    return place < 0 or text[place] in "\r\n"
