"""Files of some megabytes for the trials, made by the tests' own writers."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import tifffile

from instruments.adapter import HEAD_BYTES, Source
from services.demo.oscilloscope_files import Scaling, write_lecroy_trc, write_time_reflectance_csv
from tests.instruments.electrical import stdf_writer
from tests.instruments.mask import klarf_writer, layout_writer
from tests.instruments.probing import tdms_writer, writers

SAMPLES = 4_000_000
SHAPE = (2048, 2048)


def source_of(path: Path) -> Source:
    """Return the source of one file."""
    with path.open("rb") as file:
        return Source(path, path.name, path.stat().st_size, file.read(HEAD_BYTES), {})


def file(folder: Path, name: str, data: bytes) -> Source:
    """Write one file; return its source."""
    (folder / name).write_bytes(data)
    return source_of(folder / name)


def bundle(folder: Path, files: Mapping[str, bytes]) -> Source:
    """Write several files that belong together; return their source."""
    members = {}
    for name, data in files.items():
        (folder / name).write_bytes(data)
        members[name] = folder / name
    return Source(folder, folder.name, sum(map(len, files.values())), b"", members)


def codes() -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    """A noisy sine in 16-bit codes."""
    noise = np.random.default_rng(7).normal(scale=40, size=SAMPLES)
    return (8000 * np.sin(np.arange(SAMPLES) / 300) + noise).astype(np.int16)


def floats() -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """Half as many, in float32."""
    return codes()[: SAMPLES // 2].astype(np.float32) / np.float32(8192)


def lecroy(folder: Path) -> Source:
    """A LeCroy file of one segment."""
    write_lecroy_trc(folder / "C1.trc", codes()[None], Scaling(1e-4, 0.0, 1e-9, -1e-6))
    return source_of(folder / "C1.trc")


def delimited(folder: Path) -> Source:
    """A text of times and values."""
    write_time_reflectance_csv(folder / "probe.csv", -1e-6, 1e-9, codes()[:300_000] / 8192.0)
    return source_of(folder / "probe.csv")


def rohde_schwarz(folder: Path) -> Source:
    """Settings and samples."""
    settings, payload = writers.rohde_schwarz(floats())
    return bundle(folder, {"a.bin": settings, "a.Wfm.bin": payload})


def hdf5(folder: Path) -> Source:
    """Compressed samples with a mapping."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as tree:
        tree.create_dataset("a", data=codes(), chunks=(1 << 16,), compression="gzip", shuffle=True)
    mapping = {
        "schema": "faultlight.hdf5-mapping/1",
        "waveforms": [{"name": "a", "values": "/a", "unit": "V", "dt_s": 1e-9}],
    }
    return bundle(folder, {"mapping.json": json.dumps(mapping).encode(), "run.h5": memory.getvalue()})


def signal_map(folder: Path) -> Source:
    """Amplitude and phase on two pages."""
    rng = np.random.default_rng(5)
    memory = io.BytesIO()
    with tifffile.TiffWriter(memory) as writer:
        for scale in (1.0, 3.0):
            writer.write(rng.uniform(-scale, scale, SHAPE).astype(np.float32), photometric="minisblack", metadata=None)
    bands = [
        {"name": name, "unit": unit, "file": "m.tif", "page": page}
        for page, (name, unit) in enumerate((("amplitude", "V"), ("phase", "rad")))
    ]
    sidecar = {"schema": "faultlight.signal-map/1", "bands": bands, "pitch_nm": 100, "phase_wrapped": True}
    return bundle(folder, {"map.json": json.dumps(sidecar).encode(), "m.tif": memory.getvalue()})


def dump(folder: Path) -> Source:
    """A dump of 64 wires and vectors, every statement a change."""
    rng = np.random.default_rng(3)
    lines = ["$timescale 1ps $end", "$scope module top $end"]
    widths = [1 if number % 2 else 16 for number in range(64)]
    names = [f"{chr(33 + number // 8)}{chr(65 + number % 8)}" for number in range(64)]
    lines += [
        f"$var wire {width} {name} n{index} $end" for index, (width, name) in enumerate(zip(widths, names, strict=True))
    ]
    lines += ["$upscope $end", "$enddefinitions $end"]
    state = [0] * 64
    for tick in range(20_000):
        lines.append(f"#{tick * 10}")
        for which in rng.choice(64, 12, replace=False):
            state[which] = state[which] + 1 & (1 << widths[which]) - 1
            value = f"{state[which]:b}"
            lines.append(f"{value}{names[which]}" if widths[which] == 1 else f"b{value} {names[which]}")
    return file(folder, "a.vcd", ("\n".join(lines) + "\n").encode())


def klarf(folder: Path) -> Source:
    """A list of 50 000 defects."""
    rows = [f"{k} {k % 977}.5 {k % 499}.25 {k % 30} {k % 20} 0.5 3 1" for k in range(1, 50_001)]
    return file(folder, "a.klarf", klarf_writer.flat(rows).encode())


def layout(folder: Path) -> Source:
    """A cell of 100 000 boxes."""
    boxes = (layout_writer.box(k % 5 + 1, 20 * k, 0, 20 * k + 10, 10) for k in range(100_000))
    return file(folder, "a.gds", layout_writer.library(layout_writer.structure("TOP", *boxes)))


def bench_netlist(folder: Path) -> Source:
    """A chain of 40 000 gates."""
    lines = ["INPUT(a)", "INPUT(b)", "OUTPUT(n39999)", "n0 = NAND(a, b)"]
    lines += [f"n{k} = NAND(n{k - 1}, b)" for k in range(1, 40_000)]
    return file(folder, "a.bench", ("\n".join(lines) + "\n").encode())


def verilog_netlist(folder: Path) -> Source:
    """A chain of 10 000 gates."""
    wires = "".join(f"  wire n{k};\n" for k in range(10_000))
    gates = "".join(f"  nand g{k} (n{k}, {f'n{k - 1}' if k else 'a'}, b);\n" for k in range(10_000))
    text = f"module top (a, b, y);\n  input a, b;\n  output y;\n{wires}{gates}  buf o (y, n9999);\nendmodule\n"
    return file(folder, "a.v", text.encode())


def stdf(folder: Path) -> Source:
    """A log of 300 parts on four sites, with 200 parametric tests each."""
    rng = np.random.default_rng(5)
    log = stdf_writer.StdfWriter().mir()
    for first in range(0, 300, 4):
        for site in range(4):
            log.pir(site=site)
        for test, row in enumerate(rng.normal(1.0, 0.1, (200, 4))):
            for site, value in enumerate(row):
                if first + site:
                    log.ptr(1000 + test, value, site=site, name=f"test_{test}", options=0x30)
                else:
                    log.ptr(1000 + test, value, site=site, name=f"test_{test}", options=0x0E, limits=(0.5, 1.5))
        for site in range(4):
            log.prr(site=site, tests=200, place=(first % 40 + site, first // 40), name=f"P{first + site}")
    log.bin_record(40, 255, 255, 1, 300, "P", "good").pcr(255, 255, 300, 300)
    return file(folder, "a.stdf", log.mrr().data())


MAKERS: dict[str, Callable[[Path], Source]] = {
    "lecroy_trc": lecroy,
    "tektronix_wfm": lambda folder: file(folder, "a.wfm", writers.tektronix_wfm(codes())),
    "tektronix_isf": lambda folder: file(folder, "a.isf", writers.isf(codes())),
    "float_container": lambda folder: file(
        folder, "a.bin", writers.container([writers.container_waveform([(1, floats())])])
    ),
    "oscilloscope": lambda folder: file(
        folder, "DS1054Z.wfm", writers.ds1000z((codes().reshape(2, -1) // 128 + 128).astype(np.uint8))
    ),
    "rohde_schwarz_pair": rohde_schwarz,
    "delimited": delimited,
    "tdms": lambda folder: file(folder, "a.tdms", tdms_writer.two_channels(250_000, 3)),
    "hdf5": hdf5,
    "signal_map": signal_map,
    "value_change_dump": dump,
    "klarf": klarf,
    "layout": layout,
    "stdf": stdf,
    "bench_netlist": bench_netlist,
    "verilog_netlist": verilog_netlist,
}
