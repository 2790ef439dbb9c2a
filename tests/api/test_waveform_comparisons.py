"""Measured over simulated: against the forward model of the analysis, sample by sample, nothing lost."""

import uuid
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select

from analysis.waveforms.forward_model import Drain, Timing, modulation_waveform
from db.schema import data, people, work
from tests.api.conftest import Api
from tests.api.population import add_file, add_row, add_waveform, encode, populate
from tests.api.test_waveform_views import parse

CYCLE_S, DT_S, EDGE_S = 1e-8, 2.5e-10, 1.5e-10
A = np.asarray([0, 1, 1, 0, 1, 0, 0, 1], np.uint8)
B = np.asarray([0, 0, 1, 1, 0, 0, 1, 1], np.uint8)


def pack(bits: NDArray[np.uint8]) -> str:
    return encode(np.packbits(bits).tobytes())


class Session:
    """A session with one waveform: 5 + 2 a + 0.5 b, 300 ps late, and a glitch of one sample."""

    def __init__(self, api: Api) -> None:
        self.api = api
        ids = populate(api.engine, api.state.blobs, self.program(api)).ids
        timing = Timing(CYCLE_S, DT_S, delay_s=3e-10)
        self.parts = [modulation_waveform(Drain(bits.astype(float)), timing, EDGE_S) for bits in (A, B)]
        self.clean = 5 + 2 * self.parts[0] + 0.5 * self.parts[1]
        self.measured = self.clean.copy()
        self.measured[100] += 50.0
        levels = 5 + 2 * A + 0.5 * B
        body = {
            "cycle_s": CYCLE_S, "cycles": 8, "edge_sigma_s": EDGE_S,
            "nets": [{"net": "a", "bits": pack(A)}, {"net": "b*2", "bits": pack(B)}],
            "suspects": [{"net": "a", "fault": "SA0", "posterior": 0.9, "activity": 0.4, "changes": {"a": pack(A)}}],
            "waveforms": [
                {"file": "w.csv", "net": "a", "levels": encode(levels.astype("<f4").tobytes())},
                {"file": "bad.csv", "net": "a", "levels": None, "refused": "too coarse"},
            ],
        }  # fmt: skip
        self.session = ids["session_id"]
        result = {"job_key": uuid.uuid4().hex, "job_id": ids["job_id"], "program_id": ids["program_id"]}
        self.simulation = add_row(
            api.engine, work.result, **result, kind="simulation", probing_session_id=self.session, body=body,
            verdict="simulated", provenance={},
        )  # fmt: skip
        self.file = add_file(api.engine, api.state.blobs, ids["program_id"], b"another")
        self.waveform = self.add(self.measured, "w.csv")

    @staticmethod
    def program(api: Api) -> uuid.UUID:
        with api.engine.connect() as connection:
            return uuid.UUID(str(connection.execute(select(people.program.c.id)).scalar_one()))

    def add(self, values: NDArray[np.float64], path: str, session: uuid.UUID | None = None) -> uuid.UUID:
        where = {"member_path": path, "probing_session_id": session or self.session, "t0_s": 0.0, "dt_s": DT_S}
        return add_waveform(self.api.engine, self.api.state.blobs, self.file, values, gain=1.0, offset=0.0, **where)

    def compare(self, **query: Any) -> Any:
        asked = {"waveform": str(self.waveform), "simulation": str(self.simulation)} | query
        return self.api.call("GET", "/waveform-comparisons", params=asked)


@pytest.fixture
def session(api: Api) -> Session:
    return Session(api)


def test_a_mixture_is_drawn_as_the_forward_model_has_it_and_the_difference_is_of_samples(session: Session) -> None:
    answer = session.compare(mix=["0*4*a", "0*1*b*2"], shift="0*3e-10", px=4096)
    assert answer.status_code == 200, answer.text
    head, (measured, simulated, difference) = parse(answer.content)
    assert [trace["part"] for trace in head["traces"]] == ["measured", "simulated", "difference"]
    fit = head["traces"][1]["fit"]
    assert (fit["offset"], fit["swing"], fit["cycles"]) == (pytest.approx(5), pytest.approx(0.5), 8)
    np.testing.assert_allclose(measured[:, 0], session.measured, rtol=1e-6)
    np.testing.assert_allclose(simulated[:, 0], session.clean, atol=2e-5)
    np.testing.assert_allclose(difference[:, 1], session.measured - session.clean, atol=3e-5)
    assert head["traces"][1]["mixture"] == [{"net": "a", "weight": 4.0}, {"net": "b*2", "weight": 1.0}]


def test_a_glitch_is_in_the_difference_of_every_view_and_an_edge_that_comes_late_shows_unless_aligned(
    session: Session,
) -> None:
    for px in (1, 3, 40, 320):
        _, (_, _, difference) = parse(session.compare(mix=["0*4*a", "0*1*b*2"], shift="0*3e-10", px=px).content)
        assert difference[:, 1].max() == pytest.approx(50, abs=1e-3)
    _, (_, _, late) = parse(session.compare(mix=["0*4*a", "0*1*b*2"], px=4096).content)
    assert np.abs(np.delete(late, 100, axis=0)).max() > 1


def test_the_own_net_alone_leaves_the_neighbour_in_the_difference(session: Session) -> None:
    head, _ = parse(session.compare().content)
    fit = head["traces"][0]["fit"]
    slope, offset = np.polyfit(A, 5 + 2 * A + 0.5 * B, 1)
    assert (fit["swing"], fit["offset"]) == (pytest.approx(slope), pytest.approx(offset))
    left = 5 + 2 * A + 0.5 * B - offset - slope * A
    assert fit["residual"] == pytest.approx(np.sqrt((left**2).sum() / 6), rel=1e-5)
    assert fit["swing_sigma"] == pytest.approx(fit["residual"] / np.sqrt(((A - A.mean()) ** 2).sum()), rel=1e-5)


def test_a_suspect_that_is_active_in_a_part_of_the_loops_takes_that_part_away(session: Session) -> None:
    head, (_, simulated, _) = parse(session.compare(suspect=1, shift="0*3e-10", px=4096).content)
    fit = head["traces"][0]["fit"]
    expected = fit["offset"] + fit["swing"] * 0.6 * session.parts[0]
    np.testing.assert_allclose(simulated[:, 0], expected, atol=2e-5)


def test_what_cannot_be_compared_is_refused_with_the_reason(session: Session) -> None:
    elsewhere = session.add(session.clean, "w.csv", add_row(
        session.api.engine, data.probing_session, program_id=session.program(session.api), raw_file_id=session.file,
        name="T", role="suspect", technique="LVP", document={},
    ))  # fmt: skip
    bad = session.add(session.clean, "bad.csv")
    for query, said in (
        ({"waveform": str(elsewhere)}, "not the id of a simulation of these waveforms' session"),
        ({"waveform": str(bad)}, "too coarse"),
        ({"mix": "0*1*c"}, "does not hold the net c"),
        ({"mix": "1*1*a"}, "place below 1"),
        ({"mix": "0*x*a"}, "place*weight*net"),
        ({"shift": "0*nan"}, "place*seconds"),
        ({"suspect": 2}, "1 suspects, not 2"),
    ):
        answer = session.compare(**query)
        assert answer.status_code == 422, query
        assert said in answer.json()["detail"]
