"""Probing sessions, and asking for the failing gate of one."""

import uuid
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from db.repositories import bundles, uploads
from db.repositories.access import Action
from db.repositories.catalogue import SESSIONS, fetch_row
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis
from services.api.context import Analyses, ReadsRecords, RequestContext, RequestUnit
from services.api.documents import Name
from services.api.listing import SessionQuery, answer_list, answer_row, describe_page, describe_row
from services.api.record_documents import SessionDetail, SessionItem
from services.pipelines.job_keys import anomaly_key, averaging_key, localize_key, simulation_key
from services.pipelines.versions import ANOMALY_VERSION, AVERAGING_VERSION, LOCALIZATION_VERSION, SIMULATION_VERSION
from services.problems import Problem

router = APIRouter(prefix="/probing-sessions", tags=["probing sessions"])

MOST_GOLDEN = 20
MOST_AT_POWER = 20
MOST_NETS = 100
_ASKED = {"localize": "localization", "anomaly": "comparison"}
"""What the audit trail calls what is asked for."""


class NewLocalization(BaseModel):
    """Sessions of the same unit at another laser power, for the delays without the laser."""

    model_config = ConfigDict(extra="forbid")

    at_power_session_ids: list[uuid.UUID] = Field(default=[], max_length=MOST_AT_POWER)


class NewComparison(BaseModel):
    """Which golden sessions to compare with; a session with a scan chain needs none."""

    model_config = ConfigDict(extra="forbid")

    golden_session_ids: list[uuid.UUID] = Field(max_length=MOST_GOLDEN)


class NewAveraging(BaseModel):
    """How often a decision may be wrong."""

    model_config = ConfigDict(extra="forbid")

    wrong: float = Field(default=0.02, gt=0, lt=0.5)


class NewSimulation(BaseModel):
    """Which nets to simulate besides those that were probed and those under their spots."""

    model_config = ConfigDict(extra="forbid")

    nets: list[Name] = Field(default=[], max_length=MOST_NETS)


@router.get("", responses=describe_page(SessionItem))
def list_sessions(query: Annotated[SessionQuery, Query()], context: ReadsRecords) -> Response:
    """Return probing sessions."""
    return answer_list(context, SESSIONS, query)


@router.get("/{session_id}", responses=describe_row(SessionDetail))
def read_session(session_id: uuid.UUID, request: Request, context: ReadsRecords) -> Response:
    """Return a probing session with its `session.json`."""
    return answer_row(request, context, SESSIONS, session_id)


@router.post(
    "/{session_id}/localizations",
    status_code=202,
    responses=JOB_ANSWERS,
)
def localize_session(session_id: uuid.UUID, context: Analyses, wanted: NewLocalization | None = None) -> Response:
    """Ask for the failing gate. Asking twice gives the same job, and the same result once."""
    with context.begin() as unit:
        session = find_session(unit, session_id)
        others = [find_session(unit, each) for each in sorted(set(wanted.at_power_session_ids if wanted else ()))]
        if any(each.program_id != session.program_id for each in others):
            raise Problem("not-found", "a session at another laser power is of another program")
        if any(each.id == session_id for each in others):
            raise Problem("invalid-request", "a session is not put together with itself")
        parameters = {"at_power": [[str(each.id), each.content_sha256] for each in others]} if others else {}
        payload = {"at_power_session_ids": [str(each.id) for each in others]} if others else {}
        key = localize_key(session_id, session.content_sha256, LOCALIZATION_VERSION, parameters)
        return _ask(context, unit, _Question("localize", key, session.program_id, payload), session_id)


@router.post(
    "/{session_id}/comparisons",
    status_code=202,
    responses=JOB_ANSWERS,
)
def compare_session(session_id: uuid.UUID, wanted: NewComparison, context: Analyses) -> Response:
    """Ask for what differs from golden sessions of the same program. Asking twice gives the same job."""
    with context.begin() as unit:
        suspect = find_session(unit, session_id)
        if not wanted.golden_session_ids and not _has_scan_chain(unit, session_id):
            raise Problem("invalid-request", "a golden session is needed, unless the session has a scan chain")
        golden = [find_session(unit, each) for each in wanted.golden_session_ids]
        if any(each.program_id != suspect.program_id for each in golden):
            raise Problem("not-found", "a golden session is of another program")
        inputs = [(each.id, each.content_sha256) for each in (suspect, *golden)]
        key = anomaly_key(inputs[0], inputs[1:], ANOMALY_VERSION)
        payload = {"golden_session_ids": [str(each.id) for each in golden]}
        return _ask(context, unit, _Question("anomaly", key, suspect.program_id, payload), session_id)


@router.post(
    "/{session_id}/averagings",
    status_code=202,
    responses=JOB_ANSWERS,
)
def judge_averaging(session_id: uuid.UUID, wanted: NewAveraging, context: Analyses) -> Response:
    """Ask which probes need more averages. Asking twice with the same chance of being wrong gives the same job."""
    with context.begin() as unit:
        session = find_session(unit, session_id)
        payload = {"wrong": wanted.wrong}
        key = averaging_key(session_id, session.content_sha256, AVERAGING_VERSION, payload)
        return _ask(context, unit, _Question("averaging", key, session.program_id, payload), session_id)


@router.post(
    "/{session_id}/simulations",
    status_code=202,
    responses=JOB_ANSWERS,
)
def simulate_session(session_id: uuid.UUID, wanted: NewSimulation, context: Analyses) -> Response:
    """Ask what nets do in a good die and under the first suspects, to be drawn under what was measured."""
    with context.begin() as unit:
        session = find_session(unit, session_id)
        payload = {"nets": sorted(set(wanted.nets))}
        key = simulation_key(session_id, session.content_sha256, SIMULATION_VERSION, payload)
        return _ask(context, unit, _Question("simulation", key, session.program_id, payload), session_id)


@dataclass(frozen=True)
class AskedSession:
    """A session that the caller may have analysed."""

    id: uuid.UUID
    program_id: uuid.UUID
    content_sha256: str


@dataclass(frozen=True)
class _Question:
    """What is asked about a session."""

    kind: str
    job_key: str
    program_id: uuid.UUID
    payload: dict[str, Any]


def find_session(unit: RequestUnit, session_id: uuid.UUID) -> AskedSession:
    """Return the session with that id.

    Raises:
        RowNotFound: it does not exist, or not for the caller.
        AccessDenied: the caller may not ask for analyses in its program.
    """
    row = fetch_row(unit.connection, unit.caller, SESSIONS, session_id)
    unit.caller.require_in(Action.ANALYSE, row["program_id"])
    return AskedSession(session_id, row["program_id"], _content_of(unit, row["bundle_id"], row["raw_file_id"]))


def _has_scan_chain(unit: RequestUnit, session_id: uuid.UUID) -> bool:
    document = fetch_row(unit.connection, unit.caller, SESSIONS, session_id, ("document",))["document"]
    return isinstance(document.get("scan_chain"), dict)


def _ask(context: RequestContext, unit: RequestUnit, question: _Question, session_id: uuid.UUID) -> Response:
    """Ask for the analysis of a session."""
    payload = {"probing_session_id": str(session_id), **question.payload}
    request = AnalysisRequest(question.kind, question.job_key, question.program_id, payload, _ASKED.get(question.kind))
    return ask_for_analysis(context, unit, request)


def _content_of(unit: RequestUnit, bundle_id: uuid.UUID | None, raw_file_id: uuid.UUID | None) -> str:
    """Return the sha256 of what the session was read from."""
    if bundle_id is not None:
        return bundles.reread(unit.connection, bundle_id).content_sha256
    assert raw_file_id is not None
    return uploads.find_original(unit.connection, raw_file_id).sha256
