"""Wafers of stored testers' logs and wafer maps, die by die."""

import uuid
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from services.api.answers import JsonAnswer
from services.api.context import ReadsRecords
from services.api.contract import describe_problems
from services.api.die_maps import MapRequest, describe_wafer, find_wafer, load_maps, summarize_wafers

router = APIRouter(prefix="/files", tags=["reliability"])

Name = Annotated[str | None, Query(max_length=300)]


class WaferSummary(BaseModel):
    """A wafer of the file with its counts; dies without a verdict are in ``dies`` only."""

    lot: str
    wafer: str
    dies: int
    passed: int
    failed: int


class TestSummary(BaseModel):
    """A test that has readings."""

    label: str
    unit: str


class Dies(BaseModel):
    """The dies of one wafer as columns of equal length, row by row; ``x`` and ``y`` as the file counts dies.

    ``value`` is in ``unit``; null where a die was not read, and altogether where no test was asked for.
    """

    lot: str
    wafer: str
    x: list[int]
    y: list[int]
    part: list[str]
    verdict: list[Literal["pass", "fail", "none"]]
    hard_bin: list[str]
    soft_bin: list[str]
    value: list[float | None] | None


class DieMap(BaseModel):
    """A wafer of a file."""

    test: str | None
    unit: str | None
    dies: Dies
    wafers: list[WaferSummary]
    tests: list[TestSummary]
    simulated: bool


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": DieMap},
    **describe_problems("not-found", "original-missing"),
}


@router.get("/{file_id}/die-map", responses=_ANSWERS)
def read_die_map(
    file_id: uuid.UUID, context: ReadsRecords, lot: Name = None, wafer: Name = None, test: Name = None
) -> Response:
    """Return the dies of one wafer of a stored tester's log or wafer map, by default the first.

    `test` is a number, a name, or both as `tests` tells them; of a test that returns an array, its first element or
    the one that brackets name. Only the last insertion of a part counts, and only parts with a place are told.
    """
    with context.read() as unit:
        maps = load_maps(unit, context.state.blobs, file_id, test)
    document = {
        "test": None if maps.chosen is None else maps.chosen.label,
        "unit": None if maps.chosen is None else maps.chosen.unit,
        "dies": describe_wafer(maps, find_wafer(maps, MapRequest(lot, wafer, test))),
        "wafers": summarize_wafers(maps),
        "tests": [{"label": label, "unit": unit_of} for label, unit_of in maps.tests],
        "simulated": maps.parts.simulated,
    }
    return JsonAnswer(orjson.dumps(document))
