"""Fitting the affine map between two frames to points known in both, with outliers found and errors stated.

Generalized least squares with the effective variance of both sides (B. P. Roe's and JCGM 102's first-order form:
``V = S_target + A S_source A'``, iterated), started from the least median of squares over minimal subsets
(P. J. Rousseeuw, 1984) so that several wrong points together cannot hide each other. Deletion residuals are tested
by F or chi-squared with Bonferroni's correction (R. D. Cook and S. Weisberg, Residuals and Influence, 1982, 2.2).
"""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.coordinates.affine import Affine, Array, Points, parameter_jacobian

Form = Literal["affine", "similarity", "mirrored-similarity", "translation"]

_BASES: dict[str, tuple[Array, Array, int]] = {
    # The six parameters are base + basis @ free; and how many points determine the free ones.
    "affine": (np.zeros(6), np.eye(6), 3),
    "similarity": (
        np.zeros(6),
        np.array([[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], np.float64),
        2,
    ),
    "mirrored-similarity": (
        np.zeros(6),
        np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], np.float64),
        2,
    ),
    "translation": (
        np.array([1.0, 0, 0, 0, 1.0, 0]),
        np.array([[0, 0], [0, 0], [1, 0], [0, 0], [0, 0], [0, 1]], np.float64),
        1,
    ),
}
_MOST_SUBSETS = 3000
_COLLINEAR = 1e-6


class RegistrationRefused(ValueError):  # noqa: N818
    """The points do not determine the map, or nothing tells how good it is."""


@dataclass(frozen=True)
class Registration:
    """A fitted map and what speaks for it.

    Attributes:
        transform: source to target, with the covariance of its parameters.
        residuals: target minus mapped source, ``(n, 2)``, target units, of outliers too.
        outlier: bool ``(n,)``; these points took no part in the fit.
        p_values: of each point's deletion residual, ``(n,)``, before Bonferroni's correction.
        rms: root mean square length of the inliers' residuals, target units.
        scale: standard deviation of the residuals over the stated one; of unstated errors, in target units.
        p_fit: probability of residuals this large if the stated errors are right; ``None`` when none were stated.
        degrees_of_freedom: equations less parameters, of the inliers.
    """

    transform: Affine
    residuals: Array
    outlier: NDArray[np.bool_]
    p_values: Array
    rms: float
    scale: float
    p_fit: float | None
    degrees_of_freedom: int


def fit_registration(
    source: Points, target: Points, form: Form = "affine", *, false_outlier_rate: float = 0.01
) -> Registration:
    """Return the map of ``form`` that takes ``source`` to ``target``.

    The covariances are the stated errors of the points; with all of them zero the errors are unstated, taken as equal,
    and estimated from the residuals. Where the residuals are larger than the stated errors allow, the covariance
    of the map is widened by their ratio (Birge); it is never narrowed.

    Args:
        source, target: ``n`` points each, the same order.
        form: ``similarity`` keeps angles, ``mirrored-similarity`` also turns the plane over, ``translation`` shifts.
        false_outlier_rate: chance that a set without outliers loses a point.

    Raises:
        RegistrationRefused: too few points, points on a line, or no errors stated and none left over to estimate them.
        ValueError: the two sets differ in size.
    """
    if len(source.xy) != len(target.xy):
        raise ValueError(f"{len(source.xy)} source points and {len(target.xy)} target points")
    problem = _Problem(source, target, form)
    problem.refuse_undetermined()
    inlier = problem.start()
    seen: set[bytes] = set()
    while True:
        fit = problem.fit(inlier)
        p_values = problem.judge(fit, inlier)
        wanted = _keep_most(p_values >= false_outlier_rate / problem.count, p_values, problem.fewest_inliers)
        if np.array_equal(wanted, inlier) or wanted.tobytes() in seen:
            return problem.report(fit, inlier, p_values)
        seen.add(wanted.tobytes())
        inlier = wanted


@dataclass(frozen=True)
class _Fit:
    transform: Affine
    unscaled: Array
    """Covariance of the six parameters for errors as stated, or of unit variance."""
    chi_squared: float
    freedom: int

    def variance_factor(self, *, stated: bool) -> float:
        if self.freedom == 0:
            return 1.0
        factor = self.chi_squared / self.freedom
        return max(1.0, factor) if stated else factor


class _Problem:
    def __init__(self, source: Points, target: Points, form: Form) -> None:
        self.source, self.target = source, target
        self.count = len(source.xy)
        self.base, self.basis, self.fewest = _BASES[form]
        self.form = form
        self.stated = bool(np.any(source.covariance) or np.any(target.covariance))
        self.fewest_inliers = max(self.fewest + (0 if self.stated else 1), math.ceil(self.count / 2))

    def refuse_undetermined(self) -> None:
        needed = self.fewest + (0 if self.stated else 1)
        if self.count < needed:
            why = "" if self.stated else ", one of them to tell how good the map is, since no errors are stated"
            raise RegistrationRefused(
                f"a map of the form {self.form!r} needs {needed} points{why}; there are {self.count}"
            )
        if self.fewest < 2:
            return
        spread = np.linalg.svd(self.source.xy - self.source.xy.mean(axis=0), compute_uv=False)
        if spread[0] == 0.0 or (self.fewest == 3 and spread[1] < _COLLINEAR * spread[0]):
            raise RegistrationRefused(
                "the source points lie on a line or on each other: they determine no map of the plane"
            )

    def effective(self, transform: Affine) -> Array:
        """Return the variance of target minus mapped source, ``(n, 2, 2)``; unit where no errors are stated."""
        if not self.stated:
            return np.broadcast_to(np.eye(2), (self.count, 2, 2)).copy()
        variance = self.target.covariance + transform.matrix @ self.source.covariance @ transform.matrix.T
        floor = 1e-18 * float(np.abs(self.target.xy).max(initial=1.0)) ** 2 + 1e-300
        return np.asarray(variance + floor * np.eye(2))

    def fit(self, inlier: NDArray[np.bool_]) -> _Fit:
        transform = self._solve(inlier, np.broadcast_to(np.eye(2), (self.count, 2, 2))).transform
        found = self._solve(inlier, self.effective(transform))
        for _ in range(5 if self.stated else 0):
            found = self._solve(inlier, self.effective(found.transform))
        return found

    def _solve(self, inlier: NDArray[np.bool_], variance: Array) -> _Fit:
        """Solve in centred and scaled source coordinates, where the normal equations are well conditioned."""
        xy = self.source.xy[inlier]
        centre, size = xy.mean(axis=0), float(np.abs(xy - xy.mean(axis=0)).max()) or 1.0
        if self.form == "translation":
            centre, size = np.zeros(2), 1.0
        whitening = np.linalg.inv(np.linalg.cholesky(variance[inlier]))
        jacobian = parameter_jacobian((xy - centre) / size)
        design = (whitening @ jacobian @ self.basis).reshape(-1, self.basis.shape[1])
        wanted = (whitening @ (self.target.xy[inlier] - jacobian @ self.base)[..., None]).reshape(-1)
        free, _, rank, _ = np.linalg.lstsq(design, wanted, rcond=1e-10)
        if rank < self.basis.shape[1]:
            raise RegistrationRefused("the points that agree with each other lie on a line or on each other")
        remainder = wanted - design @ free
        parameters = self.base + self.basis @ free
        unscaled = self.basis @ np.linalg.inv(design.T @ design) @ self.basis.T
        normalize = Affine.exact(np.eye(2) / size, -centre / size)
        scaled = Affine(parameters.reshape(2, 3)[:, :2], parameters.reshape(2, 3)[:, 2], unscaled)
        transform = normalize.then(scaled)
        return _Fit(transform, transform.covariance, float(remainder @ remainder), len(wanted) - len(free))

    def judge(self, fit: _Fit, inlier: NDArray[np.bool_]) -> Array:
        """Return the p-value of each point's residual against the fit to the others."""
        residuals = self._residuals(fit.transform)
        variance = self.effective(fit.transform)
        jacobian = parameter_jacobian(self.source.xy)
        spread = jacobian @ fit.unscaled @ jacobian.mT
        sign = np.where(inlier, -1.0, 1.0)[:, None, None]
        total = variance + sign * spread
        # A point that alone holds a parameter has no variance left over: nothing can be said against it.
        free = np.linalg.eigvalsh(total)[:, 0] > 1e-9 * np.linalg.eigvalsh(variance)[:, 0]
        squared = np.zeros(self.count)
        squared[free] = np.einsum("ni,nij,nj->n", residuals[free], np.linalg.inv(total[free]), residuals[free])
        p_values = np.ones(self.count)
        if self.stated:
            p_values[free] = stats.chi2.sf(squared[free], 2)
            return p_values
        remaining = np.where(inlier, fit.chi_squared - squared, fit.chi_squared)
        freedom = np.where(inlier, fit.freedom - 2, fit.freedom)
        usable = free & (freedom > 0)
        tiny = np.finfo(float).tiny
        ratio = squared[usable] / 2 / np.maximum(remaining[usable] / freedom[usable], tiny)
        exact = squared[usable] <= (1e-9 * float(np.abs(self.target.xy).max())) ** 2
        p_values[usable] = np.where(exact, 1.0, stats.f.sf(ratio, 2, freedom[usable]))
        return p_values

    def start(self) -> NDArray[np.bool_]:
        """Return the points that agree with the minimal subset with the least median of squared residuals."""
        everyone = np.ones(self.count, dtype=np.bool_)
        if self.count < self.fewest + 2:
            return everyone
        quorum = (self.count + self.fewest + 1) // 2
        squared = self._squared_of_subsets()
        middle = np.partition(squared, quorum - 1, axis=1)[:, quorum - 1]
        winner = int(np.argmin(middle))
        best, best_squared = float(middle[winner]), squared[winner]
        if not math.isfinite(best):
            return everyone
        small = (1 + 5 / max(1, self.count - self.fewest)) ** 2
        scale = best / stats.chi2.ppf(quorum / self.count * 0.999, 2) * small
        scale = max(1.0, scale) if self.stated else max(scale, np.finfo(float).tiny)
        return _keep_most(best_squared <= scale * stats.chi2.ppf(0.99, 2), -best_squared, self.fewest_inliers)

    def _squared_of_subsets(self) -> Array:
        """Return each point's squared residual from the map through each minimal subset; infinite without a map."""
        subsets = np.asarray(self._subsets())
        centre, size = (
            self.source.xy.mean(axis=0),
            float(np.abs(self.source.xy - self.source.xy.mean(axis=0)).max()) or 1.0,
        )
        if self.form == "translation":
            centre, size = np.zeros(2), 1.0
        jacobian = parameter_jacobian((self.source.xy - centre) / size)
        design, wanted = jacobian @ self.basis, self.target.xy - jacobian @ self.base
        unknowns = self.basis.shape[1]
        square = design[subsets].reshape(len(subsets), unknowns, unknowns)
        possible = np.abs(np.linalg.det(square)) > _COLLINEAR**2
        squared = np.full((len(subsets), self.count), np.inf)
        chosen = wanted[subsets[possible]].reshape(-1, unknowns, 1)
        free = np.linalg.solve(square[possible], chosen)[..., 0]
        residuals = wanted - np.einsum("nak,sk->sna", design, free)
        inverse = np.linalg.inv(self.effective(Affine.identity()))
        squared[possible] = np.einsum("sna,nab,snb->sn", residuals, inverse, residuals)
        return squared

    def _subsets(self) -> list[tuple[int, ...]]:
        if math.comb(self.count, self.fewest) <= _MOST_SUBSETS:
            return list(itertools.combinations(range(self.count), self.fewest))
        numbers = np.random.default_rng(0)  # a fixed seed: the same points give the same map
        return [tuple(numbers.choice(self.count, self.fewest, replace=False)) for _ in range(_MOST_SUBSETS)]

    def _residuals(self, transform: Affine) -> Array:
        return np.asarray(self.target.xy - (self.source.xy @ transform.matrix.T + transform.shift))

    def report(self, fit: _Fit, inlier: NDArray[np.bool_], p_values: Array) -> Registration:
        factor = fit.variance_factor(stated=self.stated)
        residuals = self._residuals(fit.transform)
        transform = Affine(fit.transform.matrix, fit.transform.shift, fit.unscaled * factor)
        measured = math.sqrt(fit.chi_squared / fit.freedom) if fit.freedom else 1.0
        p_fit = float(stats.chi2.sf(fit.chi_squared, fit.freedom)) if self.stated and fit.freedom else None
        rms = float(np.sqrt(np.mean(np.sum(residuals[inlier] ** 2, axis=1))))
        return Registration(transform, residuals, ~inlier, p_values, rms, measured, p_fit, fit.freedom)


def _keep_most(wanted: NDArray[np.bool_], worth: Array, fewest: int) -> NDArray[np.bool_]:
    """Return ``wanted``, filled up by worth to the fewest points that may remain."""
    kept = wanted.copy()
    for index in np.argsort(-worth, kind="stable"):
        if int(kept.sum()) >= fewest:
            break
        kept[index] = True
    return kept
