"""Placement of the drivers' drains: ``instance,net,x_um,y_um``, micrometres in the layout's frame."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField
from instruments.records import Placement, Record
from instruments.simulation.tables import TextTable, header_of, read_table, sniff_header

MAX_UM = 1e9
HEADER = ("instance", "net", "x_um", "y_um")


class PlacementTableAdapter:
    """Reads ``instance,net,x_um,y_um`` into a Placement; a net may be named again only where it was before."""

    name = "placement_table"
    version = "4"
    formats = ("placement",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Say whether the header of ``source`` is ``instance,net,x_um,y_um``."""
        return sniff_header(source, matches=header_of(source) == HEADER, wanted=",".join(HEADER))

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the placement of ``source``.

        Raises:
            CorruptField: a coordinate is no finite number, or a net is at two places; with the lines.
        """
        table = read_table(source)
        if table.header != HEADER:
            message = "this is no placement table"
            raise CorruptField(message, file=source.name, offset=1, expected=",".join(HEADER), offset_unit="line")
        places = np.asarray(
            [
                [_coordinate(source, text, line) for text in cells[2:]]
                for cells, line in zip(table.rows, table.lines, strict=True)
            ],
            np.float64,
        ).reshape(len(table.rows), 2)
        _check_places(source, table, places)
        record = Placement(
            name=source.name,
            instances=tuple(cells[0] for cells in table.rows),
            nets=tuple(cells[1] for cells in table.rows),
            x_um=np.ascontiguousarray(places[:, 0]),
            y_um=np.ascontiguousarray(places[:, 1]),
        )
        return "placement", (record,)


def _check_places(source: Source, table: TextTable, places: NDArray[np.float64]) -> None:
    """Check that each net has one place; ``places`` are micrometres, float64 ``(rows, 2)``."""
    first: dict[str, int] = {}
    for row, cells in enumerate(table.rows):
        before = first.setdefault(cells[1], row)
        if before != row and (places[row] != places[before]).any():
            message = f"the net {cells[1]}, which is placed in line {table.lines[before]}, is at another place"
            there, here = (", ".join(table.rows[each][2:]) for each in (before, row))
            raise CorruptField(
                message, file=source.name, offset=table.lines[row], expected=there, found=here, offset_unit="line"
            )


def _coordinate(source: Source, text: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= MAX_UM:
        message = "a coordinate is no number, or farther than a kilometre"
        raise CorruptField(message, file=source.name, offset=line, found=text, offset_unit="line")
    return value
