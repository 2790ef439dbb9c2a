"""Tables and rasters: their vocabulary, and that packing loses nothing."""

from pathlib import Path

import numpy as np
import pytest

from instruments.documents import decode_document, encode_document
from instruments.errors import CorruptField, CountMismatch
from instruments.packing import PackedReading, pack, unpack_raster
from instruments.records import Band, Raster, ReadResult, Record, Samples, Table, finite_range
from instruments.vocabulary import Column, Remarks, Vocabulary

STEPS = Vocabulary(
    "step",
    "one step",
    (
        Column("number", "integer", "", "position in the job", required=True),
        Column("depth_nm", "number", "nm", "depth reached"),
        Column("tool", "text", "", "what did it"),
        Column("stopped", "flag", "", "whether the end point fired"),
    ),
)


def steps() -> Table:
    columns = {"number": [1, 2], "depth_nm": [None, 7.5], "tool": ["laser µ", None], "stopped": [True, False]}
    remarks = Remarks({"Tool": "X"}, ("a doubt",))
    return STEPS.make_table("job", columns, remarks, {"dose": (np.asarray([1.5, 2.5]), "nC/um2")})


def packed(record: Record, folder: Path) -> PackedReading:
    pack(ReadResult("f", "x", "x", "1", (record,)), folder)
    return PackedReading.load(folder)


def test_a_vocabulary_gives_dtypes_units_and_missing_values() -> None:
    table = steps()
    assert table.kind == "step"
    assert dict(table.units) == {"number": "", "depth_nm": "nm", "tool": "", "stopped": "", "dose": "nC/um2"}
    assert np.isnan(table.columns["depth_nm"][0])
    assert table.columns["tool"].tolist() == ["laser µ", ""]
    assert (table.row_count, table.columns["number"].dtype, table.columns["stopped"].dtype) == (2, np.int64, np.bool_)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"depth_nm": [1.0]}, "a step table needs the column number"),
        ({"number": [1], "colour": ["red"]}, "colour is no column of a step table"),
        ({"number": [None]}, "a value of number is missing"),
        (
            {"number": [1], "depth_nm": ["deep"]},
            "a value of depth_nm is no number: could not convert string to float: 'deep'",
        ),
    ],
)
def test_what_a_vocabulary_refuses(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(CorruptField) as caught:
        STEPS.make_table("job", columns)
    assert str(caught.value) == message


def test_columns_have_one_length() -> None:
    with pytest.raises(CountMismatch) as caught:
        STEPS.make_table("job", {"number": [1, 2], "tool": ["a"]})
    assert str(caught.value) == "the columns of a step table have different lengths (expected 2, found 1)"


def test_a_table_survives_its_document() -> None:
    table = steps()
    again = decode_document("table", encode_document(table))
    assert isinstance(again, Table)
    assert (again.name, again.kind, again.units, again.vendor_metadata, again.warnings) == (
        "job",
        "step",
        dict(table.units),
        {"Tool": "X"},
        ("a doubt",),
    )
    for name, values in table.columns.items():
        assert again.columns[name].dtype == values.dtype
        np.testing.assert_array_equal(again.columns[name], values)
    assert encode_document(table) == encode_document(steps())


def test_a_raster_survives_packing(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.int16).reshape(2, 2, 3)
    raster = Raster(
        name="map",
        samples=Samples.of(values),
        rows=2,
        columns=3,
        bands=(Band("amplitude", "V"), Band("phase", "rad")),
        kind="signal_map",
        minimum=0.0,
        maximum=5.5,
        pitch_x_m=1e-7,
        affine_um=((0.1, 0.0, 5.0), (0.0, -0.1, 6.0)),
        gain=0.5,
    )
    reading = packed(raster, tmp_path)
    record = reading.records[0]
    assert (record.kind, record.summary["kind"], record.summary["count"]) == ("raster", "signal_map", 6)
    again = unpack_raster(record.name, record.fields, reading.samples_path.read_bytes())
    np.testing.assert_array_equal(again.values(), values * 0.5)
    assert (again.bands, again.affine_um, again.pitch_y_m) == (raster.bands, raster.affine_um, None)


def test_a_raster_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    raster = Raster("map", Samples.of(np.zeros(5)), 2, 3, (Band("grey", ""),), "image", 0.0, 0.0)
    with pytest.raises(CountMismatch) as caught:
        packed(raster, tmp_path)
    assert str(caught.value) == "the samples of map are not what its size says (expected 6, found 5)"


def test_a_scale_that_makes_infinite_values_is_refused() -> None:
    """Codes of a few tens and a gain near the largest number: both are finite, and their product is not."""
    codes = np.arange(-40, 40, dtype=np.int16)
    assert finite_range((codes,), 0.5, 1.0) == (-19.0, 20.5)
    with pytest.raises(CorruptField, match="the scale makes values that are no finite numbers"):
        finite_range((codes,), 2.2e307, 2.0)
