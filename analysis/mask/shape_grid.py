"""Which of many boxes overlap which windows: a grid over the plane, each of its cells with the boxes that touch it."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_MOST_ENTRIES_PER_BOX = 8
_MOST_CELLS = 4_000_000
_CELLS_PER_BOX = 0.5


class ShapeGrid:
    """An index of boxes.

    Args:
        boxes: float64 ``(n, 4)``: left, bottom, right, top; in one unit throughout.
    """

    def __init__(self, boxes: Array) -> None:
        self.boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        if not np.isfinite(self.boxes).all():
            raise ValueError("a box is not finite")
        count = len(self.boxes)
        self._corner = self.boxes[:, :2].min(axis=0) if count else np.zeros(2)
        extent = self.boxes[:, 2:].max(axis=0) - self._corner if count else np.ones(2)
        longest = max(float(extent.max()), 1e-12)
        cells = min(max(1.0, count * _CELLS_PER_BOX), _MOST_CELLS)
        self._pitch = max(math.sqrt(float(np.maximum(extent, longest * 1e-6).prod()) / cells), longest / 1e6)
        while True:
            self._shape = np.floor(extent / self._pitch).astype(np.int64) + 1
            low, high = self._ranges(self.boxes)
            spans = (high - low + 1).prod(axis=1)
            if int(self._shape.prod()) <= _MOST_CELLS and int(spans.sum()) <= _MOST_ENTRIES_PER_BOX * max(1, count):
                break
            if (self._shape == 1).all():
                break
            self._pitch *= 1.5
        owner, cell = self._expand(low, high, spans)
        order = np.argsort(cell, kind="stable")
        self._members = owner[order]
        self._starts = np.searchsorted(cell[order], np.arange(int(self._shape.prod()) + 1))

    def overlapping(self, windows: Array) -> tuple[Indices, Indices]:
        """Return all pairs of a window and a box that overlap or touch: the places of both, ordered by window.

        Args:
            windows: float64 ``(m, 4)`` like the boxes.
        """
        windows = np.asarray(windows, np.float64).reshape(-1, 4)
        if not len(self.boxes) or not len(windows):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        low, high = self._ranges(windows)
        owner, cell = self._expand(low, high, (high - low + 1).prod(axis=1))
        counts = self._starts[cell + 1] - self._starts[cell]
        window, box = np.repeat(owner, counts), self._members[_steps(self._starts[cell], counts)]
        first, second = windows[window], self.boxes[box]
        meets = (first[:, :2] <= second[:, 2:]).all(axis=1) & (second[:, :2] <= first[:, 2:]).all(axis=1)
        pairs = np.unique(window[meets] * np.int64(len(self.boxes)) + box[meets])
        return pairs // len(self.boxes), pairs % len(self.boxes)

    def _ranges(self, boxes: Array) -> tuple[Indices, Indices]:
        """Return the first and the last cell of each box in both axes, ``(n, 2)`` each, within the grid."""
        low = np.floor((boxes[:, :2] - self._corner) / self._pitch)
        high = np.floor((boxes[:, 2:] - self._corner) / self._pitch)
        last = self._shape - 1
        return np.clip(low, 0, last).astype(np.int64), np.clip(high, 0, last).astype(np.int64)

    def _expand(self, low: Indices, high: Indices, spans: Indices) -> tuple[Indices, Indices]:
        """Return for every cell of every box the box and the cell's number."""
        owner = np.repeat(np.arange(len(low)), spans)
        step = _steps(np.zeros(len(low), np.int64), spans)
        rows = (high - low + 1)[owner, 1]
        x, y = low[owner, 0] + step // rows, low[owner, 1] + step % rows
        return owner, x * self._shape[1] + y


def _steps(starts: Indices, counts: Indices) -> Indices:
    """Return ``starts[i], starts[i] + 1, …`` with ``counts[i]`` entries, one after another for all ``i``."""
    total = int(counts.sum())
    before = np.cumsum(counts) - counts
    return np.arange(total) - np.repeat(before - starts, counts)
