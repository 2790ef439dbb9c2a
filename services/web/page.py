"""What a page works with: who looks at it, the form that was sent, and how refusals are shown to people."""

import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

import orjson
import structlog
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from db.blobs import BlobMissing
from db.pagination import BadCursor, PageRequest
from db.repositories.access import AccessError, Action, Caller
from db.repositories.catalogue import PROGRAMS, list_page
from db.repositories.console_access import forgery_token
from services.api.context import Presented, RequestContext, RequestUnit
from services.api.errors import problem_of_access, problem_of_database
from services.api.middleware import told_path
from services.api.state import ApiState
from services.problems import Problem
from services.web.rendering import HEADERS, answer_page

log = structlog.get_logger(__name__)

SIGN_IN = "/sign-in"
FORGERY_FIELD = "forgery"
THEMES = ("light", "dark")
TABLE_STATE = ("sort.", "filter.")
"""How names begin under which the tables' module keeps its state in the address: no page looks at them."""
MOST_PROGRAMS = 1000
SERVER_FAILURE = 500
"""From this status on a refusal asks the database nothing more."""
MOST_FIELDS = 1500
"""Fields of one form: a report's fifty mechanisms have up to twenty each."""


class Viewer:
    """Who looks at a page, as templates ask about them."""

    def __init__(self, caller: Caller, forgery: str) -> None:
        self.caller = caller
        self.name = caller.actor.removeprefix("account:")
        self.forgery = forgery

    def may(self, action: str, program_id: object = None) -> bool:
        """Return whether ``action`` is allowed in a program, or in any."""
        if program_id is not None:
            return self.caller.may(Action(action), uuid.UUID(str(program_id)))
        return self.caller.programs(Action(action)) != frozenset()

    @property
    def installs(self) -> bool:
        """Whether the viewer may make programs and accounts."""
        return self.caller.installation_admin


@dataclass(frozen=True)
class Page:
    """One request for a page, by somebody who is signed in."""

    request: Request
    context: RequestContext
    form: Mapping[str, str]

    @contextmanager
    def read(self) -> Iterator[RequestUnit]:
        """Open a connection to read with, as the API does."""
        with self.context.read() as unit:
            yield unit

    @contextmanager
    def begin(self) -> Iterator[RequestUnit]:
        """Open a transaction, as the API does."""
        with self.context.begin() as unit:
            yield unit

    @cached_property
    def query(self) -> dict[str, str]:
        """The query of the address without what was left empty, as forms send it, and what tables in a page keep."""
        sent = self.request.query_params.items()
        return {name: value for name, value in sent if value != "" and not name.startswith(TABLE_STATE)}

    def viewer(self, unit: RequestUnit) -> Viewer:
        """Return who looks at the page."""
        return Viewer(unit.caller, forgery_token(self.context.presented.session or ""))

    def show(self, unit: RequestUnit, template: str, status: int = 200, **values: Any) -> Response:
        """Return the page of ``template``."""
        shared = {
            "viewer": self.viewer(unit),
            "path": self.request.url.path,
            "theme": theme_of(self.request),
            "programs": read_programs(unit),
        }
        return answer_page(template, status, **shared, **values)

    def field(self, name: str, most: int = 2000) -> str:
        """Return a field of the form, trimmed; raises a problem when it is empty or too long."""
        value = self.form.get(name, "").strip()
        if not value or len(value) > most or "\x00" in value:
            raise Problem("invalid-request", f"the field {name!r} is empty or longer than {most} characters")
        return value

    def identity(self, name: str) -> uuid.UUID | None:
        """Return the id in a field of the form, ``None`` when it is empty; raises a problem when it is none."""
        text = self.form.get(name, "").strip()
        try:
            return uuid.UUID(text) if text else None
        except ValueError as error:
            raise Problem("invalid-request", f"the field {name!r} holds no id") from error


def read_programs(unit: RequestUnit) -> dict[str, str]:
    """Return the names of the programs that the caller sees, by id."""
    found = list_page(unit.connection, unit.caller, PROGRAMS, {}, PageRequest(MOST_PROGRAMS, newest_first=False))
    rows = [orjson.loads(row) for row in found.rows]
    return {row["id"]: row["name"] for row in rows}


def theme_of(request: Request) -> str | None:
    """Return the theme that the browser has chosen, ``None`` for the system's."""
    chosen = request.cookies.get("faultlight_theme")
    return chosen if chosen in THEMES else None


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form; the request's frame has bounded its size."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    text = (await request.body()).decode("utf-8", errors="replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise Problem("invalid-request", f"a form has at most {MOST_FIELDS} fields") from error


async def _make_page(request: Request) -> Page:
    form = await read_form(request) if request.method == "POST" else {}
    presented = Presented.of(request)
    # A page is for people: a key in the header is not looked at, and a form carries the token as a field.
    presented = replace(presented, authorization=None, forgery=presented.forgery or form.get(FORGERY_FIELD))
    if presented.session is None:
        raise Problem("unauthenticated", "sign in first")
    presented.secret()  # refuses a form without the token before anything looks at its fields
    state: ApiState = request.app.state.api
    request_id: str = request.scope["state"]["request_id"]
    return Page(request, RequestContext(state, presented, request_id, ()), form)


AnyPage = Annotated[Page, Depends(_make_page, scope="function")]


def redirect(path: str) -> Response:
    """Send the browser to another page with GET."""
    return RedirectResponse(path, status_code=303, headers=HEADERS)


class PageRoute(APIRoute):
    """A route whose refusals are pages, and a way to sign in for those who have not."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route with its refusals turned into pages."""
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except (
                Problem,
                AccessError,
                BadCursor,
                BlobMissing,
                RequestValidationError,
                ValidationError,
                SQLAlchemyError,
            ) as error:
                return await run_in_threadpool(show_refusal, request, _problem_of(error))
            except Exception:
                request_id: str = request.scope["state"]["request_id"]
                log.exception("request_failed", method=request.method, path=told_path(request.url.path))
                return await run_in_threadpool(
                    show_refusal, request, Problem("internal-error", f"see the log of request {request_id}")
                )

        return handle_page


def _problem_of(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case AccessError():
            return problem_of_access(error)
        case SQLAlchemyError():
            problem = problem_of_database(error)
            if problem is None:
                raise error
            return problem
        case BlobMissing():
            return Problem("original-missing", "the bytes of this row are missing")
        case ValidationError() | RequestValidationError():
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            return Problem("invalid-request", f"{place}: {first['msg']}")
    return Problem("invalid-request", str(error))


def show_refusal(request: Request, problem: Problem) -> Response:
    """Return the page that tells ``problem``, with the way on for whoever is signed in; strangers go to sign in."""
    if problem.kind.name == "unauthenticated":
        path = request.url.path if request.method == "GET" else "/"
        asked = f"{path}?{request.url.query}" if request.url.query and request.method == "GET" else path
        return redirect(SIGN_IN if asked == "/" else f"{SIGN_IN}?next={quote(asked, safe='')}")
    log.info("page_refused", path=told_path(request.url.path), problem=problem.kind.name, detail=problem.detail)
    return answer_page(
        "refusal.html",
        problem.kind.status,
        problem=problem,
        request_id=request.scope["state"]["request_id"],
        theme=theme_of(request),
        viewer=_viewer_of(request) if problem.kind.status < SERVER_FAILURE else None,
        path=request.url.path,
        narrowed=request.method == "GET" and problem.kind.name == "invalid-request" and bool(request.url.query),
        programs={},
    )


def _viewer_of(request: Request) -> Viewer | None:
    """Return who is refused, for the links of the page; ``None`` when that cannot be told."""
    presented = replace(Presented.of(request), authorization=None, changes=False)
    if presented.session is None:
        return None
    state: ApiState = request.app.state.api
    try:
        with RequestContext(state, presented, request.scope["state"]["request_id"], ()).read() as unit:
            return Viewer(unit.caller, forgery_token(presented.session))
    except (Problem, AccessError, SQLAlchemyError):
        return None
