"""Tables within one answer: searched, sorted, paged by their address, and exported as CSV or Parquet."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Column, Double, Text
from starlette.responses import Response, StreamingResponse

from services.problems import Problem
from services.web.exports import FORMATS, csv_pieces, parquet_pieces
from services.web.page import Page
from services.web.rendering import HEADERS

ROWS = 50


@dataclass(frozen=True)
class BodyColumn:
    """A column: its name in addresses and CSV, its heading, what a row says, and whether that is a number."""

    name: str
    heading: str
    value: Callable[[Mapping[str, Any]], Any]
    numeric: bool = False


@dataclass(frozen=True)
class BodyTable:
    """A page of rows as the template shows it, and addresses of everything else."""

    columns: Sequence[BodyColumn]
    rows: list[Mapping[str, Any]]
    found: int
    first: int
    search: str
    sort: str
    descending: bool
    kept: list[tuple[str, str]]
    sort_urls: dict[str, str]
    next_url: str | None
    previous_url: str | None
    export_urls: dict[str, str]


def show_table(page: Page, rows: Sequence[Mapping[str, Any]], columns: Sequence[BodyColumn]) -> BodyTable:
    """Return the rows of the page that the address asks for: ``q``, ``sort`` (``-name`` falls), ``at``."""
    chosen, sort, descending = _choose(page, rows, columns)
    at = _number(page.query.get("at", "0"))
    # What is named several times in an address, as units of a drawing are, stays so.
    kept = [pair for pair in page.request.query_params.multi_items() if pair[0] not in ("at", "export") and pair[1]]
    path = page.request.url.path

    def address(**changed: str) -> str:
        return f"{path}?{urlencode([*(pair for pair in kept if pair[0] not in changed), *changed.items()])}"

    return BodyTable(
        columns=columns,
        rows=list(chosen[at : at + ROWS]),
        found=len(chosen),
        first=at,
        search=page.query.get("q", ""),
        sort=sort,
        descending=descending,
        kept=[pair for pair in kept if pair[0] != "q"],
        sort_urls={
            each.name: address(sort=f"-{each.name}" if sort == each.name and not descending else each.name)
            for each in columns
        },
        next_url=address(at=str(at + ROWS)) if at + ROWS < len(chosen) else None,
        previous_url=address(at=str(max(0, at - ROWS))) if at else None,
        export_urls={form: address(export=form) for form in FORMATS},
    )


def answer_table(page: Page, rows: Sequence[Mapping[str, Any]], columns: Sequence[BodyColumn], name: str) -> Response:
    """Return all rows that pass the search as the file that ``export`` asks for."""
    chosen, _, _ = _choose(page, rows, columns)
    form = page.query["export"]
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    typed: list[Column[Any]] = [Column(each.name, Double() if each.numeric else Text()) for each in columns]
    told = [[{each.name: each.value(row) for each in columns} for row in chosen]]
    pieces: Iterator[Any] = csv_pieces(typed, told) if form == "csv" else parquet_pieces(typed, told)
    return StreamingResponse(pieces, headers=headers, media_type=FORMATS[form])


def _choose(
    page: Page, rows: Sequence[Mapping[str, Any]], columns: Sequence[BodyColumn]
) -> tuple[list[Mapping[str, Any]], str, bool]:
    wanted = page.query.get("q", "").casefold()
    chosen = [row for row in rows if wanted in _said(row, columns)] if wanted else list(rows)
    asked = page.query.get("sort", "")
    descending, name = asked.startswith("-"), asked.removeprefix("-")
    if not name:
        return chosen, "", False
    column = next((each for each in columns if each.name == name), None)
    if column is None:
        raise Problem("invalid-request", f"the table has no column {name[:40]!r}")
    known = [row for row in chosen if column.value(row) not in (None, "")]
    known.sort(key=lambda row: _key(column.value(row)), reverse=descending)
    return known + [row for row in chosen if column.value(row) in (None, "")], name, descending


def _said(row: Mapping[str, Any], columns: Sequence[BodyColumn]) -> str:
    values = (each.value(row) for each in columns)
    return " ".join(str(value) for value in values if value is not None).casefold()


def _key(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float) and not math.isnan(value):
        return 0, float(value), ""
    return 1, 0.0, str(value).casefold()


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Problem("invalid-request", "at is the number of the first row")
    return int(text)
