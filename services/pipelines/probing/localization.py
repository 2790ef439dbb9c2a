"""Localization of a probing session: the same function for ``faultlight localize`` and for the worker."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.netlist import Circuit, LogicGate, build_circuit
from analysis.circuits.sequential import SequentialCircuit, build_sequential
from analysis.localization import evidence, priors, probe_plan
from analysis.localization.localizer import localize_fault
from analysis.localization.mixture import Spot
from analysis.localization.problem import ProbedWaveform, Problem
from analysis.localization.weighing import Progress
from analysis.results import LOCATED_ABOVE, Localization
from instruments.documents import decode_document
from instruments.packing import PackedReading, PackedRecord, unpack_raster, unpack_waveform
from instruments.records import Netlist, PatternSet, ProbingSession, Raster, Samples, Waveform
from instruments.sandbox import Sandbox
from services.pipelines.ingestion.reading import open_sandbox
from services.pipelines.probing import die_documents
from services.pipelines.probing.die_documents import (
    candidate_place,
    heat_map_document,
    history_document,
    next_probe,
    quality_document,
    time_offset_document,
    waveform_places,
)
from services.pipelines.probing.power_sessions import check_power_sessions, zero_power_documents
from services.pipelines.probing.session_delays import SessionDelays, delay_document, told_delays
from services.pipelines.probing.session_places import StageMap, alignment_document, places_of, probe_place, stage_map
from services.pipelines.probing.simulated_session import compare_with_simulation
from services.pipelines.probing.skew_documents import acquisition_of, timing_documents, timing_parameters
from services.pipelines.versions import LOCALIZATION_VERSION


class SessionError(ValueError):
    """A session cannot be analysed; the message says what is missing or does not fit."""


@dataclass(frozen=True)
class LocalizationReport:
    """The answer with its quality and provenance."""

    result: Localization
    document: dict[str, Any]

    def to_document(self) -> dict[str, Any]:
        """Return the answer of ``faultlight localize --json``."""
        return self.document


def _silent(_fraction: float, _message: str) -> None:
    """Report to nobody."""


def localize(
    session: ProbingSession, progress: Progress = _silent, others: Sequence[ProbingSession] = ()
) -> LocalizationReport:
    """Find the failing gate of ``session``; ``progress`` is called with a fraction and a message.

    ``others`` are sessions of the same unit at another laser power, for delays without the laser. A session with a
    simulation (a dump of the good die) instead of a netlist gets its waveforms compared, and no candidates.

    Raises:
        SessionError: something is missing or does not fit; so PowerSessionError, of ``others``.
        analysis.waveforms.cycles.WaveformError: a waveform cannot be compared.
        analysis.circuits.netlist.CircuitError: the netlist cannot be simulated.
    """
    check_power_sessions(session, others)
    result, waveforms, told = _measure(session, progress)
    delays = [(session, result.waveforms), *((other, _measure(other, _silent)[0].waveforms) for other in others)]
    more = {"zero_power": zero_power_documents(delays), "cell_delays": delay_document(session, told)}
    return LocalizationReport(result, _document(session, result, waveforms) | more)


def _measure(
    session: ProbingSession, progress: Progress
) -> tuple[Localization, list[ProbedWaveform], SessionDelays | None]:
    waveforms = probed_waveforms(session)
    cycle_s = float(session.document["stimulus"]["cycle_s"])
    if session.netlist is None or session.patterns is None:
        if not waveforms:
            raise SessionError("without waveforms, netlist and patterns there is nothing to localize")
        return compare_with_simulation(session, waveforms, cycle_s), waveforms, None
    problem, told = _problem(session, session.netlist, session.patterns, waveforms, cycle_s)
    return localize_fault(problem, progress), waveforms, told


def probed_waveforms(session: ProbingSession) -> list[ProbedWaveform]:
    """Return the waveforms of ``session`` in its own order, the segments of each averaged.

    Raises:
        SessionError: a file holds not one waveform, no sample interval, or segments that do not repeat.
    """
    stage = stage_map(session.document)
    return [_probed(session, probe, stage) for probe in session.document["waveforms"]]


def build_problem(session: ProbingSession) -> Problem:
    """Return all that ``session`` says about its die, its waveforms in its own order.

    Raises:
        SessionError: it has no netlist and patterns, or something does not fit.
    """
    if session.netlist is None or session.patterns is None:
        raise SessionError("the session has no netlist and patterns: there are no suspects to tell apart")
    waveforms, cycle_s = probed_waveforms(session), float(session.document["stimulus"]["cycle_s"])
    return _problem(session, session.netlist, session.patterns, waveforms, cycle_s)[0]


def _problem(
    session: ProbingSession,
    netlist: Netlist,
    patterns: PatternSet,
    waveforms: list[ProbedWaveform],
    cycle_s: float,
) -> tuple[Problem, SessionDelays]:
    circuit = to_circuit(netlist, patterns)
    sequential = to_sequential(netlist, patterns)
    columns = {net: place for place, net in enumerate(patterns.nets)}
    driven = circuit.inputs if sequential is None else sequential.ports
    missing = [circuit.nets[net] for net in driven if circuit.nets[net] not in columns]
    if missing:
        raise SessionError(f"the patterns lack the input {missing[0]}")
    stimulus = patterns.bits[:, [columns[circuit.nets[net]] for net in driven]]
    told = told_delays(session, circuit, looped=sequential is not None)
    problem = Problem(
        circuit=circuit,
        patterns=np.ascontiguousarray(stimulus),
        fails=_fails(session, circuit, len(stimulus)),
        waveforms=waveforms,
        cycle_s=cycle_s,
        places_um=places_of(session),
        averages=session.document["stimulus"].get("averages"),
        beam=_beam(session, waveforms),
        sequential=sequential,
        delays=told.delays,
    )
    return problem, told


def _beam(session: ProbingSession, waveforms: Sequence[ProbedWaveform]) -> Spot | None:
    """Return the spot of the first probe with a place; before any probe a well-placed one of the stated width."""
    fwhm = session.document.get("spot_fwhm_nm")
    begun = Spot(0.0, 0.0, float(fwhm)) if fwhm and not waveforms else None
    return next((waveform.spot for waveform in waveforms if waveform.spot is not None), begun)


def to_circuit(netlist: Netlist, patterns: PatternSet | None = None) -> Circuit:
    """Return the netlist in full-scan view; a clock, which only flip-flops use and no pattern drives, is left out."""
    used = {net for gate in netlist.gates for net in gate.inputs} | set(netlist.outputs)
    driven = set(netlist.inputs if patterns is None else patterns.nets)
    inputs = [net for net in netlist.inputs if net in used or (patterns is not None and net in driven)]
    gates = [LogicGate(gate.output, gate.function, gate.inputs) for gate in netlist.gates]
    return build_circuit(gates, inputs, netlist.outputs)


def to_sequential(netlist: Netlist, patterns: PatternSet) -> SequentialCircuit | None:
    """Return the circuit with its flip-flops where ``patterns`` drive none of them: a looped functional pattern."""
    states = {gate.output for gate in netlist.gates if gate.function == "DFF"}
    if not states or states & set(patterns.nets):
        return None
    used = {net for gate in netlist.gates for net in gate.inputs} | set(netlist.outputs) | set(patterns.nets)
    inputs = [net for net in netlist.inputs if net in used]
    gates = [LogicGate(gate.output, gate.function, gate.inputs) for gate in netlist.gates]
    return build_sequential(gates, inputs, netlist.outputs)


def _fails(session: ProbingSession, circuit: Circuit, cycles: int) -> NDArray[np.bool_] | None:
    """Return the failing bits, ``None`` when the list is empty: unknown or passing, the file does not say."""
    if session.fails is None or not session.fails.cycles.size:
        return None
    fails = np.zeros((cycles, len(circuit.outputs)), np.bool_)
    for cycle, name in zip(session.fails.cycles, session.fails.outputs, strict=True):
        if name not in circuit.output_number or not 0 <= cycle < cycles:
            raise SessionError(f"the fail log names output {name} in cycle {cycle}, which the session does not have")
        fails[cycle, circuit.output_number[name]] = True
    return fails


def _probed(session: ProbingSession, probe: dict[str, Any], stage: StageMap | None) -> ProbedWaveform:
    records = [item for item in session.waveforms[probe["file"]] if item.kind == "waveform"]
    if len(records) != 1:
        raise SessionError(f"{probe['file']} holds {len(records)} waveforms; a probe is one")
    record = records[0]
    if record.dt_s is None:
        raise SessionError(f"{probe['file']} does not say its sample interval; it cannot be compared with cycles")
    spot = None
    fwhm = session.document.get("spot_fwhm_nm")
    place = probe_place(probe, stage)
    if fwhm and place is not None:
        spot = Spot(place.x_um, place.y_um, float(fwhm), place.ellipse.major_nm, place.covariance_nm2)
    t0_s = record.t0_s if record.t0_s is not None else 0.0
    values, acquisition = _average_segments(record, probe["file"]), acquisition_of(session, record)
    return ProbedWaveform(str(probe["net"]), values, t0_s, record.dt_s, spot, acquisition)


def _average_segments(record: Waveform, file: str) -> NDArray[np.float64]:
    """Return the mean of a segmented waveform's segments, which are repetitions of the same loop."""
    values = record.values()
    if len(record.segments) == 1:
        return values
    first = record.segments[0]
    if any(segment.count != first.count or segment.t0_s != first.t0_s for segment in record.segments):
        raise SessionError(f"the segments of {file} differ in length or start; they are no repetitions of one loop")
    return np.asarray(values.reshape(len(record.segments), first.count).mean(axis=0), np.float64)


def _document(session: ProbingSession, result: Localization, waveforms: list[ProbedWaveform]) -> dict[str, Any]:
    stage, places_um = stage_map(session.document), places_of(session)
    return {
        "verdict": result.verdict,
        "candidates": [
            {
                "net": item.net,
                "fault": item.fault,
                "posterior": item.posterior,
                "activity": item.activity,
                "equivalent": list(item.equivalent),
                **candidate_place(item.net, places_um),
            }
            for item in result.candidates
        ],
        "no_fault": result.no_fault,
        "unmodelled": result.unmodelled,
        "waveforms": [
            {
                "net": item.net,
                "p_faulty": item.p_faulty,
                "p_faulty_alone": item.p_faulty_alone,
                "snr": item.snr,
                **timing,
                **waveform_places(item, waveform.spot),
            }
            for item, waveform, timing in zip(
                result.waveforms, waveforms, timing_documents(session, result.waveforms), strict=True
            )
        ],
        "next_probes": [next_probe(item, stage) for item in result.next_probes],
        "history": history_document(result),
        "time_offset": time_offset_document(result),
        "decided": result.decided,
        "missing_bits": result.missing_bits,
        "expected_probes": result.expected_probes,
        "alignment": alignment_document(stage),
        "heat_map": heat_map_document(result, places_um),
        "quality": [quality_document(waveform.net, waveform.values) for waveform in waveforms],
        "simulated": bool(session.document.get("simulated", False)),
        "provenance": _provenance(session),
    }


def _provenance(session: ProbingSession) -> dict[str, Any]:
    return {
        "algorithm": "posterior over gate, delay, bridge and double faults",
        "algorithm_version": LOCALIZATION_VERSION,
        "parameters": parameters(),
        "conventions": {
            "posterior": "sites share the prior equally; fail log and waveforms are independent given the fault",
            "candidate": "net is the output of the faulty gate; posterior is of all its faults together",
            "p_faulty": "probability that the net does not do what its fault-free simulation says",
            "skew": "positive is later than simulated; mean and standard deviation of the posterior",
            "skew_outlier_probability": "that the delay is not where stated, or unlike the session's other delays",
            **die_documents.CONVENTIONS,
            "bits": "mutual information about the site",
            "time_offset": "positive: the waveforms come later than their times say, in tester cycles",
            "history": "posterior after the fail log alone, then after each waveform; bits is the entropy left",
            "next_probes": "most bits in a second of laboratory time first",
            "decided": "one site or no fault holds enough, or no probe is worth its time",
        },
        "session": session.name,
        "device": "cpu",
        "precision": "float64",
    }


def parameters() -> dict[str, Any]:
    """Return every constant that the answer depends on."""
    return {
        "located_above": LOCATED_ABOVE,
        "prior_no_fault": priors.PRIOR_NO_FAULT,
        "class_priors": dict(priors.CLASS_PRIORS),
        "activities": list(evidence.ACTIVITIES),
        "activity_prior": list(priors.ACTIVITY_PRIOR),
        "false_fail": evidence.FALSE_FAIL,
        "missed_fail": evidence.MISSED_FAIL,
        "misplaced": evidence.MISPLACED,
        "stray_prior": list(evidence.STRAY_PRIOR),
        "prior_no_fault_untested": priors.PRIOR_NO_FAULT_UNTESTED,
        "stage_settle_s": probe_plan.STAGE_SETTLE_S,
        "stage_um_per_s": probe_plan.STAGE_UM_PER_S,
        "averaging": list(probe_plan.AVERAGING),
        "least_bits": probe_plan.LEAST_BITS,
        **timing_parameters(),
        **die_documents.parameters(),
    }


def session_of(records: tuple[PackedRecord, ...], read: Callable[[int, int], bytes]) -> ProbingSession:
    """Put a packed session together again; ``read(offset, length)`` gives bytes of its packed file.

    Raises:
        SessionError: the records are not those of one session.
    """
    parts: dict[str, list[Any]] = {}
    waveforms: dict[str, tuple[Waveform, ...]] = {}
    maps: dict[str, tuple[Raster, ...]] = {}
    for record in records:
        if record.kind == "waveform":
            piece = unpack_waveform(record.name, record.fields, record.parts, read)
            waveforms[record.member_path] = (*waveforms.get(record.member_path, ()), piece)
        elif record.kind == "raster":
            data = read(record.parts[0].byte_offset, record.parts[0].byte_length)
            raster = unpack_raster(record.name, record.fields, data)
            maps[record.member_path] = (*maps.get(record.member_path, ()), raster)
        else:
            data = read(record.parts[0].byte_offset, record.parts[0].byte_length)
            parts.setdefault(record.kind, []).append(decode_document(record.kind, data))
    heads = parts.get("probing_session", [])
    if len(heads) != 1:
        raise SessionError(f"expected one probing session, found {len(heads)}")

    def one(kind: str) -> Any:
        return (parts.get(kind) or [None])[0]

    head: ProbingSession = heads[0]
    return ProbingSession(
        name=head.name,
        role=head.role,
        document=head.document,
        netlist=one("netlist"),
        patterns=one("pattern_set"),
        fails=one("fail_log"),
        placement=one("placement"),
        simulation=tuple(parts.get("digital_trace", ())),
        waveforms=waveforms,
        maps=maps,
        delays=tuple(parts.get("table", ())),
        vendor_metadata=head.vendor_metadata,
        warnings=head.warnings,
    )


def read_session(path: Path) -> ProbingSession:
    """Read a session's folder or archive through the sandbox.

    Raises:
        instruments.errors.InstrumentError: it is refused.
        SessionError: it is no probing session.
    """
    with open_sandbox() as sandbox:
        return read_session_in(sandbox, path)


def read_session_in(sandbox: Sandbox, path: Path) -> ProbingSession:
    """Read a session through a ``sandbox`` that is open; raises what :func:`read_session` raises."""
    with tempfile.TemporaryDirectory(prefix="faultlight-session-") as folder:
        reading: PackedReading = sandbox.read(path, path.name, Path(folder))
        if reading.format != "probing-session":
            raise SessionError(f"{path.name} is a {reading.format} file; localization needs a probing session")
        data = np.memmap(reading.samples_path, np.uint8, "r") if reading.samples_path.stat().st_size else b""

        def read(offset: int, length: int) -> bytes:
            return bytes(data[offset : offset + length])

        return _held_in_memory(session_of(reading.records, read))


def _held_in_memory(session: ProbingSession) -> ProbingSession:
    waveforms = {
        path: tuple(replace(item, samples=Samples.of(item.samples.array())) for item in items)
        for path, items in session.waveforms.items()
    }
    return replace(session, waveforms=waveforms)


def localize_path(path: Path, others: Sequence[Path] = ()) -> LocalizationReport:
    """Find the failing gate of the session in a folder or archive; raises what reading and analysing raise.

    ``others`` are sessions of the same unit, taken at another laser power.
    """
    for item in (path, *others):
        if not item.exists():
            raise FileNotFoundError(f"there is no file {item}")
    return localize(read_session(path), others=[read_session(other) for other in others])
