"""Tiles of a layout's layers as PNG: ``faultlight mask tiles`` and the worker."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.mask.tile_coverage import TILE_PIXELS, TilePyramid, tile_coverage
from instruments.errors import CorruptField
from instruments.mask.layout_process import LayoutEngine
from instruments.mask.process import LayerNumber
from services.pictures import encode_png
from services.pipelines.mask.layout_nets import open_layout
from services.pipelines.mask.layout_window import read_layers
from services.pipelines.versions import LAYOUT_VERSION

MOST_TILES = 20_000


@dataclass(frozen=True)
class Tile:
    """One tile of a layer: its level and place in it, and its picture, the covered part as grey from 0 to 255."""

    layer: LayerNumber
    level: int
    x: int
    y: int
    png: bytes


def find_pyramid(engine: LayoutEngine, cell: str | None = None) -> TilePyramid:
    """Return the pyramid over the only top cell, or over ``cell``.

    Raises:
        CorruptField: there is not one top cell, or it is empty.
    """
    summary = engine.summary()
    boxes = dict(zip(summary.top_cells, summary.boxes_um, strict=True))
    if cell is None and len(boxes) != 1:
        raise CorruptField("tiles need one top cell: say which cell is meant", expected=1, found=len(boxes))
    box = next(iter(boxes.values())) if cell is None else boxes.get(cell)
    if box is None:
        raise CorruptField("there is no such top cell, or it is empty", expected=", ".join(boxes), found=cell)
    return TilePyramid.over(box)


def draw_tile(
    engine: LayoutEngine, pyramid: TilePyramid, layer: LayerNumber, place: tuple[int, int, int]
) -> bytes | None:
    """Return the tile of ``place``, its level, x and y, as PNG; ``None`` where nothing is."""
    window = pyramid.window_um(*place)
    found = engine.window(window, [layer])
    if not found.layers:
        return None
    cover = tile_coverage(found.layers[0].trapezoids.astype(np.float64) * found.unit_um, window)
    return encode_png(np.round(cover * 255).astype(np.uint8))


def draw_tiles(
    engine: LayoutEngine,
    pyramid: TilePyramid,
    layers: Sequence[LayerNumber],
    levels: int,
    progress: Callable[[float, str], None] | None = None,
) -> Iterator[Tile]:
    """Yield the tiles of ``layers`` on ``levels`` levels that are not empty; below an empty tile all are.

    Raises:
        CorruptField: there would be more than :data:`MOST_TILES`.
    """
    count = len(layers) * sum(4**level for level in range(levels))
    if not levels >= 1 or count > MOST_TILES:
        message = "there are at least one level and not too many tiles"
        raise CorruptField(message, expected=f"at most {MOST_TILES} tiles", found=f"{levels} levels, {count} tiles")
    for number, layer in enumerate(layers):
        waiting = [(0, 0, 0)]
        while waiting:
            level, x, y = place = waiting.pop()
            png = draw_tile(engine, pyramid, layer, place)
            if png is None:
                continue
            yield Tile(layer, level, x, y, png)
            if level + 1 < levels:
                waiting += [(level + 1, 2 * x + right, 2 * y + down) for right in (0, 1) for down in (0, 1)]
        if progress is not None:
            progress((number + 1) / len(layers), f"layer {layer[0]}/{layer[1]}")


def chosen_layers(engine: LayoutEngine, layers: Sequence[LayerNumber] | None) -> list[LayerNumber]:
    """Return ``layers``, or every layer of the layout that has shapes."""
    if layers is not None:
        return list(layers)
    return [(each["layer"], each["datatype"]) for each in engine.summary().layers if each["box_um"] is not None]


def index_document(pyramid: TilePyramid, levels: int, tiles: Sequence[Tile]) -> dict[str, Any]:
    """Return what a viewer needs to know of the tiles."""
    layers = sorted({tile.layer for tile in tiles})
    return {
        "left_um": pyramid.left_um,
        "top_um": pyramid.top_um,
        "side_um": pyramid.side_um,
        "tile_pixels": TILE_PIXELS,
        "pitch_nm": [pyramid.pitch_nm(level) for level in range(levels)],
        "layers": [
            {"layer": layer, "datatype": datatype, "tiles": sum(tile.layer == (layer, datatype) for tile in tiles)}
            for layer, datatype in layers
        ],
        "conventions": {
            "place": "level/x/y, x to the right and y down from the upper left; a tile that is not there is empty",
            "grey": "covered part of the pixel, 0 to 255, exact but for rounding to 1/255",
        },
        "algorithm_version": LAYOUT_VERSION,
    }


def tiles_path(path: Path, folder: Path, layers: str | None, levels: int, cell: str | None = None) -> dict[str, Any]:
    """Write the tiles to ``folder``/layer_datatype/level/x/y.png and return their index; raises what reading raises."""
    wanted = read_layers(layers)
    written: list[Tile] = []
    with open_layout(path) as engine:
        pyramid = find_pyramid(engine, cell)
        for tile in draw_tiles(engine, pyramid, chosen_layers(engine, wanted), levels):
            place = folder / f"{tile.layer[0]}_{tile.layer[1]}" / str(tile.level) / str(tile.x)
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{tile.y}.png").write_bytes(tile.png)
            written.append(tile)
    return {"layout": path.name, "folder": str(folder)} | index_document(pyramid, levels, written)


def pack_tiles(
    engine: LayoutEngine, target: Path, question: Mapping[str, Any], progress: Callable[[float, str], None]
) -> dict[str, Any]:
    """Write the tiles of a ``TilesRequest`` one after another to ``target`` and return their index.

    ``index`` has the offset and the length of each tile by layer/datatype and level/x/y; ``packed`` is ``target``.

    Raises:
        CorruptField: there is not one top cell, a layer is not there, or there are too many tiles.
    """
    levels, asked = int(question["levels"]), question["layers"]
    wanted = None if asked is None else [(int(layer), int(datatype)) for layer, datatype in asked]
    pyramid = find_pyramid(engine, question["cell"])
    index: dict[str, dict[str, list[int]]] = {}
    drawn: list[Tile] = []
    offset = 0
    with target.open("wb") as file:
        for tile in draw_tiles(engine, pyramid, chosen_layers(engine, wanted), levels, progress):
            file.write(tile.png)
            of_layer = index.setdefault(f"{tile.layer[0]}/{tile.layer[1]}", {})
            of_layer[f"{tile.level}/{tile.x}/{tile.y}"] = [offset, len(tile.png)]
            offset += len(tile.png)
            drawn.append(replace(tile, png=b""))
    return index_document(pyramid, levels, drawn) | {"index": index, "packed": str(target)}
