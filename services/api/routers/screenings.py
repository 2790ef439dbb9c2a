"""Asking which parts of stored tests are outliers."""

import uuid

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.catalogue import FILES
from db.repositories.tables import find_tables_of_files
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis, find_inputs
from services.api.context import Analyses
from services.pipelines.job_keys import make_key
from services.pipelines.reliability.screening_requests import KINDS, StoredScreenRequest
from services.pipelines.versions import SCREENING_VERSION

router = APIRouter(prefix="/files", tags=["reliability"])


@router.post("/{file_id}/screenings", status_code=202, responses=JOB_ANSWERS)
def screen_parts(file_id: uuid.UUID, question: StoredScreenRequest, context: Analyses) -> Response:
    """Ask which parts that passed fall out, from a stored tester's log, wafer map or table of readouts.

    Asking twice gives the same job, and the same result once.
    """
    with context.begin() as unit:
        files = [file_id, *question.other_file_ids]
        inputs = find_inputs(unit, FILES, files)
        asked = question.model_dump(mode="json")
        # A file that was read again by a newer adapter has other tables: that is another question.
        tables = [each.row.sha256 for each in find_tables_of_files(unit.connection, files, KINDS)]
        key = make_key("screening", SCREENING_VERSION, [*inputs.hashes, *tables], asked)
        payload = {"raw_file_id": str(file_id), "question": asked}
        return ask_for_analysis(context, unit, AnalysisRequest("screening", key, inputs.program_id, payload))
