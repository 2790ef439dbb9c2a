"""The instances of a layout's cells, each with its place in the top cell."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.errors import ReadingLimit
from instruments.mask.nets import TOP
from instruments.mask.process import LayerNumber

MOST_INSTANCES = 2_000_000

PlaceKey = tuple[str, int, int, float, bool, float]


@dataclass(frozen=True)
class Turned:
    """A placement that keeps axes parallel and sizes as they are: ``(x, y) -> matrix (x, y) + shift``."""

    matrix: NDArray[np.int64]
    shift: NDArray[np.int64]

    @staticmethod
    def of(placed: Any) -> "Turned | None":
        """Return it of klayout's transformation in database units; ``None`` where it turns or scales otherwise."""
        quarter = placed.angle / 90
        if abs(placed.mag - 1) > 1e-9 or abs(quarter - round(quarter)) > 1e-9:
            return None
        cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[round(quarter) % 4]
        turn = np.array([[cosine, -sine], [sine, cosine]], np.int64)
        if placed.is_mirror():
            turn = turn @ np.array([[1, 0], [0, -1]], np.int64)
        shift = np.array([round(placed.disp.x), round(placed.disp.y)], np.int64)
        return Turned(turn, shift)

    @property
    def lays_over(self) -> bool:
        """Whether what was horizontal is vertical then."""
        return bool(self.matrix[0, 0] == 0)

    def boxes(self, boxes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return boxes (left, bottom, right, top), int32 ``(n, 4)``, where they are placed."""
        corners = boxes.reshape(-1, 2, 2).astype(np.int64) @ self.matrix.T + self.shift
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.int32)


@dataclass
class InstanceList:
    """All instances below a top cell; the lists have one entry for each, see ``TracedNets``."""

    cells: list[str] = field(default_factory=list)
    cell: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    box: list[tuple[int, int, int, int]] = field(default_factory=list)
    origin: list[tuple[int, int]] = field(default_factory=list)
    turn: list[str] = field(default_factory=list)
    keys: list[tuple[str, PlaceKey]] = field(default_factory=list)
    """The cell that holds each instance, and :func:`place_key` there."""
    placed: list[Any] = field(default_factory=list)
    """klayout's transformation of each instance to the top cell, in database units."""

    def add(
        self, parent: int, holder: str, cell: int, transforms: tuple[Any, Any], box: tuple[int, int, int, int]
    ) -> int:
        """Add an instance of ``cells[cell]`` in a cell ``holder``: its transformations there and to the top cell."""
        trans, placed = transforms
        self.keys.append((holder, place_key(self.cells[cell], trans)))
        self.placed.append(placed)
        self.cell.append(cell)
        self.parent.append(parent)
        self.box.append(box)
        self.origin.append((round(placed.disp.x), round(placed.disp.y)))
        angle = f"{placed.angle / (2 if placed.is_mirror() else 1):.10g}"
        self.turn.append(f"{'m' if placed.is_mirror() else 'r'}{angle}")
        return len(self.cell) - 1


def place_key(cell: str, trans: Any) -> PlaceKey:
    """Return what tells an instance of ``cell`` from others in the same cell: klayout's ``trans``, database units."""
    place = (round(trans.disp.x), round(trans.disp.y))
    return (cell, *place, round(trans.angle, 6) % 360.0, bool(trans.is_mirror()), round(trans.mag, 9))


def list_instances(db: Any, top: Any, boundary: tuple[LayerNumber, ...], file: str) -> InstanceList:
    """Return all instances below klayout's cell ``top``.

    Args:
        db: klayout's module.
        top: the cell.
        boundary: layers whose shapes are the outlines of cells; where a cell has none, it is its bounding box.
        file: named in errors.

    Raises:
        ReadingLimit: there are more than :data:`MOST_INSTANCES`.
    """
    layout = top.layout()
    indexes = [index for number in boundary if (index := layout.find_layer(*number)) is not None]
    listed, numbers, outlines = InstanceList(), dict[str, int](), dict[str, Any]()
    waiting = [(top, TOP, db.ICplxTrans())]
    while waiting:
        cell, parent, placed = waiting.pop()
        for array in cell.each_inst():
            child = layout.cell(array.cell_index)
            if child.name not in numbers:
                numbers[child.name] = len(listed.cells)
                listed.cells.append(child.name)
                outlines[child.name] = _outline(child, indexes)
            for trans in _elements(db, array):
                inner = placed * trans
                box = outlines[child.name].transformed(inner)
                edges = (box.left, box.bottom, box.right, box.top)
                number = listed.add(parent, cell.name, numbers[child.name], (trans, inner), edges)
                waiting.append((child, number, inner))
        if len(listed.cell) > MOST_INSTANCES:
            message = f"the layout has more than {MOST_INSTANCES} instances"
            raise ReadingLimit(message, file=file, expected=MOST_INSTANCES, found=len(listed.cell))
    return listed


def _outline(cell: Any, indexes: list[int]) -> Any:
    for index in indexes:
        box = cell.bbox_per_layer(index) if not cell.shapes(index).is_empty() else None
        if box is not None and not box.empty():
            return box
    box = cell.bbox()
    return box if not box.empty() else type(box)(0, 0, 0, 0)


def _elements(db: Any, array: Any) -> list[Any]:
    """Return the transformations of the elements of an instance array."""
    first = array.cplx_trans
    columns, rows = max(1, array.na), max(1, array.nb)
    if columns == rows == 1:
        return [first]
    steps = [
        (array.a * column + array.b * row) if columns * rows > 1 else db.Vector()
        for column in range(columns)
        for row in range(rows)
    ]
    return [db.ICplxTrans(step) * first for step in steps]
