"""SIMULATED lots whose defects are known by cause: wafers with a smooth pattern, latent defects of four kinds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.pipelines.reliability.tested_parts import Readings, TestedParts, TestName

LEAKAGE, DELAY = TestName(100, "leakage", "uA"), TestName(200, "delay", "ns")
NOISE_UA, NOISE_NS = 0.1, 0.05
CORRELATION = 0.95
CAUSES = ("shift", "against the correlation", "beside a cluster", "place of the stack")


@dataclass(frozen=True)
class LotOptions:
    """How lots are simulated.

    Attributes:
        lots, wafers: how many, and wafers of each.
        radius: of a wafer, in dies.
        rise_ua: of the leakage from centre to edge; its noise is 0.1 uA.
        shift_sigmas: of a shifted part, in the leakage's noise.
        background: part of dies that fail anywhere.
        clustered: part of wafers with a cluster of fails.
    """

    lots: int = 6
    wafers: int = 12
    radius: int = 10
    rise_ua: float = 0.5
    shift_sigmas: float = 10.0
    background: float = 0.02
    clustered: float = 0.5


@dataclass(frozen=True)
class LabelledLots:
    """Parts with their truth.

    Attributes:
        parts: as a tester's logs would give them.
        cause: int64 ``(parts,)``, place of the part's defect in :data:`CAUSES`, -1 for a good part.
        clustered: whether each wafer, by lot and name, had a cluster.
    """

    parts: TestedParts
    cause: NDArray[np.int64]
    clustered: dict[tuple[str, str], bool]


def simulate_lots(seed: int, options: LotOptions | None = None) -> LabelledLots:
    """Return lots drawn with ``seed``; defects lie in parts that pass, and a part has one at most."""
    options = options or LotOptions()
    numbers = np.random.default_rng(seed)
    span = np.arange(-options.radius, options.radius + 1)
    column, row = (each.ravel() for each in np.meshgrid(span, span))
    inside = np.hypot(column, row) <= options.radius
    column, row = column[inside], row[inside]
    parts, causes, clustered = TestedParts(simulated=True), [], {}
    readings: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for lot in range(options.lots):
        weak = int(numbers.integers(column.size))
        for wafer in range(options.wafers):
            key = f"L{lot}", f"W{wafer}"
            clustered[key] = bool(numbers.random() < options.clustered)
            failed = numbers.random(column.size) < options.background
            near = np.zeros(column.size, bool)
            if clustered[key]:
                failed, near = _with_cluster(column, row, failed, numbers)
            failed[weak] = numbers.random() < 0.7
            cause = np.full(column.size, -1)
            cause[near & ~failed] = 2
            cause[weak] = -1 if failed[weak] else 3
            readings.append(_read(np.hypot(column, row) / options.radius, failed, cause, numbers, options))
            causes.append(np.where(failed, -1, cause))
            parts.lot += [key[0]] * column.size
            parts.wafer += [key[1]] * column.size
            parts.part_id += [f"{x},{y}" for x, y in zip(column.tolist(), row.tolist(), strict=True)]
            parts.column = np.concatenate([parts.column, column.astype(float)])
            parts.row = np.concatenate([parts.row, row.astype(float)])
            parts.failed = np.concatenate([parts.failed, failed.astype(float)])
    every = np.arange(parts.count)
    for name, values in zip((LEAKAGE, DELAY), zip(*readings, strict=True), strict=True):
        parts.readings[name] = Readings(every, np.concatenate(values))
    return LabelledLots(parts, np.concatenate(causes), clustered)


def _with_cluster(
    column: NDArray[np.int64], row: NDArray[np.int64], failed: NDArray[np.bool_], numbers: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return fails with a cluster, and the dies in it, failing or not: those that pass have a latent defect."""
    centre = int(numbers.integers(column.size))
    away = np.hypot(column - column[centre], row - row[centre])
    near = away < 2.3
    return failed | (near & (numbers.random(column.size) < 0.75)), near


def _read(
    radius: NDArray[np.float64],
    failed: NDArray[np.bool_],
    cause: NDArray[np.int64],
    numbers: np.random.Generator,
    options: LotOptions,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return leakage and delay; shifts some good parts, marks them in ``cause``."""
    common, own = numbers.normal(size=(2, radius.size))
    delayed = CORRELATION * common + np.sqrt(1 - CORRELATION**2) * own
    free = numbers.permutation(np.flatnonzero(~failed & (cause < 0)))
    shifted, against = free[:3], free[3:6]
    cause[shifted], cause[against] = 0, 1
    common[shifted] += options.shift_sigmas
    common[against], delayed[against] = 2.0, -2.0
    return 5 + options.rise_ua * radius**2 + NOISE_UA * common, 2 + NOISE_NS * delayed
