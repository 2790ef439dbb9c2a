"""Asking which of many dies stand out by their stored waveforms."""

import uuid
from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action, find_program
from db.repositories.probing import DieChoice, choose_sessions
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis
from services.api.context import Analyses, RequestUnit
from services.api.routers.sessions import find_session
from services.pipelines.job_keys import make_key
from services.pipelines.probing.population_request import MOST_DIES, PopulationRequest, StoredPopulationRequest
from services.pipelines.versions import POPULATION_VERSION
from services.problems import Problem

router = APIRouter(prefix="/population-outliers", tags=["probing sessions"])


@router.post("", status_code=202, responses=JOB_ANSWERS)
def find_outliers(wanted: StoredPopulationRequest, context: Analyses) -> Response:
    """Ask which dies stand out by their waveforms on the same nets, with a promised rate of false alarms.

    Asking twice gives the same job, and the same result once; a choice is made when it is asked for.
    """
    with context.begin() as unit:
        asked, known = _chosen(unit, wanted)
        sessions = [find_session(unit, each) for each in (*asked, *known)]
        program_id = sessions[0].program_id
        if any(each.program_id != program_id for each in sessions):
            raise Problem("not-found", "the sessions are of several programs")
        question = PopulationRequest.model_validate(
            wanted.model_dump(include=set(PopulationRequest.model_fields))
        ).model_dump(mode="json")
        hashed = [f"{each.id} {each.content_sha256}" for each in sessions]
        inputs = [*sorted(hashed[: len(asked)]), "reference", *sorted(hashed[len(asked) :])]
        key = make_key("population-outliers", POPULATION_VERSION, inputs, question)
        payload = {
            "session_ids": [str(each) for each in asked],
            "reference_session_ids": [str(each) for each in known],
            "question": question,
        }
        return ask_for_analysis(context, unit, AnalysisRequest("population-outliers", key, program_id, payload))


def _chosen(unit: RequestUnit, wanted: StoredPopulationRequest) -> tuple[Sequence[uuid.UUID], Sequence[uuid.UUID]]:
    """Return the sessions that are asked about, and those that are known to be good."""
    if wanted.choice is None:
        return wanted.session_ids, wanted.reference_session_ids
    choice = wanted.choice
    program_id = find_program(unit.connection, unit.caller, Action.ANALYSE, choice.program)
    dies = DieChoice(choice.product, choice.lot, choice.wafer, choice.net)
    rows = choose_sessions(unit.connection, program_id, dies, MOST_DIES + 1)
    known = list(wanted.reference_session_ids)
    if choice.golden_is_reference:
        known += [identity for identity, role in rows if role == "golden" and identity not in known]
    asked = [identity for identity, _ in rows if identity not in known]
    if not asked:
        raise Problem("not-found", "no session of the program is of such a die")
    if len(rows) > MOST_DIES:
        raise Problem("invalid-request", f"more than {MOST_DIES} sessions are of such dies: choose fewer")
    return asked, known
