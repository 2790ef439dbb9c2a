"""Several waveforms in one answer: framing, windows of time, nothing lost."""

import json
import uuid
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select

from db.schema.people import program
from tests.api.conftest import Api
from tests.api.population import add_file, add_program, add_waveform
from tests.api.test_waveforms import view_naively


def parse(content: bytes) -> tuple[dict[str, Any], list[NDArray[np.float32]]]:
    length = int.from_bytes(content[:4], "little")
    head = json.loads(content[4 : 4 + length])
    assert length % 4 == 0
    rest = np.frombuffer(content[4 + length :], "<f4")
    bins = [trace["bins"] for trace in head["traces"]]
    assert rest.size == 2 * sum(bins)
    return head, [part.reshape(-1, 2) for part in np.split(rest, 2 * np.cumsum(bins)[:-1])]


class Bench:
    """A program with a file to add waveforms to."""

    def __init__(self, api: Api) -> None:
        self.api = api
        with api.engine.connect() as connection:
            alpha = connection.execute(select(program.c.id)).scalar_one()
        self.raw_file = add_file(api.engine, api.state.blobs, alpha)

    def add(self, samples: NDArray[Any], **values: object) -> uuid.UUID:
        return add_waveform(self.api.engine, self.api.state.blobs, self.raw_file, samples, **values)

    def view(self, ids: list[uuid.UUID], **query: object) -> Any:
        return self.api.call("GET", "/waveform-views", params={"waveform": [str(each) for each in ids], **query})


@pytest.fixture
def bench(api: Api) -> Bench:
    return Bench(api)


def test_every_trace_is_binned_as_the_single_view_is(bench: Bench) -> None:
    rng = np.random.default_rng(5)
    integers = rng.integers(-30000, 30000, 10_000).astype(np.int16)
    floats = rng.normal(size=5000).astype(np.float32)
    floats[[3, 700, 701]] = np.nan, np.inf, -np.inf
    ids = [bench.add(integers, gain=-0.5, offset=2.0), bench.add(floats, gain=3.0, offset=0.0, dt_s=2e-10)]
    answer = bench.view(ids, px=97)
    assert answer.status_code == 200, answer.text
    head, pairs = parse(answer.content)
    for values, found in zip((integers * -0.5 + 2.0, floats.astype(float) * 3.0), pairs, strict=True):
        expected = view_naively(values, 0, values.size, 97)
        np.testing.assert_array_equal(found, np.asarray(expected, np.float32))
    assert [trace["id"] for trace in head["traces"]] == [str(each) for each in ids]
    assert (head["axis"], head["from"], head["to"]) == ("time", -1e-9, pytest.approx(-1e-9 + 1e-6))


def test_a_glitch_of_one_sample_is_in_every_view_that_covers_it(bench: Bench) -> None:
    samples = np.zeros(200_000, np.int16)
    samples[123_456] = 999
    identity = bench.add(samples, gain=1.0, offset=0.0)
    for px in (1, 10, 1000, 4096):
        _, (pairs,) = parse(bench.view([identity], px=px).content)
        assert pairs[:, 1].max() == 999
    at = -1e-9 + 123_456 * 1e-10
    head, (pairs,) = parse(bench.view([identity], px=100, **{"from": at - 1e-9, "to": at + 1e-9}).content)
    assert head["traces"][0]["first"] <= 123_456 < head["traces"][0]["last"] <= 123_470
    assert pairs[123_456 - head["traces"][0]["first"]].tolist() == [999.0, 999.0]


def test_a_trace_outside_the_window_is_empty(bench: Bench) -> None:
    ids = [bench.add(np.arange(10, dtype=np.int16)), bench.add(np.arange(10, dtype=np.int16), t0_s=1.0)]
    head, pairs = parse(bench.view(ids, **{"from": 0.9, "to": 1.1}).content)
    assert [trace["bins"] for trace in head["traces"]] == [0, 10]
    assert len(pairs[0]) == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [({"from": 2, "to": 1}, "to must be greater"), ({"px": 0}, "errors"), ({"from": "nan"}, "errors")],
)
def test_windows_that_make_no_sense_are_refused(bench: Bench, query: dict[str, Any], said: str) -> None:
    answer = bench.view([bench.add(np.zeros(10, np.int16))], **query)
    assert answer.status_code == 422
    assert said in answer.text


def test_an_unknown_interval_has_no_time_axis(bench: Bench) -> None:
    identity = bench.add(np.arange(10, dtype=np.int16), dt_s=None, t0_s=None)
    assert "sample interval" in bench.view([identity]).json()["detail"]
    head, (pairs,) = parse(bench.view([identity], axis="sample", **{"from": 2, "to": 4}).content)
    assert (head["traces"][0]["first"], head["traces"][0]["last"]) == (2, 5)
    assert len(pairs) == 3


def test_one_of_a_foreign_program_hides_all(bench: Bench) -> None:
    mine, other = bench.add(np.zeros(9, np.int16)), add_program(bench.api.engine, "foreign")
    foreign_file = add_file(bench.api.engine, bench.api.state.blobs, other)
    theirs = add_waveform(bench.api.engine, bench.api.state.blobs, foreign_file, np.ones(9, np.int16))
    unknown = uuid.uuid4()
    answers = [bench.view([mine, each]) for each in (theirs, unknown)]
    assert [answer.status_code for answer in answers] == [404, 404]
    said = [
        answer.json()["detail"].replace(str(each), "?") for answer, each in zip(answers, (theirs, unknown), strict=True)
    ]
    assert said[0] == said[1]
    assert bench.view([mine]).status_code == 200


def test_too_many_are_refused(bench: Bench) -> None:
    assert bench.view([uuid.uuid4()] * 51).status_code == 422
    assert bench.view([uuid.uuid4()]).status_code == 404
