"""A job log as rows, whatever it is written in: CSV, JSON lines or XML.

A row is a mapping from the vendor's names to texts, numbers or truth values; nested names are joined with ``_``. Each
syntax is counted a second time on the bytes.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from instruments.adapter import Source
from instruments.commented_table import read_commented_table
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, ReadingLimit
from instruments.guarded_xml import in_single_bytes, parse_xml
from instruments.text_lines import decode_text, head_text, split_lines

MAX_BYTES = 128 << 20
MAX_DEPTH = 16
Cell = str | float | int | bool | None
_ROW_NAMES = ("step", "entry", "record", "operation")
_PASSED_OVER = frozenset({"settings", "parameters", "type", "box", "line", "mill", "laser", "fib", "step_general"})
"""Containers whose name says nothing about what is in them."""
_XML_NOISE = re.compile(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>", re.DOTALL)
DECLARED = frozenset({"steps", "step_count", "number_of_steps"})


@dataclass
class LogRows:
    """The rows of a log.

    Attributes:
        rows: what each step says, by the vendor's names.
        places: of each row, its line (1-based), or its number where the syntax has no lines.
        place_unit: ``"line"`` or ``"row"``.
        units: the unit that stands beside a name, as the file writes it.
        metadata: what the file says of the whole log.
        warnings: what is doubtful about the text.
        decimal_comma: numbers in texts have a decimal comma.
    """

    rows: list[dict[str, Cell]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    place_unit: str = "line"
    units: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    decimal_comma: bool = False

    def names(self) -> list[str]:
        """Return every name that some row has, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def add_unit(self, file: str, name: str, unit: str) -> None:
        """Keep the unit of ``name``; raises CorruptField when it had another one before."""
        if self.units.setdefault(name, unit) != unit:
            message = f"{name} is given in two units"
            raise CorruptField(message, file=file, expected=self.units[name], found=unit[:40])


def read_rows(source: Source) -> LogRows:
    """Return the rows of ``source``.

    Raises:
        NotThisFormat: it is no text.
        ReadingLimit: it is larger than is read whole.
        CorruptField: the syntax is broken, or a value is no finite number.
        CountMismatch: the rows are not as many as a plain count of the bytes, or the file itself, says.
    """
    if source.size_bytes > MAX_BYTES:
        message = "the log is too large to be read whole"
        raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=source.size_bytes)
    data = source.path.read_bytes()
    is_xml = head_text(data).lstrip()[:1] == "<"
    try:
        # XML says its own encoding.
        text, doubts = ("<", ()) if is_xml else decode_text(data)
    except UnicodeDecodeError as error:
        raise NotThisFormat("the log is no text", file=source.name, offset=error.start) from None
    if is_xml:
        rows, plain = _read_xml(source, in_single_bytes(source.name, data))
    elif text.lstrip()[:1] == "{":
        rows = _read_json(source, text)
        plain = sum(1 for line in split_lines(text) if line.lstrip().startswith("{")) - len(rows.metadata.get("_", ()))
    else:
        rows, plain = _read_csv(source, text)
    rows.metadata.pop("_", None)
    rows.warnings = (*doubts, *rows.warnings)
    if plain != len(rows.rows):
        message = "the steps are not as many as a plain count of the text finds"
        raise CountMismatch(message, file=source.name, expected=plain, found=len(rows.rows))
    for name, value in rows.metadata.items():
        if name.lower().replace(" ", "_") in DECLARED and str(value).strip() != str(len(rows.rows)):
            message = "the log does not hold as many steps as it says"
            raise CountMismatch(message, file=source.name, expected=str(value)[:20], found=len(rows.rows))
    return rows


def _read_csv(source: Source, text: str) -> tuple[LogRows, int]:
    table = read_commented_table(source, text)
    found = LogRows(metadata=dict(table.comments), places=list(table.lines), warnings=table.warnings)
    found.decimal_comma = table.decimal_comma
    found.rows = [dict(zip(table.header, cells, strict=True)) for cells in table.rows]
    return found, len(found.rows)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _read_json(source: Source, text: str) -> LogRows:
    """Read one object a line; an object without a step but with a schema or units is about the whole log."""
    found = LogRows()
    about: list[int] = []
    for number, line in enumerate(split_lines(text), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            message = f"the line is no JSON: {str(error)[:100]}"
            raise CorruptField(message, file=source.name, offset=number, offset_unit="line") from None
        if not isinstance(value, dict):
            message = "the line is no JSON object"
            raise CorruptField(message, file=source.name, offset=number, found=line.strip(), offset_unit="line")
        if ("schema" in value or "units" in value) and "step" not in value and not found.rows:
            for name, unit in (value.get("units") or {}).items():
                found.add_unit(source.name, str(name), str(unit))
            found.metadata |= {str(name): item for name, item in value.items() if name != "units"}
            about.append(number)
            continue
        row: dict[str, Cell] = {}
        for name, cell, unit in _flatten(source, value, "", number, 0):
            if name in row:
                message = f"{name} is given twice"
                raise CorruptField(message, file=source.name, offset=number, offset_unit="line")
            row[name] = cell
            if unit:
                found.add_unit(source.name, name, unit)
        found.rows.append(row)
        found.places.append(number)
    found.metadata["_"] = about
    return found


def _flatten(
    source: Source, value: Mapping[str, Any], above: str, line: int, depth: int
) -> Iterator[tuple[str, Cell, str]]:
    """Yield (name, value, unit) of an object, the objects in it included; ``{"value", "unit"}`` is one value."""
    if depth > MAX_DEPTH:
        raise CorruptField("the objects are nested too deeply", file=source.name, offset=line, offset_unit="line")
    for key, item in value.items():
        name = join_name(above, key)
        if isinstance(item, dict):
            unit = item.get("unit", item.get("units"))
            if isinstance(unit, str) and "value" in item:
                yield name, _scalar(source, item["value"], line), unit
            else:
                yield from _flatten(source, item, name if key.lower() not in _PASSED_OVER else above, line, depth + 1)
        else:
            yield name, _scalar(source, item, line), ""


def join_name(above: str, key: str) -> str:
    """Return the name of ``key`` inside the container ``above``."""
    return f"{above}_{key}" if above else key


def _scalar(source: Source, value: Any, line: int) -> Cell:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        raise CorruptField("a number is not finite", file=source.name, offset=line, offset_unit="line")
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _read_xml(source: Source, data: bytes) -> tuple[LogRows, int]:
    """Read each element ``step`` (or else ``entry``, ``record``, ``operation``), its attributes, the elements in it.

    Document types and entities are refused: an upload must not make the reader open other files.
    """
    root = parse_xml(source.name, data)
    found = LogRows(place_unit="row")
    found.metadata |= {_local(name): value for name, value in root.attrib.items()}
    inner = [element for element in root.iter() if element is not root and (len(element) or element.attrib)]
    names = {_local(element.tag).lower() for element in inner}
    chosen = next((name for name in _ROW_NAMES if name in names), "")
    for element in inner:
        if _local(element.tag).lower() != chosen:
            continue
        row: dict[str, Cell] = {}
        number = len(found.rows) + 1
        _gather(source, found, element, row, ("", number, 0))
        found.rows.append(row)
        found.places.append(number)
    for child in root:
        if _local(child.tag).lower() != chosen and not len(child):
            found.metadata[_local(child.tag)] = (child.text or "").strip()
    pattern = rb"<(?:[\w.-]+:)?(?i:" + (chosen or "step").encode() + rb")[\s>/]"
    return found, len(re.findall(pattern, _XML_NOISE.sub(b"", data)))


def _gather(source: Source, found: LogRows, element: Any, row: dict[str, Cell], place: tuple[str, int, int]) -> None:
    """Add the attributes of ``element`` and the elements in it to ``row``."""
    above, number, depth = place
    if depth > MAX_DEPTH:
        raise CorruptField(f"the elements of row {number} are nested too deeply", file=source.name)
    pairs = [(_local(key), value) for key, value in element.attrib.items() if _local(key) not in ("unit", "units")]
    for key, value in pairs if depth == 0 or len(element) else []:
        _add(source, row, join_name(above, key), value, number)
    for child in element:
        tag = _local(child.tag)
        name = join_name(above, tag)
        if len(child):
            inner = above if tag.lower() in _PASSED_OVER else name
            _gather(source, found, child, row, (inner, number, depth + 1))
            continue
        unit = child.attrib.get("unit", child.attrib.get("units", ""))
        value = child.attrib.get("value", (child.text or "").strip())
        _add(source, row, name, value, number)
        if unit:
            found.add_unit(source.name, name, unit)


def _add(source: Source, row: dict[str, Cell], name: str, value: str, number: int) -> None:
    if name in row:
        raise CorruptField(f"row {number} gives {name} twice", file=source.name)
    row[name] = value
