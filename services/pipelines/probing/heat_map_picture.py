"""The suspects' heat map as a picture, SVG or PNG by the file's name."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle

SUFFIXES = (".svg", ".png")
LEAST_SHOWN = 1e-4
CREDIBLE = 0.95
NAMED = 3
NM = 1e3


class PictureRefused(ValueError):  # noqa: N818
    """There is nothing to draw, or no way to draw it; the message says what to do."""


def check_picture_name(path: Path) -> None:
    """Raise :class:`PictureRefused` unless the name of ``path`` says what kind of picture it is."""
    if path.suffix.lower() not in SUFFIXES:
        raise PictureRefused(f"a picture's name ends in .svg or .png, not {path.suffix or 'nothing'}")


def draw_heat_map(document: Mapping[str, Any], path: Path) -> None:
    """Draw the heat map of a localization's ``document`` into the file ``path``.

    Cells of the 95 % credible region are outlined; each probe is a cross with the 95 % ellipse of its place.

    Raises:
        PictureRefused: the answer has no heat map, or the name ends otherwise than in .svg or .png.
    """
    check_picture_name(path)
    found = document.get("heat_map")
    if not found:
        raise PictureRefused("there is no heat map: the session has no placement, or nothing was localized")
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.add_subplot()
    grid = np.full((found["rows"], found["columns"]), np.nan)
    for cell in found["cells"]:
        grid[cell["row"], cell["column"]] = cell["probability"] + cell["resembling"]
    side, left, low = found["cell_um"], found["x_um"], found["y_um"]
    extent = (left, left + side * found["columns"], low, low + side * found["rows"])
    image = axes.imshow(
        grid, origin="lower", extent=extent, norm=LogNorm(LEAST_SHOWN, 1.0, clip=True), cmap="viridis", aspect="equal"
    )
    figure.colorbar(image, ax=axes, label="probability of the site in the cell")
    _outline(axes, found)
    _mark_probes(axes, document["waveforms"])
    label = "SIMULATED, " if document.get("simulated") else ""
    axes.set_title(
        f"{label}{document['verdict']}; no fault {found['no_fault']:.3f}, unmodelled {document['unmodelled']:.3f}"
    )
    axes.set_xlabel("x on the layout, um")
    axes.set_ylabel("y on the layout, um")
    with mpl.rc_context({"svg.hashsalt": "faultlight"}):
        figure.savefig(path, format=path.suffix.lower()[1:], metadata={"Date": None} if path.suffix == ".svg" else None)


def _outline(axes: Any, found: Mapping[str, Any]) -> None:
    """Outline the credible region: the likeliest cells up to the one with which it is full; name the first suspects."""
    side = found["cell_um"]
    inside, held = [], 0.0
    for cell in found["cells"]:
        if held >= CREDIBLE:
            break
        inside.append(cell)
        held = cell["credible"]
    corners = [(found["x_um"] + side * cell["column"], found["y_um"] + side * cell["row"]) for cell in inside]
    outlines = [Rectangle(corner, side, side) for corner in corners]
    axes.add_collection(PatchCollection(outlines, facecolor="none", edgecolor="red", linewidth=1.0))
    for cell, (x, y) in list(zip(inside, corners, strict=True))[:NAMED]:
        axes.annotate(" ".join(cell["nets"][:NAMED]), (x + side, y + side), color="red", fontsize=8)


def _mark_probes(axes: Any, waveforms: Sequence[Mapping[str, Any]]) -> None:
    wide = math.sqrt(-2 * math.log(1 - CREDIBLE)) * 2 / NM
    for item in waveforms:
        spot = item.get("spot")
        if not spot or spot["x_um"] is None:
            continue
        place, ellipse = (spot["x_um"], spot["y_um"]), spot["ellipse"]
        axes.plot(*place, "x", color="black", markersize=5)
        size = (wide * ellipse["major_nm"], wide * ellipse["minor_nm"])
        axes.add_patch(Ellipse(place, *size, angle=ellipse["angle_deg"], fill=False, edgecolor="black", linewidth=0.8))
        axes.annotate(str(item["net"]), place, fontsize=7, color="black", xytext=(3, -9), textcoords="offset points")
