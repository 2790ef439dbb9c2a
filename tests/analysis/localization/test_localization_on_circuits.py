"""Rates of localization over seeded dies of several circuits: five guided probes at a ratio of 2 per cycle.

The benchmark of the same name runs many more; these bounds leave a margin for the few dies that are run here.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.localization import Bench, Settings, measure_circuit
from benchmarks.localization_trials.circuits import read_circuits
from benchmarks.localization_trials.defects import SINGLE
from benchmarks.localization_trials.limits import SingleFaultLimit
from benchmarks.localization_trials.scores import Outcome, calibration_error, error_by_chance, mean_of
from services.demo.circuit import DemoCircuit, build_accumulator
from services.demo.die import DieOptions, SimulatedDie, random_stimulus
from services.demo.machine import HiddenFault

SETTINGS = Settings(dies=10, snr=2.0, placement_nm=30.0, probes=5, seed=3, mix=(*SINGLE, "golden"))
NAMES = ("b01", "s298", "s344")


def check(outcomes: Sequence[Outcome], *, top: float) -> None:
    """Single faults are found, better than by the fail log and in fewer probes than a back-trace takes."""
    dies = [item for item in outcomes if item.stratum != "golden"]
    located = [item.collapsed for item in dies if item.verdict == "located"]
    assert all(located)
    assert len(located) >= 0.5 * len(dies)
    assert np.mean([item.collapsed for item in dies]) >= top
    assert np.mean([item.rank <= 5 for item in dies]) >= 0.85
    assert mean_of(dies, lambda item: item.top) > mean_of(dies, lambda item: item.slat_top) + 0.2
    assert mean_of(dies, lambda item: item.probes) < mean_of(dies, lambda item: item.trace_probes)
    golden = [item.verdict for item in outcomes if item.stratum == "golden"]
    assert golden
    assert not {"located", "unmodelled"}.intersection(golden)
    assert calibration_error([item.confidence for item in dies], [item.collapsed for item in dies]) < 0.2


def test_the_demonstrations_circuit() -> None:
    check(measure_circuit(Bench("accumulator", build_accumulator(), SETTINGS)), top=0.85)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", NAMES)
def test_public_circuits(shared_data: Path, name: str) -> None:
    circuits = read_circuits(shared_data / "circuits")
    check(measure_circuit(Bench(name, circuits[name], SETTINGS)), top=0.75)


def test_calibration_error_of_known_cases() -> None:
    assert calibration_error([0.95, 0.95, 0.95, 0.95], [1, 1, 1, 1]) == pytest.approx(0.05)
    assert calibration_error([0.9, 0.9, 0.1, 0.1], [0, 0, 1, 1]) == pytest.approx(0.9)
    assert calibration_error([1.0], [1.0]) == 0.0


def test_what_chance_adds_to_a_calibration_error() -> None:
    assert error_by_chance([1.0, 0.0]) == 0.0
    # Half of one die's hits are missing, half are too many: the gap is always one half.
    assert error_by_chance([0.5]) == pytest.approx(0.5)
    assert error_by_chance([0.5] * 4) == pytest.approx(0.1875, abs=0.02)
    assert error_by_chance([0.5] * 400) < 0.03


def limits_of(fault: HiddenFault) -> tuple[float, float]:
    """Two inverters in a row behind an AND, and an output that sees the AND beside them: without and with signs."""
    circuit = DemoCircuit(["a", "b", "c"], ["out", "side"], [])
    circuit.gate("x", "AND", "a", "b")
    circuit.gate("n", "NOT", "x")
    circuit.gate("out", "NOT", "n")
    circuit.gate("side", "XOR", "x", "c")
    stimulus = random_stimulus(circuit, 64, 3)
    die = SimulatedDie(circuit, DieOptions(seed=5, fault=fault, patterns=64, stimulus_seed=3))
    limit = SingleFaultLimit(circuit, stimulus)
    return limit.top(die, sign_known=False), limit.top(die, sign_known=True)


def test_the_limit_without_noise() -> None:
    # Which of two inverters does not invert shows in the sign of the net between them, and in nothing else.
    assert limits_of(HiddenFault("n", "swap", function="BUF")) == (0.5, 1.0)
    # A stuck net stops what lies before it at no other place.
    assert limits_of(HiddenFault("n", "stuck-0")) == (1.0, 1.0)
    # Where it is stuck at times only, the net before it is as large as nobody knows: the input stuck, or the output.
    assert limits_of(HiddenFault("n", "stuck-0", activity=0.5))[0] == pytest.approx(0.5)
    assert limits_of(HiddenFault("x", "pin-stuck-1", 0)) == (1.0, 1.0)
