"""What the tests of pipelines share: a bench that runs jobs, and records to run them on."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, Table, func, select

from db.blobs import BlobStore
from db.repositories import jobs
from db.repositories.jobs import DueJob
from db.unit_of_work import begin
from instruments.packing import PackedReading, pack
from instruments.records import (
    Gate,
    Netlist,
    PatternSet,
    ProbingSession,
    ReadResult,
    Record,
    Samples,
    Segment,
    Waveform,
)
from services.pipelines.context import Completion, JobContext
from services.pipelines.ingestion.ingest import Reader, read_subject
from services.settings import Settings


class Bench:
    """Runs ingest jobs without a worker."""

    def __init__(self, engine: Engine, blobs: BlobStore, settings: Settings) -> None:
        self.engine = engine
        self.blobs = blobs
        self.settings = settings
        self.announced: list[DueJob] = []

    def claim(self, job_id: uuid.UUID) -> JobContext:
        claimed = jobs.claim(self.engine, job_id, "test", 60)
        assert claimed is not None
        return self.context(claimed)

    def context(self, claimed: jobs.ClaimedJob) -> JobContext:
        return JobContext(claimed, self.settings, self.engine, self.blobs, self.announced.append)

    def ingest(self, job_id: uuid.UUID, read: Reader) -> None:
        context = self.claim(job_id)
        self.finish(context, read_subject(context, read))

    def finish(self, context: JobContext, completion: Completion) -> None:
        with begin(self.engine) as unit_of_work:
            completion(unit_of_work)
            jobs.finish(unit_of_work.connection, context.claimed, "succeeded")

    def count(self, table: Table) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    def rows(self, table: Table) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(select(table).order_by(table.c.id)).all())


def make_waveform(name: str = "C1", segments: int = 2, **values: Any) -> Waveform:
    samples = np.arange(segments * 10, dtype="<i2")
    return Waveform(
        name=name,
        samples=Samples.of(samples),
        unit="V",
        dt_s=1e-9,
        segments=tuple(Segment(10, 0.0, index * 1e-6) for index in range(segments)),
        minimum=0.0,
        maximum=float(samples.max()) * 0.5,
        gain=0.5,
        **values,
    )


def make_session(role: str = "suspect") -> ProbingSession:
    document = {
        "schema": "faultlight.probing-session/1",
        "session": "S-1",
        "role": role,
        "technique": "LVP",
        "simulated": True,
        "unit": {"program": "p", "product": "P1", "lot": "L1", "wafer": "W1", "x": 4, "y": 7},
        "stimulus": {"cycle_s": 1e-8},
        "netlist": "n.bench",
        "patterns": "p.csv",
        "waveforms": [{"file": "w.csv", "net": "y"}],
    }
    gate = Gate("y", "NAND", "NAND", "y", ("a", "b"))
    return ProbingSession(
        name="S-1",
        role=role,
        document=document,
        netlist=Netlist("n", ("a", "b"), ("y",), (gate,)),
        patterns=PatternSet("p", ("a", "b"), np.array([[0, 1]], np.uint8)),
        fails=None,
        placement=None,
        simulation=(),
        waveforms={"w.csv": (make_waveform("w", 1),)},
    )


def reader(*records: Record, version: str = "1") -> Reader:
    """A reader that finds these records in every file."""

    def read(path: Path, name: str, workdir: Path) -> PackedReading:
        assert path.exists()
        return pack(ReadResult(name, "format", "adapter", version, records, ("odd",)), workdir)

    return read


def refusing(error: Exception) -> Reader:
    """A reader that refuses every file."""

    def read(path: Path, name: str, workdir: Path) -> PackedReading:
        raise error

    return read
