"""Original files and bundles: where each stands, why one was refused, and sending new ones."""

import uuid

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.repositories import attention, bundles
from db.repositories.access import Action
from db.repositories.catalogue import BUNDLES, FILES, JOBS, SESSIONS, TABLES, WAVEFORMS, read_row
from services.api.context import RequestUnit
from services.api.listing import BundleQuery, FileQuery
from services.web.lists import ListSource, answer_export, load_list, load_rows, wants_export
from services.web.page import AnyPage, PageRoute

router = APIRouter(include_in_schema=False, route_class=PageRoute)

LIST = ListSource(FILES, FileQuery, "files")
BUNDLE_LIST = ListSource(BUNDLES, BundleQuery, "bundles")
MOST_RECORDS = 50
MOST_JOBS = 20


@router.get("/files")
def list_files(page: AnyPage) -> Response:
    """Return the files; those in quarantine with every reader's reason."""
    if wants_export(page):
        return answer_export(page, LIST, "files")
    with page.read() as unit:
        shown = load_list(page, unit, LIST)
        quarantine = shown.filters.get("state") == "quarantined"
        for row in shown.rows:
            row["reasons"] = None
            if quarantine:
                detail = orjson.loads(read_row(unit.connection, unit.caller, FILES, uuid.UUID(row["id"])))
                row["reasons"] = detail["quarantine_reasons"]
        instruments = {str(each): name for each, name in _instruments(unit).items()}
        return page.show(unit, "files.html", shown=shown, quarantine=quarantine, instruments=instruments)


def _instruments(unit: RequestUnit) -> dict[uuid.UUID, str]:
    return attention.names_of_instruments(unit.connection, unit.caller)


@router.get("/files/{file_id}")
def show_file(file_id: uuid.UUID, page: AnyPage) -> Response:
    """Return what is known of a file: its bytes, what reading it gave or why nothing could, its jobs."""
    with page.read() as unit:
        row = orjson.loads(read_row(unit.connection, unit.caller, FILES, file_id))
        records = {}
        if unit.caller.may(Action.READ_RECORDS, uuid.UUID(row["program_id"])):
            filters = {"raw_file": file_id}
            records = {
                "waveforms": load_rows(unit, WAVEFORMS, filters, MOST_RECORDS),
                "tables": load_rows(unit, TABLES, filters, MOST_RECORDS),
                "sessions": load_rows(unit, SESSIONS, filters, MOST_RECORDS),
            }
        return page.show(
            unit,
            "file.html",
            row=row,
            records=records,
            most=MOST_RECORDS,
            jobs=load_rows(unit, JOBS, {"raw_file": file_id}, MOST_JOBS),
            instruments={str(each): name for each, name in _instruments(unit).items()},
        )


@router.get("/bundles")
def list_bundles(page: AnyPage) -> Response:
    """Return the bundles."""
    if wants_export(page):
        return answer_export(page, BUNDLE_LIST, "bundles")
    with page.read() as unit:
        return page.show(unit, "bundles.html", shown=load_list(page, unit, BUNDLE_LIST))


@router.get("/bundles/{bundle_id}")
def show_bundle(bundle_id: uuid.UUID, page: AnyPage) -> Response:
    """Return a bundle with its members, what is missing, and why it was refused if it was."""
    with page.read() as unit:
        row = orjson.loads(read_row(unit.connection, unit.caller, BUNDLES, bundle_id))
        sessions = []
        if unit.caller.may(Action.READ_RECORDS, uuid.UUID(row["program_id"])):
            sessions = load_rows(unit, SESSIONS, {"bundle": bundle_id}, MOST_RECORDS)
        return page.show(
            unit,
            "bundle.html",
            row=row,
            members=bundles.list_members(unit.connection, bundle_id),
            sessions=sessions,
            jobs=load_rows(unit, JOBS, {"bundle": bundle_id}, MOST_JOBS),
        )


@router.get("/upload")
def show_upload(page: AnyPage) -> Response:
    """Return the place to drop files and folders on."""
    with page.read() as unit:
        allowed = unit.caller.programs(Action.UPLOAD)
        unit.caller.require(Action.UPLOAD)
        return page.show(unit, "upload.html", allowed={str(each) for each in allowed or ()})
