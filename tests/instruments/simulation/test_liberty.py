"""Liberty: tables in both orders, units, what is left out, and refusals with their whole message."""

import pytest

from instruments.adapter import Source
from instruments.errors import InstrumentError
from instruments.simulation.liberty import LibertyAdapter
from tests.instruments.simulation.delay_files import LIBERTY


def source(folder, text: str) -> Source:
    path = folder / "tiny.lib"
    path.write_text(text)
    return Source(path, "tiny.lib", path.stat().st_size, text.encode()[:65536], {})


def test_pins_and_tables_in_base_units(tmp_path) -> None:
    adapter = LibertyAdapter()
    found = source(tmp_path, LIBERTY)
    assert adapter.sniff(found).confidence == 3
    form, (pins, timing) = adapter.read(found)
    assert (form, pins.kind, timing.kind) == ("liberty", "library_pin", "library_timing")
    assert pins.columns["cell"].tolist() == ["inv", "inv", "flop", "flop"]
    assert pins.columns["pin"].tolist() == ["A", "Y", "D", "Q"]
    assert pins.columns["function"].tolist() == ["", "!A", "", ""]
    assert pins.columns["capacitance_f"][[0, 2]].tolist() == pytest.approx([1e-15, 2e-15])

    rows = {name: values.tolist() for name, values in timing.columns.items()}
    assert len(rows["cell"]) == 6 + 4 + 6
    assert rows["edge"] == ["rise"] * 6 + ["fall"] * 4 + ["rise"] * 6
    assert rows["sense"][:10] == ["negative_unate"] * 10
    assert rows["timing_type"][10:] == ["rising_edge"] * 6
    assert rows["condition"][10:] == ["R"] * 6
    assert rows["slew_s"][:6] == pytest.approx([1e-11] * 3 + [3e-11] * 3)
    assert rows["load_f"][:6] == pytest.approx([2e-15, 4e-15, 8e-15] * 2)
    assert rows["delay_s"][:6] == pytest.approx([1e-11, 2e-11, 3e-11, 4e-11, 5e-11, 6e-11])
    # The falling table has the load first: its rows are turned so that the transition comes first.
    assert rows["slew_s"][6:10] == pytest.approx([1e-11, 1e-11, 3e-11, 3e-11])
    assert rows["load_f"][6:10] == pytest.approx([2e-15, 4e-15, 2e-15, 4e-15])
    assert rows["delay_s"][6:10] == pytest.approx([1e-11, 3e-11, 2e-11, 4e-11])
    assert rows["transition_s"][6:10] == pytest.approx([5e-11, 7e-11, 6e-11, 8e-11])
    assert rows["load_f"][12] == pytest.approx(16e-15)
    assert timing.vendor_metadata == {"library": "tiny", "delay_model": "table_lookup", "nom_voltage": "0.8"}
    assert timing.warnings == ("1 timing groups without delays were left out",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("table_lookup", "polynomial", "the delay model polynomial is not read"),
        ('"10ps"', '"7ps"', "the time unit is not 1, 10 or 100 of s to fs at line 2 (found 7ps)"),
        (
            "(2, ff)",
            "(2, mol)",
            "the library says no capacitive_load_unit in pf or ff at line 2 (found 2 mol)",
        ),
        (
            '"4, 5, 6"); }',
            '"4, 5"); }',
            "a table has another number of values than its axes say at line 20 (expected 6, found 5)",
        ),
        ('"1, 2, 3"', '"1, 2, ?"', "a value is no number at line 20 (found 1, 2, ?  4, 5, 6)"),
        ('index_1 ("1, 3")', 'index_1 ("3, 1")', "index_1 does not increase at line 20 (found 3, 1)"),
        ("area : 1.5;", "area : 1.5", "a value ends without a semicolon at line 17 (found {)"),
        (
            "area : 1.5;",
            "area = 1.5;",
            "area is followed by neither a colon nor a parenthesis at line 16 (found =)",
        ),
        ("\n}\n", "\n", "the text ends inside the group library at line 2"),
        ("\n}\n", "\n}}\n", "a brace closes that none opened at line 37 (found })"),
        ("\n}\n", "\n} e (1) } m (2) { }\n", "a brace closes that none opened at line 37 (found })"),
        (
            "rise_transition (grid) { values (\"7",
            "odd_transition (grid) { values (\"7",
            "cell_rise has no rise_transition beside it at line 19 (found inv)",
        ),
    ],
)  # fmt: skip
def test_refusals(tmp_path, old: str, new: str, message: str) -> None:
    assert old in LIBERTY
    with pytest.raises(InstrumentError) as caught:
        LibertyAdapter().read(source(tmp_path, LIBERTY.replace(old, new)))
    assert str(caught.value) == f"tiny.lib: {message}"


def test_cells_with_buses_are_left_out(tmp_path) -> None:
    _, (pins, timing) = LibertyAdapter().read(source(tmp_path, LIBERTY.replace("pin (D)", "bus (D)")))
    assert set(pins.columns["cell"].tolist()) == {"inv"}
    assert set(timing.columns["cell"].tolist()) == {"inv"}
    assert timing.warnings == ("1 cells with buses or bundles were left out",)
