"""The fields that one mask prints on a wafer: where a place of the mask lies in each, and back.

A field's place on the wafer is its centre plus the mask's place, reduced and turned over. Stepping errors of fields are
independent of each other; the error of the map that all fields share is not, and repeats in each.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from analysis.coordinates.affine import Affine, Array, Points
from analysis.coordinates.frames import mask_to_wafer


class OutsideFields(ValueError):  # noqa: N818
    """A place on the wafer is in none of the fields."""


@dataclass(frozen=True)
class FieldGrid:
    """Fields on a wafer, micrometres.

    Attributes:
        width_um, height_um: of a field on the wafer.
        x_um, y_um: centre of the field (0, 0) from the wafer's centre.
        columns, rows: first and last number of fields in each direction, both included.
        step_sigma_um: standard deviation of a field's place in each axis.
        magnification: of the mask over the wafer.
        mirrored: whether the mask is written turned over.
    """

    width_um: float
    height_um: float
    x_um: float = 0.0
    y_um: float = 0.0
    columns: tuple[int, int] = (0, 0)
    rows: tuple[int, int] = (0, 0)
    step_sigma_um: float = 0.0
    magnification: float = 4.0
    mirrored: bool = True

    def __post_init__(self) -> None:
        sizes = (self.width_um, self.height_um)
        if not all(math.isfinite(size) and size > 0 for size in sizes):
            raise ValueError(f"a field has a width and a height, not {sizes}")
        if not (math.isfinite(self.step_sigma_um) and self.step_sigma_um >= 0):
            raise ValueError(f"the stepping error is not negative, not {self.step_sigma_um}")
        if self.columns[0] > self.columns[1] or self.rows[0] > self.rows[1]:
            raise ValueError(f"there are no fields from {self.columns[0]} to {self.columns[1]}")

    def fields(self) -> Iterable[tuple[int, int]]:
        """Return column and row of every field."""
        return [
            (column, row)
            for row in range(self.rows[0], self.rows[1] + 1)
            for column in range(self.columns[0], self.columns[1] + 1)
        ]

    def to_wafer(self, field: tuple[int, int]) -> Affine:
        """Return the map of the mask's coordinates, from its centre, to the wafer's in ``field``.

        Raises:
            OutsideFields: there is no such field.
        """
        column, row = field
        if not (self.columns[0] <= column <= self.columns[1] and self.rows[0] <= row <= self.rows[1]):
            raise OutsideFields(f"there is no field {field}: columns {self.columns}, rows {self.rows}")
        covariance = np.zeros((6, 6))
        covariance[2, 2] = covariance[5, 5] = self.step_sigma_um**2
        shift = np.array([self.x_um + column * self.width_um, self.y_um + row * self.height_um])
        return Affine(mask_to_wafer(self.magnification, mirrored=self.mirrored).matrix, shift, covariance)

    def repeats(self, places: Points) -> list[tuple[tuple[int, int], Points]]:
        """Return where each field prints the mask's ``places``: the field and the places on the wafer."""
        return [(field, self.to_wafer(field).apply(places)) for field in self.fields()]

    def to_mask(self, places: Points) -> tuple[NDArray[np.int64], Points, Array]:
        """Return which field wafer ``places`` are in, where on the mask they come from, and how sure the field is.

        The last is the probability, ``(n,)``, that the place is in that field by its own error and the stepping error,
        both axes taken as independent: 0.5 on the line between two fields, and less than that where four meet.

        Raises:
            OutsideFields: a place is in none of the fields.
        """
        size = np.array([self.width_um, self.height_um])
        offset = (places.xy - [self.x_um, self.y_um]) / size
        number = np.floor(offset + 0.5).astype(np.int64)
        low, high = [self.columns[0], self.rows[0]], [self.columns[1], self.rows[1]]
        outside = (number < low).any(axis=1) | (number > high).any(axis=1)
        if outside.any():
            x_um, y_um = places.xy[int(np.argmax(outside))].tolist()
            raise OutsideFields(f"the place ({x_um:g}, {y_um:g}) um is in none of the fields")
        xy, covariance = np.empty_like(places.xy), np.empty_like(places.covariance)
        for place, (column, row) in enumerate(number.tolist()):
            one = Points(places.xy[place : place + 1], places.covariance[place : place + 1])
            back = self.to_wafer((column, row)).inverse().apply(one)
            xy[place], covariance[place] = back.xy[0], back.covariance[0]
        return number, Points(xy, covariance), self._certainty(places, offset - number, size)

    def _certainty(self, places: Points, within: Array, size: Array) -> Array:
        sigma = np.hypot(places.sigma_along_axes, self.step_sigma_um)
        # How far the place is from both edges of its field, in standard deviations; a place without an error is sure.
        edges = np.stack([within + 0.5, 0.5 - within]) * size / np.where(sigma > 0, sigma, np.finfo(float).tiny)
        root: Array = edges / math.sqrt(2)
        certainty: Array = (0.5 * (erf(root[0]) + erf(root[1]))).prod(axis=1)
        return certainty
