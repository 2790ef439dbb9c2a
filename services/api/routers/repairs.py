"""Asking about stored repair logs and mask measurements: hand-offs, constants, outcomes and maps."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from db.repositories.catalogue import TABLES
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis, find_inputs
from services.api.context import Analyses, RequestContext
from services.pipelines.job_keys import make_key
from services.pipelines.repair.repair_requests import LearningRequest, MetrologyRequest, OutcomeRequest, PlanRequest
from services.pipelines.versions import HANDOFF_VERSION, LEARNING_VERSION, METROLOGY_VERSION, OUTCOME_VERSION

router = APIRouter(prefix="/tables", tags=["repairs"])


@dataclass(frozen=True)
class _Question:
    """What is asked of which tables; the first is the one in the path."""

    kind: str
    version: str
    body: BaseModel
    tables: Sequence[uuid.UUID]


@router.post("/{table_id}/handoffs", status_code=202, responses=JOB_ANSWERS)
def plan_handoff(table_id: uuid.UUID, question: PlanRequest, context: Analyses) -> Response:
    """Ask where the laser should stop and the ion beam go on, with constants learned from this log of runs.

    Asking twice gives the same job, and the same result once.
    """
    tables = [table_id, *question.other_table_ids]
    return _ask(context, _Question("handoff", f"{HANDOFF_VERSION}/{LEARNING_VERSION}", question, tables))


@router.post("/{table_id}/repair-learnings", status_code=202, responses=JOB_ANSWERS)
def learn_constants(table_id: uuid.UUID, question: LearningRequest, context: Analyses) -> Response:
    """Ask what a log of measured runs says about the constants of laser and ion beam."""
    tables = [table_id, *question.other_table_ids]
    return _ask(context, _Question("repair-learning", LEARNING_VERSION, question, tables))


@router.post("/{table_id}/repair-outcomes", status_code=202, responses=JOB_ANSWERS)
def judge_outcomes(table_id: uuid.UUID, question: OutcomeRequest, context: Analyses) -> Response:
    """Ask how the repairs of a log went, defect by defect, and how probably its tools and recipes succeed."""
    inspections = [each for each in (question.defect_table_id, question.after_table_id) if each is not None]
    tables = [table_id, *question.other_table_ids, *inspections]
    return _ask(context, _Question("repair-outcome", OUTCOME_VERSION, question, tables))


@router.post("/{table_id}/metrology-maps", status_code=202, responses=JOB_ANSWERS)
def map_metrology(table_id: uuid.UUID, question: MetrologyRequest, context: Analyses) -> Response:
    """Ask for maps of widths and registration errors, raw and corrected, and their trends over several tables."""
    tables = [table_id, *question.other_table_ids]
    return _ask(context, _Question("metrology", METROLOGY_VERSION, question, tables))


def _ask(context: RequestContext, question: _Question) -> Response:
    """Ask for the analysis of stored tables; the payload names the first, the question all others."""
    with context.begin() as unit:
        inputs = find_inputs(unit, TABLES, question.tables)
        asked = question.body.model_dump(mode="json", by_alias=True)
        key = make_key(question.kind, question.version, inputs.hashes, asked)
        payload = {"table_id": str(question.tables[0]), "question": asked}
        return ask_for_analysis(context, unit, AnalysisRequest(question.kind, key, inputs.program_id, payload))
