"""Margins, milling times and where to hand over: published anchors, the integral beside chance, and refusals."""

import math

import numpy as np
import pytest

from analysis.repair.ablation import OutsideModel, Shot, depth_curve, find_law
from analysis.repair.constants import Constant, ConstantTable
from analysis.repair.default_constants import default_table
from analysis.repair.depth_model import MeasuredDepth, Scan, condition_on_depth, model_depth
from analysis.repair.handoff import (
    Handoff,
    Layer,
    WrongRuns,
    find_handoff,
    kinds_of_runs,
    probability_of_damage,
    simulate_depths,
)
from analysis.repair.margin import find_surroundings, floor_width, lateral_margin
from analysis.repair.milling import Beam, mill
from analysis.repair.quartz_pit import phase_error_deg

FEMTOSECOND = Shot(1030.0, 3.5e-13, 2.0)


def exact(key: str, value: float) -> Constant:
    return Constant(key, value, "", 0.0, "exact", "laboratory", "this test")


def aligned() -> ConstantTable:
    """The table without what the anchors leave out: alignment and recast."""
    rows = [exact("alignment_sigma_um", 0.0), exact("recast_um", 0.0)]
    return default_table().replaced({row.key: row for row in rows})


@pytest.mark.parametrize(("walls", "margin"), [("controlled", 4.2), ("uncontrolled", 28.6)])
def test_margins_at_50_um(walls: str, margin: float) -> None:
    around = find_surroundings(aligned(), "silicon", FEMTOSECOND, walls)
    found = lateral_margin(around, 50.0)
    assert found.total_um == pytest.approx(margin, abs=0.05)
    assert found.total_um == found.haz_um + found.taper_um


def test_the_margin_adds_alignment_and_recast() -> None:
    around = find_surroundings(default_table(), "silicon", FEMTOSECOND, "controlled")
    assert lateral_margin(around, 50.0).total_um == pytest.approx(2 + 2.183 + 2 * 1.0 + 0.5, abs=1e-3)
    assert lateral_margin(around, 0.0).taper_um == 0


def test_heat_reaches_40_um_with_nanoseconds_and_not_2_um_with_femtoseconds() -> None:
    slow = find_surroundings(default_table(), "silicon", Shot(1064.0, 5e-8, 30.0), "controlled")
    fast = find_surroundings(default_table(), "copper", Shot(775.0, 1.5e-13, 1.0), "controlled")
    assert (slow.regime, slow.haz_um.value) == ("nanosecond", 40.0)
    assert (fast.regime, fast.haz_um.value) == ("ultrashort", 2.0)
    assert any("not measured on copper" in flag for flag in fast.flags)


def test_between_the_regimes_the_worse_figure_bounds_and_is_flagged() -> None:
    around = find_surroundings(default_table(), "silicon", Shot(1030.0, 5e-11, 2.0), "controlled")
    assert (around.regime, around.haz_um.value) == ("between", 40.0)
    assert any("5e-11 s, between" in flag for flag in around.flags)


def test_an_ion_beam_alone_takes_14_hours() -> None:
    found = mill(default_table(), "silicon", 100 * 100 * 50, Beam(65.0))
    assert found.seconds / 3600 == pytest.approx(14.2, abs=0.05)
    assert found.mass_ng == pytest.approx(5e5 * 2.33e-3)


@pytest.mark.parametrize(
    ("material", "rate"),
    [
        ("silicon", 0.15),
        ("silicon-dioxide", 0.19),
        ("silicon-nitride", 0.21),
        ("chromium", 0.28),
        ("aluminium", 0.37),
        ("gold", 1.8),
    ],
)
def test_published_milling_rates(material: str, rate: float) -> None:
    assert mill(default_table(), material, rate * 7, Beam(1.0)).seconds == pytest.approx(7.0)


def test_a_quartz_pit_of_5_nm_is_5_degrees() -> None:
    assert phase_error_deg(5.0, 193.0, 1.563) == pytest.approx(5.25, abs=0.05)
    assert phase_error_deg(171.0, 193.0, 1.563) == pytest.approx(180.0, abs=0.5)
    with pytest.raises(ValueError, match="no phase"):
        phase_error_deg(math.nan, 193.0, 1.563)


@pytest.mark.parametrize(
    ("beam", "material", "error", "words"),
    [
        (Beam(65.0, 30.0, "Xe"), "silicon", OutsideModel, "not for Xe at 30 kV; give fib.silicon.xe-30kv"),
        (Beam(65.0, 5.0), "silicon", OutsideModel, "Ga at 30 kV, not for Ga at 5 kV"),
        (Beam(65.0), "mud", OutsideModel, "no milling rate for 'mud'; there are rates for aluminium"),
        (Beam(0.0), "silicon", ValueError, "above 0 nA"),
        (Beam(math.nan), "silicon", ValueError, "above 0 nA"),
    ],
)
def test_milling_that_is_not_known_is_refused(beam: Beam, material: str, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        mill(default_table(), material, 1.0, beam)


def test_walls_that_meet_are_refused() -> None:
    with pytest.raises(OutsideModel, match=r"meet at 9\.4 um under an opening of 10 um, before 50 um"):
        floor_width(10.0, 50.0, 28.0)
    assert floor_width(100.0, 50.0, 2.5) == pytest.approx(100 - 2 * 2.183, abs=1e-3)


def planned(risk: float = 1e-3, sigma: float = 1.0, **changed: float) -> tuple:
    rows = {key: exact(key, value) for key, value in changed.items()}
    table = default_table().replaced(rows)
    law = find_law(table, "silicon", FEMTOSECOND)
    around = find_surroundings(table, "silicon", FEMTOSECOND, "controlled")
    scan = Scan(10.0, 6.0, 6.0)
    model = model_depth(law, FEMTOSECOND, scan, fluence_log_sigma=0.05, most_passes=1001)
    layer = Layer(50.0, sigma)
    found = find_handoff(model, layer, around, risk, 1000)
    return model, layer, around, found


def test_the_handoff_is_the_last_pass_within_the_bound() -> None:
    for risk in (1e-4, 1e-3, 1e-2, 0.2):
        model, layer, around, found = planned(risk)
        assert found.p_damage <= risk < found.p_damage_next
        assert found.p_damage == probability_of_damage(model, layer, around, found.passes)


def test_more_risk_and_less_doubt_let_the_laser_cut_deeper() -> None:
    depths = [planned(risk)[3].depth_um[0] for risk in (1e-5, 1e-4, 1e-3, 1e-2, 0.1)]
    assert depths == sorted(depths)
    assert planned(sigma=0.1)[3].passes >= planned(sigma=5.0)[3].passes
    key = "laser.silicon.ultrashort.penetration_nm"
    assert planned(**{key: 24.0})[3].depth_um[0] > planned()[3].depth_um[0]


def test_the_probability_of_harm_is_that_of_chance() -> None:
    model, layer, around, found = planned(0.05)
    drawn = simulate_depths(model, layer, around, found.passes, np.random.default_rng(3), 3000)
    assert drawn.p_damage == pytest.approx(found.p_damage, abs=3.5 * drawn.p_standard_error)
    assert drawn.mean_um == pytest.approx(found.depth_um[1], rel=0.04)
    assert drawn.sigma_um == pytest.approx(found.depth_um[2], rel=0.12)


def test_a_run_gone_wrong_is_one_of_a_laboratory_that_scatters_so() -> None:
    model, layer, around, found = planned()
    wide = model.of_scattered_run(5.0)
    key = "laser.silicon.ultrashort.run_scatter"
    scattering = planned(**{key: 5 * model.law.run_scatter.value})[0]
    harm = probability_of_damage(wide, layer, around, found.passes)
    assert harm == pytest.approx(probability_of_damage(scattering, layer, around, found.passes), rel=1e-9)
    assert harm > 5 * found.p_damage
    assert model.of_scattered_run(1.0).kappa_sigma == model.kappa_sigma


def test_the_bound_holds_with_runs_gone_wrong() -> None:
    """Runs drawn from both kinds, independently of the integral."""
    model, layer, around, plain = planned(risk=0.02)
    wrong = WrongRuns(0.1, 5.0)
    found = find_handoff(model, layer, around, 0.02, 1000, wrong)
    assert found.passes < plain.passes
    assert found.p_damage <= 0.02 < found.p_damage_next
    generator = np.random.default_rng(8)
    count = 400_000
    scale = np.where(generator.random(count) < 0.1, 5.0, 1.0)
    scatter = model.law.run_scatter.value
    sigma = np.sqrt(model.kappa_sigma**2 + (scale**2 - 1) * scatter**2)
    node = generator.choice(len(model.nodes), count, p=model.weights)
    depth = model.depth_um(found.passes)[node] * np.exp(sigma * generator.normal(size=count))
    reach = depth + around.haz_um.value + around.roughness_um.value
    harmed = float(np.mean(reach > generator.normal(layer.depth_um, layer.sigma_um, count)))
    assert harmed == pytest.approx(found.p_damage, abs=4 * math.sqrt(0.02 / count))
    drawn = simulate_depths(model, layer, around, found.passes, np.random.default_rng(3), 3000, wrong)
    assert drawn.p_damage == pytest.approx(found.p_damage, abs=3.5 * drawn.p_standard_error)
    with pytest.raises(ValueError, match="a part from 0 to 1"):
        WrongRuns(1.0, 5.0)


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5])
def test_a_measured_depth_tells_a_run_gone_wrong_as_far_as_it_is_exact(share: float) -> None:
    """Every constant drawn, both kinds of runs, each draw weighed by how likely the measured depth is with it."""
    known = {
        f"laser.silicon.ultrashort.{key}": value for key, value in (("penetration_nm", 22.0), ("run_scatter", 0.1))
    }
    model, layer, around, _ = planned(risk=0.02, **known)
    wrong, measured = WrongRuns(0.1, 5.0), MeasuredDepth(10, 4.0, share * 4.0)
    passes = 70
    told = condition_on_depth(model, measured, passes)
    generator = np.random.default_rng(5)
    law, inner = model.law, 1000
    pulses = np.array([measured.passes, passes]) * model.pulses_per_pass
    harmed = likely = outlying = 0.0
    for _ in range(1000):
        exponent, floor = (
            float(np.clip(generator.normal(each.value, each.sigma), 1e-3, 1))
            for each in (law.incubation, law.floor_ratio)
        )
        curve = depth_curve(
            law, FEMTOSECOND, pulses[1], (exponent, floor), math.exp(generator.normal(0, model.x_sigma))
        )
        then, end = (float(curve.at(each)) * 1e-3 for each in pulses)
        gone = generator.random(inner) < 0.1
        factor = np.exp(generator.normal(0, np.where(gone, 0.5, 0.1)))
        weight = np.exp(-((np.log(then * factor / 4.0) / share) ** 2) / 2)
        top = generator.normal(layer.depth_um, layer.sigma_um, inner) - around.haz_um.value - around.roughness_um.value
        harmed += float(weight @ (end * factor > top))
        likely += float(weight.sum())
        outlying += float(weight @ gone)
    kinds = kinds_of_runs(told, wrong)
    assert kinds[1][0] == pytest.approx(outlying / likely, rel=0.05)
    assert probability_of_damage(told, layer, around, passes, wrong) == pytest.approx(
        harmed / likely, rel=0.2, abs=2e-4
    )
    drawn = simulate_depths(told, layer, around, passes, np.random.default_rng(3), 500, wrong)
    assert drawn.p_damage == pytest.approx(harmed / likely, abs=4 * drawn.p_standard_error)


def test_moments_and_quantiles_are_those_of_the_distribution() -> None:
    model, _, _, found = planned()
    generator = np.random.default_rng(1)
    node = generator.choice(len(model.nodes), 200_000, p=model.weights)
    draws = model.depth_um(found.passes)[node] * np.exp(generator.normal(0, model.kappa_sigma, len(node)))
    assert np.median(draws) == pytest.approx(found.depth_um[0], rel=0.01)
    assert draws.mean() == pytest.approx(found.depth_um[1], rel=0.01)
    assert draws.std() == pytest.approx(found.depth_um[2], rel=0.03)
    assert np.quantile(draws, [0.025, 0.975]) == pytest.approx(found.depth_interval_um, rel=0.02)


def test_what_is_left_has_the_doubt_of_both() -> None:
    found: Handoff = planned(sigma=3.0)[3]
    assert found.remaining_um[0] == pytest.approx(50.0 - found.depth_um[1])
    assert found.remaining_um[1] == pytest.approx(math.hypot(found.depth_um[2], 3.0))
    low, high = found.remaining_interval_um
    assert low < found.remaining_um[0] < high


def test_constants_learned_together_move_together() -> None:
    law = find_law(default_table(), "silicon", FEMTOSECOND)
    scan = Scan(10.0, 6.0, 6.0)
    spreads = [
        model_depth(law, FEMTOSECOND, scan, fluence_log_sigma=0.0, most_passes=50, correlation=each).moments(50)[2]
        for each in (-0.9, 0.0, 0.9)
    ]
    # A higher threshold with a deeper penetration cancels; with a shallower one it adds.
    assert spreads[2] < spreads[1] < spreads[0]


def test_a_layer_too_near_gets_no_pass_at_all() -> None:
    law = find_law(default_table(), "silicon", FEMTOSECOND)
    around = find_surroundings(default_table(), "silicon", FEMTOSECOND, "controlled")
    model = model_depth(law, FEMTOSECOND, Scan(10.0, 6.0, 6.0), fluence_log_sigma=0.05, most_passes=11)
    found = find_handoff(model, Layer(3.0, 0.1), around, 1e-3, 10)
    assert found.passes == 0
    assert found.depth_um == (0.0, 0.0, 0.0) or found.depth_um[1] == 0.0


def test_below_the_threshold_there_is_no_plan() -> None:
    shot = Shot(1030.0, 3.5e-13, 0.21)
    law = find_law(default_table(), "silicon", shot)
    with pytest.raises(OutsideModel, match=r"0\.21 J/cm2 exceeds the threshold .* 0\.2 J/cm2 \(30 %\).* 0\.5\d only"):
        model_depth(law, shot, Scan(10.0, 6.0, 6.0), fluence_log_sigma=0.05, most_passes=10)


def test_too_few_passes_and_too_deep_a_layer_are_refused() -> None:
    law = find_law(default_table(), "silicon", FEMTOSECOND)
    around = find_surroundings(default_table(), "silicon", FEMTOSECOND, "controlled")
    model = model_depth(law, FEMTOSECOND, Scan(10.0, 6.0, 6.0), fluence_log_sigma=0.05, most_passes=20_000)
    with pytest.raises(OutsideModel, match="even 2 passes"):
        find_handoff(model, Layer(50.0, 1.0), around, 1e-3, 2)
    with pytest.raises(OutsideModel, match="deeper than 200 um"):
        find_handoff(model, Layer(3000.0, 1.0), around, 1e-3, 19_999)
    with pytest.raises(ValueError, match=r"between 0 and 0\.5"):
        find_handoff(model, Layer(50.0, 1.0), around, 0.0, 10)
    with pytest.raises(ValueError, match="above 0 um"):
        Layer(math.nan, 1.0)


def test_a_depth_measured_on_the_way_narrows_the_plan() -> None:
    model, layer, around, before = planned(0.05)
    for depth, deeper in ((0.7, True), (1.4, False)):
        measured = MeasuredDepth(10, depth * float(model.moments(10)[0]), 0.1)
        known = condition_on_depth(model, measured, 60)
        found = find_handoff(known, layer, around, 0.05, 1000)
        assert found.depth_um[2] < 0.5 * before.depth_um[2] / before.depth_um[1] * found.depth_um[1]
        # What cuts more slowly than expected may be cut longer.
        assert (found.passes > find_handoff(condition_on_depth(
            model, MeasuredDepth(10, float(model.moments(10)[0]), 0.1), 60), layer, around, 0.05, 1000
        ).passes) == deeper  # fmt: skip


def test_a_measured_depth_is_weighed_as_chance_weighs_it() -> None:
    model, layer, around, _ = planned(0.05)
    measured = MeasuredDepth(20, 0.8 * float(model.moments(20)[0]), 0.8)
    known = condition_on_depth(model, measured, 60)
    found = find_handoff(known, layer, around, 0.05, 1000)
    drawn = simulate_depths(known, layer, around, found.passes, np.random.default_rng(3), 3000)
    assert drawn.draws > 200
    assert drawn.mean_um == pytest.approx(found.depth_um[1], rel=0.04)
    assert drawn.sigma_um == pytest.approx(found.depth_um[2], rel=0.15)
    assert drawn.p_damage == pytest.approx(found.p_damage, abs=4 * drawn.p_standard_error)


def test_a_measured_depth_that_cannot_be_is_refused() -> None:
    model = planned(0.05)[0]
    with pytest.raises(OutsideModel, match="does not fit the constants, which expect"):
        condition_on_depth(model, MeasuredDepth(10, 500.0, 1.0), 20)
    with pytest.raises(OutsideModel, match="more than the model was asked for"):
        condition_on_depth(model, MeasuredDepth(5000, 5.0, 1.0), 20)
    for bad in ((0, 5.0, 1.0), (10, math.nan, 1.0), (10, 5.0, 0.0), (10, 5.0, 4.0)):
        with pytest.raises(ValueError, match="depth"):
            MeasuredDepth(*bad)
