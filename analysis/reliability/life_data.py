"""Lifetimes as a likelihood needs them: what is known of when devices failed, in counts, each distinct row once.

Every row says that ``count`` devices failed within ``(lower, upper]`` hours: exactly at a time (both equal), not before
(``upper`` infinite: right censored), before (``lower`` 0: left censored), or between two readouts. ``entry`` and
``exit`` are truncation: such devices are in the data only because they failed between these times (Meeker, Escobar &
Pascual, "Statistical Methods for Reliability Data", 2nd ed. 2022, ch. 2 and 11). A billion devices cost what their
distinct times cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.reliability.errors import BadLifeData

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class LifeData:
    """Collapsed lifetimes; all arrays float64 of shape ``(rows,)`` unless said otherwise.

    Attributes:
        lower, upper: hours between which the devices of a row failed; equal where the time is known.
        count: devices of a row, above 0.
        entry: hours before which a device of the row could not have been seen to fail (0 for none).
        exit: hours after which it could not have been seen (infinite for none).
        stress: float64 of shape ``(rows, stresses)``, what the devices of a row were under; 0 columns for none.
        cause: int64, index into ``causes``; -1 where the cause is unknown (masked) or the device did not fail.
        causes: names of the causes of failure, empty where none are told apart.
    """

    lower: Floats
    upper: Floats
    count: Floats
    entry: Floats
    exit: Floats
    stress: Floats
    cause: NDArray[np.int64]
    causes: tuple[str, ...] = ()

    @cached_property
    def exact(self) -> Flags:
        """Rows whose failure time is known."""
        return np.asarray(self.lower == self.upper)

    @cached_property
    def right(self) -> Flags:
        """Rows of devices that had not failed."""
        return np.isinf(self.upper)

    @cached_property
    def interval(self) -> Flags:
        """Rows of devices that failed between two times, the first of which may be 0."""
        return ~self.exact & ~self.right

    @cached_property
    def truncated(self) -> Flags:
        """Rows of devices that could be seen in part of time only."""
        return (self.entry > 0) | np.isfinite(self.exit)

    @cached_property
    def failures(self) -> float:
        """Devices that failed."""
        return float(self.count[~self.right].sum())

    @cached_property
    def devices(self) -> float:
        """All devices."""
        return float(self.count.sum())

    @property
    def rows(self) -> int:
        """Distinct rows."""
        return int(self.lower.size)

    def chosen(self, rows: Flags) -> "LifeData":
        """Return the data of ``rows``, bool of shape ``(rows,)``, only."""
        lower, upper, count = self.lower[rows], self.upper[rows], self.count[rows]
        entry, leave, stress, cause = self.entry[rows], self.exit[rows], self.stress[rows], self.cause[rows]
        return LifeData(lower, upper, count, entry, leave, stress, cause, self.causes)


@dataclass(frozen=True)
class Truncation:
    """Hours between which the devices of a row could be seen to fail; scalars or arrays of shape ``(rows,)``."""

    entry: ArrayLike = 0.0
    exit: ArrayLike = np.inf


def collapse(
    lower: ArrayLike,
    upper: ArrayLike,
    count: ArrayLike | None = None,
    truncation: Truncation = Truncation(),
    stress: ArrayLike | None = None,
    cause: Sequence[str | None] | None = None,
) -> LifeData:
    """Return lifetimes with equal rows put together.

    Args:
        lower, upper: hours, shape ``(rows,)``; ``upper`` infinite for right-censored rows, equal to ``lower`` for
            exact ones.
        count: devices of each row, shape ``(rows,)``; 1 each for ``None``. Rows of 0 devices are left out.
        truncation: between which hours a row's devices could be seen to fail.
        stress: float64, shape ``(rows, stresses)`` or ``(rows,)``.
        cause: name of the cause of each row's failures; ``None`` or empty where it is not known.

    Raises:
        BadLifeData: there are no rows, or times or counts are impossible.
    """
    low, high = (np.atleast_1d(np.asarray(each, np.float64)) for each in (lower, upper))
    counts = np.ones(low.shape) if count is None else np.atleast_1d(np.asarray(count, np.float64))
    entry = np.broadcast_to(np.asarray(truncation.entry, np.float64), low.shape)
    leave = np.broadcast_to(np.asarray(truncation.exit, np.float64), low.shape)
    stresses = np.empty((low.size, 0)) if stress is None else np.asarray(stress, np.float64).reshape(low.size, -1)
    _check(low, high, counts, entry, leave)
    if not np.isfinite(stresses).all():
        raise BadLifeData("a stress is not a number")
    failed = np.isfinite(high).tolist()
    # What stands where a device did not fail is no cause.
    names = sorted({name for name, dead in zip(cause, failed, strict=True) if name and dead}) if cause else []
    places = {name: place for place, name in enumerate(names)}
    codes = np.full(low.size, -1) if cause is None else np.asarray([places.get(each or "", -1) for each in cause])
    codes = np.where(np.isinf(high), -1, codes).astype(np.int64)
    some = counts > 0
    columns = [low, high, entry, leave, *stresses.T, codes.astype(np.float64)]
    first, totals = _distinct([column[some] for column in columns], counts[some])
    kept = np.flatnonzero(some)[first]
    return LifeData(
        low[kept], high[kept], totals, entry[kept], leave[kept], stresses[kept], codes[kept], causes=tuple(names)
    )


def right_censored(times: ArrayLike, failed: ArrayLike, count: ArrayLike | None = None) -> LifeData:
    """Return lifetimes of devices that failed at ``times`` hours or, where not ``failed``, were alive then.

    All of shape ``(rows,)``; ``count`` devices each, 1 for ``None``.

    Raises:
        BadLifeData: there are no rows, or times or counts are impossible.
    """
    known = np.atleast_1d(np.asarray(times, np.float64))
    dead = np.broadcast_to(np.asarray(failed, np.bool_), known.shape)
    if count is not None or not (dead.any() and (~dead).any()) or np.isnan(known).any():
        return collapse(known, np.where(dead, known, np.inf), count)
    # Sorted by themselves, without an order to carry along: most of what a million lifetimes cost.
    died, lived = (np.unique(part, return_counts=True) for part in (known[dead], known[~dead]))
    lower = np.concatenate([died[0], lived[0]])
    upper = np.concatenate([died[0], np.full(lived[0].size, np.inf)])
    return collapse(lower, upper, np.concatenate([died[1], lived[1]]))


def _check(low: Floats, high: Floats, counts: Floats, entry: Floats, leave: Floats) -> None:
    if low.size == 0 or not (low.shape == high.shape == counts.shape):
        raise BadLifeData(
            f"lifetimes need rows of lower, upper and count alike, not {low.size}, {high.size}, {counts.size}"
        )
    if not np.isfinite(low).all() or np.isnan(high).any() or not np.isfinite(counts).all():
        raise BadLifeData("a time or a count is not a number")
    if (low < 0).any() or (high < low).any() or (high <= 0).any():
        raise BadLifeData("a lifetime is negative, ends before it begins, or is zero")
    if (counts < 0).any() or not (counts > 0).any():
        raise BadLifeData("a count is negative, or there are no devices at all")
    if np.isnan(entry).any() or np.isnan(leave).any() or (entry < 0).any() or (leave <= entry).any():
        raise BadLifeData("truncation ends before it begins")
    if (low < entry).any() or (np.where(np.isinf(high), low, high) > leave).any():
        raise BadLifeData("a lifetime lies outside the hours in which it could be seen")


def _distinct(columns: list[Floats], counts: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the first row of each distinct one, in order of time, and the counts of all rows equal to it."""
    varying = [column for column in columns if column.size and (column != column[0]).any()]
    if not varying:
        return np.zeros(1, np.int64), np.asarray([counts.sum()])
    order = _order(varying)
    changed = np.zeros(order.size, np.bool_)
    changed[0] = True
    for column in varying:
        ordered = column[order]
        changed[1:] |= ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(changed)
    return order[starts], np.add.reduceat(counts[order], starts)


def _order(columns: list[Floats]) -> NDArray[np.int64]:
    """The order of rows by the first column, then the second and so on."""
    if len(columns) == 1:
        return np.argsort(columns[0], kind="stable")
    if len(columns) == 2 and all((each[1:] >= each[:-1]).all() for each in columns):
        return np.arange(columns[0].size)
    return np.lexsort(columns[::-1])
