"""One request and its answer: which answers are final, which are worth another try, and whose answers they are."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from services.uploader.backoff import parse_retry_after
from services.uploader.bandwidth import TokenBucket, pace
from services.uploader.errors import Blocked, Refused

PROBLEM = "application/problem+json"
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_TRANSIENT_STATUS = frozenset({408, 409, 423, 425, 429, 460})
_GONE_STATUS = frozenset({404, 410})
_FINAL_NAMES = frozenset({"bundle-mismatch"})
_BLOCKING_STATUS = frozenset({401, 403, 404, 405, 412})
_BLOCKING_NAMES = frozenset(
    {
        "quota-exceeded",
        "invalid-upload-header",
        "deferred-length",
        "checksum-unsupported",
        "length-exceeded",
        "wrong-content-type",
    }
)
_BLOCKING_DETAILS = frozenset({"program is missing"})


@dataclass(frozen=True)
class Problem:
    """A problem document: HTTP status, name in the catalogue, and detail."""

    status: int
    name: str
    detail: str


class Transient(Exception):  # noqa: N818
    """Worth another try, not before ``retry_after_s``; ``name`` is the problem's, if the service named one."""

    def __init__(self, reason: str, name: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.name = name
        self.retry_after_s = retry_after_s


class Gone(Exception):  # noqa: N818
    """The service has no such upload (any more)."""


def check_url(url: str) -> str:
    """Return the service's address without a slash at its end; raises ValueError for anything but http(s)."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is no address of a service: expected http://host or https://host")
    if parts.username is not None:
        raise ValueError("the address holds a user name; the key goes into FAULTLIGHT_KEY")
    return url.strip().rstrip("/")


def is_loopback(url: str) -> bool:
    """Return whether the address is this machine: no proxy may stand in between."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Exchange:
    """Requests to the service at ``url`` with ``key``; an empty one is not sent.

    Proxies and certificates come from the environment (``HTTPS_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE``), except for
    this machine. Redirects are not followed: the key goes to the configured address and nowhere else. What is sent
    passes through ``bucket``, if there is one.
    """

    def __init__(
        self, url: str, key: str, transport: httpx.BaseTransport | None = None, bucket: TokenBucket | None = None
    ) -> None:
        self.url = check_url(url)
        self._bucket = bucket
        if not key.isascii() or not key.isprintable():
            raise ValueError("the key holds characters that no key has")
        self._client = httpx.Client(
            headers={"User-Agent": "faultlight-uploader"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            timeout=TIMEOUT,
            trust_env=not is_loopback(self.url),
            follow_redirects=False,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(
        self, method: str, path: str, *, gone: bool = False, read_s: float | None = None, **rest: Any
    ) -> httpx.Response:
        """Return the service's answer, which has a 2xx status.

        ``path`` is below the service's address, ``rest`` goes to httpx; ``gone`` says that the request is about an
        upload that was accepted, which a 404 tells to be gone; ``read_s`` is how long the answer may take.

        Raises:
            Transient: no answer, a busy or failing service, or an answer that is not the service's.
            Gone: 404 or 410, when ``gone``.
            Refused, Blocked: it will not have it.
        """
        if read_s is not None:
            rest["timeout"] = httpx.Timeout(TIMEOUT.write, connect=TIMEOUT.connect, read=read_s)
        try:
            request = self._client.build_request(method, f"{self.url}{path}", **rest)
            if self._bucket is not None:
                pace(request, self._bucket)
            answer = self._client.send(request)
        except httpx.TransportError as error:
            raise Transient(f"no answer from {self.url}: {str(error) or type(error).__name__}") from error
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            raise Transient(f"no readable answer from {self.url}: {error}") from error
        if answer.is_success:
            return answer
        raise judge(answer, gone=gone)


def judge(answer: httpx.Response, *, gone: bool = False) -> Exception:
    """Return what an answer other than 2xx means; ``gone`` as for :meth:`Exchange.ask`."""
    status = answer.status_code
    retry_after_s = parse_retry_after(answer.headers)
    if answer.headers.get("content-type", "").split(";")[0].strip().lower() != PROBLEM:
        target = f" to {answer.headers.get('location', '')[:200]}" if answer.is_redirect else ""
        return Transient(f"something that is not Faultlight answered {status}{target}", "", retry_after_s)
    problem = read_problem(answer)
    if gone and status in _GONE_STATUS:
        return Gone(problem.detail)
    if status >= 500 or (status in _TRANSIENT_STATUS and problem.name not in _FINAL_NAMES):
        return Transient(f"the service answered {status}: {problem.detail}", problem.name, retry_after_s)
    blocking = (
        gone  # the content was accepted when the upload was begun: this is about the request
        or status in _BLOCKING_STATUS
        or problem.name in _BLOCKING_NAMES
        or problem.detail in _BLOCKING_DETAILS
    )
    return (Blocked if blocking else Refused)(status, problem.name, problem.detail)


def read_problem(answer: httpx.Response) -> Problem:
    """Return the problem of an answer; an answer to HEAD has no body, its status must do."""
    try:
        document = answer.json()
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    name = str(document.get("type", "")).rsplit("/", 1)[-1] or f"status-{answer.status_code}"
    detail = str(document.get("detail") or document.get("title") or answer.reason_phrase)
    errors = document.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        detail += f": {errors[0].get('message', '')}"
    return Problem(answer.status_code, name, detail)


def read_object(answer: httpx.Response, *members: str) -> Mapping[str, Any]:
    """Return a JSON object that has ``members``; raises :class:`Transient` when something else answered."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict) or any(member not in document for member in members):
        raise Transient(f"something that is not Faultlight answered {answer.status_code}")
    return document
