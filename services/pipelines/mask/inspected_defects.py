"""Defects of an inspection file as a printability question's own: places by the overlay's settings, sizes, a kind."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from analysis.coordinates.affine import Points
from instruments.errors import CorruptField
from instruments.records import Table
from services.pipelines.mask.defect_tables import read_defects
from services.pipelines.mask.overlay_settings import OverlaySettings, choose_settings
from services.pipelines.mask.printability_request import MOST_DEFECTS, DefectPart, PrintabilityRequest

PlainKind = Literal["opaque", "absorber", "clear"]
_PLACES = {"die": ("x_die_um", "y_die_um"), "sample": ("x_um", "y_um"), "layout": ("layout_x_um", "layout_y_um")}


def add_inspection(
    request: PrintabilityRequest, inspection: Path, settings: Path | None, kind: str
) -> PrintabilityRequest:
    """Return ``request`` with the defects of the file ``inspection``, all taken to be of ``kind``.

    An inspection does not say what a defect transmits; ``kind`` is the asker's word. The standard deviation of the
    places in ``settings`` stands where the question has none.

    Raises:
        CorruptField: the kind is not known, places or sizes are missing, or the file has too many defects.
        instruments.errors.InstrumentError: the file cannot be read.
    """
    if kind not in get_args(PlainKind):
        raise CorruptField(
            "the kind of the inspected defects is not known", expected=get_args(PlainKind)[0], found=kind
        )
    chosen = choose_settings(settings)
    defects = defects_of_tables(read_defects(inspection), chosen, kind, inspection.name)
    spread = request.spread
    if spread.position_nm is None and chosen.sigma_nm:
        magnification = request.optics.magnification if request.layout.scale == "mask" else 1.0
        spread = spread.model_copy(update={"position_nm": chosen.sigma_nm * chosen.scale / magnification})
    document = request.model_dump(by_alias=True)
    document["defects"] = [*document["defects"], *(each.model_dump() for each in defects)]
    document["spread"] = spread.model_dump()
    return PrintabilityRequest.model_validate(document)


def defects_of_tables(tables: Sequence[Table], settings: OverlaySettings, kind: str, file: str) -> list[DefectPart]:
    """Return the defects of ``tables`` in the layout's micrometres, boxes of their sizes.

    Raises:
        CorruptField: a place or a size is missing, or there are too many.
    """
    count = sum(table.row_count for table in tables)
    if count > MOST_DEFECTS:
        raise CorruptField(
            "the inspection has too many defects to image", file=file, expected=MOST_DEFECTS, found=count
        )
    transform, _ = settings.map()
    scale = math.sqrt(abs(float(np.linalg.det(transform.matrix))))
    found = []
    for table in tables:
        columns = _PLACES[settings.coordinates]
        if any(name not in table.columns for name in columns):
            raise CorruptField(
                "the defects have no coordinates of that kind", file=file, expected=" and ".join(columns)
            )
        xy = np.column_stack([np.asarray(table.columns[name], np.float64) for name in columns])
        placed = transform.apply(Points.isotropic(xy)).xy
        for row in range(table.row_count):
            found.append(_defect(table, row, placed[row], scale, (kind, file)))
    return found


def _defect(table: Table, row: int, place: Any, scale: float, said: tuple[Any, str]) -> DefectPart:
    kind, file = said
    name = f"{table.name} {table.columns['defect_id'][row]}"
    sides = [_number(table, column, row) for column in ("size_x_um", "size_y_um")]
    if any(each is None for each in sides):
        sides = [_number(table, "size_um", row)] * 2
    if not np.isfinite(place).all() or sides[0] is None or sides[1] is None:
        raise CorruptField(f"defect {name} has no place or no size", file=file)
    return DefectPart(
        name=name,
        kind=kind,
        x_um=float(place[0]),
        y_um=float(place[1]),
        width_nm=sides[0] * scale * 1000,
        height_nm=sides[1] * scale * 1000,
    )


def _number(table: Table, column: str, row: int) -> float | None:
    values = table.columns.get(column)
    if values is None:
        return None
    value = float(values[row])
    return value if math.isfinite(value) and value > 0 else None
