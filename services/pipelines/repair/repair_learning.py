"""What a laboratory's logs say about its laser's and beam's constants: for ``faultlight repair learn`` and jobs."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.repair import learning
from analysis.repair.ablation import Law, OutsideModel, find_law
from analysis.repair.constants import Constant, ConstantTable
from analysis.repair.learning import Belief, LearningFailed, Posterior, learn_ablation, learn_mean
from analysis.repair.margin import find_surroundings
from analysis.repair.milling import name_beam
from services.pipelines.repair.constant_table import make_table
from services.pipelines.repair.repair_constants import SCHEMA, SIMULATED, GivenConstant, read_constants
from services.pipelines.repair.repair_runs import LaserStep, MillingStep, NotUsed, find_runs
from services.pipelines.table_source import SourceTable, TableRefused, read_tables
from services.pipelines.versions import LEARNING_VERSION

_FACTOR = math.log(2.0)
_RATE_SCATTER = 0.1
_TAPER_SCATTER_DEG = 0.5
_HAZ_SCATTER = 0.3
_UPPER_PART = 1.959964


def learn_paths(
    logs: Sequence[Path], material: str | None = None, constants: Path | None = None, write: Path | None = None
) -> dict[str, Any]:
    """Learn from the files ``logs``; write the posterior as a file of constants to ``write`` when it is given."""
    given = read_constants(constants) if constants is not None else []
    document = learn_tables(read_tables(logs, "repair_step"), material, given)
    if write is not None:
        write.write_text(format_constants(document["constants"]), "utf-8")
    return document


def learn_tables(
    sources: list[SourceTable], material: str | None = None, given: Sequence[GivenConstant] = ()
) -> dict[str, Any]:
    """Return the answer of ``faultlight repair learn --json``: prior and posterior of each constant side by side.

    ``material`` is that of the steps whose log names none; ``given`` are constants that stand instead of the defaults.

    Raises:
        TableRefused: no step of any log can be used.
    """
    table = make_table(given)
    laser, beam, not_used = find_runs(sources, material)
    simulated = any(map(_simulated, sources))
    learned = _Learned(table, [], [], [], SIMULATED if simulated else "")
    _learn_depths(learned, laser, not_used)
    _learn_walls(learned, laser)
    _learn_rates(learned, beam, not_used)
    if not learned.parts:
        first = f"; {not_used[0].file}, step {not_used[0].step}: {not_used[0].reason}" if not_used else ""
        reasons = first + (f"; {learned.failed[0]['reason']}" if learned.failed else "")
        raise TableRefused(f"the logs hold nothing to learn from{reasons}")
    return {
        "verdict": "learned" if not learned.failed else "learned-in-part",
        "learned": learned.parts,
        "failed": learned.failed,
        "not_used": [asdict(item) for item in not_used],
        "constants": learned.constants,
        "provenance": {
            "algorithm": "Bayes' rule on a grid; contaminated normal scatter of logarithms",
            "algorithm_version": LEARNING_VERSION,
            "parameters": {
                "material": material,
                "outlying_part": learning.OUTLYING_PART,
                "outlying_scale": learning.OUTLYING_SCALE,
                "false_outliers": learning.FALSE_OUTLIERS,
                "constants": [item.model_dump(mode="json") for item in given],
            },
            "conventions": {
                "interval": "95 %, central",
                "spread": "of lognormal constants the standard deviation of the logarithm",
                "rates, tapers and zones": "the spread is that of the next run, not only of the mean",
                "incubation": "not learned: exponent and floor are kept at the table's values",
                "outlying_run_ratio": "mean of a beta distribution that expects one run in twenty before any was seen",
            },
            "inputs": sorted({source.sha256 for source in sources}),
            "adapters": sorted({source.adapter for source in sources}),
            "device": "cpu",
            "precision": "float64",
            "simulated": simulated,
        },
    }


def format_constants(rows: Sequence[dict[str, Any]]) -> str:
    """Return ``rows`` as a TOML file of the schema ``faultlight.repair-constants/1``."""
    lines = [f'schema = "{SCHEMA}"']
    for row in rows:
        lines += ["", "[[constants]]"]
        lines += [f'{key} = "{row[key]}"' for key in ("key", "kind", "label", "source")]
        lines += [f"{key} = {row[key]!r}" for key in ("value", "spread")]
    return "\n".join(lines) + "\n"


@dataclass
class _Learned:
    """What has been learned so far."""

    table: ConstantTable
    parts: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    constants: list[dict[str, Any]]
    remark: str

    def keep(self, key: str, value: float, spread: float, kind: str, runs: int) -> None:
        self.constants.append(
            {
                "key": key,
                "value": value,
                "spread": spread,
                "kind": kind,
                "label": "laboratory",
                "source": f"learned from {runs} runs{self.remark}",
            }
        )


def _simulated(source: SourceTable) -> bool:
    comments = source.table.vendor_metadata.get("log", {})
    return str(comments.get("simulated", "")).lower() in ("true", "yes", "1") if isinstance(comments, dict) else False


def _learn_depths(learned: _Learned, steps: list[LaserStep], not_used: list[NotUsed]) -> None:
    groups: dict[str, list[LaserStep]] = defaultdict(list)
    laws: dict[str, Law] = {}
    for step in steps:
        if step.run is None:
            continue
        try:
            law = find_law(learned.table, step.material, step.shot)
        except OutsideModel as error:
            not_used.append(NotUsed(step.file, step.step, str(error)))
            continue
        groups[law.name].append(step)
        laws.setdefault(law.name, law)
    seen, wrong = 0, 0.0
    for name, group in groups.items():
        # A law that moves with wavelength or pulse width has one threshold for each: one factor for all would do, but
        # the scatter of runs would hide what the exponents do. They are learned for one kind of pulse at a time.
        kinds = {(step.shot.wavelength_nm, step.shot.pulse_s) for step in group}
        prefix = f"laser.{name}."
        moves = learned.table.find(prefix + "wavelength_exponent") or learned.table.find(prefix + "pulse_exponent")
        if len(kinds) > 1 and moves is not None:
            learned.failed.append({"what": prefix[:-1], "reason": f"runs of {len(kinds)} kinds of pulses in one law"})
            continue
        law = laws[name]
        try:
            found = learn_ablation(law, [step.run for step in group if step.run is not None])
        except LearningFailed as error:
            learned.failed.append({"what": prefix[:-1], "reason": str(error)})
            continue
        base = {key: learned.table[prefix + key] for key in ("threshold_j_cm2", "penetration_nm", "run_scatter")}
        learned.parts.append(_describe(prefix[:-1], found, list(group), _depth_quantities(found, base)))
        _keep_depths(learned, prefix, found, base, len(group))
        seen, wrong = seen + len(group), wrong + math.fsum(verdict.p_outlying for verdict in found.runs)
        deepest = max((step.run.depth_nm or 0.0) for step in group if step.run is not None)
        learned.keep(prefix + "depth_seen_um", deepest * 1e-3, 0.0, "exact", len(group))
    if seen:
        # Of a beta distribution whose mean is what learning takes before it has seen a run.
        share = (1.0 + wrong) / (1.0 / learning.OUTLYING_PART + seen)
        learned.keep("outlying_run_ratio", share, 0.0, "exact", seen)


def _depth_quantities(found: Posterior, base: dict[str, Constant]) -> list[dict[str, Any]]:
    names = {"threshold_j_cm2": "threshold_factor", "penetration_nm": "penetration_factor"}
    rows = [
        _quantity(base[key], found.prior[name], found.posterior[name], base[key].value) for key, name in names.items()
    ]
    return [*rows, _quantity(base["run_scatter"], found.prior["scatter"], found.posterior["scatter"], 1.0)]


def _keep_depths(learned: _Learned, prefix: str, found: Posterior, base: dict[str, Constant], runs: int) -> None:
    threshold, depth = found.posterior["threshold_factor"], found.posterior["penetration_factor"]
    lower, deeper = math.exp(threshold.mean), math.exp(depth.mean)
    learned.keep(prefix + "threshold_j_cm2", base["threshold_j_cm2"].value * lower, threshold.sigma, "lognormal", runs)
    learned.keep(prefix + "penetration_nm", base["penetration_nm"].value * deeper, depth.sigma, "lognormal", runs)
    for key, factor in (("strong_threshold_j_cm2", lower), ("strong_penetration_nm", deeper)):
        strong = learned.table.find(prefix + key)
        if strong is not None:
            learned.keep(prefix + key, strong.value * factor, 0.0, "exact", runs)
    scatter = found.posterior["scatter"]
    # The root of the mean square: what the next run scatters by, whatever the scatter is.
    learned.keep(prefix + "run_scatter", math.exp(scatter.mean + scatter.sigma**2), 0.0, "exact", runs)
    bound = max(-0.999, min(0.999, found.correlation))
    learned.keep(prefix + "threshold_penetration_correlation", bound, 0.0, "exact", runs)


def _learn_walls(learned: _Learned, steps: list[LaserStep]) -> None:
    tapers: dict[str, list[LaserStep]] = defaultdict(list)
    zones: dict[str, list[LaserStep]] = defaultdict(list)
    for step in steps:
        if step.taper_deg is not None and step.walls in ("controlled", "uncontrolled"):
            tapers[f"{step.material}.{step.walls}_deg"].append(step)
        elif step.taper_deg is not None:
            reason = f"{step.file}, step {step.step}: the log does not say whether the walls were controlled"
            learned.failed.append({"what": "taper", "reason": reason})
        if step.haz_um is not None and step.haz_um > 0:
            regime = find_surroundings(learned.table, step.material, step.shot, "controlled").regime
            process = {"ultrashort": "ultrashort", "between": "picosecond", "nanosecond": "nanosecond"}[regime]
            zones[f"laser.{step.material}.{process}.haz_um"].append(step)
    for key, group in tapers.items():
        base = learned.table[f"taper.{key.rpartition('.')[2]}"]
        values = np.array([step.taper_deg for step in group], np.float64)
        found = _mean(learned, f"taper.{key}", values, (base.value, base.sigma), (_TAPER_SCATTER_DEG, 0.7))
        if found is not None:
            rows = [_quantity(base, found.prior["mean"], found.posterior["mean"], None)]
            learned.parts.append(_describe(f"taper.{key}", found, list(group), rows))
            learned.keep(f"taper.{key}", found.posterior["mean"].mean, _next(found), "normal", len(group))
    for key, group in zones.items():
        _learn_zone(learned, key, group)


def _learn_zone(learned: _Learned, key: str, group: list[LaserStep]) -> None:
    """A bound becomes the figure that 97.5 % of the next runs stay below."""
    base = find_surroundings(learned.table, group[0].material, group[0].shot, "controlled").haz_um
    middle = base.value / 2 if base.kind == "upper-bound" else base.value
    values = np.log([step.haz_um for step in group if step.haz_um is not None])
    found = _mean(learned, key, values, (math.log(middle), _FACTOR), (_HAZ_SCATTER, 0.7))
    if found is None:
        return
    rows = [_quantity(base, found.prior["mean"], found.posterior["mean"], 1.0)]
    learned.parts.append(_describe(key, found, list(group), rows))
    upper = math.exp(found.posterior["mean"].mean + _UPPER_PART * _next(found))
    learned.keep(key, upper, 0.0, "upper-bound", len(group))


def _learn_rates(learned: _Learned, steps: list[MillingStep], not_used: list[NotUsed]) -> None:
    groups: dict[str, list[MillingStep]] = defaultdict(list)
    reference = learned.table["fib.beam_kv"].value
    for step in steps:
        if step.species == "unknown":
            not_used.append(NotUsed(step.file, step.step, "the log does not name the ion"))
            continue
        standard = step.species.lower() in ("ga", "ga+") and abs(step.beam_kv - reference) <= 0.5
        beam = "" if standard else name_beam(step.species, step.beam_kv) + "."
        groups[f"fib.{step.material}.{beam}rate_um3_nc"].append(step)
    for key, group in groups.items():
        base = learned.table.find(key)
        values = np.log([step.rate_um3_nc for step in group])
        if base is None:
            if len(group) < 5:
                reason = f"{len(group)} runs, and no rate in the table to start from: 5 are needed"
                learned.failed.append({"what": key, "reason": reason})
                continue
            # Nothing is known before: the runs' own middle with a spread that is wide beside theirs.
            base = Constant(key, math.exp(float(np.median(values))), "um3/nC", 2.0, "lognormal", "unverified", "none")
        found = _mean(learned, key, values, (math.log(base.value), max(base.log_sigma, 1e-3)), (_RATE_SCATTER, 0.7))
        if found is not None:
            rows = [_quantity(base, found.prior["mean"], found.posterior["mean"], 1.0)]
            learned.parts.append(_describe(key, found, list(group), rows))
            learned.keep(key, math.exp(found.posterior["mean"].mean), _next(found), "lognormal", len(group))


def _mean(
    learned: _Learned, what: str, values: Any, prior: tuple[float, float], scatter: tuple[float, float]
) -> Posterior | None:
    try:
        return learn_mean(values, prior, scatter)
    except LearningFailed as error:
        learned.failed.append({"what": what, "reason": str(error)})
        return None


def _next(found: Posterior) -> float:
    """Return the standard deviation of the next run: of the mean and of the scatter together."""
    scatter = found.posterior["scatter"]
    return math.hypot(found.posterior["mean"].sigma, math.exp(scatter.mean + scatter.sigma**2))


def _quantity(base: Constant, prior: Belief, posterior: Belief, factor: float | None) -> dict[str, Any]:
    """Return prior and posterior of a constant in its unit; ``factor`` undoes the logarithm if there is one."""

    def show(belief: Belief) -> dict[str, float]:
        if factor is None:
            return {"value": belief.mean, "spread": belief.sigma, "low": belief.low, "high": belief.high}
        values = [factor * math.exp(value) for value in (belief.mean, belief.low, belief.high)]
        return {"value": values[0], "spread": belief.sigma, "low": values[1], "high": values[2]}

    return {
        "key": base.key,
        "unit": base.unit,
        "prior": show(prior) | {"label": base.label, "source": base.source},
        "posterior": show(posterior),
        "spread_ratio": posterior.sigma / prior.sigma,
    }


def _describe(
    what: str, found: Posterior, steps: Sequence[LaserStep | MillingStep], quantities: list[dict[str, Any]]
) -> dict[str, Any]:
    runs = [
        {"file": step.file, "step": step.step, **asdict(verdict)}
        for step, verdict in zip(steps, found.runs, strict=True)
    ]
    outlying = sum(verdict.outlying for verdict in found.runs)
    warnings = []
    if found.p_fit < 0.01:
        warnings.append(f"the runs do not scatter as the model says (p = {found.p_fit:.2g})")
    if outlying > 0.2 * len(runs):
        warnings.append(f"{outlying} of {len(runs)} runs are outlying: the model does not describe this laboratory")
    if len(runs) < 3:
        warnings.append(f"{len(runs)} runs hardly move the table's values")
    return {
        "what": what,
        "runs": len(runs),
        "quantities": quantities,
        "correlation": found.correlation,
        "outliers": [run for run in runs if run["outlying"]],
        "each_run": runs,
        "diagnostics": {"edge": found.edge, "grids": found.grids, "p_fit": found.p_fit},
        "warnings": warnings,
    }
