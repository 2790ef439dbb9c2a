"""Asking which runs of a process are unlike those before them, from stored journals of equipment."""

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.catalogue import FILES
from db.repositories.tables import find_tables_of_files
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis, find_inputs
from services.api.context import Analyses
from services.pipelines.job_keys import make_key
from services.pipelines.probing.trace_request import KINDS, StoredTraceRequest, TraceRequest
from services.pipelines.versions import PROCESS_TRACE_VERSION
from services.problems import Problem

router = APIRouter(prefix="/trace-checks", tags=["equipment"])


@router.post("", status_code=202, responses=JOB_ANSWERS)
def check_traces(wanted: StoredTraceRequest, context: Analyses) -> Response:
    """Ask which runs of a process are unlike the runs of the same step before them.

    Asking twice gives the same job, and the same result once.
    """
    if len(set(wanted.file_ids)) < len(wanted.file_ids):
        raise Problem("invalid-request", "a file is named twice")
    with context.begin() as unit:
        inputs = find_inputs(unit, FILES, wanted.file_ids)
        question = TraceRequest.model_validate(wanted.model_dump(include=set(TraceRequest.model_fields)))
        asked = question.model_dump(mode="json")
        # A file that was read again by a newer adapter has other tables: that is another question.
        tables = [each.row.sha256 for each in find_tables_of_files(unit.connection, wanted.file_ids, KINDS)]
        key = make_key("process-traces", PROCESS_TRACE_VERSION, [*inputs.hashes, *tables], asked)
        payload = {"file_ids": [str(each) for each in wanted.file_ids], "question": asked}
        return ask_for_analysis(context, unit, AnalysisRequest("process-traces", key, inputs.program_id, payload))
