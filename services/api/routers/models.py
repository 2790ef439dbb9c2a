"""Learned models: what there is, which version counts, and asking for new versions, answers and watches."""

import uuid
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy import Row
from starlette.responses import Response

from db.blobs import BlobMissing
from db.repositories import models
from db.repositories.access import Action
from db.repositories.catalogue import TABLES, fetch_row, read_row
from db.repositories.model_catalogue import MODEL_DECISIONS, MODEL_VERSIONS, MODEL_WATCHES, MODELS
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, Inputs, ask_for_analysis, find_inputs
from services.api.answers import IMMUTABLE, VARY, JsonAnswer, matches_etag, quote_etag
from services.api.context import Analyses, ReadsRecords, RequestContext, RequestUnit, acting
from services.api.contract import describe_problems
from services.api.listing import answer_list, answer_row, describe_page, describe_row
from services.api.model_documents import (
    ModelDecisionItem,
    ModelDecisionQuery,
    ModelItem,
    ModelQuery,
    ModelVersionDetail,
    ModelVersionItem,
    ModelVersionQuery,
    ModelWatchItem,
    ModelWatchQuery,
    PromotionRequest,
    RetirementRequest,
    RollbackRequest,
)
from services.pipelines.job_keys import make_key
from services.pipelines.latent_risk.risk_requests import DriftRequest, StoredScoringRequest, StoredTrainingRequest
from services.pipelines.versions import LATENT_RISK_VERSION
from services.problems import Problem

router = APIRouter(tags=["models"])

Promotes = Annotated[RequestContext, acting(Action.PROMOTE)]
_DECISION = {200: {"model": ModelDecisionItem}, **describe_problems("not-found", "conflict")}
_WEIGHTS = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


@router.get("/models", responses=describe_page(ModelItem))
def list_models(query: Annotated[ModelQuery, Query()], context: ReadsRecords) -> Response:
    """Return learned models."""
    return answer_list(context, MODELS, query)


@router.get("/models/{model_id}", responses=describe_row(ModelItem))
def read_model(model_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a learned model."""
    return answer_row(request, context, MODELS, model_id)


@router.get("/model-versions", responses=describe_page(ModelVersionItem))
def list_versions(query: Annotated[ModelVersionQuery, Query()], context: ReadsRecords) -> Response:
    """Return versions with their metrics and calibration on later units."""
    return answer_list(context, MODEL_VERSIONS, query)


@router.get("/model-versions/{version_id}", responses=describe_row(ModelVersionDetail))
def read_version(version_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a version with its card: data, heads, fusions, evaluation beside plain models, conventions, remarks."""
    return answer_row(request, context, MODEL_VERSIONS, version_id)


@router.get(
    "/model-versions/{version_id}/weights",
    response_class=Response,
    responses={200: _WEIGHTS, 304: {"description": "the client has them"}, **describe_problems("not-found")},
)
def read_weights(version_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return the version's file (safetensors, its card in the header), as ``faultlight reliability risk`` reads it."""
    names = ("blob_key", "byte_length", "sha256")
    with context.read() as unit:
        row = fetch_row(unit.connection, unit.caller, MODEL_VERSIONS, version_id, names)
    etag = quote_etag(row["sha256"])
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    data = context.state.blobs.read_range(row["blob_key"], 0, row["byte_length"])
    if len(data) != row["byte_length"]:
        raise BlobMissing(row["blob_key"])
    return Response(data, media_type="application/octet-stream", headers=headers)


@router.get("/model-decisions", responses=describe_page(ModelDecisionItem))
def list_decisions(query: Annotated[ModelDecisionQuery, Query()], context: ReadsRecords) -> Response:
    """Return who let which version count, or no longer, and why."""
    return answer_list(context, MODEL_DECISIONS, query)


@router.get("/model-watches", responses=describe_page(ModelWatchItem))
def list_watches(query: Annotated[ModelWatchQuery, Query()], context: ReadsRecords) -> Response:
    """Return what newer units have said of versions."""
    return answer_list(context, MODEL_WATCHES, query)


@router.post("/model-versions/{version_id}/promotions", responses=_DECISION)
def promote_version(version_id: uuid.UUID, body: PromotionRequest, context: Promotes) -> Response:
    """Let a version count from now on; the one before retires.

    A version that does not beat its plain baselines on later units, or was learned from simulated data, is refused
    unless ``override`` is set and a ``reason`` given, which stay on record.
    """
    with context.begin() as unit:
        _require(unit, version_id)
        decision = models.Decision(body.reason.strip(), body.override)
        return _told(unit, models.promote(unit.connection, unit.caller, version_id, decision))


@router.post("/models/{model_id}/rollbacks", responses=_DECISION)
def roll_back_model(model_id: uuid.UUID, body: RollbackRequest, context: Promotes) -> Response:
    """Let the version count again that the one that counts had replaced."""
    with context.begin() as unit:
        row = fetch_row(unit.connection, unit.caller, MODELS, model_id, ("program_id",))
        unit.caller.require_in(Action.PROMOTE, row["program_id"])
        return _told(unit, models.roll_back(unit.connection, unit.caller, model_id, body.reason.strip()))


@router.post("/model-versions/{version_id}/retirements", responses=_DECISION)
def retire_version(version_id: uuid.UUID, body: RetirementRequest, context: Promotes) -> Response:
    """Let a version count no longer, or never."""
    with context.begin() as unit:
        _require(unit, version_id)
        return _told(unit, models.retire(unit.connection, unit.caller, version_id, body.reason.strip()))


def _require(unit: RequestUnit, version_id: uuid.UUID) -> None:
    row = fetch_row(unit.connection, unit.caller, MODEL_VERSIONS, version_id, ("program_id",))
    unit.caller.require_in(Action.PROMOTE, row["program_id"])


def _told(unit: RequestUnit, decision_id: uuid.UUID) -> Response:
    return JsonAnswer(read_row(unit.connection, unit.caller, MODEL_DECISIONS, decision_id).encode())


@router.post("/tables/{table_id}/latent-risk-trainings", status_code=202, responses=JOB_ANSWERS)
def learn_version(table_id: uuid.UUID, question: StoredTrainingRequest, context: Analyses) -> Response:
    """Ask for a new version of a model of latent risk, learned from stored unit evidence. It will be a candidate."""
    with context.begin() as unit:
        inputs = find_inputs(unit, TABLES, [table_id, *question.other_table_ids])
        asked = question.model_dump(mode="json")
        key = make_key("latent-risk-training", LATENT_RISK_VERSION, inputs.hashes, asked)
        payload = {"table_id": str(table_id), "question": asked}
        return ask_for_analysis(context, unit, AnalysisRequest("latent-risk-training", key, inputs.program_id, payload))


@router.post("/tables/{table_id}/latent-risk-scores", status_code=202, responses=JOB_ANSWERS)
def score_table(table_id: uuid.UUID, question: StoredScoringRequest, context: Analyses) -> Response:
    """Ask how probably each unit of stored evidence fails in the field, by a version or the one that counts now."""
    return _ask_version(context, "latent-risk-scoring", table_id, question)


@router.post("/tables/{table_id}/latent-risk-drifts", status_code=202, responses=JOB_ANSWERS)
def watch_table(table_id: uuid.UUID, question: DriftRequest, context: Analyses) -> Response:
    """Ask whether units of stored evidence still look like those of a version, and whether its answers came true."""
    return _ask_version(context, "latent-risk-drift", table_id, question)


def _ask_version(
    context: RequestContext, kind: str, table_id: uuid.UUID, question: StoredScoringRequest | DriftRequest
) -> Response:
    with context.begin() as unit:
        inputs = find_inputs(unit, TABLES, [table_id, *question.other_table_ids])
        version = _find_version(unit, inputs, question.model, question.version)
        # The version is settled now: another one that is promoted before the job runs answers another question.
        asked = question.model_dump(mode="json") | {"version": version.number}
        hashes: Sequence[str] = [*inputs.hashes, str(version.id), version.sha256]
        key = make_key(kind, LATENT_RISK_VERSION, hashes, asked)
        payload = {"table_id": str(table_id), "version_id": str(version.id), "question": asked}
        return ask_for_analysis(context, unit, AnalysisRequest(kind, key, inputs.program_id, payload))


def _find_version(unit: RequestUnit, inputs: Inputs, name: str, number: int | None) -> Row[tuple[object, ...]]:
    found = models.find_version(unit.connection, inputs.program_id, name, number)
    if found is None or found.kind != "latent-risk":
        told = "no promoted version" if number is None else f"no version {number}"
        raise Problem("not-found", f"the program has {told} of a model of latent risk {name!r}")
    return found
