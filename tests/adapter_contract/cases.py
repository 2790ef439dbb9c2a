"""One small valid file for each registered adapter and for the worked example, and what it holds."""

import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import tifffile

from instruments.adapter import HEAD_BYTES, Adapter, Source
from instruments.example import PhotometerAdapter
from instruments.registry import Registry
from instruments.secs.journal_lines import Heading, Received, write_journal
from services.demo.oscilloscope_files import Scaling, write_lecroy_trc, write_time_reflectance_csv
from tests.instruments.electrical import atdf_files, stdf_writer, wmap_files
from tests.instruments.electrical.stress_tables import LIFETIMES, READOUTS, UNIT_EVIDENCE
from tests.instruments.electrical.wafer_map_writer import DIES, SINF, device_list, e142, g85
from tests.instruments.mask.clips import CLIP
from tests.instruments.mask.klarf_writer import flat
from tests.instruments.mask.layout_writer import sample_gdsii
from tests.instruments.mask.metrology_tables import WIDTHS
from tests.instruments.probing import infiniium_writer, tdms_writer, writers
from tests.instruments.repair.logs import FIB_XML, LASER_JSON
from tests.instruments.repair.tiff_writer import sample as fibsem_sample
from tests.instruments.simulation.delay_files import LIBERTY, SDF

WHOLE = "whole"
ROWS = "rows"


@dataclass(frozen=True)
class Case:
    """A valid file, or bundle, and what is known of it.

    Attributes:
        adapter: the name of the one that must read it.
        name: of the file or bundle.
        files: path inside the bundle to content; ``""`` for a single file.
        counts: kind and count of each record, as ``faultlight read`` prints them.
        nature: ``WHOLE`` when the file says how much it holds, so that no cut may be read; ``ROWS`` when it does not,
            so that a cut may be read as a smaller file.
        spare: bytes at the end that may be missing without harm, such as a line end or an end mark.
        found_by_offset: the format finds its parts by offsets, so that bytes after them mean nothing to it.
    """

    adapter: str
    name: str
    files: Mapping[str, bytes]
    counts: tuple[tuple[str, int], ...]
    nature: str
    spare: int = 0
    found_by_offset: bool = False

    def place(self, folder: Path, changed: Mapping[str, bytes] | None = None) -> Source:
        """Write the files, some of them changed, below ``folder``; return their source."""
        files = {**self.files, **(changed or {})}
        if set(files) == {""}:
            return place_file(folder, self.name, files[""])
        members = {}
        for path, data in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            members[path] = target
        return Source(folder, self.name, sum(map(len, files.values())), b"", members)


def place_file(folder: Path, name: str, data: bytes) -> Source:
    """Write one file; return its source."""
    path = folder / name
    path.write_bytes(data)
    return Source(path, name, len(data), data[:HEAD_BYTES], {})


def registry() -> Registry:
    """All registered adapters and the worked example."""
    adapters: list[Adapter] = [*Registry.load(strict=True).adapters.values(), PhotometerAdapter()]
    return Registry(adapters)


def written(write: Callable[[Path], None]) -> bytes:
    """What ``write`` writes to the path that it is given."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()


def photometer(codes: "np.ndarray[tuple[int], np.dtype[np.int16]]", **fields: str) -> bytes:
    """A file of the worked example's format."""
    values = {
        "channel": "A",
        "unit": "mW",
        "interval_s": "1e-6",
        "start_s": "-0.5",
        "gain": "0.01",
        "samples": str(codes.size),
    } | fields
    lines = "".join(f"{key}={value}\n" for key, value in values.items())
    return f"#PHOTOMETER 1\n{lines}#DATA\n".encode() + codes.astype("<i2").tobytes()


CODES = np.arange(-40, 40, dtype=np.int16)
FLOATS = np.linspace(-1, 1, 60).astype(np.float32)
BYTES = (np.arange(2 * 60) + 60).reshape(2, 60).astype(np.uint8)
NETLIST = b"INPUT(a)\nINPUT(b)\nOUTPUT(y)\ny = NAND(a, b)\n"
PATTERNS = b"cycle,a,b\n0,0,1\n1,1,1\n2,1,0\n"
WAVE = written(lambda path: write_time_reflectance_csv(path, -1e-9, 1e-11, np.sin(np.arange(40) / 5)))
SETTINGS, PAYLOAD = writers.rohde_schwarz(FLOATS)
SESSION = {
    "schema": "faultlight.probing-session/1",
    "session": "S-1",
    "role": "suspect",
    "technique": "LVP",
    "simulated": True,
    "stimulus": {"cycle_s": 1e-8, "cycles": 3},
    "netlist": "n.bench",
    "patterns": "patterns.csv",
    "waveforms": [{"file": "probe.csv", "net": "y"}],
}
DUMP = b"""$timescale 1 ns $end
$scope module top $end
$var wire 1 ! clk $end
$var wire 4 " bus $end
$upscope $end
$enddefinitions $end
#0
0!
b0000 "
#5
1!
b1010 "
#10
0!
"""
VERILOG = b"module top (a, b, y);\n  input a, b;\n  output y;\n  nand g1 (y, a, b);\nendmodule\n"
LECROY = written(
    lambda path: write_lecroy_trc(
        path, CODES.reshape(2, 40), Scaling(0.5, 1.0, 1e-9, -1e-8), trigger_offsets_s=(0.0, 1e-6)
    )
)


def journal() -> bytes:
    """A journal of two messages without a body."""
    times = ("2026-11-24T10:00:00.000000Z", "2026-11-24T10:00:01.000000Z")
    messages = [Received(7 + index, at, 1, 0, 1, 1, True, 100 + index, b"") for index, at in enumerate(times)]
    file = io.BytesIO()
    write_journal(Heading("J-1", "FIB-03", 1, 7, None), messages, file)
    return file.getvalue()


def tiff(values: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> bytes:
    """A picture of one page."""
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="minisblack", metadata=None)
    return file.getvalue()


def container_file(values: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> bytes:
    """An HDF5 file with one dataset ``/a``."""
    file = io.BytesIO()
    with h5py.File(file, "w") as tree:
        tree.create_dataset("a", data=values)
    return file.getvalue()


MAP = {
    "schema": "faultlight.signal-map/1",
    "name": "m",
    "bands": [{"name": "amplitude", "unit": "V", "file": "m.tif"}],
    "pitch_nm": 100,
}
MAPPING = {
    "schema": "faultlight.hdf5-mapping/1",
    "waveforms": [{"name": "a", "values": "/a", "unit": "V", "dt_s": 1e-9, "t0_s": 0.0}],
}


STDF_COUNTS = (
    ("test_run", 1),
    ("test_result", 9),
    ("test_item", 3),
    ("test_part", 3),
    ("test_wafer", 1),
    ("bin_summary", 4),
    ("test_pin", 2),
    ("functional_result", 2),
)


def single(
    adapter: str, name: str, data: bytes, counts: tuple[tuple[str, int], ...], nature: str, spare: int = 0
) -> Case:
    return Case(adapter, name, {"": data}, counts, nature, spare)


def waves(*counts: int) -> tuple[tuple[str, int], ...]:
    return tuple(("waveform", count) for count in counts)


CASES = {
    case.adapter: case
    for case in (
        single("photometer", "a.pm", photometer(CODES), waves(80), WHOLE),
        single("lecroy_trc", "C1.trc", LECROY, waves(80), WHOLE),
        single("delimited", "probe.csv", WAVE, waves(40), ROWS),
        single("tektronix_isf", "a.isf", writers.isf(CODES), waves(80), WHOLE, spare=1),
        single("tdms", "a.tdms", tdms_writer.two_channels(), waves(120, 120), WHOLE),
        single("tektronix_wfm", "a.wfm", writers.tektronix_wfm(CODES), waves(80), WHOLE),
        single(
            "float_container",
            "a.bin",
            writers.container([writers.container_waveform([(3, FLOATS - 1), (2, FLOATS)], kind=2)]),
            waves(60, 60),
            WHOLE,
        ),
        single("oscilloscope", "DS1.wfm", writers.ds1000e(BYTES), waves(60, 60), WHOLE),
        Case("rohde_schwarz_pair", "pair", {"a.bin": SETTINGS, "a.Wfm.bin": PAYLOAD}, waves(60), WHOLE),
        Case(
            "probing_session",
            "S-1",
            {
                "session.json": json.dumps(SESSION).encode(),
                "n.bench": NETLIST,
                "patterns.csv": PATTERNS,
                "probe.csv": WAVE,
            },
            (("probing_session", 1),),
            ROWS,
        ),
        Case(
            "signal_map",
            "map",
            {"map.json": json.dumps(MAP).encode(), "m.tif": tiff(FLOATS.reshape(6, 10))},
            (("signal_map", 60),),
            WHOLE,
            found_by_offset=True,
        ),
        Case(
            "hdf5",
            "run",
            {"mapping.json": json.dumps(MAPPING).encode(), "run.h5": container_file(CODES)},
            waves(80),
            WHOLE,
            found_by_offset=True,
        ),
        single("secs_journal", "j.jsonl", journal(), (("equipment_message", 2),), WHOLE, spare=1),
        single("bench_netlist", "n.bench", NETLIST, (("netlist", 1),), ROWS),
        single("pattern_table", "patterns.csv", PATTERNS, (("pattern_set", 3),), ROWS),
        single("fail_table", "fails.csv", b"cycle,output\n1,y\n2,y\n", (("fail_log", 2),), ROWS),
        single("placement_table", "p.csv", b"instance,net,x_um,y_um\ng1,y,1.5,2.5\n", (("placement", 1),), ROWS),
        single("value_change_dump", "a.vcd", DUMP, (("digital_trace", 3), ("digital_trace", 2)), ROWS),
        single("verilog_netlist", "a.v", VERILOG, (("netlist", 1),), ROWS),
        single("standard_delay", "top.sdf", SDF.encode(), (("delay_arc", 6),), WHOLE, spare=1),
        single("liberty", "tiny.lib", LIBERTY.encode(), (("library_pin", 4), ("library_timing", 16)), WHOLE, spare=1),
        single("klarf", "a.klarf", flat().encode(), (("mask_defect", 2),), WHOLE, spare=12),
        single("layout", "a.gds", sample_gdsii(), (("layout_cell", 3), ("layout_layer", 4)), WHOLE),
        single("glp", "clip.glp", CLIP.encode(), (("layout_polygon", 2),), WHOLE, spare=1),
        single("mask_metrology", "sites.csv", WIDTHS.encode(), (("metrology_site", 2),), ROWS),
        single("e142_map", "map.xml", e142().encode(), (("wafer_map", DIES),), WHOLE, spare=1),
        single("g85_map", "map.xml", g85().encode(), (("wafer_map", DIES),), WHOLE, spare=1),
        single("sinf_map", "map.sinf", SINF.encode(), (("wafer_map", 8),), WHOLE, spare=2),
        single("wmap_map", "a.wmap", wmap_files.SAMPLE.encode(), (("wafer_map", 8),), WHOLE, spare=1),
        single("readouts", "readouts.csv", READOUTS.encode(), (("readout", 3),), ROWS),
        single("lifetimes", "lifetimes.csv", LIFETIMES.encode(), (("lifetime", 5),), ROWS),
        single("unit_evidence", "units.csv", UNIT_EVIDENCE.encode(), (("unit_evidence", 4),), ROWS),
        single("laser_log", "job.jsonl", LASER_JSON.encode(), (("repair_step", 2),), WHOLE, spare=1),
        single("fib_log", "job.xml", FIB_XML.encode(), (("repair_step", 2),), WHOLE, spare=1),
        single("stdf", "lot.stdf", stdf_writer.sample().data(), STDF_COUNTS, ROWS),
        single("atdf", "lot.atdf", atdf_files.SAMPLE.encode(), STDF_COUNTS, ROWS),
        single("fibsem_image", "a.tif", fibsem_sample(), (("image", 36),), WHOLE),
    )
}


STAMPS = ((0.25, 0.5, 1_700_000_000), (0.5, 0.75, 1_700_000_001))
HISTORY, HISTORY_PAYLOAD = writers.rohde_schwarz(FLOATS.reshape(3, 20), stamps=(-2.0, -1.0, 0.0))
PAIRED, PAIRED_PAYLOAD = writers.rohde_schwarz(
    FLOATS.reshape(1, 30, 2),
    times=True,
    channels={channel: {"Source": f"eRS_SIGNAL_SOURCE_CH{channel + 1}_TR1"} for channel in (0, 1)},
)
BARE = "".join(f"{-1e-6 + 1e-9 * row:.12g},{row * 0.25:.3f}\n" for _ in range(3) for row in range(20)).encode()
INFINIIUM = infiniium_writer.padded(np.sin(np.arange(40) / 5)).encode()
SEGMENTED = infiniium_writer.beside(
    np.cos(np.arange(60) / 7).reshape(20, 3), (-5e-9, -4.9e-9, -4.8e-9), ("Channel 1",) * 3, (0.0, 0.25, 0.5)
).encode()
DEVICES = e142(device_list(((0, 0, "1"), (3, 1, "2"), (4, 3, "1"), (2, 2, ".")))).encode()
RATE = (("IQ_sampleRate", 1e9), ("IQ_span", 8e8))
VARIANTS = {
    "FastFrame": single(
        "tektronix_wfm", "a.wfm", writers.tektronix_wfm(CODES.reshape(2, 40), stamps=STAMPS), waves(80), WHOLE
    ),
    "FastFrame, big-endian, WFM#001": single(
        "tektronix_wfm",
        "a.wfm",
        writers.tektronix_wfm(CODES.reshape(2, 40), stamps=STAMPS, order=">", version=1),
        waves(80),
        WHOLE,
    ),
    "FastFrame, envelope": single(
        "tektronix_wfm",
        "a.wfm",
        writers.tektronix_wfm(CODES.reshape(4, 20), stamps=(*STAMPS, *STAMPS), patches=((154, "H", 2),)),
        waves(60),
        WHOLE,
    ),
    "I and Q": single("tektronix_wfm", "a.wfm", writers.tektronix_wfm(CODES, notes=RATE), waves(40, 40), WHOLE),
    "logic lines": single(
        "tektronix_wfm",
        "a.wfm",
        writers.tektronix_wfm(CODES.astype(np.int8), code=7, data_type=6, notes=(("d0", ""),)),
        waves(80),
        WHOLE,
    ),
    "history": Case("rohde_schwarz_pair", "pair", {"a.bin": HISTORY, "a.Wfm.bin": HISTORY_PAYLOAD}, waves(60), WHOLE),
    "channels with times": Case(
        "rohde_schwarz_pair", "pair", {"a.bin": PAIRED, "a.Wfm.bin": PAIRED_PAYLOAD}, waves(30, 30), WHOLE
    ),
    "history without a header": single("delimited", "h.Wfm.csv", BARE, waves(60), ROWS),
    "Infiniium": single("delimited", "i.csv", INFINIIUM, waves(40), WHOLE, spare=1),
    "Infiniium, segments": single("delimited", "i.csv", SEGMENTED, waves(60), WHOLE, spare=1),
    "E142, devices": single("e142_map", "map.xml", DEVICES, (("wafer_map", 3),), WHOLE, spare=1),
    "DS1000B": single("oscilloscope", "DS1.wfm", writers.ds1000b(BYTES), waves(60, 60), WHOLE),
    "DS1000C": single("oscilloscope", "DS1.wfm", writers.ds1000c(BYTES), waves(60, 60), WHOLE),
    "DS1000Z": single("oscilloscope", "DS1.wfm", writers.ds1000z(BYTES), waves(60, 60), WHOLE),
    "DHO": single(
        "float_container",
        "a.bin",
        writers.container([writers.container_waveform([(1, FLOATS)], long=True)], b"RG03"),
        waves(60),
        WHOLE,
    ),
    "MSO5074, logic lines": single(
        "float_container",
        "a.bin",
        writers.container([writers.container_waveform([(5, np.floor(60 + 9 * FLOATS))], kind=6)], b"RG01"),
        waves(60),
        WHOLE,
    ),
    "MSO7000": single(
        "float_container",
        "a.bin",
        writers.container([writers.container_waveform([(1, FLOATS)], header_bytes=128)], b"RG01"),
        waves(60),
        WHOLE,
    ),
}
"""Further variants of a format, by what they are."""
EVERY_CASE = CASES | VARIANTS
