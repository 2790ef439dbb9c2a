"""The console's own style sheets and modules; nothing of others is served from here."""

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.api.answers import IMMUTABLE, REVALIDATE, matches_etag, quote_etag
from services.problems import Problem
from services.web.assets import TYPES, assets_version, read_assets

router = APIRouter(prefix="/console", include_in_schema=False)


@router.get("/{name}")
def read_asset(name: str, request: Request) -> Response:
    """Return an asset, or 304 when the browser has it."""
    return _answer(name, request, REVALIDATE)


@router.get("/{version}/{name}")
def read_versioned_asset(version: str, name: str, request: Request) -> Response:
    """Return an asset for good; of another version, which a server beside this one has, as it is here and now."""
    return _answer(name, request, IMMUTABLE if version == assets_version() else REVALIDATE)


def _answer(name: str, request: Request, cache: str) -> Response:
    content = read_assets().get(name)
    if content is None:
        raise Problem("not-found", f"no asset {name!r}")
    etag = quote_etag(hashlib.sha256(content).hexdigest()[:32])
    headers = {"ETag": etag, "Cache-Control": cache}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=TYPES[Path(name).suffix], headers=headers)
