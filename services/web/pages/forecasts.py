"""Reliability, unit by unit: degradation with what follows, and the risk of failing in the field."""

import math
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.blobs import BlobMissing, BlobStore
from db.repositories.access import RowNotFound
from db.repositories.catalogue import JOBS, TABLES, fetch_row, read_row
from services.api.context import RequestUnit
from services.problems import Problem
from services.web.body_tables import BodyColumn, answer_table, show_table
from services.web.fan_plot import plot_fans
from services.web.lists import wants_export
from services.web.page import AnyPage, Page, PageRoute
from services.web.pages.reliability import read_answer
from services.web.result_places import has_scores
from services.web.source_words import tell_source

router = APIRouter(prefix="/reliability", include_in_schema=False, route_class=PageRoute)

FIRST_UNITS = 4
MOST_UNITS = 6
"""Units with bands in one drawing; more hide each other."""
MOST_DRAWN = 300
"""Units whose readouts are drawn beside them."""
MOST_BYTES = 32 << 20
_READOUT = frozenset({"device_id", "lot_id", "time_h", "parameter", "value"})

_CROSSINGS = (
    BodyColumn("unit", "Unit", lambda row: row["unit"]),
    BodyColumn("state", "State", lambda row: row["state"]),
    BodyColumn("probability", "P(past the threshold)", lambda row: row["probability"], numeric=True),
    BodyColumn("low", "at least", lambda row: row["low"], numeric=True),
    BodyColumn("high", "at most", lambda row: row["high"], numeric=True),
    BodyColumn("half_h", "Median time, h", lambda row: row["hours"].get("50 %"), numeric=True),
)


@router.get("/degradations/{degradation_result_id}")
def show_degradation(degradation_result_id: uuid.UUID, page: AnyPage) -> Response:
    """Return how a parameter drifts: readouts and bands, methods compared, laws, times to the threshold."""
    with page.read() as unit:
        row = read_answer(unit, degradation_result_id, "degradation")
        parameters = row["body"]["parameters"]
        chosen = _parameter(page, parameters)
        rows = (chosen.get("crossings") or {}).get("units", [])
        if wants_export(page):
            return answer_table(page, rows, _CROSSINGS, "crossings")
        units = _units(page, chosen)
        measured, reason = _measured(unit, page.context.state.blobs, row, chosen["parameter"])
        drawn = {name: measured[name] for name in [*units, *list(measured)[:MOST_DRAWN]] if name in measured}
        threshold = chosen.get("threshold")
        return page.show(
            unit,
            "degradation_answer.html",
            row=row,
            body=row["body"],
            parameters=[each["parameter"] for each in parameters],
            chosen={"crossings": None, "population": None, "laws": [], "methods": [], "remarks": []} | chosen,
            units=units,
            known=[each["unit"] for each in rows] or sorted({each["unit"] for each in chosen.get("forecast", ())}),
            plot=plot_fans(drawn, chosen.get("forecast", ()), units, threshold["value"] if threshold else None),
            no_readouts=reason,
            table=show_table(page, rows, _CROSSINGS),
            threshold=threshold,
            scores=has_scores(row["body"]),
        )


def _parameter(page: Page, parameters: Sequence[dict[str, Any]]) -> dict[str, Any]:
    wanted = page.query.get("parameter")
    told = [each for each in parameters if each["verdict"] != "refused"]
    found = next((each for each in parameters if each["parameter"] == wanted), None)
    if wanted is not None and found is None:
        raise Problem("not-found", f"the answer has no parameter {wanted[:40]!r}")
    return found or (told or list(parameters))[0]


def _units(page: Page, chosen: Mapping[str, Any]) -> list[str]:
    """Return the units that the address names, by default those likeliest to pass the threshold."""
    forecast = list(dict.fromkeys(each["unit"] for each in chosen.get("forecast", ())))
    wanted = page.request.query_params.getlist("unit")
    if len(wanted) > MOST_UNITS:
        raise Problem("invalid-request", f"{len(wanted)} units were chosen; {MOST_UNITS} are drawn at most")
    for name in wanted:
        if name not in forecast:
            raise Problem("not-found", f"the answer forecasts no unit {name[:40]!r}")
    likeliest = [each["unit"] for each in (chosen.get("crossings") or {}).get("units", [])]
    return (
        list(dict.fromkeys(wanted))
        or [each for each in likeliest if each in forecast][:FIRST_UNITS]
        or forecast[:FIRST_UNITS]
    )


def _measured(
    unit: RequestUnit, blobs: BlobStore, row: Mapping[str, Any], parameter: str
) -> tuple[dict[str, list[tuple[float, float]]], str | None]:
    """Return the readouts of ``parameter`` by unit, as the answer names units; or why there are none to draw."""
    from instruments.table_codec import decode_table  # noqa: PLC0415  (pyarrow loads where tables are unpacked only)

    try:
        payload = orjson.loads(read_row(unit.connection, unit.caller, JOBS, uuid.UUID(row["job_id"])))["payload"]
        wanted = [payload["table_id"], *payload["question"].get("other_table_ids", ())]
        tables = [fetch_row(unit.connection, unit.caller, TABLES, uuid.UUID(str(each))) for each in wanted]
    except (RowNotFound, KeyError):
        return {}, "the readouts are no longer stored"
    if sum(each["byte_length"] for each in tables) > MOST_BYTES:
        return {}, "the readouts are too many to be drawn"
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    known: set[str] = set()
    for each in tables:
        data = blobs.read_range(each["blob_key"], each["byte_offset"], each["byte_length"])
        if len(data) != each["byte_length"]:
            raise BlobMissing(each["blob_key"])
        columns = {name: values.tolist() for name, values in decode_table(data, _READOUT).columns.items()}
        lots = columns.get("lot_id") or [""] * len(columns["value"])
        told = zip(columns["parameter"], lots, columns["device_id"], columns["time_h"], columns["value"], strict=True)
        for name, lot, device, hours, value in told:
            if str(name).strip() != parameter:
                continue
            known.add(str(lot).strip())
            if math.isfinite(value):
                found[str(lot).strip(), str(device).strip()].append((float(hours), float(value)))
    several = len(known) > 1
    return {f"{lot}/{device}" if several else device: sorted(pairs) for (lot, device), pairs in found.items()}, None


_RISKS = (
    BodyColumn("unit", "Unit", lambda row: row["unit"]),
    BodyColumn("probability", "P(fails in the field)", lambda row: row["probability"], numeric=True),
    BodyColumn("low", "at least", lambda row: row["low"], numeric=True),
    BodyColumn("high", "at most", lambda row: row["high"], numeric=True),
    BodyColumn("set", "Conformal set", lambda row: " or ".join(row["set"]) or "unlike both"),
    BodyColumn(
        "used", "Rests on", lambda row: ", ".join(name for name, each in row["modalities"].items() if each == "used")
    ),
)
_SOURCES = BodyColumn(
    "sources", "Sources", lambda row: "; ".join(f"{name}: {tell_source(each)}" for name, each in _sources(row).items())
)
"""In exports only: the page has a table of its own of them."""


def _sources(unit: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return by modality where a unit's values come from; nothing where the table of evidence does not say."""
    found: Mapping[str, Mapping[str, Any]] = unit.get("sources") or {}
    return dict(sorted(found.items()))


@router.get("/risks/{risk_result_id}")
def show_risks(risk_result_id: uuid.UUID, page: AnyPage) -> Response:
    """Return the units most likely to fail in the field, each with what every modality adds."""
    with page.read() as unit:
        row = read_answer(unit, risk_result_id, "latent-risk-scoring")
        body = row["body"]
        if wants_export(page):
            return answer_table(page, body["units"], (*_RISKS, _SOURCES), "latent-risk")
        table = show_table(page, body["units"], _RISKS)
        names = list(body["units"][0]["log_odds"]) if body["units"] else []
        most = max((abs(value) for each in table.rows for value in each["log_odds"].values()), default=1.0) or 1.0
        return page.show(
            unit,
            "risk_answer.html",
            row=row,
            body=body,
            table=table,
            names=names,
            most=most,
            source_names=list(dict.fromkeys(name for each in body["units"] for name in _sources(each))),
            evidence=_evidence(unit, row),
        )


def _evidence(unit: RequestUnit, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of evidence that were scored, as far as they are stored and the viewer's to see."""
    try:
        payload = orjson.loads(read_row(unit.connection, unit.caller, JOBS, uuid.UUID(row["job_id"])))["payload"]
        wanted = [payload["table_id"], *payload["question"].get("other_table_ids", ())]
        return [orjson.loads(read_row(unit.connection, unit.caller, TABLES, uuid.UUID(str(each)))) for each in wanted]
    except (RowNotFound, KeyError):
        return []
