"""How lists and single rows are asked for and answered."""

import hashlib
import uuid
from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from db.pagination import MAX_PAGE, PageRequest, decode_cursor, encode_cursor
from db.repositories.access import find_program
from db.repositories.catalogue import Listing, RowPage, list_page, read_row
from db.schema.files import FileState
from db.schema.work import JobState
from services.api.answers import JsonAnswer, answer_cached, quote_etag
from services.api.context import RequestContext
from services.api.contract import describe_problems
from services.api.documents import Name, Sha256
from services.api.record_documents import Page

_PAGING = frozenset({"limit", "cursor", "order", "program"})


class PageQuery(BaseModel):
    """Which page; a parameter that is not known is refused, so that a misspelt filter cannot be overlooked."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    cursor: Annotated[str | None, Field(max_length=64, description="`next` of the page before")] = None
    order: Literal["newest", "oldest"] = "newest"

    def page(self) -> PageRequest:
        """Return the page; raises :class:`db.pagination.BadCursor`."""
        after = decode_cursor(self.cursor) if self.cursor is not None else None
        return PageRequest(self.limit, after, self.order == "newest")


class ProgramQuery(PageQuery):
    """Lists of rows that belong to a program."""

    program: Annotated[Name | None, Field(description="only of this program, by name or id")] = None

    def filters(self) -> dict[str, Any]:
        """Return the filters that were sent, by name."""
        sent = self.model_dump(exclude_none=True)
        return {name: value for name, value in sent.items() if name not in _PAGING}


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class FileQuery(ProgramQuery):
    """Filters of files; `format` may be given several times."""

    state: FileState | None = None
    sha256: Sha256 | None = None
    instrument: uuid.UUID | None = None
    format: Annotated[Annotated[list[Name], Field(max_length=20)] | None, BeforeValidator(_listed)] = None
    filename: Name | None = None

    def filters(self) -> dict[str, Any]:
        """Return the filters that were sent; a file is of one of the formats."""
        sent = super().filters()
        return {"formats" if name == "format" else name: value for name, value in sent.items()}


class BundleQuery(ProgramQuery):
    """Filters of bundles."""

    state: Literal["open", "received", "stored", "quarantined"] | None = None
    name: Name | None = None


class JobQuery(ProgramQuery):
    """Filters of jobs."""

    state: JobState | None = None
    kind: Name | None = None
    queue: Literal["ingest", "cpu", "gpu"] | None = None
    bundle: uuid.UUID | None = None
    raw_file: uuid.UUID | None = None
    probing_session: uuid.UUID | None = None


class WaveformQuery(ProgramQuery):
    """Filters of waveforms."""

    raw_file: uuid.UUID | None = None
    bundle: uuid.UUID | None = None
    probing_session: uuid.UUID | None = None
    net: Name | None = None
    name: Name | None = None
    kind: Literal["waveform", "envelope_min", "envelope_max", "digital_lines"] | None = None
    sha256: Sha256 | None = None


class DocumentQuery(ProgramQuery):
    """Filters of records that are one document each."""

    raw_file: uuid.UUID | None = None
    bundle: uuid.UUID | None = None
    name: Name | None = None


class SessionQuery(ProgramQuery):
    """Filters of probing sessions."""

    bundle: uuid.UUID | None = None
    raw_file: uuid.UUID | None = None
    unit: uuid.UUID | None = None
    name: Name | None = None
    role: Literal["suspect", "golden"] | None = None


class ResultQuery(ProgramQuery):
    """Filters of results."""

    probing_session: uuid.UUID | None = None
    raw_file: uuid.UUID | None = None
    job: uuid.UUID | None = None
    kind: Name | None = None
    verdict: Name | None = None


class FindingQuery(ProgramQuery):
    """Filters of findings."""

    result: uuid.UUID | None = None
    kind: Name | None = None
    subject: Name | None = None


def describe_page(item: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a list of ``item``."""
    return {200: {"model": Page[item]}, **describe_problems("not-found", "invalid-request")}  # type: ignore[valid-type]


def describe_row(item: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a single row."""
    return {
        200: {"model": item},
        304: {"description": "the version named in If-None-Match is current"},
        **describe_problems("not-found", "invalid-request"),
    }


def answer_rows(page: RowPage) -> JsonAnswer:
    """Return a page as JSON."""
    cursor = f'"{encode_cursor(page.next_after)}"' if page.next_after is not None else "null"
    return JsonAnswer(f'{{"items":[{",".join(page.rows)}],"next":{cursor}}}'.encode())


def answer_list(context: RequestContext, listing: Listing, query: ProgramQuery) -> Response:
    """Return one page of a resource, newest first unless asked otherwise."""
    page, filters = query.page(), query.filters()
    with context.read() as unit:
        if query.program is not None:
            actions = [listing.action] if listing.alternative is None else [listing.action, listing.alternative]
            allowed = next((each for each in actions if unit.caller.programs(each) != frozenset()), listing.action)
            filters["program"] = find_program(unit.connection, unit.caller, allowed, query.program)
        rows = list_page(unit.connection, unit.caller, listing, filters, page)
    return answer_rows(rows)


def answer_row(request: Request, context: RequestContext, listing: Listing, identity: uuid.UUID) -> Response:
    """Return one row, or 304 when the client has this version of it."""
    with context.read() as unit:
        text = read_row(unit.connection, unit.caller, listing, identity).encode()
    return answer_cached(request, text, quote_etag(hashlib.sha256(text).hexdigest()[:32]))
