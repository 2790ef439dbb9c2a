"""Cases: what is open, and one case from its unit to its sign-off, as a page that prints."""

import uuid
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories import attention, cases, console_access
from db.repositories.access import Action
from db.repositories.cases import CASES, CaseDetail
from db.repositories.catalogue import FILES, FINDINGS, RESULTS, SESSIONS, UNITS, fetch_row, read_row
from db.schema.cases import MECHANISMS, ROOT_CAUSES, STEP_KINDS
from services.api.case_documents import (
    CaseChange,
    CaseQuery,
    CaseRequest,
    DecisionRequest,
    EvidenceRequest,
    SampleRequest,
    StepEnd,
    StepRequest,
)
from services.api.context import RequestUnit
from services.api.routers import cases as api
from services.problems import Problem
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.origins import origins_of
from services.web.page import AnyPage, Page, PageRoute, redirect

router = APIRouter(include_in_schema=False, route_class=PageRoute)

LIST = ListSource(CASES, CaseQuery, "cases")
MOST_OFFERED = 50
_OF_SESSION = ("name", "role", "simulated", "raw_file_id", "bundle_id")


@router.get("/cases")
def list_cases(page: AnyPage) -> Response:
    """Return the cases, and the form that opens one."""
    if wants_export(page):
        return answer_export(page, LIST, "cases")
    with page.read() as unit:
        allowed = unit.caller.programs(Action.ANALYSE)
        return page.show(
            unit,
            "cases.html",
            shown=load_list(page, unit, LIST),
            allowed={str(each) for each in allowed or ()},
            mechanisms=MECHANISMS,
        )


@router.post("/cases")
def open_case(page: AnyPage) -> Response:
    """Open a case; from a session, with the session as its first evidence and its unit as the case's."""
    session_id = page.identity("session")
    with page.begin() as unit:
        unit_id, program = None, page.form.get("program", "")
        if session_id:
            session = fetch_row(unit.connection, unit.caller, SESSIONS, session_id)
            unit_id, program = session["unit_id"], str(session["program_id"])
        request = CaseRequest(
            program=program, title=page.field("title", 200), description=page.form.get("description", "").strip()
        )
        identity = cases.open_case(
            unit.connection, unit.caller, request.program, request.title, request.description, unit_id
        )
        if session_id:
            subject = ("probing_session_id", session_id)
            cases.add_evidence(unit.connection, unit.caller, identity, subject, "")
    return redirect(f"/cases/{identity}")


@router.get("/cases/{case_id}")
def show_case(case_id: uuid.UUID, page: AnyPage) -> Response:
    """Return the case."""
    with page.read() as unit:
        detail = cases.read(unit.connection, unit.caller, case_id)
        program_id = detail.row["program_id"]
        evidence = [_evidence(unit, row) for row in detail.evidence]
        may_change = unit.caller.may(Action.ANALYSE, program_id) and detail.row["state"] == "open"
        return page.show(
            unit,
            "case.html",
            case=detail.row,
            detail=detail,
            die=_unit(unit, detail.row["unit_id"]),
            evidence=evidence,
            found=origins_of(unit, [row["session"] or row for row in evidence]),
            people=_people(detail),
            members=console_access.members_of(unit.connection, program_id),
            instruments=attention.names_of_instruments(unit.connection, unit.caller),
            samples={row["id"]: row["name"] for row in detail.samples},
            may_change=may_change,
            offered=_offered(unit, detail) if may_change else {},
            vocabulary={"steps": STEP_KINDS, "mechanisms": MECHANISMS, "root_causes": ROOT_CAUSES},
            now=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M"),
        )


def _unit(unit: RequestUnit, unit_id: uuid.UUID | None) -> dict[str, Any] | None:
    if unit_id is None:
        return None
    found: dict[str, Any] = orjson.loads(read_row(unit.connection, unit.caller, UNITS, unit_id))
    return found


def _evidence(unit: RequestUnit, row: dict[str, Any]) -> dict[str, Any]:
    """Return a piece of evidence with what there is to show of it: a session's verdict and first suspects."""
    if row["raw_file_id"] is not None:
        names = ("filename", "size_bytes", "state", "sha256")
        visible = unit.caller.may(Action.READ_OPERATIONS, row["program_id"])
        file = fetch_row(unit.connection, unit.caller, FILES, row["raw_file_id"], names) if visible else None
        return row | {"file": file, "session": None}
    session_id = row["probing_session_id"]
    session = fetch_row(unit.connection, unit.caller, SESSIONS, session_id, _OF_SESSION)
    found = load_rows(unit, RESULTS, {"probing_session": session_id, "kind": "localize"}, 1)
    suspects = []
    if found:
        filters = {"result": uuid.UUID(found[0]["id"]), "kind": "suspect"}
        suspects = load_rows(unit, FINDINGS, filters, 3, newest_first=False)
    result = found[0] if found else None
    return row | {"file": None, "session": session, "result": result, "suspects": suspects}


def _people(detail: CaseDetail) -> list[str]:
    """Return everybody who had a hand in the case."""
    actors = [detail.row["opened_by"], *(row["recorded_by"] for row in (*detail.steps, *detail.samples))]
    actors += [row["person"] for row in (*detail.steps, *detail.decisions)]
    return sorted({actor.removeprefix("account:") for actor in actors if actor})


def _offered(unit: RequestUnit, detail: CaseDetail) -> dict[str, list[dict[str, Any]]]:
    """Return the newest sessions and files of the program that are not attached yet."""
    attached = {str(row["probing_session_id"] or row["raw_file_id"]) for row in detail.evidence}
    filters = {"program": detail.row["program_id"]}
    offered = {
        "sessions": load_rows(unit, SESSIONS, filters, MOST_OFFERED),
        "files": load_rows(unit, FILES, filters, MOST_OFFERED),
    }
    return {kind: [row for row in rows if row["id"] not in attached] for kind, rows in offered.items()}


def _parse_time(page: Page, name: str) -> datetime | None:
    text = page.form.get(name, "").strip()
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError as error:
        raise Problem("invalid-request", f"the field {name!r} holds no time") from error


def _filled(page: Page, *names: str) -> dict[str, str]:
    return {name: value for name in names if (value := page.form.get(name, "").strip())}


@router.post("/cases/{case_id}/change")
def change_case(case_id: uuid.UUID, page: AnyPage) -> Response:
    """Change the case's title, description and assignment."""
    values: dict[str, Any] = {
        "title": page.field("title", 200),
        "description": page.form.get("description", "").strip(),
    }
    values["assigned_to_id"] = page.form.get("assigned_to_id") or None
    api.change_case(case_id, CaseChange.model_validate(values), page.context)
    return redirect(f"/cases/{case_id}")


@router.post("/cases/{case_id}/conclusion")
def conclude_case(case_id: uuid.UUID, page: AnyPage) -> Response:
    """Set mechanism, root cause and words."""
    values = {name: page.form.get(name, "").strip() or None for name in ("mechanism", "root_cause", "conclusion")}
    api.change_case(case_id, CaseChange.model_validate(values), page.context)
    return redirect(f"/cases/{case_id}#conclusion")


@router.post("/cases/{case_id}/steps")
def add_step(case_id: uuid.UUID, page: AnyPage) -> Response:
    """Record a step."""
    values: dict[str, Any] = _filled(page, "kind", "person", "note", "tool", "instrument_id", "sample_id")
    values |= {"began_at": _parse_time(page, "began_at"), "ended_at": _parse_time(page, "ended_at")}
    api.add_step(case_id, StepRequest.model_validate(values), page.context)
    return redirect(f"/cases/{case_id}#steps")


@router.post("/cases/{case_id}/steps/{step_id}/end")
def end_step(case_id: uuid.UUID, step_id: uuid.UUID, page: AnyPage) -> Response:
    """End a step now."""
    api.end_step(step_id, StepEnd(ended_at=datetime.now(UTC)), page.context)
    return redirect(f"/cases/{case_id}#steps")


@router.post("/cases/{case_id}/samples")
def add_sample(case_id: uuid.UUID, page: AnyPage) -> Response:
    """Record a sample."""
    api.add_sample(case_id, SampleRequest.model_validate(_filled(page, "name", "description", "place")), page.context)
    return redirect(f"/cases/{case_id}#samples")


@router.post("/cases/{case_id}/evidence")
def add_evidence(case_id: uuid.UUID, page: AnyPage) -> Response:
    """Attach a session or a file."""
    values = _filled(page, "probing_session_id", "raw_file_id", "note")
    api.add_evidence(case_id, EvidenceRequest.model_validate(values), page.context)
    return redirect(f"/cases/{case_id}#evidence")


@router.post("/cases/{case_id}/evidence/{evidence_id}/remove")
def remove_evidence(case_id: uuid.UUID, evidence_id: uuid.UUID, page: AnyPage) -> Response:
    """Detach a session or a file."""
    api.remove_evidence(evidence_id, page.context)
    return redirect(f"/cases/{case_id}#evidence")


@router.post("/cases/{case_id}/sign-off")
def sign_off_case(case_id: uuid.UUID, page: AnyPage) -> Response:
    """Sign the case off."""
    api.sign_off_case(case_id, DecisionRequest(note=page.form.get("note", "").strip()), page.context)
    return redirect(f"/cases/{case_id}")


@router.post("/cases/{case_id}/reopen")
def reopen_case(case_id: uuid.UUID, page: AnyPage) -> Response:
    """Reopen the case."""
    api.reopen_case(case_id, DecisionRequest(note=page.field("note")), page.context)
    return redirect(f"/cases/{case_id}")
