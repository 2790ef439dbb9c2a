"""What lists and single rows of records look like."""

import uuid
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from db.schema.files import FileState
from db.schema.work import JobState

Item = TypeVar("Item", bound=BaseModel)


class Page(BaseModel, Generic[Item]):
    """One page; ``next`` is the cursor of the page after it, null at the end."""

    items: list[Item]
    next: str | None


class Row(BaseModel):
    """What every row has."""

    id: uuid.UUID
    created_at: datetime


class ProgramRow(Row):
    """A row that belongs to a program."""

    program_id: uuid.UUID


class FileItem(ProgramRow):
    """An original file."""

    instrument_id: uuid.UUID | None
    filename: str
    size_bytes: int
    sha256: str
    state: FileState
    format: str | None
    adapter: str | None
    adapter_version: str | None


class FileDetail(FileItem):
    """An original file with the reasons of every adapter that refused it."""

    quarantine_reasons: Any


class BundleItem(ProgramRow):
    """A bundle."""

    instrument_id: uuid.UUID | None
    name: str
    content_sha256: str
    state: Literal["open", "received", "stored", "quarantined"]


class JobItem(ProgramRow):
    """A job and how far it is."""

    job_key: str
    kind: str
    queue: Literal["ingest", "cpu", "gpu"]
    state: JobState
    priority: int
    payload: dict[str, Any]
    attempts: int
    max_attempts: int
    lease_expires_at: datetime | None
    published_at: datetime | None
    not_before: datetime | None
    progress: float
    progress_message: str
    cancel_requested: bool
    error: Any
    worker: str | None
    requested_by: str
    request_id: str | None
    started_at: datetime | None
    finished_at: datetime | None
    estimated_finish_at: datetime | None


class RecordItem(ProgramRow):
    """A record read from a file."""

    raw_file_id: uuid.UUID
    bundle_id: uuid.UUID | None
    record_index: int
    name: str
    member_path: str
    sha256: str


class WaveformItem(RecordItem):
    """Where and what a waveform is: ``value = gain * sample + offset`` in ``unit``."""

    segment_index: int
    trigger_offset_s: float | None
    sample_count: int
    dtype: str
    gain: float
    offset: float
    unit: str
    t0_s: float | None
    dt_s: float | None
    minimum: float | None
    maximum: float | None
    kind: Literal["waveform", "envelope_min", "envelope_max", "digital_lines"]
    averages: int | None
    net: str | None
    probing_session_id: uuid.UUID | None


class WaveformDetail(WaveformItem):
    """A waveform with the vendor's own metadata, verbatim, and what is doubtful about it."""

    vendor_metadata: dict[str, Any]
    warnings: list[Any]


class SampleDocument(BaseModel):
    """The values of a waveform, in ``unit``; a value that is not finite is null."""

    id: uuid.UUID
    unit: str
    t0_s: float | None
    dt_s: float | None
    count: int
    values: list[float | None]


class ViewDocument(BaseModel):
    """Smallest and largest finite value of each bin; null where a bin has none.

    Bin ``i`` holds the samples from ``edges[i]`` up to, not including, ``edges[i + 1]``.
    """

    id: uuid.UUID
    unit: str
    t0_s: float | None
    dt_s: float | None
    first: int
    last: int
    edges: list[int]
    minimum: list[float | None]
    maximum: list[float | None]


class DocumentItem(RecordItem):
    """A record that is one document: a netlist, patterns, a fail log, a placement, a digital trace."""

    summary: dict[str, Any]


class DocumentDetail(DocumentItem):
    """The same with the vendor's own metadata and what is doubtful about it."""

    vendor_metadata: dict[str, Any]
    warnings: list[Any]


class TableItem(DocumentItem):
    """Columns with units; ``kind`` is what a row is."""

    kind: str
    row_count: int


class TableDetail(TableItem):
    """The same with the vendor's own metadata and what is doubtful about it."""

    vendor_metadata: dict[str, Any]
    warnings: list[Any]


class RasterItem(DocumentItem):
    """An image or a map of a signal; ``bands`` are pairs of name and unit."""

    kind: Literal["image", "signal_map"]
    row_count: int
    column_count: int
    bands: list[list[str]]
    dtype: str
    gain: float
    offset: float
    minimum: float | None
    maximum: float | None
    pitch_x_m: float | None
    pitch_y_m: float | None
    frequency_hz: float | None
    affine_um: list[list[float]] | None


class RasterDetail(RasterItem):
    """The same with the vendor's own metadata and what is doubtful about it."""

    vendor_metadata: dict[str, Any]
    warnings: list[Any]


class SessionItem(ProgramRow):
    """A probing session."""

    bundle_id: uuid.UUID | None
    raw_file_id: uuid.UUID | None
    unit_id: uuid.UUID | None
    name: str
    role: Literal["suspect", "golden"]
    technique: str
    simulated: bool


class SessionDetail(SessionItem):
    """A probing session with its ``session.json``, verbatim."""

    document: dict[str, Any]


class ResultItem(ProgramRow):
    """What a job found."""

    job_key: str
    job_id: uuid.UUID
    probing_session_id: uuid.UUID | None
    kind: str
    verdict: str | None
    simulated: bool


class ResultDetail(ResultItem):
    """A result with its whole document and where it comes from; it never changes."""

    body: dict[str, Any]
    provenance: dict[str, Any]


class FindingItem(BaseModel):
    """One ranked statement of a result."""

    id: uuid.UUID
    result_id: uuid.UUID
    program_id: uuid.UUID
    rank: int
    kind: str
    subject: str
    score: float | None
    probability: float | None
    interval_low: float | None
    interval_high: float | None


class FindingDetail(FindingItem):
    """A finding with its evidence."""

    evidence: dict[str, Any]


class ProductItem(ProgramRow):
    """A product."""

    name: str


class LotItem(ProgramRow):
    """A lot of a product."""

    product_id: uuid.UUID
    name: str


class WaferItem(ProgramRow):
    """A wafer of a lot."""

    lot_id: uuid.UUID
    name: str


class UnitItem(ProgramRow):
    """A die or a packaged part."""

    product_id: uuid.UUID
    wafer_id: uuid.UUID | None
    x: int | None
    y: int | None
    serial: str | None
