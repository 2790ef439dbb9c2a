"""Nets of a layout, and what lies under places of it: the same functions for ``faultlight mask`` and the worker."""

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.coordinates.affine import Points
from analysis.mask.nets import REACH_SIGMAS, NetIndex, NetShapes, PlaceNets
from instruments.errors import CorruptField
from instruments.mask.layout_process import LayoutEngine, LayoutProcess, LayoutSummary
from instruments.mask.nets import TOP, TracedNets
from instruments.mask.process import DEFAULT, Process, known_processes, load_process, read_process
from instruments.sandbox import SandboxLimits
from services.pipelines.versions import LAYOUT_VERSION
from services.settings import get_settings

MOST_PLACES = 1_000_000
_NM_PER_UM = 1000.0


@dataclass(frozen=True)
class Place:
    """A place in a layout: micrometres, standard deviations in nanometres, and their correlation."""

    x_um: float
    y_um: float
    sigma_x_nm: float = 0.0
    sigma_y_nm: float = 0.0
    correlation: float = 0.0
    name: str = ""


@dataclass(frozen=True)
class TracedLayout:
    """The nets of a layout, ready to be asked about places."""

    nets: TracedNets
    index: NetIndex
    process: Process
    document: Mapping[str, Any]
    """What every answer about it says of it: file, format, cell, process, warnings."""


def open_layout(path: Path, name: str | None = None) -> LayoutProcess:
    """Return the layout's process with the configured limits of time and memory; it is to be entered."""
    settings = get_settings()
    limits = SandboxLimits(settings.read_timeout_s, settings.read_memory_bytes, settings.read_output_bytes)
    return LayoutProcess(path, name, limits)


def trace_layout(engine: LayoutEngine, name: str, process: Process, cell: str | None = None) -> TracedLayout:
    """Trace the nets of ``cell`` of an open layout called ``name`` by the rules of ``process``.

    Raises:
        instruments.errors.InstrumentError: it cannot be traced, and why.
    """
    return index_nets(engine.nets(process, cell), name, process, engine.summary())


def index_nets(nets: TracedNets, name: str, process: Process, summary: LayoutSummary) -> TracedLayout:
    """Return ``nets``, traced by the rules of ``process`` in a layout called ``name``, ready to be asked."""
    shapes = NetShapes(
        nets.unit_um,
        nets.trapezoids,
        nets.trapezoid_layer,
        nets.trapezoid_net,
        len(nets.layers),
        nets.instance_box,
    )
    index = NetIndex(shapes)
    warnings = [{"kind": "layout", "message": each} for each in summary.warnings] + [
        dict(each) for each in nets.warnings
    ]
    document = {
        "layout": name,
        "format": summary.format,
        "cell": nets.top_cell,
        "unit_um": nets.unit_um,
        "box_um": None if index.box_um is None else index.box_um.tolist(),
        "process": describe_process(process),
        "layers": list(nets.layers),
        "warnings": warnings,
    }
    return TracedLayout(nets, index, process, document)


def asked_process(asked: str | Mapping[str, Any]) -> Process:
    """Return the process that a request asks for: the name of one that is known, or a document; never a file.

    Raises:
        CorruptField: there is no such process, or the document is not right.
    """
    if isinstance(asked, str) and asked not in known_processes():
        raise CorruptField("there is no such process", expected=", ".join(known_processes()), found=asked[:80])
    return load_process(asked) if isinstance(asked, str) else read_process(asked, "process")


def describe_process(process: Process) -> dict[str, Any]:
    """Return name, source and hash of ``process`` for the provenance of an answer."""
    text = json.dumps(process.to_document(), sort_keys=True)
    return {"name": process.name, "source": process.source, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def nets_document(traced: TracedLayout, *, inner: bool = False) -> dict[str, Any]:
    """Return all nets of ``traced``; those inside instances only with ``inner``."""
    nets = traced.nets
    areas = _areas_um2(nets)
    pins_of = [definition.pins for definition in nets.definitions]
    listed = []
    for number in range(nets.net_count):
        if nets.net_instance[number] != TOP and not inner:
            continue
        definition = nets.definitions[nets.net_definition[number]]
        pins = pins_of[nets.net_definition[number]]
        layers = {nets.layers[layer]: area for (net, layer), area in areas.get(number, ())}
        listed.append(
            {
                "net": number,
                "name": nets.net_name(number),
                "labels": list(definition.labels),
                "area_um2": layers,
                "pins": [{"cell": cell, "pin": pin, "count": count} for (cell, pin), count in sorted(pins.items())],
            }
        )
    counts = {
        "nets": nets.net_count,
        "nets_of_top_cell": int(np.count_nonzero(nets.net_instance == TOP)),
        "instances": len(nets.instance_cell),
        "labels": nets.label_count,
        "trapezoids": len(nets.trapezoids),
    }
    return dict(traced.document) | {"counts": counts, "nets": listed, "provenance": provenance({"inner": inner})}


def _areas_um2(nets: TracedNets) -> dict[int, list[tuple[tuple[int, int], float]]]:
    """Return the area on each layer of each net: by net, ``((net, layer), area)``."""
    edges = nets.trapezoids.astype(np.float64)
    widths = (edges[:, 3] - edges[:, 2]) + (edges[:, 5] - edges[:, 4])
    area = (edges[:, 1] - edges[:, 0]) * widths / 2 * nets.unit_um**2
    count = len(nets.layers)
    sums = np.bincount(nets.trapezoid_net * np.int64(count) + nets.trapezoid_layer, weights=area)
    found: dict[int, list[tuple[tuple[int, int], float]]] = {}
    for key in np.flatnonzero(sums).tolist():
        net, layer = divmod(key, count)
        found.setdefault(net, []).append(((net, layer), round(float(sums[key]), 9)))
    return found


def places_document(traced: TracedLayout, places: Sequence[Place]) -> dict[str, Any]:
    """Return what lies under each of ``places``: nets by layer and cells, each with its probability.

    Raises:
        CorruptField: a place is not finite, or its standard deviations or correlation cannot be.
    """
    points = as_points(places)
    found = traced.index.under(points)
    warnings = list(traced.document["warnings"])
    outside = [number for number, each in enumerate(found) if not each.inside]
    if outside:
        first = places[outside[0]]
        message = (
            f"{len(outside)} of {len(places)} places lie outside the box of {traced.nets.top_cell}, "
            f"({first.x_um:g}, {first.y_um:g}) um for one"
        )
        warnings.append({"kind": "place-outside-layout", "message": message, "places": outside[:1000]})
    documents = [place_document(traced, each, under) for each, under in zip(places, found, strict=True)]
    conventions = {
        "probability": "of the normal distribution of the place, the part that lies on the net's shapes of the layer",
        "none": "probability that no net of the layer is there; layers that are certainly empty are left out",
        "cells": "probability that the place is inside the instance's outline",
    }
    end = {"places": documents, "warnings": warnings, "provenance": provenance({"reach_sigmas": REACH_SIGMAS})}
    return dict(traced.document) | end | {"conventions": conventions}


def place_document(traced: TracedLayout, place: Place, under: PlaceNets) -> dict[str, Any]:
    """Return what lies under one place."""
    nets = traced.nets
    return {
        "name": place.name or None,
        "x_um": place.x_um,
        "y_um": place.y_um,
        "sigma_nm": [place.sigma_x_nm, place.sigma_y_nm],
        "correlation": place.correlation,
        "inside": under.inside,
        "nets": [
            {
                "layer": nets.layers[each.layer],
                "net": each.net,
                "name": nets.net_name(each.net),
                "labels": list(nets.definitions[nets.net_definition[each.net]].labels),
                "probability": each.probability,
                "at_centre": each.at_centre,
            }
            for each in under.nets
        ],
        "none": {name: float(part) for name, part in zip(nets.layers, under.none_on, strict=True) if part < 1.0},
        "cells": [
            {
                "instance": nets.instance_name(each.instance),
                "cell": nets.cells[nets.instance_cell[each.instance]],
                "turn": nets.instance_turn[each.instance],
                "probability": each.probability,
            }
            for each in under.instances
        ],
    }


def as_points(places: Sequence[Place]) -> Points:
    """Return places with their covariances in square micrometres.

    Raises:
        CorruptField: see :func:`places_document`.
    """
    if len(places) > MOST_PLACES:
        raise CorruptField("too many places at once", expected=MOST_PLACES, found=len(places))
    rows = [(each.x_um, each.y_um, each.sigma_x_nm, each.sigma_y_nm, each.correlation) for each in places]
    table = np.asarray(rows, np.float64).reshape(-1, 5)
    wrong = ~np.isfinite(table).all(axis=1) | (table[:, 2:4] < 0).any(axis=1) | ~(np.abs(table[:, 4]) < 1)
    if wrong.any():
        number = int(np.argmax(wrong))
        message = f"place {number + 1} is not finite, has a negative deviation, or a correlation not between -1 and 1"
        raise CorruptField(message, found=", ".join(f"{value:g}" for value in table[number]))
    sigma = table[:, 2:4] / _NM_PER_UM
    covariance = np.zeros((len(table), 2, 2))
    covariance[:, 0, 0], covariance[:, 1, 1] = sigma[:, 0] ** 2, sigma[:, 1] ** 2
    covariance[:, 0, 1] = covariance[:, 1, 0] = sigma[:, 0] * sigma[:, 1] * table[:, 4]
    return Points(table[:, :2], covariance)


def read_places(path: Path) -> list[Place]:
    """Return the places of a CSV file with ``x_um``, ``y_um`` and, where they are known, the other names of ``Place``.

    Raises:
        CorruptField: a column is missing or not known, or a value is no number; the line is named.
        FileNotFoundError: there is no such file.
    """
    known = ("x_um", "y_um", "sigma_x_nm", "sigma_y_nm", "correlation", "name")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        names = list(rows.fieldnames or ())
        strangers = [name for name in names if name not in known]
        if strangers or not {"x_um", "y_um"} <= set(names) or len(set(names)) != len(names):
            raise CorruptField("the columns are not right", file=path.name, expected=", ".join(known), found=str(names))
        return [_read_place(row, number, path.name) for number, row in enumerate(rows, 2)]


def _read_place(row: Mapping[str, Any], line: int, file: str) -> Place:
    try:
        values = {name: float(row[name] or (0.0 if name[1:] != "_um" else "")) for name in row if name != "name"}
    except (TypeError, ValueError):
        raise CorruptField("a value is no number", file=file, offset=line, offset_unit="line") from None
    if not all(math.isfinite(value) for value in values.values()):
        raise CorruptField("a value is not finite", file=file, offset=line, offset_unit="line")
    return Place(**values, name=str(row.get("name") or ""))


def provenance(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an answer about a layout was made."""
    return {
        "algorithm": "klayout LayoutToNetlist; normal mass over trapezoids",
        "algorithm_version": LAYOUT_VERSION,
        "parameters": dict(parameters),
        "device": "cpu",
        "precision": "float64",
    }


def trace_path(path: Path, process: str = DEFAULT, cell: str | None = None, *, inner: bool = False) -> dict[str, Any]:
    """Return the answer of ``faultlight mask nets --json``; raises what reading and tracing raise."""
    rules = load_process(process)
    with open_layout(path) as engine:
        return nets_document(trace_layout(engine, path.name, rules, cell), inner=inner)


def places_path(path: Path, places: Iterable[Place], process: str = DEFAULT, cell: str | None = None) -> dict[str, Any]:
    """Return the answer of ``faultlight mask at --json``; raises what reading and tracing raise."""
    rules, asked = load_process(process), list(places)
    as_points(asked)
    with open_layout(path) as engine:
        traced = trace_layout(engine, path.name, rules, cell)
    return places_document(traced, asked)
