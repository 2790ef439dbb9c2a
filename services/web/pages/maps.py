"""Wafers, die by die: bins, verdicts, readings, parts that fall out, signatures; and asking for a screening."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action
from db.repositories.catalogue import FILES, JOBS, RESULTS, TABLES, fetch_row
from services.api.context import RequestUnit
from services.api.die_maps import DieMaps, MapRequest, describe_wafer, find_wafer, load_maps, summarize_wafers
from services.api.routers import screenings as api
from services.api.routers.tables import TableQuery
from services.pipelines.reliability.screening_requests import StoredScreenRequest
from services.presentation.screening_reasons import describe_reason
from services.problems import Problem
from services.web.die_map import SHOWS, Show, draw_wafer
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.origins import origins_of
from services.web.page import AnyPage, Page, PageRoute
from services.web.pages.reliability import go_to_job, read_answer

router = APIRouter(prefix="/maps", include_in_schema=False, route_class=PageRoute)

KINDS = {"test_part": "Testers' logs", "wafer_map": "Wafer maps"}
LIST = ListSource(TABLES, TableQuery, "tables")
MOST_JOBS = 20


@dataclass(frozen=True)
class ShownScreening:
    """A screening on a wafer: parts that fall out with their reasons, by place, and its signatures' dies."""

    identity: str
    reasons: dict[tuple[int, int], str]
    signature: set[tuple[int, int]]
    kinds: list[str]
    structured: bool | None


@router.get("")
def list_maps(page: AnyPage) -> Response:
    """Return the files with dies, of one kind."""
    kind = page.query.get("kind", "test_part")
    if kind not in KINDS:
        raise Problem("invalid-request", f"tables of the kind {kind[:40]!r} have no dies")
    page.query.setdefault("kind", kind)
    if wants_export(page):
        return answer_export(page, LIST, "maps")
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        return page.show(
            unit,
            "maps.html",
            shown=shown,
            kind=kind,
            kinds=KINDS,
            names=_file_names(unit, shown.rows),
            found=origins_of(unit, shown.rows),
        )


def _file_names(unit: RequestUnit, rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return the names of the rows' files, for those who may see files."""
    found = {}
    for row in rows:
        if unit.caller.may(Action.READ_OPERATIONS, uuid.UUID(row["program_id"])):
            file = fetch_row(unit.connection, unit.caller, FILES, uuid.UUID(row["raw_file_id"]), ("filename",))
            found[row["raw_file_id"]] = file["filename"]
    return found


@router.get("/{map_file_id}")
def show_map(map_file_id: uuid.UUID, page: AnyPage) -> Response:
    """Return a wafer drawn, shaded by what the address asks for, with a screening laid over it."""
    asked = MapRequest(page.query.get("lot"), page.query.get("wafer"), page.query.get("test"))
    show: Show = page.query.get("show", "value" if asked.test else "verdict")  # type: ignore[assignment]
    if show not in get_args(Show):
        raise Problem("invalid-request", f"dies cannot be shaded by {show[:40]!r}")
    with page.read() as unit:
        maps = load_maps(unit, page.context.state.blobs, map_file_id, _test_of(show, asked))
        if show == "value" and maps.chosen is None and maps.tests:
            maps = load_maps(unit, page.context.state.blobs, map_file_id, maps.tests[0][0])
        key = find_wafer(maps, asked)
        dies = describe_wafer(maps, key)
        answers = _screenings(unit, map_file_id)
        screening = _screening(unit, page, answers, dies)
        program = _program_of(unit, map_file_id)
        return page.show(
            unit,
            "die_map.html",
            file_id=str(map_file_id),
            program_id=program,
            dies=dies,
            show=show,
            shows={name: words for name, words in SHOWS.items() if name != "value" or maps.tests},
            test=maps.chosen.label if maps.chosen else None,
            unit_of=maps.chosen.unit if maps.chosen else "",
            tests=maps.tests,
            wafers=summarize_wafers(maps),
            wafer_urls=_wafer_urls(page, maps),
            is_simulated=maps.parts.simulated,
            drawing=draw_wafer(
                dies, show, screening.reasons if screening else (), screening.signature if screening else ()
            ),
            readings=_readings(dies),
            screening=screening,
            answers=answers,
            outliers=_outliers(dies, screening),
            api_url=_api_url(map_file_id, key, maps),
            found=origins_of(unit, [{"raw_file_id": map_file_id}]),
        )


def _test_of(show: Show, asked: MapRequest) -> str | None:
    return asked.test if show == "value" else None


def _program_of(unit: RequestUnit, file_id: uuid.UUID) -> str:
    found = load_rows(unit, TABLES, {"raw_file": file_id}, 1)
    return str(found[0]["program_id"])


def _wafer_urls(page: Page, maps: DieMaps) -> dict[tuple[str, str], str]:
    path, kept = page.request.url.path, dict(page.query)
    return {key: f"{path}?{urlencode(kept | {'lot': key[0], 'wafer': key[1]})}" for key in maps.wafers}


def _api_url(file_id: uuid.UUID, key: tuple[str, str], maps: DieMaps) -> str:
    asked = {"lot": key[0], "wafer": key[1]} | ({"test": maps.chosen.label} if maps.chosen else {})
    return f"/api/v1/files/{file_id}/die-map?{urlencode(asked)}"


def _readings(dies: Mapping[str, Any]) -> dict[str, float] | None:
    known = sorted(value for value in dies["value"] or () if value is not None)
    if not known:
        return None
    return {"read": len(known), "lowest": known[0], "median": median(known), "highest": known[-1]}


def _screenings(unit: RequestUnit, file_id: uuid.UUID) -> list[dict[str, Any]]:
    """Return the answers of the screenings that were asked of this file, the newest first."""
    jobs = load_rows(unit, JOBS, {"raw_file": file_id, "kind": "screening"}, MOST_JOBS)
    return [answer for job in jobs for answer in load_rows(unit, RESULTS, {"job": uuid.UUID(job["id"])}, 1)]


def _screening(
    unit: RequestUnit, page: Page, answers: list[dict[str, Any]], dies: Mapping[str, Any]
) -> ShownScreening | None:
    """Return the screening that ``result`` names, by default the newest; ``none`` shows the dies alone."""
    wanted = page.query.get("result") or (answers[0]["id"] if answers else "none")
    if wanted == "none":
        return None
    try:
        identity = uuid.UUID(wanted)
    except ValueError as error:
        raise Problem("invalid-request", f"{wanted[:40]!r} is not the id of a result") from error
    body = read_answer(unit, identity, "screening")["body"]
    mine = dies["lot"], dies["wafer"]
    reasons = {
        (each["x"], each["y"]): "; ".join(map(describe_reason, each["reasons"]))
        for each in body["outliers"]
        if (each["lot"], each["wafer"]) == mine and each["x"] is not None
    }
    rows = [each for each in body["groups"] if each["screen"] == "signatures" and (each["lot"], each["wafer"]) == mine]
    found = [each for row in rows for each in row.get("signatures", ())]
    members = {part for each in found for part in each["parts"]}
    places = zip(dies["part"], dies["x"], dies["y"], strict=True)
    signature = {(x, y) for part, x, y in places if part in members}
    structured = rows[0].get("structured") if rows else None
    kinds = [f"{each['kind']} of {len(each['parts'])}, p {each['p_value']:.2g}" for each in found]
    return ShownScreening(str(identity), reasons, signature, kinds, structured)


def _outliers(dies: Mapping[str, Any], screening: ShownScreening | None) -> list[dict[str, Any]]:
    if screening is None:
        return []
    places = zip(dies["x"], dies["y"], dies["part"], dies["hard_bin"], strict=True)
    return [
        {"x": x, "y": y, "part": part, "bin": bin_code, "why": screening.reasons[x, y]}
        for x, y, part, bin_code in places
        if (x, y) in screening.reasons
    ]


@router.post("/{map_file_id}/screenings")
def ask_for_screening(map_file_id: uuid.UUID, page: AnyPage) -> Response:
    """Ask which parts fall out, as the API does, and go to the job."""
    asked: dict[str, Any] = {
        "group": page.form.get("group", "wafer"),
        "quartiles": page.form.get("quartiles", "linear"),
    }
    answer = api.screen_parts(map_file_id, StoredScreenRequest.model_validate(asked), page.context)
    return go_to_job(answer)
