"""Standard delay format (SDF, IEEE 1497-2001; OVI SDF 2.1 and 3.0): delays of cells and wires.

Read: ``IOPATH``, ``INTERCONNECT``, ``PORT``, ``NETDELAY`` and ``DEVICE`` in ``ABSOLUTE`` and ``INCREMENT``, also under
``COND`` and ``CONDELSE``, with one, two or more delays of one or three numbers. Rising and falling targets are kept;
delays to and from high impedance, ``RETAIN``, path pulses, timing checks and environments are counted in a warning and
left out. SDF says a delay only where it differs from the library's: an empty ``()`` is a missing number.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, CountMismatch, ReadingLimit
from instruments.records import Record
from instruments.simulation.nested_lists import NestedList, read_nested, without_comments
from instruments.simulation.vocabulary import DELAY_ARC
from instruments.vocabulary import Remarks

MOST_BYTES = 512 << 20
ARCS = {"IOPATH": 2, "INTERCONNECT": 2, "PORT": 1, "NETDELAY": 1, "DEVICE": 0}
"""Pins that each names."""
TIMESCALE = re.compile(r"(1|10|100)(?:\.0+)?\s*(s|ms|us|ns|ps|fs)")
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15}
EDGES = {"POSEDGE": "posedge", "NEGEDGE": "negedge"}
HEADER = (
    "SDFVERSION",
    "DESIGN",
    "DATE",
    "VENDOR",
    "PROGRAM",
    "VERSION",
    "DIVIDER",
    "VOLTAGE",
    "PROCESS",
    "TEMPERATURE",
)


class StandardDelayAdapter:
    """Reads an SDF file into one table of ``delay_arc``."""

    name = "standard_delay"
    version = "1"
    formats = ("sdf",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for ``(DELAYFILE`` at the beginning of ``source``."""
        if source.is_bundle:
            return Sniff(Confidence.NO, "a bundle is not an SDF file")
        text = without_comments(source.head.decode("utf-8", "replace").lstrip("\ufeff"))
        if re.match(r"\s*\(\s*DELAYFILE\b", text, re.IGNORECASE):
            return Sniff(Confidence.CERTAIN, "the file is a (DELAYFILE")
        return Sniff(Confidence.NO, "no (DELAYFILE at the beginning")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return ``"sdf"`` and the table.

        Raises:
            CorruptField: a list or a delay that is none, no cell.
            Truncated: the file ends inside a list.
            CountMismatch: arcs read and arcs named in the text differ.
            ReadingLimit: the file is too large or nested too deep.
        """
        if source.size_bytes > MOST_BYTES:
            raise ReadingLimit("the file is too large", file=source.name, expected=MOST_BYTES, found=source.size_bytes)
        try:
            text = without_comments(source.path.read_bytes().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise CorruptField("the text is not UTF-8", file=source.name, offset=error.start) from error
        delays = _Delays(read_nested(text, source.name), source.name)
        named = len(re.findall(rf"\(\s*(?:{'|'.join(ARCS)})\b", re.sub(r'"[^"]*"', '""', text), re.IGNORECASE))
        if named != len(delays.rows):
            message = "delays read and delays named in the text differ"
            raise CountMismatch(message, file=source.name, expected=named, found=len(delays.rows))
        columns = {column.name: [row[column.name] for row in delays.rows] for column in DELAY_ARC.columns}
        remarks = Remarks(delays.metadata, delays.warnings())
        return "sdf", (DELAY_ARC.make_table(source.name, columns, remarks),)


class _Delays:
    """The rows of a file, and what was left out."""

    def __init__(self, root: NestedList, file: str) -> None:
        self._file = file
        self._left_out: Counter[str] = Counter()
        self.rows: list[dict[str, Any]] = []
        if root.head != "DELAYFILE":
            raise self._error("the file is no (DELAYFILE", root, root.head or "nothing")
        heads = {item.head: item for item in root.lists()}
        self.metadata = {key.lower(): " ".join(heads[key].words()) for key in HEADER if key in heads}
        self._scale_s = self._timescale(heads.get("TIMESCALE"))
        cells = [item for item in root.lists() if item.head == "CELL"]
        if not cells:
            raise self._error("the file has no cell", root, len(root))
        for cell in cells:
            self._read_cell(cell)

    def warnings(self) -> tuple[str, ...]:
        """What was left out, in one sentence each."""
        return tuple(f"{count} {what} were left out" for what, count in sorted(self._left_out.items()))

    def _error(self, message: str, where: NestedList, found: str | int) -> CorruptField:
        return CorruptField(message, file=self._file, offset=where.line, found=found, offset_unit="line")

    def _timescale(self, item: NestedList | None) -> float:
        """Return seconds of one unit; the standard's default is 1 ns."""
        if item is None:
            return 1e-9
        text = "".join(item.words())
        match = TIMESCALE.fullmatch(text.strip().lower())
        if match is None:
            raise self._error("the time scale is not 1, 10 or 100 of s to fs", item, text)
        return float(match[1]) * SECONDS[match[2]]

    def _read_cell(self, cell: NestedList) -> None:
        heads = {item.head: item for item in cell.lists()}
        for key in ("CELLTYPE", "INSTANCE"):
            if key not in heads:
                raise self._error(f"a cell has no {key}", cell, "none")
        place = {"cell": " ".join(heads["CELLTYPE"].words()), "instance": " ".join(heads["INSTANCE"].words())}
        for part in cell.lists():
            if part.head == "DELAY":
                for kind in part.lists():
                    self._read_kind(kind, place)
            elif part.head in ("TIMINGCHECK", "TIMINGENV"):
                self._left_out[f"lists of {part.head}"] += 1

    def _read_kind(self, kind: NestedList, place: dict[str, str]) -> None:
        if kind.head not in ("ABSOLUTE", "INCREMENT"):
            self._left_out[f"lists of {kind.head or 'nothing'}"] += 1
            return
        for item in kind.lists():
            self._read_arc(item, place | {"condition": ""}, kind.head == "INCREMENT")

    def _read_arc(self, item: NestedList, place: dict[str, str], incremental: bool) -> None:
        if item.head in ("COND", "CONDELSE"):
            *condition, last = item[1:] or [""]
            if not isinstance(last, NestedList):
                raise self._error("a condition without a delay", item, item.text()[:60])
            words = " ".join(word if isinstance(word, str) else f"({word.text()})" for word in condition)
            self._read_arc(last, place | {"condition": words if item.head == "COND" else "else"}, incremental)
            return
        pins = ARCS.get(item.head)
        if pins is None:
            raise self._error("a delay of an unknown sort", item, item.head or item.text()[:60])
        rest = list(item[1:])
        taken = 1 if item.head == "DEVICE" and rest and isinstance(rest[0], str) else pins
        ports, edge = [], ""
        for port in rest[:taken]:
            if isinstance(port, NestedList):
                if port.head not in EDGES or len(port.words()) != 1 or edge:
                    raise self._error("a port that is none", item, port.text()[:60])
                edge = EDGES[port.head]
                port = port.words()[0]  # noqa: PLW2901
            ports.append(port)
        if len(ports) < taken:
            raise self._error(f"{item.head} names too few ports", item, item.text()[:60])
        values = list(self._values(item, rest[taken:]))
        rise, fall = (values * 2)[:2] if len(values) < 2 else values[:2]
        if len(values) > 2:
            self._left_out["delays to and from high impedance"] += len(values) - 2
        row = place | {"arc": item.head, "edge": edge, "incremental": incremental}
        row |= {"source": ports[0] if len(ports) == 2 else "", "target": ports[-1] if ports else ""}
        names = ("min", "", "max")
        for sort, triple in (("rise", rise), ("fall", fall)):
            row |= {f"{sort}{'_' + name if name else ''}_s": value for name, value in zip(names, triple, strict=True)}
        self.rows.append(row)

    def _values(self, item: NestedList, values: list[Any]) -> Iterator[tuple[float | None, float | None, float | None]]:
        """Yield each delay as (minimum, typical, maximum) in seconds."""
        found = 0
        for value in values:
            if not isinstance(value, NestedList):
                raise self._error("a delay without parentheses", item, str(value)[:60])
            if value.head == "RETAIN":
                self._left_out["RETAIN delays"] += 1
                continue
            found += 1
            yield self._triple(value)
        if found not in (1, 2, 3, 6, 12):
            raise self._error("a delay has 1, 2, 3, 6 or 12 values", item, found)

    def _triple(self, value: NestedList) -> tuple[float | None, float | None, float | None]:
        if value.lists():
            # A delay with pulse limits is a list of lists, the delay first.
            self._left_out["pulse limits"] += 1
            return self._triple(value.lists()[0])
        text = "".join(item for item in value if isinstance(item, str))
        parts = text.split(":")
        if not text:
            return None, None, None
        if len(parts) not in (1, 3):
            raise self._error("a delay is one number or three", value, text[:60])
        numbers = [self._seconds(value, part) for part in parts]
        return (numbers[0],) * 3 if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])

    def _seconds(self, value: NestedList, text: str) -> float | None:
        if not text:
            return None
        if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", text):
            raise self._error("a delay is no number", value, text[:60])
        return float(text) * self._scale_s
