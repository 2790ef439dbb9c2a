"""The log likelihood of life data under any model, with its exact score and observed information.

A device that failed at ``t`` adds ``log h(t) - H(t)``, one alive at ``t`` ``-H(t)``, one that failed in ``(a, b]``
``log(S(a) - S(b))``; a device seen only because it failed within ``(a, b]`` loses ``log(S(a) - S(b))`` (Meeker, Escobar
& Pascual 2022, sec. 2.4 and 11.6). Everything is computed from ``H``, so that one failure in a billion loses no digit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from analysis.reliability import jets
from analysis.reliability.distributions import LifeModel, Moments
from analysis.reliability.jets import Floats, Jet
from analysis.reliability.life_data import LifeData

BLOCK_ROWS = 1 << 16


def log_likelihood(model: LifeModel, theta: Sequence[float] | Floats, data: LifeData) -> Jet:
    """Return the log likelihood of ``data`` under ``model`` at ``theta``, its score and minus its information.

    The jet has ``n = 1``; its value is -inf or NaN where ``theta`` makes the data impossible.
    """
    variables = jets.variables(theta)
    total: Jet | None = None
    with np.errstate(all="ignore"):
        for block in _blocks(data):
            part = _of_block(model, variables, block)
            total = part if total is None else total + part
    if total is None:
        raise ValueError("no rows")
    return total


def _blocks(data: LifeData) -> Iterator[LifeData]:
    if data.rows <= BLOCK_ROWS:
        yield data
        return
    for start in range(0, data.rows, BLOCK_ROWS):
        chosen = np.zeros(data.rows, np.bool_)
        chosen[start : start + BLOCK_ROWS] = True
        yield data.chosen(chosen)


def _of_block(model: LifeModel, theta: list[Jet], data: LifeData) -> Jet:
    parts = []
    if data.exact.any():
        rows = data.chosen(data.exact)
        rate, total = model.hazards(theta, Moments(rows.lower, rows.stress, rows.cause))
        parts.append((rate - total).sum(rows.count))
    if data.right.any():
        rows = data.chosen(data.right)
        parts.append((-cumulative(model, theta, rows, rows.lower)).sum(rows.count))
    if data.interval.any():
        rows = data.chosen(data.interval)
        known = rows.cause >= 0
        if len(rows.causes) > 1 and known.any():
            parts.append(_by_quadrature(model, theta, rows.chosen(known)))
            rows = rows.chosen(~known)
        if rows.rows:
            parts.append(log_probability(model, theta, rows, (rows.lower, rows.upper)).sum(rows.count))
    if data.truncated.any():
        rows = data.chosen(data.truncated)
        parts.append((-log_probability(model, theta, rows, (rows.entry, rows.exit))).sum(rows.count))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def cumulative(model: LifeModel, theta: Sequence[Jet], rows: LifeData, hours: Floats) -> Jet:
    """Return the cumulative hazard of ``model`` at ``theta`` for ``rows`` at ``hours``, ``(rows,)``, 0 allowed."""
    begun = (hours > 0) & np.isfinite(hours)
    moments = Moments(np.where(begun, hours, 1.0), rows.stress, np.full(hours.size, -1, np.int64))
    found = model.hazards(theta, moments)[1]
    return found.where(begun, 0.0)


def log_probability(model: LifeModel, theta: Sequence[Jet], rows: LifeData, hours: tuple[Floats, Floats]) -> Jet:
    """Return the log probability of failing between the two ``hours``, ``(rows,)`` each, the second may be infinite.

    ``model``, ``theta`` and ``rows`` as in :func:`cumulative`.
    """
    before = cumulative(model, theta, rows, hours[0])
    endless = np.isinf(hours[1])
    within = cumulative(model, theta, rows, hours[1]) - before
    # A hazard of 1 stands in where there is no end, so that no infinity meets a derivative.
    shielded = within.where(~endless, 1.0)
    return -before + jets.log_one_minus_exp_of_minus(shielded).where(~endless, 0.0)


_NODES = np.arange(-45, 46) * 0.08


def _by_quadrature(model: LifeModel, theta: list[Jet], rows: LifeData) -> Jet:
    """Log probability of failing of a known cause between two readouts: the integral of ``h_j S``, by tanh-sinh.

    The rule stands a hazard that is infinite at 0 (Takahasi & Mori, Publ. RIMS 9, 1974).
    """
    grown = 0.5 * np.pi * np.sinh(_NODES)
    places = 1.0 / (1.0 + np.exp(-2 * grown))
    weights = 0.5 * np.pi * np.cosh(_NODES) / np.cosh(grown) ** 2 * 0.5 * 0.08
    total: Jet | None = None
    for place, weight in zip(places, weights, strict=True):
        if weight < 1e-300 or not 0 < place < 1:
            continue
        hours = np.maximum(rows.lower + (rows.upper - rows.lower) * place, 1e-300)
        rate, gone = model.hazards(theta, Moments(hours, rows.stress, rows.cause))
        term = rate - gone + np.log(weight * (rows.upper - rows.lower))
        total = term if total is None else jets.log_add_exp(total, term)
    if total is None:
        raise ValueError("no node of the quadrature is left")
    return total.sum(rows.count)


def without_truncation(data: LifeData) -> LifeData:
    """Return ``data`` as if every device could be seen at any time."""
    return replace(data, entry=np.zeros(data.rows), exit=np.full(data.rows, np.inf))
