"""The law of depth: anchors, monotonicity, its naive twin, and what it refuses."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from analysis.repair.ablation import (
    OPTIMUM_RATIO,
    OutsideModel,
    Shot,
    depth_curve,
    depth_per_pulse,
    find_law,
    pulses_per_place,
    volume_per_pulse_um3,
)
from analysis.repair.constants import Constant, ConstantsRefused, ConstantTable
from analysis.repair.default_constants import default_table
from tests.naive import ablation as naive

SHAPE = (0.85, 0.5)


def steel(fluence: float = 1.0, profile: str = "gaussian"):
    shot = Shot(775.0, 1.5e-13, fluence, profile)
    return find_law(default_table(), "steel", shot), shot


@pytest.mark.parametrize(
    ("metal", "threshold"), [("steel", 0.160), ("niobium", 0.146), ("titanium", 0.102), ("copper", 0.353)]
)
def test_metals_begin_to_ablate_at_the_published_threshold(metal: str, threshold: float) -> None:
    law = find_law(default_table(), metal, Shot(775.0, 1.5e-13, 1.0))
    assert law.threshold_j_cm2.value == pytest.approx(threshold, rel=0.005)
    assert depth_per_pulse(law, np.array([0.99 * threshold]), "top-hat") == 0
    assert depth_per_pulse(law, np.array([1.01 * threshold]), "top-hat") > 0


def test_a_gaussian_pulse_is_most_efficient_at_e_squared_thresholds() -> None:
    law, _ = steel()

    def loss(log_ratio: float) -> float:
        fluence = law.threshold_j_cm2.value * math.exp(log_ratio)
        return -float(depth_per_pulse(law, np.array(fluence))) / fluence

    best = math.exp(minimize_scalar(loss, bounds=(0.5, 4.0), method="bounded", options={"xatol": 1e-8}).x)
    assert best == pytest.approx(7.389, abs=1e-3)
    assert pytest.approx(best, abs=1e-3) == OPTIMUM_RATIO


def test_silicon_changes_its_regime_and_peaks_where_it_was_measured() -> None:
    law = find_law(default_table(), "silicon", Shot(1030.0, 3.5e-13, 2.0))
    assert law.crossing_j_cm2 == pytest.approx(2.0)
    assert law.strong is not None
    assert law.strong[0] * OPTIMUM_RATIO == pytest.approx(8.0)


@pytest.mark.parametrize(("wavelength", "threshold"), [(343.0, 0.01), (1030.0, 0.83)])
def test_picosecond_silicon_meets_both_published_ends(wavelength: float, threshold: float) -> None:
    law = find_law(default_table(), "silicon", Shot(wavelength, 5e-11, 1.0))
    assert law.threshold_j_cm2.value == pytest.approx(threshold, rel=1e-6)


@pytest.mark.parametrize(("pulse", "threshold"), [(2.6e-8, 5.63), (5e-7, 24.84)])
def test_nanosecond_silicon_meets_both_published_ends(pulse: float, threshold: float) -> None:
    law = find_law(default_table(), "silicon", Shot(1064.0, pulse, 30.0))
    assert law.threshold_j_cm2.value == pytest.approx(threshold, rel=1e-6)


@pytest.mark.parametrize("fluence", [0.15, 0.5, 1.9, 2.1, 8.0])
def test_the_closed_form_of_a_gaussian_spot_equals_its_rings(fluence: float) -> None:
    law = find_law(default_table(), "silicon", Shot(1030.0, 3.5e-13, fluence))
    gentle = (law.threshold_j_cm2.value, law.penetration_nm.value)
    expected = naive.mean_depth_nm(fluence, gentle, law.strong)
    assert float(depth_per_pulse(law, np.array(fluence))) == pytest.approx(expected, rel=2e-5, abs=1e-12)
    top = naive.local_depth_nm(fluence, gentle, law.strong)
    assert float(depth_per_pulse(law, np.array(fluence), "top-hat")) == pytest.approx(top, rel=1e-12)


def test_volume_of_a_pulse_is_a_quarter_of_the_disk_times_the_squared_logarithm() -> None:
    law, shot = steel(1.0)
    expected = math.pi * 10**2 / 4 * 0.015 * math.log(1 / 0.16) ** 2
    assert volume_per_pulse_um3(law, shot, 10.0) == pytest.approx(expected)


@pytest.mark.parametrize("pulses", [1, 7, 1024, 1500, 20_000])
def test_summed_pulses_equal_the_slow_sum(pulses: int) -> None:
    law, shot = steel(0.5, "top-hat")
    curve = depth_curve(law, shot, pulses, SHAPE)
    expected = naive.depth_after(pulses, 0.5, (law.threshold_j_cm2.value, law.penetration_nm.value), SHAPE)
    assert float(curve.at(pulses)) == pytest.approx(expected, rel=5e-6)


def test_depth_grows_with_fluence_pulses_and_incubation_and_shrinks_with_the_threshold() -> None:
    law, shot = steel(0.5)
    curve = depth_curve(law, shot, 500, SHAPE, np.array([0.8, 1.0, 1.25, 4.0, 40.0]))
    assert (np.diff(curve.depth_nm, axis=1) >= 0).all()
    assert (np.diff(curve.depth_nm, axis=0) <= 0).all()
    assert curve.depth_nm[-1, -1] == 0
    more = depth_curve(law, Shot(775.0, 1.5e-13, 0.6), 500, SHAPE)
    assert more.at(500) > curve.depth_nm[1, -1]
    assert depth_curve(law, shot, 500, (0.7, 0.5)).at(500) > depth_curve(law, shot, 500, (1.0, 0.5)).at(500)


def test_without_incubation_every_pulse_is_alike() -> None:
    law, shot = steel(0.5)
    curve = depth_curve(law, shot, 100_000, (1.0, 1.0))
    assert float(curve.at(100_000)) == pytest.approx(1e5 * float(depth_per_pulse(law, np.array(0.5))), rel=1e-9)


@pytest.mark.parametrize(
    ("material", "wavelength", "pulse", "fluence", "words"),
    [
        ("unobtainium", 775, 1.5e-13, 1.0, "no ablation constants for 'unobtainium'; there are for copper"),
        ("steel", 355, 1.5e-13, 1.0, "hold at 355 nm and 1.5e-13 s; there are ultrashort: 750 to 800 nm"),
        ("steel", 775, 1e-8, 1.0, "hold at 775 nm and 1e-08 s"),
        ("silicon", 1030, 3.5e-13, 20.0, "20 J/cm2 is above 8 J/cm2"),
    ],
)
def test_outside_the_table_is_refused_with_the_numbers(
    material: str, wavelength: float, pulse: float, fluence: float, words: str
) -> None:
    with pytest.raises(OutsideModel, match=words):
        find_law(default_table(), material, Shot(wavelength, pulse, fluence))


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_pulse_without_a_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="must be a number above 0"):
        Shot(775.0, 1.5e-13, value)
    with pytest.raises(ValueError, match="above 0"):
        pulses_per_place(10.0, value, 2.0)


def test_steps_wider_than_the_spot_are_refused() -> None:
    with pytest.raises(OutsideModel, match="row of craters"):
        pulses_per_place(10.0, 11.0, 2.0)
    assert pulses_per_place(10.0, 2.0, 2.0, 3.0) == pytest.approx(3 * math.pi * 25)


def test_constants_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConstantsRefused, match="not above 0"):
        Constant("a_nm", -1.0, "nm", 0.1, "lognormal", "laboratory", "me")
    with pytest.raises(ConstantsRefused, match="no measured number"):
        Constant("a_nm", math.nan, "nm", 0.1, "normal", "laboratory", "me")
    with pytest.raises(ConstantsRefused, match="given twice"):
        ConstantTable([Constant("a", 1.0, "", 0.0, "exact", "laboratory", "me")] * 2)
    with pytest.raises(ConstantsRefused, match=r"there is no constant haz\.attosecond_um"):
        default_table()["haz.attosecond_um"]


def test_every_default_says_where_it_comes_from() -> None:
    for row in default_table().rows():
        assert row.source
        assert row.label in ("quoted", "derived", "unverified")
        if "no source" in row.source:
            assert row.label == "unverified", row.key
