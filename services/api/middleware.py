"""What happens around every request: its id, a log line, metrics, security headers, a limit on bodies."""

import re
import time
from collections.abc import Mapping
from functools import cache

import structlog
from prometheus_client import Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.identifiers import uuid7
from services.api.answers import answer_problem
from services.api.metrics import REQUEST_SECONDS
from services.api.uploads.protocol import VERSION
from services.problems import Problem

log = structlog.get_logger(__name__)

API = "/api/v1"
UPLOADS = f"{API}/uploads"
MEBIBYTE = 1 << 20
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FRAMING = frozenset({b"x-request-id", b"content-length", b"x-http-method-override"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
_SECRET_PATHS = ("/sign-in/once/",)
"""What comes after is a secret, which the log must not tell."""
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"private, no-cache"),
)


def told_path(path: str) -> str:
    """Return the path as the log may tell it."""
    return next((f"{secret}..." for secret in _SECRET_PATHS if path.startswith(secret)), path)


def is_upload_path(path: str) -> bool:
    """Return whether the path speaks tus."""
    return path == UPLOADS or path.startswith(f"{UPLOADS}/")


def body_limit(path: str) -> int | None:
    """Return how many bytes a body may have; ``None`` for uploads, which have limits of their own."""
    if is_upload_path(path):
        return None
    return 16 * MEBIBYTE if path in (f"{API}/bundles", "/tables") else MEBIBYTE


def _framing_headers(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers that the frame looks at, the first of each name; the server gives names in lower case."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _FRAMING:
            found.setdefault(name, value)
    return found


def _announced_length(value: bytes) -> int:
    """Return the body's length as the client tells it; 0 when it tells nothing that counts."""
    return int(value) if re.fullmatch(rb"[0-9]{1,32}", value) else 0


@cache
def _histogram(method: str, route: str, status: int) -> Histogram:
    """Return the histogram of these labels; there are as many as routes, methods and statuses."""
    return REQUEST_SECONDS.labels(method, route, str(status))


class BodyTooLarge(HTTPException):
    """The body has more bytes than its route takes (an HTTPException passes through FastAPI's body parsing)."""

    def __init__(self, limit: int | None) -> None:
        super().__init__(413, f"this route takes at most {limit} bytes")


class RequestFrame:
    """The outermost layer of the application (plain ASGI, so that streams pass through untouched).

    ``labels`` names each endpoint's route for the metrics.
    """

    def __init__(self, app: ASGIApp, labels: Mapping[object, str]) -> None:
        self._app = app
        self._labels = labels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _FramedRequest(self._app, self._labels, (scope, receive, send)).run()


class _FramedRequest:
    """One request on its way through the frame."""

    def __init__(self, app: ASGIApp, labels: Mapping[object, str], request: tuple[Scope, Receive, Send]) -> None:
        self._app, self._labels = app, labels
        self._scope, self._receive, self._send = request
        scope = self._scope
        headers = _framing_headers(scope)
        sent_id = headers.get(b"x-request-id", b"").decode("latin-1")
        self._request_id = sent_id if _REQUEST_ID.fullmatch(sent_id) else str(uuid7())
        self._announced_bytes = _announced_length(headers.get(b"content-length", b""))
        self._path: str = scope["path"]
        self._limit = body_limit(self._path)
        self._body_bytes = 0
        self._status = 0
        override = headers.get(b"x-http-method-override", b"").upper()
        if scope["method"] == "POST" and override in {b"PATCH", b"DELETE"} and is_upload_path(self._path):
            scope["method"] = override.decode()
        scope.setdefault("state", {})["request_id"] = self._request_id

    async def run(self) -> None:
        """Call the application and tell what it did."""
        structlog.contextvars.bind_contextvars(request_id=self._request_id)
        started = time.perf_counter()
        try:
            if self._limit is not None and self._announced_bytes > self._limit:
                raise BodyTooLarge(self._limit)
            await self._app(self._scope, self._limited_receive, self._framed_send)
        except BodyTooLarge as error:
            await self._fail(Problem("request-too-large", error.detail))
        except Exception:
            log.exception("request_failed", method=self._scope["method"], path=told_path(self._path))
            if self._status:
                raise
            await self._fail(Problem("internal-error", f"see the log of request {self._request_id}"))
        finally:
            self._tell(time.perf_counter() - started)

    async def _fail(self, problem: Problem) -> None:
        if not self._status:
            await answer_problem(problem, self._path)(self._scope, self._receive, self._framed_send)

    def _tell(self, seconds: float) -> None:
        label = self._labels.get(self._scope.get("endpoint"), "unmatched")
        method = self._scope["method"]
        method = method if method in _METHODS else "other"
        _histogram(method, label, self._status).observe(seconds)
        tell = log.debug if self._path in _QUIET else log.info
        path, duration_ms = told_path(self._path), round(seconds * 1000, 2)
        tell("request", method=method, path=path, status=self._status, duration_ms=duration_ms)

    async def _limited_receive(self) -> Message:
        message = await self._receive()
        if self._limit is not None and message["type"] == "http.request":
            self._body_bytes += len(message.get("body", b""))
            if self._body_bytes > self._limit:
                raise BodyTooLarge(self._limit)
        return message

    async def _framed_send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = list(message["headers"])
            sent = {name for name, _ in headers}
            headers.append((b"x-request-id", self._request_id.encode()))
            headers.extend(header for header in _SECURITY_HEADERS if header[0] not in sent)
            if is_upload_path(self._path) and b"tus-resumable" not in sent:
                headers.append((b"tus-resumable", VERSION.encode()))
            message = {**message, "headers": headers}
        await self._send(message)
