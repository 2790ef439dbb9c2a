"""Damaged logs, maps and tables: refused with a reason or read consistently, and nothing else is ever raised."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.errors import InstrumentError
from instruments.packing import pack
from instruments.records import ReadResult, Table
from instruments.registry import Registry
from tests.adapter_contract.cases import CASES, Case
from tests.instruments.probing.test_mutations import LONG, SHORT, Damage, damage

ADAPTERS = Registry.load(strict=True).adapters
NAMES = ("atdf", "stdf", "e142_map", "g85_map", "sinf_map", "wmap_map", "readouts", "lifetimes")
INDICES = {"part_index": "test_part", "test_index": "test_item", "wafer_index": "test_wafer"}


def check(case: Case, steps: list[tuple[str, int, Any]], folder: Path) -> None:
    data = case.files[""]
    for step in steps:
        data = damage(data, step)
    folder.mkdir(exist_ok=True)
    source = case.place(folder, {"": data})
    adapter = ADAPTERS[case.adapter]
    adapter.sniff(source)
    try:
        format_name, records = adapter.read(source)
        result = ReadResult(source.name, format_name, adapter.name, adapter.version, tuple(records))
        pack(result, folder / "packed")
    except InstrumentError as error:
        error.to_document()
        return
    check_tables(result)


def check_tables(result: ReadResult) -> None:
    """Columns are equally long, and an index points into the table that it names."""
    tables = {record.kind: record for record in result.records if isinstance(record, Table)}
    assert len(tables) == len(result.records) or set(tables) == {"wafer_map"}
    for table in tables.values():
        assert {len(values) for values in table.columns.values()} == {table.row_count}
        for column, other in INDICES.items():
            if column in table.columns and table.row_count:
                rows = tables[other].row_count if other in tables else 0
                assert np.min(table.columns[column]) >= -1
                assert np.max(table.columns[column]) < rows


@pytest.mark.parametrize("name", NAMES)
@SHORT
@given(steps=st.lists(Damage, min_size=1, max_size=3))
def test_damage_is_refused_or_harmless(name: str, tmp_path: Path, steps: list[tuple[str, int, Any]]) -> None:
    check(CASES[name], steps, tmp_path / "case")


@pytest.mark.fuzz
@pytest.mark.parametrize("name", NAMES)
@LONG
@given(steps=st.lists(Damage, min_size=1, max_size=5))
def test_much_damage_is_refused_or_harmless(name: str, tmp_path: Path, steps: list[tuple[str, int, Any]]) -> None:
    check(CASES[name], steps, tmp_path / "case")
