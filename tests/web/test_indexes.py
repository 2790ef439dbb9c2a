"""No page reads a whole table that grows: with sequential scans priced out, there is an index for everything."""

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text, update

from db.engine import make_engine
from db.schema import files
from tests.web.conftest import Console
from tests.web.test_pages import PAGES

SMALL = {"program", "account", "membership", "instrument", "api_key", "account_credential", "agent_report", "blob"}
"""Tables of what an installation has, not of what it does; blobs are only read by key."""
FILTERED = (
    "/files?state=quarantined", "/files?filename=a.csv", "/files?format=stdf", "/jobs?state=running",
    "/jobs?state=dead&order=oldest", "/jobs?kind=localize", "/waveforms?net=G16", "/waveforms?name=C1",
    "/sessions?role=suspect&name=S-1", "/cases?state=open", "/cases?search=dead",
    "/findings?kind=suspect", "/charts?state=out-of-control",
    "/bundles?state=open", "/admin/audit?actor=account:x&action=case.opened", "/jobs?export=csv",
    "/reliability?kind=screening&verdict=outliers", "/maps?kind=wafer_map", "/waveforms?id={waveform_id}",
    "/layouts?filename=a.csv", "/instruments?name=x", "/findings?subject=n1", "/admin/audit?subject={file_id}",
    "/cases?mechanism=not+determined", "/jobs?queue=gpu&state=failed", "/files?instrument={instrument_id}",
    "/waveforms?order=oldest", "/files?order=oldest", "/cases?order=oldest", "/sessions?order=oldest",
    "/jobs?order=oldest", "/findings?order=oldest", "/admin/audit?order=oldest", "/maps?order=oldest",
)  # fmt: skip
ROWS = 4000
MOST_ROWS = 1000
"""More than any page shows, with what stands beside its rows; far fewer than a list of ``ROWS`` walked through."""
RARE = (
    "/waveforms?net=none", "/waveforms?name=none", "/waveforms?net=none&name=w1", "/jobs?kind=none", "/jobs?queue=gpu",
    "/jobs?state=failed", "/jobs?state=cancelled", "/jobs?state=running", "/jobs?kind=none&queue=gpu&state=dead",
    "/files?filename=none", "/files?format=none", "/files?state=received&format=none", "/findings?kind=none",
    "/findings?subject=none", "/findings?kind=suspect&subject=none", "/admin/audit?actor=none",
    "/admin/audit?action=none", "/admin/audit?actor=service:many&action=none", "/admin/audit?subject={nothing}",
    "/reliability?kind=screening&verdict=none", "/", "/waveforms", "/jobs", "/files", "/findings", "/admin/audit",
    "/waveforms?order=oldest", "/jobs?order=oldest", "/files?order=oldest", "/findings?order=oldest",
)  # fmt: skip
"""Lists of which hardly a row passes the filter, and without one."""
MANY = (
    """
INSERT INTO faultlight.waveform (id, program_id, raw_file_id, record_index, name, net, blob_key, byte_offset,
    byte_length, sha256, member_path, sample_count, dtype, gain, "offset", unit)
SELECT gen_random_uuid(), w.program_id, w.raw_file_id, 1000 + n, 'w' || n % 9, 'n' || n, w.blob_key, 0, 2, w.sha256,
    '', 1, '<i2', 1, 0, 'V'
FROM (SELECT * FROM faultlight.waveform LIMIT 1) AS w, generate_series(1, :rows) AS n""",
    """
INSERT INTO faultlight.job (id, job_key, program_id, kind, queue, payload, state, requested_by, finished_at)
SELECT gen_random_uuid(), 'k' || n, p.id, 'ingest', 'ingest', '{}', 'succeeded', 'service:many', now()
FROM (SELECT id FROM faultlight.program LIMIT 1) AS p, generate_series(1, :rows) AS n""",
    """
INSERT INTO faultlight.raw_file (id, program_id, filename, size_bytes, sha256, blob_key, state, format)
SELECT gen_random_uuid(), p.id, 'f' || n, 1, h.hash, 'raw/' || p.id || '/' || h.hash, 'stored', 'csv'
FROM (SELECT id FROM faultlight.program LIMIT 1) AS p, generate_series(1, :rows) AS n,
    LATERAL (SELECT encode(sha256(n::text::bytea), 'hex') AS hash) AS h""",
    """
INSERT INTO faultlight.result (id, job_key, job_id, program_id, kind, body, provenance)
SELECT gen_random_uuid(), 'r' || n, j.id, j.program_id, 'localize', '{}', '{}'
FROM (SELECT * FROM faultlight.job LIMIT 1) AS j, generate_series(1, :rows) AS n""",
    """
INSERT INTO faultlight.finding (id, program_id, result_id, kind, rank, subject)
SELECT gen_random_uuid(), r.program_id, r.id, 'suspect', 1000 + n, 'n' || n
FROM (SELECT * FROM faultlight.result LIMIT 1) AS r, generate_series(1, :rows) AS n""",
    """
INSERT INTO faultlight.audit_event (id, program_id, actor, action, subject_type, subject_id)
SELECT gen_random_uuid(), p.id, 'service:many', 'file.received', 'raw_file', gen_random_uuid()
FROM (SELECT id FROM faultlight.program LIMIT 1) AS p, generate_series(1, :rows) AS n""",
)


@pytest.fixture
def indexes_only(console: Console) -> Iterator[Console]:
    """The console on connections to which a sequential scan costs more than anything."""
    engine = console.api.engine
    name = engine.url.database
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" SET enable_seqscan = off'))
    _reconnect(console)
    yield console
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" RESET enable_seqscan'))


def _reconnect(console: Console) -> None:
    """Close every connection: what a backend has counted is told when it ends, and settings when it begins."""
    console.api.engine.dispose()
    console.api.state.reading_engine.dispose()


def test_no_page_reads_a_table_that_grows_from_end_to_end(indexes_only: Console) -> None:
    console = indexes_only
    ids = console.populate()
    with console.api.engine.begin() as connection:
        connection.execute(update(files.raw_file).values(format="gdsii"))
    browser = console.person("admin", admin=True)
    browser.get("/")
    _reconnect(console)
    counter = make_engine(str(console.api.engine.url.render_as_string(hide_password=False)))
    scans = text("SELECT relname, seq_scan FROM pg_stat_user_tables WHERE schemaname = 'faultlight'")
    with counter.connect() as connection:
        before = dict(connection.execute(scans).all())
    for path in (*PAGES, *FILTERED):
        answer = browser.get(path.format(**ids))
        assert answer.status_code == 200, path
    _reconnect(console)
    for _ in range(50):
        with counter.connect() as connection:
            after = dict(connection.execute(scans).all())
        if any(after[table] > before[table] for table in SMALL):
            break
    counter.dispose()
    assert [table for table in sorted(after) if after[table] > before[table] and table not in SMALL] == []


def test_no_page_reads_many_more_rows_than_it_shows(console: Console) -> None:
    """An index that gives a list its order can be walked from end to end for a filter that hardly a row passes."""
    ids = console.populate()
    browser = console.person("admin", admin=True)
    browser.get("/")
    engine = console.api.engine
    with engine.begin() as connection:
        for filling in MANY:
            connection.execute(text(filling), {"rows": ROWS})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    _reconnect(console)
    counter = make_engine(str(engine.url.render_as_string(hide_password=False)))
    wrong = []
    before = _rows_read(counter)
    for path in RARE:
        answer = browser.get(path.format(**ids, nothing=uuid.uuid4()))
        assert answer.status_code == 200, path
        _reconnect(console)
        after = _rows_read(counter)
        read = {table: count - before[table] for table, count in after.items() if count - before[table] > MOST_ROWS}
        wrong += [f"{path}: {read}"] if read else []
        before = after
    counter.dispose()
    assert not wrong, "\n".join(wrong)


def _rows_read(counter: Engine) -> dict[str, int]:
    """Return how many rows of each table have been read in any way."""
    counted = "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"
    with counter.connect() as connection:
        return {
            table: int(count) for table, count in connection.execute(text(f"{counted} WHERE schemaname = 'faultlight'"))
        }
