"""Widths and registration of masks: columns, units, scales, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.adapter import Confidence
from instruments.errors import CorruptField, CountMismatch, InstrumentError, NotThisFormat, UnsupportedVersion
from instruments.mask.metrology import MetrologyAdapter
from tests.instruments.mask.metrology_tables import REGISTRATION, WIDTHS
from tests.instruments.mask.sources import read_all, written

ADAPTER = MetrologyAdapter()


def read_one(tmp_path, content):
    _, (table,) = read_all(ADAPTER, written(tmp_path, "sites.csv", content))
    return table


def test_widths(tmp_path):
    table = read_one(tmp_path, WIDTHS)
    assert (table.kind, table.name) == ("metrology_site", "sites")
    assert table.columns["x_um"].tolist() == [-100.5, 100.5]
    assert table.columns["measured_nm"][0] == 401.5
    assert np.isnan(table.columns["measured_nm"][1])
    assert table.columns["measured_at"].tolist()[0] == "2024-05-01T10:00:00Z"
    assert table.columns["Recipe"].tolist() == ["r7", "r7"]
    assert table.units["measured_nm"] == "nm"
    assert table.warnings == ()


def test_registration_at_wafer_scale_is_read_at_mask_scale(tmp_path):
    table = read_one(tmp_path, REGISTRATION)
    assert table.columns["x_um"].tolist() == [6000]
    assert table.columns["y_um"].tolist() == [-8000]
    assert (table.columns["dx_nm"].tolist(), table.columns["dy_nm"].tolist()) == ([2], [-5])
    assert table.vendor_metadata["comments"]["correction"] == "magnification, rotation"
    assert table.warnings == ()


def test_what_the_file_does_not_say_is_doubted(tmp_path):
    text = "site_id,x_um,y_um,dx_nm,dy_nm,target\nA,0,0,1,1,5\nA,0,0,1,1,5\n"
    assert read_one(tmp_path, text).warnings == (
        "the column target has no unit and is kept as it stands",
        "the file does not say its scale; it was read as the mask's own",
        "the file does not say whether magnification and rotation were removed",
        "sites appear more than once: A",
    )


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            WIDTHS.replace("sites: 2", "sites: 3"),
            CountMismatch,
            "the table does not hold as many sites as it says (expected 3, found 2)",
        ),
        (
            REGISTRATION.replace("# magnification: 4x\n", ""),
            CorruptField,
            "the scale is neither mask, nor wafer with a magnification (expected mask or wafer, found wafer)",
        ),
        (
            REGISTRATION.replace("wafer", "moon"),
            CorruptField,
            "the scale is neither mask, nor wafer with a magnification (expected mask or wafer, found moon 4x)",
        ),
        (
            WIDTHS.replace("401.5", "4o1.5"),
            CorruptField,
            "meas_nm is no number at line 4 (found 4o1.5)",
        ),
        (WIDTHS.replace("401.5", "inf"), CorruptField, "meas_nm is no number at line 4 (found inf)"),
        (WIDTHS.replace("401.5", "-1"), CorruptField, "meas_nm is negative at line 4 (found -1.0)"),
        (
            REGISTRATION.replace("[mm]", "[mile]"),
            UnsupportedVersion,
            "the unit of the column X [mile] is not known (expected a known unit, found mile)",
        ),
        (WIDTHS.replace("Recipe", "CD [nm]"), CorruptField, "two columns mean measured_nm, CD [nm] is the second"),
        (WIDTHS.replace("x_um", "where"), NotThisFormat, "the table has no x_um"),
        (
            "site_id,x_um,y_um,dx_nm\nA,0,0,1\n",
            NotThisFormat,
            "the table has no target_nm and meas_nm, or dx_nm and dy_nm",
        ),
        (
            WIDTHS.replace(",r7\n", "\n", 1),
            CorruptField,
            "the row has another number of cells than the header at line 4 (expected 12, found 11)",
        ),
    ],
)
def test_refusals(tmp_path, text, kind, message):
    source = written(tmp_path, "sites.csv", text)
    with pytest.raises(InstrumentError) as caught:
        read_all(ADAPTER, source)
    assert (type(caught.value), str(caught.value)) == (kind, f"sites.csv: {message}")


@pytest.mark.parametrize(
    ("content", "confidence"),
    [
        (WIDTHS, Confidence.CERTAIN),
        (REGISTRATION, Confidence.CERTAIN),
        (REGISTRATION.replace("[mm]", "[mile]"), Confidence.LIKELY),
        ("instance,net,x_um,y_um\n", Confidence.NO),
        ("a [mile],depth\n", Confidence.NO),
        ("", Confidence.NO),
        (b"\xff\x00", Confidence.NO),
    ],
)
def test_it_knows_its_own(tmp_path, content, confidence):
    assert ADAPTER.sniff(written(tmp_path, "x", content)).confidence is confidence


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_tables_are_read_or_refused(tmp_path_factory, data):
    damaged = bytearray(data.draw(st.sampled_from([WIDTHS, REGISTRATION])).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    try:
        _, (table,) = read_all(ADAPTER, written(folder, "x.csv", bytes(damaged)))
    except InstrumentError as refused:
        message = str(refused)
    else:
        message = "x.csv: read"
        assert all(len(values) == table.row_count for values in table.columns.values())
    assert message.startswith("x.csv: ")


def test_decimal_commas_in_the_encoding_of_windows(tmp_path):
    text = "Site;X [\xb5m];Y [\xb5m];dx (nm);dy (nm);Note\nB1;1,5;-2;0,5;-1,25;gr\xfcn\n"
    table = read_one(tmp_path, text.encode("cp1252"))
    assert (table.columns["x_um"].tolist(), table.columns["dy_nm"].tolist()) == ([1.5], [-1.25])
    assert table.columns["Note"].tolist() == ["gr\xfcn"]
    assert "numbers were read with a decimal comma" in table.warnings
    assert any("Windows-1252" in warning for warning in table.warnings)
    assert ADAPTER.sniff(written(tmp_path, "sites.csv", text.encode("cp1252"))).confidence is Confidence.CERTAIN


def test_digits_with_underscores_are_no_number(tmp_path):
    with pytest.raises(CorruptField, match="x_um is no number"):
        read_one(tmp_path, "site_id,x_um,y_um,dx_nm,dy_nm\nA,1_0,0,1,1\n")
