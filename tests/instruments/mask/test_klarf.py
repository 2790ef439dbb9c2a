"""KLARF: real samples with what an independent reader says of them, every rule of the grammar, every refusal."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.adapter import Confidence
from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    NotThisFormat,
    Truncated,
    UnsupportedVersion,
)
from instruments.mask.klarf import KlarfAdapter
from instruments.records import Table
from tests.instruments.mask.klarf_writer import COLUMNS, NESTED_COLUMNS, flat, nested
from tests.instruments.mask.sources import read_all, source_of, written

ADAPTER = KlarfAdapter()


def read_one(tmp_path: Path, content: str | bytes) -> Table:
    _, records = read_all(ADAPTER, written(tmp_path, "x.klarf", content))
    assert len(records) == 1
    return records[0]


def refusal(tmp_path: Path, content: str | bytes) -> tuple[type[InstrumentError], str]:
    source = written(tmp_path, "x.klarf", content)
    with pytest.raises(InstrumentError) as caught:
        read_all(ADAPTER, source)
    return type(caught.value), str(caught.value)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("file", "version", "counts"),
    [("simple12", "1.2", [1]), ("klarf12Example", "1.2", [2]), ("simple18", "1.8", [3, 1])],
)
def test_every_real_sample_has_all_its_defects(shared_data, file, version, counts):
    name, tables = read_all(ADAPTER, source_of(shared_data / "formats" / "klarf" / f"{file}.klarf"))
    assert name == f"klarf-{version}"
    assert [table.row_count for table in tables] == counts


@pytest.mark.shared_data
def test_values_of_a_real_sample(shared_data):
    _, (table,) = read_all(ADAPTER, source_of(shared_data / "formats" / "klarf" / "klarf12Example.klarf"))
    assert table.columns["defect_id"].tolist() == [1, 2]
    assert table.columns["x_die_um"].tolist() == [5500, 8100]
    assert table.columns["x_um"] == pytest.approx([-11234 + 5500 - 5765.4, 11234 + 8100 - 5765.4])
    assert table.columns["y_um"] == pytest.approx([-2234.5 + 4400 - 2777.7, 2234.5 + 4100 - 2777.7])
    assert table.columns["size_um"].tolist() == [0.1234, 11.234]
    assert table.columns["class_name"].tolist() == ["unclassified", "unclassified"]
    assert table.columns["REPEATERFLAG"].tolist() == [0, 0]
    assert table.vendor_metadata["statements"]["WaferScribe"] == [["1"]]
    assert table.warnings == ()


@pytest.mark.shared_data
def test_nanometres_of_a_real_sample(shared_data):
    _, (first, second) = read_all(ADAPTER, source_of(shared_data / "formats" / "klarf" / "simple18.klarf"))
    assert (first.name, second.name) == ("FirstWaferId", "SecondWaferId")
    assert first.columns["defect_id"].tolist() == [2, 3, 128]
    assert first.columns["x_um"][0] == pytest.approx(2 * 5744.150 + 1254.960 - 4929.0)
    assert first.columns["y_um"][0] == pytest.approx(24 * 5410.203 + 4346.692 + 490.333)
    assert first.columns["area_um2"].tolist() == [6445.0e-6, 129236.0e-6, 177209.0e-6]
    assert first.columns["size_x_um"].tolist() == [0.315, 1.17, 5.039]
    assert first.warnings == (
        "the summary counts 4 defects in test 1, the list has 2",
        "the summary counts 4 defects in test 2, the list has 1",
    )


@pytest.mark.shared_data
def test_a_real_file_with_two_wafers_in_one_is_refused(shared_data):
    with pytest.raises(CorruptField) as caught:
        read_all(ADAPTER, source_of(shared_data / "formats" / "klarf" / "bad12.klarf"))
    assert str(caught.value) == (
        "bad12.klarf: there is no DefectList of anotherWafer (expected a summary of 0 defects, found no summary)"
    )


def test_a_flat_file(tmp_path):
    table = read_one(tmp_path, flat())
    assert (table.kind, table.name) == ("mask_defect", "W1")
    assert table.columns["x_um"].tolist() == [-489.5, -1498.5]
    assert table.columns["y_um"].tolist() == [270.75, 4253.0]
    assert table.columns["class_name"].tolist() == ["pin hole", "none"]
    assert table.columns["die_x"].tolist() == [0, -1]
    assert table.units["x_um"] == "um"
    assert table.vendor_metadata["statements"]["InspectionStationID"] == [["maker", "model; with ; semicolons", "7"]]
    assert table.vendor_metadata["frame"]["geometry_um"]["SampleCenterLocation"] == [500.0, -250.5]
    assert table.warnings == ()


@pytest.mark.parametrize("version", ["1 1", "1 2", "1 7"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", " "),
        lambda text: "\n\n" + text.replace(" ", "\n  "),
        lambda text: text.replace("DefectRecordSpec", "DEFECTRECORDSPEC").replace("DefectList", "defectlist"),
        lambda text: text.replace("DefectList\n", "DefectList;\nDefectList;\nDefectList "),
        lambda text: text.replace("1.25 0 1;", "1.25\n 0 1\n ;"),
        lambda text: text.replace("DefectList\n", "DefectList;\n").replace("3 1\n", "3 1;\n"),
    ],
)
def test_layout_of_the_text_does_not_matter(tmp_path, version, change):
    plain = flat(version=version)
    # Line ends inside the quoted text would be part of it.
    plain = plain.replace('"maker" "model; with ; semicolons" "7"', '"a"').replace('"pin hole"', '"pinhole"')
    table = read_one(tmp_path, change(plain))
    assert table.columns["defect_id"].tolist() == [1, 2]
    assert table.columns["y_um"].tolist() == [270.75, 4253.0]
    assert [text for text in table.warnings if "end with ;" not in text] == []


IMAGES = (*COLUMNS, "IMAGECOUNT", "IMAGELIST")


def test_lists_between_file_names_and_images(tmp_path):
    lists = (
        "TiffFileName first.tif;\nDefectList;\nDefectList\n"
        " 1 10 20 0 0 0.5 3 1 2 2 1 0 2 0\n 2 10 20 0 0 0.5 3 1 0 0;\n"
        "TiffFileName a second file.tif;\nDefectList\n 3 10 20 0 0 0.5 3 1 1 1\n 39 1;\n\n"
        "DefectList\n 4 10 20 0 0 0.5 3 1 0 0;\n"
    )
    table = read_one(tmp_path, flat(columns=IMAGES, lists=lists, summary="1 3 0 0 0"))
    assert table.columns["defect_id"].tolist() == [1, 2, 3, 4]
    assert table.columns["image_count"].tolist() == [2, 0, 1, 0]
    assert json.loads(table.columns["images"][0]) == [["first.tif", 1, 0], ["first.tif", 2, 0]]
    assert json.loads(table.columns["images"][2]) == [["a second file.tif", 39, 1]]
    assert table.columns["images"][1] == ""
    assert table.warnings == ("the summary counts 3 defects in test 1, the list has 4",)


def test_image_lists_without_a_count_of_their_own(tmp_path):
    rows = ("1 10 20 0 0 0.5 3 1 2 1 0 2 0", "2 10 20 0 0 0.5 3 1 0", "3 10 20 0 0 0.5 3 1 3 3 0 4 0 5 0")
    table = read_one(tmp_path, flat(rows, IMAGES))
    assert table.columns["image_count"].tolist() == [2, 0, 3]
    assert json.loads(table.columns["images"][2]) == [["", 3, 0], ["", 4, 0], ["", 5, 0]]
    assert table.warnings == ("the image lists have no count of their own; IMAGECOUNT was used",)


def test_an_image_count_without_a_list(tmp_path):
    table = read_one(tmp_path, flat(("1 10 20 0 0 0.5 3 1 4",), IMAGES[:-1]))
    assert table.columns["image_count"].tolist() == [4]
    assert table.columns["images"].tolist() == [""]


def test_no_defects(tmp_path):
    table = read_one(tmp_path, flat((), lists="DefectList;\n"))
    assert table.row_count == 0
    assert table.columns["x_um"].shape == (0,)
    assert table.warnings == ()


def test_no_list_of_defects_but_a_summary_of_none(tmp_path):
    assert read_one(tmp_path, flat((), lists="", spec="Slot 4;")).row_count == 0


def test_what_a_file_does_not_say_is_unknown(tmp_path):
    text = flat().replace("DiePitch 1.0e3 2000;\n", "").replace("SampleCenterLocation 500 -250.5;\n", "")
    table = read_one(tmp_path, text)
    assert np.isnan(table.columns["x_um"]).all()
    assert table.columns["x_die_um"].tolist() == [10.5, 1.5]
    assert table.warnings == ("without DiePitch and SampleCenterLocation the defects have no position on the sample",)
    table = read_one(tmp_path, flat(("5 1.5 text",), ("DEFECTID", "SCORE", "NOTE")))
    assert table.warnings == ("without XREL, YREL, XINDEX, YINDEX the defects have no position on the sample",)
    assert table.columns["SCORE"].tolist() == [1.5]
    assert table.columns["NOTE"].tolist() == ["text"]


def test_the_tools_own_radius_confirms_the_position(tmp_path):
    columns = ("DEFECTID", "XREL", "YREL", "XINDEX", "YINDEX", "RADIUS")
    text = flat(("1 4808.6 2229.1 5 -1 61051.8",), columns)
    text = text.replace("DiePitch 1.0e3 2000", "DiePitch 8639.48 4986.74")
    text = text.replace("SampleCenterLocation 500 -250.5", "SampleCenterLocation -12929.14 1015.01")
    text = text.replace("DieOrigin 0 0", "DieOrigin -12929.14 1015.01")
    assert read_one(tmp_path, text).warnings == ()
    assert read_one(tmp_path, text.replace("61051.8", "61000.0")).warnings == (
        "the tool's RADIUS of 1 defects is not their distance from the centre",
    )


@pytest.mark.parametrize(
    "text",
    [
        flat(head="CoordinatesMirrored YES;\nOrientationMarkLocation DOWN;\n"),
        nested().replace("Field DiePitch", 'Field CoordinatesMirrored 1 {"Yes"} Field DiePitch'),
    ],
)
def test_mirrored_coordinates_are_said_to_be_so(tmp_path, text):
    table = read_one(tmp_path, text)
    assert table.warnings == ("the file says that its coordinates are mirrored; they are given as they stand",)
    assert table.vendor_metadata["frame"]["orientation"]["coordinatesmirrored"].lower() == "yes"


def test_latin_1_text_and_repeated_ids_are_doubted(tmp_path):
    text = flat(("1 1 1 0 0 1 0 1", "1 1 1 0 0 1 0 1")).replace("pin hole", "trübe")
    table = read_one(tmp_path, text.encode("latin-1"))
    assert table.warnings[0].startswith("the text is not UTF-8 from byte ")
    assert table.warnings[1:] == ("defect ids appear more than once: 1",)


def test_a_file_without_its_end_is_complete_only_by_its_summary(tmp_path):
    table = read_one(tmp_path, flat(end=""))
    assert table.warnings == ("the file has no EndOfFile; its summary counts all its defects",)
    kind, message = refusal(tmp_path, flat(end="", summary="1 3 0 0 0"))
    assert (kind, message) == (Truncated, "x.klarf: the file has no EndOfFile at line 20")


WIDTH = "has another number of values than DefectRecordSpec has columns"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (flat(("0 1 10.5 20.25 0 0 0.5 3 1",)), CorruptField, f"defect row 1 {WIDTH} at line 14 (expected 8, found 9)"),
        (
            flat(("1 10.5 20.25 0 0 0.5 3",)),
            CorruptField,
            f"defect row 1 {WIDTH} at line 14 (expected 8, found 7)",
        ),
        (
            flat(("1 10.5 20.25 0 0 0.5 3 1", "2 10.5 20.25 0 0 0.5 3 1 9", "3 10.5 20.25 0 0 0.5 3 1")),
            CorruptField,
            f"defect row 2 {WIDTH} at line 15 (expected 8, found 9)",
        ),
        (
            flat(("1 10.5 20.25 0 0 0.5 3 1 5", "2 10.5 20.25 0 0 0.5 3")),
            CorruptField,
            "XINDEX of defect row 2 is not a whole number at line 14 (found 20.25)",
        ),
        (
            flat(("1 10.5 x 0 0 0.5 3 1",)),
            CorruptField,
            "YREL of defect row 1 is not a number at line 14 (found x)",
        ),
        (
            flat(("1 nan 1 0 0 0.5 3 1",)),
            CorruptField,
            "XREL of defect row 1 is not a number at line 14 (found nan)",
        ),
        (
            flat(("1 1 1 N/A 0 0.5 3 1",)),
            CorruptField,
            "XINDEX of defect row 1 is not a whole number at line 14 (found N/A)",
        ),
        (
            flat(("1 1 1 0 0 0.5 3 1 2 1 1 0",), IMAGES),
            CorruptField,
            "defect row 1 gives two different numbers of images at line 14 (expected 2, found 1)",
        ),
        (
            flat(("1 1 1 0 0 0.5 3 1 x x",), IMAGES),
            CorruptField,
            "defect row 1 does not say how many images it has at line 14 (expected a number, found x)",
        ),
        (
            flat(spec="DefectRecordSpec 9 DEFECTID XREL ;"),
            CorruptField,
            "DefectRecordSpec does not name as many columns as it says at line 12 (expected 9, found 2)",
        ),
        (
            flat(spec="DefectRecordSpec 2 DEFECTID DEFECTID ;"),
            CorruptField,
            "DefectRecordSpec names DEFECTID twice at line 12",
        ),
        (flat(spec="DefectRecordSpec 1 XREL ;"), CorruptField, "DefectRecordSpec has no DEFECTID at line 12"),
        (flat(spec="Nothing;"), CorruptField, "defects come before DefectRecordSpec at line 14"),
        (
            flat(lists="DefectList 1 1 1 0 0 1 0 1;\nDefectRecordSpec 1 DEFECTID;\nDefectList 2;\n"),
            UnsupportedVersion,
            "a second DefectRecordSpec with other columns is not supported at line 14",
        ),
        (
            flat(version="1 9"),
            UnsupportedVersion,
            "the version of the KLARF file is not known (expected 1.1, 1.2, 1.7, found 1.9)",
        ),
        (
            flat(head='Slot 3\nStepID "x";\n'),
            CorruptField,
            "the statement Slot is not ended by ; at line 12 (expected ;, found StepID)",
        ),
        (
            flat() + "WaferID 2;",
            CorruptField,
            "there is more after EndOfFile at line 21 (found WaferID)",
        ),
        (
            flat(head='LotID "2";\n'),
            CorruptField,
            "there is a second LotID before the wafer's DefectList at line 12 (expected one, found 2)",
        ),
        (flat().split(" 0.5")[0], Truncated, "the file ends inside DefectList at line 14"),
        (flat().split("SampleC")[0] + "Slot 3", Truncated, "the file ends inside the statement Slot at line 8"),
        (flat().split('"W1')[0] + '"W1', Truncated, "a quoted text does not end at line 7"),
        (flat(head="12 13;\n"), CorruptField, "this is no statement at line 12 (expected a keyword, found 12)"),
        (
            flat().replace("DiePitch 1.0e3 2000", "DiePitch 1.0e3"),
            CorruptField,
            "DiePitch is not two numbers at line 5 (found 1.0e3)",
        ),
        (
            flat().replace("ClassLookup 2", "ClassLookup 3"),
            CorruptField,
            "ClassLookup does not hold as many classes as it says at line 9 (expected 3, found 2.0)",
        ),
        (flat() + "\x00 ;", NotThisFormat, None),
        (
            flat(lists="Defects 1;\n"),
            CorruptField,
            "there is no DefectList of W1 (expected a summary of 0 defects, found 2)",
        ),
    ],
)
def test_refusals_of_flat_files(tmp_path, text, kind, message):
    found, said = refusal(tmp_path, text)
    assert found is kind, said
    if message is None:
        assert re.fullmatch(r"x\.klarf: there is a zero byte in the text at byte \d+", said)
    else:
        assert said == f"x.klarf: {message}"


def test_a_nested_file(tmp_path):
    table = read_one(tmp_path, nested())
    assert table.columns["x_um"].tolist() == [-1000 + 1.5 - 500, 0.01 - 500]
    assert table.columns["y_um"].tolist() == [4000 + 2.5 + 250.5, 0.02 + 250.5]
    assert json.loads(table.columns["images"][0]) == [["a/b.jpg", "JPG", 1, "Patch"], ["c.jpg", "JPG", 2, "x;y"]]
    assert table.columns["image_count"].tolist() == [2, 0]
    assert table.columns["class_name"].tolist() == ["Pin hole", ""]
    assert np.isnan(table.columns["class_number"][1])
    assert table.columns["area_um2"][0] == pytest.approx(6445.5e-6)
    assert np.isnan(table.columns["area_um2"][1])
    assert table.vendor_metadata["file"] == {"FileTimestamp": ["12-12-1972", "16:27:59"]}
    assert table.warnings == ()


def test_images_left_out_where_there_are_none(tmp_path):
    columns = (*NESTED_COLUMNS[:5], "int32 IMAGECOUNT", NESTED_COLUMNS[-1])
    table = read_one(tmp_path, nested(('1 1 1 0 0 1 Image 1 { "d.png" "PNG" 1 "24" }', "2 1 1 0 0 0"), columns))
    assert table.columns["image_count"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            nested(data=3),
            CountMismatch,
            "the list DefectList does not hold as many rows as it says at line 13 (expected 3, found 2)",
        ),
        (
            nested(("1 2 3",)),
            CorruptField,
            "row 1 of the list DefectList has another number of values than the list has columns at line 15 "
            "(expected 10, found 3)",
        ),
        (
            nested(('1 1 1 0 0 1 1 1 1 Images 2 { "a" "b" 1 "c" }',)),
            CorruptField,
            "a list of images does not hold as many as it says at line 15 (expected 2, found 1)",
        ),
        (
            nested(("1 1 1 0 0 1 1 1 1 7",)),
            CorruptField,
            "this is no list of images at line 15 (expected N or Images, found 7)",
        ),
        (
            nested().replace('"1.8"', '"2.0"'),
            UnsupportedVersion,
            "the version of the KLARF file is not known (expected 1.8, found 2.0)",
        ),
        (
            nested().replace("DiePitch 2 {", "DiePitch 3 {"),
            CorruptField,
            "the field DiePitch does not hold as many values as it says at line 5 (expected 3, found 2)",
        ),
        (nested(end=""), Truncated, "the file has no EndOfFile at line 36"),
        (nested()[:300], Truncated, "the file ends inside a record at line 12"),
        (nested() + "x", CorruptField, "there is more after EndOfFile at line 37 (found x)"),
        (
            nested().replace("Field DieOrigin", "Fold DieOrigin"),
            CorruptField,
            "the structure is damaged at line 8 (expected Record, Field, List or }, found Fold)",
        ),
        (
            'Record FileRecord "1.8" {' + "Record A {" * 40,
            CorruptField,
            "the records are nested too deeply at line 1 (expected 32)",
        ),
        (
            nested(("x 1 1 0 0 1 1 1 1 N",)),
            CorruptField,
            "DEFECTID of defect row 1 is not a whole number at line 15 (found x)",
        ),
        (
            'Record FileRecord "1.8" { } EndOfFile;',
            CorruptField,
            "there is no WaferRecord in a LotRecord at line 1",
        ),
    ],
)
def test_refusals_of_nested_files(tmp_path, text, kind, message):
    assert refusal(tmp_path, text) == (kind, f"x.klarf: {message}")


@pytest.mark.parametrize(
    ("content", "confidence"),
    [
        (flat(), Confidence.CERTAIN),
        ("\ufeff \n" + flat(), Confidence.CERTAIN),
        (nested(), Confidence.CERTAIN),
        ("FileVersion one;", Confidence.NO),
        ("cycle,output\n", Confidence.NO),
        ("", Confidence.NO),
    ],
)
def test_it_knows_its_own(tmp_path, content, confidence):
    assert ADAPTER.sniff(written(tmp_path, "x", content)).confidence is confidence


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory, data):
    original = data.draw(
        st.sampled_from([flat().encode(), nested().encode(), flat(("1 1 1 0 0 1 0 1 1 1 1 0",), IMAGES).encode()])
    )
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        choice = data.draw(st.sampled_from(["byte", "cut", "drop", "double"]))
        if choice == "byte":
            damaged[place] = data.draw(st.integers(0, 255))
        elif choice == "cut" and place:
            del damaged[place:]
        elif choice == "drop" and len(damaged) > 1:
            del damaged[place]
        else:
            damaged[place:place] = damaged[place : place + 5]
    folder = tmp_path_factory.mktemp("damaged")
    try:
        _, tables = read_all(ADAPTER, written(folder, "x.klarf", bytes(damaged)))
    except InstrumentError as refusal:
        tables = []
        message = str(refusal)
    else:
        message = "x.klarf: read"
    assert message.startswith("x.klarf: ")
    assert all(len(values) == table.row_count for table in tables for values in table.columns.values())


def wafers_of(*bodies):
    """One file of a lot: what ``flat`` says of the lot once, then each wafer."""
    head = flat().partition('WaferID "W1";\n')[0]
    return head + "".join(f"WaferID {name};\n{body}" for name, body in bodies) + "EndOfFile;\n"


def test_several_wafers_of_a_lot_are_several_tables(tmp_path):
    spec = f"DefectRecordSpec {len(COLUMNS)} {' '.join(COLUMNS)} ;\nSummarySpec 2 TESTNO NDEFECT ;\n"
    text = wafers_of(
        (
            "W1",
            f"SampleCenterLocation 0 0;\nClassLookup 1 3 pin;\n{spec}DefectList 1 1 2 0 0 .5 3 1;SummaryList 1 1;\n",
        ),
        ("W2", "SampleCenterLocation 5 5;\nDefectList 1 1 2 0 0 .5 3 1\n2 1 2 1 1 .5 3 1;SummaryList 1 2;\n"),
        ("W3", "SummaryList 1 0;\n"),
        ("W4", "DefectList;SummaryList 1 0;\n"),
    )
    _, tables = read_all(ADAPTER, written(tmp_path, "lot.klarf", text))
    nowhere = "without SampleCenterLocation the defects have no position on the sample"
    assert [(table.name, table.row_count, table.warnings) for table in tables] == [
        ("W1", 1, ()),
        ("W2", 2, ()),
        ("W3", 0, (nowhere,)),
        ("W4", 0, (nowhere,)),
    ]
    assert tables[0].columns["x_um"].tolist() == [1.0]
    assert tables[1].columns["x_um"].tolist() == [-4.0, 996.0]
    assert tables[1].columns["class_name"].tolist() == ["pin", "pin"]
    statements = tables[1].vendor_metadata["statements"]
    assert (statements["LotID"], statements["WaferID"]) == ([["L1"]], [["W2"]])


def test_a_wafer_without_defects_and_without_a_summary_of_none_is_refused(tmp_path):
    text = wafers_of(("W1", ""), ("W2", ""))
    with pytest.raises(CorruptField, match="there is a second WaferID before the wafer's DefectList"):
        read_all(ADAPTER, written(tmp_path, "lot.klarf", text))


@pytest.mark.parametrize("end", ["EndOfFile", "EndOfFile;\n\x1a", "EndOfFile;\n\0\0"])
def test_ends_of_other_systems(tmp_path, end):
    _, (table,) = read_all(ADAPTER, written(tmp_path, "x.klarf", flat(end=end)))
    assert table.row_count == 2
    assert table.warnings == (("EndOfFile is not ended by ;",) if end == "EndOfFile" else ())


def test_rows_of_every_list_may_end_with_a_semicolon(tmp_path):
    """As converters of wafer maps write them, after a statement that ends behind its count."""
    plain = flat(head="SampleTestPlan 2\n 0 0\n -1 2;\n")
    text = plain.replace("TestPlan 2\n 0 0\n", "TestPlan 2;\n 0 0;\n").replace(
        'Lookup 2\n 0 "none"\n', 'Lookup 2;\n 0 "none";\n'
    )
    assert text != plain
    _, (table,) = read_all(ADAPTER, written(tmp_path, "x.klarf", text))
    _, (same,) = read_all(ADAPTER, written(tmp_path, "y.klarf", plain))
    assert table.columns["class_name"].tolist() == same.columns["class_name"].tolist() == ["pin hole", "none"]
    assert table.columns["x_um"].tolist() == same.columns["x_um"].tolist()
    assert table.vendor_metadata["statements"]["SampleTestPlan"] == [["2", "0", "0", "-1", "2"]]
    assert set(table.warnings) == {
        "the rows of SampleTestPlan end with ; each",
        "the rows of ClassLookup end with ; each",
    }


def test_a_number_after_any_other_statement_is_no_statement(tmp_path):
    with pytest.raises(CorruptField, match="this is no statement"):
        read_all(ADAPTER, written(tmp_path, "x.klarf", flat(head="Slot 2;\n 0 0;\n")))
