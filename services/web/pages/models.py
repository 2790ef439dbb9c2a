"""Learned models: versions with how they did on later units, which one counts, and letting another count."""

import uuid
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action
from db.repositories.catalogue import fetch_rows, read_row
from db.repositories.model_catalogue import MODEL_DECISIONS, MODEL_VERSIONS, MODEL_WATCHES, MODELS
from db.repositories.models import objections_to
from services.api.context import RequestUnit
from services.api.model_documents import ModelVersionQuery, PromotionRequest, RetirementRequest, RollbackRequest
from services.api.routers import models as api
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.page import AnyPage, PageRoute, redirect

router = APIRouter(prefix="/reliability/models", include_in_schema=False, route_class=PageRoute)

LIST = ListSource(MODEL_VERSIONS, ModelVersionQuery, "model-versions")
MOST = 200
MOST_DECISIONS = 50


@router.get("")
def list_versions(page: AnyPage) -> Response:
    """Return the versions of every model, the newest first."""
    if wants_export(page):
        return answer_export(page, LIST, "model-versions")
    with page.read() as unit:
        return page.show(
            unit,
            "models.html",
            shown=load_list(page, unit, LIST),
            models={row["id"]: row for row in load_rows(unit, MODELS, {}, MOST, newest_first=False)},
        )


@router.get("/{version_id}")
def show_version(version_id: uuid.UUID, page: AnyPage) -> Response:
    """Return a version: what it rests on, how it did beside plain models, who decided, how it is watched."""
    with page.read() as unit:
        row = orjson.loads(read_row(unit.connection, unit.caller, MODEL_VERSIONS, version_id))
        model = orjson.loads(read_row(unit.connection, unit.caller, MODELS, uuid.UUID(row["model_id"])))
        decisions = load_rows(unit, MODEL_DECISIONS, {"model": uuid.UUID(row["model_id"])}, MOST_DECISIONS)
        return page.show(
            unit,
            "model_version.html",
            row=row,
            model=model,
            judged=row["card"].get("evaluation") or {},
            decisions=decisions,
            numbers=_numbers(unit, decisions),
            watches=load_rows(unit, MODEL_WATCHES, {"version": version_id}, MOST_DECISIONS),
            objections=objections_to(beats_baselines=row["beats_baselines"], simulated=row["simulated"]),
            back_to=_replaced(decisions) if row["state"] == "promoted" else None,
            may_promote=unit.caller.may(Action.PROMOTE, uuid.UUID(row["program_id"])),
        )


def _numbers(unit: RequestUnit, decisions: list[dict[str, Any]]) -> dict[str, int]:
    """Return the numbers of the versions that decisions are about, by id."""
    named = [each[name] for each in decisions for name in ("version_id", "replaced_version_id") if each[name]]
    wanted = [uuid.UUID(each) for each in dict.fromkeys(named)]
    rows = fetch_rows(unit.connection, unit.caller, MODEL_VERSIONS, wanted, ("number",)) if wanted else []
    return {str(identity): row["number"] for identity, row in zip(wanted, rows, strict=True)}


def _replaced(decisions: list[dict[str, Any]]) -> str | None:
    """Return the version that the one that counts replaced when a person let it count, of the newest such decision."""
    current = next((each["version_id"] for each in decisions if each["kind"] in ("promoted", "rolled-back")), None)
    found = (each for each in decisions if each["version_id"] == current and each["kind"] == "promoted")
    replaced: str | None = next((each["replaced_version_id"] for each in found), None)
    return replaced


@router.post("/{version_id}/promote")
def promote_version(version_id: uuid.UUID, page: AnyPage) -> Response:
    """Let the version count from now on, as the API does."""
    body = PromotionRequest(reason=page.form.get("reason", "").strip(), override="override" in page.form)
    api.promote_version(version_id, body, page.context)
    return redirect(f"/reliability/models/{version_id}")


@router.post("/{version_id}/retire")
def retire_version(version_id: uuid.UUID, page: AnyPage) -> Response:
    """Let the version count no longer, or never, as the API does."""
    api.retire_version(version_id, RetirementRequest(reason=page.field("reason")), page.context)
    return redirect(f"/reliability/models/{version_id}")


@router.post("/{version_id}/roll-back")
def roll_back(version_id: uuid.UUID, page: AnyPage) -> Response:
    """Let the version count again that the one that counts had replaced, and go to it, as the API does."""
    with page.read() as unit:
        row = orjson.loads(read_row(unit.connection, unit.caller, MODEL_VERSIONS, version_id))
    body = RollbackRequest(reason=page.field("reason"))
    decision = orjson.loads(api.roll_back_model(uuid.UUID(row["model_id"]), body, page.context).body)
    return redirect(f"/reliability/models/{decision['version_id']}")
