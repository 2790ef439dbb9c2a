"""Which of many dies stand out by their waveforms: the same for the command line and a worker."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.anomaly import die_population
from analysis.anomaly.die_population import DieJudgement, NetShare, judge_dies
from analysis.anomaly.thresholds import false_discovery_adjusted
from services.pipelines.ingestion.reading import open_sandbox
from services.pipelines.probing.localization import SessionError, read_session_in
from services.pipelines.probing.population_dies import Die, Population, gather_dies
from services.pipelines.probing.population_levels import SessionLevels, read_levels
from services.pipelines.probing.population_request import MOST_DIES, PopulationRequest
from services.pipelines.versions import POPULATION_VERSION

MOST_CYCLES = 500
Progress = Callable[[float, str], None]


def _silent(_fraction: float, _message: str) -> None:
    """Report to nobody."""


def find_outliers(
    sessions: Iterable[SessionLevels], request: PopulationRequest, progress: Progress = _silent
) -> dict[str, Any]:
    """Return which dies of ``sessions`` stand out: the answer of ``faultlight anomaly population --json``.

    Raises:
        SessionError: the sessions cannot be compared, or too few are left.
        analysis.anomaly.population.PopulationError: too few dies or cycles to learn from.
        analysis.anomaly.thresholds.CalibrationError: too few dies for the promised rate.
    """
    population = gather_dies(list(sessions), request.nets)
    progress(0.1, f"comparing {len(population.dies)} dies")
    classes = [_class_of(die, request.class_by) for die in population.dies]
    reference = np.asarray([die.reference for die in population.dies], np.bool_)
    judged = judge_dies(
        population.levels,
        classes,
        reference,
        request.false_alarms,
        lambda part: progress(0.1 + 0.85 * part, "comparing each die with those that are known to be good"),
    )
    adjusted = _adjusted(judged, bool(reference.any()))
    rows = [_die(*each, population) for each in zip(population.dies, classes, judged, adjusted, strict=True)]
    rows.sort(key=lambda row: (row["verdict"] == "reference", -(row["score"] or 0.0)))
    counts = dict(Counter(row["verdict"] for row in rows))
    return {
        "verdict": _verdict(counts),
        "counts": counts,
        "dies": rows,
        "left_out": list(population.left_out),
        "warnings": [*population.warnings, *_limits(classes, judged, bool(reference.any()), request.false_alarms)],
        "nets": list(population.levels),
        "cycles": int(population.cycles.size),
        "cycles_of_loop": population.loop_cycles,
        "cycle_s": population.cycle_s,
        "false_alarms": request.false_alarms,
        "class_by": request.class_by,
        "reference_dies": int(reference.sum()),
        "simulated": any(die.simulated for die in population.dies),
        "simulated_dies": sum(die.simulated for die in population.dies),
        "provenance": _provenance(population),
    }


def find_outliers_in_paths(
    paths: Sequence[Path], reference: Sequence[Path], request: PopulationRequest
) -> dict[str, Any]:
    """Compare the sessions at ``paths`` and ``reference``, whose dies are known to be good; raises as reading does."""
    named = [*paths, *reference]
    missing = next((path for path in named if not path.exists()), None)
    if missing is not None:
        raise FileNotFoundError(f"there is no file {missing}")
    resolved = [path.resolve() for path in named]
    twice = next((path for path in resolved if resolved.count(path) > 1), None)
    if twice is not None:
        raise SessionError(f"the session {twice.name} is named twice")
    if len(named) > MOST_DIES:
        raise SessionError(f"{len(named)} sessions are too many at once; {MOST_DIES} are the most")
    with open_sandbox() as sandbox:
        read = [
            read_levels(read_session_in(sandbox, path), reference=place >= len(paths))
            for place, path in enumerate(named)
        ]
    return find_outliers(read, request)


def _class_of(die: Die, class_by: str) -> str:
    return "" if class_by == "none" else str(die.unit.get(class_by) or "unknown")


def _adjusted(judged: Sequence[DieJudgement], has_reference: bool) -> list[float | None]:
    """Return false-discovery adjusted p-values; ranks among the same dies have none."""
    if not has_reference:
        return [None] * len(judged)
    p_values = np.asarray([np.nan if each.p_value is None else each.p_value for each in judged])
    return [None if np.isnan(each) else float(each) for each in false_discovery_adjusted(p_values)]


def _die(die: Die, label: str, found: DieJudgement, adjusted: float | None, population: Population) -> dict[str, Any]:
    verdict = "reference" if die.reference else "unjudged" if found.alarm is None else "usual"
    finite = not np.isnan(found.score)
    return {
        "name": die.name,
        "unit": dict(die.unit),
        "sessions": list(die.sessions),
        "class": label,
        "verdict": "outlier" if found.alarm else verdict,
        "reason": found.reason,
        "score": found.score if finite else None,
        "threshold": found.threshold,
        "p_value": found.p_value,
        "adjusted": adjusted,
        "baseline_score": found.baseline_score if finite else None,
        "baseline_p_value": found.baseline_p_value,
        "compared_with": found.calibrated_on,
        "simulated": die.simulated,
        "nets": [_net(share, population) for share in found.nets],
    }


def _net(share: NetShare, population: Population) -> dict[str, Any]:
    cycles = population.cycles[share.different]
    return {
        "net": share.net,
        "score": share.score,
        "follows": share.follows,
        "usual_follows": share.usual_follows,
        "baseline_distance": share.baseline,
        "cycles": [int(cycle) for cycle in cycles[:MOST_CYCLES]],
        "cycles_found": int(cycles.size),
        "spans_s": _spans(cycles, population.cycle_s)[:MOST_CYCLES],
        "largest_z": None if share.z is None else float(np.abs(share.z).max()),
    }


def _spans(cycles: np.ndarray[Any, Any], cycle_s: float) -> list[list[float]]:
    """Return where in the loop the ``cycles`` lie: from and to in seconds, neighbours joined."""
    if not cycles.size:
        return []
    breaks = np.flatnonzero(np.diff(cycles) > 1) + 1
    return [[float(each[0]) * cycle_s, float(each[-1] + 1) * cycle_s] for each in np.split(cycles, breaks)]


def _verdict(counts: Mapping[str, int]) -> str:
    if counts.get("outlier"):
        return "outliers"
    return "unclear" if counts.get("unjudged") else "no-outliers"


def _limits(classes: Sequence[str], judged: Sequence[DieJudgement], has_reference: bool, alpha: float) -> list[str]:
    """Say where no more dies can be alarms than are: comparing dies with each other names at most that part."""
    if has_reference:
        return []
    told = []
    for label in sorted(set(classes)):
        own = [each for name, each in zip(classes, judged, strict=True) if name == label]
        alarms = sum(bool(each.alarm) for each in own)
        if alarms and alarms == int(alpha * len(own) + 1e-9):
            where = f" of class {label}" if label else ""
            told.append(
                f"{alarms} of {len(own)} dies{where} are the most that can be outliers at {alpha:g} false alarms: there"
                " may be more, which a reference of good dies would show; where none is faulty, the strangest are named"
            )
    return told


def _provenance(population: Population) -> dict[str, Any]:
    return {
        "algorithm": "robust subspace of waveforms without a simulation; full conformal ranks by class",
        "algorithm_version": POPULATION_VERSION,
        "parameters": {
            "kept": die_population.KEPT,
            "cycle_false_discovery_rate": die_population.CYCLE_RATE,
            "least_dies": die_population.LEAST_DIES,
        },
        "conventions": {
            "score": "standard deviations of the logarithm beyond the usual, the larger of two: distance from what the"
            " dies share, and angle to their common waveform; the largest over the nets",
            "p_value": "rank among the dies of the class that it is compared with, ties against it",
            "adjusted": "false-discovery adjusted (Benjamini and Hochberg); only beside a reference",
            "baseline_score": "the same of the distance from the median waveform: for comparison only",
            "follows": "cosine of the die's waveform with the common one; far below the usual: a dead or another net",
            "cycles": "cycles that differ, at the false-discovery rate; a die can be an outlier without one",
        },
        "sessions": [name for die in population.dies for name in die.sessions],
        "device": "cpu",
        "precision": "float64",
    }
