"""Stored layouts: their layers as tiles, defects of inspections on them, nets at a point, what prints."""

import uuid
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.responses import Response

from db.repositories.access import Action
from db.repositories.catalogue import FILES, JOBS, RESULTS, read_row
from services.api.context import RequestUnit
from services.api.layer_names import LayerNamesRequest
from services.api.listing import FileQuery
from services.api.routers import layouts as api
from services.pipelines.mask.layout_requests import OverlayRequest, TilesRequest
from services.problems import Problem
from services.web.layer_naming import read_naming
from services.web.layer_text import BadLayerText, read_layer_text
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.page import AnyPage, Page, PageRoute, redirect

router = APIRouter(prefix="/layouts", include_in_schema=False, route_class=PageRoute)

LAYOUT_FORMATS = ("gdsii", "oasis", "glp")
INSPECTION_FORMATS = ("klarf-1.0", "klarf-1.1", "klarf-1.2", "klarf-1.6", "klarf-1.7", "klarf-1.8")
MOST_RESULTS = 20
MOST_INSPECTIONS = 100
MOST_DEFECTS = 500
KINDS = ("tiles", "overlay", "printability", "places")


LIST = ListSource(FILES, FileQuery, "files", tuple(("format", each) for each in LAYOUT_FORMATS))


@router.get("")
def list_layouts(page: AnyPage) -> Response:
    """Return the stored layouts."""
    if wants_export(page):
        return answer_export(page, LIST, "layouts")
    with page.read() as unit:
        return page.show(unit, "layouts.html", shown=load_list(page, unit, LIST))


@router.get("/{file_id}")
def show_layout(file_id: uuid.UUID, page: AnyPage) -> Response:
    """Return a layout with its newest tiles, or those that ``tiles`` names, and the defects of ``overlay``."""
    with page.read() as unit:
        row = read_layout(unit, file_id)
        found = {kind: results_of(unit, file_id, kind) for kind in KINDS}
        tiles = chosen(unit, page, "tiles", found["tiles"])
        overlay = chosen(unit, page, "overlay", found["overlay"])
        program = uuid.UUID(row["program_id"])
        inspections = load_rows(
            unit, FILES, {"formats": list(INSPECTION_FORMATS), "program": program}, MOST_INSPECTIONS
        )
        return page.show(
            unit,
            "layout.html",
            row=row,
            found=found,
            tiles=tiles,
            overlay=overlay,
            defects=overlay["body"]["defects"][:MOST_DEFECTS] if overlay else [],
            naming=read_naming(unit, page, file_id, tiles) if tiles is not None else None,
            inspections=inspections,
            names={each["id"]: each["filename"] for each in inspections},
            jobs=jobs_of(unit, file_id, row["program_id"]),
        )


@router.post("/{file_id}/layer-names")
def name_layers(file_id: uuid.UUID, page: AnyPage) -> Response:
    """Say what the layers are called, as the API does."""
    try:
        names = read_layer_text(page.form.get("names", ""))
        revision = int(page.field("revision", 9))
        body = LayerNamesRequest(names=names, source=page.form.get("source", "").strip(), revision=revision)
    except BadLayerText as error:
        raise Problem("invalid-request", str(error)) from error
    except ValidationError as error:
        raise Problem("invalid-request", "a name has 1 to 100 characters, a layer two numbers up to 99999") from error
    except ValueError as error:
        raise Problem("invalid-request", "revision is a whole number") from error
    api.name_layers(file_id, body, page.context)
    return redirect(f"/layouts/{file_id}#layer-names")


def read_layout(unit: RequestUnit, file_id: uuid.UUID) -> dict[str, Any]:
    """Return the row of a stored layout; raises RowNotFound, and a problem when the file is none."""
    row: dict[str, Any] = orjson.loads(read_row(unit.connection, unit.caller, FILES, file_id))
    if row["format"] not in LAYOUT_FORMATS:
        raise Problem("not-found", f"{row['filename']} is no layout that was read")
    return row


def results_of(unit: RequestUnit, file_id: uuid.UUID, kind: str) -> list[dict[str, Any]]:
    """Return the results of a kind about a file, newest first; none for those who may not read records."""
    if unit.caller.programs(Action.READ_RECORDS) == frozenset():
        return []
    return load_rows(unit, RESULTS, {"raw_file": file_id, "kind": kind}, MOST_RESULTS)


def chosen(unit: RequestUnit, page: Page, name: str, known: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the result that the address names, else the newest of ``known``, with its document."""
    ids = [row["id"] for row in known]
    wanted = page.query.get(name)
    identity = wanted if wanted in ids else (ids[0] if ids else None)
    if identity is None:
        return None
    found: dict[str, Any] = orjson.loads(read_row(unit.connection, unit.caller, RESULTS, uuid.UUID(identity)))
    return found


def jobs_of(unit: RequestUnit, file_id: uuid.UUID, program_id: str) -> list[dict[str, Any]]:
    """Return the last jobs about a file; none for those who may not see jobs."""
    if not unit.caller.may(Action.READ_OPERATIONS, uuid.UUID(program_id)):
        return []
    return load_rows(unit, JOBS, {"raw_file": file_id}, MOST_RESULTS)


@router.post("/{file_id}/tiles")
def draw_tiles(file_id: uuid.UUID, page: AnyPage) -> Response:
    """Ask for tiles of the layout, as the API does."""
    try:
        question = TilesRequest(levels=int(page.field("levels", 2)), cell=page.form.get("cell", "").strip() or None)
    except (ValueError, ValidationError) as error:
        raise Problem("invalid-request", "levels is a whole number from 1 to 7") from error
    api.draw_tiles(file_id, question, page.context)
    return redirect(f"/layouts/{file_id}")


@router.post("/{file_id}/overlays")
def overlay_defects(file_id: uuid.UUID, page: AnyPage) -> Response:
    """Ask what the defects of an inspection do to the layout, as the API does."""
    inspection = page.identity("inspection")
    if inspection is None:
        raise Problem("invalid-request", "choose an inspection")
    settings: dict[str, Any] = {"coordinates": page.field("coordinates", 10)}
    sigma = page.form.get("sigma_nm", "").strip()
    if sigma:
        settings["sigma_nm"] = _number(sigma, "sigma_nm")
    question = OverlayRequest(inspection_file_id=inspection, settings=settings, process=page.field("process", 60))
    api.overlay_defects(file_id, question, page.context)
    return redirect(f"/layouts/{file_id}")


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Problem("invalid-request", f"{name} is no number: {text[:40]!r}") from error
