"""Several waveforms at once, for a screen: one answer for all traces of a window of time."""

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from starlette.responses import Response

from db.blobs import BlobStore
from db.repositories.catalogue import WAVEFORMS, fetch_rows
from services.api.answers import IMMUTABLE, VARY
from services.api.context import ReadsRecords
from services.api.contract import describe_problems
from services.api.waveform_samples import SAMPLE_COLUMNS, StoredSamples, bin_edges, bin_extremes, stored_samples
from services.problems import Problem

router = APIRouter(prefix="/waveform-views", tags=["waveforms"])

MOST_TRACES = 50
MAX_PIXELS = 4096
BINARY = "application/octet-stream"
VIEW_COLUMNS = (*SAMPLE_COLUMNS, "name", "net", "averages")
Axis = Literal["time", "sample"]
BINARY_ANSWER: dict[str, Any] = {"content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {200: BINARY_ANSWER, **describe_problems("not-found", "original-missing")}


@router.get("", responses=_RESPONSES, response_class=Response)
def view_waveforms(
    context: ReadsRecords,
    waveform: Annotated[list[uuid.UUID], Query(min_length=1, max_length=MOST_TRACES, description="in this order")],
    axis: Annotated[Axis, Query(description="what from and to are: seconds, or sample indices")] = "time",
    first: Annotated[float | None, Query(alias="from", allow_inf_nan=False, ge=-1e12, le=1e16)] = None,
    last: Annotated[float | None, Query(alias="to", allow_inf_nan=False, ge=-1e12, le=1e16)] = None,
    px: Annotated[int, Query(ge=1, le=MAX_PIXELS, description="most bins of a trace")] = 1000,
) -> Response:
    """Return the smallest and largest value of each of at most `px` bins of each trace; unset bounds: all there is.

    Binary, little-endian: uint32, the length of a JSON document; the document, padded by spaces to a multiple of 4
    bytes, with `axis`, `from`, `to` and `traces`; then for each trace its `bins` float32 pairs (minimum, maximum), NaN
    where a bin has no finite value. Bin `i` begins at sample `first + i * (last - first) // bins`; sample `k` lies at
    `start + k * step` on the axis. A glitch of one sample is never lost; with few samples each is a bin.
    """
    with context.read() as unit:
        rows = fetch_rows(unit.connection, unit.caller, WAVEFORMS, waveform, VIEW_COLUMNS)
    scales = [scale_of(row, axis) for row in rows]
    begin, end = find_window(rows, scales, first, last)
    traces, parts = [], []
    for row, scale in zip(rows, scales, strict=True):
        head, pairs = _trace(context.state.blobs, row, scale, (begin, end, px))
        traces.append(head)
        parts.append(pairs.tobytes())
    document = orjson.dumps({"axis": axis, "from": begin, "to": end, "traces": traces})
    document += b" " * (-len(document) % 4)
    content = b"".join([len(document).to_bytes(4, "little"), document, *parts])
    return Response(content, headers={"Cache-Control": IMMUTABLE, "Vary": VARY}, media_type=BINARY)


def scale_of(row: Mapping[str, Any], axis: Axis) -> tuple[float, float]:
    """Return where sample 0 lies on the axis, and the distance of two samples."""
    if axis == "sample":
        return 0.0, 1.0
    if row["dt_s"] is None or row["dt_s"] <= 0:
        raise Problem("invalid-request", f"waveform {row['id']} does not say its sample interval: ask for axis=sample")
    return float(row["t0_s"] or 0.0), float(row["dt_s"])


def find_window(
    rows: Sequence[Mapping[str, Any]], scales: Sequence[tuple[float, float]], first: float | None, last: float | None
) -> tuple[float, float]:
    """Return the window that is asked for, in units of the axis; raises a problem when it is empty."""
    begin = min(start for start, _ in scales) if first is None else first
    ends = (start + step * row["sample_count"] for row, (start, step) in zip(rows, scales, strict=True))
    end = max(ends) if last is None else last
    if not begin < end:
        raise Problem("invalid-request", f"from is {begin:g} and to is {end:g}: to must be greater")
    return begin, end


def covered_samples(count: int, scale: tuple[float, float], window: tuple[float, float]) -> tuple[int, int]:
    """Return the first sample of ``window`` and the one after its last; one more lets a line reach the edge."""
    (start, step), (begin, end) = scale, window
    low = min(max(math.floor((begin - start) / step), 0), count)
    return low, min(max(math.ceil((end - start) / step) + 1, low), count)


def _trace(
    blobs: BlobStore, row: Mapping[str, Any], scale: tuple[float, float], window: tuple[float, float, int]
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Return what is told of a trace, and its pairs."""
    stored: StoredSamples = stored_samples(row)
    (start, step), (begin, end, px) = scale, window
    low, high = covered_samples(stored.count, scale, (begin, end))
    pairs = np.empty((0, 2), "<f4")
    if high > low:
        minimum, maximum = bin_extremes(blobs, stored, bin_edges(low, high, min(px, high - low)))
        with np.errstate(over="ignore"):
            pairs = np.column_stack((minimum, maximum)).astype("<f4")
    head = {name: row[name] for name in ("id", "name", "net", "unit", "averages")}
    return head | {
        "first": low, "last": high, "bins": len(pairs), "samples": stored.count, "start": start, "step": step,
    }, pairs  # fmt: skip
