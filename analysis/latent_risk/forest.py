"""Forests as plain arrays: grown by scikit-learn, kept and asked without it, so that no code is ever unpickled."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAF = -1
_UNITS_AT_ONCE = 4096


class DamagedForest(ValueError):  # noqa: N818
    """The arrays are no forest; the message says why."""


@dataclass(frozen=True)
class Forest:
    """Binary trees, one after another.

    Attributes:
        roots: int32 ``(trees,)``, the node each tree starts at.
        feature: int32 ``(nodes,)``, the feature asked there; -1 for a leaf.
        threshold: float64 ``(nodes,)``: at most it goes left.
        left, right: int32 ``(nodes,)``, always behind their parent.
        value: float64 ``(nodes,)``, part of failed units there.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float64]

    def check(self, features: int) -> None:
        """Refuse arrays that are no forest over ``features`` features: asked, they would loop or look elsewhere.

        Raises:
            DamagedForest: and why.
        """
        count = self.feature.size
        arrays = (self.threshold, self.left, self.right, self.value)
        if not count or not self.roots.size or any(each.shape != (count,) for each in arrays):
            raise DamagedForest("the arrays of a forest are not equally long")
        inner = self.feature != LEAF
        nodes = np.arange(count)[inner]
        if (self.feature[inner] < 0).any() or (self.feature[inner] >= features).any():
            raise DamagedForest(f"a node asks for a feature outside the {features} there are")
        for child in (self.left[inner], self.right[inner]):
            if (child <= nodes).any() or (child >= count).any():
                raise DamagedForest("a node's child does not come behind it")
        if (self.roots < 0).any() or (self.roots >= count).any():
            raise DamagedForest("a tree starts outside the nodes")
        if not np.isfinite(self.threshold[inner]).all() or not ((self.value >= 0) & (self.value <= 1)).all():
            raise DamagedForest("a threshold is not finite, or a part lies outside 0..1")

    def mean_value(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean over the trees of the part of failed units: float64 ``(units,)``.

        ``values`` is float64 ``(units, features)``, compared in single precision as when the trees were grown.
        """
        parts = [
            self._mean(values[start : start + _UNITS_AT_ONCE].astype(np.float32).astype(np.float64))
            for start in range(0, values.shape[0], _UNITS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros(values.shape[0])
        rows = np.arange(values.shape[0])
        for root in self.roots:
            place = np.full(values.shape[0], root, np.int32)
            moving = rows
            while moving.size:
                asked = self.feature[place[moving]]
                moving = moving[asked != LEAF]
                asked = asked[asked != LEAF]
                here = place[moving]
                below = values[moving, asked] <= self.threshold[here]
                place[moving] = np.where(below, self.left[here], self.right[here])
            total += self.value[place]
        return total / self.roots.size


def grow_forest(values: NDArray[np.float64], failed: NDArray[np.bool_], trees: int, seed: int) -> Forest:
    """Return extremely randomised trees (Geurts et al., Machine Learning 63, 2006), grown by scikit-learn.

    ``values`` is float64 ``(units, features)``, ``failed`` bool ``(units,)`` with both classes; ``trees`` their number,
    ``seed`` of the draws.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # noqa: PLC0415  (asking a forest needs no scikit-learn)

    grown = ExtraTreesClassifier(trees, min_samples_leaf=2, random_state=seed).fit(values, failed)
    parts = [each.tree_ for each in grown.estimators_]
    starts = np.cumsum([0, *(part.node_count for part in parts)])[:-1].astype(np.int32)

    def children(name: str) -> NDArray[np.int32]:
        found = [getattr(part, name) for part in parts]
        moved = [np.where(each >= 0, each + start, LEAF) for each, start in zip(found, starts, strict=True)]
        return np.concatenate(moved).astype(np.int32)

    feature = np.concatenate([np.where(part.children_left >= 0, part.feature, LEAF) for part in parts])
    shares = np.concatenate([part.value[:, 0, :] for part in parts])
    value = shares[:, 1] / shares.sum(axis=1)
    threshold = np.concatenate([np.where(part.children_left >= 0, part.threshold, 0.0) for part in parts])
    return Forest(
        starts, feature.astype(np.int32), threshold, children("children_left"), children("children_right"), value
    )
