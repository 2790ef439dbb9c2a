"""Stored layouts for the jobs: traced once for all of them, and kept open between one and the next.

What was traced goes into the blob store under the layout's content, the process's connectivity, the cell and the
version of the tracing. Whoever comes while it is being traced waits for it.
"""

import atexit
import hashlib
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

import structlog

from db.blobs import BlobMissing, record_key
from db.identifiers import uuid7
from db.repositories import traced_layouts
from db.repositories.ingest import Subject
from db.repositories.tiles import StoredBlob
from db.repositories.traced_layouts import NewTrace
from instruments.errors import ReaderCrashed, ReadingLimit
from instruments.mask.layout_messages import MessageBroken, read_message, write_message
from instruments.mask.layout_process import LayoutProcess, LayoutSummary
from instruments.mask.nets import TracedNets
from instruments.mask.process import Process
from services.pipelines.context import JobContext
from services.pipelines.job_keys import make_key
from services.pipelines.mask.layout_nets import TracedLayout, asked_process, index_nets, open_layout
from services.pipelines.versions import LAYOUT_VERSION

log = structlog.get_logger(__name__)

MOST_OPEN = 2
"""Layouts that a worker keeps open, each in a process of its own."""
_PAUSE_S = 0.2

Progress = Callable[[float, str], None]
Found = TypeVar("Found")


@dataclass(frozen=True)
class StoredLayout:
    """A layout of the job's program; ``fetch`` gives its original as a file, which is not always needed."""

    subject: Subject
    fetch: Callable[[], Path]


class OpenLayouts:
    """The layouts that this process has open, by the hash of their content; the least recently used is closed."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, LayoutProcess] = OrderedDict()
        self._owner = os.getpid()

    def ask(self, layout: StoredLayout, question: Callable[[LayoutProcess], Found]) -> Found:
        """Return the answer of ``question`` to the open layout; asks again when its process had ended meanwhile.

        Raises:
            instruments.errors.InstrumentError: the layout cannot be read, or what the question refuses.
        """
        engine, kept = self._find(layout)
        try:
            return question(engine)
        except (ReaderCrashed, ReadingLimit):
            if engine.alive:
                raise
            self._drop(layout.subject.content_sha256)
            if not kept:
                raise
        return question(self._find(layout)[0])

    @contextmanager
    def opened(self, layout: StoredLayout) -> Iterator[LayoutProcess]:
        """Open the layout for several questions; it stays open afterwards."""
        yield self._find(layout)[0]

    def close(self) -> None:
        """End all processes."""
        for digest in list(self._open):
            self._drop(digest)

    def _find(self, layout: StoredLayout) -> tuple[LayoutProcess, bool]:
        """Return the open layout, and whether it was open before."""
        if self._owner != os.getpid():
            self._open, self._owner = OrderedDict(), os.getpid()  # a fork: the pipes are the parent's
        digest = layout.subject.content_sha256
        engine = self._open.get(digest)
        if engine is not None and engine.alive:
            self._open.move_to_end(digest)
            return engine, True
        self._drop(digest)
        engine = open_layout(layout.fetch(), layout.subject.name)
        engine.__enter__()
        self._open[digest] = engine
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return engine, False

    def _drop(self, digest: str) -> None:
        engine = self._open.pop(digest, None)
        if engine is not None:
            engine.close()


OPEN = OpenLayouts()
atexit.register(OPEN.close)


def traced_layout(
    context: JobContext, layout: StoredLayout, question: Mapping[str, Any], progress: Progress
) -> TracedLayout:
    """Return the nets that a request with ``process`` and ``cell`` asks for, traced now or by a job before.

    Raises:
        instruments.errors.InstrumentError: it cannot be traced, or there is no such process.
    """
    process, cell = asked_process(question["process"]), question["cell"]
    subject = layout.subject
    key = trace_key(subject, process, cell)
    while True:
        kept = _load(context, subject, key)
        if kept is not None:
            return index_nets(kept[0], subject.name, process, kept[1])
        with traced_layouts.try_to_trace(context.engine, key) as alone:
            if alone and _find(context, subject, key) is None:
                progress(0.1, "tracing the nets")
                nets, summary = OPEN.ask(layout, lambda engine: (engine.nets(process, cell), engine.summary()))
                _keep(context, subject, key, (nets, summary))
                return index_nets(nets, subject.name, process, summary)
        if not alone:
            progress(0.05, "waiting for another job that traces this layout")
            time.sleep(_PAUSE_S)


def trace_key(subject: Subject, process: Process, cell: str | None) -> str:
    """Return under which key the nets are kept: content, connectivity, cell and version."""
    rules = {"connectivity": process.connectivity_sha256(), "cell": cell}
    return make_key("trace", LAYOUT_VERSION, [subject.content_sha256], rules)


def _find(context: JobContext, subject: Subject, key: str) -> StoredBlob | None:
    with context.engine.connect() as connection:
        return traced_layouts.find_trace(connection, subject.program_id, key)


def _load(context: JobContext, subject: Subject, key: str) -> tuple[TracedNets, LayoutSummary] | None:
    """Return what is kept under ``key``; what is damaged is forgotten, for the layout itself is there to trace."""
    stored = _find(context, subject, key)
    if stored is None:
        return None
    try:
        with _bytes(context, stored) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest == stored.sha256:
                file.seek(0)
                document, arrays = read_message(file.fileno())
                summary = LayoutSummary.from_document(document["summary"])
                return TracedNets.from_message(document["nets"], arrays), summary
    except (BlobMissing, MessageBroken, FileNotFoundError):
        digest = None
    log.warning("traced_layout_damaged", key=stored.key, expected=stored.sha256, found=digest)
    with context.engine.begin() as connection:
        traced_layouts.forget_trace(connection, subject.program_id, stored)
    return None


@contextmanager
def _bytes(context: JobContext, stored: StoredBlob) -> Iterator[FileIO]:
    """Open the object as a file without a buffer of its own, in place where the store is local."""
    local = context.blobs.local_path(stored.key)
    if local is not None:
        with local.open("rb", buffering=0) as file:
            yield file
        return
    with _scratch_file(context) as file:
        for chunk in context.blobs.stream(stored.key):
            file.write(chunk)
        file.seek(0)
        yield file


@contextmanager
def _scratch_file(context: JobContext) -> Iterator[FileIO]:
    scratch = context.settings.scratch()
    scratch.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="traced-", dir=scratch) as folder,
        (Path(folder) / "nets").open("w+b", buffering=0) as file,
    ):
        yield file


def _keep(context: JobContext, subject: Subject, key: str, traced: tuple[TracedNets, LayoutSummary]) -> None:
    """Store what was traced: the object first, then its rows; the object goes again where there is one already."""
    document, arrays = traced[0].to_message()
    with _scratch_file(context) as file:
        write_message(file.fileno(), {"nets": document, "summary": asdict(traced[1])}, arrays)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        stored = StoredBlob(record_key(subject.program_id, uuid7()), file.seek(0, os.SEEK_END), digest)
        context.blobs.put_file(stored.key, Path(str(file.name)))
    new = NewTrace(subject.program_id, key, subject.content_sha256, LAYOUT_VERSION, stored)
    with context.engine.begin() as connection:
        inserted = traced_layouts.insert_trace(connection, new)
    if not inserted:
        context.blobs.delete(stored.key)
