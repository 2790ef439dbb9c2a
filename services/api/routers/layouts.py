"""Asking about stored layouts and inspections: nets, places, windows, tiles, defects and their signatures."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from db.repositories import layer_names
from db.repositories.catalogue import FILES, RESULTS, fetch_row
from db.repositories.tiles import find_tile
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis, find_inputs
from services.api.answers import JsonAnswer
from services.api.context import Analyses, ReadsRecords, RequestContext
from services.api.contract import describe_problems
from services.api.layer_names import LayerNamesAnswer, LayerNamesRequest, load_layer_names
from services.api.tile_answers import PICTURE_ANSWERS, answer_tile
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

router = APIRouter(tags=["layouts"])

_VERSIONS = {"signatures": SIGNATURE_VERSION, "match": SIGNATURE_VERSION}
Question = (
    NetsRequest | PlacesRequest | WindowRequest | TilesRequest | OverlayRequest | SignaturesRequest | MatchRequest
)
LayerName = Annotated[str, Path(pattern=r"^[0-9]{1,5}_[0-9]{1,5}$", description="layer_datatype")]
Step = Annotated[int, Path(ge=0, le=1 << 20)]


@router.post("/files/{file_id}/nets", status_code=202, responses=JOB_ANSWERS)
def trace_nets(file_id: uuid.UUID, question: NetsRequest, context: Analyses) -> Response:
    """Ask for all nets of a stored layout. Asking twice gives the same job."""
    return _ask(context, "nets", file_id, question)


@router.post("/files/{file_id}/places", status_code=202, responses=JOB_ANSWERS)
def find_places(file_id: uuid.UUID, question: PlacesRequest, context: Analyses) -> Response:
    """Ask which nets and cells lie under places of a stored layout, over the error ellipse of each."""
    return _ask(context, "places", file_id, question)


@router.post("/files/{file_id}/windows", status_code=202, responses=JOB_ANSWERS)
def read_window(file_id: uuid.UUID, question: WindowRequest, context: Analyses) -> Response:
    """Ask for the polygons in a window of a stored layout."""
    return _ask(context, "window", file_id, question)


@router.post("/files/{file_id}/tiles", status_code=202, responses=JOB_ANSWERS)
def draw_tiles(file_id: uuid.UUID, question: TilesRequest, context: Analyses) -> Response:
    """Ask for tiles of a stored layout's layers; they are read with the result."""
    return _ask(context, "tiles", file_id, question)


@router.post("/files/{file_id}/overlays", status_code=202, responses=JOB_ANSWERS)
def overlay_defects(file_id: uuid.UUID, question: OverlayRequest, context: Analyses) -> Response:
    """Ask what the defects of a stored inspection do to a stored layout."""
    return _ask(context, "overlay", file_id, question, question.inspection_file_id)


@router.post("/files/{file_id}/matches", status_code=202, responses=JOB_ANSWERS)
def match_defects(file_id: uuid.UUID, question: MatchRequest, context: Analyses) -> Response:
    """Ask which defects of two stored inspections are the same."""
    return _ask(context, "match", file_id, question, question.inspection_file_id)


@router.post("/files/{file_id}/signatures", status_code=202, responses=JOB_ANSWERS)
def find_signatures(file_id: uuid.UUID, question: SignaturesRequest, context: Analyses) -> Response:
    """Ask for clusters, rings, scratches and repeaters of a stored inspection, against chance."""
    return _ask(context, "signatures", file_id, question)


@router.get(
    "/files/{file_id}/layer-names", responses={200: {"model": LayerNamesAnswer}, **describe_problems("not-found")}
)
def read_layer_names(file_id: uuid.UUID, context: ReadsRecords) -> Response:
    """Return what the layers of a stored layout are called, by a person or by the file itself."""
    with context.read() as unit:
        names = load_layer_names(unit, context.state.blobs, file_id)
    return JsonAnswer(names.answer().model_dump())


@router.put(
    "/files/{file_id}/layer-names",
    responses={200: {"model": LayerNamesAnswer}, **describe_problems("not-found", "conflict", "invalid-request")},
)
def name_layers(file_id: uuid.UUID, body: LayerNamesRequest, context: Analyses) -> Response:
    """Say what the layers of a stored layout are called, in place of what was said before."""
    with context.begin() as unit:
        layer_names.give(unit.connection, unit.caller, file_id, body.names, body.source.strip(), body.revision)
        names = load_layer_names(unit, context.state.blobs, file_id)
    return JsonAnswer(names.answer().model_dump())


@router.get(
    "/results/{result_id}/tiles/{layer}/{level}/{x}/{y}",
    response_class=Response,
    responses=PICTURE_ANSWERS,
)
def read_tile(
    result_id: uuid.UUID, layer: LayerName, level: Step, x: Step, y: Step, request: Request, context: ReadsRecords
) -> Response:
    """Return a tile as PNG: the covered part of each pixel as grey."""
    with context.read() as unit:
        fetch_row(unit.connection, unit.caller, RESULTS, result_id)
        tile = find_tile(unit.connection, result_id, layer.replace("_", "/"), f"{level}/{x}/{y}")
    return answer_tile(request, context, tile, f"{result_id}-{layer}-{level}-{x}-{y}")


def _ask(
    context: RequestContext, kind: str, file_id: uuid.UUID, question: Question, other: uuid.UUID | None = None
) -> Response:
    """Ask for the analysis of a stored file, with another one of the same program where it needs two."""
    with context.begin() as unit:
        inputs = find_inputs(unit, FILES, [file_id] if other is None else [file_id, other])
        asked = question.model_dump(mode="json")
        key = make_key(kind, _VERSIONS.get(kind, LAYOUT_VERSION), inputs.hashes, asked)
        payload = {"raw_file_id": str(file_id), "question": asked}
        return ask_for_analysis(context, unit, AnalysisRequest(kind, key, inputs.program_id, payload))
