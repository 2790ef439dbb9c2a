"""Asking for a table of unit evidence, assembled from what a program has stored as of a freeze."""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action, find_program
from db.repositories.unit_evidence import Chosen, find_newest
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis
from services.api.context import Analyses
from services.pipelines.job_keys import make_key
from services.pipelines.latent_risk.evidence_records import KINDS
from services.pipelines.latent_risk.evidence_requests import AssemblyRequest
from services.pipelines.versions import UNIT_EVIDENCE_VERSION
from services.problems import Problem

router = APIRouter(prefix="/evidence-assemblies", tags=["models"])


@router.post("", status_code=202, responses=JOB_ANSWERS)
def assemble_evidence(question: AssemblyRequest, context: Analyses) -> Response:
    """Ask for a table of unit evidence of a program's units, from its stored answers and tables of outcomes.

    Nothing that was known after `freeze_at` (by default: now) is used, nor on a unit what was known after it was judged
    or when its outcome was known. The answer's `table` is a stored table, which trainings and scores take; each row
    says which results its values come from, or why they are missing. Asking twice with the same freeze gives the same
    job, and the same table once.
    """
    now = datetime.now(UTC)
    freeze_at = question.freeze_at or now
    if freeze_at > now:
        raise Problem("invalid-request", "the freeze lies in the future: what will be known by then is not known yet")
    if question.survived_until is not None and question.survived_until > freeze_at:
        raise Problem("invalid-request", "that units had survived cannot be known after the freeze")
    with context.begin() as unit:
        program_id = find_program(unit.connection, unit.caller, Action.ANALYSE, question.program)
        asked = question.model_copy(update={"freeze_at": freeze_at}).model_dump(mode="json")
        # Where times are stated, answers count whenever they were made: a later one makes it another question.
        newest = find_newest(unit.connection, Chosen(program_id, KINDS)) if question.stated_times else None
        key = make_key("unit-evidence", UNIT_EVIDENCE_VERSION, [str(program_id), str(newest)], asked)
        request = AnalysisRequest("unit-evidence", key, program_id, {"question": asked}, "evidence-assembly")
        return ask_for_analysis(context, unit, request)
