"""Delays in the answer of a localization: what a session knows of its timing, and how skews are written down."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.localization import edge_timing, posterior, time_axis, weighing
from analysis.results import WaveformVerdict
from analysis.waveforms import alignment, delay_estimation, delay_outliers, delay_statistics
from analysis.waveforms.alignment import Acquisition, Skew, weigh_skews
from analysis.waveforms.cycles import MOST_DELAY, SETTLED
from analysis.waveforms.edge_delays import EdgeDelay
from analysis.waveforms.forward_model import Optics, Timing, edge_sigma_s
from analysis.waveforms.noise import NoiseModel, TimingNoise, averaged, estimate_noise_of_repeats
from instruments.records import ProbingSession, Waveform

_PICO = 1e12
LEAST_REPEATS = 4
"""Repetitions of a loop from which on they, and not the fit, say what the noise is."""


def acquisition_of(session: ProbingSession, record: Waveform) -> Acquisition:
    """Return what ``session`` says of its edges and clocks, and the noise that the segments of ``record`` show.

    ``timing`` of the document has ``rise_ps`` (10 to 90 %), ``bandwidth_hz`` of the detector, ``jitter_ps`` and
    ``trigger_ps`` (standard deviations). Edges count as known when the detector's bandwidth is.
    """
    timing = session.document.get("timing") or {}
    jitter_s = float(timing.get("jitter_ps") or 0.0) / _PICO
    averages = int(session.document["stimulus"].get("averages") or 1)
    edge_s = None
    if timing.get("bandwidth_hz"):
        rise_s = float(timing["rise_ps"]) / _PICO if timing.get("rise_ps") else Timing().rise_s
        optics = Optics(bandwidth_hz=float(timing["bandwidth_hz"]))
        edge_s = edge_sigma_s(optics, Timing(rise_s=rise_s, jitter_s=jitter_s))
    clocks = TimingNoise(jitter_s, float(timing.get("trigger_ps") or 0.0) / _PICO, averages)
    return Acquisition(edge_s, clocks, _noise_of_segments(record))


def _noise_of_segments(record: Waveform) -> NoiseModel | None:
    count = len(record.segments)
    if count < LEAST_REPEATS or any(segment.count != record.segments[0].count for segment in record.segments):
        return None
    repeats = np.asarray(record.values(), np.float64).reshape(count, -1)
    noise = estimate_noise_of_repeats(repeats) if np.isfinite(repeats).all() else None
    return averaged(noise, count) if noise is not None and noise.innovation > 0 else None


def timing_documents(session: ProbingSession, verdicts: Sequence[WaveformVerdict]) -> list[dict[str, Any]]:
    """Return for each of ``verdicts`` of ``session`` its skew with its error, bound, outlier probability and edges."""
    skews = [Skew(item.skew_s, item.skew_sigma_s, item.delay or delay_estimation.NO_DELAY) for item in verdicts]
    doubts = weigh_skews(skews, float(session.document["stimulus"]["cycle_s"]))
    return [_timing(skew, doubt) for skew, doubt in zip(skews, doubts, strict=True)]


def _timing(skew: Skew, doubt: float | None) -> dict[str, Any]:
    detail = skew.detail
    # Edges that fall between two samples have next to no slope at any, so that the bound there is no bound.
    regular = skew.sigma_s is not None and detail.bound_s is not None and detail.bound_s <= skew.sigma_s
    return {
        "skew_ps": _ps(skew.skew_s),
        "skew_sigma_ps": _ps(skew.sigma_s),
        "skew_bound_ps": _ps(detail.bound_s) if regular else None,
        "skew_outlier_probability": doubt,
        "skew_refused": detail.refused or None,
        "edge_sigma_ps": _ps(detail.width_s),
        "edges": [_edge(edge) for edge in detail.edges if edge.delay_s is not None],
        "edges_refused": sum(edge.delay_s is None for edge in detail.edges),
    }


def _edge(edge: EdgeDelay) -> dict[str, Any]:
    return {
        "time_ps": edge.time_s * _PICO,
        "step": edge.step,
        "skew_ps": _ps(edge.delay_s),
        "skew_sigma_ps": _ps(edge.sigma_s),
        "outlier_probability": edge.outlier_probability,
    }


def _ps(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * _PICO


def timing_parameters() -> dict[str, Any]:
    """Return the constants that levels and skews depend on."""
    return {
        "skew_most_elsewhere": delay_estimation.MOST_ELSEWHERE,
        "skew_most_spread": delay_estimation.MOST_SPREAD,
        "skew_least_ratio": delay_estimation.LEAST_RATIO,
        "skew_most_outlying": delay_estimation.MOST_OUTLYING,
        "skew_outlier_prior": list(delay_outliers.SHARE_PRIOR),
        "skew_spike": delay_statistics.SPIKE,
        "finest_edge_s": alignment.FINEST_EDGE_S,
        "widest_edge_cycles": alignment.WIDEST_EDGE,
        "settled": list(SETTLED),
        "most_delay": MOST_DELAY,
        "least_between": edge_timing.LEAST_BETWEEN,
        "timings": edge_timing.TIMINGS,
        "late_trust": posterior.LATE_TRUST,
        "time_axis_as_stated": time_axis.AS_STATED,
        "time_axis_parts": list(time_axis.PARTS),
        "time_axis_least_gain": time_axis.LEAST_GAIN,
        "time_axis_kept_within": time_axis.KEPT_WITHIN,
        "time_axis_previewed": weighing.PREVIEWED,
    }
