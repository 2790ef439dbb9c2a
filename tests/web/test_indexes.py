"""No page reads a whole table that grows: with sequential scans priced out, there is an index for everything."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text, update

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
    "/reliability?kind=screening&verdict=outliers", "/maps?kind=wafer_map",
)  # fmt: skip


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
