"""Stimulus and fails of a probing session: ``patterns.csv`` and ``fails.csv``.

``patterns.csv``: ``cycle`` and one column per input (in full-scan view a flip-flop is an input by its output net), 0 or
1, cycles counted from 0 without a gap. ``fails.csv``: ``cycle,output``, one line per failing bit.
"""

from collections.abc import Iterable

import numpy as np

from instruments.adapter import Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField
from instruments.records import FailLog, PatternSet, Record
from instruments.simulation.tables import header_of, integer, read_table, sniff_header


class PatternTableAdapter:
    """Reads ``cycle,<net>,<net>,…`` into a PatternSet."""

    name = "pattern_table"
    version = "3"
    formats = ("patterns",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Say whether the header of ``source`` starts with ``cycle`` and goes on with nets."""
        header = header_of(source)
        matches = len(header) > 1 and header[0] == "cycle" and header != ("cycle", "output")
        return sniff_header(source, matches=matches, wanted="cycle,<net>,…")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the patterns of ``source``; raises CorruptField at the first line that is not one."""
        table = read_table(source)
        if len(table.header) < 2 or table.header[0] != "cycle":
            message = "this is no pattern table"
            raise CorruptField(message, file=source.name, offset=1, expected="cycle,<net>,…", offset_unit="line")
        for index, (cells, line) in enumerate(zip(table.rows, table.lines, strict=True)):
            cycle = integer(source, cells[0], line, "cycle")
            if cycle != index:
                message = "the cycles are not counted from 0 without a gap"
                raise CorruptField(
                    message, file=source.name, offset=line, expected=index, found=cycle, offset_unit="line"
                )
            bad = next((cell for cell in cells[1:] if cell not in ("0", "1")), None)
            if bad is not None:
                message = "a pattern bit is neither 0 nor 1"
                raise CorruptField(message, file=source.name, offset=line, found=bad, offset_unit="line")
        if not table.rows:
            raise CorruptField("the pattern table has no cycle", file=source.name, offset=1, offset_unit="line")
        text = "".join("".join(cells[1:]) for cells in table.rows).encode("ascii")
        bits = (np.frombuffer(text, np.uint8) - ord("0")).reshape(len(table.rows), len(table.header) - 1)
        return "patterns", (PatternSet(source.name, table.header[1:], bits),)


class FailTableAdapter:
    """Reads ``cycle,output`` into a FailLog."""

    name = "fail_table"
    version = "2"
    formats = ("fails",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Say whether the header of ``source`` is ``cycle,output``."""
        return sniff_header(source, matches=header_of(source) == ("cycle", "output"), wanted="cycle,output")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the failing bits of ``source``; raises CorruptField for a repeated or malformed line."""
        table = read_table(source)
        if table.header != ("cycle", "output"):
            message = "this is no fail table"
            raise CorruptField(message, file=source.name, offset=1, expected="cycle,output", offset_unit="line")
        cycles = [integer(source, cells[0], line, "cycle") for cells, line in zip(table.rows, table.lines, strict=True)]
        seen: set[tuple[str, ...]] = set()
        for cells, line in zip(table.rows, table.lines, strict=True):
            if cells in seen:
                message = f"the failing bit {','.join(cells)} is listed twice"
                raise CorruptField(message, file=source.name, offset=line, offset_unit="line")
            seen.add(cells)
        outputs = tuple(cells[1] for cells in table.rows)
        return "fails", (FailLog(source.name, np.asarray(cycles, np.int64), outputs),)
