"""Draws from a fitted law: of what was estimated, and of units given their readouts."""

import numpy as np

from analysis.degradation.law_fit import LawFit
from analysis.degradation.mixed_effects import Block, find_modes, spread
from analysis.degradation.readout_paths import Floats


def draw_parameters(fit: LawFit, count: int, generator: np.random.Generator) -> Floats:
    """Return ``count`` draws ``(count, parameters)`` of what ``fit`` estimated, by its covariance.

    From ``generator``. How units differ is drawn by what so few can tell: their covariance is inverse Wishart
    distributed with :attr:`LawFit.between` degrees of freedom (Box & Tiao 1973, sec. 8.2), and the means' errors grow
    alike, so that a new unit is spread as Student's t and not as if the spread were known.
    """
    values, vectors = np.linalg.eigh(fit.covariance)
    moved = generator.standard_normal((count, len(fit.phi))) * np.sqrt(np.maximum(values, 0)) @ vectors.T
    wider = np.sqrt(fit.units / generator.chisquare(fit.between, (count, 1)))
    draws = fit.phi + moved
    differing = [place for place, name in enumerate(fit.structure.names) if name in fit.differing]
    draws[:, differing] = fit.phi[differing] + moved[:, differing] * wider
    spreads = slice(len(fit.structure.names), -1)
    draws[:, spreads] = _draw_spreads(fit, moved[:, spreads], generator)
    first = 1 if fit.form.level else 0
    for place, parameter in enumerate(fit.form.law.shape):
        column = first + 1 + place
        draws[:, column] = np.clip(draws[:, column], parameter.lowest, parameter.highest)
    return np.asarray(draws)


def _draw_spreads(fit: LawFit, moved: Floats, generator: np.random.Generator) -> Floats:
    """Draw the entries of ``L``, ``(count, entries)``; ``moved`` are their errors by the covariance of the fit."""
    size, count = len(fit.structure.random), len(moved)
    _, root, _ = fit.structure.unpack(fit.phi)
    rows, columns = fit.structure.lower
    errors = np.diag(fit.covariance)[len(fit.structure.names) : -1][np.asarray(rows) == np.asarray(columns)]
    # What the number of units does not explain of a spread's error is the readouts' noise: it alone is added.
    by_units = np.diag(root) ** 2 / (2 * fit.units * np.maximum(errors, 1e-300))
    roots = np.zeros((count, size, size))
    roots[:, rows, columns] = root[rows, columns] + moved * np.sqrt(np.clip(1 - by_units, 0, 1))[rows]
    freedom = max(fit.between, size)
    bartlett = np.tril(generator.standard_normal((count, size, size)), -1)
    for place in range(size):
        bartlett[:, place, place] = np.sqrt(generator.chisquare(freedom - place, count))
    made = np.sqrt(fit.units) * np.linalg.solve(bartlett, roots.transpose(0, 2, 1))
    lower = np.asarray(np.linalg.qr(made, mode="r")).transpose(0, 2, 1)
    return np.asarray(lower[:, rows, columns])


def draw_effects(
    fit: LawFit, phi: Floats, block: Block, count: int, generator: np.random.Generator, start: Floats | None = None
) -> Floats:
    """Return ``count`` draws of the units' path parameters ``(count, units, k)``, given their readouts in ``block``.

    ``fit`` says which there are, ``phi`` their population, ``generator`` draws.
    Random effects come from the normal approximation about their mode under ``phi`` and are drawn again by their exact
    weight (sampling, importance, resampling; Rubin 1988); ``start`` is where the search for modes begins.
    """
    structure = fit.structure
    modes = find_modes(structure, phi, block, start)
    size = modes.z.shape[1]
    if size == 0:
        return spread(structure, phi, np.broadcast_to(modes.z, (count, *modes.z.shape)))
    many = 4 * count
    normal = generator.standard_normal((many, len(modes.z), size))
    z = modes.z + np.einsum("uqr,nur->nuq", modes.factor, normal)
    theta = spread(structure, phi, z)
    path, _ = structure.function(theta, block.time, block.inverse_temperature)
    sigma = structure.unpack(phi)[2]
    residual = (block.value - path) * block.there / sigma
    with np.errstate(over="ignore", invalid="ignore"):
        logs = 0.5 * (normal**2).sum(axis=2) - 0.5 * (z**2).sum(axis=2) - 0.5 * (residual**2).sum(axis=2)
    logs = np.where(np.isfinite(logs), logs, -np.inf)
    chosen = np.argmax(logs + generator.gumbel(size=(count, *logs.shape)), axis=1)
    return np.asarray(np.take_along_axis(theta, chosen[:, :, None], axis=0))
