"""What is in the database and the store, against what was sent: file by file, record by record, byte by byte."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from benchmarks.mixed_files.population import Sent, firsts
from db.blobs import BlobStore

Database = psycopg.Connection[TupleRow]
EXAMPLES = 5

_RECORDS = """
SELECT coalesce(bundle_id, raw_file_id), kind, count(*), sum(held)::bigint FROM (
    SELECT bundle_id, raw_file_id, 'waveform' AS kind, sample_count AS held FROM faultlight.waveform
    UNION ALL SELECT bundle_id, raw_file_id, kind, row_count FROM faultlight.data_table
    UNION ALL SELECT bundle_id, raw_file_id, kind, row_count * column_count * jsonb_array_length(bands)
        FROM faultlight.raster
    UNION ALL SELECT bundle_id, raw_file_id, 'digital_trace', (summary->>'count')::bigint FROM faultlight.digital_trace
    UNION ALL SELECT bundle_id, raw_file_id, 'netlist', (summary->>'count')::bigint FROM faultlight.netlist
    UNION ALL SELECT bundle_id, raw_file_id, 'pattern_set', (summary->>'count')::bigint FROM faultlight.pattern_set
    UNION ALL SELECT bundle_id, raw_file_id, 'fail_log', (summary->>'count')::bigint FROM faultlight.fail_log
    UNION ALL SELECT bundle_id, raw_file_id, 'placement', (summary->>'count')::bigint FROM faultlight.placement
    UNION ALL SELECT bundle_id, raw_file_id, 'probing_session', 0 FROM faultlight.probing_session
) AS record GROUP BY 1, 2
"""
_PLACES = """
SELECT blob_key, byte_offset, byte_length, sha256 FROM faultlight.waveform
UNION ALL SELECT blob_key, byte_offset, byte_length, sha256 FROM faultlight.data_table
UNION ALL SELECT blob_key, byte_offset, byte_length, sha256 FROM faultlight.raster
UNION ALL SELECT blob_key, byte_offset, byte_length, sha256 FROM faultlight.digital_trace
UNION ALL SELECT blob_key, byte_offset, byte_length, sha256 FROM faultlight.netlist
UNION ALL SELECT blob_key, byte_offset, byte_length, sha256 FROM faultlight.pattern_set
UNION ALL SELECT blob_key, byte_offset, byte_length, sha256 FROM faultlight.fail_log
UNION ALL SELECT blob_key, byte_offset, byte_length, sha256 FROM faultlight.placement
ORDER BY blob_key, byte_offset
"""


@dataclass
class Account:
    """What was compared, and what does not agree; ``held`` is kind to (rows, samples) in the database."""

    contents: int = 0
    stored: int = 0
    quarantined: int = 0
    repeated: int = 0
    originals: int = 0
    record_parts: int = 0
    bytes_compared: int = 0
    held: dict[str, tuple[int, int]] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def expect(self, what: str, expected: object, found: object) -> None:
        """Note a difference."""
        if expected != found:
            self.differences.append(f"{what}: expected {expected}, found {found}")


def reconcile(database: Database, blobs: BlobStore, sent: list[Sent], answers: dict[str, str]) -> Account:
    """Compare everything.

    ``answers`` is what each path that was sent was told to be: the id of its file or bundle.
    """
    account = Account(contents=sum(1 for _ in firsts(sent)), repeated=sum(one.repeats for one in sent))
    _compare_subjects(account, database, sent, answers)
    _compare_originals(account, database, blobs, sent)
    _compare_parts(account, database, blobs)
    _compare_store(account, database, blobs)
    _compare_work(account, database)
    return account


def _compare_subjects(account: Account, database: Database, sent: list[Sent], answers: dict[str, str]) -> None:
    """Each content is one file or bundle, in its state, read once, with its records; repeated ones are the same."""
    ids = {sha256: str(identity) for identity, sha256 in database.execute("SELECT id, sha256 FROM faultlight.raw_file")}
    bundles = database.execute("SELECT id, content_sha256, state FROM faultlight.bundle").fetchall()
    bundle_ids = {sha256: str(identity) for identity, sha256, _ in bundles}
    states = {str(identity): state for identity, _, state in bundles}
    query = "SELECT id, state FROM faultlight.raw_file"
    states |= {str(identity): state for identity, state in database.execute(query)}
    account.expect("bundles", len({one.content for one in sent if one.is_bundle}), len(bundles))
    events: dict[str, list[tuple[str, str | None]]] = {}
    query = "SELECT coalesce(bundle_id, raw_file_id), outcome, adapter FROM faultlight.ingest_event"
    for identity, outcome, adapter in database.execute(query):
        events.setdefault(str(identity), []).append((outcome, adapter))
    records: dict[str, dict[str, tuple[int, int]]] = {}
    for identity, kind, rows, held in database.execute(_RECORDS):
        records.setdefault(str(identity), {})[kind] = (rows, held)
        before = account.held.get(kind, (0, 0))
        account.held[kind] = (before[0] + rows, before[1] + held)
    for one in sent:
        identity = (bundle_ids if one.is_bundle else ids).get(one.content, "nowhere")
        account.expect(f"{one.path.name} answered", identity, answers.get(str(one.path)))
        if one.repeats:
            continue
        outcome = "stored" if one.adapter is not None else "quarantined"
        account.expect(f"{one.path.name} state", outcome, states.get(identity))
        account.expect(f"{one.path.name} readings", [(outcome, one.adapter)], events.pop(identity, []))
        account.expect(f"{one.path.name} records", dict(one.counts), records.pop(identity, {}))
        account.stored += outcome == "stored"
        account.quarantined += outcome == "quarantined"
    account.expect("readings of what was not sent", 0, len(events))
    account.expect("records of what was not sent", 0, len(records))


def _compare_originals(account: Account, database: Database, blobs: BlobStore, sent: list[Sent]) -> None:
    """Every content of a file is there once, and the store gives back its bytes."""
    expected = {one.files[path]: one.sizes[path] for one in sent for path in one.files}
    rows = database.execute("SELECT sha256, size_bytes, blob_key FROM faultlight.raw_file").fetchall()
    account.originals = len(rows)
    account.expect("originals", Counter(expected.keys()), Counter(sha256 for sha256, _, _ in rows))
    for sha256, size_bytes, key in rows:
        data = b"".join(blobs.stream(key))
        account.bytes_compared += len(data)
        account.expect(
            f"bytes of {key}", (expected.get(sha256), sha256), (size_bytes, hashlib.sha256(data).hexdigest())
        )


def _compare_parts(account: Account, database: Database, blobs: BlobStore) -> None:
    """Every record's bytes have the record's sha256."""
    key, data = "", b""
    for blob_key, offset, length, sha256 in _stream(database, _PLACES):
        if blob_key != key:
            key, data = blob_key, b"".join(blobs.stream(blob_key))
            account.bytes_compared += len(data)
        account.record_parts += 1
        found = hashlib.sha256(data[offset : offset + length]).hexdigest()
        account.expect(f"record in {key} at {offset}", sha256, found)


def _stream(database: Database, query: str) -> Iterator[tuple[Any, ...]]:
    with database.transaction(), database.cursor("parts") as cursor:
        cursor.itersize = 10_000
        cursor.execute(query.encode())
        yield from cursor


def _compare_store(account: Account, database: Database, blobs: BlobStore) -> None:
    """The store holds what the rows name and nothing else."""
    rows: Iterable[tuple[str, int]] = database.execute("SELECT key, size_bytes FROM faultlight.blob").fetchall()
    named, there = dict(rows), {blob.key: blob.size_bytes for blob in blobs.list()}
    account.expect("objects that no row names", 0, len(there.keys() - named.keys()))
    account.expect("rows without their object", 0, len(named.keys() - there.keys()))
    account.expect("sizes of objects", 0, sum(named[key] != there[key] for key in named.keys() & there.keys()))


def _compare_work(account: Account, database: Database) -> None:
    """One job for each content, all done; no lease held, no upload unfinished."""
    query = "SELECT state, count(*) FROM faultlight.job WHERE kind = 'ingest' GROUP BY state"
    states: dict[str, int] = dict(database.execute(query).fetchall())
    account.expect("jobs", {"succeeded": account.contents}, states)
    held = "SELECT count(*) FROM faultlight.job WHERE lease_token IS NOT NULL OR state IN ('queued', 'running')"
    account.expect("leases held", (0,), database.execute(held).fetchone())
    open_uploads = "SELECT count(*) FROM faultlight.upload WHERE completed_at IS NULL"
    account.expect("uploads unfinished", (0,), database.execute(open_uploads).fetchone())
