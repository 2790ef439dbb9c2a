"""What is damaged: small valid files of every adapter, of every variant that has a path of its own."""

import gzip
import io
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.adapter_contract.cases import CASES, CODES, FLOATS, MAP, NETLIST, VARIANTS, Case
from tests.instruments.electrical import stdf_writer
from tests.instruments.electrical.wafer_map_writer import SINF
from tests.instruments.mask.klarf_writer import flat, nested
from tests.instruments.mask.layout_writer import sample_oasis
from tests.instruments.mask.metrology_tables import REGISTRATION
from tests.instruments.probing import tdms_writer, writers
from tests.instruments.repair import logs, tiff_writer

WAVE = tdms_writer.WAVE
FEW = CODES[:24]
DUMP = b"""$date today $end
$timescale 10 ps $end
$scope module top $end
$var wire 1 ! clk $end
$var wire 1 ! alias $end
$var reg 4 " bus [3:0] $end
$var real 64 # level $end
$var string 1 $ state $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
0!
bxxxx "
r0.5 #
sIDLE $
$end
#2.5
1!
b101 "
#7
0!
bz "
r-1e-3 #
sRUN $
"""
OTHERS = b"""$attrbegin misc 02 STD_LOGIC 1030 $end
$var port 2 3 p[1:0] $end
$attrend $end
$var wire 0 H nothing $end
$var wire 1 ! a $end
$enddefinitions $end
#0
b0 3
b H
0!
#10
b11 3
1!
"""
"""What only some tools write: a port in a plain dump, a variable without bits, attributes."""


NAMES = b"""$timescale 1ns $end
$var wire 1 ! d [3] $end
$var wire 1 " v [1] $end
$var wire 1 # v [0] $end
$var reg 8 % mem [5] $end
$var wire 1 & \\q[0] $end
$var wire 1 ' \\q[1] $end
$enddefinitions $end
#0
1!
0"
1#
b101 %
0&
1'
#4
0!
1&
"""
"""Bits and words by their index, and escaped names with brackets."""


ATDF = (
    b"FAR:A|4|2|U\nMIR:L7|P2|hot|node|T9\n |8:15:00 2-MAR-1999|8:20:00 2-MAR-1999|op\nPMR:2|A|1-7|GND|MAIN|2|1\n"
    b"PMR:3|17|1-8|A0||2|1\nPGR:12|Out|2,3\nPIR:2|1\nPTR:5|2|1|997.5|F|AOH|layer|||\n A|-1.5|45.0| %9.4f\n"
    b"MPR:6|2|1||1.5,9.5|F|D|||LH|mA|1.0\n |2.0|4.5|.5|V|2,3\nPRR:2|1|13|2|F|0|17|-2|7|||644|\n edge|F1\n"
    b"MRR:12:17:00 2-MAR-1999|H\n"
)
"""Channels typed by a letter, lists, records that go on after any field."""


def parquet(columns: dict[str, list[object]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="none")
    return file.getvalue()


def texts_and_stamps() -> bytes:
    """A TDMS file of a channel of texts, one of time stamps and one of complex numbers."""
    items = [
        tdms_writer.Item(tdms_writer.channel("t"), tdms_writer.text_index(2, 11)),
        tdms_writer.Item(tdms_writer.channel("s"), tdms_writer.stamp_index(2)),
        tdms_writer.Item(tdms_writer.channel("c"), tdms_writer.index("c8", 2), WAVE),
    ]
    raw = struct.pack("<II", 1, 3) + b"abc" + bytes(32) + np.array([1j, 2], "<c8").tobytes()
    return tdms_writer.segment(items, raw)


def another_interval() -> bytes:
    """A TDMS file whose channel gets another sampling interval after some of its data."""
    parts = [
        [tdms_writer.Item(tdms_writer.channel("a"), tdms_writer.index("f8", 3), properties)]
        for properties in (WAVE, {"wf_increment": 0.25})
    ]
    return b"".join(tdms_writer.segment(items, np.arange(3.0).tobytes()) for items in parts)


def big_endian() -> bytes:
    items = [tdms_writer.Item(tdms_writer.channel("a"), tdms_writer.index("f4", 4, ">"), WAVE)]
    flags = tdms_writer.BIG | tdms_writer.NEW_LIST
    return tdms_writer.segment(items, np.arange(4, dtype=">f4").tobytes(), flags=flags)


def single(adapter: str, name: str, data: bytes) -> Case:
    return Case(adapter, name, {"": data}, (), "")


def grid_map() -> Case:
    bands = [{"name": "amplitude", "unit": "V", "file": "m.csv"}]
    sidecar = json.dumps({**MAP, "bands": bands}).encode()
    return Case("signal_map", "grid", {"map.json": sidecar, "m.csv": b"1,2,3\n4,5,6\n"}, (), "")


def pair(adapter_name: str, settings: bytes, payload: bytes) -> Case:
    return Case(adapter_name, "pair", {"a.bin": settings, "a.Wfm.bin": payload}, (), "")


BESIDE = b"Record Length,30,,-0.001,0.5,\nSample Interval,0.001,,0,0.25,\nSource,CH1,,0.001,0.75,\n" + b"".join(
    b",,,%.3f,%.2f,\n" % (0.001 * i, i / 50) for i in range(2, 29)
)
"""A Tektronix table with its header beside the samples."""
STAMPED = b"Time(s),CH1V,CH2V,t0 =-2.0e-08, tInc = 1.0e-08,\n" + b"".join(
    b"%.2e,%d,0.5,,\n" % ((i - 2) * 1e-8, i % 5) for i in range(24)
)
"""A Rigol table with its first time and its interval beside the titles."""
LOT = (
    b"FileVersion 1 2;\nLotID L;\nDiePitch 1 1;\nDefectRecordSpec 5 DEFECTID XREL YREL XINDEX YINDEX;\n"
    + b"".join(b"WaferID W%d;\nSampleCenterLocation 0 0;\nDefectList\n1 1 2 0 0\n2 3 4 0 1;\n" % i for i in (1, 2, 3))
    + b"EndOfFile;\n"
)
"""Three wafers in one KLARF file."""

MORE = (
    single("tektronix_isf", "e.isf", writers.isf(FEW, PT_FMT="ENV", short=True)),
    single("tektronix_isf", "t.isf", writers.isf(FEW, ENCDG="ASCII")),
    single("tektronix_wfm", "b.wfm", writers.tektronix_wfm(FEW, order=">", version=1, notes=())),
    single("tektronix_wfm", "f.wfm", writers.tektronix_wfm(FEW.reshape(3, 8), stamps=((0.25, 0.0, 0),) * 3)),
    single("oscilloscope", "z.wfm", writers.ds1000z(np.full((1, 40), 120, np.uint8), (2,))),
    single("float_container", "r.bin", writers.container([writers.container_waveform([(1, FLOATS)])], b"RG01")),
    single("float_container", "l.bin", writers.container([writers.container_waveform([(6, FLOATS.astype("u1"))])])),
    single("delimited", "k.csv", b"x-axis,1\nsecond,Volt\n" + b"".join(b"%d,1.5\n" % i for i in range(30))),
    single("delimited", "s.csv", b"time [ms];v [mV]\n" + b"".join(b"%d,5;1,5\n" % i for i in range(30))),
    single("delimited", "t.csv", BESIDE),
    single(
        "delimited", "u.txt", ("time [us]\tv [V]\n" + "".join(f"{i},5\t1,{i}\n" for i in range(20))).encode("utf-16")
    ),
    single("delimited", "r.csv", STAMPED),
    single("sinf_map", "d.sinf", SINF.replace("ROWCT", "DIECT:8\nROWCT").encode()),
    single("klarf", "s.klarf", flat(head="SampleTestPlan 2;\n 0 0;\n -1 2;\n").encode()),
    single("value_change_dump", "n.vcd", NAMES),
    single("tdms", "t.tdms", texts_and_stamps()),
    single("tdms", "b.tdms", big_endian()),
    single("tdms", "s.tdms", tdms_writer.two_channels(4)),
    single("tdms", "c.tdms", another_interval()),
    single("atdf", "s.atdf", ATDF),
    single("lifetimes", "w.csv", b"time [h],F/S,number\n100,F,3\n200,S,5\n300,failed,1\n400,suspended,2\n"),
    pair("rohde_schwarz_pair", *writers.rohde_schwarz(FLOATS[:8].reshape(2, 4), stamps=(0.0, 1.0), times=True)),
    grid_map(),
    single("klarf", "n.klarf", nested().encode()),
    single("klarf", "w.klarf", LOT),
    single("mask_metrology", "c.csv", REGISTRATION.replace(".", ",").replace("x,", "x.").encode("cp1252")),
    single("layout", "a.oas", sample_oasis()),
    single("mask_metrology", "r.csv", REGISTRATION.encode()),
    single("laser_log", "l.csv", logs.LASER_CSV.encode()),
    single("fib_log", "f.csv", logs.FIB_CSV.encode()),
    single("fib_log", "f.jsonl", logs.FIB_JSON.encode()),
    single(
        "fibsem_image", "z.tif", tiff_writer.tiff(tiff_writer.PIXELS, {34118: tiff_writer.zeiss(tiff_writer.ZEISS)})
    ),
    single("fibsem_image", "t.tif", tiff_writer.tiff(tiff_writer.PIXELS, {50431: tiff_writer.tescan()}, order=">")),
    single("stdf", "b.stdf", stdf_writer.sample(">").data()),
    single("stdf", "z.stdf.gz", gzip.compress(stdf_writer.sample().data(), mtime=0)),
    single("stdf", "p.stdf", stdf_writer.sample().data() + bytes(100)),
    single("value_change_dump", "x.vcd", DUMP),
    single("value_change_dump", "o.vcd", OTHERS),
    single(
        "verilog_netlist",
        "n.v",
        b"module t (a, y);\n  input [1:0] a;\n  output y;\n  xor (y, a[0], a[1]);\nendmodule\n",
    ),
    single("bench_netlist", "q.bench", NETLIST + b"OUTPUT(q)\nq = DFF(d)\nd = XOR(q, a) # comment\n"),
    single("lifetimes", "l.parquet", parquet({"time_h": [1.0, 2.0], "status": ["exact", "right"], "count": [1, 3]})),
)
ALL: dict[str, tuple[Case, ...]] = {
    name: (case, *(more for more in (*MORE, *VARIANTS.values()) if more.adapter == name))
    for name, case in CASES.items()
}
