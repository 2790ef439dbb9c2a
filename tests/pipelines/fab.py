"""A program whose files are uploaded and analysed as by a worker, for the tests of assembled evidence."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from db.schema.data import data_table
from db.schema.work import result
from services.pipelines.kinds import handler
from services.pipelines.latent_risk.evidence_requests import AssemblyRequest
from services.pipelines.reliability.screening_requests import StoredScreenRequest
from services.pipelines.table_job import load_tables
from tests.instruments.mask.sources import read_all, written
from tests.pipelines.bench import Bench, reader
from tests.workers.scenery import add_ingest, add_job, store_original

SCREENS = ["part-average", "neighbour-residual", "bad-neighbourhood", "multivariate"]


class Fab:
    """A program with stored files, the answers about them, and the tables that were assembled of these."""

    def __init__(self, bench: Bench, program: uuid.UUID, folder: Path) -> None:
        self.bench, self.program, self.folder = bench, program, folder

    def upload(self, adapter: Any, name: str, text: str) -> uuid.UUID:
        """Return the file's id."""
        _, found = read_all(adapter(), written(self.folder, name, text))
        file_id = store_original(self.bench.engine, self.bench.blobs, self.program, name, text.encode())
        self.bench.ingest(add_ingest(self.bench.engine, self.program, {"raw_file_id": str(file_id)}), reader(*found))
        return file_id

    def table_of(self, file_id: uuid.UUID) -> uuid.UUID:
        """Return the id of the first table in a file."""
        return next(row.id for row in self.bench.rows(data_table) if row.raw_file_id == file_id)

    def perform(self, kind: str, **payload: Any) -> Any:
        """Return the result of a job."""
        context = self.bench.claim(add_job(self.bench.engine, self.program, kind, payload=payload))
        self.bench.finish(context, handler(kind)(context))
        return self.bench.rows(result)[-1]

    def screen(self, file_id: uuid.UUID, **asked: Any) -> Any:
        """Return the answer of a screening of the file."""
        question = StoredScreenRequest(**({"screens": SCREENS} | asked)).model_dump(mode="json")
        return self.perform("screening", raw_file_id=str(file_id), question=question)

    def assemble(self, **asked: Any) -> Any:
        """Return the answer of an assembly, by default as of now."""
        defaults = {"program": "p", "freeze_at": datetime.now(UTC)}
        question = AssemblyRequest(**(defaults | asked)).model_dump(mode="json")
        return self.perform("unit-evidence", question=question)

    def table(self, document: Any) -> dict[str, list[Any]]:
        """Return the columns of an assembled table, as its stored records have them."""
        context = self.bench.claim(add_job(self.bench.engine, self.program))
        (source,) = load_tables(context, [document["table"]["id"]], "unit_evidence")
        return {name: values.tolist() for name, values in source.table.columns.items()}
