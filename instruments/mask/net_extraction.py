"""Tracing the nets of a layout with klayout's ``LayoutToNetlist``; runs in the process that holds the layout.

The hierarchical netlist is resolved to the instances of the top cell: a net of a cell that no pin joins to the cell
above is a net of its own in each instance. Its shapes are cut into trapezoids, so that whoever asks about points and
areas needs no layout engine.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField, ReadingLimit
from instruments.mask.instances import InstanceList, PlaceKey, Turned, list_instances, place_key
from instruments.mask.nets import TOP, NetDefinition, TracedNets
from instruments.mask.process import LayerNumber, Process

MOST_TRAPEZOIDS = 20_000_000
MOST_EXAMPLES = 20
_COORDINATES = 6


class NetExtraction:
    """The tracing of one cell of a layout."""

    def __init__(self, db: Any, layout: Any, cell: Any, process: Process, file: str) -> None:
        self.db, self.layout, self.cell, self.process, self.file = db, layout, cell, process, file
        self.tracer = db.LayoutToNetlist(db.RecursiveShapeIterator(layout, cell, []))
        # In this thread: where a thread cannot be made for want of memory, klayout waits for it for ever.
        self.tracer.threads = 0
        self.warnings: list[dict[str, Any]] = []
        self.regions: dict[str, Any] = {}
        self.texts: list[tuple[str, Any]] = []
        self.label_texts: set[str] = set()
        self.label_count = 0

    def run(self) -> TracedNets:
        """Trace, and resolve to instances.

        Raises:
            CorruptField: nothing in the layout is on a conductor of the process.
            ReadingLimit: there are more shapes or instances than may be held.
        """
        self._make_layers()
        self._connect()
        self.tracer.extract_netlist()
        self._check_labels()
        instances = list_instances(self.db, self.cell, self.process.cell_boundary, self.file)
        resolved = _Resolution(self, instances)
        resolved.run()
        self._doubt_names(resolved)
        layers = tuple(self.regions)
        trapezoids = np.concatenate([*resolved.pieces, np.empty((0, _COORDINATES), np.int32)])
        counts = [len(piece) for piece in resolved.pieces]
        return TracedNets(
            unit_um=float(self.layout.dbu),
            top_cell=self.cell.name,
            layers=layers,
            conductor_count=len(self.process.conductors),
            trapezoids=trapezoids,
            trapezoid_layer=np.repeat(np.asarray(resolved.piece_layer, np.int16), counts),
            trapezoid_net=np.repeat(np.asarray(resolved.piece_net, np.int32), counts),
            definitions=tuple(resolved.definitions),
            net_definition=np.asarray(resolved.net_definition, np.int32),
            net_instance=np.asarray(resolved.net_instance, np.int32),
            cells=tuple(instances.cells),
            instance_cell=np.asarray(instances.cell, np.int32),
            instance_parent=np.asarray(instances.parent, np.int32),
            instance_box=np.asarray(instances.box, np.int32).reshape(-1, 4),
            instance_origin=np.asarray(instances.origin, np.int32).reshape(-1, 2),
            instance_turn=tuple(instances.turn),
            label_count=self.label_count,
            warnings=tuple(self.warnings),
        )

    def _layer(self, numbers: tuple[LayerNumber, ...], name: str) -> Any:
        """Return the shapes on the layers ``numbers`` as one region that the tracer knows as ``name``."""
        found = [self.layout.find_layer(*number) for number in numbers]
        present = [index for index in found if index is not None]
        if len(present) == 1:
            return self.tracer.make_layer(present[0], name)
        joined = self.tracer.make_layer(name)
        for place, index in enumerate(present):
            joined += self.tracer.make_layer(index, f"{name}.{place}")
        return joined

    def _make_layers(self) -> None:
        absent = []
        for conductor in self.process.conductors:
            drawn = self._layer(conductor.layers, f"{conductor.name}.drawn" if conductor.cut_by else conductor.name)
            if conductor.cut_by:
                drawn -= self._layer(conductor.cut_by, f"{conductor.name}.cut")
                self.tracer.register(drawn, conductor.name)
            self.regions[conductor.name] = drawn
            if drawn.is_empty():
                absent.append(conductor.name)
            self._make_labels(conductor.name, conductor.labels)
        if len(absent) == len(self.process.conductors):
            names = ", ".join(
                f"{layer}/{datatype}" for each in self.process.conductors for layer, datatype in each.layers
            )
            message = f"no shape of {self.cell.name} is on a conductor of the process {self.process.name}"
            raise CorruptField(message, file=self.file, expected=f"shapes on {names}", found="none")
        for via in self.process.vias:
            self.regions[via.name] = self._layer(via.layers, via.name)
            if self.regions[via.name].is_empty():
                absent.append(via.name)
        if absent:
            message = f"nothing in the layout is on {', '.join(absent)}"
            self.warnings.append({"kind": "layer-without-shapes", "message": message, "layers": absent})

    def _make_labels(self, conductor: str, numbers: tuple[LayerNumber, ...]) -> None:
        for place, number in enumerate(numbers):
            index = self.layout.find_layer(*number)
            if index is not None:
                self.texts.append((conductor, self.tracer.make_text_layer(index, f"{conductor}.labels.{place}")))

    def _connect(self) -> None:
        for region in self.regions.values():
            self.tracer.connect(region)
        for via in self.process.vias:
            for name in via.connects:
                self.tracer.connect(self.regions[via.name], self.regions[name])
        for conductor, texts in self.texts:
            self.tracer.connect(self.regions[conductor], texts)

    def _check_labels(self) -> None:
        """Say which texts of the label layers lie on none of their conductor: they name nothing."""
        for conductor, texts in self.texts:
            self.label_count += int(texts.count())
            self.label_texts.update(text.string for text in texts.each())
            astray = texts.not_interacting(self.regions[conductor])
            count = int(astray.count())
            if not count:
                continue
            unit = self.layout.dbu
            examples = [
                {"text": text.string, "x_um": text.x * unit, "y_um": text.y * unit}
                for text, _ in zip(astray.each(), range(MOST_EXAMPLES), strict=False)
            ]
            message = f"{count} labels of {conductor} lie on none of it, {examples[0]['text']} for one"
            self.warnings.append(
                {"kind": "label-on-no-conductor", "message": message, "layer": conductor, "count": count}
                | {"examples": examples}
            )

    def labels_of(self, name: str) -> tuple[str, ...]:
        """Return the labels of a net that klayout calls ``name``: it joins several by commas."""
        if not name:
            return ()
        if name in self.label_texts or "," not in name:
            return (name,)
        parts = tuple(name.split(","))
        return parts if all(part in self.label_texts for part in parts) else (name,)

    def _doubt_names(self, resolved: "_Resolution") -> None:
        for definition, uses in zip(resolved.definitions, resolved.definition_uses, strict=True):
            if len(definition.labels) > 1:
                message = f"a net of {definition.cell} carries the labels {', '.join(definition.labels)}"
                self.warnings.append(
                    {"kind": "joined-names", "message": message, "cell": definition.cell, "net": definition.name}
                    | {"labels": list(definition.labels), "nets": uses}
                )
        names = Counter((each.cell, each.labels[0]) for each in resolved.definitions if len(each.labels) == 1)
        for (cell, name), count in sorted(names.items()):
            if count > 1:
                message = f"{count} nets of {cell} that nothing joins carry the label {name}"
                self.warnings.append(
                    {"kind": "divided-name", "message": message, "cell": cell, "labels": [name], "nets": count}
                )


class _Resolution:
    """The nets of all instances, from those of the cells."""

    def __init__(self, extraction: NetExtraction, instances: InstanceList) -> None:
        self.extraction, self.instances = extraction, instances
        self.layers = list(extraction.regions.values())
        self.definitions: list[NetDefinition] = []
        self.definition_uses: list[int] = []
        self.net_definition: list[int] = []
        self.net_instance: list[int] = []
        self.pieces: list[NDArray[np.int32]] = []
        self.piece_layer: list[int] = []
        self.piece_net: list[int] = []
        self.count = 0
        self._defined: dict[tuple[int, int], int] = {}
        self._unnamed: Counter[str] = Counter()
        self._shapes: dict[tuple[int, int], list[tuple[int, Any, NDArray[np.int32] | None]]] = {}

    def run(self) -> None:
        """Add the nets of the top cell, then of every instance, those that a pin joins to a net above left out."""
        netlist = self.extraction.tracer.netlist()
        unit, whole = self.extraction.layout.dbu, self.extraction.db.ICplxTrans()
        top = netlist.circuit_by_name(self.extraction.cell.name)
        if top is not None:
            self._add_all(top, TOP, whole, frozenset())
        circuits = [netlist.circuit_by_name(name) for name in self.instances.cells]
        joining = self._joining(netlist, unit)
        for number, cell in enumerate(self.instances.cell):
            # A cell that nothing joins to the cell above has no subcircuit there, and may yet have nets of its own.
            if circuits[cell] is not None:
                joined = joining.get(self.instances.keys[number], frozenset())
                self._add_all(circuits[cell], number, self.instances.placed[number], joined)

    def _joining(self, netlist: Any, unit_um: float) -> dict[tuple[str, PlaceKey], frozenset[int]]:
        """Return which nets of an instance are joined to nets above, by its cell's parent and its place there."""
        return {
            (circuit.name, place_key(child.circuit_ref().name, child.trans.to_itrans(unit_um))): frozenset(
                _joined(child)
            )
            for circuit in netlist.each_circuit()
            for child in circuit.each_subcircuit()
        }

    def _add_all(self, circuit: Any, instance: int, placed: Any, joined: frozenset[int]) -> None:
        for net in circuit.each_net():
            if net.cluster_id not in joined:
                self._add(circuit, net, instance, placed)

    def _add(self, circuit: Any, net: Any, instance: int, placed: Any) -> None:
        key = (circuit.cell_index, net.cluster_id)
        if key not in self._defined:
            self._defined[key] = len(self.definitions)
            self.definitions.append(self._define(circuit, net))
            self.definition_uses.append(0)
            self._shapes[key] = list(self._cut(net))
        number, definition = len(self.net_definition), self._defined[key]
        self.net_definition.append(definition)
        self.net_instance.append(instance)
        self.definition_uses[definition] += 1
        for layer, region, boxes in self._shapes[key]:
            piece = self._place(region, boxes, placed)
            self.pieces.append(piece)
            self.piece_layer.append(layer)
            self.piece_net.append(number)
            self.count += len(piece)
        if self.count > MOST_TRAPEZOIDS:
            message = f"the nets consist of more than {MOST_TRAPEZOIDS} trapezoids"
            raise ReadingLimit(message, file=self.extraction.file, expected=MOST_TRAPEZOIDS, found=self.count)

    def _define(self, circuit: Any, net: Any) -> NetDefinition:
        labels = self.extraction.labels_of(net.name)
        self._unnamed[circuit.name] += len(labels) != 1
        name = labels[0] if len(labels) == 1 else f"${self._unnamed[circuit.name]}"
        pins: Counter[tuple[str, str]] = Counter()
        for each in net.each_subcircuit_pin():
            pins[each.subcircuit().circuit_ref().name, each.pin().name() or f"${each.pin().id()}"] += 1
        return NetDefinition(circuit.name, name, labels, pins)

    def _cut(self, net: Any) -> Iterator[tuple[int, Any, NDArray[np.int32] | None]]:
        """Yield the shapes of ``net`` in its cell by layer: a region, and its boxes if it is of boxes."""
        for layer, region in enumerate(self.layers):
            shapes = self.extraction.tracer.shapes_of_net(net, region, True)
            if shapes.is_empty():
                continue
            flat = shapes.merged()
            cut = flat.decompose_trapezoids_to_region()
            yield layer, flat, _boxes(cut) if flat.is_box() or all(each.is_box() for each in cut.each()) else None

    def _place(self, region: Any, boxes: NDArray[np.int32] | None, placed: Any) -> NDArray[np.int32]:
        turned = Turned.of(placed)
        if boxes is None or turned is None or (turned.lays_over and len(boxes) > 1):
            return cut_into_trapezoids(region.transformed(placed).merged())
        moved = turned.boxes(boxes)
        return moved[:, [1, 3, 0, 2, 0, 2]]


def _joined(subcircuit: Any) -> Iterator[int]:
    """Yield the nets of an instance that a pin joins to a net above."""
    circuit = subcircuit.circuit_ref()
    for pin in circuit.each_pin():
        if subcircuit.net_for_pin(pin.id()) is not None:
            net = circuit.net_for_pin(pin.id())
            if net is not None:
                yield net.cluster_id


def _boxes(region: Any) -> NDArray[np.int32]:
    """Return left, bottom, right, top of each polygon of ``region``, ``(n, 4)``."""
    rows = []
    for polygon in region.each():
        box = polygon.bbox()
        rows.append((box.left, box.bottom, box.right, box.top))
    return np.asarray(rows, np.int32).reshape(-1, 4)


def cut_into_trapezoids(region: Any) -> NDArray[np.int32]:
    """Return the horizontal trapezoids that the merged ``region`` consists of, int32 ``(n, 6)``; see ``TracedNets``."""
    rows = []
    for polygon in region.decompose_trapezoids_to_region().each():
        points = [(point.y, point.x) for point in polygon.each_point_hull()]
        low, high = min(points)[0], max(points)[0]
        ends = [sorted(x for y, x in points if y == side) for side in (low, high)]
        rows.append((low, high, ends[0][0], ends[0][-1], ends[1][0], ends[1][-1]))
    return np.asarray(rows, np.int32).reshape(-1, _COORDINATES)
