"""Pages of rows: filtered, paged by cursors, and exported as CSV or Parquet; the same query as the API's list."""

from collections.abc import Callable, Iterator
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
from services.web.exports import FORMATS, csv_pieces, parquet_pieces
from services.web.page import Page
from services.web.rendering import HEADERS

ROWS = 50


@dataclass(frozen=True)
class ShownList:
    """One page of a list as a template shows it: rows, and addresses of what comes after, of files, of the API."""

    rows: list[dict[str, Any]]
    filters: dict[str, str]
    next_url: str | None
    first_url: str | None
    export_urls: dict[str, str]
    api_url: str
    newest_first: bool
    order_url: str


@dataclass(frozen=True)
class ListSource:
    """A list: its rows, the model of its filters, the API's path; and filters that the page has by itself."""

    listing: Listing
    query: type[ProgramQuery]
    api_path: str
    own: tuple[tuple[str, str], ...] = ()

    def parse(self, page: Page) -> ProgramQuery:
        """Return the filters of the address; raises pydantic's error for one that is not known."""
        sent: dict[str, Any] = {name: value for name, value in page.query.items() if name != "export"}
        own: dict[str, Any] = {name: [value for other, value in self.own if other == name] for name, _ in self.own}
        own = {name: values[0] if len(values) == 1 else values for name, values in own.items()}
        return self.query.model_validate({"limit": ROWS} | sent | own)


def load_rows(
    unit: RequestUnit, listing: Listing, filters: dict[str, Any], most: int, *, newest_first: bool = True
) -> list[dict[str, Any]]:
    """Return the first ``most`` rows of a listing that the caller may read, as the API tells them."""
    found = list_page(unit.connection, unit.caller, listing, filters, PageRequest(most, newest_first=newest_first))
    return [orjson.loads(row) for row in found.rows]


def wants_export(page: Page) -> bool:
    """Return whether the address asks for the list as a file."""
    return page.query.get("export") in FORMATS


def load_list(page: Page, unit: RequestUnit, source: ListSource) -> ShownList:
    """Return the page of the list that the address asks for."""
    query = source.parse(page)
    found = list_page(unit.connection, unit.caller, source.listing, _filters(unit, source, query), query.page())
    kept = {name: value for name, value in page.query.items() if name not in ("cursor", "export")}
    own = {name for name, _ in source.own}
    asked = [*source.own, *(pair for pair in kept.items() if pair[0] not in own)]
    after = encode_cursor(found.next_after) if found.next_after is not None else None
    path = page.request.url.path
    return ShownList(
        rows=[orjson.loads(row) for row in found.rows],
        filters={name: value for name, value in kept.items() if name not in ("order", "limit")},
        next_url=f"{path}?{urlencode(kept | {'cursor': after})}" if after else None,
        first_url=f"{path}?{urlencode(kept)}" if "cursor" in page.query else None,
        export_urls={form: f"{path}?{urlencode(kept | {'export': form})}" for form in FORMATS},
        api_url=f"/api/v1/{source.api_path}" + (f"?{urlencode(asked)}" if asked else ""),
        newest_first=query.order == "newest",
        order_url=f"{path}?{urlencode(kept | {'order': 'oldest' if query.order == 'newest' else 'newest'})}",
    )


def _filters(unit: RequestUnit, source: ListSource, query: ProgramQuery) -> dict[str, Any]:
    filters = query.filters()
    if query.program is not None:
        action = source.listing.action
        filters["program"] = find_program(unit.connection, unit.caller, action, query.program)
    return filters


def answer_export(page: Page, source: ListSource, name: str) -> Response:
    """Return every row that passes the filters as CSV or Parquet, newest first, in pieces."""
    query = source.parse(page)
    with page.read() as unit:
        filters = _filters(unit, source, query)
    form = page.query["export"]
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    write: Callable[..., Iterator[Any]] = csv_pieces if form == "csv" else parquet_pieces
    pieces = write(source.listing.columns(detail=False), _pages(page, source, filters, query.page()))
    return StreamingResponse(pieces, headers=headers, media_type=FORMATS[form])


def _pages(
    page: Page, source: ListSource, filters: dict[str, Any], first: PageRequest
) -> Iterator[list[dict[str, Any]]]:
    wanted: PageRequest | None = replace(first, limit=MAX_PAGE, after=None)
    while wanted is not None:
        with page.read() as unit:
            found = list_page(unit.connection, unit.caller, source.listing, filters, wanted)
        yield [orjson.loads(row) for row in found.rows]
        wanted = replace(wanted, after=found.next_after) if found.next_after is not None else None
