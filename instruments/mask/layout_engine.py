"""The layout engine behind a narrow door: klayout, imported only where a layout is read.

klayout is under the GPL (``docs/decisions``): it is an optional extra, and nothing of it is imported until a file of
its formats is read, which happens in the sandboxed reading process.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from instruments.adapter import Source
from instruments.errors import CorruptField, InstrumentError, ReadingLimit, UnsupportedVersion

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class EngineCell:
    """A cell as the engine has it; ``box_um`` is left, bottom, right, top with all below it, ``None`` when empty."""

    name: str
    shapes: Counter[tuple[int, int]]
    placements: int
    box_um: Box | None


@dataclass(frozen=True)
class EngineLayout:
    """A layout as the engine has it."""

    unit_um: float
    cells: dict[str, EngineCell] = field(default_factory=dict)
    top_cells: frozenset[str] = frozenset()


def read_with_engine(source: Source) -> EngineLayout:
    """Return what klayout makes of ``source``.

    Raises:
        UnsupportedVersion: klayout is not installed.
        CorruptField: klayout refuses the file.
        ReadingLimit: it needs more memory than it may have.
    """
    layout = load_layout(source)
    try:
        cells = {cell.name: cell for cell in _cells(layout)}
        tops = frozenset(cell.name for cell in layout.top_cells())
    except (RuntimeError, UnicodeDecodeError) as error:
        raise _refusal(source, error) from None
    return EngineLayout(layout.dbu, cells, tops)


def import_engine(file: str) -> Any:
    """Return klayout's module ``db``; ``file`` is what is to be read with it.

    Raises:
        UnsupportedVersion: klayout is not installed, or is and cannot be loaded.
    """
    try:
        from klayout import db  # noqa: PLC0415 - GPL and 90 MB: only where a layout is read
    except ModuleNotFoundError:
        message = "layouts are read with klayout, which is not installed: pip install 'faultlight[layout]'"
        raise UnsupportedVersion(message, file=file) from None
    except ImportError as error:
        raise UnsupportedVersion(f"klayout is installed and cannot be loaded: {error}", file=file) from None
    return db


def load_layout(source: Source) -> Any:
    """Return ``source`` as klayout's own ``Layout``, for the process that reads it and no other.

    Raises:
        UnsupportedVersion: klayout is not installed.
        CorruptField: klayout refuses the file.
        ReadingLimit: it needs more memory than it may have.
    """
    db = import_engine(source.name)
    options = db.LoadLayoutOptions()
    options.warn_level = 0
    layout = db.Layout()
    try:
        layout.read(str(source.path), options)
    except (RuntimeError, UnicodeDecodeError) as error:
        raise _refusal(source, error) from None
    return layout


def _refusal(source: Source, error: Exception) -> InstrumentError:
    if "bad_alloc" in str(error):
        return ReadingLimit("the layout needs more memory than it may have", file=source.name)
    if "UnicodeDecodeError" in f"{type(error).__name__} {error}":
        return CorruptField("the name of a cell is not UTF-8 text", file=source.name)
    reason = str(error).splitlines()[0][:300].replace(str(source.path), source.name)
    return CorruptField(f"the layout engine refuses the file: {reason}", file=source.name)


def _cells(layout: Any) -> Iterator[EngineCell]:
    layers = [(index, layout.get_info(index)) for index in layout.layer_indexes()]
    for cell in layout.each_cell():
        shapes: Counter[tuple[int, int]] = Counter()
        for index, info in layers:
            size = cell.shapes(index).size()
            if size:
                shapes[info.layer, info.datatype] += size
        box = cell.dbbox()
        placements = sum(max(1, item.na) * max(1, item.nb) for item in cell.each_inst())
        edges = None if box.empty() else (box.left, box.bottom, box.right, box.top)
        yield EngineCell(cell.name, shapes, placements, edges)
