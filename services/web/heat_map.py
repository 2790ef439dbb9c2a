"""A localization on the placement, as geometry for an SVG: cells of the heat map, spots, suspects, next probes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from services.presentation.slow_path import shorten_fault
from services.web.map_labels import Label, LabelPlacer, place_all

CREDIBLE = 0.95
LEAST_SHOWN = 1e-3
NAMED = 5
LEAST_NAMED = 0.01
"""Posterior below which only the first suspect is named on the drawing."""
NM_PER_UM = 1e3
WIDE = math.sqrt(-2 * math.log(1 - CREDIBLE))
"""Standard ellipse to the one that holds 95 % of a two-dimensional normal distribution."""


@dataclass(frozen=True)
class Cell:
    """A cell, in the drawing's micrometres (y down), how opaque it is drawn (log scale), and what it says."""

    x: float
    y: float
    opacity: float
    credible: bool
    title: str


@dataclass(frozen=True)
class Mark:
    """A place on the layout: ``x_um``, ``y_um`` as they are, ``x``, ``y`` in the drawing; axes in micrometres."""

    x: float
    y: float
    label: str
    title: str
    major: float = 0.0
    minor: float = 0.0
    angle_deg: float = 0.0


@dataclass(frozen=True)
class Drawing:
    """What the template draws; lengths in micrometres of the layout, y downwards from the top edge ``top_um``."""

    left_um: float
    top_um: float
    width: float
    height: float
    side: float
    cells: list[Cell]
    spots: list[Mark]
    suspects: list[Mark]
    probes: list[Mark]
    drains: list[tuple[float, float]]
    scale_bar_um: float

    @cached_property
    def labels(self) -> list[tuple[str, Label, float, float]]:
        """Names of suspects, then of probed nets, each with its style and its mark's place; none over another."""
        placer = LabelPlacer(self.width, self.height)
        for mark in (*self.spots, *self.probes):
            placer.keep_free(mark.x, mark.y, self.unit)
        named = {mark.label for mark in self.suspects}
        groups = (
            ("suspect", self.suspects, 2.4),
            ("quiet", [mark for mark in self.spots if mark.label not in named], 2.0),
        )
        return [
            (style, *placed)
            for style, marks, size in groups
            for placed in place_all(placer, [(mark.label, mark.x, mark.y) for mark in marks], size * self.unit)
        ]

    @property
    def unit(self) -> float:
        """The size that strokes and letters are measured by."""
        return max(self.width, self.height) / 100


def draw(body: Mapping[str, Any], drains: Sequence[tuple[float, float]] = ()) -> Drawing | None:
    """Return the drawing of a localization's document, ``None`` when nothing in it has a place.

    ``drains``: every driver's place on the layout, micrometres.
    """
    heat = body.get("heat_map") or {}
    suspects = [item for item in body.get("candidates", [])[:NAMED] if item.get("x_um") is not None]
    spots = [item for item in body.get("waveforms", []) if (item.get("spot") or {}).get("x_um") is not None]
    probes = [item for item in body.get("next_probes", [])[:NAMED] if item.get("x_um") is not None]
    xs = [item["x_um"] for item in (*suspects, *probes)] + [item["spot"]["x_um"] for item in spots]
    ys = [item["y_um"] for item in (*suspects, *probes)] + [item["spot"]["y_um"] for item in spots]
    xs, ys = [*xs, *(x for x, _ in drains)], [*ys, *(y for _, y in drains)]
    side = float(heat.get("cell_um") or 0.0)
    if heat:
        xs += [heat["x_um"], heat["x_um"] + side * heat["columns"]]
        ys += [heat["y_um"], heat["y_um"] + side * heat["rows"]]
    if not xs:
        return None
    extent = max(max(xs) - min(xs), max(ys) - min(ys), 1e-3)
    margin = 0.04 * extent
    left, top = min(xs) - margin, max(ys) + margin
    return Drawing(
        left_um=left,
        top_um=top,
        width=max(max(xs) - left + margin, extent / 3),
        height=max(top - min(ys) + margin, extent / 5),
        side=side,
        cells=_cells(heat, left, top, side) if heat else [],
        spots=[_spot(item, left, top) for item in spots],
        suspects=[_suspect(item, rank, left, top) for rank, item in enumerate(suspects, 1) if _is_named(item, rank)],
        probes=[_probe(item, rank, left, top) for rank, item in enumerate(probes, 1)],
        drains=[(x - left, top - y) for x, y in drains],
        scale_bar_um=_round_length(extent / 5),
    )


def _is_named(item: Mapping[str, Any], rank: int) -> bool:
    return rank == 1 or item["posterior"] >= LEAST_NAMED


def _cells(heat: Mapping[str, Any], left: float, top: float, side: float) -> list[Cell]:
    found, held = [], 0.0
    for item in heat["cells"]:
        probability = item["probability"] + item["resembling"]
        inside = held < CREDIBLE
        held = max(held, item["credible"])
        if probability < LEAST_SHOWN and not inside:
            continue
        shade = 1 + math.log10(max(probability, LEAST_SHOWN)) / -math.log10(LEAST_SHOWN)
        names = ", ".join(item["nets"][:NAMED]) + (" …" if len(item["nets"]) > NAMED else "")
        x, y = heat["x_um"] + side * item["column"], heat["y_um"] + side * (item["row"] + 1)
        found.append(
            Cell(x - left, top - y, round(0.12 + 0.88 * shade, 3), inside, f"{names}: probability {probability:.3g}")
        )
    return found


def _spot(item: Mapping[str, Any], left: float, top: float) -> Mark:
    spot, ellipse = item["spot"], item["spot"].get("ellipse") or {}
    wrong = item.get("p_faulty")
    said = "" if wrong is None else f", P(wrong) {wrong:.3f}"
    return Mark(
        spot["x_um"] - left,
        top - spot["y_um"],
        item["net"],
        f"probed {item['net']} at ({spot['x_um']:.2f}, {spot['y_um']:.2f}) um{said}",
        WIDE * (ellipse.get("major_nm") or 0.0) / NM_PER_UM,
        WIDE * (ellipse.get("minor_nm") or 0.0) / NM_PER_UM,
        -(ellipse.get("angle_deg") or 0.0),
    )


def _suspect(item: Mapping[str, Any], rank: int, left: float, top: float) -> Mark:
    title = f"suspect {rank}: {item['net']}, {shorten_fault(item['fault'])}, posterior {item['posterior']:.3f}"
    return Mark(item["x_um"] - left, top - item["y_um"], item["net"], title)


def _probe(item: Mapping[str, Any], rank: int, left: float, top: float) -> Mark:
    title = f"next probe {rank}: {item['net']}, {item['bits']:.2f} bits in {item['seconds'] / 60:.1f} min"
    return Mark(item["x_um"] - left, top - item["y_um"], str(rank), title)


def _round_length(length: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not above ``length``."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= length)
