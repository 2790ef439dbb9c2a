"""What came out of each die, and the rows that a run of the benchmark prints."""

import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.circuits.defects import PATH_CODE, PATH_LINK
from analysis.results import Localization
from benchmarks.localization_trials.defects import BRIDGES, SINGLE
from benchmarks.report import Row

TIE = 1e-6
BINS = 10
CHANCES = 400
"""Draws for what chance adds to a calibration error."""


@dataclass(frozen=True)
class Outcome:
    """One die.

    Attributes:
        circuit, stratum: which die it was.
        rank: of the best true site, ties as their mean, from 1; infinite when it is not named.
        top: 1 when a true site stands first alone, its part of the place when it is tied.
        collapsed: a true site stands first, or looks the same as what does.
        confidence: posterior of the first candidate.
        verdict: of the last answer.
        decided: the localizer said stop within the budget.
        probes: waveforms it took, the whole budget where it never said stop.
        expected: how many probes it expected after the fail log.
        minutes: laboratory time by its own account.
        trace_probes: probes of a guided back-trace on the same die, read without error; ``None`` without one.
        slat_top: expected top-1 of the fail log alone (single location at a time); ``None`` where it does not apply.
        limit_top: top-1 of :mod:`benchmarks.localization_trials.limits` on the same die, without the waveforms' sign
            and with it; ``None`` where it does not apply.
        seconds: of computing, for each answer.
        neighbours: nets beside the probed one under each spot.
        told_path: where a path is told of a slow path, the part of the gates told that are slow, and the part of the
            slow gates that are told; ``None`` elsewhere.
    """

    circuit: str
    stratum: str
    rank: float
    top: float
    collapsed: bool
    confidence: float
    verdict: str
    decided: bool
    probes: int
    expected: float
    minutes: float
    trace_probes: int | None
    slat_top: float | None
    limit_top: tuple[float, float] | None
    seconds: tuple[float, ...]
    neighbours: tuple[int, ...] = ()
    told_path: tuple[float, float] | None = None


def rank_of(answer: Localization, sites: Sequence[str]) -> tuple[float, float]:
    """Return the mean rank of the best of ``sites`` among those of its posterior, and its part of the first place."""
    posteriors = {item.net: item.posterior for item in answer.candidates}
    own = max((posteriors[net] for net in sites if net in posteriors), default=None)
    if own is None:
        return float("inf"), 0.0
    above = sum(value > own * (1 + TIE) for value in posteriors.values())
    tied = [net for net, value in posteriors.items() if abs(value - own) <= TIE * own]
    right = sum(net in sites for net in tied)
    return above + (len(tied) + 1) / 2 - (right - 1) / 2, right / len(tied) if above == 0 else 0.0


def compare_paths(answer: Localization, nets: Sequence[str]) -> tuple[float, float] | None:
    """Return what part of the first candidate's path is among the slow ``nets``, and what part of these it has.

    ``None`` where no path is told.
    """
    code = answer.candidates[0].fault if answer.candidates else ""
    if not code.startswith(PATH_CODE):
        return None
    told = set(code.removeprefix(PATH_CODE).split(PATH_LINK))
    shared = len(told & set(nets))
    return shared / len(told), shared / len(nets)


def calibration_error(confidence: Sequence[float], correct: Sequence[float]) -> float:
    """Return the expected calibration error: mean gap between confidence and hits over bins of equal width."""
    places = np.minimum((np.asarray(confidence) * BINS).astype(int), BINS - 1)
    gaps = np.bincount(places, weights=np.asarray(confidence) - np.asarray(correct), minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def error_by_chance(confidence: Sequence[float]) -> float:
    """Return the mean :func:`calibration_error` of as many dies whose posteriors are all right: what chance adds."""
    told = np.asarray(confidence)
    drawn = np.random.default_rng(0).random((CHANCES, told.size)) < told
    return float(np.mean([calibration_error(confidence, hits.astype(np.float64).tolist()) for hits in drawn]))


def mean_of(outcomes: Sequence[Outcome], value: Callable[[Outcome], float | None]) -> float:
    """Return the mean of ``value`` over the ``outcomes`` that have one; 0 for none."""
    known = [item for item in map(value, outcomes) if item is not None]
    return float(np.mean(known)) if known else 0.0


def rows_of(outcomes: Sequence[Outcome], snr: float) -> list[Row]:
    """Return the protocol's table of ``outcomes``: single faults by circuit and over all, then every stratum."""
    faulty = [item for item in outcomes if item.stratum != "golden"]
    golden = [item for item in outcomes if item.stratum == "golden"]
    singles = [item for item in faulty if item.stratum in SINGLE]
    rows = []
    for name in dict.fromkeys(item.circuit for item in singles):
        rows += _circuit_rows(name, [item for item in singles if item.circuit == name])
    if singles:
        rows += _single_rows(singles, snr)
    for stratum in dict.fromkeys(item.stratum for item in faulty):
        rows += _stratum_rows(stratum, [item for item in faulty if item.stratum == stratum])
    if golden:
        alarms = mean_of(golden, lambda item: item.verdict in ("located", "unmodelled"))
        rows.append(Row(f"false alarms on {len(golden)} defect-free dies", alarms, "part", "<= 0.02"))
        quiet = mean_of(golden, lambda item: item.verdict == "no-fault")
        rows.append(Row("defect-free dies called no-fault", quiet, "part"))
    return rows + _overall_rows(outcomes, faulty)


def _circuit_rows(name: str, dies: Sequence[Outcome]) -> list[Row]:
    return [
        Row(f"{name}: top-1 of {len(dies)} single faults", mean_of(dies, lambda item: item.top), "part"),
        Row(f"{name}: top-1, polarity aside", mean_of(dies, lambda item: item.collapsed), "part"),
        Row(f"{name}: probes", mean_of(dies, lambda item: item.probes), "probes"),
        Row(f"{name}: probes of a back-trace", mean_of(dies, lambda item: item.trace_probes), "probes"),
        Row(f"{name}: top-1 of the fail log alone (SLAT)", mean_of(dies, lambda item: item.slat_top), "part"),
    ]


def _single_rows(dies: Sequence[Outcome], snr: float) -> list[Row]:
    ratio = mean_of(dies, lambda item: item.probes) / max(1e-9, mean_of(dies, lambda item: item.trace_probes))
    known = [item.limit_top for item in dies if item.limit_top is not None]
    limits = np.mean(known, axis=0).tolist() if known else [0.0, 0.0]
    least, most = (">= 0.97", "<= 0.3333") if snr >= 8 else (">= 0.9", "<= 0.5")
    return [
        Row("single faults: top-1", mean_of(dies, lambda item: item.top), "part", least),
        Row("single faults: top-1, polarity aside", mean_of(dies, lambda item: item.collapsed), "part"),
        Row("single faults: top-1 of all nets' waveforms without noise, amplitude and sign unknown", limits[0], "part"),
        Row("single faults: the same, signs known", limits[1], "part"),
        Row("single faults: top-5", mean_of(dies, lambda item: item.rank <= 5), "part"),
        Row("single faults: mean reciprocal rank", mean_of(dies, lambda item: 1 / item.rank), "part"),
        Row("single faults: probes until decided", mean_of(dies, lambda item: item.probes), "probes"),
        Row("single faults: 95th percentile", float(np.percentile([item.probes for item in dies], 95)), "probes"),
        Row("single faults: probes expected", mean_of(dies, lambda item: item.expected), "probes"),
        Row("single faults: probes of a back-trace", mean_of(dies, lambda item: item.trace_probes), "probes"),
        Row("single faults: probes against the back-trace", ratio, "ratio", most),
        Row("single faults: top-1 of the fail log alone (SLAT)", mean_of(dies, lambda item: item.slat_top), "part"),
        *_stop_rows("single faults: ", dies),
    ]


def _stratum_rows(stratum: str, dies: Sequence[Outcome]) -> list[Row]:
    delayed = (">= 0.8", ">= 0.95")
    first, five = {"slow": delayed, "path": delayed}.get(
        stratum, ("", ">= 0.8") if stratum in (*BRIDGES, "double") else ("", "")
    )
    rows = [
        Row(f"{stratum}: top-1 of {len(dies)} dies", mean_of(dies, lambda item: item.top), "part", first),
        Row(f"{stratum}: top-5", mean_of(dies, lambda item: item.rank <= 5), "part", five),
        Row(f"{stratum}: probes", mean_of(dies, lambda item: item.probes), "probes"),
    ]
    return rows + _path_rows(dies) if stratum == "path" else rows


def _path_rows(dies: Sequence[Outcome]) -> list[Row]:
    """Return how many slow paths are told as paths, and how well the gates of these are told."""
    right = mean_of(dies, lambda item: item.told_path and item.told_path[0])
    complete = mean_of(dies, lambda item: item.told_path and item.told_path[1])
    return [
        Row("path: told as a path", mean_of(dies, lambda item: item.told_path is not None), "part"),
        Row("path: gates of the told path that are slow", right, "part"),
        Row("path: slow gates that are told", complete, "part"),
    ]


def _stop_rows(of: str, dies: Sequence[Outcome]) -> list[Row]:
    """Return how often a stop names the wrong site, and how far confidence is from truth; ``of`` says of which dies."""
    stopped = [item for item in dies if item.verdict == "located"]
    wrong = 1 - mean_of(stopped, lambda item: item.top > 0) if stopped else 0.0
    rows = [Row(f"{of}wrong stops among {len(stopped)} located of {len(dies)}", wrong, "part", "<= 0.02")]
    if dies:
        error = calibration_error([item.confidence for item in dies], [item.top for item in dies])
        chance = error_by_chance([item.confidence for item in dies])
        rows.append(Row(f"{of}calibration error of the first posterior", error, "part", "<= 0.03"))
        rows.append(Row(f"{of}the same, were every posterior right", chance, "part"))
    return rows


def _overall_rows(outcomes: Sequence[Outcome], faulty: Sequence[Outcome]) -> list[Row]:
    users = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    memory_mb = max(resource.getrusage(user).ru_maxrss for user in users) / 1024
    seconds = [value for item in outcomes for value in item.seconds]
    return [
        *_stop_rows("", faulty),
        Row("called unmodelled", mean_of(faulty, lambda item: item.verdict == "unmodelled"), "part"),
        Row("laboratory time", mean_of(faulty, lambda item: item.minutes), "min"),
        Row(
            "neighbours under the spot",
            float(np.mean([n for item in outcomes for n in item.neighbours] or [0])),
            "nets",
        ),
        Row("seconds an answer", float(np.mean(seconds)), "s"),
        Row("peak resident memory of a process", memory_mb, "MB", "<= 600"),
    ]
