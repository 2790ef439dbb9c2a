"""What a program has claimed: the same as adding up every file, whoever writes them, and without looking at them."""

import threading
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, func, insert, select, text, update

from db.identifiers import uuid7
from db.repositories import quota
from db.repositories.quota import Claims
from db.schema.files import blob, raw_file, upload
from tests.workers.scenery import make_program

SIZES = (1, 20, 300)


@pytest.fixture
def database_url(fresh_database_url: str) -> str:
    """A database that was never used: what other tests left in its statistics would change plans."""
    return fresh_database_url


def add_files(connection: Connection, program_id: uuid.UUID, sizes: Sequence[int] = SIZES) -> None:
    for size in sizes:
        sha256 = uuid.uuid4().hex
        connection.execute(insert(blob).values(key=sha256, size_bytes=size, sha256=sha256))
        values = {"id": uuid7(), "program_id": program_id, "filename": "f", "size_bytes": size}
        connection.execute(insert(raw_file).values(**values, sha256=sha256, blob_key=sha256))


def add_upload(connection: Connection, program_id: uuid.UUID, size: int, lives_s: int = 60, **values: Any) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=lives_s)
    values |= {"id": uuid7(), "program_id": program_id, "actor": "a", "filename": "f", "length_bytes": size}
    connection.execute(insert(upload).values(**values, expires_at=expires_at))


def added_up(connection: Connection, program_id: uuid.UUID) -> int:
    query = select(func.coalesce(func.sum(raw_file.c.size_bytes), 0)).where(raw_file.c.program_id == program_id)
    return int(connection.execute(query).scalar_one())


def test_claims_are_originals_and_uploads_on_their_way(engine: Engine) -> None:
    first, second = make_program(engine, "a"), make_program(engine, "b")
    with engine.begin() as connection:
        assert quota.claims(connection, first) == Claims(0, 0)
        add_files(connection, first)
        add_files(connection, second, [5])
        add_upload(connection, first, 4000)
        add_upload(connection, first, 50_000, lives_s=-1)
        add_upload(connection, first, 600_000, completed_at=datetime.now(UTC))
        add_upload(connection, second, 7_000_000)
        assert quota.claims(connection, first) == Claims(4321, 7_004_000)
        assert quota.claims(connection, second) == Claims(7_000_005, 7_004_000)


def test_the_count_follows_every_change_and_no_rollback(engine: Engine) -> None:
    first, second = make_program(engine, "a"), make_program(engine, "b")
    with engine.begin() as connection:
        add_files(connection, first)
        connection.execute(update(raw_file).where(raw_file.c.size_bytes == 1).values(size_bytes=2))
        connection.execute(update(raw_file).where(raw_file.c.size_bytes == 20).values(program_id=second))
        connection.execute(update(raw_file).values(state="stored"))
        connection.execute(delete(raw_file).where(raw_file.c.size_bytes == 300))
    with engine.connect() as connection:
        add_files(connection, first, [1000])
        connection.rollback()
        for one in (first, second):
            assert quota.claims(connection, one).program_bytes == added_up(connection, one)
        assert quota.claims(connection, first).program_bytes == 2


def test_the_count_is_right_when_many_write_at_once(engine: Engine) -> None:
    program_id = make_program(engine)

    def write(index: int) -> None:
        for size in range(10):
            with engine.begin() as connection:
                add_files(connection, program_id, [index * 100 + size])

    threads = [threading.Thread(target=write, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert quota.claims(connection, program_id).program_bytes == added_up(connection, program_id) == 15_270


def plan(connection: Connection, query: str) -> str:
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    return "\n".join(connection.execute(text(f"EXPLAIN {query}")).scalars())


def test_neither_files_nor_finished_uploads_are_looked_at(engine: Engine) -> None:
    with engine.begin() as connection:
        statement = quota._CLAIMS.params(program_id=uuid.uuid4())
        query = statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
        shown = plan(connection, str(query))
    assert "ix_upload_unfinished" in shown
    assert "raw_file" not in shown


def test_jobs_of_a_subject_are_found_by_an_index(engine: Engine) -> None:
    with engine.begin() as connection:
        for subject in ("raw_file", "bundle", "probing_session"):
            condition = f"payload ->> '{subject}_id' = '{uuid.uuid4()}'"
            query = f"SELECT * FROM faultlight.job WHERE {condition} ORDER BY id DESC LIMIT 10"
            assert f"ix_job_of_{subject}" in plan(connection, query)
