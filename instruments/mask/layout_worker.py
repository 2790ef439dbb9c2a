"""The process that holds one layout: ``python -m instruments.mask.layout_worker``, started by ``layout_process``.

It is the only one besides the reading process that loads klayout. It answers messages on standard input until that
ends, or until nobody has asked for :data:`IDLE_S`, under limits of memory and of processor time for each answer. A
file is first read by the adapter of layouts, which walks all records itself: what that refuses never gets here.
"""

import contextlib
import errno
import os
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instruments.adapter import Source
from instruments.bundle import open_source
from instruments.errors import CorruptField, InstrumentError, ReaderCrashed, ReadingLimit
from instruments.mask.layout import LayoutAdapter
from instruments.mask.layout_engine import import_engine, load_layout
from instruments.mask.layout_messages import Arrays, MessageLate, read_message, write_message
from instruments.mask.layout_windows import describe_layers, query_window
from instruments.mask.net_extraction import NetExtraction
from instruments.mask.process import read_process
from instruments.sandbox import describe_error

IDLE_S = 900.0
"""How long the process waits for a question before it ends."""

Answer = tuple[dict[str, Any], Arrays]


class _Holder:
    """The layout, once it is open."""

    def __init__(self) -> None:
        self.file = ""
        self.db: Any = None
        self.layout: Any = None

    def answer(self, request: Mapping[str, Any]) -> Answer:
        task = request["task"]
        if task == "open":
            return self._open(Path(request["path"]), request["name"])
        if task == "nets":
            process = read_process(request["process"], "process")
            nets = NetExtraction(self.db, self.layout, self._cell(request["cell"]), process, self.file).run()
            return nets.to_message()
        if task == "window":
            wanted = request["layers"]
            layers = None if wanted is None else [(int(layer), int(datatype)) for layer, datatype in wanted]
            cell = self._cell(request["cell"])
            found = query_window(
                self.db, cell, tuple(request["window_um"]), layers, clip=bool(request["clip"]), file=self.file
            )
            return {"unit_um": self.layout.dbu, "cell": cell.name, "layers": found[0]}, found[1]
        raise CorruptField(f"there is no task {task!r}")

    def _open(self, path: Path, name: str) -> Answer:
        self.file = name
        with tempfile.TemporaryDirectory() as scratch:
            return self._load(open_source(path, name, scratch=Path(scratch)), name)

    def _load(self, source: Source, name: str) -> Answer:
        if source.is_bundle:
            raise CorruptField("a bundle is no layout", file=name)
        adapter = LayoutAdapter()
        sniff = adapter.sniff(source)
        if not sniff.confidence:
            raise CorruptField(f"the file is no layout: {sniff.reason}", file=name)
        self.db = import_engine(name)
        format_name, records = adapter.read(source)
        warnings = [warning for record in records for warning in record.warnings]
        self.layout = load_layout(source)
        tops = [cell.name for cell in self.layout.top_cells()]
        document = {"format": format_name, "unit_um": self.layout.dbu, "top_cells": tops, "warnings": warnings}
        boxes = [cell.dbbox() for cell in self.layout.top_cells()]
        document["boxes_um"] = [None if box.empty() else [box.left, box.bottom, box.right, box.top] for box in boxes]
        document["layers"] = describe_layers(self.layout, self.layout.top_cells()[0]) if tops else []
        return document, {}

    def _cell(self, name: str | None) -> Any:
        if self.layout is None:
            raise CorruptField("no layout is open")
        tops = self.layout.top_cells()
        if name is None:
            if len(tops) != 1:
                names = ", ".join(cell.name for cell in tops[:8])
                message = "the layout has not one top cell: say which cell is meant"
                raise CorruptField(message, file=self.file, expected=1, found=f"{len(tops)}: {names}")
            return tops[0]
        cell = self.layout.cell(name)
        if cell is None:
            raise CorruptField("the layout has no such cell", file=self.file, found=name)
        return cell


def serve() -> None:
    """Answer requests on standard input until it ends."""
    answers = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)  # whatever a library prints must not get among the answers
    holder = _Holder()
    with contextlib.suppress(InstrumentError):
        import_engine("")  # before the limits: they are of the layout, not of the libraries
    while True:
        try:
            request, _ = read_message(0, time.monotonic() + IDLE_S)
        except (EOFError, MessageLate):
            return
        try:
            _limit(request["limits"])
            document, arrays = holder.answer(request)
            write_message(answers, {"status": "done", "answer": document}, arrays)
        except InstrumentError as error:
            _refuse(answers, error)
        except MemoryError:
            _refuse(answers, ReadingLimit("the layout needs more memory than it may have", file=holder.file))
        except Exception as error:
            if "bad_alloc" in str(error) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
                _refuse(answers, ReadingLimit("the layout needs more memory than it may have", file=holder.file))
                continue
            message = f"the layout process failed: {type(error).__name__}: {error}"
            _refuse(answers, ReaderCrashed(message, file=holder.file))


def _refuse(descriptor: int, error: InstrumentError) -> None:
    write_message(descriptor, {"status": "refused", "error": describe_error(error)})


def _limit(limits: Mapping[str, Any]) -> None:
    """Allow this answer so much more processor time, and the process so much memory."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = usage.ru_utime + usage.ru_stime
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used_s + limits["wall_s"]) + 2, hard))
    memory = int(limits["memory_bytes"])
    resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    serve()
