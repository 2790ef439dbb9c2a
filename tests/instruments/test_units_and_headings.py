"""Units by their symbols and the names of columns: exact, and never guessed."""

import pytest

from instruments.errors import UnsupportedVersion
from instruments.headings import split_ending, split_heading
from instruments.units import convert, find_unit, unit_of


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (350, "fs", "s", 3.5e-13),
        (0.3, "mm", "um", 300),
        (1500, "nJ", "µJ", 1.5),
        (65000, "pA", "nA", 65),
        (1.5, "min", "s", 90),
        (2, "h", "min", 120),
        (12, "mJ/cm²", "J/cm^2", 0.012),
        (250, "kV", "V", 250000),
        (180, "deg", "rad", 3.141592653589793),
        (0.7, "m", "m", 0.7),
    ],
)
def test_conversion_is_exact(value, source, target, expected):
    assert convert(value, unit_of(source, "x"), unit_of(target, "x")) == expected


def test_every_unit_ends_where_it_began():
    for text in ("pm", "us", "kHz", "mbar", "nC/um2", "angstrom", "%"):
        unit = unit_of(text, "x")
        assert convert(convert(3.25, unit, unit), unit, unit) == 3.25


@pytest.mark.parametrize("text", ["furlong", "", "mhz", "Mhz", "xm", "m/s"])
def test_unknown_and_ambiguous_units(text):
    assert find_unit(text) is None
    with pytest.raises(UnsupportedVersion) as caught:
        unit_of(text, "the depth", "f.csv")
    assert str(caught.value) == (f"f.csv: the unit of the depth is not known (expected a known unit, found {text})")


def test_case_decides_between_milli_and_mega():
    assert (unit_of("MW", "x").exponent, unit_of("mW", "x").exponent) == (6, -3)


@pytest.mark.parametrize(
    ("heading", "name", "unit"),
    [
        ("Beam Current (nA)", "beam_current", "nA"),
        ("Depth [µm]", "depth", "µm"),
        ("PixelDwell", "pixel_dwell", ""),
        ("stage-x.pos", "stage_x_pos", ""),
        ("Fluence[J/cm²]", "fluence", "J/cm²"),
    ],
)
def test_headings(heading, name, unit):
    assert split_heading(heading) == (name, unit)


def test_endings():
    assert split_ending("fluence_mj_cm2") == ("fluence", "mj_cm2")
    assert split_ending("depth_nm") == ("depth", "nm")
    assert split_ending("nm") == ("nm", "")
    assert split_ending("end_point") == ("end_point", "")


@pytest.mark.parametrize(
    ("words", "symbol"),
    [("Nanometers", "nm"), ("micrometre", "um"), ("femtoseconds", "fs"), ("kilovolts", "kV"), ("milliamps", "mA")],
)
def test_units_that_are_spelled_out(words, symbol):
    assert unit_of(words, "x").symbol == symbol
