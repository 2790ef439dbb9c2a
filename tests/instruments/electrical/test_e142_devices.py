"""SEMI E142 lists of single devices: the same dies as the picture of them, and what contradicts itself is refused."""

import pytest

from instruments.electrical.e142_map import E142MapAdapter
from instruments.errors import CorruptField, CountMismatch, InstrumentError, ReadingLimit, UnsupportedVersion
from tests.instruments.electrical.wafer_map_writer import DIES, PICTURE, device_list, e142, e142_body
from tests.instruments.mask.sources import read_all, written

ADAPTER = E142MapAdapter()
FRAMES = [
    (f'OriginLocation="{origin}" AxisDirection="{axes}"', origin, axes)
    for origin in ("LowerLeft", "UpperRight", "UpperLeft", "LowerRight")
    for axes in ("UpRight", "DownLeft", "DownRight", "UpLeft")
]


def read_one(folder, content):
    _, (table,) = read_all(ADAPTER, written(folder, "map.xml", content))
    return table


def columns_of(table):
    return {name: table.columns[name].tolist() for name in ("row", "column", "x", "y", "bin_code", "quality")}


def devices_of(table):
    """What a list says of the dies that were read from a picture."""
    return list(zip(table.columns["x"].tolist(), table.columns["y"].tolist(), table.columns["bin_code"], strict=True))


@pytest.mark.parametrize(("attributes", "origin", "axes"), FRAMES)
def test_a_list_is_the_picture_of_it(attributes, origin, axes, tmp_path):
    picture = read_one(tmp_path, e142(e142_body(attributes=attributes)))
    table = read_one(tmp_path, e142(device_list(devices_of(picture)[::-1], attributes)))
    assert columns_of(table) == columns_of(picture)
    assert table.warnings == ()
    assert (table.vendor_metadata["listed_devices"], table.vendor_metadata["places_without_die"]) == (DIES, 5)


def test_without_a_layout_rows_are_counted_from_the_outermost_devices(tmp_path):
    devices = [(101, -7, "99"), (103, -7, "1"), (101, -5, "32"), (102, -6, ".")]
    table = read_one(tmp_path, e142(device_list(devices, ""), columns=1, rows=1))
    found = columns_of(table)
    assert (found["x"], found["y"]) == ([101, 101, 103], [-5, -7, -7])
    assert (found["row"], found["column"]) == ([0, 2, 2], [0, 0, 2])
    assert found["bin_code"] == ["32", "99", "1"]
    assert table.warnings == (
        "origin or axes are not given; the standard's lower left, up and right were taken",
        "rows and columns are counted from the outermost devices in the list",
    )


LISTED = ((0, 0, "1"), (1, 0, "2"), (4, 3, "1"))


@pytest.mark.parametrize(
    ("old", "new", "kind", "message"),
    [
        ('X="4" Y="3"', 'X="1" Y="0"', CorruptField, "the map of W1 lists the device at 1, 0 twice"),
        ('X="4"', 'X="5.5"', CorruptField, "device 3 has no whole number as X (expected a whole number, found 5.5)"),
        ('X="4"', 'Z="4"', CorruptField, "device 3 has no whole number as X"),
        (">2</BinCode>", "></BinCode>", CorruptField, "device 2 of the map of W1 does not have one code"),
        (">2</BinCode>", ">1 2</BinCode>", CorruptField, "device 2 of the map of W1 does not have one code"),
        (">2</BinCode>", ">1</BinCode>", CountMismatch, "the bin 1 of W1 does not have as many dies as the map says"),
        ('X="4" Y="3"', 'X="5" Y="3"', CountMismatch, "of W1 do not fit in its layout (expected 5 x 4, found 6 x 4)"),
        ('"Coordinate"', '"Row"', UnsupportedVersion, "of a type that is not read (expected 2DArray or Coordinate"),
        ('<BinCode X="4" Y="3">1</BinCode>', "", CountMismatch, "the bin 1 of W1 does not have as many dies"),
    ],
)
def test_lists_that_contradict_themselves_are_refused(old, new, kind, message, tmp_path):
    content = e142(device_list(LISTED))
    assert content.count(old) == 1
    with pytest.raises(kind) as caught:
        read_one(tmp_path, content.replace(old, new))
    assert message in str(caught.value)


def test_devices_far_apart_are_refused(tmp_path):
    content = e142(device_list(((0, 0, "1"), (9_000_000, 9_000_000, "1")), ""), columns=1, rows=1)
    with pytest.raises(ReadingLimit, match="too many places"):
        read_one(tmp_path, content)
    with pytest.raises(ReadingLimit) as caught:
        read_one(tmp_path, content.replace("9000000", "1500"))
    message = "the devices of the map of W1 are too far apart for one map (expected 1000000, found 2253001)"
    assert str(caught.value) == f"map.xml: {message}"


def test_numbers_of_a_list_are_numbers(tmp_path):
    devices = ((0, 0, "0A"), (1, 0, "FF"), (2, 1, "1f"))
    table = read_one(tmp_path, e142(device_list(devices, kind="HexaDecimal", null="ff")))
    assert table.columns["bin_number"].tolist() == [31, 10]
    with pytest.raises(InstrumentError, match="has a code that is no number"):
        read_one(tmp_path, e142(device_list((*devices, (3, 3, "G1")), kind="HexaDecimal", null="ff", bins="<a/>")))


def test_a_picture_may_not_pass_for_a_list(tmp_path):
    content = e142().replace(f"<BinCode>{PICTURE[0]}", f'<BinCode X="0" Y="0">{PICTURE[0]}')
    with pytest.raises(CorruptField, match="device 2 has no whole number as X"):
        read_one(tmp_path, content)
