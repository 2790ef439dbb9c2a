"""Measured over simulated: several waveforms of a session beside what a stored simulation says of their nets."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from db.blobs import BlobStore
from db.repositories.catalogue import RESULTS, WAVEFORMS, fetch_row, fetch_rows
from services.api.answers import IMMUTABLE, VARY
from services.api.context import ReadsRecords
from services.api.contract import describe_problems
from services.api.routers.waveform_views import (
    BINARY,
    BINARY_ANSWER,
    MAX_PIXELS,
    MOST_TRACES,
    VIEW_COLUMNS,
    covered_samples,
    find_window,
    scale_of,
)
from services.api.simulated_samples import NoSimulation, SimulatedTrace, Simulation, compared_extremes
from services.api.waveform_samples import bin_edges, stored_samples
from services.problems import Problem

router = APIRouter(prefix="/waveform-comparisons", tags=["waveforms"])

PARTS = ("measured", "simulated", "difference")
MOST_PARTS = 500
_COLUMNS = (*VIEW_COLUMNS, "member_path", "probing_session_id")
_RESPONSES: dict[int | str, dict[str, Any]] = {200: BINARY_ANSWER, **describe_problems("not-found", "original-missing")}
Scale = tuple[float, float]


class ComparisonQuery(BaseModel):
    """Which waveforms, and what is drawn beside them."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    waveform: list[uuid.UUID] = Field(min_length=1, max_length=MOST_TRACES, description="in this order")
    simulation: uuid.UUID = Field(description="a result of the kind `simulation` of their session")
    suspect: int = Field(default=0, ge=0, le=100, description="0: the good die; else which of its suspects")
    mix: list[str] = Field(
        default=[], max_length=MOST_PARTS, description="place*weight*net: of the waveform at that place, from 0"
    )
    shift: list[str] = Field(
        default=[], max_length=MOST_TRACES, description="place*seconds: how much later to draw what is simulated"
    )
    first: float | None = Field(default=None, alias="from", ge=-1e12, le=1e16, description="seconds; unset: all")
    last: float | None = Field(default=None, alias="to", ge=-1e12, le=1e16)
    px: int = Field(default=1000, ge=1, le=MAX_PIXELS, description="most bins of a trace")


@router.get("", responses=_RESPONSES, response_class=Response)
def compare_waveforms(query: Annotated[ComparisonQuery, Query()], context: ReadsRecords) -> Response:
    """Return measured, simulated and their difference, each as smallest and largest value of at most `px` bins.

    As `/waveform-views`, on the axis of time, with three traces for each waveform (`part` says which). A waveform's
    simulation is the sum of the nets in `mix` with their weights, by default of its own net, scaled to its settled
    levels by least squares: `fit` says how. The difference is taken sample by sample, before bins are made.
    """
    with context.read() as unit:
        rows = fetch_rows(unit.connection, unit.caller, WAVEFORMS, query.waveform, _COLUMNS)
        found = fetch_row(
            unit.connection, unit.caller, RESULTS, query.simulation, ("kind", "probing_session_id", "body")
        )
    session = found["probing_session_id"]
    if found["kind"] != "simulation" or session is None or any(row["probing_session_id"] != session for row in rows):
        raise Problem("invalid-request", "simulation is not the id of a simulation of these waveforms' session")
    scales = [scale_of(row, "time") for row in rows]
    begin, end = find_window(rows, scales, query.first, query.last)
    try:
        model = Simulation(found["body"], query.suspect)
        traces = _combine(model, rows, read_mixtures(query.mix, len(rows)), read_shifts(query.shift, len(rows)))
    except NoSimulation as error:
        raise Problem("invalid-request", str(error)) from error
    heads: list[dict[str, Any]] = []
    parts = []
    for row, scale, (trace, fit) in zip(rows, scales, traces, strict=True):
        head, pairs = _compare(context.state.blobs, row, scale, (begin, end, query.px), trace)
        heads += [head | {"part": part} | fit for part in PARTS]
        parts.append(pairs.tobytes())
    document = orjson.dumps({"axis": "time", "from": begin, "to": end, "traces": heads})
    document += b" " * (-len(document) % 4)
    content = b"".join([len(document).to_bytes(4, "little"), document, *parts])
    return Response(content, headers={"Cache-Control": IMMUTABLE, "Vary": VARY}, media_type=BINARY)


def read_mixtures(texts: Sequence[str], waveforms: int) -> dict[int, list[tuple[str, float]]]:
    """Return the nets with their weights by the waveform's place; raises a problem for what is not so written."""
    found: dict[int, list[tuple[str, float]]] = {}
    for text in texts:
        place, weight, net = _split(text, 3, waveforms)
        found.setdefault(place, []).append((net, weight))
    return found


def read_shifts(texts: Sequence[str], waveforms: int) -> dict[int, float]:
    """Return the shift in seconds by the waveform's place; raises a problem for what is not so written."""
    return dict(_split(text, 2, waveforms)[:2] for text in texts)


def _split(text: str, parts: int, waveforms: int) -> tuple[int, float, str]:
    """Return place, number and, with three ``parts``, the net, which may hold any character."""
    pieces = text.split("*", parts - 1)
    try:
        place, number = int(pieces[0]), float(pieces[1])
    except (ValueError, IndexError):
        place, number = -1, float("nan")
    if len(pieces) != parts or not 0 <= place < waveforms or not abs(number) < 1e6:
        form = "place*weight*net" if parts == 3 else "place*seconds"
        raise Problem("invalid-request", f"{text[:80]!r} is not {form} with a place below {waveforms}")
    return place, number, pieces[-1]


def _combine(
    model: Simulation,
    rows: Sequence[Mapping[str, Any]],
    mixtures: Mapping[int, list[tuple[str, float]]],
    shifts: Mapping[int, float],
) -> list[tuple[SimulatedTrace, dict[str, Any]]]:
    """Return what is drawn beside each waveform, and what is told of it."""
    found = []
    for place, row in enumerate(rows):
        file = row["member_path"]
        mixture = mixtures.get(place) or [(model.own_net(file), 1.0)]
        combination = model.combine(mixture)
        fit = model.fit(file, combination)
        shift_s = shifts.get(place, 0.0)
        trace = SimulatedTrace(fit.offset + fit.swing * combination, model.cycle_s, model.edge_s, shift_s)
        told = {"mixture": [{"net": net, "weight": weight} for net, weight in mixture]}
        found.append((trace, told | {"fit": asdict(fit), "shift_s": shift_s}))
    return found


def _compare(
    blobs: BlobStore, row: Mapping[str, Any], scale: Scale, window: tuple[float, float, int], trace: SimulatedTrace
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    stored = stored_samples(row)
    (start, step), px = scale, window[2]
    low, high = covered_samples(stored.count, scale, window[:2])
    pairs = np.empty((3, 0, 2), "<f4")
    if high > low:
        edges = bin_edges(low, high, min(px, high - low))
        with np.errstate(over="ignore"):
            pairs = compared_extremes(blobs, stored, edges, scale, trace).astype("<f4")
    head = {name: row[name] for name in ("id", "name", "net", "unit", "averages")}
    return head | {
        "first": low, "last": high, "bins": pairs.shape[1], "samples": stored.count, "start": start, "step": step,
    }, pairs  # fmt: skip
