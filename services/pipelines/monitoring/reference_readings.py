"""From the waveforms of reference nodes to the readings of control charts: numbers of the instrument, not of the die.

A reading is comparable only with those taken under the same setup, which is part of its chart: product, technique,
wavelength, cycle, averages, supply, temperature, spot and sample interval. What cannot be measured is told with its
reason, and is no reading.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import pack_patterns, simulate, unpack_patterns
from analysis.monitoring.timing_marker import LEAST_RATIO, NoMarker, find_first_edge, measure_swing
from analysis.waveforms.alignment import estimate_skew
from analysis.waveforms.comparison import fit_levels, observe, of_one_net
from analysis.waveforms.cycles import WaveformError, read_cycle_levels
from analysis.waveforms.quality import CLIPPED_PART, assess_quality
from instruments.records import ProbingSession, Waveform
from services.pipelines.probing.localization import SessionError, to_circuit
from services.pipelines.probing.simulated_session import trace_values

PICOSECOND = 1e-12
LASER = "laser"


@dataclass(frozen=True)
class MeasuredReading:
    """One value of a chart; ``sigma`` is its standard error in the same unit, where it is known."""

    node: str
    quantity: str
    unit: str
    setup: Mapping[str, Any]
    value: float
    sigma: float | None
    member_path: str
    record_index: int


@dataclass(frozen=True)
class NotMeasured:
    """A quantity that a waveform does not give, and why."""

    node: str
    quantity: str
    reason: str


@dataclass
class Measurement:
    """What a file or session says about its instrument."""

    readings: list[MeasuredReading] = field(default_factory=list)
    not_measured: list[NotMeasured] = field(default_factory=list)

    def add(self, item: MeasuredReading | NotMeasured) -> None:
        """Append to the one list or the other."""
        if isinstance(item, MeasuredReading):
            self.readings.append(item)
        else:
            self.not_measured.append(item)


@dataclass(frozen=True)
class _Place:
    """Where a waveform stands and what it is comparable with."""

    node: str
    setup: Mapping[str, Any]
    member_path: str
    record_index: int

    def reading(self, quantity: str, unit: str, value: float, sigma: float | None = None) -> MeasuredReading:
        return MeasuredReading(self.node, quantity, unit, self.setup, value, sigma, self.member_path, self.record_index)

    def refuse(self, quantity: str, reason: str) -> NotMeasured:
        return NotMeasured(self.node, quantity, reason)


def measure_waveform(node: str, waveform: Waveform, member_path: str, record_index: int) -> Measurement:
    """Return amplitude, SNR (of one sample) and position of the first edge of a waveform outside sessions."""
    measured = Measurement()
    setup = _without_unknown({"averages": waveform.averages, "dt_s": _rounded(waveform.dt_s)})
    place = _Place(node, setup, member_path, record_index)
    values, problem = _values(waveform)
    if values is None:
        measured.add(place.refuse("amplitude", problem))
        return measured
    for item in _measure_marker(place, waveform, values):
        measured.add(item)
    return measured


def _measure_marker(
    place: _Place, waveform: Waveform, values: NDArray[np.float64]
) -> Iterator[MeasuredReading | NotMeasured]:
    quality = assess_quality(values)
    if quality.clipped_part > CLIPPED_PART:
        yield place.refuse("amplitude", _clipped(quality.clipped_part))
        return
    try:
        swing = measure_swing(values, (quality.low_level, quality.high_level), quality.noise)
    except NoMarker as error:
        yield place.refuse("amplitude", str(error))
        return
    yield place.reading("amplitude", waveform.unit, swing.amplitude, swing.sigma)
    if quality.noise > 0:
        yield place.reading("snr", "", swing.amplitude / quality.noise)
    else:
        yield place.refuse("snr", "the samples show no noise")
    if waveform.dt_s is None or waveform.t0_s is None:
        yield place.refuse("edge_position", "the file does not say its sample interval or its trigger")
        return
    try:
        edge = find_first_edge(values, waveform.t0_s, waveform.dt_s, swing, quality.noise)
    except NoMarker as error:
        yield place.refuse("edge_position", str(error))
        return
    yield place.reading("edge_position", "ps", edge.time_s / PICOSECOND, edge.sigma_s / PICOSECOND)


def measure_session(session: ProbingSession, nets: Sequence[str]) -> Measurement:
    """Return the laser's power, and amplitude, SNR (of one cycle) and skew of ``nets``, against what the good die does.

    Raises:
        analysis.circuits.netlist.CircuitError: the netlist cannot be simulated.
        SessionError: the patterns lack an input.
    """
    measured = Measurement()
    document = session.document
    if not nets:
        return measured
    measured.add(_laser_power(document))
    expected = _expected_values(session, set(nets))
    setup = _session_setup(document)
    for index, probe in enumerate(document["waveforms"]):
        if str(probe["net"]) not in nets:
            continue
        for item in _measure_probe(session, probe, index, setup, expected):
            measured.add(item)
    return measured


def _measure_probe(
    session: ProbingSession,
    probe: Mapping[str, Any],
    index: int,
    setup: Mapping[str, Any],
    expected: Mapping[str, NDArray[np.float64]],
) -> Iterator[MeasuredReading | NotMeasured]:
    node, file = str(probe["net"]), str(probe["file"])
    records = [item for item in session.waveforms[file] if item.kind == "waveform"]
    if len(records) != 1:
        yield NotMeasured(node, "amplitude", f"{file} holds {len(records)} waveforms; a probe is one")
        return
    waveform = records[0]
    place = _Place(node, _without_unknown({**setup, "dt_s": _rounded(waveform.dt_s)}), file, index)
    values, problem = _values(waveform)
    if values is None:
        yield place.refuse("amplitude", problem)
        return
    clipped = assess_quality(values).clipped_part
    bits = expected.get(node)
    if bits is None:
        yield place.refuse("amplitude", "the simulation has no two-valued trace of this net")
    elif not np.ptp(bits) > 0:
        yield place.refuse("amplitude", "the net does not switch in these patterns")
    elif waveform.dt_s is None:
        yield place.refuse("amplitude", "the file does not say its sample interval")
    elif clipped > CLIPPED_PART:
        yield place.refuse("amplitude", _clipped(clipped))
    else:
        yield from _measure_node(place, waveform, values, bits, float(session.document["stimulus"]["cycle_s"]))


def _measure_node(
    place: _Place, waveform: Waveform, values: NDArray[np.float64], bits: NDArray[np.float64], cycle_s: float
) -> Iterator[MeasuredReading | NotMeasured]:
    """Yield amplitude and SNR of the cycles' levels, and the skew, against ``bits``: noise does not bias them."""
    t0_s = waveform.t0_s if waveform.t0_s is not None else 0.0
    assert waveform.dt_s is not None
    try:
        observation = observe(read_cycle_levels(values, t0_s, waveform.dt_s, cycle_s, bits.size))
    except WaveformError as error:
        yield place.refuse("amplitude", str(error))
        return
    fit = fit_levels(observation, of_one_net(bits[None]))
    spread = float(bits[observation.covered].std()) * math.sqrt(float(observation.covered.sum()))
    if not spread > 0:
        yield place.refuse("amplitude", "the net does not switch in the cycles that the waveform covers")
        return
    yield place.reading("amplitude", waveform.unit, abs(fit.amplitude), fit.noise / spread)
    if math.isfinite(fit.ratio):
        yield place.reading("snr", "", fit.ratio)
    else:
        yield place.refuse("snr", "the levels show no noise")
    skew = estimate_skew(values, t0_s, waveform.dt_s, cycle_s, bits)
    if skew.skew_s is None or skew.sigma_s is None:
        yield place.refuse("edge_skew", skew.detail.refused)
    else:
        yield place.reading("edge_skew", "ps", skew.skew_s / PICOSECOND, skew.sigma_s / PICOSECOND)


def _clipped(part: float) -> str:
    return f"clipped: {part:.1%} of the samples are at the end of the range"


def _values(waveform: Waveform) -> tuple[NDArray[np.float64] | None, str]:
    """Return the values, segments averaged where they are repetitions; or ``None`` and why not."""
    values = waveform.values()
    first = waveform.segments[0]
    if any(segment.count != first.count or segment.t0_s != first.t0_s for segment in waveform.segments):
        return None, "its segments differ in length or start; they are no repetitions"
    values = values.reshape(len(waveform.segments), first.count).mean(axis=0)
    if values.size < 16 or not np.isfinite(values).all():
        return None, f"16 finite samples are needed, it has {int(np.isfinite(values).sum())} of {values.size}"
    return values, ""


def _expected_values(session: ProbingSession, nets: set[str]) -> dict[str, NDArray[np.float64]]:
    """Return what each net does on a good die: 0 or 1 by cycle."""
    if session.netlist is None or session.patterns is None:
        cycle_s = float(session.document["stimulus"]["cycle_s"])
        return trace_values(session, cycle_s, nets)
    circuit = to_circuit(session.netlist, session.patterns)
    columns = {net: place for place, net in enumerate(session.patterns.nets)}
    missing = [circuit.nets[net] for net in circuit.inputs if circuit.nets[net] not in columns]
    if missing:
        raise SessionError(f"the patterns lack the input {missing[0]}")
    bits = session.patterns.bits[:, [columns[circuit.nets[net]] for net in circuit.inputs]]
    words = simulate(circuit, pack_patterns(np.ascontiguousarray(bits)))
    wanted = [(number, name) for number, name in enumerate(circuit.nets) if name in nets]
    return {name: unpack_patterns(words[number], len(bits)).astype(np.float64) for number, name in wanted}


def _laser_power(document: Mapping[str, Any]) -> MeasuredReading | NotMeasured:
    laser = document.get("laser") or {}
    setup = _without_unknown({"technique": document["technique"], "wavelength_nm": laser.get("wavelength_nm")})
    place = _Place(LASER, setup, "session.json", 0)
    power = laser.get("power_mw")
    if power is None:
        return place.refuse("laser_power", "the session does not say it")
    return place.reading("laser_power", "mW", float(power))


def _session_setup(document: Mapping[str, Any]) -> dict[str, Any]:
    stimulus, laser, unit = (document.get(name) or {} for name in ("stimulus", "laser", "unit"))
    return {
        "product": unit.get("product"),
        "technique": document["technique"],
        "wavelength_nm": laser.get("wavelength_nm"),
        "spot_fwhm_nm": document.get("spot_fwhm_nm"),
        **{name: stimulus.get(name) for name in ("cycle_s", "cycles", "averages", "vdd_v", "temperature_c")},
    }


def _without_unknown(setup: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sorted(setup.items()) if value is not None}


def _rounded(value: float | None) -> float | None:
    """Return the sample interval to six digits: text files differ in the last ones from one to the next."""
    return None if value is None else float(f"{value:.6g}")


def parameters() -> dict[str, Any]:
    """Return every constant that a reading depends on."""
    return {"clipped_part": CLIPPED_PART, "least_swing_over_noise": LEAST_RATIO}
