"""Where data stop in a scan chain: SIMULATED amplitudes and maps."""

import numpy as np
import pytest

from analysis.anomaly.scan_chain import CellAmplitudes, ChainError, find_break, measure_cells
from tests.analysis.anomaly.scenes import FWHM_PX, draw_map, map_noise
from tests.naive import anomaly as naive

CELLS = 30


def measured(sizes: np.ndarray, sigma: float, generator: np.random.Generator) -> CellAmplitudes:
    noise = sigma * (generator.normal(size=sizes.size) + 1j * generator.normal(size=sizes.size))
    return CellAmplitudes(
        sizes * np.exp(2j * np.pi * generator.uniform(size=sizes.size)) + noise, np.full(sizes.size, sigma)
    )


def chain(stop: int, snr: float, generator: np.random.Generator) -> tuple[CellAmplitudes, CellAmplitudes]:
    clock = generator.lognormal(0, 0.3, CELLS)
    data = 0.6 * clock * np.exp(0.3 * generator.normal(size=CELLS))
    data[stop:] = 0
    return measured(clock, 0.6 / snr, generator), measured(data, 0.6 / snr, generator)


def test_breaks_are_found_more_often_than_by_eye_and_seldom_wrongly() -> None:
    numbers = np.random.default_rng(0)
    right = by_eye = wrong = 0
    certainty = []
    for _ in range(150):
        stop = int(numbers.integers(0, CELLS))
        found = find_break(*chain(stop, 8, numbers))
        best = int(found.posterior.argmax())
        right += best == stop
        by_eye += found.baseline == stop
        wrong += (found.verdict == "located" and best != stop) or found.verdict == "no-break"
        certainty.append(found.posterior.max())
    assert right / 150 > 0.9
    assert right > by_eye
    assert wrong <= 3
    assert np.mean(certainty) == pytest.approx(right / 150, abs=0.06)


def test_whole_chains_have_no_break() -> None:
    numbers = np.random.default_rng(1)
    verdicts = [find_break(*chain(CELLS, 10, numbers)).verdict for _ in range(50)]
    assert verdicts.count("no-break") >= 48


def test_a_chain_whose_cells_come_and_go_is_unmodelled() -> None:
    numbers = np.random.default_rng(2)
    clock = np.ones(CELLS)
    data = np.where(np.arange(CELLS) % 2 == 0, 0.6, 0.0)
    found = find_break(measured(clock, 0.02, numbers), measured(data, 0.02, numbers))
    assert (found.verdict, found.unmodelled) == ("unmodelled", pytest.approx(1, abs=1e-6))


def test_a_cell_without_clock_leaves_its_place_open() -> None:
    numbers = np.random.default_rng(3)
    clock, data = chain(10, 20, numbers)
    values = clock.values.copy()
    values[10] = 0
    found = find_break(CellAmplitudes(values, clock.sigma), data)
    assert found.clockless.tolist() == [10]
    assert found.posterior[10] == pytest.approx(found.posterior[11], rel=1e-6)
    assert found.posterior[10] + found.posterior[11] > 0.95


@pytest.mark.parametrize("seed", range(4))
def test_the_posterior_is_bayes_written_out(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    clock, data = (CellAmplitudes(each.values[:7], each.sigma[:7]) for each in chain(3, 5, numbers))
    found = find_break(clock, data)
    expected = naive.chain_posterior(np.abs(clock.values).tolist(), np.abs(data.values).tolist(), float(data.sigma[0]))
    alive = (np.abs(clock.values) > 4 * clock.sigma).all()
    if alive:
        np.testing.assert_allclose([*found.posterior, found.no_break, found.unmodelled], expected, atol=1e-6)


def test_amplitudes_of_near_cells_are_separated_with_honest_errors() -> None:
    numbers = np.random.default_rng(4)
    places = np.asarray([[40.0, 40.0], [40.0, 44.0], [70.0, 60.0]])
    truth = np.asarray([2.0, 1.0j, 0.0])
    z = []
    for _ in range(60):
        values = draw_map(places, truth, (0.0, 0.0), 96) + 0.4 + map_noise(96, numbers, correlated=False)
        cells = measure_cells(values, places[:, 0], places[:, 1], FWHM_PX)
        z.append((cells.values - truth) / cells.sigma)
    parts = np.concatenate([np.real(z).ravel(), np.imag(z).ravel()])
    assert parts.std() == pytest.approx(1.0, abs=0.15)
    assert abs(parts.mean()) < 0.2


def test_what_cannot_be_judged_is_refused() -> None:
    numbers = np.random.default_rng(5)
    clock, data = chain(5, 10, numbers)
    with pytest.raises(ChainError, match="0 cells show the clock's frequency"):
        find_break(CellAmplitudes(0 * clock.values, clock.sigma), data)
    with pytest.raises(ChainError, match="30 cells with a clock and 3 with data"):
        find_break(clock, CellAmplitudes(data.values[:3], data.sigma[:3]))
    flat = np.zeros((40, 40), np.complex128)
    with pytest.raises(ChainError, match="cell 1 lies outside the map"):
        measure_cells(flat, np.asarray([3.0, 50.0]), np.asarray([3.0, 3.0]), 4.0)
    with pytest.raises(ChainError, match="cannot be told apart"):
        measure_cells(flat, np.asarray([9.0, 9.0]), np.asarray([9.0, 9.0]), 4.0)
    with pytest.raises(ChainError, match="finite"):
        measure_cells(flat * np.nan, np.asarray([9.0]), np.asarray([9.0]), 4.0)
