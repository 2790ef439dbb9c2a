"""Heads: what one modality alone says of a unit, as log odds: a ridge logistic regression, or a forest that wins."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.latent_risk.evidence import Flags, Floats, is_trace
from analysis.latent_risk.forest import Forest, grow_forest
from analysis.latent_risk.trace_features import describe_traces

RIDGES = (0.01, 0.1, 1.0)
"""Inverse strengths of the ridge that are tried, of standardised features."""

OUTSIDE_PART = 1.0
"""How far beyond the seen range a value may lie, as a part of that range, before its modality is not believed.

Wide on purpose: units that fail are often outliers, and one that is refused is one that nothing is said of."""

_MOST_FOR_NEWTON = 1000


@dataclass(frozen=True)
class HeadKind:
    """A way to make a head: ``logistic`` with the inverse ``ridge``, or ``forest`` of ``trees`` (0: none).

    With ``samples_only`` a trace is taken as it is, not described.
    """

    name: str
    ridge: float = 0.0
    trees: int = 0
    seed: int = 0
    samples_only: bool = False


def head_kinds(trees: int, seed: int, *, traces: bool = False) -> tuple[HeadKind, ...]:
    """Return the kinds that compete, simplest first; forests of ``trees`` trees drawn from ``seed``.

    Of ``traces`` as they are, and described.
    """
    kinds = [HeadKind("logistic", ridge) for ridge in RIDGES]
    forests = [HeadKind("forest", trees=trees, seed=seed)] if trees else []
    if not traces:
        return (*kinds, *forests)
    both = ([replace(each, samples_only=True) for each in group] + group for group in (kinds, forests))
    return tuple(each for group in both for each in group)


@dataclass(frozen=True)
class Preparation:
    """How values become a head's input: missing ones filled, traces described, kept to what was seen, standardised.

    Attributes:
        features: names of the modality's columns.
        fill: float64 ``(features,)``, medians.
        seen_low, seen_high: float64 ``(features,)``, the range of the values that were learned from; of all samples of
            a trace together.
        kept: int32 indexes of the described features that vary.
        centre, scale, low, high: float64 ``(kept,)``: mean, standard deviation and range of the described features.
        samples_only: whether traces are taken as they are.
    """

    features: tuple[str, ...]
    fill: Floats
    seen_low: Floats
    seen_high: Floats
    kept: NDArray[np.int32]
    centre: Floats
    scale: Floats
    low: Floats
    high: Floats
    samples_only: bool = False

    def apply(self, values: Floats) -> Floats:
        """Return the input, float64 ``(units, kept)``, for ``values`` of shape ``(units, features)``."""
        described = self._describe(values)[:, self.kept]
        return np.asarray((np.clip(described, self.low, self.high) - self.centre) / self.scale, np.float64)

    def _describe(self, values: Floats) -> Floats:
        filled = np.where(np.isfinite(values), values, self.fill)
        return describe_traces(filled) if is_trace(self.features) and not self.samples_only else filled

    def outside(self, values: Floats) -> NDArray[np.intp]:
        """Return for each unit the feature farthest beyond what was seen, -1 where none is: int64 ``(units,)``.

        ``values`` is float64 ``(units, features)``. Beyond is farther than :data:`OUTSIDE_PART` of the seen range from
        it. A feature that never varied is not asked.
        """
        width = self.seen_high - self.seen_low
        with np.errstate(invalid="ignore", divide="ignore"):
            beyond = np.maximum(self.seen_low - values, values - self.seen_high) / width
        beyond = np.where(np.isfinite(values) & (width > 0), beyond, -np.inf)
        worst = np.argmax(beyond, axis=1)
        return np.where(beyond[np.arange(worst.size), worst] > OUTSIDE_PART, worst, -1)


def prepare(features: tuple[str, ...], values: Floats, *, samples_only: bool = False) -> Preparation:
    """Return the preparation learned from ``values`` (float64 ``(units, features)``) of the columns ``features``.

    With ``samples_only`` traces are not described.
    """
    known = np.isfinite(values)
    empty = ~known.any(axis=0)
    held = np.where(empty, 0.0, values)
    fill, low, high = (np.asarray(find(held, axis=0), np.float64) for find in (np.nanmedian, np.nanmin, np.nanmax))
    if is_trace(features):
        # What happens at another time than ever before is within a trace's own range.
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
    filled = np.where(known, values, fill)
    described = describe_traces(filled) if is_trace(features) and not samples_only else filled
    scale = described.std(axis=0)
    kept = np.flatnonzero(scale > 1e-12 * np.maximum(1.0, np.abs(described).max(axis=0, initial=0.0)))
    used = described[:, kept]
    return Preparation(
        features, fill, low, high, kept.astype(np.int32), used.mean(axis=0), scale[kept], used.min(axis=0),
        used.max(axis=0), samples_only,
    )  # fmt: skip


@dataclass(frozen=True)
class Head:
    """A fitted head; exactly one of ``weights`` (with ``intercept``) and ``forest`` is there.

    Attributes:
        kind: how it was made.
        preparation: of its input.
        intercept: log odds.
        weights: float64 ``(kept,)``, log odds for a standard deviation of a feature.
        forest: the trees.
    """

    kind: HeadKind
    preparation: Preparation
    intercept: float = 0.0
    weights: Floats | None = None
    forest: Forest | None = None

    def score(self, values: Floats) -> Floats:
        """Return the log odds of failing, uncalibrated: float64 ``(units,)`` for ``values`` ``(units, features)``."""
        ready = self.preparation.apply(values)
        if self.weights is not None:
            return np.asarray(self.intercept + ready @ self.weights, np.float64)
        assert self.forest is not None
        trees = self.forest.roots.size
        # Half a tree for either side: a forest that is unanimous is not certain.
        part = (self.forest.mean_value(ready) * trees + 0.5) / (trees + 1)
        return np.asarray(np.log(part) - np.log1p(-part), np.float64)


def fit_head(kind: HeadKind, features: tuple[str, ...], values: Floats, failed: Flags) -> Head:
    """Return a head of ``kind`` for the columns ``features``, learned from ``values`` ``(units, features)``.

    ``failed`` is bool ``(units,)`` with both classes. Where no feature varies it knows the part of failed units only.
    """
    preparation = prepare(features, values, samples_only=kind.samples_only)
    if not preparation.kept.size:
        part = float(np.clip(failed.mean(), 1e-6, 1 - 1e-6))
        only = HeadKind("logistic", samples_only=kind.samples_only)
        return Head(only, preparation, float(np.log(part / (1 - part))), np.zeros(0))
    ready = preparation.apply(values)
    if kind.trees:
        return Head(kind, preparation, forest=grow_forest(ready, failed, kind.trees, kind.seed))
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (scoring needs no scikit-learn)

    # Newton's steps cost the square of the features: with very many of them the quasi-Newton way is faster.
    solver = "newton-cholesky" if ready.shape[1] <= _MOST_FOR_NEWTON else "lbfgs"
    fitted = LogisticRegression(C=kind.ridge, solver=solver, max_iter=1000, tol=1e-6).fit(ready, failed)
    return Head(kind, preparation, float(fitted.intercept_[0]), np.asarray(fitted.coef_[0], np.float64))
