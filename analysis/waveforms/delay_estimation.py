"""Delay of a waveform, and of each of its edges, against simulation: skew with its standard error."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.waveforms.delay_fit import DelaySetting, Fit, fit_again, fit_delay, noise_kept
from analysis.waveforms.delay_outliers import OutlierFit, weigh_outliers
from analysis.waveforms.delay_posterior import Posterior, template
from analysis.waveforms.delay_statistics import DelayStatistics, Neighbour
from analysis.waveforms.edge_delays import EdgeDelay, EdgeScene, time_edges
from analysis.waveforms.edges import EdgeTrain, Record
from analysis.waveforms.noise import NoiseModel
from analysis.waveforms.spike_shape import learn_spike

MOST_ELSEWHERE = 0.05
"""Probability of another delay above which none is stated."""
MOST_SPREAD = 0.2
"""Standard error, as a part of the search, above which no delay is stated."""
AT_THE_END = 3.0
"""Standard errors from the end of the search within which no delay is stated: the edges may come later still."""
LEAST_RATIO = 3.5
"""Amplitude over its standard error below which there is no signal to time."""
WORTH_TIMING = 0.1
"""Expected error of a single edge, as a part of the search, above which none is timed."""
LEAST_EDGES = 3
"""Timed edges that it takes to say which does not belong."""
OUTLIER_ABOVE = 0.5
LEAST_KEPT = 0.5
"""Part of the samples that must be left without the outlying edges."""
MOST_OUTLYING = 0.3
"""Part of the edges up to which the others speak for the waveform."""
_ROUNDS = 6


@dataclass(frozen=True)
class WaveformDelay:
    """Delay of a whole waveform; seconds.

    Attributes:
        delay_s, sigma_s: positive is later than simulated, with its standard error; ``None`` where refused.
        bound_s: the Cramér-Rao bound of the fitted waveform; ``None`` where refused.
        elsewhere: probability that the delay is not near the stated one.
        width_s: the edges' standard deviation as found, jitter and detector included.
        amplitude: swing of the net in the waveform's unit, with its sign.
        noise: of the samples.
        refused: why no delay is stated; empty when one is.
        edges: every edge of the simulated trace in the waveform, in order, where single edges can be timed.
        edge_spread_s: how much inlying edges scatter beyond their errors.
    """

    delay_s: float | None
    sigma_s: float | None
    bound_s: float | None
    elsewhere: float
    width_s: float | None
    amplitude: float
    noise: NoiseModel | None
    refused: str = ""
    edges: tuple[EdgeDelay, ...] = ()
    edge_spread_s: float = 0.0


NO_DELAY = WaveformDelay(None, None, None, 1.0, None, 0.0, None, "no delay was estimated")
"""What stands for a delay that nobody asked for."""


def estimate_delay(
    record: Record, train: EdgeTrain, setting: DelaySetting, neighbours: Sequence[Neighbour] = ()
) -> WaveformDelay:
    """Return the delay of ``record`` against the simulated ``train``, with ``neighbours`` under the spot.

    ``setting`` says where to look and what is known of the noise. Where the delay is ambiguous, it is refused.

    Raises:
        WaveformError: there are too few samples, one is not finite, or the times are not.
    """
    delay = _estimate(record, train, setting, neighbours)
    trigger_s = setting.timing.trigger_s
    return replace(delay, edges=tuple(_widened(edge, trigger_s) for edge in delay.edges)) if trigger_s > 0 else delay


def _widened(edge: EdgeDelay, trigger_s: float) -> EdgeDelay:
    """Add the trigger's error, which all edges share, so that it does not matter to which of them do not belong."""
    return edge if edge.sigma_s is None else replace(edge, sigma_s=float(np.hypot(edge.sigma_s, trigger_s)))


def _estimate(
    record: Record, train: EdgeTrain, setting: DelaySetting, neighbours: Sequence[Neighbour]
) -> WaveformDelay:
    fit = fit_delay(record, train, setting, neighbours)
    if isinstance(fit, str):
        return WaveformDelay(None, None, None, 1.0, None, 0.0, None, fit)
    delay = _stated(fit, setting)
    if delay.delay_s is None or delay.bound_s is None:
        return delay
    rough_s = delay.bound_s * np.sqrt(sum(fit.design.edges))
    if rough_s > WORTH_TIMING * setting.search.most_delay_s:
        return delay
    edges = _time_edges(record, train, (fit, fit), setting)
    timed = [edge for edge in edges if edge.delay_s is not None]
    if len(timed) < LEAST_EDGES:
        return replace(delay, edges=edges)
    return _without_outliers(record, (train, fit), (delay, edges), setting)


def _time_edges(
    record: Record, train: EdgeTrain, fits: tuple[Fit, Fit], setting: DelaySetting
) -> tuple[EdgeDelay, ...]:
    """Time the edges, widen their errors by what jitter leaves, and weigh which do not belong.

    The first of ``fits`` has all samples, the second says what everything but the net does; they may be the same.
    """
    whole, fit = fits
    search = setting.search
    posterior = fit.posterior
    inside = train.covering(record.t0_s, float(record.times_s[-1]))
    scene = EdgeScene(
        own=whole.values - whole.design.nuisance @ fit.nuisance,
        swing=fit.amplitude,
        delay_s=posterior.delay_s,
        width_s=posterior.width_s,
        pole_s=search.width.pole_s,
        search_s=search.most_delay_s,
        noise=fit.noise,
        spike=learn_spike(fit, setting.baseline_terms),
        kept=noise_kept(whole, record, inside, (posterior.delay_s, posterior.width_s), setting.baseline_terms),
    )
    jitter = setting.timing.edge_variance()
    edges = [
        edge if edge.sigma_s is None else replace(edge, sigma_s=float(np.sqrt(edge.sigma_s**2 + jitter)))
        for edge in time_edges(record, train, scene)
    ]
    places = [place for place, edge in enumerate(edges) if edge.delay_s is not None]
    if places:
        doubts = _weigh([edges[place] for place in places], search.most_delay_s).probabilities
        for place, doubt in zip(places, doubts, strict=True):
            edges[place] = replace(edges[place], outlier_probability=float(doubt))
    return tuple(edges)


def _weigh(edges: Sequence[EdgeDelay], search_s: float) -> OutlierFit:
    delays = np.asarray([edge.delay_s for edge in edges], np.float64)
    return weigh_outliers(delays, np.asarray([edge.sigma_s for edge in edges], np.float64), search_s)


def _without_outliers(
    record: Record,
    fitted: tuple[EdgeTrain, Fit],
    found: tuple[WaveformDelay, tuple[EdgeDelay, ...]],
    setting: DelaySetting,
) -> WaveformDelay:
    """Fit again without the edges that do not belong, and widen the error by the scatter of those that do."""
    (train, fit), (delay, edges) = fitted, found
    dropped: set[int] = set()
    for _ in range(_ROUNDS):
        worst = _worst(edges, dropped, setting.search.most_delay_s)
        if not worst:
            break
        dropped |= worst
        keep = np.ones(record.values.size, np.bool_)
        for place in dropped:
            keep &= np.abs(record.times_s - edges[place].time_s) > setting.search.most_delay_s
        few = len(dropped) <= MOST_OUTLYING * len(edges) and keep.mean() > LEAST_KEPT
        again = fit_again(fit, keep, setting) if few else ""
        if isinstance(again, str):
            reason = f"the edges have no common delay: {len(dropped)} of {len(edges)} do not fit the others"
            return replace(delay, delay_s=None, sigma_s=None, bound_s=None, refused=reason, edges=edges)
        delay = _stated(again, setting)
        edges = _time_edges(record, train, (fit, again), setting)
    timed = [edge for edge in edges if edge.delay_s is not None]
    if delay.sigma_s is None or not timed:
        return replace(delay, edges=edges)
    spread_s = _weigh(timed, setting.search.most_delay_s).spread_s
    sigma_s = float(np.sqrt(delay.sigma_s**2 + spread_s**2 / max(1, len(timed) - len(dropped))))
    return replace(delay, sigma_s=sigma_s, edges=edges, edge_spread_s=spread_s)


def _worst(edges: Sequence[EdgeDelay], dropped: set[int], search_s: float) -> set[int]:
    """Return the most outlying edges that are not ``dropped`` yet, an eighth of all at most: they bend the others."""
    timed = [edge for edge in edges if edge.delay_s is not None]
    if not timed:
        return set()
    centre_s = _weigh(timed, search_s).centre_s
    off = {
        place: abs(edge.delay_s - centre_s)
        for place, edge in enumerate(edges)
        if edge.delay_s is not None and (edge.outlier_probability or 0.0) > OUTLIER_ABOVE and place not in dropped
    }
    return set(sorted(off, key=lambda place: -off[place])[: max(1, len(timed) // 8)])


def _stated(fit: Fit, setting: DelaySetting) -> WaveformDelay:
    posterior, statistics, timing = fit.posterior, fit.statistics, setting.timing
    edges = sum(fit.design.edges)
    ratio = np.sqrt(2 * max(0.0, posterior.gain))
    refused = ""
    if posterior.elsewhere > MOST_ELSEWHERE:
        refused = f"the delay is ambiguous: with probability {posterior.elsewhere:.2g} it is at another place"
    elif posterior.sigma_s > MOST_SPREAD * setting.search.most_delay_s:
        refused = f"the delay is unknown within {posterior.sigma_s * 1e12:.3g} ps"
    elif abs(posterior.delay_s) + AT_THE_END * posterior.sigma_s > setting.search.most_delay_s:
        refused = f"the delay may be beyond the {setting.search.most_delay_s * 1e12:.3g} ps that are searched"
    elif ratio < LEAST_RATIO:
        refused = f"the net's signal is {ratio:.2g} times its noise, too little to be timed"
    own = posterior.sigma_s**2 + timing.edge_variance() / edges + timing.trigger_s**2
    bound = _bound(statistics, posterior, fit.amplitude, setting.search.width.pole_s)
    return WaveformDelay(
        None if refused else posterior.delay_s,
        None if refused else float(np.sqrt(own)),
        None if refused else bound,
        posterior.elsewhere,
        posterior.width_s,
        fit.amplitude * fit.scale,
        NoiseModel(fit.noise.innovation * fit.scale, fit.noise.coefficients),
        refused,
    )


def _bound(statistics: DelayStatistics, posterior: Posterior, amplitude: float, pole_s: float) -> float:
    """Return the Cramér-Rao bound at the fit: amplitude, baseline, spikes and neighbours unknown, width known."""
    small = posterior.width_s * 1e-3
    places = posterior.delay_s + small * np.asarray([-1.0, 0.0, 1.0])
    before, here, after = template(statistics, places, posterior.width_s, pole_s)
    slope = (after - before) / (2 * small) * amplitude
    energy = slope @ statistics.gram @ slope
    shared = (slope @ statistics.gram @ here) ** 2 / max(float(here @ statistics.gram @ here), 1e-300)
    return float(1 / np.sqrt(max(float(energy - shared), 1e-300)))
