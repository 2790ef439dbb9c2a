"""Where the names on a drawing go: beside their marks, none over another, none beyond the edge."""

from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH_OF_LETTER = 0.62
"""Of a letter's height, about, in the fonts of the console."""
_LINES = 6


@dataclass(frozen=True)
class Label:
    """Text at ``(x, y)``, the left end of its base line; ``leader``: it stands so far off that a line leads to it."""

    text: str
    x: float
    y: float
    leader: bool


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "_Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


class LabelPlacer:
    """Places labels one after another, the important ones first, in a drawing of ``width`` and ``height``."""

    def __init__(self, width: float, height: float) -> None:
        self._edge = _Box(0.0, 0.0, width, height)
        self._taken: list[_Box] = []

    def keep_free(self, x: float, y: float, radius: float) -> None:
        """Let no label cover the mark at ``(x, y)``."""
        self._taken.append(_Box(x - radius, y - radius, x + radius, y + radius))

    def place(self, text: str, x: float, y: float, size: float) -> Label | None:
        """Return where ``text``, ``size`` high, stands beside ``(x, y)``; ``None`` where there is no room for it."""
        wide = _WIDTH_OF_LETTER * size * len(text)
        for line in range(_LINES):
            for side in (-1, 1):
                base = y + side * (0.6 + line) * size + (size if side > 0 else 0.0)
                for left in (x + 0.4 * size, x - 0.4 * size - wide):
                    box = _Box(left, base - 0.8 * size, left + wide, base + 0.25 * size)
                    if self._is_free(box):
                        self._taken.append(box)
                        return Label(text, left, base, line > 0)
        return None

    def _is_free(self, box: _Box) -> bool:
        edge = self._edge
        inside = box.left >= edge.left and box.right <= edge.right and box.top >= edge.top and box.bottom <= edge.bottom
        return inside and not any(box.meets(other) for other in self._taken)


def place_all(
    placer: LabelPlacer, marks: Sequence[tuple[str, float, float]], size: float
) -> list[tuple[Label, float, float]]:
    """Return the labels that found room, each with the place of its mark."""
    placed = ((placer.place(text, x, y, size), x, y) for text, x, y in marks)
    return [(label, x, y) for label, x, y in placed if label is not None]
