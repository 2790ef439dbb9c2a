"""Defects of an inspection on a layout: the same functions for ``faultlight mask overlay`` and the worker."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.coordinates.affine import Affine, Points
from analysis.coordinates.registration import Registration
from analysis.mask.defect_frame import CROWD, CROWDED, judge_placement
from analysis.mask.defect_overlay import (
    LOOK_UM,
    NODES,
    DefectImpact,
    Defects,
    LayerImpact,
    Tone,
    overlay_defects,
)
from instruments.errors import CorruptField, CountMismatch
from instruments.mask.process import DEFAULT, load_process
from instruments.records import Table
from services.pipelines.mask.defect_tables import read_defects
from services.pipelines.mask.layout_nets import Place as LayoutPlace
from services.pipelines.mask.layout_nets import TracedLayout, open_layout, place_document, provenance, trace_layout
from services.pipelines.mask.overlay_settings import OverlaySettings

_COLUMNS = {
    "die": ("x_die_um", "y_die_um"),
    "sample": ("x_um", "y_um"),
    "layout": ("layout_x_um", "layout_y_um"),
}
_LEAST_SHOWN = 1e-4


@dataclass(frozen=True)
class _Listed:
    """The defects of all tables that have a place."""

    tables: Sequence[Table]
    table: NDArray[np.int64]
    row: NDArray[np.int64]
    xy_um: NDArray[np.float64]
    size_um: NDArray[np.float64]
    without_place: int


def overlay_document(
    traced: TracedLayout, tables: Sequence[Table], settings: OverlaySettings, inspection: str
) -> dict[str, Any]:
    """Return what the defects of ``tables``, read from the file ``inspection``, do to a layout.

    Raises:
        CorruptField: the file has not the coordinates that are asked for, or a layer is not one of the process.
        CountMismatch: the defects would lie in the layout only in another unit.
        analysis.coordinates.registration.RegistrationRefused: the matches do not determine the map.
    """
    transform, fitted = settings.map()
    listed = _list_defects(tables, settings, inspection)
    mapped = transform.apply(Points.isotropic(listed.xy_um, settings.sigma_nm / 1000.0))
    warnings = [*traced.document["warnings"], *_doubts(tables, listed, settings, inspection)]
    warnings += _check_unit(traced, mapped, transform, inspection)
    scale = math.sqrt(abs(float(np.linalg.det(transform.matrix))))
    tones = tuple(
        _tone(listed.tables[table], row, settings) for table, row in zip(listed.table, listed.row, strict=True)
    )
    defects = Defects(mapped, listed.size_um * scale, tones)
    impacts = overlay_defects(traced.index, defects, _layers(traced, settings), settings.nuisance_below)
    documents = [
        _defect(traced, listed, number, (mapped, float(defects.diameters_um[number]), tones[number]), impact)
        for number, impact in enumerate(impacts)
    ]
    documents.sort(
        key=lambda each: (-(each["criticality"] if each["criticality"] is not None else 2.0), each["sample"])
    )
    counts = {
        "defects": len(documents) + listed.without_place,
        "without_place": listed.without_place,
        "inside": sum(each["inside"] for each in documents),
        "nuisance": sum(each["nuisance"] for each in documents),
        "not_judged": sum(each["criticality"] is None for each in documents),
    }
    return dict(traced.document) | {
        "verdict": _verdict(counts),
        "inspection": inspection,
        "counts": counts,
        "frame": _frame(transform, fitted),
        "settings": settings.to_document(),
        "defects": documents,
        "warnings": warnings,
        "conventions": {
            "criticality": "probability that the defect, a disc of its size, makes a fault: touches two nets of the "
            "layer (extra material), covers a shape from edge to edge (missing material), the larger of both if "
            "it is not known which; null where the size is not known or the defect lies outside the layout",
            "criticality_sigma": f"its standard error by the {NODES} places that stand for the ellipse",
            "edge_um": "from the defect's middle to the nearest edge of the layer, negative inside a shape",
            "nuisance": "criticality and three standard errors are below settings.nuisance_below",
        },
        "provenance": provenance({"nodes": NODES, "look_um": LOOK_UM}),
    }


def _verdict(counts: Mapping[str, int]) -> str:
    open_ones = counts["not_judged"] + counts["without_place"]
    if counts["nuisance"] + open_ones < counts["defects"]:
        return "critical"
    return "undecided" if open_ones else "nuisance"


def _list_defects(tables: Sequence[Table], settings: OverlaySettings, inspection: str) -> _Listed:
    names = _COLUMNS[settings.coordinates]
    places, sizes, owners, rows = [], [], [], []
    missing = 0
    for number, table in enumerate(tables):
        if any(name not in table.columns for name in names):
            there = ", ".join(kind for kind, pair in _COLUMNS.items() if all(name in table.columns for name in pair))
            message = f"the defects have no coordinates of the kind {settings.coordinates}"
            raise CorruptField(message, file=inspection, expected=" and ".join(names), found=there or "none")
        xy = np.column_stack([np.asarray(table.columns[name], np.float64) for name in names])
        known = np.isfinite(xy).all(axis=1)
        missing += int((~known).sum())
        places.append(xy[known])
        sizes.append(_sizes(table)[known])
        owners.append(np.full(int(known.sum()), number, np.int64))
        rows.append(np.flatnonzero(known))
    return _Listed(
        tables, np.concatenate(owners), np.concatenate(rows), np.concatenate(places), np.concatenate(sizes), missing
    )


def _sizes(table: Table) -> NDArray[np.float64]:
    """Return the size of each defect in micrometres: as the tool gives it, or the longer side of its box; else NaN."""
    count = table.row_count
    unknown = np.full(count, np.nan)
    size = np.asarray(table.columns.get("size_um", unknown), np.float64)
    sides = [np.asarray(table.columns.get(name, unknown), np.float64) for name in ("size_x_um", "size_y_um")]
    longer = np.fmax(*sides)
    size = np.where(np.isfinite(size) & (size > 0), size, longer)
    return np.where(np.isfinite(size) & (size > 0), size, np.nan)


def _doubts(
    tables: Sequence[Table], listed: _Listed, settings: OverlaySettings, inspection: str
) -> list[dict[str, Any]]:
    doubts: list[dict[str, Any]] = [
        {"kind": "inspection", "message": f"{inspection}: {warning}", "sample": table.name}
        for table in tables
        for warning in table.warnings
    ]
    if listed.without_place:
        message = f"{listed.without_place} defects have no place in these coordinates and are left out"
        doubts.append({"kind": "defect-without-place", "message": message, "count": listed.without_place})
    if not settings.sigma_nm and not settings.matches:
        message = "no error of the defects' places is stated: they are taken as exact"
        doubts.append({"kind": "no-error-stated", "message": message})
    sizeless = int(np.isnan(listed.size_um).sum())
    if sizeless:
        message = f"{sizeless} defects have no size, so that their criticality is not known"
        doubts.append({"kind": "defect-without-size", "message": message, "count": sizeless})
    return doubts


def _check_unit(traced: TracedLayout, mapped: Points, transform: Affine, inspection: str) -> list[dict[str, Any]]:
    """Say how many defects lie outside the layout; refuse where another unit would put nearly all of them inside."""
    if traced.index.box_um is None or not len(mapped.xy):
        return []
    margin = 4.0 * float(mapped.sigma_along_axes.max(initial=0.0))
    found = judge_placement(mapped.xy, transform.shift, traced.index.box_um, margin)
    if found.factor is not None:
        message = (
            f"{found.inside} of {found.count} defects lie in the layout; with lengths multiplied by {found.factor:g} "
            f"{found.inside_then} would: the defects' unit or scale, or the layout's database unit of "
            f"{traced.nets.unit_um:g} um, is not what it is taken for"
        )
        raise CountMismatch(message, file=inspection, expected=found.count, found=found.inside)
    low, high = mapped.xy.min(axis=0), mapped.xy.max(axis=0)
    boxes = {"defects_box_um": [*low.tolist(), *high.tolist()], "layout_box_um": traced.index.box_um.tolist()}
    doubts = []
    if found.count >= CROWD and found.extent < CROWDED:
        message = f"{found.count} defects lie within {found.extent:.2%} of the layout's length: is their unit right?"
        doubts.append({"kind": "defects-crowded", "message": message} | boxes)
    outside = found.count - found.inside
    if outside:
        message = f"{outside} of {found.count} defects lie outside the box of {traced.nets.top_cell}"
        doubts.append({"kind": "defect-outside-layout", "message": message, "count": outside} | boxes)
    return doubts


def _tone(table: Table, row: int, settings: OverlaySettings) -> Tone:
    name = str(table.columns["class_name"][row]) if "class_name" in table.columns else ""
    number = float(table.columns["class_number"][row]) if "class_number" in table.columns else math.nan
    for key in (name, f"{number:.0f}"):
        if key in settings.tones:
            return settings.tones[key]
    return settings.tone


def _layers(traced: TracedLayout, settings: OverlaySettings) -> tuple[int, ...]:
    names = traced.nets.layers
    if not settings.layers:
        return tuple(range(traced.nets.conductor_count))
    strangers = [name for name in settings.layers if name not in names]
    if strangers:
        message = "a layer that defects may be on is not one of the process"
        raise CorruptField(message, expected=", ".join(names), found=", ".join(strangers))
    return tuple(names.index(name) for name in settings.layers)


def _frame(transform: Affine, fitted: Registration | None) -> dict[str, Any]:
    document: dict[str, Any] = {"matrix": transform.matrix.tolist(), "shift_um": transform.shift.tolist()}
    if fitted is None:
        return document | {"fitted": False}
    return document | {
        "fitted": True,
        "residuals_um": fitted.residuals.tolist(),
        "outlier": fitted.outlier.tolist(),
        "rms_um": fitted.rms,
        "p_fit": fitted.p_fit,
        "parameter_covariance": transform.covariance.tolist(),
    }


def _defect(
    traced: TracedLayout, listed: _Listed, number: int, known: tuple[Points, float, Tone], impact: DefectImpact
) -> dict[str, Any]:
    mapped, size_um, tone = known
    table, row = listed.tables[listed.table[number]], int(listed.row[number])
    sigma = mapped.sigma_along_axes[number]
    product = float(sigma.prod())
    correlation = float(mapped.covariance[number, 0, 1]) / product if product > 0 else 0.0
    x_um, y_um = mapped.xy[number].tolist()
    sigma_x_nm, sigma_y_nm = (sigma * 1000.0).tolist()
    place = LayoutPlace(x_um, y_um, sigma_x_nm, sigma_y_nm, correlation)
    under = place_document(traced, place, impact.under)
    name = None if impact.layer is None else traced.nets.layers[impact.layer]
    return {
        "sample": table.name,
        "defect_id": int(table.columns["defect_id"][row]) if "defect_id" in table.columns else row,
        "class": str(table.columns["class_name"][row]) if "class_name" in table.columns else "",
        **{key: under[key] for key in ("x_um", "y_um", "sigma_nm", "correlation", "inside")},
        "size_um": None if math.isnan(size_um) else size_um,
        "tone": tone,
        "criticality": impact.criticality,
        "criticality_sigma": impact.sigma,
        "mode": impact.mode,
        "layer": name,
        "nuisance": impact.nuisance,
        "layers": [_layer(traced, each) for each in impact.layers],
        "cells": under["cells"],
    }


def _layer(traced: TracedLayout, impact: LayerImpact) -> dict[str, Any]:
    nets = traced.nets
    return {
        "layer": nets.layers[impact.layer],
        "edge_um": impact.edge_um,
        "next_um": impact.next_um,
        "bridge": impact.bridge,
        "cut": impact.cut,
        "bridged": None if impact.bridged is None else [nets.net_name(net) for net in impact.bridged],
        "nets": [
            {
                "net": each.net,
                "name": nets.net_name(each.net),
                "on": each.on,
                "touched": each.touched,
                "severed": each.severed,
            }
            for each in impact.nets
            if max(each.on, each.touched or 0.0) >= _LEAST_SHOWN
        ],
    }


def overlay_path(
    layout: Path, inspection: Path, settings: OverlaySettings, process: str = DEFAULT, cell: str | None = None
) -> dict[str, Any]:
    """Return the answer of ``faultlight mask overlay --json``; raises what reading, tracing and overlaying raise."""
    rules = load_process(process)
    tables = read_defects(inspection)
    with open_layout(layout) as engine:
        traced = trace_layout(engine, layout.name, rules, cell)
    return overlay_document(traced, tables, settings, inspection.name)
