"""Defects of an inspection file as a printability question's own: places by the overlay's settings, sizes, a kind."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from analysis.coordinates.affine import Points
from instruments.errors import CorruptField
from instruments.records import Table
from services.pipelines.mask.defect_tables import read_defects
from services.pipelines.mask.overlay_settings import OverlaySettings, choose_settings
from services.pipelines.mask.printability_request import MOST_DEFECTS, DefectPart, PrintabilityRequest

PlainKind = Literal["opaque", "absorber", "clear"]
Array = NDArray[np.float64]
_UPRIGHT = 0.01
_PLACES = {"die": ("x_die_um", "y_die_um"), "sample": ("x_um", "y_um"), "layout": ("layout_x_um", "layout_y_um")}


def add_inspection(
    request: PrintabilityRequest, inspection: Path, settings: Path | None, kind: str
) -> PrintabilityRequest:
    """Return ``request`` with the defects of the file ``inspection``, all taken to be of ``kind``.

    An inspection does not say what a defect transmits; ``kind`` is the asker's word. The standard deviation of the
    places by ``settings``, the largest with the map's own error, stands where the question has none.

    Raises:
        CorruptField: the kind is not known, places or sizes are missing, or the file has too many defects.
        instruments.errors.InstrumentError: the file cannot be read.
    """
    if kind not in get_args(PlainKind):
        raise CorruptField(
            "the kind of the inspected defects is not known", expected=get_args(PlainKind)[0], found=kind
        )
    chosen = choose_settings(settings)
    defects, sigma_nm = defects_of_tables(read_defects(inspection), chosen, kind, inspection.name)
    spread = request.spread
    if spread.position_nm is None and sigma_nm:
        magnification = request.optics.magnification if request.layout.scale == "mask" else 1.0
        spread = spread.model_copy(update={"position_nm": sigma_nm / magnification})
    document = request.model_dump(by_alias=True)
    document["defects"] = [*document["defects"], *(each.model_dump() for each in defects)]
    document["spread"] = spread.model_dump()
    return PrintabilityRequest.model_validate(document)


def defects_of_tables(
    tables: Sequence[Table], settings: OverlaySettings, kind: str, file: str
) -> tuple[list[DefectPart], float]:
    """Return the defects of ``tables`` in the layout's micrometres, boxes of their sizes turned as the map turns them.

    The second is the largest standard deviation of a place along an axis, in the layout's nanometres.

    Raises:
        CorruptField: a place or a size is missing, or there are too many.
    """
    count = sum(table.row_count for table in tables)
    if count > MOST_DEFECTS:
        raise CorruptField(
            "the inspection has too many defects to image", file=file, expected=MOST_DEFECTS, found=count
        )
    transform, _ = settings.map()
    found, sigma_nm = [], 0.0
    for table in tables:
        columns = _PLACES[settings.coordinates]
        if any(name not in table.columns for name in columns):
            raise CorruptField(
                "the defects have no coordinates of that kind", file=file, expected=" and ".join(columns)
            )
        xy = np.column_stack([np.asarray(table.columns[name], np.float64) for name in columns])
        placed = transform.apply(Points.isotropic(xy, settings.sigma_nm / 1000))
        for row in range(table.row_count):
            found.append(_defect(table, row, placed.xy[row], transform.matrix, (kind, file)))
        sigma_nm = max(sigma_nm, float(placed.sigma_along_axes.max(initial=0.0)) * 1000)
    return found, sigma_nm


def _defect(table: Table, row: int, place: Any, matrix: Array, said: tuple[Any, str]) -> DefectPart:
    kind, file = said
    name = f"{table.name} {table.columns['defect_id'][row]}"
    sides = [_number(table, column, row) for column in ("size_x_um", "size_y_um")]
    if any(each is None for each in sides):
        sides = [_number(table, "size_um", row)] * 2
    if not np.isfinite(place).all() or sides[0] is None or sides[1] is None:
        raise CorruptField(f"defect {name} has no place or no size", file=file)
    lengths, scales = np.asarray(sides, np.float64), np.abs(matrix)
    if scales.min(axis=1).max() > _UPRIGHT * scales.max():
        corners = np.asarray(((-1, -1), (1, -1), (1, 1), (-1, 1))) * lengths / 2 @ matrix.T + place
        return DefectPart(name=name, kind=kind, points_um=[(x_um, y_um) for x_um, y_um in corners.tolist()])
    # Up to quarter turns and what a fitted map is off from them a box stays a box.
    along = scales.argmax(axis=1)
    width_nm, height_nm = (scales.max(axis=1) * lengths[along] * 1000).tolist()
    x_um, y_um = place.tolist()
    return DefectPart(name=name, kind=kind, x_um=x_um, y_um=y_um, width_nm=width_nm, height_nm=height_nm)


def _number(table: Table, column: str, row: int) -> float | None:
    values = table.columns.get(column)
    if values is None:
        return None
    value = float(values[row])
    return value if math.isfinite(value) and value > 0 else None
