"""SDF: every sort of delay, units, what is left out, and refusals with their whole message."""

import math

import pytest

from instruments.adapter import Source
from instruments.errors import InstrumentError
from instruments.simulation.standard_delay import StandardDelayAdapter
from tests.instruments.simulation.delay_files import SDF


def source(folder, text: str) -> Source:
    path = folder / "top.sdf"
    path.write_text(text)
    return Source(path, "top.sdf", path.stat().st_size, text.encode()[:65536], {})


def test_every_delay_in_seconds(tmp_path) -> None:
    adapter = StandardDelayAdapter()
    found = source(tmp_path, SDF)
    assert adapter.sniff(found).confidence == 3
    form, (table,) = adapter.read(found)
    assert (form, table.kind, table.row_count) == ("sdf", "delay_arc", 6)
    columns = {name: values.tolist() for name, values in table.columns.items()}
    assert columns["arc"] == ["IOPATH", "IOPATH", "IOPATH", "INTERCONNECT", "PORT", "DEVICE"]
    assert columns["cell"] == ["nand2"] * 3 + ["top"] * 3
    assert columns["instance"] == ["u1"] * 3 + [""] * 3
    assert columns["source"] == ["A", "A", "B", "u1/Y", "", ""]
    assert columns["target"] == ["Y", "Y", "Y", "u2/A", "u3/A", ""]
    assert columns["edge"] == ["", "posedge", "", "", "", ""]
    assert columns["condition"] == ["", "B == 1'b1 && (C)", "", "", "", ""]
    assert columns["incremental"] == [False] * 3 + [True] * 3
    assert columns["rise_min_s"][:2] == pytest.approx([1e-10, 0.5e-10])
    assert columns["rise_s"][:2] == pytest.approx([2e-10, 0.5e-10])
    assert columns["fall_max_s"] == pytest.approx([4e-10, 0.5e-10, 2e-10, -0.25e-10, 2e-10, 4e-10])
    assert math.isnan(columns["rise_s"][2])
    assert math.isnan(columns["fall_s"][2])
    assert columns["fall_min_s"][2] == pytest.approx(1e-10)
    assert table.vendor_metadata == {"sdfversion": "3.0", "design": "top", "divider": "/"}
    assert table.warnings == (
        "1 delays to and from high impedance were left out",
        "1 lists of TIMINGCHECK were left out",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("100 ps", "3 ps", "the time scale is not 1, 10 or 100 of s to fs at line 2 (found 3ps)"),
        ("(1:2:3)", "(1:2)", "a delay is one number or three at line 5 (found 1:2)"),
        ("(1:2:3)", "(x)", "a delay is no number at line 5 (found x)"),
        ("(9))", "(9) (9) )", "a delay has 1, 2, 3, 6 or 12 values at line 7 (found 4)"),
        ("(CELLTYPE \"nand2\")", "", "a cell has no CELLTYPE at line 3 (found none)"),
        ("(posedge A)", "(both A)", "a port that is none at line 6 (found both A)"),
        ("(PORT u3/A", "(WIRE u3/A", "a delay of an unknown sort at line 12 (found WIRE)"),
        ("\n)\n", "\n", "the text ends inside a list at line 1"),
        ("\n)\n", "\n))\n", "a parenthesis closes that none opened at line 14"),
        ("\n)\n", "\n) x\n", "the file is not one list in parentheses (found 2)"),
        ("(DEVICE (4))", "(DEVICE 4)", "a delay has 1, 2, 3, 6 or 12 values at line 12 (found 0)"),
    ],
)  # fmt: skip
def test_refusals(tmp_path, old: str, new: str, message: str) -> None:
    assert old in SDF
    with pytest.raises(InstrumentError) as caught:
        StandardDelayAdapter().read(source(tmp_path, SDF.replace(old, new)))
    assert str(caught.value) == f"top.sdf: {message}"
