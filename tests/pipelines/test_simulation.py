"""The job ``simulation`` and the history of a posterior on a small SIMULATED die whose gate ``x`` is stuck at 0."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.localization.localizer import localize_fault
from analysis.localization.weighing import weigh_die
from services.pipelines.probing.localization import SessionError, build_problem, localize, read_session
from services.pipelines.probing.simulation import simulate_session
from tests.pipelines.test_averaging import CYCLES, outputs, write_session


def unpack(text: str) -> np.ndarray[Any, Any]:
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))[:CYCLES]


def test_nets_are_simulated_good_and_under_the_first_suspect(tmp_path: Path) -> None:
    write_session(tmp_path / "s", 8.0, 2)
    session = read_session(tmp_path / "s")
    document = simulate_session(session, ["x", "z", "nowhere"])
    bits = np.random.default_rng(3).integers(0, 2, (CYCLES, 3))
    good, bad = outputs(bits, stuck=False), outputs(bits, stuck=True)
    found = {each["net"]: unpack(each["bits"]) for each in document["nets"]}
    assert set(found) == {"x", "y", "z"}
    for net, values in found.items():
        assert values.tolist() == good[net].tolist()
    assert document["unknown_nets"] == ["nowhere"]
    first = document["suspects"][0]
    assert first["net"] == "x"
    assert unpack(first["changes"]["y"]).tolist() == (good["y"] != bad["y"]).tolist()
    assert "z" not in first["changes"]
    levels = np.frombuffer(base64.b64decode(document["waveforms"][0]["levels"]), "<f4")
    assert np.corrcoef(levels, bad["y"])[0, 1] > 0.95
    assert document["simulated"]


def test_a_waveform_that_cannot_be_compared_is_no_reason_not_to_look(tmp_path: Path) -> None:
    write_session(tmp_path, 8.0, 1, form="files")
    name = json.loads((tmp_path / "session.json").read_text())["waveforms"][0]["file"]
    (tmp_path / name).write_text("time_s,reflectance\n" + "".join(f"{at}e-8,{at % 3}\n" for at in range(CYCLES)))
    document = simulate_session(read_session(tmp_path))
    assert "too few" in document["waveforms"][0]["refused"]
    assert document["suspects"][0]["net"] in {"x", "y"}


def test_a_session_that_nothing_simulates_is_refused(tmp_path: Path) -> None:
    write_session(tmp_path, 8.0, 1)
    with pytest.raises(SessionError, match="nothing says what a good die does"):
        simulate_session(replace(read_session(tmp_path), netlist=None))


def test_each_step_of_the_history_is_what_the_session_says_without_the_later_waveforms(tmp_path: Path) -> None:
    write_session(tmp_path, 2.0, 3, form="files", probed=("y", True))
    problem = build_problem(read_session(tmp_path))
    steps = localize_fault(problem).history
    assert [step.waveforms for step in steps] == [0, 1, 2, 3]
    assert [step.net for step in steps] == [None, "y", "y", "y"]
    alone = weigh_die(replace(problem, waveforms=())).posterior
    assert steps[0].no_fault == pytest.approx(alone.no_fault)
    assert steps[0].unmodelled == pytest.approx(alone.unmodelled)
    last = localize(read_session(tmp_path)).document
    for net, posterior in steps[-1].sites:
        told = next((each["posterior"] for each in last["candidates"] if each["net"] == net), 0.0)
        assert posterior == pytest.approx(told, abs=1e-6)
    for step in steps:
        total = sum(posterior for _, posterior in step.sites) + step.no_fault + step.unmodelled
        assert total == pytest.approx(1, abs=1e-2)
        assert 0 <= step.bits <= np.log2(len(problem.circuit.nets) + 2)
