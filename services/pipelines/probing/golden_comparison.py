"""A suspect session against golden ones: the same function for ``faultlight anomaly`` and for the worker."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.anomaly import common_gain, golden_die, maps, reference, scan_chain
from analysis.anomaly.golden_die import NetComparison, compare_dies
from analysis.anomaly.reference import Recording
from instruments.records import ProbingSession, Raster, Waveform
from services.pipelines.probing.localization import SessionError, read_session
from services.pipelines.probing.signal_maps import compare_all, judge_chain
from services.pipelines.versions import ANOMALY_VERSION

MOST_CYCLES = 500
Progress = Callable[[float, str], None]


def _silent(_fraction: float, _message: str) -> None:
    """Report to nobody."""


def compare_sessions(
    suspect: ProbingSession, golden: Sequence[ProbingSession], progress: Progress = _silent
) -> dict[str, Any]:
    """Compare ``suspect`` with ``golden`` sessions of good dies; return the answer of ``faultlight anomaly --json``.

    A scan chain is judged by the suspect's own maps, so that one with a ``scan_chain`` needs no golden session.

    Raises:
        SessionError: there is no golden session, one is not golden, or the stimuli differ.
        analysis.waveforms.cycles.WaveformError: no net was probed on both, and there are no maps of both.
    """
    chain = suspect.document.get("scan_chain")
    if not golden and not isinstance(chain, dict):
        raise SessionError("a golden session is needed to compare with")
    known, seen = _maps(golden[:1]), _maps((suspect,))
    nets = []
    if golden:
        cycle_s, cycles = _check(suspect, golden)
        progress(0.1, "comparing the waveforms")
        both = suspect.waveforms and any(each.waveforms for each in golden)
        nets = _compare_waveforms(suspect, golden, cycle_s, cycles) if both or not (known and seen) else []
    progress(0.6, "comparing the maps")
    fwhm_nm = suspect.document.get("spot_fwhm_nm")
    compared = compare_all(known, seen, fwhm_nm) if known else []
    judged = judge_chain(chain, seen, suspect.placement, fwhm_nm) if isinstance(chain, dict) else None
    progress(1.0, "done")
    verdicts = [*(net["verdict"] for net in nets), *(each["verdict"] for each in compared)]
    return {
        "verdict": _verdict(verdicts, judged),
        "nets": nets,
        "maps": compared,
        "scan_chain": judged,
        "simulated": any(each.document.get("simulated") is True for each in (suspect, *golden)),
        "provenance": _provenance(suspect, golden),
    }


def compare_paths(suspect: Path, golden: Sequence[Path]) -> dict[str, Any]:
    """Compare the session at ``suspect`` with those at ``golden``; raises what reading and comparing raise."""
    missing = next((path for path in (suspect, *golden) if not path.exists()), None)
    if missing is not None:
        raise FileNotFoundError(f"there is no file {missing}")
    return compare_sessions(read_session(suspect), [read_session(path) for path in golden])


def _check(suspect: ProbingSession, golden: Sequence[ProbingSession]) -> tuple[float, int]:
    wrong = next((each for each in golden if each.role != "golden"), None)
    if wrong is not None:
        raise SessionError(f"session {wrong.name} has the role {wrong.role}, not golden: it is no reference")
    stimuli = {(each.document["stimulus"]["cycle_s"], loop_cycles(each)) for each in (suspect, *golden)}
    if len(stimuli) > 1:
        raise SessionError(f"the sessions have different cycles (seconds, number): {sorted(stimuli)}")
    bits = [each.patterns.bits for each in (suspect, *golden) if each.patterns is not None]
    if any(not np.array_equal(bits[0], each) for each in bits[1:]):
        raise SessionError("the sessions have different patterns: their waveforms must differ")
    cycle_s, cycles = stimuli.pop()
    return float(cycle_s), cycles


def loop_cycles(session: ProbingSession) -> int:
    """Return the number of cycles in the loop of ``session``.

    Raises:
        SessionError: it does not say.
    """
    if session.patterns is not None:
        return len(session.patterns.bits)
    cycles = session.document["stimulus"].get("cycles")
    if cycles is None:
        raise SessionError(f"session {session.name} does not say how many cycles its loop has (stimulus.cycles)")
    return int(cycles)


def _compare_waveforms(
    suspect: ProbingSession, golden: Sequence[ProbingSession], cycle_s: float, cycles: int
) -> list[dict[str, Any]]:
    good: dict[str, list[Recording]] = {}
    for session in golden:
        for net, recordings in _recordings(session).items():
            good.setdefault(net, []).extend(recordings)
    own = _recordings(suspect)
    compared = compare_dies(good, {net: recordings[-1] for net, recordings in own.items()}, cycle_s, cycles)
    left_out = [_left_out(net) for net in own if net not in good]
    return [*(_net_document(each) for each in compared), *left_out]


def _recordings(session: ProbingSession) -> dict[str, list[Recording]]:
    found: dict[str, list[Recording]] = {}
    for probe in session.document["waveforms"]:
        for waveform in session.waveforms[probe["file"]]:
            found.setdefault(str(probe["net"]), []).extend(recordings_of(waveform, probe["file"]))
    return found


def recordings_of(waveform: Waveform, file: str) -> list[Recording]:
    """Return the segments of a waveform of ``file``, which are repetitions of one loop; each is a recording.

    Raises:
        SessionError: its sample interval is not known.
    """
    if waveform.dt_s is None:
        raise SessionError(f"{file} does not say its sample interval; it cannot be compared with cycles")
    values, at, found = waveform.values(), 0, []
    for segment in waveform.segments:
        t0_s = segment.t0_s if segment.t0_s is not None else 0.0
        found.append(Recording(np.asarray(values[at : at + segment.count], np.float64), t0_s, waveform.dt_s))
        at += segment.count
    return found


def _maps(sessions: Sequence[ProbingSession]) -> list[Raster]:
    return [raster for session in sessions for rasters in session.maps.values() for raster in rasters]


def _net_document(net: NetComparison) -> dict[str, Any]:
    head = {"net": net.net, "verdict": net.verdict, "reason": net.reason}
    found = net.comparison
    if found is None:
        return {**head, "adjusted": None, "cycles": []}
    different = found.different
    return {
        **head,
        "adjusted": net.adjusted,
        "p_value": found.p_value,
        "cycles": [int(cycle) for cycle in different[:MOST_CYCLES]],
        "cycles_found": int(different.size),
        "largest_z": float(np.nanmax(np.abs(found.z))),
        "gain": found.gain,
        "gain_sigma": found.gain_sigma,
        "least_change_swings": min(found.least_change, 1e9),
        "noise_inflation": found.noise_inflation,
        "correlation": found.correlation,
    }


def _left_out(net: str) -> dict[str, Any]:
    return {"net": net, "verdict": "unclear", "reason": "no golden session has it", "adjusted": None, "cycles": []}


def _verdict(verdicts: Sequence[str], chain: Mapping[str, Any] | None) -> str:
    broken = chain is not None and chain["verdict"] == "located"
    if broken or any(each in (golden_die.DIFFERENT, golden_die.DEAD) for each in verdicts):
        return "different"
    return "same" if verdicts and all(each == golden_die.SAME for each in verdicts) else "unclear"


def parameters() -> dict[str, Any]:
    """Return every constant that the answer depends on."""
    return {
        "cycle_false_discovery_rate": reference.DIFFERENT_BELOW,
        "net_false_discovery_rate": reference.DIFFERENT_BELOW,
        "peak_false_discovery_rate": maps.DIFFERENT_BELOW,
        "unclear_above_swings": golden_die.UNCLEAR_ABOVE,
        "most_shift_px": maps.MOST_SHIFT,
        "map_gain_spread_factor": common_gain.GAIN_SPREAD,
        "map_place_spread": common_gain.PLACE_SPREAD,
        "map_gain_odds": common_gain.GAIN_ODDS,
        "chain_located_above": scan_chain.LOCATED_ABOVE,
        "chain_prior_no_break": scan_chain.PRIOR_NO_BREAK,
        "chain_prior_unmodelled": scan_chain.PRIOR_UNMODELLED,
    }


def _provenance(suspect: ProbingSession, golden: Sequence[ProbingSession]) -> dict[str, Any]:
    return {
        "algorithm": "golden-die comparison",
        "algorithm_version": ANOMALY_VERSION,
        "parameters": parameters(),
        "conventions": {
            "adjusted": "false-discovery adjusted (Benjamini and Hochberg) among the nets, or the peaks of a map",
            "gain": "suspect over golden swing, negative when inverted; of a map, of its unchanged places",
            "least_change_swings": "change of a cycle that five standard errors would show, in golden swings",
            "baseline_pixels": "pixels that differ plainly by three standard deviations: for comparison only",
            "correlation": "plain correlation of the levels: for comparison only",
        },
        "session": suspect.name,
        "golden": [each.name for each in golden],
        "device": "cpu",
        "precision": "float64",
    }
