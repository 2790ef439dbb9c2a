"""The page for addresses that nobody answers."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.api.errors import answer_http, problem_of_http
from services.web.page import show_refusal

NOT_FOR_PEOPLE = ("/api/", "/metrics", "/livez", "/readyz", "/openapi.json")


def install_refusals(app: FastAPI) -> None:
    """Make a browser that asks for an address which nobody answers see a page instead of a document."""
    app.add_exception_handler(HTTPException, _answer_stray)


async def _answer_stray(request: Request, error: Any) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "")
    if not wants_page or request.url.path.startswith(NOT_FOR_PEOPLE):
        return await answer_http(request, error)
    return await run_in_threadpool(show_refusal, request, problem_of_http(error))
