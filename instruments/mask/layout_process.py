"""Asking about a layout without holding it: a process of its own has it open, with limits of time and memory.

:class:`LayoutEngine` is what others need of a layout; :class:`LayoutProcess` answers by klayout in its own process,
so that neither its licence nor its memory are ours (``docs/decisions/0007-klayout-as-an-optional-extra.md``).
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField, ReaderCrashed, ReadingLimit
from instruments.mask.layout_messages import Arrays, MessageBroken, MessageLate, read_message, write_message
from instruments.mask.nets import TracedNets
from instruments.mask.process import LayerNumber, Process
from instruments.preloading import ENVIRONMENT
from instruments.sandbox import SandboxLimits, rebuild_error

Window = tuple[float, float, float, float]


@dataclass(frozen=True)
class LayerPolygons:
    """What one layer holds in a window.

    Attributes:
        layer, datatype: numbers of the layer.
        name: its name in the file; may be empty.
        shapes: how many shapes touch the window, before joining and clipping.
        area_um2: of the polygons.
        points: int32 ``(m, 2)``, x and y in database units.
        starts: int64 ``(n + 1)``: polygon ``i`` has the points from ``starts[i]`` to ``starts[i + 1]``.
        trapezoids: int32 ``(k, 6)``: the same area without overlap, see :class:`TracedNets`.
    """

    layer: int
    datatype: int
    name: str
    shapes: int
    area_um2: float
    points: NDArray[np.int32]
    starts: NDArray[np.int64]
    trapezoids: NDArray[np.int32]


@dataclass(frozen=True)
class LayoutWindow:
    """What a window holds: layers in order of their numbers; lengths are in database units of ``unit_um``."""

    unit_um: float
    cell: str
    window_um: Window
    clipped: bool
    layers: tuple[LayerPolygons, ...]


@dataclass(frozen=True)
class LayoutSummary:
    """An open layout.

    Attributes:
        format: ``gdsii`` or ``oasis``.
        unit_um: micrometres of a database unit.
        top_cells: names.
        boxes_um: left, bottom, right, top of each top cell; ``None`` for an empty one.
        layers: ``{"layer", "datatype", "name", "box_um"}`` each, of the first top cell.
        warnings: what the adapter of layouts doubts.
    """

    format: str
    unit_um: float
    top_cells: tuple[str, ...]
    boxes_um: tuple[Window | None, ...]
    layers: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> "LayoutSummary":
        """Return the summary of its JSON, which has the same names."""
        boxes = tuple(None if box is None else (box[0], box[1], box[2], box[3]) for box in document["boxes_um"])
        return LayoutSummary(
            document["format"],
            document["unit_um"],
            tuple(document["top_cells"]),
            boxes,
            tuple(document["layers"]),
            tuple(document["warnings"]),
        )


class LayoutEngine(Protocol):
    """What others need of an open layout; raises :class:`instruments.errors.InstrumentError` throughout."""

    def summary(self) -> LayoutSummary:
        """Return what the layout is."""
        ...

    def nets(self, process: Process, cell: str | None = None) -> TracedNets:
        """Return all nets of ``cell``, which is the only top cell if it is not named, by the rules of ``process``."""
        ...

    def window(
        self,
        window_um: Window,
        layers: Iterable[LayerNumber] | None = None,
        *,
        clip: bool = True,
        cell: str | None = None,
    ) -> LayoutWindow:
        """Return what ``cell`` holds on ``layers`` in a window, cut at its edges or whole."""
        ...


class LayoutProcess:
    """A :class:`LayoutEngine` in a process of its own, which ends with the context; one question at a time."""

    def __init__(self, path: Path, name: str | None = None, limits: SandboxLimits | None = None) -> None:
        self._path, self._name = path.absolute(), name or path.name
        self._limits = limits or SandboxLimits()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._summary: LayoutSummary | None = None

    def __enter__(self) -> "LayoutProcess":
        if not self._path.exists():
            raise FileNotFoundError(f"there is no file {self._name}")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "instruments.mask.layout_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ENVIRONMENT,
            start_new_session=True,
        )
        try:
            document, _ = self._ask({"task": "open", "path": str(self._path), "name": self._name})
        except BaseException:
            self.close()
            raise
        self._summary = LayoutSummary.from_document(document)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the process is there; it ends by itself when nobody asks for a while."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def summary(self) -> LayoutSummary:
        """Return what the layout is."""
        if self._summary is None:
            raise ReaderCrashed("the layout is not open", file=self._name)
        return self._summary

    def nets(self, process: Process, cell: str | None = None) -> TracedNets:
        """Return all nets of ``cell``; see :class:`LayoutEngine`.

        Raises:
            CorruptField: nothing is on the process's conductors, or the cell is not there or not one.
            ReadingLimit, ReaderCrashed: it took too long or too much memory, or the process died.
        """
        return TracedNets.from_message(*self._ask({"task": "nets", "process": process.to_document(), "cell": cell}))

    def window(
        self,
        window_um: Window,
        layers: Iterable[LayerNumber] | None = None,
        *,
        clip: bool = True,
        cell: str | None = None,
    ) -> LayoutWindow:
        """Return what lies in a window; see :class:`LayoutEngine`.

        Raises:
            CorruptField: the window is empty, or a layer or the cell is not there.
            ReadingLimit, ReaderCrashed: it holds too much, or the process died.
        """
        left, bottom, right, top = window_um
        if not (np.isfinite(window_um).all() and left < right and bottom < top):
            message = "a window needs left < right and bottom < top"
            raise CorruptField(message, file=self._name, found=str(list(window_um)))
        wanted = None if layers is None else [list(layer) for layer in layers]
        request = {"task": "window", "window_um": list(window_um), "layers": wanted, "clip": clip, "cell": cell}
        document, arrays = self._ask(request)
        found = tuple(
            LayerPolygons(
                each["layer"],
                each["datatype"],
                each["name"],
                each["shapes"],
                each["area_um2"],
                arrays[f"{place}.points"],
                arrays[f"{place}.starts"],
                arrays[f"{place}.trapezoids"],
            )
            for place, each in enumerate(document["layers"])
        )
        return LayoutWindow(document["unit_um"], document["cell"], window_um, clip, found)

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], Arrays]:
        with self._lock:
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                raise ReaderCrashed("the layout process has ended", file=self._name)
            limits = {"wall_s": self._limits.wall_s, "memory_bytes": self._limits.memory_bytes}
            try:
                write_message(process.stdin.fileno(), request | {"limits": limits})
                reply, arrays = read_message(process.stdout.fileno(), time.monotonic() + self._limits.wall_s)
            except MessageLate:
                self.close()
                raise ReadingLimit(f"the layout took longer than {self._limits.wall_s:g} s", file=self._name) from None
            except (EOFError, MessageBroken, BrokenPipeError):
                code = process.wait()
                self.close()
                if code in (-signal.SIGXCPU, -signal.SIGKILL):
                    raise ReadingLimit("the layout used more than it may", file=self._name) from None
                raise ReaderCrashed(f"the layout process died ({code})", file=self._name) from None
        if reply["status"] == "refused":
            raise rebuild_error(reply["error"])
        return reply["answer"], arrays
