"""What an inspection has looked at, and defects that lie in it by chance alone (complete spatial randomness)."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Region(Protocol):
    """A part of the plane about the sample's centre; lengths in micrometres."""

    @property
    def area_um2(self) -> float:
        """Its area."""
        ...

    @property
    def radius_um(self) -> float:
        """The distance of its farthest place from the centre."""
        ...

    def draw(self, count: int, numbers: np.random.Generator) -> Array:
        """Return ``count`` places in it by chance, ``(count, 2)``, drawn with ``numbers``."""
        ...


@dataclass(frozen=True)
class Disc:
    """A wafer: all within ``radius_um`` of the centre."""

    radius_um: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.radius_um) and self.radius_um > 0):
            raise ValueError(f"a radius is positive, not {self.radius_um}")

    @property
    def area_um2(self) -> float:
        """Its area."""
        return math.pi * self.radius_um**2

    def draw(self, count: int, numbers: np.random.Generator) -> Array:
        """Return ``count`` places drawn with ``numbers``, ``(count, 2)``."""
        radius = self.radius_um * np.sqrt(numbers.random(count))
        angle = 2 * math.pi * numbers.random(count)
        return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


@dataclass(frozen=True)
class Boxes:
    """Dies or a mask: ``boxes_um`` float64 ``(k, 4)``, left, bottom, right, top; they do not overlap."""

    boxes_um: Array

    def __post_init__(self) -> None:
        boxes = self.boxes_um
        if boxes.ndim != 2 or boxes.shape[1:] != (4,) or not len(boxes) or not np.isfinite(boxes).all():
            raise ValueError(f"boxes are finite and (k, 4), not {boxes.shape}")
        if not (boxes[:, :2] < boxes[:, 2:]).all():
            raise ValueError("a box has no area")

    @property
    def area_um2(self) -> float:
        """Its area."""
        return float((self.boxes_um[:, 2:] - self.boxes_um[:, :2]).prod(axis=1).sum())

    @property
    def radius_um(self) -> float:
        """The distance of its farthest corner from the centre."""
        x, y = np.abs(self.boxes_um[:, [0, 2]]).max(axis=1), np.abs(self.boxes_um[:, [1, 3]]).max(axis=1)
        return float(np.hypot(x, y).max())

    def draw(self, count: int, numbers: np.random.Generator) -> Array:
        """Return ``count`` places drawn with ``numbers``, ``(count, 2)``."""
        sides = self.boxes_um[:, 2:] - self.boxes_um[:, :2]
        areas = sides.prod(axis=1)
        chosen = numbers.choice(len(areas), count, p=areas / areas.sum())
        drawn: Array = self.boxes_um[chosen, :2] + numbers.random((count, 2)) * sides[chosen]
        return drawn
