"""Isolation forest: how few random cuts set a row apart from the rest.

Source: Liu, Ting, Zhou, "Isolation forest", ICDM 2008: a row's score is ``2 ** (-mean path length / c(n))`` with
``c(n)`` the mean path length of an unsuccessful search in a binary search tree of ``n`` rows. Cuts are drawn among the
columns that vary within a node; all trees grow together, one level at a time.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_EULER_GAMMA = 0.5772156649015329
_DRAWS = 12
_LEAF = -1
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class IsolationForest:
    """A grown forest.

    Attributes:
        columns: int64 of shape ``(trees, nodes)``: the column that a node cuts, -1 in a leaf. The children of node
            ``i`` are ``2 i + 1`` and ``2 i + 2``.
        cuts: float64 of that shape: values below go to the first child.
        lengths: float64 of that shape: path length at which a row that ends here counts.
        rows: rows that each tree was grown from.
        width: columns of a row.
    """

    columns: NDArray[np.int64]
    cuts: NDArray[np.float64]
    lengths: NDArray[np.float64]
    rows: int
    width: int

    def score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the anomaly score (0..1, higher is stranger) of ``rows``, float64 of shape ``(n, columns)``.

        Raises:
            ValueError: the rows have another number of columns than those the forest was grown from.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"the forest knows rows of {self.width} numbers, these have the shape {rows.shape}")
        pieces = [self._score(rows[at : at + _ROWS_AT_ONCE]) for at in range(0, len(rows), _ROWS_AT_ONCE)]
        return np.concatenate([np.empty(0), *pieces])

    def _score(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros(len(rows))
        place = np.arange(len(rows))
        for columns, cuts, lengths in zip(self.columns, self.cuts, self.lengths, strict=True):
            node = np.zeros(len(rows), np.int64)
            for _ in range(_depth_limit(self.rows)):
                column = columns[node]
                inner = column != _LEAF
                right = rows[place, np.maximum(column, 0)] >= cuts[node]
                node = np.where(inner, 2 * node + 1 + right, node)
            total += lengths[node]
        return np.asarray(2.0 ** (-total / len(self.columns) / mean_path_length(self.rows)), np.float64)


def mean_path_length(rows: int) -> float:
    """Return the mean path length of an unsuccessful search among ``rows`` rows (equation 1 of the source)."""
    if rows <= 1:
        return 0.0
    if rows == 2:
        return 1.0
    return 2.0 * (math.log(rows - 1.0) + _EULER_GAMMA) - 2.0 * (rows - 1.0) / rows


def grow_forest(rows: NDArray[np.float64], trees: int, sample: int, generator: np.random.Generator) -> IsolationForest:
    """Return a forest of ``trees`` trees, each grown from ``sample`` of ``rows`` (float64, shape ``(n, columns)``).

    Rows are drawn without replacement by ``generator``; a ``sample`` beyond the number of rows takes them all.

    Raises:
        ValueError: there are fewer than two rows, no columns, or a number is not finite.
    """
    if rows.ndim != 2 or len(rows) < 2 or not rows.shape[1]:
        raise ValueError(f"a forest needs at least two rows of numbers, these have the shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("a forest needs finite numbers")
    sample = min(sample, len(rows))
    picked = np.stack([generator.permutation(len(rows))[:sample] for _ in range(trees)])
    depth = _depth_limit(sample)
    nodes = 2 ** (depth + 1) - 1
    forest = IsolationForest(
        columns=np.full((trees, nodes), _LEAF, np.int64),
        cuts=np.zeros((trees, nodes)),
        lengths=np.zeros((trees, nodes)),
        rows=sample,
        width=rows.shape[1],
    )
    tree, row = np.repeat(np.arange(trees), sample), picked.ravel()
    node = np.zeros(row.size, np.int64)
    for level in range(depth + 1):
        if not row.size:
            break
        tree, row, node = _grow_level(forest, rows, (tree, row, node), level, generator)
    return forest


def _depth_limit(sample: int) -> int:
    return max(1, int(np.ceil(np.log2(max(2, sample)))))


_Members = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _grow_level(
    forest: IsolationForest,
    rows: NDArray[np.float64],
    members: _Members,
    level: int,
    generator: np.random.Generator,
) -> _Members:
    """Cut every node of a level; return the (tree, row, node) of the rows that go on."""
    tree, row, node = members
    order = np.lexsort((node, tree))
    tree, row, node = tree[order], row[order], node[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(tree) != 0) | (np.diff(node) != 0)])
    counts = np.diff(np.r_[starts, row.size])
    heads = (tree[starts], node[starts])
    forest.lengths[heads] = level + np.array([mean_path_length(int(count)) for count in counts])
    if level == _depth_limit(forest.rows):
        return tree[:0], row[:0], node[:0]
    column, low, high = _draw_columns(rows, row, starts, counts, generator)
    cut = low + (high - low) * generator.uniform(size=low.size)
    cut = np.where(cut > low, cut, high)  # so that at least one row lies on either side
    split = high > low
    forest.columns[heads] = np.where(split, column, _LEAF)
    forest.cuts[heads] = cut
    of_row = np.repeat(np.arange(starts.size), counts)
    right = rows[row, column[of_row]] >= cut[of_row]
    goes_on = split[of_row]
    return tree[goes_on], row[goes_on], (2 * node + 1 + right)[goes_on]


def _draw_columns(
    rows: NDArray[np.float64],
    row: NDArray[np.int64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
    generator: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Draw a column for each node, again where it does not vary there; return it with its range in the node."""
    column = np.zeros(starts.size, np.int64)
    low, high = np.zeros(starts.size), np.zeros(starts.size)
    open_nodes = counts > 1
    for _ in range(_DRAWS):
        if not open_nodes.any():
            break
        column[open_nodes] = generator.integers(rows.shape[1], size=int(open_nodes.sum()))
        values = rows[row, np.repeat(column, counts)]
        least, most = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        low[open_nodes], high[open_nodes] = least[open_nodes], most[open_nodes]
        open_nodes &= ~(high > low)
    return column, low, high
