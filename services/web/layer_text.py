"""Names of layers as lines of text: as people write them, as layer maps have them, as a process calls its levels."""

import re
from collections.abc import Iterable, Mapping

_FIRST = re.compile(r"(\d{1,5})\s*[/,;\s]\s*(\d{1,5})(?:\s*[:=,;]\s*|\s+|$)(.*)")
_LAST = re.compile(r"(\S+)\s+(\S+)\s+(\d{1,5})\s+(\d{1,5})")
_DRAWN = "drawing"
MOST_LINES = 5000


class BadLayerText(ValueError):  # noqa: N818
    """A line names no layer; the message says which and what would."""


def read_layer_text(text: str) -> dict[str, str]:
    """Return names by layer/datatype; blank lines, what follows a ``#``, and layers without a name are left out.

    A line is ``68/20 met1`` (also with commas, colons or blanks), or ``met1 drawing 68 20`` as layer maps for stream
    files have it; the purpose ``drawing`` is not part of the name.

    Raises:
        BadLayerText: a line is neither, or a layer is named twice.
    """
    names: dict[str, str] = {}
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        raise BadLayerText(f"There are more than {MOST_LINES} lines.")
    for number, line in enumerate(lines, 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        key, name = _read_line(number, said)
        if name and names.setdefault(key, name) != name:
            raise BadLayerText(f"Line {number} names the layer {key} again, and otherwise.")
    return names


def _read_line(number: int, line: str) -> tuple[str, str]:
    if found := _FIRST.fullmatch(line):
        return f"{int(found[1])}/{int(found[2])}", found[3].strip().strip('"')
    if found := _LAST.fullmatch(line):
        name = found[1] if found[2].lower() == _DRAWN else f"{found[1]} {found[2]}"
        return f"{int(found[3])}/{int(found[4])}", name
    raise BadLayerText(f"Line {number} is neither '68/20 met1' nor 'met1 drawing 68 20'.")


def write_layer_text(keys: Iterable[str], names: Mapping[str, str]) -> str:
    """Return a line for each layer of ``keys`` and ``names``, by number; without a name there is the layer alone."""
    every = sorted({*keys, *names}, key=lambda key: tuple(map(int, key.split("/"))))
    return "\n".join(f"{key} {names.get(key, '')}".rstrip() for key in every)


def process_names() -> tuple[str, ...]:
    """Return the processes whose levels have names here."""
    from instruments.mask.process import known_processes  # noqa: PLC0415  (the API starts without instruments)

    return known_processes()


def names_of_process(process: str) -> dict[str, str]:
    """Return what a known process calls its layers: conductors, vias, and what cuts and labels conductors."""
    from instruments.mask.process import load_process  # noqa: PLC0415  (the API starts without instruments)

    rules = load_process(process)
    names: dict[str, str] = {}
    groups = [(each.layers, each.name) for each in rules.conductors]
    groups += [(each.layers, each.name) for each in rules.vias]
    groups += [(each.labels, f"{each.name} label") for each in rules.conductors]
    groups += [(each.cut_by, f"{each.name} cut") for each in rules.conductors]
    groups.append((rules.cell_boundary, "cell boundary"))
    for layers, name in groups:
        for layer, datatype in layers:
            names.setdefault(f"{layer}/{datatype}", name)
    return names
