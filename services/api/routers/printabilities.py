"""Asking whether the defects of a mask print, on a stored layout."""

import uuid

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.catalogue import FILES
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis, find_inputs
from services.api.context import Analyses
from services.pipelines.job_keys import make_key
from services.pipelines.mask.printability_request import PrintabilityRequest
from services.pipelines.versions import PRINTABILITY_VERSION

router = APIRouter(prefix="/files", tags=["masks"])


@router.post("/{file_id}/printabilities", status_code=202, responses=JOB_ANSWERS)
def judge_printability(file_id: uuid.UUID, question: PrintabilityRequest, context: Analyses) -> Response:
    """Ask which defects of a mask print, and which repairs held. The file is a layout or a clip.

    Asking twice gives the same job, and the same result once.
    """
    with context.begin() as unit:
        inputs = find_inputs(unit, FILES, [file_id])
        asked = question.model_dump(mode="json", by_alias=True)
        key = make_key("printability", PRINTABILITY_VERSION, inputs.hashes, asked)
        payload = {"raw_file_id": str(file_id), "question": asked}
        return ask_for_analysis(context, unit, AnalysisRequest("printability", key, inputs.program_id, payload))
