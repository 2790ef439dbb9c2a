"""Noise of a waveform: white, or correlated from sample to sample, and the time's own noise.

Correlated noise is an autoregression fitted to the autocovariance by Levinson-Durbin, its order chosen by the Bayesian
information criterion (Kay, "Modern Spectral Estimation", 1988, chapter 7). Its whitening filter turns generalised
least squares into ordinary ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

MOST_ORDER = 12


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """An autoregression: ``e[i] = sum_k coefficients[k-1] e[i-k] + innovation * w[i]``.

    Attributes:
        innovation: standard deviation of what is new in each sample, in the waveform's unit.
        coefficients: float64 of shape ``(order,)``; empty for white noise.
    """

    innovation: float
    coefficients: NDArray[np.float64]

    def __eq__(self, other: object) -> bool:
        """Return whether ``other`` is the same model, coefficient by coefficient."""
        if not isinstance(other, NoiseModel):
            return NotImplemented
        return self.innovation == other.innovation and np.array_equal(self.coefficients, other.coefficients)

    def __hash__(self) -> int:
        """Return a number that equal models share."""
        return hash((self.innovation, self.coefficients.tobytes()))

    def sigma(self) -> float:
        """Return the standard deviation of one sample."""
        return float(np.sqrt(self.autocovariance(1)[0]))

    def autocovariance(self, count: int) -> NDArray[np.float64]:
        """Return the autocovariance at lags 0 to ``count`` - 1, float64 of shape ``(count,)``."""
        order = self.coefficients.size
        size = order + 1
        equations = np.zeros((size, size))
        for lag in range(size):
            for k, coefficient in enumerate([1.0, *(-self.coefficients)]):
                equations[lag, abs(lag - k)] += coefficient
        start = np.linalg.solve(equations, np.concatenate([[self.innovation**2], np.zeros(order)]))
        result = np.zeros(max(count, size))
        result[:size] = start
        for lag in range(size, count):
            result[lag] = self.coefficients @ result[lag - order : lag][::-1] if order else 0.0
        return result[:count]

    def whitening(self, count: int) -> csr_array:
        """Return the sparse ``count`` x ``count`` matrix that makes a series of this noise white with unit variance.

        The first samples, which have no past, are whitened by the Cholesky factor of their covariance.
        """
        order = min(self.coefficients.size, count)
        inside = np.ones(count)
        inside[:order] = 0.0
        bands = [inside, *(-self.coefficients[k - 1] * inside[k:] for k in range(1, order + 1))]
        matrix = csr_array(diags_array(bands, offsets=[-k for k in range(order + 1)], shape=(count, count)))
        matrix = matrix / self.innovation
        if order:
            covariance = self.autocovariance(order)
            place = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
            head = csr_array(np.linalg.inv(np.linalg.cholesky(covariance[place])))
            head.resize((count, count))
            matrix = matrix + head
        return csr_array(matrix)


def estimate_noise(residual: NDArray[np.float64], freedom: float | None = None) -> NoiseModel:
    """Return the noise of ``residual`` (float64, shape ``(samples,)``): a waveform less what was fitted to it.

    ``freedom`` is the number of its degrees of freedom, the number of samples where it is not given.
    """
    count = residual.size
    scale = count / max(1.0, count if freedom is None else freedom)
    return _fit(np.asarray([_lagged(residual, lag) for lag in range(_orders(count) + 1)]) * scale, count)


def estimate_noise_of_repeats(repeats: NDArray[np.float64]) -> NoiseModel:
    """Return the noise of one of ``repeats`` (float64, shape ``(repeats, samples)``) of the same waveform.

    What they share is signal, whatever it is; the rest is noise.

    Raises:
        ValueError: there are fewer than two repeats, or a sample is not finite.
    """
    if repeats.ndim != 2 or len(repeats) < 2 or not np.isfinite(repeats).all():
        raise ValueError(f"noise needs two or more finite repeats of a waveform, not an array of shape {repeats.shape}")
    rest = repeats - repeats.mean(axis=0)
    lags = [
        np.mean([_lagged(row, lag) for row in rest]) * len(rest) / (len(rest) - 1)
        for lag in range(_orders(rest.shape[1]) + 1)
    ]
    return _fit(np.asarray(lags), rest.size - rest.shape[1])


def averaged(noise: NoiseModel, count: int) -> NoiseModel:
    """Return the noise of the mean of ``count`` waveforms whose own is ``noise``."""
    return NoiseModel(noise.innovation / float(np.sqrt(count)), noise.coefficients)


def _orders(count: int) -> int:
    return max(0, min(MOST_ORDER, count // 20))


def _lagged(series: NDArray[np.float64], lag: int) -> float:
    """Return the biased autocovariance at ``lag``, which is a positive sequence."""
    return float(series[: series.size - lag] @ series[lag:]) / max(1, series.size)


def _fit(covariance: NDArray[np.float64], count: int) -> NoiseModel:
    """Levinson-Durbin through all orders; the least of ``count log(innovation) + order log(count)`` wins."""
    variance = float(covariance[0])
    if not variance > 0:
        return NoiseModel(0.0, np.empty(0))
    best = (0.0, variance, np.empty(0))
    coefficients = np.empty(0)
    error = variance
    for order in range(1, covariance.size):
        reflection = (covariance[order] - coefficients @ covariance[order - 1 : 0 : -1]) / error
        coefficients = np.append(coefficients - reflection * coefficients[::-1], reflection)
        error *= 1 - reflection**2
        if not error > variance * 1e-9:
            break
        criterion = count * np.log(error / variance) + order * np.log(max(count, 2))
        if criterion < best[0]:
            best = (criterion, error, coefficients)
    return NoiseModel(float(np.sqrt(best[1])), best[2])


@dataclass(frozen=True)
class TimingNoise:
    """How unsure the time axis itself is.

    Attributes:
        jitter_s: standard deviation from loop to loop of an edge's time; averaging widens the edge by it.
        trigger_s: standard deviation of the delay of a whole waveform, from one acquisition to the next.
        averages: loops that were averaged.
    """

    jitter_s: float = 0.0
    trigger_s: float = 0.0
    averages: int = 1

    def edge_variance(self) -> float:
        """Return the variance in square seconds that jitter leaves in the averaged time of one edge."""
        return self.jitter_s**2 / max(1, self.averages)
