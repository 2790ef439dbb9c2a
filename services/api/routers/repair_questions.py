"""Asking about repairs without a log: which technique suits a defect, and where the laser should stop."""

import uuid

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action, find_program
from db.repositories.catalogue import RESULTS, fetch_row
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis
from services.api.context import Analyses, RequestContext
from services.pipelines.job_keys import make_key
from services.pipelines.repair.advice_request import AdviceRequest
from services.pipelines.repair.repair_requests import HandoffQuestion
from services.pipelines.versions import ADVICE_VERSION, HANDOFF_VERSION
from services.problems import Problem

router = APIRouter(tags=["repairs"])


@router.post("/repair-advices", status_code=202, responses=JOB_ANSWERS)
def advise_repair(question: AdviceRequest, context: Analyses) -> Response:
    """Ask whether laser, ion beam or electron beam suits a defect, with the reasons, or that nothing supports any.

    Asking twice gives the same job, and the same result once.
    """
    return _ask(context, ("repair-advice", ADVICE_VERSION), question, question.outcome_result_id)


@router.post("/repair-handoffs", status_code=202, responses=JOB_ANSWERS)
def plan_handoff(question: HandoffQuestion, context: Analyses) -> Response:
    """Ask where the laser should stop and the ion beam go on, with the constants of the question and of the table.

    Nothing is learned here: constants that were learned are those of the result that the question names.
    """
    return _ask(context, ("handoff", HANDOFF_VERSION), question, question.learning_result_id)


def _ask(
    context: RequestContext,
    what: tuple[str, str],
    question: AdviceRequest | HandoffQuestion,
    result_id: uuid.UUID | None,
) -> Response:
    """Ask for an analysis of what the question says, and of a result of the same program."""
    with context.begin() as unit:
        program_id = find_program(unit.connection, unit.caller, Action.ANALYSE, question.program)
        if result_id is not None:
            row = fetch_row(unit.connection, unit.caller, RESULTS, result_id)
            if row["program_id"] != program_id:
                raise Problem("not-found", "the result is of another program")
        asked = question.model_dump(mode="json", by_alias=True)
        key = make_key(*what, [str(program_id)], asked)
        return ask_for_analysis(context, unit, AnalysisRequest(what[0], key, program_id, {"question": asked}))
