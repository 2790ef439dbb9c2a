"""What lies in a window of a layout, layer by layer; runs in the process that holds the layout."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField, ReadingLimit
from instruments.mask.net_extraction import cut_into_trapezoids
from instruments.mask.process import LayerNumber

MOST_SHAPES = 5_000_000
Window = tuple[float, float, float, float]


def describe_layers(layout: Any, cell: Any) -> list[dict[str, Any]]:
    """Return the layers of klayout's ``layout`` with their extent in ``cell``, micrometres; ``None`` for texts only."""
    listed = []
    for index in layout.layer_indexes():
        info, box = layout.get_info(index), cell.dbbox_per_layer(index)
        edges = None if box.empty() else [box.left, box.bottom, box.right, box.top]
        listed.append({"layer": info.layer, "datatype": info.datatype, "name": info.name, "box_um": edges})
    return sorted(listed, key=lambda each: (each["layer"], each["datatype"]))


def query_window(
    db: Any, cell: Any, window_um: Window, wanted: Iterable[LayerNumber] | None, *, clip: bool, file: str
) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Return what ``cell`` holds in a window: a document for each layer, and arrays.

    Shapes of a layer that touch each other are joined. The arrays of the layer in place ``i`` are ``i.points`` int32
    ``(m, 2)``, x and y in database units; ``i.starts`` int64 ``(n + 1)``, where each polygon begins, and the end;
    ``i.trapezoids`` int32 ``(k, 6)``, the same area as trapezoids that do not overlap, see ``TracedNets``. A hole is
    joined to the outline by a cut.

    Args:
        db: klayout's module.
        cell: klayout's cell.
        window_um: left, bottom, right, top in micrometres, checked by who asks.
        wanted: layers; ``None`` for all.
        clip: cut the polygons at the window; else those that touch it are whole.
        file: named in errors.

    Raises:
        CorruptField: a layer is not in the layout.
        ReadingLimit: there are more than :data:`MOST_SHAPES`.
    """
    layout = cell.layout()
    left, bottom, right, top = window_um
    box = db.DBox(left, bottom, right, top).to_itype(layout.dbu)
    indexes = _find_layers(layout, wanted, file)
    documents: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for index in indexes:
        found = db.Region(cell.begin_shapes_rec_touching(index, box))
        found.merged_semantics = False
        count = int(found.count())
        if not count:
            continue
        if count > MOST_SHAPES:
            raise ReadingLimit("the window holds too many shapes", file=file, expected=MOST_SHAPES, found=count)
        found.merged_semantics = True
        joined = (found & db.Region(box)).merged() if clip else found.merged()
        if joined.is_empty():
            continue
        points, starts = _polygons(joined)
        place, info = len(documents), layout.get_info(index)
        arrays |= {f"{place}.points": points, f"{place}.starts": starts}
        arrays[f"{place}.trapezoids"] = cut_into_trapezoids(joined)
        documents.append(
            {"layer": info.layer, "datatype": info.datatype, "name": info.name, "shapes": count}
            | {"polygons": len(starts) - 1, "area_um2": joined.area() * layout.dbu**2}
        )
    return documents, arrays


def _find_layers(layout: Any, wanted: Iterable[LayerNumber] | None, file: str) -> list[int]:
    if wanted is None:
        infos: list[Any] = [(layout.get_info(index), index) for index in layout.layer_indexes()]
        return [index for _, index in sorted(infos, key=lambda each: (each[0].layer, each[0].datatype))]
    found = []
    for number in wanted:
        index = layout.find_layer(*number)
        if index is None:
            there: list[Any] = [layout.get_info(each) for each in layout.layer_indexes()]
            known = ", ".join(f"{info.layer}/{info.datatype}" for info in there[:40])
            message = f"the layout has no layer {number[0]}/{number[1]}"
            raise CorruptField(message, file=file, expected=known, found=f"{number[0]}/{number[1]}")
        found.append(index)
    return found


def _polygons(region: Any) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    points: list[tuple[int, int]] = []
    starts = [0]
    for polygon in region.each():
        simple = polygon.resolved_holes() if polygon.holes() else polygon
        points.extend((point.x, point.y) for point in simple.each_point_hull())
        starts.append(len(points))
    return np.asarray(points, np.int32).reshape(-1, 2), np.asarray(starts, np.int64)
