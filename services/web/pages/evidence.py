"""Evidence on units, assembled from stored answers: asking for it, what it rests on unit by unit, scoring it."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from db.blobs import BlobMissing, BlobStore
from db.repositories.access import Action, RowNotFound
from db.repositories.catalogue import FILES, FINDINGS, RESULTS, TABLES, fetch_row
from db.repositories.model_catalogue import MODEL_VERSIONS, MODELS
from services.api.context import RequestUnit
from services.api.listing import ResultQuery
from services.api.routers import models as models_api
from services.api.routers import unit_evidence as api
from services.pipelines.latent_risk.risk_requests import StoredScoringRequest, StoredTrainingRequest
from services.pipelines.latent_risk.source_cell import read_source
from services.problems import Problem
from services.web.body_tables import BodyColumn, answer_table, show_table
from services.web.evidence_form import FRAMES, MODALITIES, fill_assembly, read_assembly, row_numbers
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.page import AnyPage, Page, PageRoute
from services.web.pages.reliability import go_to_job, read_answer
from services.web.source_words import tell_source

router = APIRouter(prefix="/reliability/evidence", include_in_schema=False, route_class=PageRoute)

KIND = "unit-evidence"
LIST = ListSource(RESULTS, ResultQuery, "results", (("kind", KIND),))
MOST_OFFERED = 200
MOST_MODALITIES = 8
MOST_BYTES = 32 << 20
"""Of an assembled table: more is not unpacked for a page."""
SUFFIX = "_source"


@router.get("")
def list_assemblies(page: AnyPage) -> Response:
    """Return the assemblies, each with the part of its units that has each modality."""
    if wants_export(page):
        return answer_export(page, LIST, KIND)
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        return page.show(
            unit, "evidence.html", shown=shown, headlines={row["id"]: _headline(unit, row) for row in shown.rows}
        )


def _headline(unit: RequestUnit, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    filters = {"result": uuid.UUID(row["id"]), "kind": "modality"}
    return load_rows(unit, FINDINGS, filters, MOST_MODALITIES, newest_first=False)


@router.get("/new")
def show_new(page: AnyPage) -> Response:
    """Return the form of an assembly; the address fills its fields."""
    with page.read() as unit:
        unit.caller.require(Action.ANALYSE)
        return _show_form(page, unit, page.query)


def _show_form(
    page: Page,
    unit: RequestUnit,
    values: Mapping[str, str],
    wrong: tuple[int, Mapping[str, str]] = (200, {}),
) -> Response:
    """Return the form with ``values``; ``wrong``: the answer's status, and what is wrong by field ("" for all)."""
    status, errors = wrong
    allowed = unit.caller.programs(Action.ANALYSE)
    tables = load_rows(unit, TABLES, {"kind": "unit_outcome"}, MOST_OFFERED)
    may_see_files = unit.caller.programs(Action.READ_OPERATIONS) != frozenset()
    files = load_rows(unit, FILES, {"state": "stored"}, MOST_OFFERED) if may_see_files else []
    return page.show(
        unit,
        "evidence_form.html",
        status,
        values=dict(values),
        errors=errors,
        modalities=MODALITIES,
        frames=FRAMES,
        outcomes=tables,
        files=files,
        inspections=[row for row in files if (row["format"] or "").startswith("klarf")],
        rows={kind: row_numbers(values, kind) for kind in ("stated", "mask")},
        allowed=allowed if allowed is None else {str(each) for each in allowed},
    )


@router.post("")
def ask_for_assembly(page: AnyPage) -> Response:
    """Ask for the assembly, as the API does, and go to its job; show the form again where something is wrong."""
    draft = read_assembly(page.form)
    wrong: tuple[int, Mapping[str, str]] = (422, draft.errors)
    if draft.request is not None:
        try:
            return go_to_job(api.assemble_evidence(draft.request, page.context))
        except Problem as error:
            wrong = (error.kind.status, {"": error.detail})
    with page.read() as unit:
        unit.caller.require(Action.ANALYSE)
        return _show_form(page, unit, draft.values, wrong)


@router.get("/{evidence_result_id}")
def show_assembly(evidence_result_id: uuid.UUID, page: AnyPage) -> Response:
    """Return an assembly: of every modality the results used, of every unit its sources, what was left out and why."""
    with page.read() as unit:
        row = read_answer(unit, evidence_result_id, KIND)
        body = row["body"]
        names = [each["modality"] for each in body["modalities"]]
        units, reason = _read_units(unit, page.context.state.blobs, body)
        columns = _columns(names)
        if wants_export(page):
            return answer_table(page, units, columns, "unit-evidence")
        program = uuid.UUID(row["program_id"])
        return page.show(
            unit,
            "evidence_answer.html",
            row=row,
            body=body,
            names=names,
            table=show_table(page, units, columns),
            no_units=reason,
            again=fill_assembly(row["provenance"]["parameters"]),
            models=_promoted(unit, program),
            may=unit.caller.may(Action.ANALYSE, program),
        )


def _promoted(unit: RequestUnit, program: uuid.UUID) -> list[dict[str, Any]]:
    """Return the models of the program of which a version counts."""
    counting = load_rows(unit, MODEL_VERSIONS, {"program": program, "state": "promoted"}, MOST_OFFERED)
    ids = {each["model_id"] for each in counting}
    return [each for each in load_rows(unit, MODELS, {"program": program}, MOST_OFFERED) if each["id"] in ids]


def _read_units(
    unit: RequestUnit, blobs: BlobStore, body: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the units of the assembled table with the source of each modality; or why there are none to show."""
    from instruments.table_codec import decode_table  # noqa: PLC0415  (pyarrow loads where tables are unpacked only)

    try:
        stored = fetch_row(unit.connection, unit.caller, TABLES, uuid.UUID(body["table"]["id"]))
    except (RowNotFound, KeyError):
        return [], "the table is no longer stored"
    if stored["byte_length"] > MOST_BYTES:
        return [], "the table is too large to be shown here: its file has all"
    data = blobs.read_range(stored["blob_key"], stored["byte_offset"], stored["byte_length"])
    if len(data) != stored["byte_length"]:
        raise BlobMissing(stored["blob_key"])
    names = [each["modality"] for each in body["modalities"]]
    wanted = frozenset({"unit_id", "judged_at", "outcome", *(f"{name}{SUFFIX}" for name in names)})
    columns = {name: values.tolist() for name, values in decode_table(data, wanted).columns.items()}
    count = len(columns["unit_id"])
    blank = [""] * count
    return [
        {
            "unit": columns["unit_id"][at],
            "judged_at": columns.get("judged_at", blank)[at],
            "outcome": columns.get("outcome", blank)[at],
            "sources": {name: read_source(columns.get(f"{name}{SUFFIX}", blank)[at]) for name in names},
        }
        for at in range(count)
    ], None


def _columns(names: Sequence[str]) -> list[BodyColumn]:
    """Return the columns of the table of units; a modality's says its source, or why there is none."""
    return [
        BodyColumn("unit", "Unit", lambda row: row["unit"]),
        BodyColumn("judged", "Judged", lambda row: row["judged_at"]),
        BodyColumn("outcome", "Outcome", lambda row: row["outcome"] or "not known"),
        *(BodyColumn(name, name, lambda row, name=name: tell_source(row["sources"][name])) for name in names),  # type: ignore[misc]
    ]


@router.post("/tables/{table_id}/scores")
def ask_for_scores(table_id: uuid.UUID, page: AnyPage) -> Response:
    """Ask how probably each unit fails in the field, by the version of a model that counts, and go to the job."""
    question = StoredScoringRequest(model=page.field("model", 100))
    return go_to_job(models_api.score_table(table_id, question, page.context))


@router.post("/tables/{table_id}/trainings")
def ask_for_training(table_id: uuid.UUID, page: AnyPage) -> Response:
    """Ask for a new version of a model, learned from these units, and go to the job."""
    question = StoredTrainingRequest(model=page.field("model", 100))
    return go_to_job(models_api.learn_version(table_id, question, page.context))
