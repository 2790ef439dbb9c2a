"""The contract, a page to try it (Swagger UI from an installed package, no other host), and the problems."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response
from swagger_ui_bundle import swagger_ui_path

from services.api.answers import JsonAnswer
from services.problems import CATALOGUE, Problem

router = APIRouter(include_in_schema=False)

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_POLICY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Faultlight API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """window.onload = () => {
  SwaggerUIBundle({
    url: "/docs/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis], persistAuthorization: false, displayRequestDuration: true,
  });
};
"""


@router.get("/openapi.json")
def read_contract(request: Request) -> JsonAnswer:
    """Return the contract (OpenAPI 3.1)."""
    return JsonAnswer(request.app.openapi())


@router.get("/docs")
def show_documentation() -> Response:
    """Return the page."""
    return Response(_PAGE, media_type="text/html", headers=_POLICY)


@router.get("/docs/start.js")
def start_documentation() -> Response:
    """Return the script that starts the page."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/openapi.json")
def read_documentation_contract(request: Request) -> JsonAnswer:
    """Return the contract as OpenAPI 3.0, which is what the packaged Swagger UI shows."""
    return JsonAnswer({**lower_version(request.app.openapi()), "openapi": "3.0.3"})


@router.get("/docs/assets/{name}")
def read_asset(name: str) -> Response:
    """Return a file of the Swagger UI package."""
    if name not in ASSETS:
        raise Problem("not-found", f"no asset {name!r}")
    headers = {"Cache-Control": "public, max-age=86400"}
    return FileResponse(Path(str(swagger_ui_path)) / name, media_type=ASSETS[name], headers=headers)


@router.get("/problems/{name}")
def explain_problem(name: str) -> Response:
    """Return what a problem's ``type`` refers to."""
    kind = CATALOGUE.get(name)
    if kind is None:
        raise Problem("not-found", f"no problem {name!r}")
    text = f"# {kind.name}\n\n**{kind.status}** {kind.title}.\n\n{kind.explanation}\n"
    return Response(text, media_type="text/markdown")


def lower_version(node: Any) -> Any:
    """Return a schema with OpenAPI 3.1's null types, constants and examples written as OpenAPI 3.0 does."""
    if isinstance(node, list):
        return [lower_version(each) for each in node]
    if not isinstance(node, dict):
        return node
    lowered = {name: lower_version(value) for name, value in node.items()}
    options = lowered.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        del lowered["anyOf"]
        lowered |= {"nullable": True} | (rest[0] if len(rest) == 1 and "$ref" not in rest[0] else {"anyOf": rest})
    if "const" in lowered:
        lowered["enum"] = [lowered.pop("const")]
    if isinstance(lowered.get("examples"), list):
        lowered["example"] = lowered.pop("examples")[0]
    return lowered
