"""The gain of two maps of which many places are dark: SIMULATED spots of a scan chain, gain, turn and noise unknown."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from analysis.anomaly.maps import MapComparison, compare_maps
from analysis.anomaly.registration import MapError, Shift
from tests.analysis.anomaly.scenes import FWHM_PX, draw_map, map_noise

SIZE = 96
CELLS = np.asarray([[row, column] for row in (24.0, 44.0, 64.0) for column in (22.0, 38.0, 54.0, 70.0)])
UNMOVED = Shift(0.0, 0.0, 0.02)
"""As taken from the clock's map of the same scan, in which all cells show."""


def chain(
    seed: int, ratios: NDArray[np.float64], gain: complex, *, complex_maps: bool, correlated: bool = False
) -> tuple[NDArray[np.complex128], NDArray[np.complex128], set[int]]:
    """A golden map of twelve spots and one in which each has its own ratio, times the gain, with an offset."""
    numbers = np.random.default_rng(seed)
    places = numbers.permutation(12)
    golden = draw_map(CELLS, np.full(12, 1.8 + 0j), (0.0, 0.0), SIZE)
    changed = np.empty(12, np.complex128)
    changed[places] = 1.8 * ratios
    suspect = gain * draw_map(CELLS, changed, (0.0, 0.0), SIZE) + 0.2
    noise = [map_noise(SIZE, numbers, correlated=correlated) for _ in range(2)]
    golden, suspect = golden + noise[0], suspect + noise[1]
    told = set(places[np.abs(ratios - 1) > 0.01].tolist())
    if complex_maps:
        return golden, suspect, told
    return golden.real, suspect.real, told  # type: ignore[return-value]


def marked(compared: MapComparison) -> set[int]:
    """The cells that are marked as different; 12 stands for a place that is none of them."""
    found = set()
    for peak in compared.peaks:
        if peak.different:
            distances = np.hypot(CELLS[:, 0] - peak.row, CELLS[:, 1] - peak.column)
            found.add(int(distances.argmin()) if distances.min() < FWHM_PX else 12)
    return found


def some_dark(dark: int) -> NDArray[np.float64]:
    return np.where(np.arange(12) < dark, 0.0, 1.0)


@pytest.mark.parametrize("complex_maps", [True, False])
@pytest.mark.parametrize("size", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("dark", [1, 5, 7, 10])
def test_dark_cells_are_marked_and_the_others_are_not(dark: int, size: float, complex_maps: bool) -> None:
    gain = size * (np.exp(1.1j) if complex_maps else 1.0)
    elsewhere = 0
    for seed in range(4):
        golden, suspect, told = chain(seed, some_dark(dark), gain, complex_maps=complex_maps)
        for shift in (UNMOVED, None) if dark < 7 or (dark == 7 and size >= 1) else (UNMOVED,):
            compared = compare_maps(golden, suspect, FWHM_PX, shift)
            assert compared.gain == pytest.approx(gain, rel=0.06)
            assert (compared.common.places, compared.common.agreeing) == (12, 12 - dark)
            assert marked(compared) - {12} == told
            assert not compared.problems
            elsewhere += 12 in marked(compared)
    assert elsewhere <= 2


@pytest.mark.parametrize("complex_maps", [True, False])
@pytest.mark.parametrize("size", [0.5, 1.0, 2.0])
def test_where_all_are_dark_the_gain_is_refused(size: float, complex_maps: bool) -> None:
    for seed in range(4):
        golden, suspect, _ = chain(seed, some_dark(12), size, complex_maps=complex_maps)
        with pytest.raises(
            MapError, match=r"none of the 1[234] places that stand out in the golden map shows in this one"
        ):
            compare_maps(golden, suspect, FWHM_PX, UNMOVED)
        with pytest.raises(MapError, match="nothing corresponds"):
            compare_maps(golden, suspect, FWHM_PX)


@pytest.mark.parametrize("complex_maps", [True, False])
def test_correlated_noise_changes_neither_gain_nor_marks(complex_maps: bool) -> None:
    for seed in range(6):
        golden, suspect, told = chain(seed, some_dark(7), 1.0, complex_maps=complex_maps, correlated=True)
        compared = compare_maps(golden, suspect, FWHM_PX, UNMOVED)
        assert compared.gain == pytest.approx(1.0, abs=0.15)
        assert marked(compared) - {12} == told


@pytest.mark.parametrize("complex_maps", [True, False])
@pytest.mark.parametrize(("changed", "ratio"), [(7, 0.5), (7, 0.7), (6, 0.3), (7, 3.0), (9, 0.5)])
def test_two_gains_that_fit_are_both_told(changed: int, ratio: float, complex_maps: bool) -> None:
    ratios = np.where(np.arange(12) < changed, ratio, 1.0)
    for seed in range(3):
        golden, suspect, _ = chain(seed, ratios, 1.0, complex_maps=complex_maps)
        with pytest.raises(MapError, match=r"two gains fit: .*which places have changed cannot be told"):
            compare_maps(golden, suspect, FWHM_PX, UNMOVED)


@pytest.mark.parametrize("complex_maps", [True, False])
def test_faint_rests_of_dark_cells_are_not_taken_for_the_gain(complex_maps: bool) -> None:
    for rest in (0.05, 0.1):
        golden, suspect, told = chain(1, np.where(np.arange(12) < 7, rest, 1.0), 1.0, complex_maps=complex_maps)
        compared = compare_maps(golden, suspect, FWHM_PX, UNMOVED)
        assert compared.gain == pytest.approx(1.0, abs=0.06)
        assert marked(compared) - {12} == told


def test_new_spots_are_marked_beside_dark_ones() -> None:
    golden, suspect, told = chain(2, some_dark(7), 0.3, complex_maps=True)
    suspect = suspect + draw_map(np.asarray([[34.0, 30.0]]), np.asarray([0.6 + 0j]), (0.0, 0.0), SIZE)
    compared = compare_maps(golden, suspect, FWHM_PX, UNMOVED)
    assert compared.gain == pytest.approx(0.3, abs=0.03)
    assert marked(compared) == told | {12}


def test_one_lit_cell_is_too_little_and_two_do_not_carry_the_shift_as_well() -> None:
    golden, suspect, _ = chain(0, some_dark(11), 1.0, complex_maps=True)
    with pytest.raises(MapError, match="would rest on 1 of 12 places"):
        compare_maps(golden, suspect, FWHM_PX, UNMOVED)
    golden, suspect, _ = chain(1, some_dark(10), 1.0, complex_maps=True)
    with pytest.raises(MapError, match=r"both rest on 2 of 12 places|nothing corresponds"):
        compare_maps(golden, suspect, FWHM_PX)


@pytest.mark.parametrize("gain", [1e-3, 0.3, 3.0, 1e3])
def test_whole_maps_in_another_unit_have_that_gain(gain: float) -> None:
    golden, _, _ = chain(4, some_dark(0), 1.0, complex_maps=True)
    _, suspect, _ = chain(5, some_dark(0), 1.0, complex_maps=True)
    compared = compare_maps(golden, gain * suspect, FWHM_PX)
    assert compared.gain == pytest.approx(gain, rel=0.04)
    assert not marked(compared)


def test_a_textured_map_without_spots_has_a_gain() -> None:
    alarms = 0
    for seed in range(10):
        numbers = np.random.default_rng(seed)
        blocks = np.kron(numbers.integers(0, 2, (12, 12)), np.ones((8, 8)))
        texture = gaussian_filter(blocks, FWHM_PX / 2.3548)
        golden, suspect = (gain * texture + 40 + map_noise(SIZE, numbers, correlated=False).real for gain in (1.0, 0.7))
        compared = compare_maps(golden, suspect, FWHM_PX)
        assert compared.gain == pytest.approx(0.7, abs=0.03)
        alarms += bool(marked(compared))
    assert alarms <= 2
