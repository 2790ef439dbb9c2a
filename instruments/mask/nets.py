"""The nets of a layout as plain arrays: what the layout engine traced, without the layout engine."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP = -1
"""In place of an instance: the top cell itself."""


@dataclass(frozen=True)
class NetDefinition:
    """A net as its cell has it; there is one for all instances of the cell.

    Attributes:
        cell: in which it lies.
        name: its only label; else ``$`` and a number.
        labels: every different label on it: more than one is a doubt, not a name.
        pins: how many pins of instances directly inside the cell it joins, by (cell, pin).
    """

    cell: str
    name: str
    labels: tuple[str, ...]
    pins: Mapping[tuple[str, str], int]

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON."""
        pins = [[cell, pin, count] for (cell, pin), count in sorted(self.pins.items())]
        return {"cell": self.cell, "name": self.name, "labels": list(self.labels), "pins": pins}

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> "NetDefinition":
        """Return the definition of its JSON."""
        pins = Counter({(cell, pin): count for cell, pin, count in document["pins"]})
        return NetDefinition(document["cell"], document["name"], tuple(document["labels"]), pins)


@dataclass(frozen=True)
class TracedNets:
    """All nets of a layout and where they lie.

    Lengths are in database units of ``unit_um``, integers, in the coordinates of the top cell.

    Attributes:
        unit_um: micrometres of a database unit.
        top_cell: the cell that was traced.
        layers: conductors and vias of the process, the conductors first, the lowest first.
        conductor_count: how many of ``layers`` are conductors.
        trapezoids: int32 ``(n, 6)``: y of the lower and upper side, x of the left and right end of the lower side,
            of the upper side. Those of a layer do not overlap, and a horizontal line crosses each run of a net once.
        trapezoid_layer: int16 ``(n,)``, place in ``layers``.
        trapezoid_net: int32 ``(n,)``, number of the net.
        definitions: what the nets are called.
        net_definition: int32 ``(nets,)``, place in ``definitions``.
        net_instance: int32 ``(nets,)``: in which instance the net lies; :data:`TOP` in the top cell.
        cells: names of cells.
        instance_cell: int32 ``(m,)``, place in ``cells``.
        instance_parent: int32 ``(m,)``, the instance that holds it; :data:`TOP` for the top cell.
        instance_box: int32 ``(m, 4)``: left, bottom, right, top of its outline.
        instance_origin: int32 ``(m, 2)``: where the cell's origin lies.
        instance_turn: text ``(m,)``: ``r0`` … ``r270`` counter-clockwise, ``m`` and the angle of the mirror's axis.
        label_count: texts on the process's label layers.
        warnings: what is doubtful, each ``{"kind", "message", …}``.
    """

    unit_um: float
    top_cell: str
    layers: tuple[str, ...]
    conductor_count: int
    trapezoids: NDArray[np.int32]
    trapezoid_layer: NDArray[np.int16]
    trapezoid_net: NDArray[np.int32]
    definitions: tuple[NetDefinition, ...]
    net_definition: NDArray[np.int32]
    net_instance: NDArray[np.int32]
    cells: tuple[str, ...]
    instance_cell: NDArray[np.int32]
    instance_parent: NDArray[np.int32]
    instance_box: NDArray[np.int32]
    instance_origin: NDArray[np.int32]
    instance_turn: tuple[str, ...]
    label_count: int
    warnings: tuple[Mapping[str, Any], ...]

    @property
    def net_count(self) -> int:
        """Number of nets, those inside instances included."""
        return len(self.net_definition)

    def instance_name(self, instance: int) -> str:
        """Return what an instance is called: its cell and the place of its origin, for each level from the top."""
        parts = []
        while instance != TOP:
            x_um, y_um = (self.instance_origin[instance] * self.unit_um).tolist()
            cell = self.cells[self.instance_cell[instance]]
            parts.append(f"{cell}@{x_um:.10g},{y_um:.10g}")
            instance = int(self.instance_parent[instance])
        return "/".join(reversed(parts))

    def net_name(self, net: int) -> str:
        """Return what a net is called; one inside an instance begins with the instance's name."""
        definition = self.definitions[self.net_definition[net]]
        instance = int(self.net_instance[net])
        return definition.name if instance == TOP else f"{self.instance_name(instance)}/{definition.name}"

    def to_message(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what is not an array as JSON, and the arrays by name."""
        document: dict[str, Any] = {}
        arrays: dict[str, NDArray[Any]] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                arrays[field.name] = value
            elif field.name == "definitions":
                document[field.name] = [each.to_document() for each in value]
            else:
                document[field.name] = list(value) if isinstance(value, tuple) else value
        return document, arrays

    @staticmethod
    def from_message(document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> "TracedNets":
        """Return the nets of what :meth:`to_message` made."""
        parts: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
        }
        parts["definitions"] = tuple(NetDefinition.from_document(each) for each in document["definitions"])
        return TracedNets(**parts | dict(arrays))
