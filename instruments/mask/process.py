"""Which layers of a process conduct, what joins them, what cuts them and what names them: ``faultlight.process/1``.

A process is a JSON file. Conductors stand in the order of the stack, the lowest first. ``cut_by`` are layers whose
shapes take their area out of the conductor: gates out of diffusion, and the layers that mark resistors, without
which a tie cell's resistor joins its output to the supply. ``labels`` are layers whose texts name a conductor.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instruments.errors import CorruptField, cut_value

SCHEMA = "faultlight.process/1"
DEFAULT = "sky130"
_FOLDER = Path(__file__).parent / "processes"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST = 65535

LayerNumber = tuple[int, int]


@dataclass(frozen=True)
class Conductor:
    """A conducting level.

    Attributes:
        name: of the level.
        layers: (layer, datatype) whose shapes conduct.
        cut_by: layers whose shapes take area out of it.
        labels: layers whose texts name the nets on it.
    """

    name: str
    layers: tuple[LayerNumber, ...]
    cut_by: tuple[LayerNumber, ...] = ()
    labels: tuple[LayerNumber, ...] = ()


@dataclass(frozen=True)
class Via:
    """Shapes that join the conductors that they touch, of those named in ``connects``."""

    name: str
    layers: tuple[LayerNumber, ...]
    connects: tuple[str, ...]


@dataclass(frozen=True)
class Process:
    """The connectivity of a process.

    Attributes:
        name: of the process.
        source: where the numbers come from.
        conductors: the lowest first.
        vias: what joins them.
        cell_boundary: layers whose shapes are the outlines of cells; the bounding box where a cell has none.
    """

    name: str
    source: str
    conductors: tuple[Conductor, ...]
    vias: tuple[Via, ...]
    cell_boundary: tuple[LayerNumber, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return the process as its file has it."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "source": self.source,
            "conductors": [
                {"name": each.name, "layers": _lists(each.layers)}
                | ({"cut_by": _lists(each.cut_by)} if each.cut_by else {})
                | ({"labels": _lists(each.labels)} if each.labels else {})
                for each in self.conductors
            ],
            "vias": [
                {"name": each.name, "layers": _lists(each.layers), "connects": list(each.connects)}
                for each in self.vias
            ],
            "cell_boundary": _lists(self.cell_boundary),
        }

    def connectivity_sha256(self) -> str:
        """Return the hash (hex) of all that tracing depends on: everything but what the process is called."""
        rules = {key: value for key, value in self.to_document().items() if key not in ("name", "source")}
        return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()


def known_processes() -> tuple[str, ...]:
    """Return the names of the processes that come with Faultlight."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def load_process(name_or_path: str | Path = DEFAULT) -> Process:
    """Return the process of the given name, or of the given file.

    Raises:
        CorruptField: there is no such process, or the file is not right; the place in it is named.
    """
    path = Path(name_or_path)
    if str(name_or_path) in known_processes():
        path = _FOLDER / f"{name_or_path}.json"
    elif not path.is_file():
        known = ", ".join(known_processes())
        raise CorruptField(f"there is no process {str(name_or_path)!r}: neither a file nor one of {known}")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, UnicodeDecodeError) as error:
        raise CorruptField(f"the process is no JSON: {error}", file=path.name) from None
    return read_process(document, path.name)


def read_process(document: Any, file: str = "") -> Process:
    """Return the process of a JSON ``document``; ``file`` names it in errors.

    Raises:
        CorruptField: a key is missing, unknown or not right; a via names a conductor that is not there.
    """
    part = _Part(document, "process", file)
    if part.take("schema", None) != SCHEMA:
        raise part.bad("schema", SCHEMA, part.document.get("schema"))
    name, source = part.text("name"), part.text("source", any_text=True)
    conductors = tuple(_read_conductor(item) for item in part.parts("conductors"))
    vias = tuple(_read_via(item) for item in part.parts("vias"))
    boundary = part.layers("cell_boundary", required=False)
    part.finish()
    names = [each.name for each in conductors]
    repeated = sorted({item for item in names if names.count(item) > 1})
    if not names or repeated:
        raise part.bad("conductors", "one or more, each with a name of its own", ", ".join(repeated) or "none")
    for via in vias:
        strangers = [item for item in via.connects if item not in names]
        if strangers or len(set(via.connects)) < 2:
            message = f"the via {via.name!r} does not connect two or more of the conductors"
            raise CorruptField(message, file=file, expected=", ".join(names), found=", ".join(via.connects))
    return Process(name, source, conductors, vias, boundary)


def _read_conductor(part: "_Part") -> Conductor:
    read = Conductor(
        part.text("name"),
        part.layers("layers"),
        part.layers("cut_by", required=False),
        part.layers("labels", required=False),
    )
    part.finish()
    return read


def _read_via(part: "_Part") -> Via:
    connects = part.take("connects", [])
    if not isinstance(connects, list) or not all(isinstance(item, str) for item in connects):
        raise part.bad("connects", "a list of names of conductors", connects)
    read = Via(part.text("name"), part.layers("layers"), tuple(connects))
    part.finish()
    return read


class _Part:
    """One JSON object with the keys it may have; a key that is not asked for is an error."""

    def __init__(self, document: Any, where: str, file: str) -> None:
        self.where, self.file = where, file
        if not isinstance(document, Mapping):
            raise CorruptField(f"{where} is no JSON object", file=file)
        self.document = document
        self.taken: set[str] = set()

    def bad(self, key: str, expected: str, found: object) -> CorruptField:
        message = f"{self.where}.{key} is not right"
        return CorruptField(message, file=self.file, expected=expected, found=cut_value(found, 120))

    def take(self, key: str, default: Any) -> Any:
        self.taken.add(key)
        return self.document.get(key, default)

    def text(self, key: str, *, any_text: bool = False) -> str:
        value = self.take(key, None)
        if not isinstance(value, str) or not value.strip() or not (any_text or _NAME.fullmatch(value)):
            raise self.bad(key, "a text" if any_text else "a name of letters, digits, '.', '_' and '-'", value)
        return value

    def parts(self, key: str) -> list["_Part"]:
        items = self.take(key, None)
        if not isinstance(items, list):
            raise self.bad(key, "a list", items)
        return [_Part(item, f"{self.where}.{key}[{place}]", self.file) for place, item in enumerate(items)]

    def layers(self, key: str, *, required: bool = True) -> tuple[LayerNumber, ...]:
        items = self.take(key, [])
        if not isinstance(items, list) or (required and not items):
            raise self.bad(key, "a list of [layer, datatype]", items)
        for item in items:
            whole = isinstance(item, list) and len(item) == 2 and all(type(number) is int for number in item)
            if not whole or not all(0 <= number <= _MOST for number in item):
                raise self.bad(key, f"pairs [layer, datatype] of whole numbers from 0 to {_MOST}", item)
        return tuple((item[0], item[1]) for item in items)

    def finish(self) -> None:
        strangers = sorted(set(self.document) - self.taken)
        if strangers:
            known = ", ".join(sorted(self.taken))
            raise CorruptField(f"{self.where} has an unknown key", file=self.file, expected=known, found=strangers[0])


def _lists(layers: tuple[LayerNumber, ...]) -> list[list[int]]:
    return [list(layer) for layer in layers]
