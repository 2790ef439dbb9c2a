"""COPY from columns writes what COPY from rows writes, which writes what INSERT writes."""

import uuid
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Double,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from db import bulk
from db.bulk import ColumnBlock, copy_blocks, copy_rows
from db.identifiers import uuid7_column

THINGS = Table(
    "thing",
    MetaData(schema="public"),
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("owner", UUID(as_uuid=True)),
    Column("place", Integer, CheckConstraint("place < 1000000", name="place")),
    Column("size", BigInteger),
    Column("low", Double),
    Column("high", Double),
    Column("name", Text),
    Column("digest", Text),
    Column("notes", JSONB),
    Column("checked", Boolean),
    Column("origin", Text, server_default="default"),
)
CONSTANTS: dict[str, Any] = {"owner": uuid.uuid4(), "name": "Ω µ", "notes": {"a": [1, None, "ü"]}, "checked": True}


@pytest.fixture
def connection(engine: Engine) -> Any:
    with engine.connect() as connected:
        THINGS.create(connected)
        yield connected


def make_block(count: int, constants: dict[str, Any] | None = None) -> ColumnBlock:
    numbers = np.random.default_rng(count)
    columns = {
        "id": uuid7_column(count),
        "place": np.arange(count),
        "size": numbers.integers(-(2**63), 2**63 - 1, count, np.int64, endpoint=True),
        "low": np.where(numbers.random(count) < 0.3, np.nan, numbers.normal(size=count)),
        "high": np.where(numbers.random(count) < 0.3, np.nan, np.inf),
        "digest": np.frombuffer(numbers.bytes(32 * count).hex().encode(), "S64"),
    }
    return ColumnBlock(count, CONSTANTS if constants is None else constants, columns)


def as_rows(block: ColumnBlock) -> list[dict[str, Any]]:
    rows = []
    for index in range(block.count):
        own = {name: column[index].item() for name, column in block.columns.items()}
        own["id"] = uuid.UUID(bytes=block.columns["id"][index].tobytes())
        own["digest"] = own["digest"].decode()
        own |= {name: None for name in ("low", "high") if np.isnan(own[name])}
        rows.append({**block.constants, **own})
    return rows


def stored(connection: Connection) -> list[dict[str, Any]]:
    names = [column for column in THINGS.columns if column.name != "origin"]
    return [dict(row) for row in connection.execute(select(*names).order_by(THINGS.c.id)).mappings()]


@pytest.mark.parametrize("count", [1, 2, 500])
@pytest.mark.parametrize("chunk_bytes", [1, 10_000, 1 << 20])
def test_columns_rows_and_inserts_write_the_same(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, count: int, chunk_bytes: int
) -> None:
    monkeypatch.setattr(bulk, "_CHUNK_BYTES", chunk_bytes)
    block = make_block(count)
    rows = as_rows(block)
    written = []
    for write in (
        lambda: copy_blocks(connection, THINGS, [block]),
        lambda: copy_rows(connection, THINGS, rows),
        lambda: connection.execute(THINGS.insert(), rows),
    ):
        write()
        written.append(stored(connection))
        connection.execute(THINGS.delete())
    assert written[0] == written[1] == written[2]
    assert written[0] == [{name: row[name] for name in written[0][0]} for row in rows]


@pytest.mark.parametrize("count", [1, 500])
def test_they_say_how_many_they_wrote(connection: Connection, count: int) -> None:
    assert copy_rows(connection, THINGS, as_rows(make_block(count))) == count
    assert copy_blocks(connection, THINGS, [make_block(count)]) == count


def test_blocks_follow_each_other(connection: Connection) -> None:
    nothing = {**dict.fromkeys(CONSTANTS), "name": ""}
    blocks = [make_block(3), make_block(0), make_block(2, nothing)]
    assert copy_blocks(connection, THINGS, blocks) == 5
    found = stored(connection)
    assert [row["place"] for row in found] == [0, 1, 2, 0, 1]
    assert [row["name"] for row in found] == ["Ω µ"] * 3 + [""] * 2
    assert (found[4]["owner"], found[4]["notes"], found[4]["checked"]) == (None, None, None)
    assert {row.origin for row in connection.execute(select(THINGS.c.origin))} == {"default"}


def test_no_block_is_no_copy(connection: Connection) -> None:
    assert copy_blocks(connection, THINGS, []) == 0


def test_an_integer_that_does_not_fit_is_refused(connection: Connection) -> None:
    block = make_block(2)
    block.columns["place"][1] = 2**31  # type: ignore[index]
    with pytest.raises(OverflowError, match="a value does not fit place"):
        copy_blocks(connection, THINGS, [block])


def test_a_column_of_another_type_is_refused(connection: Connection) -> None:
    block = ColumnBlock(1, {}, {"size": np.array([1.5])})
    with pytest.raises(KeyError, match="no binary form of float64"):
        copy_blocks(connection, THINGS, [block])


def test_a_broken_constraint_is_told(connection: Connection) -> None:
    block = make_block(2)
    block.columns["place"][1] = 1_000_000  # type: ignore[index]
    with pytest.raises(psycopg.errors.CheckViolation):
        copy_blocks(connection, THINGS, [block])
