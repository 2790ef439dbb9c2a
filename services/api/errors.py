"""Every exception that leaves an endpoint, turned into a problem in one place."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy import exc
from starlette.exceptions import HTTPException
from starlette.responses import Response

from db.blobs import BlobMissing
from db.pagination import BadCursor
from db.repositories.access import AccessError, ActionDenied, Conflict, KeyRejected, RowNotFound
from db.repositories.bundles import InvalidPath
from services.api.answers import answer_problem
from services.api.context import CHALLENGE
from services.problems import Problem

log = structlog.get_logger(__name__)

_STATUS_PROBLEMS = {404: "not-found", 405: "method-not-allowed", 413: "request-too-large", 415: "wrong-content-type"}
_MAX_SHOWN = 100


def install_error_handlers(app: FastAPI) -> None:
    """Make the application answer every expected exception with a problem."""
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(AccessError, _answer_access)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(exc.SQLAlchemyError, _answer_database)
    app.add_exception_handler(BlobMissing, _answer_blob)
    app.add_exception_handler(BadCursor, _answer_invalid)
    app.add_exception_handler(InvalidPath, _answer_invalid)


def problem_of_access(error: AccessError) -> Problem:
    """Return the problem that tells why access was refused."""
    match error:
        case KeyRejected():
            return Problem("unauthenticated", str(error), headers=CHALLENGE)
        case ActionDenied():
            return Problem("forbidden", str(error), extra={"action": error.action.value})
        case RowNotFound():
            return Problem("not-found", str(error))
        case Conflict():
            return Problem("conflict", str(error))
    return Problem("forbidden", str(error))


def problem_of_database(error: exc.SQLAlchemyError) -> Problem | None:
    """Return the problem of an expected failure of the database, ``None`` for a surprise."""
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return Problem("unavailable", "the database went away", headers={"Retry-After": "2"})
    match error:
        case exc.OperationalError() | exc.InterfaceError() | exc.TimeoutError():
            return Problem("unavailable", "the database did not answer in time", headers={"Retry-After": "2"})
        case exc.DataError():
            return Problem("invalid-request", "a value cannot be stored: too large, or not valid text")
        case exc.IntegrityError():
            return Problem("conflict", "the request contradicts what is stored")
    return None


async def _answer_problem(request: Request, error: Any) -> Response:
    return answer_problem(error, request.url.path)


async def _answer_access(request: Request, error: Any) -> Response:
    return answer_problem(problem_of_access(error), request.url.path)


async def _answer_invalid(request: Request, error: Any) -> Response:
    return answer_problem(Problem("invalid-request", str(error)), request.url.path)


async def _answer_blob(request: Request, error: Any) -> Response:
    log.error("original_missing", key=error.key)
    return answer_problem(Problem("original-missing", "the bytes of this row are missing"), request.url.path)


async def _answer_validation(request: Request, error: Any) -> Response:
    shown = [
        {"location": [str(part) for part in each["loc"]], "message": str(each["msg"]), "type": str(each["type"])}
        for each in error.errors()[:_MAX_SHOWN]
    ]
    problem = Problem("invalid-request", "the request is not valid; see errors", extra={"errors": shown})
    return answer_problem(problem, request.url.path)


def problem_of_http(error: HTTPException) -> Problem:
    """Return the problem of what the framework itself refuses."""
    name = _STATUS_PROBLEMS.get(error.status_code, "invalid-request")
    told = {404: "nothing is at this address", 405: "this address does not take that method"}
    detail = told.get(error.status_code, str(error.detail))
    return Problem(name, detail, headers=error.headers)


async def answer_http(request: Request, error: Any) -> Response:
    """Return the document that tells what the framework itself refuses."""
    return answer_problem(problem_of_http(error), request.url.path)


async def _answer_database(request: Request, error: Any) -> Response:
    problem = problem_of_database(error)
    if problem is None:
        raise error
    log.warning("database_failure", error=type(error).__name__, detail=str(error)[:500])
    return answer_problem(problem, request.url.path)
