"""Questions that are about no stored row but about a program: frames, advice, and hand-offs without a log."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.pipelines.test_handoff import QUESTION

FRAMES = {"schema": "faultlight.frames/1", "units": {"a": "um", "b": "um"}, "links": []}
CONVERSION = {"frames": FRAMES, "source": "a", "target": "b", "places": [{"x": 1, "y": 2}]}
QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("/repair-advices", {"tone": "opaque", "layer": "chromium"}),
    ("/repair-handoffs", {"handoff": QUESTION}),
    ("/coordinate-conversions", CONVERSION),
]


@pytest.mark.parametrize(("path", "body"), QUESTIONS)
def test_a_question_is_one_job_of_its_program(api: Api, path: str, body: dict[str, Any]) -> None:
    first, second = (api.call("POST", path, json=body | {"program": "alpha"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert api.call("POST", path, json=body | {"program": "nobody's"}).status_code == 404
    for name in ("\x00", "", "a\x1f"):
        assert api.call("POST", path, json=body | {"program": name}).status_code == 422
    for hostile in ({"frames": FRAMES | {"x": "\x00"}}, {"layer": "\x00"}):
        if hostile.keys() & body.keys():
            assert api.call("POST", path, json=body | {"program": "alpha"} | hostile).status_code == 422
