"""The stored bytes of a record that is one document or one block of samples."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from db.blobs import BlobMissing, BlobStore
from db.repositories.catalogue import Listing, fetch_row
from services.api.answers import IMMUTABLE, VARY, matches_etag, quote_etag
from services.api.context import RequestContext
from services.api.contract import describe_problems

JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
BINARY = "application/octet-stream"
_BLOCK_BYTES = 1 << 20


def describe_bytes(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of the bytes of a record."""
    schema = {"type": "object"} if media_type == JSON else {"type": "string", "format": "binary"}
    return {
        200: {"description": "the record's bytes", "content": {media_type: {"schema": schema}}},
        304: {"description": "the version named in If-None-Match is current"},
        **describe_problems("not-found", "original-missing"),
    }


def _no_headers(_row: Mapping[str, Any]) -> dict[str, str]:
    return {}


def answer_bytes(
    request: Request,
    context: RequestContext,
    target: tuple[Listing, uuid.UUID],
    media_type: str,
    describe: Callable[[Mapping[str, Any]], dict[str, str]] = _no_headers,
) -> Response:
    """Return the bytes of the record ``target``, or 304; ``describe`` gives further headers from its row."""
    with context.read() as unit:
        row = fetch_row(unit.connection, unit.caller, *target)
    etag = quote_etag(row["sha256"])
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    headers |= {"Content-Length": str(row["byte_length"])} | describe(row)
    blocks = _read_blocks(context.state.blobs, row)
    opening = next(blocks, b"")

    def stream() -> Iterator[bytes]:
        yield opening
        yield from blocks

    return StreamingResponse(stream(), headers=headers, media_type=media_type)


def _read_blocks(blobs: BlobStore, row: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the bytes block by block; raises :class:`BlobMissing` when some are not there."""
    for start in range(0, row["byte_length"], _BLOCK_BYTES):
        length = min(_BLOCK_BYTES, row["byte_length"] - start)
        block = blobs.read_range(row["blob_key"], row["byte_offset"] + start, length)
        if len(block) != length:
            raise BlobMissing(row["blob_key"])
        yield block
