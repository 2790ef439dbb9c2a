"""Liberty cell libraries (the open Liberty format, non-linear delay model): pins and delay tables of each cell.

Read: units, pins with direction, capacitance and function, and of each ``timing`` group the tables ``cell_rise``,
``cell_fall`` and the transitions beside them over input transition and output capacitance, in either order. Cells are
left out whole that have buses or bundles; constraints (setup, hold), scalar tables and delays over other variables are
left out too, each sort counted in a warning. Power, noise, current and statistical tables are not looked at.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, CountMismatch, ReadingLimit, UnsupportedVersion
from instruments.records import Record
from instruments.simulation.liberty_text import Group, read_groups
from instruments.simulation.nested_lists import without_comments
from instruments.simulation.vocabulary import LIBRARY_PIN, LIBRARY_TIMING
from instruments.vocabulary import Remarks

MOST_BYTES = 256 << 20
TIME = re.compile(r"(1|10|100)\s*(s|ms|us|ns|ps|fs)")
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15}
FARADS = {"pf": 1e-12, "ff": 1e-15, "nf": 1e-9, "uf": 1e-6}
EDGES = {"cell_rise": ("rise", "rise_transition"), "cell_fall": ("fall", "fall_transition")}
KEPT = (
    "technology", "delay_model", "date", "revision", "comment", "nom_process", "nom_voltage", "nom_temperature",
    "input_threshold_pct_rise", "input_threshold_pct_fall", "output_threshold_pct_rise", "output_threshold_pct_fall",
    "slew_lower_threshold_pct_rise", "slew_upper_threshold_pct_rise", "slew_derate_from_library",
)  # fmt: skip
SLEW, LOAD = "input_net_transition", "total_output_net_capacitance"


class LibertyAdapter:
    """Reads a Liberty library into a table of ``library_pin`` and one of ``library_timing``."""

    name = "liberty"
    version = "1"
    formats = ("liberty",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for ``library (…) {`` at the beginning of ``source``."""
        if source.is_bundle:
            return Sniff(Confidence.NO, "a bundle is not a Liberty library")
        text = without_comments(source.head.decode("utf-8", "replace").lstrip("\ufeff"))
        if re.match(r'\s*library\s*\(\s*"?[^\s(){}"]+"?\s*\)\s*\{', text):
            return Sniff(Confidence.CERTAIN, "the file begins with library (…) {")
        return Sniff(Confidence.NO, "no library (…) { at the beginning")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return ``"liberty"`` and both tables.

        Raises:
            CorruptField: a statement or table that is none, or a unit that is unknown.
            Truncated: the file ends inside a group.
            UnsupportedVersion: another delay model.
            CountMismatch: delay tables read and named in the text differ.
            ReadingLimit: the file is too large or nested too deep.
        """
        if source.size_bytes > MOST_BYTES:
            raise ReadingLimit("the file is too large", file=source.name, expected=MOST_BYTES, found=source.size_bytes)
        try:
            text = source.path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise CorruptField("the text is not UTF-8", file=source.name, offset=error.start) from error
        library = _Library(read_groups(text, source.name), source.name)
        unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', '""', without_comments(text))
        named = len(re.findall(r"\bcell_(?:rise|fall)\s*\(", unquoted))
        if named != library.tables:
            message = "delay tables read and named in the text differ"
            raise CountMismatch(message, file=source.name, expected=named, found=library.tables)
        remarks = Remarks(library.metadata, library.warnings())
        return "liberty", (
            LIBRARY_PIN.make_table(f"{source.name}: pins", library.pins, remarks),
            LIBRARY_TIMING.make_table(f"{source.name}: timing", library.timing, remarks),
        )


@dataclass(frozen=True)
class _Axes:
    """What a table is over: input transitions in seconds and loads in farads, and whether the load comes first."""

    slews_s: NDArray[np.float64]
    loads_f: NDArray[np.float64]
    load_first: bool


class _Library:
    """The rows of both tables, by column, and what was left out."""

    def __init__(self, root: Group, file: str) -> None:
        self._file = file
        self._left_out: Counter[str] = Counter()
        self.tables = 0
        self.pins: dict[str, list[Any]] = {column.name: [] for column in LIBRARY_PIN.columns}
        self.timing: dict[str, list[Any]] = {column.name: [] for column in LIBRARY_TIMING.columns}
        if root.name != "library":
            raise self._error("the file is no library", root, root.name)
        model = root.first("delay_model")
        if model not in ("", "table_lookup"):
            raise UnsupportedVersion(f"the delay model {model} is not read", file=file)
        self.metadata = {"library": " ".join(root.arguments)} | {
            key: root.first(key) for key in KEPT if root.first(key)
        }
        self._time_s = self._time_unit(root)
        self._farads = self._load_unit(root)
        self._templates = {group.arguments[0]: group for group in root.inside("lu_table_template") if group.arguments}
        for cell in root.inside("cell"):
            self._read_cell(cell)

    def warnings(self) -> tuple[str, ...]:
        """What was left out, in one sentence each."""
        return tuple(f"{count} {what} were left out" for what, count in sorted(self._left_out.items()))

    def _error(self, message: str, where: Group, found: str | int) -> CorruptField:
        return CorruptField(message, file=self._file, offset=where.line, found=found, offset_unit="line")

    def _time_unit(self, root: Group) -> float:
        text = root.first("time_unit") or "1ns"
        match = TIME.fullmatch(text.strip().lower())
        if match is None:
            raise self._error("the time unit is not 1, 10 or 100 of s to fs", root, text)
        return float(match[1]) * SECONDS[match[2]]

    def _load_unit(self, root: Group) -> float:
        words = (root.attributes.get("capacitive_load_unit") or [()])[0]
        if len(words) != 2 or words[1].lower() not in FARADS:
            raise self._error("the library says no capacitive_load_unit in pf or ff", root, " ".join(words) or "none")
        return self._numbers(root, words[0])[0] * FARADS[words[1].lower()]

    def _numbers(self, where: Group, text: str) -> list[float]:
        try:
            numbers = [float(word) for word in text.replace(",", " ").split()]
        except ValueError:
            raise self._error("a value is no number", where, text[:60]) from None
        if not numbers or not np.isfinite(numbers).all():
            raise self._error("a value is no finite number", where, text[:60])
        return numbers

    def _read_cell(self, cell: Group) -> None:
        name = " ".join(cell.arguments)
        if any(group.name in ("bus", "bundle") for group in cell.groups):
            self._left_out["cells with buses or bundles"] += 1
            self.tables += _delay_tables(cell)
            return
        for pin in cell.inside("pin"):
            for target in pin.arguments:
                capacitance = pin.first("capacitance")
                values = {
                    "cell": name,
                    "pin": target,
                    "direction": pin.first("direction"),
                    "capacitance_f": self._numbers(pin, capacitance)[0] * self._farads if capacitance else None,
                    "function": pin.first("function"),
                }
                for key, value in values.items():
                    self.pins[key].append(value)
            for timing in pin.inside("timing"):
                self._read_timing(name, pin.arguments, timing)

    def _read_timing(self, cell: str, targets: tuple[str, ...], timing: Group) -> None:
        tables = {group.name: group for group in timing.groups}
        found = [name for name in EDGES if name in tables]
        self.tables += len(found)
        if not found:
            self._left_out["timing groups without delays"] += 1
        for name in found:
            edge, beside = EDGES[name]
            if beside not in tables:
                raise self._error(f"{name} has no {beside} beside it", timing, cell)
            axes = self._axes(tables[name])
            if axes is None or self._axes(tables[beside]) is None:
                self._left_out["delay tables over other variables"] += 1
                continue
            delays, transitions = self._values(tables[name], axes), self._values(tables[beside], axes)
            slews, loads = (grid.ravel() for grid in np.meshgrid(axes.slews_s, axes.loads_f, indexing="ij"))
            for source in timing.first("related_pin").split():
                for target in targets:
                    self._append(slews.size, (cell, source, target, edge), timing)
                    grids = {"slew_s": slews, "load_f": loads, "delay_s": delays, "transition_s": transitions}
                    for key, grid in grids.items():
                        self.timing[key] += grid.tolist()

    def _append(self, count: int, arc: tuple[str, str, str, str], timing: Group) -> None:
        words = dict(zip(("cell", "source", "target", "edge"), arc, strict=True)) | {
            "sense": timing.first("timing_sense"),
            "timing_type": timing.first("timing_type"),
            "condition": timing.first("when"),
        }
        for key, word in words.items():
            self.timing[key] += [word] * count

    def _axes(self, table: Group) -> _Axes | None:
        """Return the axes of a table over both variables, ``None`` for any other."""
        template = self._templates.get(table.arguments[0] if table.arguments else "")
        if template is None:
            return None
        variables = (template.first("variable_1"), template.first("variable_2"))
        if set(variables) != {SLEW, LOAD} or template.first("variable_3"):
            return None
        indices = []
        for key in ("index_1", "index_2"):
            text = table.first(key) or template.first(key)
            index = np.asarray(self._numbers(table, text))
            if (np.diff(index) <= 0).any():
                raise self._error(f"{key} does not increase", table, text[:60])
            indices.append(index)
        load_first = variables[0] == LOAD
        first, second = indices
        slews, loads = (second, first) if load_first else (first, second)
        return _Axes(slews * self._time_s, loads * self._farads, load_first)

    def _values(self, table: Group, axes: _Axes) -> NDArray[np.float64]:
        """Return the values in seconds, transition by transition."""
        words = [word for row in table.attributes.get("values", ()) for word in row]
        numbers = np.asarray(self._numbers(table, " ".join(words)))
        shape = (axes.slews_s.size, axes.loads_f.size)
        if numbers.size != shape[0] * shape[1]:
            raise CountMismatch(
                "a table has another number of values than its axes say",
                file=self._file,
                offset=table.line,
                expected=shape[0] * shape[1],
                found=numbers.size,
                offset_unit="line",
            )
        grid = numbers.reshape(shape[::-1]).T if axes.load_first else numbers.reshape(shape)
        return np.asarray(grid.ravel() * self._time_s, np.float64)


def _delay_tables(group: Group) -> int:
    return sum((inner.name in EDGES) + _delay_tables(inner) for inner in group.groups)
