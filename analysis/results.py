"""What localization answers, as plain data."""

from dataclasses import dataclass

from analysis.waveforms.delay_estimation import WaveformDelay

VERDICTS = ("located", "ambiguous", "unmodelled", "no-fault")
LOCATED_ABOVE = 0.95


@dataclass(frozen=True)
class Candidate:
    """A suspect site.

    Attributes:
        net: the output net of the gate.
        fault: the likeliest fault there, for example ``SA0``, ``SA1:G3``, ``SWAP:NOR`` or ``PATH:G3 > G7``.
        posterior: probability of the site, all its faults together.
        activity: part of the loops in which the likeliest fault is active; 1 for a permanent one.
        equivalent: other sites that no measurement made so far can tell from this one.
    """

    net: str
    fault: str
    posterior: float
    activity: float
    equivalent: tuple[str, ...]


@dataclass(frozen=True)
class NetWeight:
    """Weight of a net under the spot with its standard error, as parts of the sum of all absolute weights.

    ``low`` and ``high`` bound it with 95 % probability.
    """

    net: str
    weight: float
    sigma: float
    low: float
    high: float


@dataclass(frozen=True)
class SpotNet:
    """A net that the spot may have been on, and how probable that is."""

    net: str
    probability: float


@dataclass(frozen=True)
class Residual:
    """What is left of a waveform without the nets under its spot; ``None`` where a test cannot be made.

    Attributes:
        stranger: the net not under the spot that shows most in it.
        p_stranger: probability of as much in noise alone, all nets asked.
        excess: its variance over that of the noise within the cycles.
        p_excess: probability of so much by chance.
        p_memory: probability of neighbouring cycles so much alike by chance.
    """

    stranger: str | None
    p_stranger: float | None
    excess: float | None
    p_excess: float | None
    p_memory: float | None


@dataclass(frozen=True)
class SpotReport:
    """Where a spot really was.

    Attributes:
        on_net: probability that the net's drain was the nearest to the beam.
        elsewhere: probability that the beam was nowhere near the place that the session says.
        nets: likeliest nets, that net among them.
        swing: sum of all absolute weights, in the waveform's unit.
        detector_tail: time constant of the detector that fits best, as a part of a cycle; 0 where it settles at once.
        residual: whether what is left is noise.
    """

    on_net: float
    elsewhere: float
    nets: tuple[SpotNet, ...]
    swing: float
    detector_tail: float
    residual: Residual


@dataclass(frozen=True)
class SiteMass:
    """Probability of a net as the site; ``resembling`` of a defect outside the model that looks most like one there."""

    net: str
    probability: float
    resembling: float


@dataclass(frozen=True)
class WaveformVerdict:
    """What a waveform says about its net.

    Attributes:
        net: the net the laser was on.
        p_faulty: probability that the net does not do what it should, given everything.
        p_faulty_alone: the same given this waveform only.
        snr: level difference over the noise of one cycle; ``None`` when unknown.
        skew_s, skew_sigma_s: delay against simulation and its standard error in seconds; ``None`` when unknown.
        delay: how the delay was found: its bound, its edges, why it is refused; ``None`` when it was not asked for.
        mixture: weights of the nets under the spot; empty where nothing is known of what lies there.
        spot: where the spot really was, and what is left of the waveform; ``None`` when it was not asked for.
        problems: what is wrong with the waveform itself, in words.
        uncounted: why it does not count for the suspects; empty where it does.
    """

    net: str
    p_faulty: float
    p_faulty_alone: float
    snr: float | None
    skew_s: float | None
    skew_sigma_s: float | None
    mixture: tuple[NetWeight, ...]
    problems: tuple[str, ...]
    delay: WaveformDelay | None = None
    spot: SpotReport | None = None
    uncounted: str = ""


@dataclass(frozen=True)
class NextProbe:
    """A net worth probing next.

    Attributes:
        net: where to put the laser.
        bits: information about the site that its waveform is expected to give.
        seconds: of laboratory time: moving the stage, settling, and averaging ``averages`` loops.
        x_um, y_um: its place in micrometres; ``None`` when unknown.
        averages: loops to average, those that bring most bits in a second; ``None`` where a session does not say how
            many give which noise.
    """

    net: str
    bits: float
    seconds: float
    x_um: float | None
    y_um: float | None
    averages: int | None = None


@dataclass(frozen=True)
class PosteriorStep:
    """The posterior after some of a session's waveforms.

    Attributes:
        waveforms: how many, in the session's order; 0 is the fail log alone.
        net: where the last of them was probed; ``None`` for the fail log alone.
        sites: the likeliest sites with their probability, most first.
        no_fault: probability of a good die.
        unmodelled: probability of a defect outside the model.
        bits: entropy of site, no fault and outside the model together.
    """

    waveforms: int
    net: str | None
    sites: tuple[tuple[str, float], ...]
    no_fault: float
    unmodelled: float
    bits: float


@dataclass(frozen=True)
class TimeOffset:
    """How much later the waveforms of a session come than their times say.

    Attributes:
        cycles: in tester cycles, the likeliest; a part of a cycle is told in fifths, and only where edges are compared.
        probability: of it.
        stated: probability that they come as stated.
    """

    cycles: float
    probability: float
    stated: float


@dataclass(frozen=True)
class Localization:
    """The answer.

    Attributes:
        verdict: one of :data:`VERDICTS`.
        candidates: suspect sites, likeliest first.
        no_fault: probability of a good die.
        unmodelled: probability of a defect outside the model.
        waveforms: what each waveform says.
        next_probes: nets worth probing next, most bits in a second of laboratory time first.
        decided: whether to stop: one site holds enough, alone or with those that no probe tells from it, or nothing
            that can be probed tells more.
        missing_bits: entropy of the site.
        expected_probes: how many more probes it takes to decide, as far as the best ones tell; 0 when decided.
        sites: every net that holds some of the posterior, most first.
        history: the posterior after the fail log alone and after each waveform.
        time_offset: of the waveforms; ``None`` without any.
    """

    verdict: str
    candidates: tuple[Candidate, ...]
    no_fault: float
    unmodelled: float
    waveforms: tuple[WaveformVerdict, ...]
    next_probes: tuple[NextProbe, ...]
    decided: bool = False
    missing_bits: float = 0.0
    expected_probes: float = 0.0
    sites: tuple[SiteMass, ...] = ()
    history: tuple[PosteriorStep, ...] = ()
    time_offset: TimeOffset | None = None
