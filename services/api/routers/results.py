"""What the analyses found. A result never changes."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from db.repositories.catalogue import FINDINGS, RESULTS, read_row
from services.api.answers import IMMUTABLE, answer_cached, quote_etag
from services.api.context import ReadsRecords
from services.api.listing import FindingQuery, ResultQuery, answer_list, answer_row, describe_page, describe_row
from services.api.record_documents import FindingDetail, FindingItem, ResultDetail, ResultItem

router = APIRouter(tags=["results"])


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


@router.get("/findings", responses=describe_page(FindingItem))
def list_findings(query: Annotated[FindingQuery, Query()], context: ReadsRecords) -> Response:
    """Return findings; `order=oldest` gives those of one result by rank."""
    return answer_list(context, FINDINGS, query)


@router.get("/findings/{finding_id}", responses=describe_row(FindingDetail))
def read_finding(finding_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a finding with its evidence."""
    return answer_row(request, context, FINDINGS, finding_id)
