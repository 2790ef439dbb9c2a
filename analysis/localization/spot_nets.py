"""Which net a spot was really on, and the mixture of nets that its waveform shows.

The beam was within the error of its stated place, or, seldom, on any other net. Every place within the error sees the
drains around it by its distance to them; every hypothesis about the defect says what each of these nets does. The
waveform speaks for or against each combination (:mod:`analysis.waveforms.unmixing`), and the spot was on the net whose
drain is nearest to the beam. The hypotheses weigh what everything but this waveform says of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.circuits.logic_simulation import unpack_patterns
from analysis.localization.evidence import ACTIVITIES, MISPLACED, WaveformEvidence
from analysis.localization.mixture import Layout, Spot
from analysis.localization.posterior import Posterior, combine
from analysis.localization.screening import Screening
from analysis.localization.suspects import Suspects
from analysis.results import NetWeight, Residual, SpotNet, SpotReport
from analysis.waveforms.comparison import Observation
from analysis.waveforms.detector_response import respond
from analysis.waveforms.residual_tests import examine_residual, variance_within
from analysis.waveforms.unmixing import SpotModel, Unmixing, parts_of, spot_evidence, unmix

if TYPE_CHECKING:
    from analysis.localization.problem import ProbedWaveform, Problem

MOST_HYPOTHESES = 10
LOOKED_AT = 24
"""Other nets that are tried with all their neighbours; the rest is tried alone."""
REACH = 2.4
"""How far along each axis of its ellipse the beam is looked for, in standard deviations."""
STEP_NM = 50.0
"""Step of that search, a fraction of a spot, as far as the number of steps to either side allows."""
STEPS = (3, 8)
"""Fewest and most of them."""
TAILS = ((0.0, 0.7), (0.15, 0.1), (0.3, 0.1), (0.6, 0.1))
"""Detector's time constants, as parts of a cycle, and how likely each is beforehand."""
NAMED_ABOVE = 0.005
MOST_NAMED = 8

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Die:
    """The nets of a die.

    Attributes:
        names: of the nets, by number.
        number: the other way round.
        layout: places of the drains.
    """

    names: Sequence[str]
    number: Mapping[str, int]
    layout: Layout

    @cached_property
    def drains_um(self) -> dict[int, tuple[float, float]]:
        """Place of each net's drain by its number, where it is known."""
        return self.layout.by_number(self.number)


@dataclass(frozen=True)
class Scene:
    """A waveform and where it may come from.

    Attributes:
        die: which it was taken on.
        observation: the waveform by cycle.
        window: the part of a cycle that its levels were read in.
        near: numbers of the nets under the spot, the one that the session names first.
        spot: where the beam was; ``None`` when unknown.
    """

    die: Die
    observation: Observation
    window: tuple[float, float]
    near: list[int]
    spot: Spot | None

    @property
    def net(self) -> int:
        """The net that the session names."""
        return self.near[0]


@dataclass(frozen=True)
class Behaviours:
    """What nets may do: values without a defect, and hypotheses with the log of what else speaks for them.

    Attributes:
        good: float64 ``(nets, cycles)``, under the likeliest hypothesis.
        near: float64 ``(hypotheses, nets under the spot, cycles)``.
        log_weights: float64 ``(hypotheses,)``.
    """

    good: Array
    near: Array
    log_weights: Array


def behaviours_of(
    suspects: Suspects, scene: Scene, best: Array, posterior: Posterior, without: Posterior
) -> Behaviours:
    """Return what the nets near the spot of ``scene`` do under the likeliest hypotheses, equal ones together.

    The likeliest of ``suspects`` are those of ``posterior``; their weights are those of ``without``, the posterior with
    this waveform left out. ``best`` are all nets' values under the likeliest, float64 ``(nets, cycles)``.
    """
    clean = suspects.stimulated.bits[scene.near].astype(np.float64)
    likely = posterior.faults.sum(axis=1) + posterior.resembling
    order = np.argsort(-likely, kind="stable")[: MOST_HYPOTHESES * 4]
    weights = without.faults.sum(axis=1) + without.resembling
    values = _values_near(suspects.pick(order), scene, clean, posterior.faults[order])
    found: dict[bytes, tuple[Array, float]] = {clean.tobytes(): (clean, without.no_fault)}
    for suspect, levels in zip(order, values, strict=True):
        key = levels.tobytes()
        found[key] = (levels, found.get(key, (levels, 0.0))[1] + float(weights[suspect]))
        if len(found) > MOST_HYPOTHESES:
            break
    tiny = np.finfo(np.float64).tiny
    chosen = list(found.values())
    return Behaviours(
        best, np.stack([levels for levels, _ in chosen]), np.log([max(weight, tiny) for _, weight in chosen])
    )


def _values_near(suspects: Suspects, scene: Scene, clean: Array, faults: Array) -> Array:
    """Return the values near the spot under each suspect at its likeliest activity, or lateness: ``(n, nets, cycles)``.

    ``faults`` is the posterior of the suspects, ``(n, activities)``.
    """
    if not len(suspects):
        return np.empty((0, *clean.shape))
    bits = unpack_patterns(suspects.changes(scene.near), suspects.stimulated.cycles)
    columns = faults.argmax(axis=1)
    parts = np.asarray(ACTIVITIES)[columns, None, None]
    values: Array = clean + parts * (np.abs(clean - bits) - clean)
    late = np.flatnonzero(suspects.late)
    if late.size:
        (levels,) = suspects.late_levels(scene.near, scene.window)
        values[late] = levels[np.arange(late.size), columns[late], levels.shape[2] // 2]
    return values


def beam_grid(spot: Spot) -> tuple[Array, Array]:
    """Return places that the beam of ``spot`` may have had, ``(places, 2)`` micrometres, and their log probability."""
    variances, axes = np.linalg.eigh(spot.place_covariance_nm2)
    sigmas_um = np.sqrt(np.clip(variances, 0.0, None)) / 1e3
    steps = [_steps(float(sigma)) for sigma in sigmas_um]
    grid = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 2)
    logs = -0.5 * (grid**2).sum(axis=1)
    centre = np.asarray([spot.x_um, spot.y_um])
    return centre + (grid * sigmas_um) @ axes.T, np.asarray(logs - logsumexp(logs))


def _steps(sigma_um: float) -> Array:
    if not sigma_um > 0.0:
        return np.zeros(1)
    count = int(np.clip(np.ceil(REACH * sigma_um * 1e3 / STEP_NM), *STEPS))
    return np.linspace(-REACH, REACH, 2 * count + 1)


def intensities_at(spot: Spot, beams_um: Array, drains_um: Array) -> Array:
    """Return how much a ``spot`` at each of ``beams_um``, ``(b, 2)``, sees of each of ``drains_um``: ``(b, d)``."""
    squared = ((beams_um[:, None] - drains_um[None]) ** 2).sum(axis=-1) * 1e6
    return np.asarray(np.exp(-4 * np.log(2) * squared / spot.fwhm_nm**2), np.float64)


@dataclass(frozen=True)
class SpotFinding:
    """Where a spot was.

    Attributes:
        unmixing: of the nets near the stated place, given that the beam was there.
        tail: the detector's time constant that fits best, as a part of a cycle.
        on_nets: float64 ``(nets,)``: probability that each net's drain was nearest to the beam.
        elsewhere: probability that the beam was not near its place at all.
    """

    unmixing: Unmixing
    tail: float
    on_nets: Array
    elsewhere: float


def locate_spot(scene: Scene, behaviours: Behaviours) -> SpotFinding:
    """Return where the spot of ``scene`` was, the nets doing what ``behaviours`` says."""
    model, tail = _model(scene, behaviours)
    found = unmix(scene.observation, model)
    near_log, elsewhere = _elsewhere(scene, behaviours.good, found.log_evidence)
    owners = [scene.near[place] for place in model.intensities.argmax(axis=1)]
    by_place = found.joint.sum(axis=1) * np.exp(near_log)
    on_nets = np.bincount(owners, weights=by_place, minlength=len(elsewhere)) + elsewhere
    return SpotFinding(found, tail, np.minimum(on_nets, 1.0), min(1.0, float(elsewhere.sum())))


def describe_spots(
    problem: "Problem",
    scenes: Sequence[Scene],
    screening: Screening,
    evidence: Sequence[WaveformEvidence],
    posterior: Posterior,
    best: Array,
) -> list[tuple[tuple[NetWeight, ...], SpotReport]]:
    """Return mixture and place of each waveform of ``problem``.

    ``scenes`` and ``evidence`` belong to its waveforms one by one; ``posterior`` over the suspects of ``screening`` is
    given all of them, and ``best`` are all nets' values under the likeliest suspect, float64 ``(nets, cycles)``.
    """
    found = []
    for place, (waveform, scene) in enumerate(zip(problem.waveforms, scenes, strict=True)):
        others = [item for other, item in enumerate(evidence) if other != place]
        without = combine(screening, others, tested=problem.fails is not None)
        behaviours = behaviours_of(screening.suspects, scene, best, posterior, without)
        found.append(describe_spot(problem, waveform, scene, behaviours))
    return found


def describe_spot(
    problem: "Problem", waveform: "ProbedWaveform", scene: Scene, behaviours: Behaviours
) -> tuple[tuple[NetWeight, ...], SpotReport]:
    """Return the mixture of ``waveform`` by net, given that the beam was near its place, and where it really was.

    ``scene`` and ``behaviours`` belong to that waveform of ``problem``.
    """
    names = problem.circuit.nets
    found = locate_spot(scene, behaviours)
    order = np.argsort(-found.on_nets, kind="stable")[:MOST_NAMED]
    weights = found.unmixing.contributions(np.asarray(np.ptp(behaviours.near, axis=2) > 0, np.bool_))
    mixture = tuple(
        NetWeight(names[net], part.weight, part.sigma, part.low, part.high)
        for net, part in zip(scene.near, parts_of(weights), strict=True)
    )
    named = [SpotNet(names[net], float(found.on_nets[net])) for net in order if found.on_nets[net] >= NAMED_ABOVE]
    report = SpotReport(
        on_net=float(found.on_nets[scene.net]),
        elsewhere=found.elsewhere,
        nets=tuple(named),
        swing=float(np.abs(weights).sum(axis=1).mean()),
        detector_tail=found.tail,
        residual=_residual(problem, waveform, scene, behaviours, found),
    )
    return mixture, report


def _places_of(scene: Scene, nets: Sequence[int]) -> Array:
    """Return the drains' places; of a net that has none, infinitely far away."""
    return np.asarray([scene.die.drains_um.get(net, (np.inf, np.inf)) for net in nets], np.float64)


def _model(scene: Scene, behaviours: Behaviours) -> tuple[SpotModel, float]:
    """Return the model of the spot with the detector's tail that fits best."""
    intensities, log_places = np.ones((1, len(scene.near))), np.zeros(1)
    if scene.spot is not None:
        beams, log_places = beam_grid(scene.spot)
        intensities = intensities_at(scene.spot, beams, _places_of(scene, scene.near))
    if scene.net not in scene.die.drains_um:
        # Nothing is known of its distance: the session is believed that the beam was on it.
        intensities[:, 0] = 1.0
    usual = np.sqrt((np.exp(log_places)[:, None] * intensities**2).sum(axis=0))
    # The tail is chosen at the mean place: it hardly depends on where exactly the beam was.
    fits = []
    for tail, prior in TAILS:
        values = respond(behaviours.near, tail, scene.window)
        logs = spot_evidence(scene.observation, values, np.broadcast_to(usual, values.shape[:2]))
        fits.append((float(logsumexp(logs + behaviours.log_weights)) + np.log(prior), tail, values))
    _, tail, values = max(fits, key=lambda fit: fit[0])
    return SpotModel(values, behaviours.log_weights, intensities, log_places), tail


def _elsewhere(scene: Scene, values: Array, near: float) -> tuple[float, Array]:
    """Return the log probability that the beam was near its place, and of each net that it was on it by mistake."""
    evidence = spot_evidence(scene.observation, values[:, None], np.ones((len(values), 1)))
    if scene.spot is not None:
        order = [net for net in np.argsort(-evidence, kind="stable")[:LOOKED_AT] if int(net) in scene.die.drains_um]
        if order:
            evidence[order] = _with_neighbours(scene, values, order, scene.spot)
    logs = evidence - np.log(len(evidence)) + np.log(MISPLACED)
    here = near + np.log1p(-MISPLACED)
    total = float(logsumexp(np.append(logs, here)))
    return here - total, np.asarray(np.exp(logs - total), np.float64)


def _with_neighbours(scene: Scene, values: Array, nets: Sequence[int], spot: Spot) -> Array:
    """Return the evidence of a beam on each of ``nets`` and what lies around it."""
    die = scene.die
    groups = []
    for net in map(int, nets):
        there = Spot(*die.drains_um[net], spot.fwhm_nm, spot.sigma_nm, spot.covariance_nm2)
        near = die.layout.neighbours(die.names[net], there)
        groups.append([(net, 1.0), *((die.number[name], part) for name, part in near if name in die.number)])
    width = max(map(len, groups))
    members = np.asarray([[net for net, _ in group] + [0] * (width - len(group)) for group in groups])
    parts = np.asarray([[part for _, part in group] + [0.0] * (width - len(group)) for group in groups])
    return spot_evidence(scene.observation, values[members], parts)


def _residual(
    problem: "Problem",
    waveform: "ProbedWaveform",
    scene: Scene,
    behaviours: Behaviours,
    found: SpotFinding,
) -> Residual:
    window, tail = scene.window, found.tail
    hypothesis = int(found.unmixing.joint.sum(axis=0).argmax())
    outside = np.setdiff1d(np.arange(len(behaviours.good)), scene.near)
    within = variance_within(
        waveform.values, (waveform.t0_s, waveform.dt_s), problem.cycle_s, len(problem.patterns), window
    )
    tests = examine_residual(
        scene.observation,
        respond(behaviours.near[hypothesis], tail, window),
        respond(behaviours.good[outside], tail, window),
        within,
    )
    stranger = None if tests.stranger is None else problem.circuit.nets[int(outside[tests.stranger])]
    return Residual(stranger, tests.p_stranger, tests.excess, tests.p_excess, tests.p_memory)
