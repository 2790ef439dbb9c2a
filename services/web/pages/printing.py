"""What prints of a mask's defects: verdicts, and pictures without and with each defect side by side."""

import uuid
from typing import Any

import orjson
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.responses import Response

from db.repositories.catalogue import RESULTS, read_row
from services.api.context import RequestUnit
from services.api.routers import printabilities as api
from services.pipelines.mask.printability_request import PrintabilityRequest
from services.problems import Problem
from services.web.page import AnyPage, PageRoute, redirect
from services.web.pages.layouts import chosen, jobs_of, read_layout, results_of

router = APIRouter(prefix="/layouts", include_in_schema=False, route_class=PageRoute)

MOST_QUESTION = 200_000
PICTURES = (
    ("reference", "Without the defect"),
    ("defect", "With the defect"),
    ("difference", "Difference"),
    ("printed", "Printed"),
    ("repaired", "After the repair"),
    ("difference_repaired", "Difference after the repair"),
    ("printed_repaired", "Printed after the repair"),
)


@router.get("/{file_id}/printing")
def show_printing(file_id: uuid.UUID, page: AnyPage) -> Response:
    """Return the newest printability of the layout, or the one that ``result`` names, with pictures of ``defect``."""
    with page.read() as unit:
        row = read_layout(unit, file_id)
        judged = results_of(unit, file_id, "printability")
        result = chosen(unit, page, "result", judged)
        defects = result["body"]["defects"] if result else []
        defect = next((each for each in defects if each["name"] == page.query.get("defect")), None)
        if defect is None and defects:
            defect = max(defects, key=lambda each: each.get("severity") or 0.0)
        drawn = _drawn(unit, file_id, result, defect)
        return page.show(
            unit,
            "printing.html",
            row=row,
            judged=judged,
            result=result,
            defects=defects,
            defect=defect,
            drawn=drawn,
            shown=_shown(page.query.get("pictures"), drawn),
            captions=PICTURES,
            jobs=jobs_of(unit, file_id, row["program_id"]),
        )


def _drawn(
    unit: RequestUnit, file_id: uuid.UUID, result: dict[str, Any] | None, defect: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Return the pictures that there are of the defect, newest first, with their documents."""
    if result is None or defect is None:
        return []
    found = []
    for row in results_of(unit, file_id, "printing-pictures"):
        detail = orjson.loads(read_row(unit.connection, unit.caller, RESULTS, uuid.UUID(row["id"])))
        if detail["body"]["result_id"] == result["id"] and detail["body"]["defect"] == defect["name"]:
            found.append(detail)
    return found


def _shown(wanted: str | None, drawn: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((each for each in drawn if each["id"] == wanted), drawn[0] if drawn else None)


@router.post("/{file_id}/printing")
def judge_printability(file_id: uuid.UUID, page: AnyPage) -> Response:
    """Ask what prints, by the question that the form has as JSON."""
    try:
        question = PrintabilityRequest.model_validate_json(page.field("question", MOST_QUESTION))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Problem("invalid-request", f"the question: {place} {first['msg']}") from error
    api.judge_printability(file_id, question, page.context)
    return redirect(f"/layouts/{file_id}/printing")


@router.post("/{file_id}/printing/{result_id}/pictures")
def draw_printing(file_id: uuid.UUID, result_id: uuid.UUID, page: AnyPage) -> Response:
    """Ask for pictures of a defect, as the API does."""
    try:
        dose, defocus = (float(page.field(name, 20)) for name in ("dose", "defocus_nm"))
        wanted = api.PictureRequest(defect=page.field("defect", 200), dose=dose, defocus_nm=defocus)
    except ValueError as error:
        raise Problem("invalid-request", "dose and defocus are numbers") from error
    api.draw_printing(result_id, wanted, page.context)
    return redirect(f"/layouts/{file_id}/printing?result={result_id}")
