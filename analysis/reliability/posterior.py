"""The posterior of a life model: Langevin proposals preconditioned by the information, refused when they do not mix.

Prior: flat in the log hours of the anchor's fraction failed; each ``log sigma`` normal around 0 with deviation 1.5 (a
Weibull shape between 0.05 and 20 with 95 %); a part ``p`` uniform; other parameters flat. Sampler: the Metropolis-
adjusted Langevin algorithm (Roberts & Tweedie, Bernoulli 2, 1996) in coordinates of the observed information.
Convergence: split R-hat and effective sample size of every parameter (Gelman et al., "Bayesian Data Analysis", 3rd
ed., sec. 11.4-5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.reliability import jets
from analysis.reliability.distributions import LocationScale, Mixture, Moments, ThresholdWeibull
from analysis.reliability.errors import LifeDataError
from analysis.reliability.fitting import LifeFit
from analysis.reliability.jets import Floats
from analysis.reliability.likelihood import log_likelihood

MOST_R_HAT = 1.01
LEAST_EFFECTIVE = 400.0
_PRIOR_DEVIATION = 1.5
PRIOR = "flat in log life; log sigma ~ Normal(0, 1.5); part p ~ Uniform(0, 1)"


class NotMixed(LifeDataError):  # noqa: N818
    """The chains disagree or hardly move: their quantiles are no answer."""


@dataclass(frozen=True)
class Posterior:
    """Draws of a model's working parameters.

    Attributes:
        fit: whose model it is.
        draws: float64 of shape ``(chains, draws, k)``.
        r_hat: the largest over the parameters.
        effective_samples: the least over the parameters.
        acceptance: part of proposals taken.
        prior, sampler: in words.
    """

    fit: LifeFit
    draws: Floats
    r_hat: float
    effective_samples: float
    acceptance: float
    prior: str = PRIOR
    sampler: str = "MALA, preconditioned by the observed information"

    def probability_quantiles(self, hours: float, parts: Sequence[float]) -> Floats:
        """Return quantiles ``parts`` of the probability of having failed by ``hours``; shape ``(parts,)``."""
        thinned = self.draws[:, ::5].reshape(-1, self.draws.shape[2])
        found = [self._probability(theta, hours) for theta in thinned]
        return np.asarray(np.quantile(found, parts))

    def _probability(self, theta: Floats, hours: float) -> float:
        total = self.fit.model.hazards(jets.variables(theta), Moments.at([hours]))[1].value[0]
        return float(-np.expm1(-total))


def sample_posterior(
    fit: LifeFit, generator: np.random.Generator, chains: int = 4, round_draws: int = 1000, rounds: int = 12
) -> Posterior:
    """Return draws of the posterior around ``fit``.

    ``chains`` start overdispersed. Two warm-ups set the step size and then the coordinates, from the draws of the
    first. Rounds of ``round_draws`` follow until all parameters have mixed, at most ``rounds`` of them; chance is from
    ``generator``.

    Raises:
        NotMixed: R-hat is above 1.01 or the effective sample size below 400 for some parameter after all rounds.
    """
    k = fit.model.parameters
    root = np.asarray(np.linalg.cholesky(fit.maximum.covariance), np.float64)
    walkers = [_Chain(fit, root, generator, 1.5 * generator.standard_normal(k)) for _ in range(chains)]
    first = np.stack([walker.walk(round_draws // 2, adapt=True) for walker in walkers])
    spread = np.cov(first[:, first.shape[1] // 2 :].reshape(-1, k).T).reshape(k, k)
    better = np.asarray(np.linalg.cholesky(spread + 1e-6 * fit.maximum.covariance), np.float64)
    ends = [np.asarray(np.linalg.solve(better, walker.theta - fit.maximum.theta), np.float64) for walker in walkers]
    walkers = [_Chain(fit, better, generator, end) for end in ends]
    for walker in walkers:
        walker.walk(round_draws // 2, adapt=True)
    kept = np.empty((chains, 0, k))
    r_hat, effective = np.inf, 0.0
    for _ in range(rounds):
        kept = np.concatenate([kept, np.stack([walker.walk(round_draws, adapt=False) for walker in walkers])], axis=1)
        r_hat = max(split_r_hat(kept[:, :, place]) for place in range(k))
        effective = min(effective_size(kept[:, :, place]) for place in range(k))
        if r_hat <= MOST_R_HAT and effective >= LEAST_EFFECTIVE:
            taken = float(np.mean([walker.taken for walker in walkers]))
            return Posterior(fit, kept, r_hat, effective, taken)
    raise NotMixed(
        f"the posterior of the {fit.model.name} model was not reached: R-hat {r_hat:.3f} (at most {MOST_R_HAT}), "
        f"effective sample size {effective:.0f} (at least {LEAST_EFFECTIVE:.0f})"
    )


class _Chain:
    """One Markov chain in coordinates where the posterior is about a standard normal."""

    def __init__(self, fit: LifeFit, root: Floats, generator: np.random.Generator, place: Floats) -> None:
        self._fit, self._root, self._generator = fit, root, generator
        self._step = 1.2 / fit.model.parameters ** (1 / 6)
        self.taken = 0.0
        """Part of the proposals of the last walk that were taken."""
        self._begin(place)

    @property
    def theta(self) -> Floats:
        """Working parameters now."""
        return np.asarray(self._fit.maximum.theta + self._root @ self._place)

    def walk(self, draws: int, *, adapt: bool) -> Floats:
        """Return parameters after each of ``draws`` steps, ``(draws, k)``; with ``adapt`` the step size changes."""
        kept = np.empty((draws, self._place.size))
        taken = 0
        for step in range(draws):
            taken += self._move(adapt=adapt)
            kept[step] = self.theta
        self.taken = taken / draws
        return kept

    def _begin(self, place: Floats) -> None:
        """Start at ``place`` in standard coordinates, or nearer to the middle where that is impossible."""
        while True:
            self._place = place
            self._value, self._slope = self._target(place)
            if np.isfinite(self._value) and np.isfinite(self._slope).all():
                return
            place = place / 2

    def _move(self, *, adapt: bool) -> bool:
        """Propose a step, take it or not; with ``adapt`` the step size goes towards 57 % taken."""
        half = 0.5 * self._step**2
        noise = self._generator.standard_normal(self._place.size)
        proposed = self._place + half * self._slope + self._step * noise
        value, slope = self._target(proposed)
        log_ratio = -np.inf
        if np.isfinite(value) and np.isfinite(slope).all():
            back = (self._place - proposed - half * slope) / self._step
            log_ratio = value - self._value + 0.5 * float(noise @ noise - back @ back)
        taken = bool(np.log(self._generator.random()) < log_ratio)
        if taken:
            self._place, self._value, self._slope = proposed, value, slope
        if adapt:
            self._step *= float(np.exp(0.05 * ((1.0 if taken else 0.0) - 0.574)))
        return taken

    def _target(self, place: Floats) -> tuple[float, Floats]:
        theta = self._fit.maximum.theta + self._root @ place
        likelihood = log_likelihood(self._fit.model, theta, self._fit.data)
        value, slope = log_prior(self._fit, theta)
        return float(likelihood.value[0]) + value, np.asarray(self._root.T @ (likelihood.slope[:, 0] + slope))


def log_prior(fit: LifeFit, theta: Floats) -> tuple[float, Floats]:
    """Return the log prior of parameters ``theta``, ``(k,)``, of the model of ``fit``, and its slope ``(k,)``."""
    value, slope = 0.0, np.zeros(theta.size)
    scales: tuple[int, ...] = ()
    model = fit.model
    if isinstance(model, LocationScale | ThresholdWeibull):
        scales = (1,)
    if isinstance(model, Mixture):
        scales = (1,) if model.second is None else (1, 3)
        odds = theta[-1]
        # The density of log odds that makes p uniform.
        value += float(-np.logaddexp(0, -odds) - np.logaddexp(0, odds))
        slope[-1] += 1 - 2 / (1 + np.exp(-odds))
    for place in scales:
        value -= 0.5 * float(theta[place] / _PRIOR_DEVIATION) ** 2
        slope[place] -= theta[place] / _PRIOR_DEVIATION**2
    return value, slope


def split_r_hat(draws: Floats) -> float:
    """Return R-hat of ``draws``, ``(chains, draws)``, every chain cut in two."""
    half = draws.shape[1] // 2
    pieces = np.concatenate([draws[:, :half], draws[:, half : 2 * half]])
    within = pieces.var(axis=1, ddof=1).mean()
    between = half * pieces.mean(axis=1).var(ddof=1)
    return float(np.sqrt(((half - 1) / half * within + between / half) / within)) if within > 0 else float("inf")


def effective_size(draws: Floats) -> float:
    """Return the effective number of independent ones among ``draws``, ``(chains, draws)``, by Geyer's pairs."""
    chains, length = draws.shape
    centred = draws - draws.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * length, axis=1)
    autocovariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :length].mean(axis=0) / length
    within = autocovariance[0] * length / (length - 1)
    pooled = within * (length - 1) / length + draws.mean(axis=1).var(ddof=1)
    if not pooled > 0:
        return 0.0
    correlation = 1 - (within - autocovariance * length / (length - 1)) / pooled
    total, previous = 1.0, np.inf
    for lag in range(1, length - 2, 2):
        pair = correlation[lag] + correlation[lag + 1]
        if pair <= 0:
            break
        previous = min(previous, pair)
        total += 2 * previous
    return float(chains * length / total)
