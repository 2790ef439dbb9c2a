"""Asking how stored readouts drift."""

import uuid

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.catalogue import TABLES
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis, find_inputs
from services.api.context import Analyses
from services.pipelines.job_keys import make_key
from services.pipelines.reliability.degradation_requests import StoredDegradationRequest
from services.pipelines.versions import DEGRADATION_VERSION

router = APIRouter(prefix="/tables", tags=["reliability"])


@router.post("/{table_id}/degradations", status_code=202, responses=JOB_ANSWERS)
def forecast_degradation(table_id: uuid.UUID, question: StoredDegradationRequest, context: Analyses) -> Response:
    """Ask how stored readouts drift and when units pass a threshold.

    Asking twice gives the same job, and one result.
    """
    with context.begin() as unit:
        inputs = find_inputs(unit, TABLES, [table_id, *question.other_table_ids])
        asked = question.model_dump(mode="json")
        key = make_key("degradation", DEGRADATION_VERSION, inputs.hashes, asked)
        payload = {"table_id": str(table_id), "question": asked}
        return ask_for_analysis(context, unit, AnalysisRequest("degradation", key, inputs.program_id, payload))
