"""Asking for places of one frame in another."""

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action, find_program
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis
from services.api.context import Analyses
from services.pipelines.job_keys import make_key
from services.pipelines.mask.conversion_request import ConversionRequest
from services.pipelines.versions import FRAMES_VERSION

router = APIRouter(prefix="/coordinate-conversions", tags=["layouts"])


@router.post("", status_code=202, responses=JOB_ANSWERS)
def convert_places(question: ConversionRequest, context: Analyses) -> Response:
    """Ask for places of one frame in another: mask, wafer, die, package, stage, image; covariances come with them.

    Asking twice gives the same job, and the same result once.
    """
    with context.begin() as unit:
        program_id = find_program(unit.connection, unit.caller, Action.ANALYSE, question.program)
        asked = question.model_dump(mode="json")
        key = make_key("convert", FRAMES_VERSION, [str(program_id)], asked)
        return ask_for_analysis(context, unit, AnalysisRequest("convert", key, program_id, {"question": asked}))
