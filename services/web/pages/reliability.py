"""Reliability: answers about lifetimes and screenings, and asking for them."""

import uuid
from collections.abc import Mapping
from typing import Any, get_args

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import RowNotFound
from db.repositories.catalogue import FINDINGS, JOBS, RESULTS, TABLES, read_row
from services.api.context import RequestUnit
from services.api.listing import ResultQuery
from services.api.routers import lifetimes as api
from services.pipelines.reliability.life_requests import StoredLifeRequest
from services.presentation.screening_reasons import REASON_WORDS, describe_reason
from services.problems import Problem
from services.web.body_tables import BodyColumn, answer_table, show_table
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.page import AnyPage, PageRoute, redirect
from services.web.probability_plot import PAPERS, Paper, plot_life
from services.web.result_places import ANSWER_PAGES, has_scores

router = APIRouter(prefix="/reliability", include_in_schema=False, route_class=PageRoute)

KINDS = {
    "life-data": "Life data",
    "screening": "Screening",
    "degradation": "Degradation",
    "latent-risk-scoring": "Latent risk",
}
"""Kinds of answers that have a page here."""
LIST = ListSource(RESULTS, ResultQuery, "results")
_HEADLINES = {
    "life-data": "failure_ppm", "screening": "screen", "degradation": "threshold_crossing",
    "latent-risk-scoring": "latent_risk",
}  # fmt: skip
"""Findings that say an answer in a line."""
MOST_TABLES = 20
MOST_SCREENS = 10
MOST_SHOWN = 200
"""Rows of wafers and limits that a page writes; the answer by REST has all."""


@router.get("")
def list_answers(page: AnyPage) -> Response:
    """Return the answers of one kind, each with its headline."""
    kind = page.query.get("kind", "life-data")
    if kind not in KINDS:
        raise Problem("invalid-request", f"there are no answers of the kind {kind[:40]!r} here")
    page.query.setdefault("kind", kind)
    if wants_export(page):
        return answer_export(page, LIST, kind)
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        return page.show(
            unit,
            "reliability.html",
            shown=shown,
            kind=kind,
            kinds=KINDS,
            answers=ANSWER_PAGES[kind],
            headlines={row["id"]: _headline(unit, row) for row in shown.rows},
            tables=load_rows(unit, TABLES, {"kind": "lifetime"}, MOST_TABLES) if kind == "life-data" else [],
        )


def _headline(unit: RequestUnit, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the findings that say the answer in a line."""
    filters = {"result": uuid.UUID(row["id"]), "kind": _HEADLINES[row["kind"]]}
    return load_rows(unit, FINDINGS, filters, MOST_SCREENS, newest_first=False)


@router.get("/life/{life_result_id}")
def show_life(life_result_id: uuid.UUID, page: AnyPage) -> Response:
    """Return how many units fail by when: the probability plot, rates in FIT, models, parameters."""
    paper = page.query.get("paper", "weibull")
    if paper not in get_args(Paper):
        raise Problem("invalid-request", f"there is no paper {paper[:40]!r}")
    others = page.query.get("others") == "1"
    with page.read() as unit:
        row = read_answer(unit, life_result_id, "life-data")
        body = {"plot": None, "rates": None, "causes": [], "models": [], "parameters": [], "lives": []} | row["body"]
        chosen: Paper = paper  # type: ignore[assignment]
        return page.show(
            unit,
            "life_answer.html",
            row=row,
            body=body,
            plot=plot_life(body, chosen, others=others),
            paper=paper,
            papers=PAPERS,
            others=others,
        )


def farthest(outlier: Mapping[str, Any]) -> float | None:
    """Return the reading farthest from the middle among a part's reasons, in robust sigmas with its sign."""
    found = [float(each["sigmas"]) for each in outlier["reasons"] if "sigmas" in each]
    return max(found, key=abs, default=None)


_OUTLIERS = (
    BodyColumn("lot", "Lot", lambda row: row["lot"]),
    BodyColumn("wafer", "Wafer", lambda row: row["wafer"]),
    BodyColumn("part", "Part", lambda row: row["part"]),
    BodyColumn("x", "x", lambda row: row["x"], numeric=True),
    BodyColumn("y", "y", lambda row: row["y"], numeric=True),
    BodyColumn("screens", "Screens", lambda row: ", ".join(dict.fromkeys(each["screen"] for each in row["reasons"]))),
    BodyColumn("sigmas", "Farthest, robust sigmas", farthest, numeric=True),
    BodyColumn("why", "Why", lambda row: "; ".join(map(describe_reason, row["reasons"]))),
)


@router.get("/screenings/{screening_result_id}")
def show_screening(screening_result_id: uuid.UUID, page: AnyPage) -> Response:
    """Return which parts fall out and why, by screen, wafer and part, with overkill and escapes."""
    with page.read() as unit:
        row = read_answer(unit, screening_result_id, "screening")
        body = row["body"]
        if wants_export(page):
            return answer_table(page, body["outliers"], _OUTLIERS, "outliers")
        limits = [each for each in body["groups"] if each["screen"] in ("part-average", "neighbour-residual")]
        return page.show(
            unit,
            "screening_answer.html",
            row=row,
            body=body,
            table=show_table(page, body["outliers"], _OUTLIERS),
            words=REASON_WORDS,
            file_id=screened_file(unit, row),
            wafers=count_by_wafer(body),
            limits=limits,
            scores=has_scores(body),
            structured=[each for each in body["groups"] if each.get("structured")],
            most=MOST_SHOWN,
        )


def read_answer(unit: RequestUnit, identity: uuid.UUID, kind: str) -> dict[str, Any]:
    """Return the result with its document; one of another kind does not exist here."""
    row: dict[str, Any] = orjson.loads(read_row(unit.connection, unit.caller, RESULTS, identity))
    if row["kind"] != kind:
        raise RowNotFound(f"answer of the kind {kind}", identity)
    return row


def screened_file(unit: RequestUnit, row: Mapping[str, Any]) -> str | None:
    """Return the file that a screening is about, ``None`` where the caller may not see its job."""
    try:
        job = orjson.loads(read_row(unit.connection, unit.caller, JOBS, uuid.UUID(row["job_id"])))
    except RowNotFound:
        return None
    found = job["payload"].get("raw_file_id")
    return str(found) if found else None


def count_by_wafer(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return by lot and wafer how many parts fall out, of which screens, and whether its fails lie by chance."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for group in body["groups"]:
        if group["wafer"]:
            found.setdefault((group["lot"], group["wafer"]), {"out": 0, "screens": {}, "structured": None})
    for outlier in body["outliers"]:
        key = outlier["lot"], outlier["wafer"]
        row = found.setdefault(key, {"out": 0, "screens": {}, "structured": None})
        row["out"] += 1
        for screen in dict.fromkeys(each["screen"] for each in outlier["reasons"]):
            row["screens"][screen] = row["screens"].get(screen, 0) + 1
    for group in body["groups"]:
        if group["screen"] == "signatures" and "structured" in group:
            found[group["lot"], group["wafer"]]["structured"] = group["structured"]
    return [{"lot": lot, "wafer": wafer} | row for (lot, wafer), row in sorted(found.items())]


@router.post("/life-fits")
def ask_for_life(page: AnyPage) -> Response:
    """Ask how many units fail by when, as the API does, and go to the job."""
    table = page.identity("table")
    if table is None:
        raise Problem("invalid-request", "choose a table of lifetimes")
    asked: dict[str, Any] = {"by_cause": "by_cause" in page.form}
    if hours := page.form.get("hours", "").strip():
        asked["hours"] = hours
    answer = api.fit_lifetimes(table, StoredLifeRequest.model_validate(asked), page.context)
    return go_to_job(answer)


def go_to_job(answer: Response) -> Response:
    """Send the browser to the page of the job that an answer of the API names."""
    return redirect(answer.headers["Location"].removeprefix("/api/v1"))
