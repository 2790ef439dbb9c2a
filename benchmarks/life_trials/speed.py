"""Speed and memory of Weibull fits with covariance, ours and peers', in fresh processes of one thread.

Run as a script it measures one way and prints JSON: ``speed.py WAY SIZE``; peers need only numpy beside themselves.
"""

import json
import resource
import sys
import time

import numpy as np

PEER_FITS = 40
"""Groups that a peer fits; its time for all is extrapolated from them."""


def lifetimes(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return times and whether they are failures: 70 % censored at one time (SIMULATED)."""
    times = 1000 * np.random.default_rng(seed).weibull(1.5, size)
    end = float(np.quantile(times, 0.3))
    return np.minimum(times, end), times <= end


def groups(number: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return times and failures of ``number`` groups of ``size``, each 70 % censored, as ``(number, size)``."""
    times = 1000 * np.random.default_rng(seed).weibull(1.5, (number, size))
    end = np.quantile(times, 0.3, axis=1, keepdims=True)
    return np.minimum(times, end), times <= end


def fit_ours(times: np.ndarray, failed: np.ndarray) -> tuple[float, float]:
    """Return our shape and scale, covariance computed."""
    from analysis.reliability.fitting import fit_model
    from analysis.reliability.life_data import right_censored

    named = fit_model(right_censored(times, failed), "weibull").natural()
    return named["beta"][0], named["eta_h"][0]


def fit_lifelines(times: np.ndarray, failed: np.ndarray) -> tuple[float, float]:
    """Return lifelines' shape and scale."""
    from lifelines import WeibullFitter

    fitter = WeibullFitter().fit(times, failed)
    return float(fitter.rho_), float(fitter.lambda_)


def fit_surpyval(times: np.ndarray, failed: np.ndarray) -> tuple[float, float]:
    """Return surpyval's shape and scale."""
    import surpyval

    scale, shape = surpyval.Weibull.fit(x=times, c=(~failed).astype(int)).params[:2]
    return float(shape), float(scale)


WAYS = {"ours": fit_ours, "lifelines": fit_lifelines, "surpyval": fit_surpyval}


def _measure(way: str, size: int, repeats: int) -> dict[str, float]:
    fit = WAYS[way]
    times, failed = lifetimes(size)
    fit(*lifetimes(200))  # loads what is loaded late
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        shape, scale = fit(times, failed)
        seconds.append(time.perf_counter() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": min(seconds), "shape": shape, "scale": scale, "mb_over_import": (after - before) / 1024}


def _measure_groups(way: str, number: int, size: int) -> dict[str, float]:
    times, failed = groups(number, size)
    if way == "ours":
        from analysis.reliability.weibull_profile import fit_weibull_groups

        names = np.repeat(np.arange(number), size)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            found = fit_weibull_groups(times.ravel(), failed.ravel(), names)
            seconds.append(time.perf_counter() - started)
        return {"seconds": min(seconds), "fitted": float((found.status == "fitted").sum())}
    fit = WAYS[way]
    fit(times[0], failed[0])
    some = min(number, PEER_FITS)
    started = time.perf_counter()
    for place in range(some):
        fit(times[place], failed[place])
    return {"seconds": (time.perf_counter() - started) * number / some, "fitted": float(some)}


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    wanted, count = sys.argv[1], int(sys.argv[2])
    if len(sys.argv) > 3:
        answer = _measure_groups(wanted, count, int(sys.argv[3]))
    else:
        answer = _measure(wanted, count, 5 if wanted == "ours" else 2)
    sys.stdout.write(json.dumps(answer) + "\n")
