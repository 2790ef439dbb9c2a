"""Broken files that were met or are easy to meet, and every word of what is said about them."""

from pathlib import Path

import pytest

from instruments.errors import InstrumentError
from instruments.registry import read_source
from tests.adapter_contract.cases import BYTES, CASES, CODES, FLOATS, NETLIST, photometer, place_file, registry
from tests.instruments.probing import writers

REGISTRY = registry()


def valid(adapter: str) -> bytes:
    return CASES[adapter].files[""]


def patched(data: bytes, place: int, value: int) -> bytes:
    return data[:place] + bytes([value]) + data[place + 1 :]


FILES: dict[str, tuple[bytes, str, str]] = {
    "empty.trc": (b"", "UnknownFormat", "no adapter recognises this file"),
    "zeros.bin": (bytes(5000), "UnknownFormat", "no adapter recognises this file"),
    "cut.trc": (
        valid("lecroy_trc")[:-10],
        "Truncated",
        "the file ends before its arrays do at byte 539 (expected 549, found 539)",
    ),
    "text.trc": (
        valid("lecroy_trc").replace(b"LECROY_2_3", b"LECROY_2_4"),
        "UnsupportedVersion",
        "the WAVEDESC template is not known at byte 27 (expected LECROY_2_3, LECROY_2_2, LECROY_1_0, found LECROY_2_4)",
    ),
    "cut.pm": (photometer(CODES)[:-3], "Truncated", "the file ends before its samples do (expected 248, found 245)"),
    "long.pm": (
        photometer(CODES) + b"!",
        "CountMismatch",
        "the file is longer than its samples (expected 248, found 249)",
    ),
    "endless.pm": (photometer(CODES)[:60], "Truncated", "the header has no end (expected #DATA)"),
    "version.pm": (
        photometer(CODES).replace(b"METER 1", b"METER 2"),
        "UnsupportedVersion",
        "this version is not known (expected 1, found 2)",
    ),
    "field.pm": (photometer(CODES).replace(b"gain=", b"pain="), "CorruptField", "the header has no gain"),
    "number.pm": (photometer(CODES, gain="much"), "CorruptField", "gain is no number (found much)"),
    "count.pm": (photometer(CODES, samples="-1"), "CorruptField", "samples is no count (found -1)"),
    "scale.pm": (
        photometer(CODES, interval_s="0"),
        "CorruptField",
        "interval_s or gain is not right (found 0.0, 0.01)",
    ),
    "ragged.csv": (
        b"time_s,v_V\n0,1\n1,2,3\n",
        "CorruptField",
        "the row has another number of cells than the first at line 3 (expected 2, found 3)",
    ),
    "word.csv": (
        b"time_s,v_V\n0,1\n1,oops\n",
        "CorruptField",
        "a cell is no number at line 3 (expected a number, found oops)",
    ),
    "gap.csv": (
        b"time_s,v_V\n0,1\n1,2\n3,3\n4,4\n",
        "CorruptField",
        "the times are not evenly spaced at line 4 (expected a step of 1.33333333, found 1 then 3)",
    ),
    "back.csv": (b"time_s,v_V\n2,1\n1,2\n", "CorruptField", "the times do not increase (found -1.0)"),
    "cut.csv": (b"time_s,v_V\n0,1\n1,2\n2", "Truncated", "the file ends inside a row at line 4 (expected 2, found 1)"),
    "half.csv": (
        b"time_s,v_V\n0,1.5e+00\n1,2.5e+00\n2,3.5e+00\n3,4.5e+",
        "Truncated",
        "the file ends inside its last row at line 5 (found 3,4.5e+)",
    ),
    "columns.csv": (
        b"time_s,v_V,w_V\n0,1\n1,2\n",
        "CorruptField",
        "the header names another number of columns than the rows have (expected 2, found 3)",
    ),
    "tek.csv": (
        b"Waveform Type,ANALOG\nRecord Length,2\n\nTIME,CH1\n0,1\n1,2\n",
        "CorruptField",
        "the Tektronix header has no Sample Interval",
    ),
    "rigol.csv": (
        b"X,CH1\nSequence,Volt\n0,1\n1,2\n",
        "CorruptField",
        "the Rigol header has a sequence number but no Start and Increment (found X,CH1)",
    ),
    "cut.isf": (
        valid("tektronix_isf")[:-3],
        "Truncated",
        f"the file ends inside the curve at byte {len(valid('tektronix_isf')) - 3} "
        f"(expected {len(valid('tektronix_isf')) - 1}, found {len(valid('tektronix_isf')) - 3})",
    ),
    "curve.isf": (
        writers.isf(CODES).replace(b":CURVE", b":CURSE"),
        "CorruptField",
        "there is no curve after the waveform preamble",
    ),
    "sum.wfm": (
        valid("tektronix_wfm").replace(b"Ref1", b"Ref2"),
        "CountMismatch",
        "the checksum is not the sum of the bytes before it at byte 1014 (expected 27396, found 27397)",
    ),
    "cut.bin": (
        writers.container([writers.container_waveform([(1, FLOATS)])])[:100],
        "Truncated",
        "the file ends inside a header at byte 12 (expected 140, found 88)",
    ),
    "cut.wfm": (
        writers.ds1000e(BYTES)[:-1],
        "Truncated",
        "the file ends before its samples do at byte 395 (expected 396, found 395)",
    ),
    "logic.wfm": (
        patched(writers.ds1000z(BYTES[:1], (1,)), 88, 0),
        "UnsupportedVersion",
        "the file holds logic levels, which are not read",
    ),
    "alone.Wfm.bin": (
        CASES["rohde_schwarz_pair"].files["a.Wfm.bin"],
        "CorruptField",
        "these are samples without their settings; upload them in one bundle (expected alone.bin, found one file)",
    ),
    "alone.bin": (
        CASES["rohde_schwarz_pair"].files["a.bin"],
        "CorruptField",
        "these are settings without samples; upload them in one bundle (expected alone.Wfm.bin, found one file)",
    ),
    "bit.csv": (
        b"cycle,a,b\n0,0,2\n",
        "CorruptField",
        "a pattern bit is neither 0 nor 1 at line 2 (found 2)",
    ),
    "twice.csv": (b"cycle,output\n1,y\n1,y\n", "CorruptField", "the failing bit 1,y is listed twice at line 3"),
    "two.csv": (
        b"instance,net,x_um,y_um\n\ng1,y,1,2\ng2,z,1,2\ng3,y,1.0,2.00\ng4,y,1,3\n",
        "CorruptField",
        "the net y, which is placed in line 3, is at another place at line 6 (expected 1, 2, found 1, 3)",
    ),
    "loop.bench": (
        NETLIST.replace(b"NAND(a, b)", b"NAND(a, y)"),
        "CorruptField",
        "combinational loop of 1 nets: y -> y at line 4",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_every_word_of_a_refusal(name: str, tmp_path: Path) -> None:
    data, kind, message = FILES[name]
    with pytest.raises(InstrumentError) as caught:
        read_source(place_file(tmp_path, name, data), REGISTRY)
    assert (type(caught.value).__name__, str(caught.value)) == (kind, f"{name}: {message}")
    assert {reason["adapter"] for reason in caught.value.reasons} == set(REGISTRY.adapters)
