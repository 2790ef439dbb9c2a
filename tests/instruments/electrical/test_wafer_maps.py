"""Wafer maps: which die lies where under each origin, axis and orientation, and what is refused."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instruments.adapter import Confidence
from instruments.electrical import wafer_grid
from instruments.electrical.e142_map import E142MapAdapter
from instruments.electrical.g85_map import G85MapAdapter
from instruments.electrical.sinf_map import SinfMapAdapter
from instruments.errors import InstrumentError, ReaderCrashed, ReadingLimit
from instruments.registry import Registry, read_source
from tests.instruments.electrical.wafer_map_writer import DIES, PICTURE, SINF, bins, e142, e142_body, g85
from tests.instruments.mask.sources import read_all, source_of, written

E142, G85, SINF_READER = E142MapAdapter(), G85MapAdapter(), SinfMapAdapter()
ONLY = Registry([E142, G85, SINF_READER])


def read_one(folder, adapter, content):
    _, (table,) = read_all(adapter, written(folder, "map", content))
    return table


def place_of(table, code="X"):
    """The first die with this code: its coordinates and its place when turned upright."""
    row = table.columns["bin_code"].tolist().index(code)
    return {name: table.columns[name][row] for name in ("row", "column", "x", "y", "upright_row", "upright_column")}


def test_a_map_of_e142(tmp_path):
    table = read_one(tmp_path, E142, e142())
    assert (table.kind, table.name, table.row_count, table.warnings) == ("wafer_map", "W1", DIES, ())
    assert Counter(table.columns["bin_code"].tolist()) == {"1": 10, "2": 3, "X": 2}
    assert Counter(table.columns["quality"].tolist()) == {"Pass": 10, "Fail": 5}
    assert set(table.columns["lot_id"].tolist()) == {"L7"}
    assert (table.columns["step_x_um"][0], table.columns["step_y_um"][0], table.units["step_x_um"]) == (500, 2000, "um")
    assert table.vendor_metadata["places_without_die"] == 5
    assert table.vendor_metadata["map"]["substrate"]["OriginLocation"] == "UpperLeft"
    assert "bin_number" not in table.columns


@pytest.mark.parametrize(
    ("origin", "axes", "x", "y"),
    [
        ("UpperLeft", "DownRight", 3, 2),
        ("UpperRight", "DownLeft", 1, 2),
        ("LowerLeft", "UpRight", 3, 1),
        ("LowerRight", "UpLeft", 1, 1),
        ("LowerLeft", "DownRight", 3, -1),
        ("UpperRight", "UpRight", -1, -2),
    ],
)
def test_origin_and_axes_give_coordinates(tmp_path, origin, axes, x, y):
    body = e142_body(attributes=f'OriginLocation="{origin}" AxisDirection="{axes}"')
    place = place_of(read_one(tmp_path, E142, e142(body)))
    assert (place["row"], place["column"], place["x"], place["y"]) == (2, 3, x, y)


def test_a_centre_needs_odd_numbers_of_dies(tmp_path):
    centre = 'OriginLocation="Center" AxisDirection="UpRight"'
    odd = e142(e142_body(picture=PICTURE[1:], attributes=centre), rows=3)
    assert {place_of(read_one(tmp_path, E142, odd))[name] for name in ("x",)} == {1}
    table = read_one(tmp_path, E142, e142(e142_body(attributes=centre)))
    assert "x" not in table.columns
    assert table.warnings == (
        "the map's origin is the centre of an even number of dies, so that it has no coordinates",
    )


def test_without_origin_and_axes_the_standards_own_are_taken_and_said(tmp_path):
    table = read_one(tmp_path, E142, e142(e142_body(attributes="")))
    assert (place_of(table)["x"], place_of(table)["y"]) == (3, 1)
    assert table.warnings == ("origin or axes are not given; the standard's lower left, up and right were taken",)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_map_is_turned_back(tmp_path, degrees):
    """The picture that numpy turns clockwise comes back as the upright one."""
    upright = np.array([list(row) for row in PICTURE])
    turned = np.rot90(upright, -degrees // 90)
    body = e142_body(picture=["".join(row) for row in turned], orientation=degrees)
    table = read_one(tmp_path, E142, e142(body, columns=turned.shape[1], rows=turned.shape[0]))
    back = np.full(upright.shape, ".")
    back[table.columns["upright_row"], table.columns["upright_column"]] = table.columns["bin_code"].tolist()
    assert back.tolist() == upright.tolist()


@pytest.mark.parametrize(
    ("kind", "null", "wide", "numbers"),
    [
        ("HexaDecimal", "FF", {"1": "01", "2": "2a", "X": "0F", ".": "ff"}, {1, 42, 15}),
        ("Decimal", "255", {"1": "001", "2": "042", "X": "015", ".": "255"}, {1, 42, 15}),
        ("Integer2", "FFFF", {"1": "0001", "2": "0100", "X": "010F", ".": "FFFF"}, {1, 256, 271}),
    ],
)
def test_codes_of_each_width(tmp_path, kind, null, wide, numbers):
    table = read_one(tmp_path, E142, e142(e142_body(kind=kind, null=null, wide=wide.__getitem__)))
    assert table.row_count == DIES
    assert set(table.columns["bin_number"].tolist()) == numbers
    assert Counter(table.columns["quality"].tolist()) == {"Pass": 10, "Fail": 5}


def test_several_substrates_are_several_tables_whatever_the_namespace(tmp_path):
    content = e142(e142_body("W1"), e142_body("W2"), version="V0211")
    for text in (
        content,
        content.replace(' xmlns="urn', ' xmlns:m="urn').replace("<Bin", "<m:Bin").replace("</Bin", "</m:Bin"),
    ):
        _, tables = read_all(E142, written(tmp_path, "map", text))
        assert [(table.name, table.row_count) for table in tables] == [("W1", DIES), ("W2", DIES)]
        assert set(tables[1].columns["lot_id"].tolist()) == {""}


def test_several_definitions_of_one_code_complete_each_other(tmp_path):
    doubled = '<BinDefinition BinCode="1" BinDescription="good" BinQuality="Pass"/>' + bins(PICTURE).replace(
        'BinQuality="Pass" ', ""
    )
    table = read_one(tmp_path, E142, e142(e142_body(bins=doubled)))
    assert Counter(table.columns["quality"].tolist()) == {"Pass": 10, "Fail": 5}
    assert table.columns["description"].tolist()[0] == "good; bin 1"
    assert table.warnings == ("bins are defined more than once: 1",)


def test_parts_of_a_bins_count_may_be_given_apart(tmp_path):
    parts = bins(PICTURE).replace('BinCount="10"', 'BinCount="7"') + '<BinDefinition BinCode="1" BinCount="3"/>'
    assert read_one(tmp_path, E142, e142(e142_body(bins=parts))).row_count == DIES


def test_what_the_map_does_not_say_is_doubted(tmp_path):
    body = e142_body(bins='<BinDefinition BinCode="1" BinCount="0" BinQuality="Pass"/>')
    body = (
        body.replace(' NullBin="."', "")
        .replace("<Overlay ", "<Overlay Note='a' ")
        .replace(
            "<BinCodeMap", "<ReferenceDevices><ReferenceDevice Name='a'/></ReferenceDevices><DeviceIdMap/><BinCodeMap"
        )
    )
    table = read_one(tmp_path, E142, e142(body.replace("Wafer/Dies", "Wafer/Others")))
    assert table.row_count == 20
    assert table.warnings == (
        "overlays that are no bin codes were not read: DeviceIdMap",
        "the map's layout is not described, so that its size could not be compared",
        "nothing in the file but its tags says how many dies there are",
        "the map has no code for places without a die; all its places were read as dies",
        "reference devices are kept in the metadata; coordinates are counted from the origin",
        "all counts of bins are zero and were not compared",
        "codes without a definition: ., 2, X",
    )


BOMB = '<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><MapData>&b;</MapData>'
OUTSIDE = '<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]><MapData><SubstrateMap>&x;</SubstrateMap></MapData>'
HEX = {"1": "01", "2": "2A", "X": "0F", ".": "FF"}
NO_ENTITIES = "the XML has a document type or entities, which are not read"


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (BOMB, "CorruptField", NO_ENTITIES),
        (OUTSIDE, "CorruptField", NO_ENTITIES),
        ("<Other/>", "NotThisFormat", "the XML is of another kind (expected MapData, found Other)"),
        ("x", "NotThisFormat", "the file is no XML"),
        ("<MapData/>", "NotThisFormat", "the file has no map of bin codes"),
        ("<MapData>", "CorruptField", "the XML is damaged: no element found: line 1, column 9 at line 1"),
        (
            e142().encode("utf-16-le"),
            "UnsupportedVersion",
            "the map is in an encoding of two bytes without a mark, which is not read",
        ),
        (
            e142(columns=6),
            "CountMismatch",
            "row 1 of the map of W1 does not have as many codes as its layout (expected 6 characters, found 5)",
        ),
        (e142(rows=5), "CountMismatch", "the map of W1 does not have as many rows as its layout (expected 5, found 4)"),
        (
            e142().replace(".1121", ".1111"),
            "CountMismatch",
            "the bin 1 of W1 does not have as many dies as the map says (expected 10, found 11)",
        ),
        (
            e142().replace('BinCount="10"', 'BinCount="ten"'),
            "CorruptField",
            "the count of the bin 1 is no count (found ten)",
        ),
        (
            e142().replace('"Ascii"', '"Octal"'),
            "UnsupportedVersion",
            "the type of the codes is not known (expected Ascii, Decimal, HexaDecimal, Integer2, found Octal)",
        ),
        (
            e142().replace('NullBin="."', 'NullBin=".."'),
            "CorruptField",
            "the null bin is not as wide as Ascii codes (expected 1, found 2)",
        ),
        (
            e142().replace("<BinCodeMap ", '<BinCodeMap MapType="List" '),
            "UnsupportedVersion",
            "the map of W1 is of a type that is not read (expected 2DArray or Coordinate, found List)",
        ),
        (
            e142().replace("UpperLeft", "Middle"),
            "UnsupportedVersion",
            "the origin of coordinates or the direction of axes is not known (found Middle DownRight)",
        ),
        (
            e142().replace('Orientation="0"', 'Orientation="45"'),
            "UnsupportedVersion",
            "the orientation is none of four (expected 0, 90, 180, 270, found 45)",
        ),
        (
            e142(e142_body(bins=bins(PICTURE) + '<BinDefinition BinCode="1" BinQuality="Fail"/>')),
            "CorruptField",
            "the bin 1 is defined with two qualities (expected Pass, found Fail)",
        ),
        (
            e142(e142_body(kind="HexaDecimal", null="FF", wide=HEX.__getitem__)).replace("FFFF012A", "FFFF01ZZ"),
            "CorruptField",
            "the map of W1 has a code that is no number (expected HexaDecimal codes, found ZZ)",
        ),
        (
            e142().replace('DefaultUnits="mm"', 'DefaultUnits="ell"'),
            "UnsupportedVersion",
            "the unit of the step of dies is not known (expected a known unit, found ell)",
        ),
        (
            e142().replace('DefaultUnits="mm"', 'DefaultUnits="V"'),
            "UnsupportedVersion",
            "the unit of the step of dies is no length (expected a length, found V)",
        ),
        (
            e142().replace('X="0.5"', 'X="-1"'),
            "CorruptField",
            "the step of dies is no positive number (found -1)",
        ),
        (
            e142().replace("</Overlay>", "<BinCode>.....</BinCode></Overlay>"),
            "CountMismatch",
            "the rows of codes are not as many as the tags in the file (expected 5, found 4)",
        ),
    ],
)
def test_refusals_of_e142(tmp_path, content, kind, message):
    with pytest.raises(InstrumentError) as caught:
        read_all(E142, written(tmp_path, "map", content))
    assert (type(caught.value).__name__, str(caught.value)) == (kind, f"map: {message}")


def test_rows_of_unequal_length_without_a_layout(tmp_path):
    text = e142().replace("Wafer/Dies", "").replace("<BinCode>..12.<", "<BinCode>..12..<")
    with pytest.raises(InstrumentError) as caught:
        read_all(E142, written(tmp_path, "map", text))
    assert str(caught.value) == "map: the rows of the map of W1 differ in length (expected 6, found 5)"


@pytest.mark.parametrize(("origin", "x", "y"), [("1", 1, 2), ("2", 3, 2), ("3", 3, 1), ("4", 1, 1)])
def test_origins_of_g85(tmp_path, origin, x, y):
    device = f'BinType="Ascii" NullBin="." OriginLocation="{origin}" Orientation="90"'
    table = read_one(tmp_path, G85, g85(device=device))
    assert (table.name, table.row_count, table.warnings) == ("W1", DIES, ())
    place = place_of(table)
    assert (place["x"], place["y"]) == (x, y)
    assert (place["upright_row"], place["upright_column"]) == (1, 2)
    assert Counter(table.columns["quality"].tolist()) == {"Pass": 10, "Fail": 5}
    assert set(table.columns["lot_id"].tolist()) == {"L7"}


@pytest.mark.parametrize("namespace", ['xmlns="http://www.semi.org"', ""])
def test_namespaces_of_g85(tmp_path, namespace):
    assert read_one(tmp_path, G85, g85(namespace=namespace)).row_count == DIES


@pytest.mark.parametrize(
    ("code", "between", "given"),
    [("{:03d}", " ", 'BinType="Decimal"'), ("{:03d}", "", 'BinType="Decimal"'), ("{:d}", " ", 'BinType="Decimal"')],
)
def test_numbers_of_g85(tmp_path, code, between, given):
    numbers = {"1": 1, "2": 42, "X": 15, ".": 255}
    cells = [between.join(code.format(numbers[item]) for item in row) for row in PICTURE]
    defined = '<Bin BinCode="1" BinCount="10" BinQuality="Pass"/><Bin BinCode="042" BinCount="3"/>'
    table = read_one(tmp_path, G85, g85(device=f'{given} NullBin="255"', cells=cells, bins=defined))
    assert Counter(table.columns["bin_number"].tolist()) == {1: 10, 42: 3, 15: 2}
    assert table.warnings == (
        "the file does not say its origin, so that the dies have rows and columns only",
        "the file does not say its orientation",
        f"codes without a definition: {code.format(15)}",
    )


def test_codes_without_a_type_stay_text(tmp_path):
    cells = [" ".join({"1": "001", "2": "042", "X": "015", ".": "255"}[item] for item in row) for row in PICTURE]
    defined = '<Bin BinCode="001" BinCount="10" BinQuality="Pass"/>'
    table = read_one(tmp_path, G85, g85(device='NullBin="255"', cells=cells, bins=defined))
    assert Counter(table.columns["bin_code"].tolist()) == {"001": 10, "042": 3, "015": 2}
    assert "bin_number" not in table.columns


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (BOMB.replace("MapData", "Map"), "CorruptField", NO_ENTITIES),
        ("<Maps/>", "NotThisFormat", "the file has no Device with Data"),
        (g85(rows=5), "CountMismatch", "the map of W1 does not have as many rows as it says (expected 5, found 4)"),
        (
            g85(columns=4),
            "CountMismatch",
            "row 1 of the map of W1 does not have as many codes as it says (expected 4 characters, found 5)",
        ),
        (
            g85().replace("111XX", "111X1"),
            "CountMismatch",
            "the bin 1 of W1 does not have as many dies as the map says (expected 10, found 11)",
        ),
        (g85(rows="x"), "CorruptField", "Rows is no count (found x)"),
        (
            g85().replace('OriginLocation="3"', 'OriginLocation="5"'),
            "UnsupportedVersion",
            "the origin of coordinates is not known (expected 0 to 4, found 5)",
        ),
        (
            g85().replace('Orientation="0"', 'Orientation="1"'),
            "UnsupportedVersion",
            "the orientation is none of four (expected 0, 90, 180, 270, found 1)",
        ),
        (
            g85(device='NullBin=""', columns=""),
            "UnsupportedVersion",
            "the map does not say what type its codes are, and nor do its rows (expected BinType, found none)",
        ),
        (
            g85(device='NullBin="255" BinType="Roman"'),
            "UnsupportedVersion",
            "the type of the codes is not known (expected Ascii, Decimal, HexaDecimal, Integer2, found Roman)",
        ),
        (
            g85(device='NullBin="255" BinType="Ascii"'),
            "CorruptField",
            "the null bin is not as wide as Ascii codes (expected 1, found 3)",
        ),
        (
            g85().replace("</Device>", "</Device><Row/>"),
            "CountMismatch",
            "the rows of codes are not as many as the tags in the file (expected 5, found 4)",
        ),
    ],
)
def test_refusals_of_g85(tmp_path, content, kind, message):
    with pytest.raises(InstrumentError) as caught:
        read_all(G85, written(tmp_path, "map", content))
    assert (type(caught.value).__name__, str(caught.value)) == (kind, f"map: {message}")


def test_a_sinf_map(tmp_path):
    table = read_one(tmp_path, SINF_READER, SINF.replace("\n", "\r\n"))
    assert (table.name, table.row_count) == ("W1", 8)
    assert list(zip(table.columns["row"].tolist(), table.columns["column"].tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 1),
        (2, 2),
    ]
    assert Counter(table.columns["quality"].tolist()) == {"Pass": 5, "Reference": 1, "": 2}
    assert (table.columns["step_x_um"][0], table.columns["step_y_um"][0]) == (2540, 1524)
    assert table.vendor_metadata["header"]["REFPX"] == "2"
    assert table.warnings == (
        "the place of the notch, FNLOC, is kept and not applied: writers do not agree on its degrees",
    )
    assert "x" not in table.columns


def test_codes_of_three_characters_and_no_steps(tmp_path):
    text = "ROWCT:1\nCOLCT:4\nBCEQU:000\nXDIES:\nYDIES:0.0\nRowData:___ 000 @@@ 003\n"
    table = read_one(tmp_path, SINF_READER, text)
    assert table.columns["bin_code"].tolist() == ["000", "@@@", "003"]
    assert table.columns["quality"].tolist() == ["Pass", "Reference", ""]
    assert table.warnings == ()


def test_steps_without_a_unit_stay_out(tmp_path):
    table = read_one(tmp_path, SINF_READER, SINF.replace("DUTMS:mil\n", "").replace("BCEQU:01\n", ""))
    assert "step_x_um" not in table.columns
    assert table.warnings == (
        "the map does not say which code good dies have",
        "the place of the notch, FNLOC, is kept and not applied: writers do not agree on its degrees",
        "the steps of dies have no unit and are kept as they stand",
    )


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (
            SINF.replace("ROWCT:3", "ROWCT:4"),
            "CountMismatch",
            "the map does not have as many rows as ROWCT (expected 4, found 3)",
        ),
        (
            SINF.replace("@@ 01 17 01", "@@ 01 17"),
            "CountMismatch",
            "the row does not have as many codes as COLCT at line 14 (expected 4, found 3)",
        ),
        (
            SINF.replace("17", "1"),
            "CorruptField",
            "the code is not as wide as the first at line 14 (expected 2, found 1)",
        ),
        (SINF.replace("ROWCT:3", "ROWCT:-3"), "CorruptField", "ROWCT is no count (found -3)"),
        (SINF.replace("ROWCT:3\n", ""), "NotThisFormat", "the map does not say ROWCT and COLCT"),
        (SINF + "and more\n", "CorruptField", "the line is no NAME:value at line 16 (found and more)"),
        (SINF + "LOT:L8\n", "CorruptField", "LOT is given twice at line 16 (found L8)"),
        (
            SINF.replace("BCEQU:01", "BCEQU:1"),
            "CorruptField",
            "BCEQU is not as wide as the codes (expected 2, found 1)",
        ),
        (
            SINF.replace("DUTMS:mil", "DUTMS:ell"),
            "UnsupportedVersion",
            "the unit of the step of dies is not known (expected a known unit, found ell)",
        ),
        (SINF.replace("REFPX:2", "REFPX:two"), "CorruptField", "REFPX is no number (found two)"),
        (
            SINF.replace("WAFER:W1", "WAFER:RowData:"),
            "CountMismatch",
            "the rows are not as many as the marks in the file (expected 4, found 3)",
        ),
        (b"\x81", "NotThisFormat", "the map is no text at byte 0"),
        ("ROWCT:0\nCOLCT:0\n", "NotThisFormat", "the map has no dies"),
    ],
)
def test_refusals_of_sinf(tmp_path, content, kind, message):
    with pytest.raises(InstrumentError) as caught:
        read_all(SINF_READER, written(tmp_path, "map", content))
    assert (type(caught.value).__name__, str(caught.value)) == (kind, f"map: {message}")


@pytest.mark.parametrize("adapter", [E142, G85, SINF_READER])
def test_maps_of_too_many_places(tmp_path, monkeypatch, adapter):
    """The limit holds for all maps of a file together."""
    content = {E142: e142(e142_body("W1"), e142_body("W2")), G85: g85(), SINF_READER: SINF}[adapter]
    limit, found = {E142: (30, 40), G85: (19, 20), SINF_READER: (11, 12)}[adapter]
    monkeypatch.setattr(wafer_grid, "MAX_PLACES", limit)
    with pytest.raises(ReadingLimit) as caught:
        read_all(adapter, written(tmp_path, "map", content))
    message = f"map: the maps have too many places to be read whole (expected {limit}, found {found})"
    assert str(caught.value) == message


@pytest.mark.parametrize("adapter", [E142, G85, SINF_READER])
def test_files_that_are_too_large(tmp_path, adapter):
    source = written(tmp_path, "map", "")
    with source.path.open("r+b") as file:
        file.truncate(wafer_grid.MAX_BYTES + 1)
    with pytest.raises(ReadingLimit) as caught:
        read_all(adapter, source_of(source.path))
    assert str(caught.value) == "map: the map is too large to be read whole (expected 67108864, found 67108865)"


@pytest.mark.parametrize(
    ("adapter", "content", "confidence"),
    [
        (E142, e142(), Confidence.CERTAIN),
        (E142, "<MapData></MapData>", Confidence.LIKELY),
        (E142, g85(), Confidence.NO),
        (G85, g85(), Confidence.CERTAIN),
        (G85, "<Map><Device Rows='1'/></Map>", Confidence.LIKELY),
        (G85, "<Map/>", Confidence.NO),
        (G85, e142(), Confidence.NO),
        (SINF_READER, SINF, Confidence.CERTAIN),
        (SINF_READER, "FNLOC:0\nBCEQU:01\n", Confidence.LIKELY),
        (SINF_READER, "a:b\n", Confidence.NO),
        (SINF_READER, "", Confidence.NO),
    ],
)
def test_they_know_their_own(tmp_path, adapter, content, confidence):
    assert adapter.sniff(written(tmp_path, "map", content)).confidence is confidence


MUTANTS = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4)
SEEDS = {"e142_map": e142().encode(), "g85_map": g85().encode(), "sinf_map": SINF.encode()}


@pytest.mark.parametrize("adapter", SEEDS)
@MUTANTS
@given(changes=CHANGES, cut=st.integers(0, 40))
def test_damaged_maps(tmp_path_factory, adapter, changes, cut):
    """A damaged map is refused, or has the places that the picture has."""
    data = bytearray(SEEDS[adapter])
    for place, value in changes:
        data[place % len(data)] = value
    source = written(tmp_path_factory.mktemp("map"), "map", bytes(data[: len(data) - cut]))
    try:
        (table,) = read_source(source, ONLY, adapter).records
    except InstrumentError as error:
        if isinstance(error, ReaderCrashed):
            raise
        return
    about = table.vendor_metadata
    assert table.row_count + about["places_without_die"] == about["rows"] * about["columns"]
    assert (about["rows"], about["columns"]) == ((3, 4) if adapter == "sinf_map" else (4, 5))


@pytest.mark.parametrize("content", [e142(), g85()])
def test_maps_in_utf_16_with_a_mark(tmp_path, content):
    """Programs written in .NET declare utf-16 and write it."""
    adapter = E142MapAdapter() if "MapData" in content else G85MapAdapter()
    body = content.partition("?>")[2] if content.startswith("<?xml") else content
    declared = f'<?xml version="1.0" encoding="utf-16"?>{body}'
    source = written(tmp_path, "map.xml", declared.encode("utf-16"))
    assert adapter.sniff(source).confidence >= Confidence.LIKELY
    (wide,) = read_all(adapter, source)[1]
    (plain,) = read_all(adapter, written(tmp_path, "map.xml", content))[1]
    assert wide.columns["bin_code"].tolist() == plain.columns["bin_code"].tolist()


def test_a_sinf_map_with_other_header_names_in_another_encoding(tmp_path):
    text = SINF.replace("ROWCT:3", "Probe-Card ID:7\r\nOPERATOR:M\xfcller\r\nROWCT:3").replace("\n", "\r\n") + "\x1a"
    table = read_one(tmp_path, SinfMapAdapter(), text.encode("cp1252"))
    assert table.vendor_metadata["header"]["OPERATOR"] == "M\xfcller"
    assert table.vendor_metadata["header"]["PROBE-CARD ID"] == "7"
    assert "Windows-1252" in table.warnings[0]
    assert table.columns["bin_code"].tolist() == read_one(tmp_path, SinfMapAdapter(), SINF).columns["bin_code"].tolist()


def test_the_bottom_side_is_said(tmp_path):
    table = read_one(tmp_path, E142MapAdapter(), e142(e142_body(attributes='SubstrateSide="BottomSide"')))
    assert any("bottom side" in warning for warning in table.warnings)


@pytest.mark.parametrize(("given", "degrees"), [("-90", "270"), ("360", "0"), ("90.0", "90")])
def test_other_ways_to_write_an_orientation(tmp_path, given, degrees):
    table = read_one(tmp_path, E142MapAdapter(), e142(e142_body(orientation=given)))
    same = read_one(tmp_path, E142MapAdapter(), e142(e142_body(orientation=degrees)))
    assert table.columns["upright_row"].tolist() == same.columns["upright_row"].tolist()


def test_origins_of_g85_by_name(tmp_path):
    device = 'BinType="Ascii" NullBin="." OriginLocation="{}" Orientation="0"'
    named, numbered = (
        read_one(tmp_path, G85MapAdapter(), g85(device=device.format(text))) for text in ("Lower Left", 3)
    )
    assert named.columns["y"].tolist() == numbered.columns["y"].tolist()


def test_rows_of_sinf_without_blanks(tmp_path):
    head, rows = SINF[: SINF.index("RowData")], [line for line in SINF.splitlines() if line.startswith("RowData")]
    text = head + "".join(f"{row.partition(':')[0]}:{''.join(row.partition(':')[2].split())}\n" for row in rows)
    table, spaced = (read_one(tmp_path, SinfMapAdapter(), content) for content in (text, SINF))
    assert table.columns["bin_code"].tolist() == spaced.columns["bin_code"].tolist()


@pytest.mark.parametrize(
    ("count", "said"),
    [
        ("8", ()),
        ("7", ()),
        ("9", ("DIECT counts 9 dies, the rows have 8, 7 without reference dies",)),
        ("many", ("DIECT is no number and was not compared with the dies",)),
    ],
)
def test_the_number_of_dies_that_a_sinf_map_declares_is_compared(tmp_path, count, said):
    table = read_one(tmp_path, SinfMapAdapter(), SINF.replace("ROWCT:3", f"DIECT:{count}\nROWCT:3"))
    assert table.warnings[1:] == said


def test_a_code_of_sinf_that_names_no_bin_is_doubted(tmp_path):
    table = read_one(tmp_path, SinfMapAdapter(), "ROWCT:1\nCOLCT:4\nBCEQU:00\nRowData:.. 00 __ ..\n")
    assert table.row_count == 3
    assert table.warnings == ("2 places have the code .., which names no bin and may mean that there is no die",)
