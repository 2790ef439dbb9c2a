"""What a layout holds, counted by our own walk over the file's records."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

POLYGON, PATH, TEXT, OTHER = "polygon", "path", "text", "other"


def decode_name(data: bytes) -> str:
    """Return a name of the file: UTF-8, or else Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


@dataclass
class CellCount:
    """One cell.

    Attributes:
        shapes: how many by (layer, datatype, ``polygon`` | ``path`` | ``text`` | ``other``); a repetition counts fully.
        references: references to each other cell by its name, an array counted once.
        placements: the same with each element of an array counted.
        coincident: shapes by (layer, datatype) that lie exactly on another one of the same repetition.
        coincident_placements: the same of references.
    """

    name: str
    shapes: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    references: Counter[str] = field(default_factory=Counter)
    placements: Counter[str] = field(default_factory=Counter)
    coincident: Counter[tuple[int, int]] = field(default_factory=Counter)
    coincident_placements: int = 0

    def shapes_of(self, kind: str) -> int:
        """Return how many shapes of ``kind`` the cell holds itself."""
        return sum(count for (_, _, what), count in self.shapes.items() if what == kind)


@dataclass
class LayoutCount:
    """A whole file.

    Attributes:
        unit_um: micrometres of one database unit.
        cells: by name, in file order.
        layer_names: by (layer, datatype).
        records: how many by the name of the record, for the check of mask restrictions and the metadata.
        facts: what else the header and the end of the file say.
    """

    unit_um: float
    cells: dict[str, CellCount] = field(default_factory=dict)
    layer_names: dict[tuple[int, int], str] = field(default_factory=dict)
    records: Counter[str] = field(default_factory=Counter)
    facts: dict[str, object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def top_cells(self) -> list[str]:
        """Return the cells that no other cell refers to, in file order."""
        inner = {child for cell in self.cells.values() for child in cell.references}
        return [name for name in self.cells if name not in inner]

    def missing_cells(self) -> list[str]:
        """Return the cells that are referred to but not there."""
        names = {child for cell in self.cells.values() for child in cell.references}
        return sorted(names - set(self.cells))

    def bottom_up(self) -> list[str] | None:
        """Return the cells, each after those it refers to; ``None`` when a cell contains itself."""
        waiting = {
            name: {child for child in cell.references if child in self.cells} for name, cell in self.cells.items()
        }
        parents: dict[str, list[str]] = {}
        for name, children in waiting.items():
            for child in children:
                parents.setdefault(child, []).append(name)
        ready = [name for name, children in waiting.items() if not children]
        order = []
        while ready:
            name = ready.pop()
            order.append(name)
            for parent in parents.get(name, ()):
                waiting[parent].discard(name)
                if not waiting[parent]:
                    ready.append(parent)
        return order if len(order) == len(self.cells) else None

    def levels(self, order: Iterable[str]) -> dict[str, int]:
        """Return the longest path of references below each cell; ``order`` is bottom-up."""
        found: dict[str, int] = {}
        for name in order:
            children = self.cells[name].references
            found[name] = 1 + max(found.get(child, 0) for child in children) if children else 0
        return found

    def flat_shapes(self, order: Iterable[str]) -> Counter[tuple[int, int]]:
        """Return how many shapes there are by layer when the top cells are flattened; ``order`` is bottom-up."""
        below: dict[str, Counter[tuple[int, int]]] = {}
        for name in order:
            total: Counter[tuple[int, int]] = Counter()
            for (layer, datatype, _), count in self.cells[name].shapes.items():
                total[layer, datatype] += count
            for child, count in self.cells[name].placements.items():
                for key, inner in below.get(child, {}).items():
                    total[key] += count * inner
            below[name] = total
        flat: Counter[tuple[int, int]] = Counter()
        for name in self.top_cells():
            flat.update(below.get(name, {}))
        return flat
