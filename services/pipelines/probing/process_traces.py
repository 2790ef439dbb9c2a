"""Traces of equipment against their own history: the same for ``faultlight anomaly process`` and a worker."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from analysis.anomaly import trace_history
from analysis.anomaly.process_trace import LONG_WINDOWS, TraceError
from analysis.anomaly.thresholds import CalibrationError
from analysis.anomaly.trace_history import HistoryJudgement, RunJudgement, judge_runs
from services.pipelines.probing.trace_request import KINDS, TraceRequest
from services.pipelines.probing.trace_series import Run, SeriesKey, gather_series, read_time
from services.pipelines.table_source import SourceTable, TableRefused, read_tables
from services.pipelines.versions import PROCESS_TRACE_VERSION

MOST_SPANS = 100
MOST_RUNS = 5000
"""Runs in one answer; alarms come first."""
LEAST_SAMPLES = 12
"""Samples of a run: three windows of four."""
Progress = Callable[[float, str], None]


def _silent(_fraction: float, _message: str) -> None:
    """Report to nobody."""


def check_traces(sources: Sequence[SourceTable], request: TraceRequest, progress: Progress = _silent) -> dict[str, Any]:
    """Return which runs are unlike those before them: the answer of ``faultlight anomaly process --json``.

    Raises:
        TableRefused: there is no trace, none of what is asked for, nothing to judge or nothing before it.
        analysis.anomaly.thresholds.CalibrationError: no series has the runs that the promised rate takes.
    """
    if not any(each.table.kind == "equipment_trace" for each in sources):
        raise TableRefused("the files hold no trace (S6F1)")
    progress(0.1, "gathering runs")
    series = gather_series(sources, request.context, request.parameters, request.block)
    since_s = _since(sources, request)
    progress(0.4, f"judging {len(series)} series")
    told, runs, reasons = [], [], []
    for place, key in enumerate(sorted(series)):
        progress(0.4 + 0.55 * place / len(series), f"judging {key.parameter}")
        row, judged, error = _judge(key, series[key], since_s, request)
        told.append(row)
        runs += judged
        if error is not None:
            reasons.append(error)
    if all(row["verdict"] == "unjudged" for row in told):
        raise (reasons[0] if reasons else TableRefused(_nothing(told, since_s)))
    runs.sort(key=lambda run: (not run["alarm"], -run["score"]))
    return {
        "verdict": _verdict(told),
        "counts": dict(Counter(row["verdict"] for row in told)),
        "since": _iso(since_s),
        "false_alarms": request.false_alarms,
        "context": list(request.context),
        "series": told,
        "runs": runs[:MOST_RUNS],
        "runs_judged": len(runs),
        "alarms": sum(run["alarm"] for run in runs),
        "simulated": any(_simulated(each) for each in sources),
        "provenance": _provenance(sources, request),
    }


def check_paths(paths: Sequence[Path], request: TraceRequest) -> dict[str, Any]:
    """Check the traces in the journals at ``paths``; raises what reading and checking raise."""
    return check_traces(read_tables(paths, *KINDS), request)


def _since(sources: Sequence[SourceTable], request: TraceRequest) -> float:
    """Return from when on samples are judged: as asked, or the begin of the table of traces that begins last."""
    if request.since is not None:
        moment = request.since
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    begins = []
    for source in sources:
        if source.table.kind == "equipment_trace":
            times = [read_time(text) for text in source.texts("time")]
            begins += [min(time for time in times if not np.isnan(time))] if times else []
    return max(begins)


def _judge(
    key: SeriesKey, runs: Sequence[Run], since_s: float, request: TraceRequest
) -> tuple[dict[str, Any], list[dict[str, Any]], Exception | None]:
    """Return what is said of a series and of its runs, and what stood in the way."""
    least = LEAST_SAMPLES if request.window is None else LONG_WINDOWS * request.window
    before = [run for run in runs if run.times_s[-1] < since_s and run.values.size >= least]
    window = request.window or (trace_history.choose_window([run.values for run in before]) if before else 4)
    # A run that began before and goes on is judged whole: nothing of it was learned.
    due = [run for run in runs if run.times_s[-1] >= since_s]
    asked = [run for run in due if run.values.size >= LONG_WINDOWS * window]
    row: dict[str, Any] = {
        "equipment": key.equipment,
        "trace": key.trace,
        "parameter": key.parameter,
        "unit": key.unit,
        "period_s": key.period_s or None,
        "context": key.context,
        "verdict": "unjudged",
        "reason": "",
        "runs_before": len(before),
        "runs_asked": len(asked),
        "runs_too_short": len(due) - len(asked),
    }
    if not asked:
        short = f"; {len(due)} runs are too short" if due else ""
        return row | {"reason": f"nothing of it is to be judged{short}"}, [], None
    try:
        found = judge_runs(
            [run.values for run in before],
            [run.values for run in asked],
            request.false_alarms,
            window,
        )
    except (TraceError, CalibrationError) as error:
        reason = f"{len(before)} runs before, of which the later half calibrates: {error}"
        return row | {"reason": reason}, [], type(error)(f"{key.parameter}: {reason}")
    told = [_run(key, run, each) for run, each in zip(asked, found.runs, strict=True)]
    alarms = sum(run["alarm"] for run in told)
    return row | _calibration(found) | {"verdict": "strange" if alarms else "usual", "alarms": alarms}, told, None


def _calibration(found: HistoryJudgement) -> dict[str, Any]:
    return {
        "window": found.window,
        "runs_learned": found.learned,
        "runs_calibrated": found.threshold.count,
        "threshold": found.threshold.value,
        "expected_rate": found.threshold.expected_rate,
        "rate_interval": list(found.threshold.rate_interval),
    }


def _run(key: SeriesKey, run: Run, judged: RunJudgement) -> dict[str, Any]:
    return {
        "equipment": key.equipment,
        "trace": key.trace,
        "parameter": key.parameter,
        "unit": key.unit,
        "context": key.context,
        "begin": _iso(float(run.times_s[0])),
        "end": _iso(float(run.times_s[-1])),
        "samples": int(run.values.size),
        "alarm": judged.alarm,
        "score": judged.score,
        "p_value": judged.p_value,
        "baseline_sigmas": judged.baseline,
        "baseline_p_value": judged.baseline_p_value,
        "peak_at": _iso(float(run.times_s[judged.peak])),
        "peak_value": float(run.values[judged.peak]),
        "spans": _spans(run, judged.strange),
    }


def _spans(run: Run, strange: np.ndarray[Any, Any]) -> list[list[str]]:
    """Return from when to when samples are strange."""
    if not strange.size:
        return []
    pieces = np.split(strange, np.flatnonzero(np.diff(strange) > 1) + 1)
    return [[_iso(float(run.times_s[each[0]])), _iso(float(run.times_s[each[-1]]))] for each in pieces[:MOST_SPANS]]


def _verdict(told: Sequence[Mapping[str, Any]]) -> str:
    verdicts = {row["verdict"] for row in told if row["runs_asked"]}
    return "strange" if "strange" in verdicts else "unclear" if "unjudged" in verdicts else "usual"


def _nothing(told: Sequence[Mapping[str, Any]], since_s: float) -> str:
    if not told:
        return "the traces hold no numbers"
    short = sum(row["runs_too_short"] for row in told)
    return f"no run of {LEAST_SAMPLES} samples or more ends after {_iso(since_s)}; {short} runs are too short"


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")


def _simulated(source: SourceTable) -> bool:
    mapping = source.table.vendor_metadata.get("map")
    comment = mapping.get("comment") if isinstance(mapping, dict) else None
    return "simulated" in str(comment or "").lower()


def _provenance(sources: Sequence[SourceTable], request: TraceRequest) -> dict[str, Any]:
    return {
        "algorithm": "windows of a trace against the runs of the same series before it; conformal ranks by series",
        "algorithm_version": PROCESS_TRACE_VERSION,
        "parameters": request.model_dump(mode="json", include=set(TraceRequest.model_fields))
        | {"learned": trace_history.LEARNED, "least_samples": LEAST_SAMPLES},
        "conventions": {
            "score": "standard deviations of the logarithm beyond the usual, of the run's strangest sample",
            "p_value": "rank among the later half of the runs before, which nothing was learned from; ties against it",
            "false_alarms": "part of the good runs of a series, as long as runs before and after are alike",
            "baseline_sigmas": "largest distance of a sample from the learned median: for comparison only",
            "begin": "when the host received it, UTC; samples of a group by their period before that",
        },
        "inputs": sorted({each.sha256 for each in sources}),
        "adapters": dict(each.adapter.split("/", 1) for each in sources),
        "simulated": any(_simulated(each) for each in sources),
        "device": "cpu",
        "precision": "float64",
    }
