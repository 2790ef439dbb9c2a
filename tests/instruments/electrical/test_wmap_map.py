"""WMAP text: three counts that must agree, coordinates only where reference dies confirm them, every refusal."""

from pathlib import Path
from typing import Any

import pytest

from instruments.adapter import Confidence
from instruments.electrical.wmap_map import WmapMapAdapter
from instruments.errors import InstrumentError
from instruments.records import Table
from tests.adapter_contract.cases import place_file
from tests.instruments.electrical.wmap_files import SAMPLE

WARNINGS = (
    "the place of the notch, FNLOC1, is kept and not applied: writers do not agree on its degrees",
    "the steps of dies have no unit and are kept as they stand",
)


def read(folder: Path, text: str) -> Table:
    format_name, (table,) = WmapMapAdapter().read(place_file(folder, "a.wmap", text.encode()))
    assert format_name == "wmap"
    assert isinstance(table, Table)
    return table


def dies(table: Table) -> dict[tuple[int, int], tuple[str, str]]:
    columns = table.columns
    rows: Any = zip(columns["x"], columns["y"], columns["bin_code"], columns["quality"], strict=True)
    return {(int(x), int(y)): (str(code), str(quality)) for x, y, code, quality in rows}


def test_a_map_is_read_with_its_coordinates(tmp_path: Path) -> None:
    table = read(tmp_path, SAMPLE)
    assert (table.kind, table.name, table.warnings) == ("wafer_map", "L7.01", WARNINGS)
    assert dies(table) == {
        (1, 2): ("01", "Pass"),
        (2, 2): ("02", ""),
        (0, 1): ("XX", "Reference"),
        (1, 1): ("01", "Pass"),
        (2, 1): ("01", "Pass"),
        (3, 1): ("17", ""),
        (1, 0): ("01", "Pass"),
        (2, 0): ("XX", "Reference"),
    }
    assert table.columns["lot_id"].tolist() == ["L7"] * 8
    assert table.vendor_metadata["header"]["VERSID"] == "3.2"


@pytest.mark.parametrize(
    ("corner", "places"),
    [("1", ("+003 001", "+001 002")), ("2", ("0 1", "2 2")), ("3", ("0 1", "2 0")), ("4", ("3 1", "1 0"))],
)
def test_every_corner_is_confirmed_by_the_reference_dies(tmp_path: Path, corner: str, places: tuple[str, str]) -> None:
    text = SAMPLE.replace("ORLOC1 3", f"ORLOC1 {corner}")
    for number, (old, new) in enumerate(zip(("+000 +001", "+002 +000"), places, strict=True), 1):
        (old_x, old_y), (x, y) = old.split(), new.split()
        text = text.replace(f"REFPX{number} {old_x}", f"REFPX{number} {x}").replace(
            f"REFPY{number} {old_y}", f"REFPY{number} {y}"
        )
    table = read(tmp_path, text)
    assert table.warnings == WARNINGS
    found = {place for place, die in dies(table).items() if die[1] == "Reference"}
    assert found == {(int(x), int(y)) for x, y in (place.split() for place in places)}


def test_coordinates_that_nothing_confirms_are_left_out(tmp_path: Path) -> None:
    table = read(tmp_path, SAMPLE.replace("REFPY1 +001", "REFPY1 +002"))
    assert "x" not in table.columns
    assert table.columns["row"].tolist() == [0, 0, 1, 1, 1, 1, 2, 2]
    assert table.warnings[-1] == (
        "no reference die lies at (0, 2) from the corner of origin, so that the dies have no coordinates"
    )


def test_rows_without_names_and_with_blanks_between_codes(tmp_path: Path) -> None:
    bare = SAMPLE.replace("MAP001 00010200", "00 01 02 00").replace("MAP002 ", "").replace("MAP003 ", "")
    assert dies(read(tmp_path, bare.replace("\n", "\r\n"))) == dies(read(tmp_path, SAMPLE))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "SUMPAS 4",
            "SUMPAS 5",
            "CountMismatch: a.wmap: the map does not have as many good dies as SUMPAS (expected 5, found 4)",
        ),
        ("ROWCNT 3", "ROWCNT 4", "Truncated: a.wmap: the map has fewer rows than ROWCNT (expected 4, found 3)"),
        (
            "ROWCNT 3",
            "ROWCNT 2",
            "CountMismatch: a.wmap: the map does not have as many rows as ROWCNT (expected 2, found 3)",
        ),
        (
            "MAP002 XX010117",
            "MAP002 XX3(01)",
            "CountMismatch: a.wmap: the row does not hold COLCNT codes of 2 characters (COMPRE 2) at line 24 "
            "(expected 8, found 7)",
        ),
        (
            "MAP002",
            "MAP003",
            "CorruptField: a.wmap: the rows are not numbered one after another at line 24 "
            "(expected MAP002, found MAP003)",
        ),
        (
            "SKIPDI 00",
            "PASBIN 02",
            "CorruptField: a.wmap: PASBIN is given twice at line 19 (found 02,XX)",
        ),
        (
            "SKIPDI 00",
            "SKIPDI 01",
            "CorruptField: a.wmap: a code is of good dies and of others (found 01)",
        ),
        (
            "REFBIN XX",
            "REFBIN X",
            "CorruptField: a.wmap: REFBIN is no list of codes of equal width (expected 2, found X)",
        ),
        (
            "REFPY2 +000",
            "REFPY2 low",
            "CorruptField: a.wmap: the position of the reference die 2 is not right (found +002 low)",
        ),
        ("COLCNT 4", "COLCNT four", "CorruptField: a.wmap: COLCNT is no count (found four)"),
        ("SUMPAS 4\n", "", "NotThisFormat: a.wmap: the map does not say SUMPAS"),
    ],
)
def test_every_word_of_a_refusal(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SAMPLE
    with pytest.raises(InstrumentError) as caught:
        WmapMapAdapter().read(place_file(tmp_path, "a.wmap", SAMPLE.replace(old, new).encode()))
    assert f"{type(caught.value).__name__}: {caught.value}" == message


def test_it_takes_only_its_own(tmp_path: Path) -> None:
    adapter = WmapMapAdapter()
    assert adapter.sniff(place_file(tmp_path, "x", SAMPLE.encode())).confidence is Confidence.CERTAIN
    for text in ("", "ROWCT:3\nCOLCT:4\nRowData:00\n", SAMPLE.replace("SUMPAS", "SUMFAL"), "time_s,v\n0,1\n"):
        assert adapter.sniff(place_file(tmp_path, "x", text.encode())).confidence is Confidence.NO
