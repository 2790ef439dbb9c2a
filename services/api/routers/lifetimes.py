"""Asking about stored tables of lifetimes."""

import uuid

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.catalogue import TABLES
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis, find_inputs
from services.api.context import Analyses
from services.pipelines.job_keys import make_key
from services.pipelines.reliability.life_requests import StoredLifeRequest
from services.pipelines.versions import LIFE_DATA_VERSION

router = APIRouter(prefix="/tables", tags=["reliability"])


@router.post("/{table_id}/life-fits", status_code=202, responses=JOB_ANSWERS)
def fit_lifetimes(table_id: uuid.UUID, question: StoredLifeRequest, context: Analyses) -> Response:
    """Ask how many units fail by when, from stored lifetimes. Asking twice gives the same job, and one result."""
    with context.begin() as unit:
        inputs = find_inputs(unit, TABLES, [table_id, *question.other_table_ids])
        asked = question.model_dump(mode="json")
        key = make_key("life-data", LIFE_DATA_VERSION, inputs.hashes, asked)
        payload = {"table_id": str(table_id), "question": asked}
        return ask_for_analysis(context, unit, AnalysisRequest("life-data", key, inputs.program_id, payload))
