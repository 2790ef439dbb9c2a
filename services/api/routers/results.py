"""What the analyses found. A result never changes."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from db.blobs import BlobMissing
from db.repositories.access import RowNotFound
from db.repositories.catalogue import FINDINGS, RESULTS, fetch_row, read_row
from db.repositories.unit_evidence import read_body
from services.api.answers import IMMUTABLE, VARY, answer_cached, matches_etag, quote_etag
from services.api.context import ReadsRecords
from services.api.contract import describe_problems
from services.api.listing import FindingQuery, ResultQuery, answer_list, answer_row, describe_page, describe_row
from services.api.record_documents import FindingDetail, FindingItem, ResultDetail, ResultItem

router = APIRouter(tags=["results"])

PARQUET = "application/vnd.apache.parquet"
_PARQUET = {"content": {PARQUET: {"schema": {"type": "string", "format": "binary"}}}}


@router.get("/results", responses=describe_page(ResultItem))
def list_results(query: Annotated[ResultQuery, Query()], context: ReadsRecords) -> Response:
    """Return results."""
    return answer_list(context, RESULTS, query)


@router.get("/results/{result_id}", responses=describe_row(ResultDetail))
def read_result(result_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a result with its document and provenance."""
    with context.read() as unit:
        text = read_row(unit.connection, unit.caller, RESULTS, result_id)
    return answer_cached(request, text.encode(), quote_etag(result_id), IMMUTABLE)


@router.get(
    "/results/{result_id}/scores",
    response_class=Response,
    responses={200: _PARQUET, 304: {"description": "the client has them"}, **describe_problems("not-found")},
)
def read_scores(result_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return the scores of every part or unit of a screening or a forecast of degradation, as a Parquet file."""
    with context.read() as unit:
        fetch_row(unit.connection, unit.caller, RESULTS, result_id, ("id",))
        scores = read_body(unit.connection, result_id, "scores")
    if not scores or "blob_key" not in scores:
        raise RowNotFound("file of scores of the result", result_id)
    etag = quote_etag(scores["sha256"])
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    data = context.state.blobs.read_range(scores["blob_key"], 0, scores["byte_length"])
    if len(data) != scores["byte_length"]:
        raise BlobMissing(scores["blob_key"])
    return Response(data, media_type=PARQUET, headers=headers)


@router.get("/findings", responses=describe_page(FindingItem))
def list_findings(query: Annotated[FindingQuery, Query()], context: ReadsRecords) -> Response:
    """Return findings; `order=oldest` gives those of one result by rank."""
    return answer_list(context, FINDINGS, query)


@router.get("/findings/{finding_id}", responses=describe_row(FindingDetail))
def read_finding(finding_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a finding with its evidence."""
    return answer_row(request, context, FINDINGS, finding_id)
