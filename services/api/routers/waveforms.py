"""Waveforms: what they are, their samples, and a view of them for a screen."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from db.repositories.catalogue import WAVEFORMS, fetch_row
from services.api.answers import IMMUTABLE, VARY, matches_etag, quote_etag
from services.api.context import ReadsRecords, RequestContext
from services.api.contract import describe_problems
from services.api.listing import WaveformQuery, answer_list, answer_row, describe_page, describe_row
from services.api.record_documents import SampleDocument, ViewDocument, WaveformDetail, WaveformItem
from services.api.waveform_samples import (
    BLOCK_SAMPLES,
    SAMPLE_COLUMNS,
    bin_edges,
    bin_extremes,
    describe_samples,
    stored_samples,
    stream_float32,
    stream_json,
    stream_native,
)
from services.problems import Problem

router = APIRouter(prefix="/waveforms", tags=["waveforms"])

BINARY = "application/octet-stream"
MAX_PIXELS = 16_384
_BINARY_SCHEMA = {"schema": {"type": "string", "format": "binary"}}
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "the version named in If-None-Match is current"}}


def _describe_formats(model: type[Any]) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"model": model, "content": {BINARY: _BINARY_SCHEMA}},
        **_NOT_MODIFIED,
        **describe_problems("not-found", "original-missing"),
    }


def wants_json(request: Request) -> bool:
    """Return whether the client asks for JSON; binary is the default."""
    return "application/json" in request.headers.get("accept", "")


@router.get("", responses=describe_page(WaveformItem))
def list_waveforms(query: Annotated[WaveformQuery, Query()], context: ReadsRecords) -> Response:
    """Return waveforms."""
    return answer_list(context, WAVEFORMS, query)


@router.get("/{waveform_id}", responses=describe_row(WaveformDetail))
def read_waveform(waveform_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a waveform's description."""
    return answer_row(request, context, WAVEFORMS, waveform_id)


def _fetch(context: RequestContext, waveform_id: uuid.UUID) -> Mapping[str, Any]:
    with context.read() as unit:
        return fetch_row(unit.connection, unit.caller, WAVEFORMS, waveform_id, SAMPLE_COLUMNS)


@router.get("/{waveform_id}/samples", responses=_describe_formats(SampleDocument), response_class=Response)
def read_samples(
    waveform_id: uuid.UUID,
    request: Request,
    context: ReadsRecords,
    form: Annotated[Literal["native", "float32"], Query(alias="as", description="of binary samples")] = "native",
) -> Response:
    """Return all samples: little-endian binary described by `Faultlight-*` headers, or JSON when `Accept` asks for it.

    Native: `value = Faultlight-Gain * sample + Faultlight-Offset` in `Faultlight-Unit` (percent-encoded).
    """
    row = _fetch(context, waveform_id)
    stored, blobs = stored_samples(row), context.state.blobs
    as_json, as_float32 = wants_json(request), form == "float32"
    etag = quote_etag(row["sha256"], "json" if as_json else form)
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    if as_json:
        head = {"id": row["id"], "unit": row["unit"], "t0_s": row["t0_s"], "dt_s": row["dt_s"], "count": stored.count}
        return _answer_blocks(stream_json(blobs, stored, head), headers, "application/json", stored.count)
    headers |= describe_samples(row, as_float32=as_float32)
    headers["Content-Length"] = str(stored.count * (4 if as_float32 else stored.dtype.itemsize))
    stream = stream_float32(blobs, stored) if as_float32 else stream_native(blobs, stored)
    return _answer_blocks(stream, headers, BINARY, stored.count)


def _answer_blocks(blocks: Iterator[bytes], headers: dict[str, str], media_type: str, count: int) -> Response:
    """Answer at once what fits in a block; stream the rest, whose first block is read before the answer begins."""
    if count <= BLOCK_SAMPLES:
        return Response(b"".join(blocks), headers=headers, media_type=media_type)
    first = next(blocks)

    def stream() -> Iterator[bytes]:
        yield first
        yield from blocks

    return StreamingResponse(stream(), headers=headers, media_type=media_type)


@router.get("/{waveform_id}/view", responses=_describe_formats(ViewDocument), response_class=Response)
def view_waveform(
    waveform_id: uuid.UUID,
    request: Request,
    context: ReadsRecords,
    first: Annotated[int, Query(alias="from", ge=0, le=2**53, description="index of the first sample")] = 0,
    last: Annotated[int | None, Query(alias="to", ge=1, le=2**53, description="index after the last sample")] = None,
    px: Annotated[int, Query(ge=1, le=MAX_PIXELS, description="most bins")] = 1000,
) -> Response:
    """Return the smallest and largest value of each of at most `px` bins between two sample indices.

    Binary: float32 pairs (minimum, maximum), NaN where a bin has no finite value; bin `i` of `Faultlight-Bins`
    begins at sample `from + i * span // bins`. A glitch of one sample is never lost.
    """
    row = _fetch(context, waveform_id)
    stored = stored_samples(row)
    end = stored.count if last is None else min(last, stored.count)
    if first >= end:
        raise Problem("invalid-request", f"from is {first}, to is {end}, and the waveform has {stored.count} samples")
    edges = bin_edges(first, end, min(px, end - first))
    as_json = wants_json(request)
    etag = quote_etag(row["sha256"], first, end, len(edges) - 1, "json" if as_json else "binary")
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    low, high = bin_extremes(context.state.blobs, stored, edges)
    if as_json:
        body = {
            "id": row["id"], "unit": row["unit"], "t0_s": row["t0_s"], "dt_s": row["dt_s"],
            "first": first, "last": end, "edges": edges, "minimum": low, "maximum": high,
        }  # fmt: skip
        content = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(content, headers=headers, media_type="application/json")
    headers |= describe_samples(row, as_float32=True) | {
        "Faultlight-From": str(first), "Faultlight-To": str(end), "Faultlight-Bins": str(len(low)),
    }  # fmt: skip
    with np.errstate(over="ignore"):
        pairs = np.column_stack((low, high)).astype("<f4")
    return Response(pairs.tobytes(), headers=headers, media_type=BINARY)
