"""Is a printed time column the regular axis ``t0 + i * dt``? Rounding is forgiven, a missing sample is not."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField

_SINGLE_PRECISION = 2.0**-23
_PRINTED = 2e-6
"""Relative precision of an interval out of printed times."""
_DOUBLE_PRECISION = 2.0**-50


@dataclass(frozen=True)
class Axis:
    """A regular time axis in seconds: interval, first time of each segment, and what is doubtful about it."""

    dt_s: float | None
    starts_s: tuple[float | None, ...]
    warnings: tuple[str, ...] = ()


def printed_step(cells: Iterable[str], largest: float, decimal_comma: bool) -> float:
    """Return the difference that the last printed digit makes for times as large as ``largest``.

    Whole numbers are exact: 0. ``cells`` are some of the times as printed; the most digits found among them count,
    because trailing zeros may have been left out.
    """
    digits, whole = 0, True
    for cell in cells:
        mantissa = re.split("[eEdD]", cell.replace(",", ".") if decimal_comma else cell)[0]
        whole = whole and mantissa == cell and "." not in cell and "," not in cell
        digits = max(digits, len(mantissa.lstrip("+-").replace(".", "").lstrip("0")))
    if whole or largest == 0:
        return 0.0
    return float(10.0 ** (math.floor(math.log10(largest)) + 1 - digits))


class AxisCheck:
    """Follows the time column block by block, in printed units.

    Args:
        file: for errors.
        starts: first time of each segment.
        ends: last time of each segment.
        size: rows in each segment, at least 2.
    """

    def __init__(self, file: str, starts: NDArray[np.float64], ends: NDArray[np.float64], size: int) -> None:
        self._file = file
        self.starts = starts
        self.size = size
        self.interval = float((ends - starts).mean() / (size - 1))
        self.largest = float(max(np.abs(starts).max(), np.abs(ends).max()))
        self.deviation = 0.0
        self._worst_step = 0.0
        self._worst: tuple[int, float, float] | None = None
        self._previous: float | None = None
        self._row = 0

    def follow(self, times: NDArray[np.float64], lines: NDArray[np.int64]) -> None:
        """Compare the next ``times``, which stand on ``lines``, with the axis.

        Raises:
            CorruptField: a time is empty or no finite number.
        """
        wrong = np.flatnonzero(~np.isfinite(times))
        if wrong.size:
            line, found = int(lines[wrong[0]]), float(times[wrong[0]])
            raise CorruptField(
                "a time is no finite number", file=self._file, offset=line, found=found, offset_unit="line"
            )
        index = np.arange(self._row, self._row + times.size)
        segment, place = index // self.size, index % self.size
        segment = np.minimum(segment, self.starts.size - 1)
        residual = np.abs(times - (self.starts[segment] + place * self.interval))
        self.deviation = max(self.deviation, float(residual.max()))
        before = np.concatenate(([times[0] if self._previous is None else self._previous], times[:-1]))
        steps = np.where(place == 0, self.interval, times - before)
        worst = int(np.abs(steps - self.interval).argmax())
        if abs(steps[worst] - self.interval) > self._worst_step:
            self._worst_step = float(abs(steps[worst] - self.interval))
            self._worst = (int(lines[worst]), float(before[worst]), float(times[worst]))
        self._previous = float(times[-1])
        self._row += times.size

    def conclude(self, step: float) -> tuple[str, ...]:
        """Return warnings for times printed in steps of ``step``.

        Raises:
            CorruptField: the times do not increase, or are not evenly spaced within the rounding, with the line.
        """
        if not self.interval > 0:
            raise CorruptField("the times do not increase", file=self._file, found=self.interval)
        exact = self.largest * _DOUBLE_PRECISION
        tolerance = step + exact
        if self.deviation > tolerance:
            tolerance = max(tolerance, self.largest * _SINGLE_PRECISION)
        if self.deviation > tolerance or (self.deviation > exact and tolerance > self.interval):
            line, before, after = self._worst or (0, 0.0, 0.0)
            raise CorruptField(
                "the times are not evenly spaced",
                file=self._file,
                offset=line,
                expected=f"a step of {self.interval:.9g}",
                found=f"{before:.12g} then {after:.12g}",
                offset_unit="line",
            )
        if self.deviation > exact and 2 * tolerance > self.interval:
            return ("the times have too few digits to prove that no sample is missing",)
        return ()


def stretched(dt_s: float, count: int) -> str:
    """Return a doubt when ``count`` times were spread over one interval too few, ``""`` when nothing says so.

    UltraScope prints 1.0009775 us for 1024 samples at 1 us: ``dt_s`` is not 1, 2, 4, 5 or 8 of a power of ten, and
    ``dt_s * (count - 1) / count`` is.
    """
    true = dt_s * (count - 1) / count
    if count < 2 or _is_round(dt_s) or not _is_round(true):
        return ""
    return (
        f"the times seem to be spread over {count - 1} instead of {count} intervals: the true one may be {true:.9g} s"
    )


def _is_round(value: float) -> bool:
    leading = float(f"{value:.9e}".partition("e")[0])
    return any(abs(leading / step - 1) < _PRINTED for step in (1, 2, 2.5, 4, 5, 8, 10))


def check_counter(file: str, numbers: NDArray[np.float64], lines: NDArray[np.int64], expected: float) -> None:
    """Check that ``numbers`` on ``lines`` count on from ``expected``.

    Raises:
        CorruptField: one does not, with its line.
    """
    wrong = np.flatnonzero(numbers != expected + np.arange(numbers.size))
    if wrong.size:
        place = int(wrong[0])
        raise CorruptField(
            "the sequence numbers do not count on",
            file=file,
            offset=int(lines[place]),
            expected=f"{expected + place:.15g}",
            found=f"{numbers[place]:.15g}",
            offset_unit="line",
        )


def compare_with_header(file: str, axis: Axis, t0_s: float, dt_s: float, step_s: float, size: int) -> None:
    """Check that the header's ``t0_s`` and ``dt_s`` give the ``size`` times of ``axis``, printed in ``step_s``.

    Raises:
        CorruptField: they do not.
    """
    start = axis.starts_s[0]
    if axis.dt_s is not None and abs(axis.dt_s - dt_s) > 1e-6 * dt_s + step_s / (size - 1):
        message = "the header's sampling interval is not that of the times"
        raise CorruptField(message, file=file, expected=dt_s, found=axis.dt_s)
    if start is not None and abs(start - t0_s) > step_s + 1e-8 * abs(t0_s) + 1e-3 * dt_s:
        message = "the header's first time is not that of the first row"
        raise CorruptField(message, file=file, expected=t0_s, found=start)
