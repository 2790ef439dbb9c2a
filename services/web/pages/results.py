"""Any stored result: what it says in a line, where it is shown, what it was made of and by what."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action, RowNotFound
from db.repositories.catalogue import FILES, FINDINGS, JOBS, RESULTS, read_row
from services.api.context import RequestUnit
from services.web.lists import load_rows
from services.web.page import AnyPage, PageRoute
from services.web.result_places import has_scores, own_page

router = APIRouter(prefix="/results", include_in_schema=False, route_class=PageRoute)

MOST_FINDINGS = 50
MOST_INPUTS = 50
"""Inputs and results that are named with a link; the provenance lists all."""


@router.get("/{result_id}")
def show_result(result_id: uuid.UUID, page: AnyPage) -> Response:
    """Return a result with its findings, the files and results that it rests on, and its provenance."""
    with page.read() as unit:
        row = orjson.loads(read_row(unit.connection, unit.caller, RESULTS, result_id))
        provenance = row["provenance"] or {}
        payload = _payload(unit, row)
        return page.show(
            unit,
            "result.html",
            row=row,
            own=own_page(row, payload),
            findings=load_rows(unit, FINDINGS, {"result": result_id}, MOST_FINDINGS, newest_first=False),
            inputs=_inputs(unit, row, provenance),
            named=sources_of(unit, [*provenance.get("results", ()), *provenance.get("evidence_results", ())]),
            scores=has_scores(row["body"]),
            most=MOST_FINDINGS,
        )


def _payload(unit: RequestUnit, row: Mapping[str, Any]) -> dict[str, Any]:
    try:
        job = orjson.loads(read_row(unit.connection, unit.caller, JOBS, uuid.UUID(row["job_id"])))
    except RowNotFound:
        return {}
    found: dict[str, Any] = job["payload"]
    return found


def _inputs(unit: RequestUnit, row: Mapping[str, Any], provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each input's hash with the file of the program that has it, where the viewer may see files."""
    hashes = [str(each) for each in provenance.get("inputs", ())][:MOST_INPUTS]
    program = uuid.UUID(row["program_id"])
    may = unit.caller.may(Action.READ_OPERATIONS, program)
    found = []
    for each in hashes:
        files = load_rows(unit, FILES, {"sha256": each, "program": program}, 1) if may and len(each) == 64 else []
        found.append({"sha256": each, "file": files[0] if files else None})
    return found


def sources_of(unit: RequestUnit, identities: Sequence[object]) -> dict[str, dict[str, Any] | None]:
    """Return the results that an answer names, by id; ``None`` for one that is not there, or not for the viewer."""
    found: dict[str, dict[str, Any] | None] = {}
    for each in list(dict.fromkeys(str(identity) for identity in identities))[:MOST_INPUTS]:
        try:
            found[each] = orjson.loads(read_row(unit.connection, unit.caller, RESULTS, uuid.UUID(each)))
        except (RowNotFound, ValueError):
            found[each] = None
    return found
