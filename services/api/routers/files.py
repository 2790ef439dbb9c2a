"""Original files, bit for bit."""

import re
import uuid
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from db.blobs import BlobMissing, BlobStore
from db.repositories.catalogue import FILES, fetch_row
from services.api.answers import IMMUTABLE, VARY, matches_etag, quote_etag
from services.api.context import ReadsOperations
from services.api.contract import describe_problems
from services.api.listing import FileQuery, answer_list, answer_row, describe_page, describe_row
from services.api.record_documents import FileDetail, FileItem
from services.problems import Problem

router = APIRouter(prefix="/files", tags=["files"])

_BLOCK_BYTES = 1 << 20
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_BINARY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


@router.get("", responses=describe_page(FileItem))
def list_files(query: Annotated[FileQuery, Query()], context: ReadsOperations) -> Response:
    """Return original files."""
    return answer_list(context, FILES, query)


@router.get("/{file_id}", responses=describe_row(FileDetail))
def read_file(file_id: uuid.UUID, request: Request, context: ReadsOperations) -> Response:
    """Return what is known of a file, and why it was quarantined."""
    return answer_row(request, context, FILES, file_id)


def parse_range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the byte after the last one of a ``Range``; ``None`` for the whole file.

    Several ranges, and anything malformed, are ignored as RFC 9110 allows. Raises ``range-not-satisfiable``.
    """
    form = _RANGE.fullmatch(text.replace(" ", "")) if text is not None else None
    if form is None or form[1] == form[2] == "":
        return None
    if form[1] == "":
        first, last = max(0, size - int(form[2])), size
        satisfiable = int(form[2]) > 0 and size > 0
    else:
        first = int(form[1])
        last = size if form[2] == "" else min(int(form[2]) + 1, size)
        if form[2] != "" and int(form[2]) < first:
            return None
        satisfiable = first < size
    if not satisfiable:
        raise Problem(
            "range-not-satisfiable", f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"}
        )
    return first, last


def stream_bytes(blobs: BlobStore, key: str, first: int, last: int) -> Iterator[bytes]:
    """Yield the bytes ``first`` up to, not including, ``last``; raises :class:`BlobMissing` when some are not there."""
    for start in range(first, last, _BLOCK_BYTES):
        length = min(_BLOCK_BYTES, last - start)
        block = blobs.read_range(key, start, length)
        if len(block) != length:
            raise BlobMissing(key)
        yield block


@router.get(
    "/{file_id}/content",
    response_class=Response,
    responses={
        200: {"description": "the original bytes", **_BINARY},
        206: {"description": "the bytes of the Range", **_BINARY},
        304: {"description": "the version named in If-None-Match is current"},
        **describe_problems("not-found", "range-not-satisfiable", "original-missing"),
    },
)
def read_content(file_id: uuid.UUID, request: Request, context: ReadsOperations) -> Response:
    """Return the original bytes, or one range of them."""
    with context.read() as unit:
        row = fetch_row(unit.connection, unit.caller, FILES, file_id)
    size, etag = row["size_bytes"], quote_etag(row["sha256"])
    headers = {
        "ETag": etag,
        "Cache-Control": IMMUTABLE,
        "Vary": VARY,
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row['filename'], safe='')}",
    }
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    applies = request.headers.get("if-range") in {None, etag}
    span = parse_range(request.headers.get("range") if applies else None, size)
    first, last = span or (0, size)
    headers["Content-Length"] = str(last - first)
    if span is not None:
        headers["Content-Range"] = f"bytes {first}-{last - 1}/{size}"
    blocks = stream_bytes(context.state.blobs, row["blob_key"], first, last)
    opening = next(blocks, b"")

    def stream() -> Iterator[bytes]:
        yield opening
        yield from blocks

    status = 206 if span is not None else 200
    return StreamingResponse(stream(), status, headers, media_type="application/octet-stream")
