"""Every problem the API answers with (RFC 9457), from one catalogue.

``docs/reference/problems.md`` is generated from it and ``/problems/<name>`` serves it, so that the ``type`` of an
answer resolves to its explanation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ProblemType:
    """A kind of problem: its name in the ``type`` URI, HTTP status, title, and what to do about it."""

    name: str
    status: int
    title: str
    explanation: str


_TYPES = (
    ProblemType(
        "unauthenticated",
        401,
        "The API key is missing or not accepted",
        "Send `Authorization: Bearer fl_…`. The key may be unknown, revoked or expired.",
    ),
    ProblemType(
        "forbidden",
        403,
        "The key does not allow this",
        "The key lacks the scope, or your role in the program does not allow the action.",
    ),
    ProblemType(
        "not-found",
        404,
        "There is no such resource",
        "It does not exist, or it belongs to a program that you are not a member of: the answer is the same.",
    ),
    ProblemType(
        "method-not-allowed",
        405,
        "The resource does not have this method",
        "The header `Allow` lists the methods it has.",
    ),
    ProblemType(
        "conflict",
        409,
        "The request contradicts what is stored",
        "Usually a name that is already taken; `detail` says which.",
    ),
    ProblemType("not-cancellable", 409, "The job has ended", "A job that has ended cannot be cancelled."),
    ProblemType(
        "request-too-large",
        413,
        "The request body is too large",
        "JSON bodies are limited to 1 MiB (bundle declarations to 16 MiB); files go through `/uploads`.",
    ),
    ProblemType(
        "range-not-satisfiable",
        416,
        "The range lies outside the file",
        "The header `Content-Range` says how long the file is.",
    ),
    ProblemType(
        "invalid-request",
        422,
        "The request is not valid",
        "`errors` lists what is wrong and where. Text may not contain NUL characters.",
    ),
    ProblemType(
        "too-many-requests", 429, "Too many requests with this key", "Wait as long as `Retry-After` says (seconds)."
    ),
    ProblemType(
        "internal-error",
        500,
        "Something unexpected happened",
        "It was logged under the request id that the answer carries in `X-Request-ID`.",
    ),
    ProblemType(
        "original-missing",
        500,
        "The blob store does not have these bytes",
        "The row refers to an object that the blob store does not have: restore it from a backup.",
    ),
    ProblemType(
        "unavailable",
        503,
        "A server behind the API is not available",
        "The database did not answer in time. Nothing was changed; try again after `Retry-After` seconds.",
    ),
    ProblemType(
        "invalid-upload-header",
        400,
        "A header of the upload protocol is missing or malformed",
        "`detail` names the header. Lengths and offsets are plain decimal numbers.",
    ),
    ProblemType(
        "invalid-upload-metadata",
        400,
        "Upload-Metadata is malformed",
        "`Upload-Metadata` is `key base64,key base64`; values are UTF-8 without NUL; `filename` has no path "
        "separators; `program` names the program; `sha256` is 64 hex digits.",
    ),
    ProblemType("deferred-length", 400, "The length must be known", "`Upload-Defer-Length` is not supported."),
    ProblemType(
        "checksum-unsupported",
        400,
        "The checksum's algorithm is not supported",
        "`Upload-Checksum` is `sha256 <base64>` or `sha1 <base64>`.",
    ),
    ProblemType(
        "offset-conflict",
        409,
        "Upload-Offset is not where the upload stands",
        "Ask with HEAD for the true offset and continue from there.",
    ),
    ProblemType(
        "upload-interrupted",
        409,
        "The request was interrupted by another one",
        "A later request asked for this upload's offset; the bytes that had arrived are kept.",
    ),
    ProblemType("upload-completed", 409, "The upload is complete", "A complete upload cannot be terminated."),
    ProblemType(
        "bundle-mismatch",
        409,
        "The file does not fit the bundle",
        "The bundle does not declare this path with this sha256 and size, or belongs to another program.",
    ),
    ProblemType("upload-gone", 410, "The upload has expired", "Begin a new upload."),
    ProblemType(
        "tus-version",
        412,
        "Tus-Resumable is missing or names another version",
        "Send `Tus-Resumable: 1.0.0`; `Tus-Version` lists what the server speaks.",
    ),
    ProblemType(
        "upload-too-large",
        413,
        "The file is larger than the server accepts",
        "`Tus-Max-Size` says how many bytes are accepted.",
    ),
    ProblemType("length-exceeded", 413, "More bytes than the upload's length", "This request's bytes were discarded."),
    ProblemType(
        "quota-exceeded",
        413,
        "The program's quota does not allow this file",
        "The program's originals and its unfinished uploads together reach the quota.",
    ),
    ProblemType(
        "wrong-content-type",
        415,
        "The body has the wrong content type",
        "PATCH takes `application/offset+octet-stream`; everything else takes `application/json`.",
    ),
    ProblemType(
        "upload-locked",
        423,
        "The upload is busy with another request",
        "Another request is receiving or hashing it; try again after `Retry-After` seconds.",
    ),
    ProblemType(
        "checksum-mismatch",
        460,
        "The checksum does not match the bytes",
        "A chunk with a wrong `Upload-Checksum` was discarded; a file with a wrong `sha256` was dropped "
        "together with its upload: begin again.",
    ),
    ProblemType(
        "insufficient-storage",
        507,
        "The server has no room for the file",
        "The staging disk would fall below its reserve; try again after `Retry-After` seconds.",
    ),
)

CATALOGUE: Mapping[str, ProblemType] = {kind.name: kind for kind in _TYPES}
"""Every problem by name."""


class Problem(Exception):  # noqa: N818
    """An expected failure with its place in the catalogue; the API answers with it."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = CATALOGUE[name]
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def document(self, instance: str | None = None) -> dict[str, Any]:
        """Return the members of the RFC 9457 document."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.kind.name}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        if instance is not None:
            body["instance"] = instance
        return body | self.extra


def reference_page() -> str:
    """Return the text of ``docs/reference/problems.md``."""
    lines = [
        "# Problems",
        "",
        "Every error is `application/problem+json` (RFC 9457). Its `type` is one of these, under `/problems/`.",
        "This page is generated from `services/problems.py` by `python -m services.api.contract`.",
        "",
    ]
    for kind in sorted(_TYPES, key=lambda each: (each.status, each.name)):
        lines += [f"## {kind.name}", "", f"**{kind.status}** {kind.title}.", "", kind.explanation, ""]
    return "\n".join(lines)
