"""Asking about stored layouts and inspections: nets, places, windows, tiles, defects and their signatures."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from db.blobs import BlobMissing
from db.repositories import audit, jobs
from db.repositories.access import Action
from db.repositories.catalogue import FILES, JOBS, RESULTS, fetch_row, read_row
from db.repositories.tiles import find_tile
from services.api.answers import IMMUTABLE, VARY, JsonAnswer, matches_etag, quote_etag
from services.api.context import Analyses, ReadsRecords, RequestContext
from services.api.contract import describe_problems
from services.api.record_documents import JobItem
from services.pipelines.job_keys import make_key
from services.pipelines.mask.layout_requests import (
    MatchRequest,
    NetsRequest,
    OverlayRequest,
    PlacesRequest,
    SignaturesRequest,
    TilesRequest,
    WindowRequest,
)
from services.pipelines.versions import LAYOUT_VERSION, SIGNATURE_VERSION
from services.problems import Problem

router = APIRouter(tags=["layouts"])

QUEUE = "cpu"
_PRIORITY_OF_PEOPLE = 3
_VERSIONS = {"signatures": SIGNATURE_VERSION, "match": SIGNATURE_VERSION}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": JobItem, "description": "this has been asked before: the same job"},
    202: {"model": JobItem, "description": "a new job"},
    **describe_problems("not-found"),
}
_PNG = {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
Question = (
    NetsRequest | PlacesRequest | WindowRequest | TilesRequest | OverlayRequest | SignaturesRequest | MatchRequest
)
LayerName = Annotated[str, Path(pattern=r"^[0-9]{1,5}_[0-9]{1,5}$", description="layer_datatype")]
Step = Annotated[int, Path(ge=0, le=1 << 20)]


@router.post("/files/{file_id}/nets", status_code=202, responses=_ANSWERS)
def trace_nets(file_id: uuid.UUID, question: NetsRequest, context: Analyses) -> Response:
    """Ask for all nets of a stored layout. Asking twice gives the same job."""
    return _ask(context, "nets", file_id, question)


@router.post("/files/{file_id}/places", status_code=202, responses=_ANSWERS)
def find_places(file_id: uuid.UUID, question: PlacesRequest, context: Analyses) -> Response:
    """Ask which nets and cells lie under places of a stored layout, over the error ellipse of each."""
    return _ask(context, "places", file_id, question)


@router.post("/files/{file_id}/windows", status_code=202, responses=_ANSWERS)
def read_window(file_id: uuid.UUID, question: WindowRequest, context: Analyses) -> Response:
    """Ask for the polygons in a window of a stored layout."""
    return _ask(context, "window", file_id, question)


@router.post("/files/{file_id}/tiles", status_code=202, responses=_ANSWERS)
def draw_tiles(file_id: uuid.UUID, question: TilesRequest, context: Analyses) -> Response:
    """Ask for tiles of a stored layout's layers; they are read with the result."""
    return _ask(context, "tiles", file_id, question)


@router.post("/files/{file_id}/overlays", status_code=202, responses=_ANSWERS)
def overlay_defects(file_id: uuid.UUID, question: OverlayRequest, context: Analyses) -> Response:
    """Ask what the defects of a stored inspection do to a stored layout."""
    return _ask(context, "overlay", file_id, question, question.inspection_file_id)


@router.post("/files/{file_id}/matches", status_code=202, responses=_ANSWERS)
def match_defects(file_id: uuid.UUID, question: MatchRequest, context: Analyses) -> Response:
    """Ask which defects of two stored inspections are the same."""
    return _ask(context, "match", file_id, question, question.inspection_file_id)


@router.post("/files/{file_id}/signatures", status_code=202, responses=_ANSWERS)
def find_signatures(file_id: uuid.UUID, question: SignaturesRequest, context: Analyses) -> Response:
    """Ask for clusters, rings, scratches and repeaters of a stored inspection, against chance."""
    return _ask(context, "signatures", file_id, question)


@router.get(
    "/results/{result_id}/tiles/{layer}/{level}/{x}/{y}",
    response_class=Response,
    responses={
        200: {"description": "the tile", **_PNG},
        204: {"description": "nothing is there"},
        304: {"description": "the version named in If-None-Match is current"},
        **describe_problems("not-found", "original-missing"),
    },
)
def read_tile(
    result_id: uuid.UUID, layer: LayerName, level: Step, x: Step, y: Step, request: Request, context: ReadsRecords
) -> Response:
    """Return a tile as PNG: the covered part of each pixel as grey."""
    with context.read() as unit:
        fetch_row(unit.connection, unit.caller, RESULTS, result_id)
        tile = find_tile(unit.connection, result_id, layer.replace("_", "/"), f"{level}/{x}/{y}")
    etag = quote_etag(f"{result_id}-{layer}-{level}-{x}-{y}")
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if tile is None:
        return Response(status_code=204, headers=headers)
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    data = context.state.blobs.read_range(tile.blob_key, tile.offset, tile.length)
    if len(data) != tile.length:
        raise BlobMissing(tile.blob_key)
    return Response(data, 200, headers, media_type="image/png")


def _ask(
    context: RequestContext, kind: str, file_id: uuid.UUID, question: Question, other: uuid.UUID | None = None
) -> Response:
    """Insert the job, unless it is there already, and answer with it."""
    with context.begin() as unit:
        file = fetch_row(unit.connection, unit.caller, FILES, file_id)
        unit.caller.require_in(Action.ANALYSE, file["program_id"])
        inputs = [str(file_id), file["sha256"]]
        if other is not None:
            second = fetch_row(unit.connection, unit.caller, FILES, other)
            if second["program_id"] != file["program_id"]:
                raise Problem("not-found", "the inspection is of another program")
            inputs += [str(other), second["sha256"]]
        asked = question.model_dump(mode="json")
        job = jobs.NewJob(
            job_key=make_key(kind, _VERSIONS.get(kind, LAYOUT_VERSION), inputs, asked),
            program_id=file["program_id"],
            kind=kind,
            queue=QUEUE,
            payload={"raw_file_id": str(file_id), "question": asked},
            requested_by=unit.caller.actor,
            priority=_PRIORITY_OF_PEOPLE,
            max_attempts=context.state.settings.job_max_attempts,
            request_id=context.request_id,
        )
        job_id, created = jobs.insert(unit.connection, job)
        if created:
            unit.audit(audit.AuditEntry(f"{kind}.requested", "job", job_id, file["program_id"]))
            unit.unit.after_commit(lambda: context.state.ring(job_id, QUEUE, _PRIORITY_OF_PEOPLE))
        document = read_row(unit.connection, unit.caller, JOBS, job_id).encode()
        where = {"Location": f"/api/v1/jobs/{job_id}"}
        return JsonAnswer(document, status_code=202 if created else 200, headers=where)
