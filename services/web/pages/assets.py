"""The console's own style sheet and modules; nothing of others is served from here."""

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.api.answers import REVALIDATE, matches_etag, quote_etag
from services.problems import Problem

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parents[1] / "static"
TYPES = {".css": "text/css", ".mjs": "text/javascript", ".svg": "image/svg+xml"}


@cache
def _read(name: str) -> tuple[bytes, str] | None:
    """Return an asset and its tag; ``None`` for what is not in the folder itself."""
    known = {path.name: path for path in FOLDER.iterdir() if path.suffix in TYPES}
    if name not in known:
        return None
    content = known[name].read_bytes()
    return content, quote_etag(hashlib.sha256(content).hexdigest()[:32])


@router.get("/console/{name}")
def read_asset(name: str, request: Request) -> Response:
    """Return an asset, or 304 when the browser has it."""
    found = _read(name)
    if found is None:
        raise Problem("not-found", f"no asset {name!r}")
    content, etag = found
    headers = {"ETag": etag, "Cache-Control": REVALIDATE}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=TYPES[Path(name).suffix], headers=headers)
