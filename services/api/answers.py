"""Answers made of JSON bytes, and conditional requests."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from services.problems import MEDIA_TYPE, Problem

IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"
VARY = "Accept, Authorization, Cookie"
"""What an answer depends on beside its address: who asks is told by a key or by the console's cookie."""


class JsonAnswer(Response):
    """A document that is JSON bytes already, or is made so by orjson."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return content if isinstance(content, bytes) else orjson.dumps(content)


class ProblemAnswer(Response):
    """An RFC 9457 document."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return orjson.dumps(content, default=str)


def answer_problem(problem: Problem, instance: str | None = None) -> ProblemAnswer:
    """Return the answer that tells ``problem``."""
    return ProblemAnswer(problem.document(instance), problem.kind.status, headers=problem.headers)


def quote_etag(*parts: object) -> str:
    """Return a strong entity tag of content hashes or job keys."""
    return '"' + "-".join(str(part) for part in parts) + '"'


def matches_etag(request: Request, etag: str) -> bool:
    """Return whether the client has this version already (If-None-Match, weak comparison)."""
    sent = request.headers.get("if-none-match")
    if sent is None:
        return False
    candidates = [each.strip().removeprefix("W/") for each in sent.split(",")]
    return sent.strip() == "*" or etag in candidates


def answer_cached(request: Request, content: Any, etag: str, cache: str = REVALIDATE) -> Response:
    """Return the JSON document, or 304 when the client has it."""
    headers: Mapping[str, str] = {"ETag": etag, "Cache-Control": cache, "Vary": VARY}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=dict(headers))
    return JsonAnswer(content, headers=dict(headers))
