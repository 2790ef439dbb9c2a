"""Whether the probes of a session need more averages: the same function for ``faultlight averaging`` and the worker."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from analysis.localization import averaging
from analysis.localization.averaging import AveragingState, RepeatedProbe, judge_averaging
from analysis.localization.evidence import MISPLACED
from analysis.localization.problem import ProbedWaveform, Problem
from analysis.localization.weighing import Progress
from analysis.waveforms import sequential_test
from analysis.waveforms.confidence_sequence import EXPECTED_RATIO, Interval
from analysis.waveforms.edges import Record
from instruments.records import ProbingSession
from services.pipelines.probing.localization import SessionError, build_problem, read_session
from services.pipelines.versions import AVERAGING_VERSION


def _silent(_fraction: float, _message: str) -> None:
    """Report to nobody."""


def judge_session(
    session: ProbingSession, wrong: float = averaging.WRONG, progress: Progress = _silent
) -> dict[str, Any]:
    """Say of every probe of ``session`` whether it needs more averages; the answer of ``faultlight averaging --json``.

    Repeats of a probe are the segments of its file, and the files that follow it on the same net and place. ``wrong``
    is the most probability of a wrong decision.

    Raises:
        SessionError: something is missing or does not fit.
        analysis.waveforms.cycles.WaveformError: a repeat cannot be read by cycles.
        ValueError: ``wrong`` is not between 0 and 0.5.
    """
    _check(wrong)
    progress(0.1, "reading the repeats")
    problem = build_problem(session)
    probes = _repeated(session, problem)
    if not probes:
        raise SessionError("the session has no waveform: there is no averaging to judge")
    progress(0.3, "weighing the repeats")
    states = judge_averaging(problem, probes, wrong)
    progress(1.0, "done")
    documents = [_document(problem, state) for state in states]
    return {
        "verdict": "enough" if all(item["status"] != averaging.UNDECIDED for item in documents) else "average-on",
        "probes": documents,
        "simulated": bool(session.document.get("simulated", False)),
        "provenance": _provenance(session, wrong),
    }


def judge_path(session: Path, wrong: float = averaging.WRONG) -> dict[str, Any]:
    """Judge the session at ``session``; raises what reading and judging raise."""
    _check(wrong)
    if not session.exists():
        raise FileNotFoundError(f"there is no file {session}")
    return judge_session(read_session(session), wrong)


def _check(wrong: float) -> None:
    if not 0 < wrong < 0.5:
        raise SessionError(f"the chance of a wrong decision is between 0 and 0.5, not {wrong:g}")


def _repeated(session: ProbingSession, problem: Problem) -> list[RepeatedProbe]:
    found: list[tuple[tuple[object, ...], ProbedWaveform, list[Record]]] = []
    for probe, waveform in zip(session.document["waveforms"], problem.waveforms, strict=True):
        place = (waveform.net, *(probe.get(key) for key in ("x_um", "y_um", "stage_x_um", "stage_y_um", "power_mw")))
        if not found or found[-1][0] != place:
            found.append((place, waveform, []))
        found[-1][2].extend(_segments(session, str(probe["file"]), waveform))
    return [RepeatedProbe(waveform.net, repeats, waveform.spot) for _, waveform, repeats in found]


def _segments(session: ProbingSession, file: str, waveform: ProbedWaveform) -> list[Record]:
    (record,) = (item for item in session.waveforms[file] if item.kind == "waveform")
    pieces = np.asarray(record.values(), np.float64).reshape(len(record.segments), -1)
    return [Record(piece, waveform.t0_s, waveform.dt_s) for piece in pieces]


def _document(problem: Problem, state: AveragingState) -> dict[str, Any]:
    loop_s = len(problem.patterns) * problem.cycle_s
    repeat_s = None if problem.averages is None else loop_s * problem.averages
    finite = math.isfinite(state.to_go)
    return {
        "net": state.net,
        "status": state.status,
        "repeats": state.repeats,
        "repeats_needed": state.needed,
        "repeats_to_go": state.to_go if finite else None,
        "seconds_to_go": state.to_go * repeat_s if finite and repeat_s is not None else None,
        "as_simulated": state.as_simulated,
        "elsewhere": state.elsewhere,
        "behaviours": [
            {"faults": list(item.faults), "changed_cycles": item.changed_cycles, "posterior": item.posterior}
            for item in state.behaviours
        ],
        "p_fit": state.p_fit,
        "left": state.left,
        "swing": _interval(state.swing),
        "snr": _interval(state.ratio),
        "left_out": state.left_out,
    }


def _interval(interval: Interval | None) -> dict[str, float | None] | None:
    if interval is None:
        return None
    values = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _provenance(session: ProbingSession, wrong: float) -> dict[str, Any]:
    return {
        "algorithm": "sequential test between behaviours of the probed net",
        "algorithm_version": AVERAGING_VERSION,
        "parameters": {
            "wrong": wrong,
            "interval_misses": averaging.INTERVAL_MISSES,
            "not_worth_repeats": averaging.NOT_WORTH,
            "late_parts": list(averaging.LATE_PARTS),
            "misplaced": MISPLACED,
            "unlikely_fit": averaging.UNLIKELY_FIT,
            "unexplained_part": averaging.UNEXPLAINED_PART,
            "swing_spread": sequential_test.SPREAD,
            "expected_ratio": EXPECTED_RATIO,
        },
        "conventions": {
            "repeat": "a segment, or a file on the same net and place as the one before; stimulus.averages loops each",
            "wrong": "most probability of a wrong decision at any look, given that one of the suspects is the fault",
            "behaviours": "what fail log and earlier probes let the net do; faults of one look alike here",
            "swing, snr": "intervals that hold at every look at once; snr of a cycle in the mean of the repeats",
            "left": "energy that the likeliest behaviour leaves beyond noise, over what it explains",
        },
        "session": session.name,
        "device": "cpu",
        "precision": "float64",
    }
