"""GDSII and OASIS layouts as two tables: cells and layers. The geometry itself stays in the file.

The counts are of our own walk over the records. klayout reads the file as well, gives the bounding boxes, and must
find the same cells and as many shapes and placements in each; it leaves out repeated shapes that lie exactly on each
other, which the walk counts apart.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, CountMismatch
from instruments.mask.gdsii_walk import walk_gdsii
from instruments.mask.layout_counts import OTHER, PATH, POLYGON, TEXT, CellCount, LayoutCount
from instruments.mask.layout_engine import EngineLayout, read_with_engine
from instruments.mask.mask_rules import check_mask_rules
from instruments.mask.oasis_walk import MAGIC, walk_oasis
from instruments.mask.vocabulary import LAYOUT_CELL, LAYOUT_LAYER
from instruments.records import Record, Table
from instruments.vocabulary import Remarks

_GDSII_START = (b"\x00\x06\x00\x02", b"\x01\x02")


class LayoutAdapter:
    """Reads GDSII and OASIS files into a ``layout_cell`` and a ``layout_layer`` table."""

    name = "layout"
    version = "1"
    formats = ("gdsii", "oasis")
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for the magic of OASIS, or HEADER and BGNLIB of GDSII, at the beginning of ``source``."""
        if source.head.startswith(MAGIC):
            return Sniff(Confidence.CERTAIN, "it begins with %SEMI-OASIS")
        if source.head[:4] == _GDSII_START[0] and source.head[8:10] == _GDSII_START[1]:
            return Sniff(Confidence.CERTAIN, "it begins with HEADER and BGNLIB of GDSII")
        return Sniff(Confidence.NO, "it begins neither with %SEMI-OASIS nor with HEADER and BGNLIB of GDSII")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the cells and the layers of ``source``.

        Raises:
            Truncated, CorruptField, ReadingLimit: the records are not right; the byte is named.
            UnsupportedVersion: the version is not known, or klayout is not installed.
            CountMismatch: the walk and klayout do not find the same.
        """
        is_oasis = source.head.startswith(MAGIC)
        count = walk_oasis(source) if is_oasis else walk_gdsii(source)
        order = count.bottom_up()
        if order is None:
            raise CorruptField("cells contain themselves", file=source.name)
        engine = read_with_engine(source)
        doubts = _compare(source, count, engine)
        metadata = {
            "database_unit_um": count.unit_um,
            "top_cells": count.top_cells(),
            "records": dict(sorted(count.records.items())),
            "facts": count.facts,
        }
        if is_oasis:
            metadata["oasis_mask_rules"] = check_mask_rules(count)
        remarks = Remarks(metadata, (*count.warnings, *doubts))
        name = Path(source.name).stem or source.name
        tables = (_cells(name, count, engine, order, remarks), _layers(name, count, order, remarks))
        return "oasis" if is_oasis else "gdsii", tables


def _compare(source: Source, count: LayoutCount, engine: EngineLayout) -> list[str]:
    """Compare both readings, cell by cell and layer by layer; return what is doubtful but explained."""
    doubts = []
    if not np.isclose(count.unit_um, engine.unit_um, rtol=1e-9):
        message = "the database unit is not what the layout engine finds"
        raise CountMismatch(message, file=source.name, expected=engine.unit_um, found=count.unit_um)
    missing = count.missing_cells()
    if missing:
        doubts.append(f"{len(missing)} cells are referred to but not there: {', '.join(missing[:5])}")
    others = set(engine.cells) ^ (set(count.cells) | set(missing))
    if others:
        message = f"the cells are not those that the layout engine finds, {min(others)[:60]} for one"
        raise CountMismatch(message, file=source.name, expected=len(engine.cells), found=len(count.cells))
    for name, cell in count.cells.items():
        _compare_cell(source, cell, engine)
        hidden = cell.coincident.total() + cell.coincident_placements
        if hidden:
            doubts.append(f"{hidden} repeated shapes or cells of {name} lie exactly on another one")
    return doubts


def _compare_cell(source: Source, cell: CellCount, engine: EngineLayout) -> None:
    other = engine.cells[cell.name]
    own: Counter[tuple[int, int]] = Counter()
    for (layer, datatype, kind), number in cell.shapes.items():
        if kind != OTHER:
            own[layer, datatype] += number
    for key in set(own) | set(other.shapes):
        low = own[key] - cell.coincident[key]
        if not low <= other.shapes[key] <= own[key]:
            message = f"the shapes on layer {key[0]}/{key[1]} of {cell.name} are not what the layout engine finds"
            raise CountMismatch(message, file=source.name, expected=other.shapes[key], found=own[key])
    placed = cell.placements.total()
    if not placed - cell.coincident_placements <= other.placements <= placed:
        message = f"the cells placed in {cell.name} are not what the layout engine finds"
        raise CountMismatch(message, file=source.name, expected=other.placements, found=placed)


def _cells(name: str, count: LayoutCount, engine: EngineLayout, order: list[str], remarks: Remarks) -> Table:
    tops, levels = set(count.top_cells()), count.levels(order)
    unknown = (np.nan,) * 4
    cells = list(count.cells.values())
    boxes = np.asarray([engine.cells[cell.name].box_um or unknown for cell in cells], np.float64).reshape(-1, 4)
    columns = {
        "cell": [cell.name for cell in cells],
        "is_top": [cell.name in tops for cell in cells],
        "level": [levels[cell.name] for cell in cells],
        "polygons": [cell.shapes_of(POLYGON) for cell in cells],
        "paths": [cell.shapes_of(PATH) for cell in cells],
        "texts": [cell.shapes_of(TEXT) for cell in cells],
        "references": [cell.references.total() for cell in cells],
        "placements": [cell.placements.total() for cell in cells],
    }
    sides = ("left_um", "bottom_um", "right_um", "top_um")
    return LAYOUT_CELL.make_table(
        f"{name} cells", columns | {side: boxes[:, place].copy() for place, side in enumerate(sides)}, remarks
    )


def _layers(name: str, count: LayoutCount, order: list[str], remarks: Remarks) -> Table:
    flat = count.flat_shapes(order)
    totals: Counter[tuple[int, int, str]] = Counter()
    for cell in count.cells.values():
        totals.update(cell.shapes)
    keys = sorted({key[:2] for key in totals} | set(count.layer_names))
    columns = {
        "layer": [layer for layer, _ in keys],
        "datatype": [datatype for _, datatype in keys],
        "layer_name": [count.layer_names.get(key, "") for key in keys],
        "polygons": [totals[*key, POLYGON] for key in keys],
        "paths": [totals[*key, PATH] for key in keys],
        "texts": [totals[*key, TEXT] for key in keys],
        "flat_shapes": [float(flat[key]) for key in keys],
    }
    return LAYOUT_LAYER.make_table(f"{name} layers", columns, Remarks(remarks.vendor_metadata))
