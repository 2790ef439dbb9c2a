"""Placement of the drivers' drains: ``instance,net,x_um,y_um``, micrometres in the layout's frame."""

import math
from collections.abc import Iterable

import numpy as np

from instruments.adapter import Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField
from instruments.records import Placement, Record
from instruments.simulation.tables import header_of, read_table, sniff_header

MAX_UM = 1e9
HEADER = ("instance", "net", "x_um", "y_um")


class PlacementTableAdapter:
    """Reads ``instance,net,x_um,y_um`` into a Placement."""

    name = "placement_table"
    version = "3"
    formats = ("placement",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Say whether the header of ``source`` is ``instance,net,x_um,y_um``."""
        return sniff_header(source, matches=header_of(source) == HEADER, wanted=",".join(HEADER))

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the placement of ``source``; raises CorruptField at a coordinate that is no finite number."""
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
        record = Placement(
            name=source.name,
            instances=tuple(cells[0] for cells in table.rows),
            nets=tuple(cells[1] for cells in table.rows),
            x_um=np.ascontiguousarray(places[:, 0]),
            y_um=np.ascontiguousarray(places[:, 1]),
        )
        return "placement", (record,)


def _coordinate(source: Source, text: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= MAX_UM:
        message = "a coordinate is no number, or farther than a kilometre"
        raise CorruptField(message, file=source.name, offset=line, found=text, offset_unit="line")
    return value
