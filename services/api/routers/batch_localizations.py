"""Asking what many dies of one product are suspected of by their fail logs, and which nets recur."""

import uuid
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from db.repositories.catalogue import FAIL_LOGS
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, Inputs, ask_for_analysis, find_inputs
from services.api.context import Analyses
from services.api.routers.sessions import find_session
from services.pipelines.job_keys import make_key
from services.pipelines.versions import BATCH_LOCALIZATION_VERSION
from services.problems import Problem

router = APIRouter(prefix="/batch-localizations", tags=["probing sessions"])

MOST_DIES = 2000
DEVICES = {"cpu": "cpu", "gpu": "cuda"}
"""The device of each queue."""


class NewBatchLocalization(BaseModel):
    """Dies of one product: sessions, the first of which has netlist, patterns and placement, and further fail logs."""

    model_config = ConfigDict(extra="forbid")

    session_ids: list[uuid.UUID] = Field(min_length=1, max_length=MOST_DIES)
    fail_log_ids: list[uuid.UUID] = Field(default=[], max_length=MOST_DIES)
    false_discovery_rate: float = Field(default=0.05, gt=0, lt=1, description="Of the nets called recurring.")
    queue: Literal["cpu", "gpu"] = Field(default="cpu", description="Which workers compute: the answer is the same.")


@router.post("", status_code=202, responses=JOB_ANSWERS)
def localize_batch(wanted: NewBatchLocalization, context: Analyses) -> Response:
    """Ask for the suspects of every die by its fail log alone, and for the nets that recur more than by chance.

    Asking twice gives the same job, and the same result once.
    """
    named = [*wanted.session_ids, *wanted.fail_log_ids]
    if len(set(named)) < len(named):
        raise Problem("invalid-request", "a die is named twice")
    with context.begin() as unit:
        sessions = [find_session(unit, each) for each in wanted.session_ids]
        program_id = sessions[0].program_id
        logs = find_inputs(unit, FAIL_LOGS, wanted.fail_log_ids) if wanted.fail_log_ids else Inputs(program_id, ())
        if {program_id} != {logs.program_id, *(each.program_id for each in sessions)}:
            raise Problem("not-found", "the dies are of several programs")
        asked = {"false_discovery_rate": wanted.false_discovery_rate, "device": DEVICES[wanted.queue]}
        inputs = [*(part for each in sessions for part in (str(each.id), each.content_sha256)), *logs.hashes]
        key = make_key("localize-batch", BATCH_LOCALIZATION_VERSION, inputs, asked)
        dies = {
            "probing_session_ids": [str(each) for each in wanted.session_ids],
            "fail_log_ids": [str(each) for each in wanted.fail_log_ids],
        }
        request = AnalysisRequest("localize-batch", key, program_id, dies | asked, "batch-localization", wanted.queue)
        return ask_for_analysis(context, unit, request)
