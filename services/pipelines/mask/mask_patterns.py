"""The drawn pattern around a defect, from a layout or a clip, on the wafer in nanometres."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField
from instruments.mask.glp import ClipLayout, is_glp, read_glp
from instruments.mask.layout_process import LayoutEngine
from services.pipelines.mask.layout_nets import open_layout
from services.pipelines.mask.layout_window import read_layers

Box = tuple[float, float, float, float]
Polygon = NDArray[np.float64]


class PatternSource(Protocol):
    """Where patterns come from: the file's format, what is doubtful about it, its unit, its box and its polygons."""

    @property
    def format(self) -> str:
        """Name of the format."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is doubtful."""
        ...

    @property
    def unit_nm(self) -> float:
        """Grid of the coordinates in the layout's own nanometres."""
        ...

    def box_nm(self) -> Box | None:
        """Return left, bottom, right, top of all that is drawn, in the layout's own nanometres; ``None``: unknown."""
        ...

    def polygons(self, box_nm: Box) -> tuple[Polygon, ...]:
        """Return what is drawn within a box of the layout's own nanometres, cut at it or not."""
        ...


@dataclass(frozen=True)
class ClipPatterns:
    """The polygons of a GLP clip."""

    drawn: tuple[Polygon, ...]
    format: str = "glp"
    warnings: tuple[str, ...] = ()
    unit_nm: float = 1.0

    def box_nm(self) -> Box | None:
        """Return the box of all polygons."""
        points = np.concatenate(self.drawn)
        low, high = points.min(axis=0), points.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def polygons(self, box_nm: Box) -> tuple[Polygon, ...]:
        """Return the polygons whose boxes touch the box."""
        left, bottom, right, top = box_nm
        return tuple(
            each
            for each in self.drawn
            if each[:, 0].max() > left
            and each[:, 0].min() < right
            and each[:, 1].max() > bottom
            and each[:, 1].min() < top
        )


class LayoutPatterns:
    """One layer of an open GDSII or OASIS layout."""

    def __init__(self, engine: LayoutEngine, layer: str, cell: str | None) -> None:
        self._engine, self._layer, self._cell = engine, read_layers(layer), cell
        summary = engine.summary()
        self.format, self.warnings = summary.format, summary.warnings
        self.unit_nm = summary.unit_um * 1000
        self._summary = summary

    def box_nm(self) -> Box | None:
        """Return the cell's box, of all layers, where it is a top cell."""
        for name, box in zip(self._summary.top_cells, self._summary.boxes_um, strict=True):
            if self._cell in (None, name) and box is not None:
                return box[0] * 1000, box[1] * 1000, box[2] * 1000, box[3] * 1000
        return None

    def polygons(self, box_nm: Box) -> tuple[Polygon, ...]:
        """Return the merged polygons within the box, cut at it."""
        left, bottom, right, top = (each / 1000 for each in box_nm)
        found = self._engine.window((left, bottom, right, top), self._layer, clip=True, cell=self._cell)
        unit_nm = found.unit_um * 1000
        return tuple(
            each.points[start:end].astype(np.float64) * unit_nm
            for each in found.layers
            for start, end in pairwise(each.starts.tolist())
        )


@dataclass(frozen=True)
class PatternFile:
    """A layout or a clip.

    Attributes:
        path: the file.
        name: what it is called in answers and errors.
        opener: opens it as a layout, where it may be open already; by default in a process of its own.
    """

    path: Path
    name: str
    opener: Callable[[], AbstractContextManager[LayoutEngine]] | None = None


def choose_level(clip: ClipLayout, file: str, level: str | None) -> ClipPatterns:
    """Return the polygons of one level of ``clip``, of its only one where none is named.

    Raises:
        CorruptField: there is no such level, or there are several and none is named.
    """
    levels = list(clip.levels) if level is None else [level]
    if len(levels) != 1 or levels[0] not in clip.levels:
        there = ", ".join(sorted(clip.levels))
        message = "which level of the clip the mask is, is not said right (layout.layer)"
        raise CorruptField(message, file=file, expected=there or "a level", found=level or "nothing")
    return ClipPatterns(
        clip.levels[levels[0]], warnings=clip.warnings, unit_nm=clip.unit_nm
    )  # a level is there because a shape is on it


@contextmanager
def open_patterns(file: PatternFile, layer: str | None, cell: str | None) -> Iterator[PatternSource]:
    """Open a layout, which needs a ``layer``, or a clip.

    Raises:
        instruments.errors.InstrumentError: it cannot be read, or the layer is not said.
        FileNotFoundError: there is no such file.
    """
    path, name = file.path, file.name
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {name}")
    if is_glp(path) or name.lower().endswith(".glp"):
        yield choose_level(read_glp(path, name), name, layer)
        return
    if layer is None:
        raise CorruptField("the question does not say which layer of the layout the mask is (layout.layer)", file=name)
    with open_layout(path, name) if file.opener is None else file.opener() as engine:
        yield LayoutPatterns(engine, layer, cell)
