"""The hand-off from laser to ion beam beside published figures, and its probabilities on SIMULATED laboratories.

A laboratory is drawn from the table of constants: its thresholds, penetrations, incubation and scatter are then known.
Its runs are simulated, learned from, and a hand-off is planned with what was learned; then it cuts once more, and harm
to the layer is counted. Rates of tools and recipes, and registration maps, are simulated in the same way.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from analysis.metrology.registration_map import TERMS, Sites, map_registration
from analysis.repair.ablation import Law, Shot, depth_curve, depth_per_pulse, find_law
from analysis.repair.constants import Constant, ConstantTable
from analysis.repair.default_constants import default_table
from analysis.repair.depth_model import Scan, model_depth
from analysis.repair.handoff import Layer, WrongRuns, find_handoff, simulate_depths
from analysis.repair.learning import AblationRun, Posterior, learn_ablation
from analysis.repair.margin import Surroundings, find_surroundings, lateral_margin
from analysis.repair.milling import Beam, mill
from analysis.repair.quartz_pit import phase_error_deg
from analysis.repair.success import judge_models
from benchmarks.report import Row, main

LABORATORIES = 60
WRONG = WrongRuns(0.05, 5.0)
RUNS = 16
TRIALS = 16
BOUND = 0.05
SHOT = Shot(1030.0, 3.5e-13, 2.0)
SCAN = Scan(10.0, 6.0, 6.0)
LAYER = Layer(50.0, 1.0)
PLACE_PULSES = SCAN.pulses_per_place


def _exact(key: str, value: float) -> Constant:
    return Constant(key, value, "", 0.0, "exact", "laboratory", "the published anchor leaves it out")


def measure_anchors() -> Iterator[Row]:
    """Published and derived figures: the distance of ours from each."""
    table = default_table()
    bare = table.replaced({key: _exact(key, 0.0) for key in ("alignment_sigma_um", "recast_um")})
    for walls, published in (("controlled", 4.2), ("uncontrolled", 28.6)):
        around = find_surroundings(bare, "silicon", SHOT, walls)  # type: ignore[arg-type]
        total = lateral_margin(around, 50.0).total_um
        yield Row(f"margin at 50 um, angle {walls}, off {published} um", abs(total - published), "um", "<= 0.05")
    slow = find_surroundings(table, "aluminium", Shot(1064.0, 8e-9, 5.0), "controlled")
    fast = find_surroundings(table, "aluminium", Shot(800.0, 1.5e-13, 2.0), "controlled")
    yield Row("heat-affected zone of nanoseconds, off 40 um", abs(slow.haz_um.value - 40.0), "um", "<= 0")
    yield Row("heat-affected zone of femtoseconds", fast.haz_um.value, "um", "<= 2")
    law = find_law(table, "steel", Shot(775.0, 1.5e-13, 1.0))
    found = minimize_scalar(
        lambda log: -float(depth_per_pulse(law, np.array(law.threshold_j_cm2.value * math.exp(log)))) / math.exp(log),
        bounds=(0.5, 4.0), method="bounded", options={"xatol": 1e-8},
    )  # fmt: skip
    yield Row("best fluence over threshold, off e squared", abs(math.exp(found.x) - math.e**2), "", "<= 0.001")
    hours = mill(table, "silicon", 5e5, Beam(65.0)).seconds / 3600
    yield Row("100x100x50 um of silicon at 65 nA, off 14.2 h", abs(hours - 14.2), "h", "<= 0.05")
    pit = abs(phase_error_deg(5.0, 193.0, 1.563) - 5.3)
    yield Row("phase of a 5 nm pit at 193 nm, off 5.3 deg", pit, "deg", "<= 0.06")
    ends = [
        (find_law(table, "silicon", Shot(343.0, 5e-11, 1.0)), 0.01),
        (find_law(table, "silicon", Shot(1030.0, 5e-11, 1.0)), 0.83),
        (find_law(table, "silicon", Shot(1064.0, 2.6e-8, 30.0)), 5.63),
        (find_law(table, "silicon", Shot(1064.0, 5e-7, 30.0)), 24.84),
    ]
    worst = max(abs(law.threshold_j_cm2.value / value - 1) for law, value in ends)
    yield Row("thresholds of silicon at the ends of both power laws, worst", worst, "relative", "<= 1e-6")


@dataclass(frozen=True)
class Laboratory:
    """SIMULATED: what is true of one laboratory."""

    threshold: float
    penetration: float
    scatter: float
    shape: tuple[float, float]

    def depth_nm(self, law: Law, shot: Shot, pulses: float, generator: np.random.Generator) -> float:
        """Return the depth of one more run, which goes wrong as often as the plans take it to."""
        curve = depth_curve(law, shot, pulses, self.shape, math.exp(self.threshold))
        scatter = self.scatter * (WRONG.times if generator.random() < WRONG.part else 1.0)
        return float(curve.at(pulses)) * math.exp(self.penetration + scatter * generator.normal())


def draw_laboratory(law: Law, generator: np.random.Generator) -> Laboratory:
    """Return a laboratory drawn from the table."""
    shape = [
        float(np.clip(generator.normal(part.value, part.sigma), 0.05, 1.0))
        for part in (law.incubation, law.floor_ratio)
    ]
    return Laboratory(
        generator.normal(0, law.threshold_j_cm2.log_sigma),
        generator.normal(0, law.penetration_nm.log_sigma),
        law.run_scatter.value * math.exp(generator.normal(0, 0.7)),
        (shape[0], shape[1]),
    )


def simulate_runs(law: Law, laboratory: Laboratory, generator: np.random.Generator) -> list[AblationRun]:
    """Return measured runs, 100 to 3,000 pulses on a place."""
    runs = []
    for _ in range(RUNS):
        shot = replace(SHOT, fluence_j_cm2=math.exp(generator.uniform(math.log(0.5), math.log(6.0))))
        pulses = math.exp(generator.uniform(math.log(100), math.log(3000)))
        depth = laboratory.depth_nm(law, shot, pulses, generator)
        runs.append(AblationRun(shot, pulses, depth if depth > 10 else None))
    return runs


def relearn(law: Law, found: Posterior) -> tuple[Law, float]:
    """Return the law with what was learned, and the correlation of threshold and penetration."""
    threshold, depth, scatter = (found.posterior[name] for name in found.names)

    def moved(constant: Constant, factor: float, spread: float) -> Constant:
        return replace(constant, value=constant.value * factor, spread=spread, kind="lognormal", label="laboratory")

    strong = law.strong
    if strong is not None:
        strong = (strong[0] * math.exp(threshold.mean), strong[1] * math.exp(depth.mean))
    learned = replace(
        law,
        threshold_j_cm2=moved(law.threshold_j_cm2, math.exp(threshold.mean), threshold.sigma),
        penetration_nm=moved(law.penetration_nm, math.exp(depth.mean), depth.sigma),
        strong=strong,
        run_scatter=replace(law.run_scatter, value=math.exp(scatter.mean + scatter.sigma**2)),
    )
    return learned, found.correlation


def measure_laboratories(table: ConstantTable, around: Surroundings) -> Iterator[Row]:
    """Coverage of what is learned, and harm in the cut that was planned with it."""
    generator = np.random.default_rng(5)
    law = find_law(table, "silicon", SHOT)
    # With the table's incubation what is learned is judged alone; with a drawn one, the plan as it is used.
    known = (law.incubation.value, law.floor_ratio.value)
    hits, total, harmed, harmed_before, deeper = 0, 0, [], [], []
    began = time.perf_counter()
    blind = model_depth(law, SHOT, SCAN, fluence_log_sigma=0.0, most_passes=3001)
    before = find_handoff(blind, LAYER, around, BOUND, 3000, WRONG)
    for _ in range(LABORATORIES):
        drawn = draw_laboratory(law, generator)
        same = replace(drawn, shape=known)
        found = learn_ablation(law, simulate_runs(law, same, generator))
        truth = (same.threshold, same.penetration, math.log(same.scatter))
        beliefs = [found.posterior[name] for name in found.names]
        hits += sum(belief.low <= value <= belief.high for belief, value in zip(beliefs, truth, strict=True))
        total += 3
        learned, correlation = relearn(law, learn_ablation(law, simulate_runs(law, drawn, generator)))
        model = model_depth(learned, SHOT, SCAN, fluence_log_sigma=0.0, most_passes=3001, correlation=correlation)
        plan = find_handoff(model, LAYER, around, BOUND, 3000, WRONG)
        reserve = around.haz_um.value + around.roughness_um.value
        for counts, passes in ((harmed, plan.passes), (harmed_before, before.passes)):
            depths = [drawn.depth_nm(law, SHOT, passes * PLACE_PULSES, generator) * 1e-3 for _ in range(20)]
            tops = generator.normal(LAYER.depth_um, LAYER.sigma_um, 20)
            counts.append(float(np.mean(np.array(depths) + reserve > tops)))
        deeper.append(plan.depth_um[0] / before.depth_um[0])
    elapsed = time.perf_counter() - began
    yield Row(f"95 % intervals of learned constants that hold the truth ({LABORATORIES} laboratories)",
              hits / total, "", ">= 0.92")  # fmt: skip
    yield Row("harm in the next cut, planned with the table, bound 0.05", float(np.mean(harmed_before)), "", "<= 0.08")
    yield Row("harm in the next cut, planned with 16 learned runs, bound 0.05", float(np.mean(harmed)), "", "<= 0.08")
    yield Row("depth at hand-off with learned constants over without, median", float(np.median(deeper)), "x")
    yield Row("learning and planning, each laboratory", 1e3 * elapsed / LABORATORIES, "ms")


def measure_bound(table: ConstantTable, around: Surroundings) -> Iterator[Row]:
    """The integrated probability of harm beside draws of every constant."""
    law = find_law(table, "silicon", SHOT)
    model = model_depth(law, SHOT, SCAN, fluence_log_sigma=0.05, most_passes=1001)
    for bound in (0.1, 0.01):
        plan = find_handoff(model, LAYER, around, bound, 1000, WRONG)
        drawn = simulate_depths(model, LAYER, around, plan.passes, np.random.default_rng(0), 6000, WRONG)
        off = abs(drawn.p_damage - plan.p_damage) / drawn.p_standard_error
        yield Row(f"harm by draws of every constant, planned for {bound:g}", drawn.p_damage, "", f"<= {1.3 * bound:g}")
        yield Row("… its distance from the integral", off, "standard errors", "<= 6")


def measure_success() -> Iterator[Row]:
    """What was chosen on past runs, on runs that had no part in the choice: many small groups, and a few large ones."""
    generator = np.random.default_rng(2)
    past, coming = 180, 180
    for name, groups in (("25 tools and recipes", 25), ("3 tools and recipes", 3)):
        gains, best, shipped, predicted = [], [], 0, []
        for _ in range(TRIALS):
            rates = generator.beta(8, 3, groups)
            group = generator.integers(0, groups, past + coming)
            held = generator.random(past + coming) < rates[group]
            ships = judge_models(group[:past].tolist(), held[:past].tolist()).ships
            later = judge_models(group.tolist(), held.tolist(), past)
            losses = {each: score.log_score for each, score in later.scores.items()}
            gains.append(losses["raw-rate"] - losses[ships])
            best.append(min(losses.values()) - losses[ships])
            shipped += ships == "pooled"
            predicted += [(middle - part) * runs for middle, part, runs in later.calibration]
        yield Row(f"log score gained over the raw rate by what was chosen before, {name}", float(np.mean(gains)),
                  "nats a run", ">= -0.005")  # fmt: skip
        yield Row(f"… lost to the best of the three in hindsight, {name}", -float(np.mean(best)), "nats a run")
        yield Row(f"… trials of {TRIALS} in which pooling was chosen, {name}", float(shipped), "")
        off = abs(sum(predicted)) / (TRIALS * coming)
        yield Row(f"… mean of the probabilities off the part that held, {name}", off, "", "<= 0.03")


def measure_maps() -> Iterator[Row]:
    """Standard errors of registration terms on simulated masks."""
    generator = np.random.default_rng(3)
    ticks = np.linspace(-60_000.0, 60_000.0, 9)
    x, y = (part.ravel() for part in np.meshgrid(ticks, ticks))
    pulls = []
    for _ in range(120):
        found = map_registration(Sites(x, y, generator.normal(0, 1, x.size), generator.normal(0, 1, x.size)), "affine")
        pulls.append([found.terms[name][0] / found.terms[name][1] for name in TERMS])
    within = float(np.mean(np.abs(pulls) < 1.96))
    yield Row("registration terms within 1.96 standard errors of the truth (120 masks)", within, "", ">= 0.92")


def measure() -> list[Row]:
    """Return all rows."""
    table = default_table()
    around = find_surroundings(table, "silicon", SHOT, "controlled")
    return [
        *measure_anchors(),
        *measure_bound(table, around),
        *measure_laboratories(table, around),
        *measure_success(),
        *measure_maps(),
    ]


if __name__ == "__main__":
    main(measure)
