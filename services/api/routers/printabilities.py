"""Asking whether the defects of a mask print, on a stored layout."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from db.repositories.catalogue import FILES, JOBS, RESULTS, fetch_row
from db.repositories.tiles import PICTURES, find_tile
from services.api.analysis_requests import JOB_ANSWERS, AnalysisRequest, ask_for_analysis, find_inputs
from services.api.context import Analyses, ReadsRecords
from services.api.documents import Document, Name
from services.api.tile_answers import PICTURE_ANSWERS, answer_tile
from services.pipelines.job_keys import make_key
from services.pipelines.mask.printability_request import PrintabilityRequest
from services.pipelines.versions import PICTURES_VERSION, PRINTABILITY_VERSION
from services.problems import Problem

router = APIRouter(tags=["masks"])

PictureName = Annotated[str, Path(pattern=r"^[a-z_]{1,40}$", description="reference, defect, difference, printed, …")]


@router.post("/files/{file_id}/printabilities", status_code=202, responses=JOB_ANSWERS)
def judge_printability(file_id: uuid.UUID, question: PrintabilityRequest, context: Analyses) -> Response:
    """Ask which defects of a mask print, and which repairs held. The file is a layout or a clip.

    Asking twice gives the same job, and the same result once.
    """
    with context.begin() as unit:
        inputs = find_inputs(unit, FILES, [file_id])
        asked = question.model_dump(mode="json", by_alias=True)
        key = make_key("printability", PRINTABILITY_VERSION, inputs.hashes, asked)
        payload = {"raw_file_id": str(file_id), "question": asked}
        return ask_for_analysis(context, unit, AnalysisRequest("printability", key, inputs.program_id, payload))


class PictureRequest(Document):
    """Which defect to draw, at which relative dose and which defocus of the wafer."""

    defect: Name
    dose: float = Field(default=1.0, gt=0, lt=10)
    defocus_nm: float = Field(default=0.0, ge=-1e4, le=1e4)


@router.post("/results/{result_id}/printing-pictures", status_code=202, responses=JOB_ANSWERS)
def draw_printing(result_id: uuid.UUID, wanted: PictureRequest, context: Analyses) -> Response:
    """Ask for pictures of how a defect that was judged prints: without it, with it, the difference.

    `result_id` is of the kind `printability`. Asking twice gives the same job.
    """
    with context.begin() as unit:
        judged = fetch_row(unit.connection, unit.caller, RESULTS, result_id, ("kind", "job_id"))
        if judged["kind"] != "printability":
            raise Problem("invalid-request", "pictures are drawn of defects that a printability was asked of")
        payload = fetch_row(unit.connection, unit.caller, JOBS, judged["job_id"], ("payload",))["payload"]
        file_id, question = uuid.UUID(payload["raw_file_id"]), payload["question"]
        picture = wanted.model_dump(mode="json")
        inputs = find_inputs(unit, FILES, [file_id])
        key = make_key(PICTURES, PICTURES_VERSION, inputs.hashes, {"question": question, "picture": picture})
        asked = {"raw_file_id": str(file_id), "question": question, "picture": picture, "result_id": str(result_id)}
        return ask_for_analysis(context, unit, AnalysisRequest(PICTURES, key, inputs.program_id, asked))


@router.get("/results/{result_id}/pictures/{name}", response_class=Response, responses=PICTURE_ANSWERS)
def read_picture(result_id: uuid.UUID, name: PictureName, request: Request, context: ReadsRecords) -> Response:
    """Return a picture as PNG; the result says what black and white are."""
    with context.read() as unit:
        fetch_row(unit.connection, unit.caller, RESULTS, result_id)
        picture = find_tile(unit.connection, result_id, "pictures", name)
    return answer_tile(request, context, picture, f"{result_id}-{name}")
