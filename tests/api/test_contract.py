"""The contract: its snapshot, its documentation page without the internet, and answers that keep to it."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import update

from db.schema import work
from services.api.app import make_app
from services.problems import CATALOGUE, reference_page
from tests.api.conftest import Api
from tests.api.population import populate

ROOT = Path(__file__).resolve().parents[2]
REFRESH = "refresh both with: python -m services.api.contract"
CHECKS = (
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


def test_the_contract_is_the_snapshot() -> None:
    snapshot = json.loads((ROOT / "tests/api/openapi.json").read_text(encoding="utf-8"))
    assert make_app().openapi() == snapshot, REFRESH


def test_the_page_of_problems_is_generated() -> None:
    assert (ROOT / "docs/reference/problems.md").read_text(encoding="utf-8") == reference_page(), REFRESH


def test_every_problem_type_resolves(api: Api) -> None:
    for name, kind in CATALOGUE.items():
        answer = api.client.get(f"/problems/{name}")
        assert (answer.status_code, kind.explanation in answer.text) == (200, True)
    assert api.client.get("/problems/unheard-of").status_code == 404


def test_every_operation_documents_its_problems() -> None:
    for path, methods in make_app().openapi()["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)
            if "security" in operation:
                assert {"401", "403", "429", "500", "503"} <= set(operation["responses"]), (method, path)


def test_the_documentation_page_needs_no_other_host(api: Api) -> None:
    page = api.client.get("/docs")
    policy = page.headers["Content-Security-Policy"]
    assert "http" not in policy
    assert "default-src 'none'" in policy
    references = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(references) == 4
    for reference in references:
        assert reference.startswith("/docs/")
        answer = api.client.get(reference)
        assert (answer.status_code, len(answer.content) > 100) == (200, True)
    script = api.client.get("/docs/start.js").text
    assert "://" not in page.text + script
    assert "validatorUrl: null" in script
    styles = api.client.get("/docs/assets/swagger-ui.css").text
    assert not re.findall(r"(?:url\(|@import)\s*['\"]?https?:", styles)
    lowered = api.client.get("/docs/openapi.json").json()
    assert lowered["openapi"] == "3.0.3"
    assert '"type": "null"' not in json.dumps(lowered)
    assert api.client.get("/docs/assets/../../pyproject.toml").status_code == 404


@schemathesis.serializer("application/offset+octet-stream")
def serialize_chunk(_context: Any, value: Any) -> bytes:
    """What schemathesis sends as a piece of an upload."""
    return value if isinstance(value, bytes) else repr(value).encode()


def operations() -> list[tuple[str, str]]:
    paths = make_app().openapi()["paths"]
    return [(method, path) for path, methods in paths.items() for method in methods]


def with_known_ids(case: Any, ids: dict[str, Any]) -> None:
    """Let every other request hit a row that exists."""
    for name in case.path_parameters or {}:
        if name in ids and len(repr(case.query) + repr(case.headers)) % 2:
            case.path_parameters[name] = str(ids[name])


@pytest.fixture
def schema(api: Api) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", api.app)


def test_no_request_makes_the_server_fail_or_leave_its_contract(api: Api, schema: Any) -> None:
    """Generated requests, valid and not, to every operation; the same ones in every run."""
    program = api.call("GET", "/programs").json()["items"][0]["id"]
    ids = populate(api.engine, api.state.blobs, UUID(program)).ids
    with api.engine.begin() as connection:  # or the stream of its events would never end
        connection.execute(update(work.job).values(state="cancelled"))
    tried, answered = 0, set()
    for method, path in operations():
        operation = schema[path][method.upper()]

        @settings(
            max_examples=8, derandomize=True, database=None, deadline=None,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def attempt(case: Any) -> None:
            nonlocal tried
            tried += 1
            with_known_ids(case, ids)
            headers = {"Authorization": f"Bearer {api.admin_key}", **({"Tus-Resumable": "1.0.0"} if tried % 2 else {})}
            answer = case.call_and_validate(headers=headers, checks=list(CHECKS))
            answered.add(answer.status_code)

        given(case=operation.as_strategy())(attempt)()
    assert tried > 5 * len(operations())
    assert {200, 201, 204, 404, 409, 412, 422} <= answered, "the requests reach both sides of the checks"


HOSTILE = ["\x00", "%00", "9" * 400, "-1", "\ud800", "' OR 1=1 --", "\u202e", "1e999", "null", "[]", "\xff\xfe"]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_refused_everywhere(api: Api, value: str) -> None:
    """Every query parameter of every list, and every path parameter, with a value made to hurt."""
    for path, methods in api.app.openapi()["paths"].items():
        if "get" not in methods or path.endswith("/events"):
            continue
        encoded = value.encode("utf-8", "surrogatepass") if value != "\xff\xfe" else b"\xff\xfe"
        quoted = "".join(f"%{byte:02x}" for byte in encoded)
        target = re.sub(r"\{[a-z_]+\}", quoted, path)
        names = [each["name"] for each in methods["get"].get("parameters", []) if each["in"] == "query"]
        for query in [f"{name}={quoted}" for name in names] or [""]:
            answer = api.call("GET", f"{target}?{query}" if path.startswith("/api") else "/uploads/" + quoted)
            assert answer.status_code < 500, (path, query, answer.text)
        body = api.call("POST", "/programs", content=b'{"name": "' + encoded + b'"}')
        assert body.status_code < 500, body.text
