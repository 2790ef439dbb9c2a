"""Answers that are pictures out of a packed object: tiles of layouts, pictures of how defects print."""

from typing import Any

from fastapi import Request
from starlette.responses import Response

from db.blobs import BlobMissing
from db.repositories.tiles import StoredTile
from services.api.answers import IMMUTABLE, VARY, matches_etag, quote_etag
from services.api.context import RequestContext
from services.api.contract import describe_problems

PICTURE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the picture",
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    },
    204: {"description": "nothing is there"},
    304: {"description": "the version named in If-None-Match is current"},
    **describe_problems("not-found", "original-missing"),
}


def answer_tile(request: Request, context: RequestContext, tile: StoredTile | None, tag: str) -> Response:
    """Return a stored PNG under the entity ``tag``, 204 where there is none, 304 when the client has it.

    Raises:
        BlobMissing: its bytes are not there.
    """
    etag = quote_etag(tag)
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if tile is None:
        return Response(status_code=204, headers=headers)
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    data = context.state.blobs.read_range(tile.blob_key, tile.offset, tile.length)
    if len(data) != tile.length:
        raise BlobMissing(tile.blob_key)
    return Response(data, 200, headers, media_type="image/png")
