"""The rows of a table within a page, sent by the browser that shows them and answered as a file."""

import re

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from services.problems import Problem
from services.web.exports import FORMATS
from services.web.page import AnyPage, PageRoute
from services.web.page_tables import ShownTable, write_table
from services.web.rendering import HEADERS

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


@router.post("/tables")
def export_rows(page: AnyPage) -> Response:
    """Return the rows of the form as CSV or Parquet; nothing is read from the database but who asks."""
    with page.read():
        form, name = page.form.get("form", ""), page.form.get("name", "")
    if form not in FORMATS:
        raise Problem("invalid-request", f"rows are written as {' or '.join(FORMATS)}")
    if not _NAME.fullmatch(name):
        raise Problem("invalid-request", "the table's name has letters, digits, _ and - only")
    table = ShownTable.model_validate_json(page.form.get("table", ""))
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return StreamingResponse(write_table(table, form), headers=headers, media_type=FORMATS[form])
