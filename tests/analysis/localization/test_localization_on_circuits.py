"""Rates of localization over seeded dies of several circuits: five guided probes at a ratio of 2 per cycle.

The benchmark of the same name runs many more; these bounds leave a margin for the few dies that are run here.
"""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.localization import Bench, Settings, Tally, calibration_error, measure_circuit, read_circuit
from services.demo.circuit import build_accumulator

SETTINGS = Settings(dies=8, snr=2.0, placement_nm=30.0, probes=5, seed=3)
NAMES = ("b01", "s298", "s344")


def check(tally: Tally, *, top: float) -> None:
    located = [hit for hit, verdict in zip(tally.top_collapsed, tally.verdict, strict=True) if verdict == "located"]
    assert all(located)
    assert len(located) >= 0.5 * len(tally.top)
    assert np.mean(tally.top_collapsed) >= top
    assert np.mean([rank <= 5 for rank in tally.rank]) >= 0.85
    assert np.mean(tally.top) > np.mean(tally.slat_top) + 0.2
    assert np.mean(tally.probes_to_located) < np.mean(tally.trace_probes)
    assert tally.false_alarms == 0
    assert calibration_error(tally.confidence, tally.top_collapsed) < 0.2


def test_the_demonstrations_circuit() -> None:
    check(measure_circuit(Bench("accumulator", build_accumulator(), SETTINGS), planned=False), top=0.85)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", NAMES)
def test_public_circuits(shared_data: Path, name: str) -> None:
    check(
        measure_circuit(Bench(name, read_circuit(shared_data / "circuits" / f"{name}.bench"), SETTINGS), planned=False),
        top=0.75,
    )


def test_calibration_error_of_known_cases() -> None:
    assert calibration_error([0.95, 0.95, 0.95, 0.95], [1, 1, 1, 1]) == pytest.approx(0.05)
    assert calibration_error([0.9, 0.9, 0.1, 0.1], [0, 0, 1, 1]) == pytest.approx(0.9)
    assert calibration_error([1.0], [1.0]) == 0.0
