"""What a window of a layout holds, as a document: ``faultlight mask window`` and the worker."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from instruments.errors import CorruptField
from instruments.mask.layout_process import LayerPolygons, LayoutEngine, Window
from instruments.mask.process import LayerNumber
from services.pipelines.mask.layout_nets import open_layout

MOST_POINTS = 500_000


def read_layers(text: str | None) -> list[LayerNumber] | None:
    """Return the layers of ``68/20,69/20``; ``None`` for nothing: all of them.

    Raises:
        CorruptField: it is not written like that.
    """
    if text is None:
        return None
    layers = []
    for part in text.split(","):
        numbers = part.strip().split("/")
        if len(numbers) != 2 or not all(each.isdecimal() for each in numbers):
            raise CorruptField("layers are written layer/datatype, with commas between them", found=text[:80])
        layers.append((int(numbers[0]), int(numbers[1])))
    return layers


def window_document(
    engine: LayoutEngine,
    window_um: Window,
    layers: Sequence[LayerNumber] | None,
    *,
    clip: bool,
    cell: str | None = None,
) -> dict[str, Any]:
    """Return the polygons of a window in micrometres, layer by layer, with their counts and areas.

    Raises:
        CorruptField: the window is empty, a layer is not there, or it holds too much for a document.
    """
    found = engine.window(window_um, layers, clip=clip, cell=cell)
    points = sum(len(each.points) for each in found.layers)
    if points > MOST_POINTS:
        raise CorruptField("the window holds too many points for a document", expected=MOST_POINTS, found=points)
    return {
        "cell": found.cell,
        "unit_um": found.unit_um,
        "window_um": list(window_um),
        "clipped": clip,
        "layers": [_layer(each, found.unit_um) for each in found.layers],
    }


def _layer(layer: LayerPolygons, unit_um: float) -> dict[str, Any]:
    places = layer.points.tolist()
    bounds = layer.starts.tolist()
    polygons = [[[x * unit_um, y * unit_um] for x, y in places[start:end]] for start, end in pairwise(bounds)]
    return {
        "layer": layer.layer,
        "datatype": layer.datatype,
        "name": layer.name,
        "shapes": layer.shapes,
        "area_um2": layer.area_um2,
        "polygons": polygons,
    }


def window_path(
    path: Path, window_um: Window, layers: str | None = None, *, clip: bool = True, cell: str | None = None
) -> dict[str, Any]:
    """Return the answer of ``faultlight mask window --json``; raises what reading raises."""
    wanted = read_layers(layers)
    with open_layout(path) as engine:
        summary = engine.summary()
        document = window_document(engine, window_um, wanted, clip=clip, cell=cell)
    return {"layout": path.name, "format": summary.format, "warnings": list(summary.warnings)} | document
