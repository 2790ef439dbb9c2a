"""The marginal likelihood of paths whose units differ: random effects are integrated out by adaptive quadrature.

Unit ``i`` follows ``f(t; theta_i)`` with ``theta_i = mu + L z_i``, ``z_i`` standard normal, and is read with normal
errors of one size. The integral over ``z_i`` is taken by Gauss-Hermite quadrature about its mode (Pinheiro & Bates
1995): exact where ``f`` is linear in the random effects, so that it is then the likelihood of the linear mixed model.
The score is the posterior mean of the complete data's (Fisher's identity), taken with the same nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.degradation.readout_paths import Floats, ReadoutPaths, Scale

PathFunction = Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]
"""Of ``theta`` ``(…, units, k)``, scaled times ``(units, readouts)`` and inverse temperatures ``(units, 1)``: the path
``(…, units, readouts)`` and its derivatives ``(…, units, readouts, k)``."""

_NODES = {0: 1, 1: 7, 2: 5, 3: 3}
_MODE_STEPS = 30


@dataclass(frozen=True)
class Block:
    """Readouts of units side by side, in scaled numbers.

    Attributes:
        time, value: float64 of shape ``(units, most readouts)``, 0 where a unit has fewer.
        there: the same shape, 1 where there is a readout and 0 elsewhere.
        inverse_temperature: ``(units, 1)``, of :meth:`analysis.degradation.readout_paths.Scale.inverse_temperatures`.
    """

    time: Floats
    value: Floats
    there: Floats
    inverse_temperature: Floats


def arrange(paths: ReadoutPaths, scale: Scale) -> Block:
    """Return ``paths`` in the numbers of ``scale``, unit by unit; the rows of a fixed origin are left out."""
    kept = ~(scale.fixed_origin & (paths.time_h == 0))
    counts = np.bincount(paths.unit[kept], minlength=paths.units)
    width = max(int(counts.max()), 1)
    time, value, there = (np.zeros((paths.units, width)) for _ in range(3))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    column = np.arange(int(kept.sum())) - starts[paths.unit[kept]]
    place = (paths.unit[kept], column)
    time[place] = paths.time_h[kept] / scale.time_h
    value[place] = (paths.value[kept] - scale.origin) / scale.value
    there[place] = 1.0
    return Block(time, value, there, scale.inverse_temperatures(paths.temperature_c)[:, None])


@dataclass(frozen=True)
class Structure:
    """Which parameters there are and which of them differ between units.

    Attributes:
        names: of the ``k`` parameters of a path.
        random: places of those with a random effect.
        function: the path.
    """

    names: tuple[str, ...]
    random: tuple[int, ...]
    function: PathFunction

    @property
    def lower(self) -> tuple[list[int], list[int]]:
        """Rows and columns of the free entries of ``L``."""
        rows, columns = np.tril_indices(len(self.random))
        return rows.tolist(), columns.tolist()

    @property
    def parameters(self) -> int:
        """How many numbers are estimated: means, entries of ``L``, log of the error."""
        size = len(self.random)
        return len(self.names) + size * (size + 1) // 2 + 1

    def unpack(self, phi: Floats) -> tuple[Floats, Floats, float]:
        """Return means ``(k,)``, ``L`` of shape ``(q, q)`` and the error's standard deviation in ``phi``."""
        k, size = len(self.names), len(self.random)
        root = np.zeros((size, size))
        rows, columns = self.lower
        root[rows, columns] = phi[k:-1]
        return phi[:k], root, float(np.exp(np.clip(phi[-1], -30, 30)))


@dataclass(frozen=True)
class Modes:
    """Where the random effects of each unit are likeliest.

    Attributes:
        z: float64 ``(units, q)``.
        factor: ``(units, q, q)``, upper inverse of the Cholesky factor of the curvature there: ``z + factor x`` spreads
            as the posterior when ``x`` is standard normal.
        log_determinant: ``(units,)``, of ``factor``.
    """

    z: Floats
    factor: Floats
    log_determinant: Floats


def spread(structure: Structure, phi: Floats, z: Floats) -> Floats:
    """Return each unit's parameters ``(…, units, k)`` for its random effects ``z``, ``(…, units, q)``.

    ``phi`` are the population's, in the order of ``structure``.
    """
    mean, root, _ = structure.unpack(phi)
    theta = np.broadcast_to(mean, (*z.shape[:-1], len(mean))).copy()
    if structure.random:
        theta[..., list(structure.random)] += z @ root.T
    return theta


def find_modes(structure: Structure, phi: Floats, block: Block, start: Floats | None = None) -> Modes:
    """Return the modes of the random effects of ``structure`` in ``block`` under ``phi``.

    From ``start`` ``(units, q)``.
    """
    units, size = block.time.shape[0], len(structure.random)
    z = np.zeros((units, size)) if start is None else start.copy()
    if size == 0:
        return Modes(z, np.zeros((units, 0, 0)), np.zeros(units))
    damping = np.full(units, 1e-12)
    loss, gradient, curvature = _loss(structure, phi, block, z)
    identity = np.eye(size)
    for _ in range(_MODE_STEPS):
        step = -np.linalg.solve(curvature + damping[:, None, None] * identity, gradient[..., None])[..., 0]
        step *= np.minimum(1.0, 5.0 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300))
        there, gradient_there, curvature_there = _loss(structure, phi, block, z + step)
        better = np.isfinite(there) & (there <= loss + 1e-12 * np.abs(loss) + 1e-12)
        z = np.where(better[:, None], z + step, z)
        gradient = np.where(better[:, None], gradient_there, gradient)
        curvature = np.where(better[:, None, None], curvature_there, curvature)
        loss = np.where(better, there, loss)
        damping = np.where(better, damping / 10, np.maximum(damping * 10, 1e-3 * np.trace(curvature.T)))
        if np.abs(step).max() < 1e-8:
            break
    factor = np.linalg.inv(np.linalg.cholesky(curvature)).transpose(0, 2, 1)
    return Modes(z, factor, np.log(np.abs(np.einsum("uii->ui", factor))).sum(axis=1))


def _loss(structure: Structure, phi: Floats, block: Block, z: Floats) -> tuple[Floats, Floats, Floats]:
    """Minus the log joint density of each unit with gradient and Gauss-Newton curvature by ``z``."""
    _, root, sigma = structure.unpack(phi)
    path, slopes = structure.function(spread(structure, phi, z), block.time, block.inverse_temperature)
    residual = (block.value - path) * block.there / sigma
    design = (slopes[..., list(structure.random)] @ root) * (block.there / sigma)[..., None]
    with np.errstate(over="ignore", invalid="ignore"):
        loss = 0.5 * (residual**2).sum(axis=1) + 0.5 * (z**2).sum(axis=1)
        gradient = z - np.einsum("umq,um->uq", design, residual)
        curvature = np.einsum("umq,umr->uqr", design, design) + np.eye(z.shape[1])
    bad = ~np.isfinite(curvature).all(axis=(1, 2)) | ~np.isfinite(gradient).all(axis=1)
    curvature[bad], gradient[bad], loss[bad] = np.eye(z.shape[1]), 0.0, np.inf
    return loss, gradient, curvature


@dataclass(frozen=True)
class Evaluation:
    """The log likelihood at a point.

    Attributes:
        value: the log likelihood, of the scaled readouts.
        score: its gradient, float64 of shape ``(parameters,)``.
        modes: of the random effects.
    """

    value: float
    score: Floats
    modes: Modes


def evaluate(structure: Structure, phi: Floats, block: Block, start: Floats | None = None) -> Evaluation:
    """Return the log likelihood of ``structure`` in ``block`` under ``phi`` with its score.

    ``start`` as for the modes.
    """
    mean, _, sigma = structure.unpack(phi)
    size, k = len(structure.random), len(mean)
    try:
        modes = find_modes(structure, phi, block, start)
    except np.linalg.LinAlgError:
        nothing = Modes(np.zeros((len(block.time), size)), np.zeros((0, size, size)), np.zeros(0))
        return Evaluation(-np.inf, np.zeros(structure.parameters), nothing)
    nodes, weights = _grid(size)
    z = modes.z + np.sqrt(2.0) * np.einsum("uqr,nr->nuq", modes.factor, nodes)
    path, slopes = structure.function(spread(structure, phi, z), block.time, block.inverse_temperature)
    with np.errstate(over="ignore", invalid="ignore"):
        residual = (block.value - path) * block.there / sigma
        squares = (residual**2).sum(axis=2)
        counts = block.there.sum(axis=1)
        joint = -0.5 * squares - counts * (np.log(sigma) + 0.5 * np.log(2 * np.pi)) - 0.5 * (z**2).sum(axis=2)
        joint += weights[:, None] - 0.5 * size * np.log(np.pi) + modes.log_determinant
        top = joint.max(axis=0)
        share = np.exp(joint - top)
        total = share.sum(axis=0)
        value = float((top + np.log(total)).sum())
        share /= total
        squares = np.where(share > 0, squares, 0.0)
        pull = np.einsum("num,numk->nuk", residual / sigma, slopes * block.there[..., None])
    score = np.zeros(structure.parameters)
    score[:k] = np.einsum("nu,nuk->k", share, pull)
    if size:
        by_root = np.einsum("nu,nuq,nur->qr", share, pull[..., list(structure.random)], z)
        score[k:-1] = by_root[structure.lower]
    score[-1] = float((share * squares).sum() - counts.sum())
    return Evaluation(value if np.isfinite(value) else -np.inf, score, modes)


def _grid(size: int) -> tuple[Floats, Floats]:
    """Nodes ``(n, size)`` of Gauss-Hermite quadrature and the logarithms of ``w exp(x^2)``, ``(n,)``."""
    if size == 0:
        return np.zeros((1, 0)), np.zeros(1)
    points, weights = np.polynomial.hermite.hermgauss(_NODES[size])
    nodes = np.stack(np.meshgrid(*[points] * size, indexing="ij"), axis=-1).reshape(-1, size)
    logs = np.log(weights)
    added = np.stack(np.meshgrid(*[logs] * size, indexing="ij"), axis=-1).reshape(-1, size).sum(axis=1)
    return nodes, added + (nodes**2).sum(axis=1)
