"""Pages of rows: filtered, paged by cursors, and exported as CSV; the same query as the API's list."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.responses import Response, StreamingResponse

from db.pagination import MAX_PAGE, PageRequest, encode_cursor
from db.repositories.access import find_program
from db.repositories.catalogue import Listing, list_page
from services.api.context import RequestUnit
from services.api.listing import ProgramQuery
from services.web.page import Page
from services.web.rendering import HEADERS

ROWS = 50
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class ShownList:
    """One page of a list as a template shows it: rows, and addresses of what comes after, of the CSV, of the API."""

    rows: list[dict[str, Any]]
    filters: dict[str, str]
    next_url: str | None
    first_url: str | None
    csv_url: str
    api_url: str
    newest_first: bool


@dataclass(frozen=True)
class ListSource:
    """A list: its rows, the model of its filters, the API's path."""

    listing: Listing
    query: type[ProgramQuery]
    api_path: str

    def parse(self, page: Page) -> ProgramQuery:
        """Return the filters of the address; raises pydantic's error for one that is not known."""
        sent = {name: value for name, value in page.query.items() if name != "export"}
        return self.query.model_validate({"limit": ROWS} | sent)


def load_rows(
    unit: RequestUnit, listing: Listing, filters: dict[str, Any], most: int, *, newest_first: bool = True
) -> list[dict[str, Any]]:
    """Return the first ``most`` rows of a listing that the caller may read, as the API tells them."""
    found = list_page(unit.connection, unit.caller, listing, filters, PageRequest(most, newest_first=newest_first))
    return [orjson.loads(row) for row in found.rows]


def wants_csv(page: Page) -> bool:
    """Return whether the address asks for the list as CSV."""
    return page.query.get("export") == "csv"


def load_list(page: Page, unit: RequestUnit, source: ListSource) -> ShownList:
    """Return the page of the list that the address asks for."""
    query = source.parse(page)
    found = list_page(unit.connection, unit.caller, source.listing, _filters(unit, source, query), query.page())
    kept = {name: value for name, value in page.query.items() if name not in ("cursor", "export")}
    after = encode_cursor(found.next_after) if found.next_after is not None else None
    path = page.request.url.path
    return ShownList(
        rows=[orjson.loads(row) for row in found.rows],
        filters={name: value for name, value in kept.items() if name not in ("order", "limit")},
        next_url=f"{path}?{urlencode(kept | {'cursor': after})}" if after else None,
        first_url=f"{path}?{urlencode(kept)}" if "cursor" in page.query else None,
        csv_url=f"{path}?{urlencode(kept | {'export': 'csv'})}",
        api_url=f"/api/v1/{source.api_path}" + (f"?{urlencode(kept)}" if kept else ""),
        newest_first=query.order == "newest",
    )


def _filters(unit: RequestUnit, source: ListSource, query: ProgramQuery) -> dict[str, Any]:
    filters = query.filters()
    if query.program is not None:
        action = source.listing.action
        filters["program"] = find_program(unit.connection, unit.caller, action, query.program)
    return filters


def answer_csv(page: Page, source: ListSource, name: str) -> Response:
    """Return every row that passes the filters as CSV (RFC 4180, UTF-8), newest first, in pieces."""
    query = source.parse(page)
    with page.read() as unit:
        filters = _filters(unit, source, query)
    columns = [column.name for column in source.listing.columns(detail=False)]
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    pieces = _csv_pieces(page, source, filters, columns, query.page())
    return StreamingResponse(pieces, headers=headers, media_type="text/csv; charset=utf-8")


def _csv_pieces(
    page: Page, source: ListSource, filters: dict[str, Any], columns: Sequence[str], first: PageRequest
) -> Iterator[str]:
    yield _csv_text([columns])
    wanted: PageRequest | None = replace(first, limit=MAX_PAGE, after=None)
    while wanted is not None:
        with page.read() as unit:
            found = list_page(unit.connection, unit.caller, source.listing, filters, wanted)
        rows = (orjson.loads(row) for row in found.rows)
        yield _csv_text([_cell(row[name]) for name in columns] for row in rows)
        wanted = replace(wanted, after=found.next_after) if found.next_after is not None else None


def _csv_text(rows: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    """Return a cell; text that a spreadsheet would run as a formula is quoted (OWASP, CSV injection)."""
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
