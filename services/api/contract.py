"""The OpenAPI document: every operation with the actions it needs and every problem it can answer with.

``python -m services.api.contract`` writes ``tests/api/openapi.json`` and ``docs/reference/problems.md`` anew.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from db.repositories.access import ROLE_ACTIONS, SCOPE_OF_ACTION, Action
from services.api.context import ContextFactory
from services.problems import CATALOGUE, MEDIA_TYPE, reference_page

Routers = Sequence[tuple[str, APIRouter]]
"""Each router with the prefix that it is included under."""

ACTIONS_MEMBER = "x-faultlight-actions"
_ALWAYS = ("internal-error",)
_WITH_KEY = ("unauthenticated", "forbidden", "too-many-requests", "unavailable", "invalid-request")
_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457 problem details",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/not-found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "action": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["location", "message", "type"],
                "properties": {
                    "location": {"type": "array", "items": {"type": "string"}},
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                },
            },
        },
    },
}


def describe_problems(*names: str) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of the problems with these names, those of one status together."""
    by_status: dict[int | str, list[str]] = {}
    for name in names:
        by_status.setdefault(CATALOGUE[name].status, []).append(name)
    return {
        status: {
            "description": "; ".join(f"`{name}`: {CATALOGUE[name].title.lower()}" for name in sorted(same)),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, same in by_status.items()
    }


def list_operations(routers: Routers) -> Iterator[tuple[APIRoute, str]]:
    """Yield every documented route with its full path."""
    for prefix, router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                yield route, prefix + route.path


def actions_of(route: APIRoute) -> tuple[Action, ...]:
    """Return the actions one of which the caller must be allowed; empty for what needs no key."""
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, ContextFactory):
            return dependency.call.actions
    return ()


def _access_page() -> str:
    """Return the table of roles and actions, generated from the one that is enforced."""
    roles = list(ROLE_ACTIONS)
    lines = [
        "Faultlight stores, reads and analyses what failure-analysis instruments send.",
        "",
        f"| action | scope | {' | '.join(roles)} |",
        "| --- " * (len(roles) + 2) + "|",
    ]
    for action, scope in SCOPE_OF_ACTION.items():
        marks = " | ".join("yes" if action in ROLE_ACTIONS[role] else "" for role in roles)
        lines.append(f"| {action.value} | {scope} | {marks} |")
    lines += [
        "",
        "An instrument's key may only upload, to its own program. `read-keys` and `write-keys` concern an account's "
        "own keys. A key with the scope `admin` installs programs and accounts and administers every program.",
        "Rows of programs that the caller is not a member of do not exist for it (404).",
        "",
        "A browser that is signed in to the console may use the API by its cookie instead of a key; a request that "
        "changes something must then carry the session's forgery token in `X-Faultlight-Forgery`.",
    ]
    return "\n".join(lines)


def build_openapi(app: FastAPI, routers: Routers) -> dict[str, Any]:
    """Return the OpenAPI document of ``app``, which includes ``routers``."""
    document = get_openapi(title="Faultlight", version="1", description=_access_page(), routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM_SCHEMA
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer"}}
    for route, path in list_operations(routers):
        actions = actions_of(route)
        for method in route.methods or ():
            operation = document["paths"][path][method.lower()]
            _complete_operation(operation, actions)
    return document


def _complete_operation(operation: dict[str, Any], actions: tuple[Action, ...]) -> None:
    responses = operation["responses"]
    generated = responses.pop("422", None)
    names = list(_ALWAYS)
    if actions:
        operation["security"] = [{"apiKey": []}]
        operation[ACTIONS_MEMBER] = [action.value for action in actions]
        names += _WITH_KEY
    elif generated is not None:
        names.append("invalid-request")
    if "requestBody" in operation:
        names.append("request-too-large")
    for status, response in describe_problems(*names).items():
        present = responses.setdefault(str(status), response)
        if present is not response and response["description"] not in present["description"]:
            present["description"] = f"{present['description']}; {response['description']}"


def write_reference(root: Path) -> None:
    """Write the snapshot of the OpenAPI document and the page of problems under ``root``."""
    from services.api.app import make_app  # noqa: PLC0415

    text = json.dumps(make_app().openapi(), indent=1, sort_keys=True, ensure_ascii=False)
    (root / "tests" / "api" / "openapi.json").write_text(text + "\n", encoding="utf-8")
    (root / "docs" / "reference" / "problems.md").write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    write_reference(Path(__file__).resolve().parents[2])
