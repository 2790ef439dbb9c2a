"""Layouts: traced nets against the Verilog of a routed block, places to nets, windows against gdstk, signatures.

The block is a real one (``--layout``, ``--verilog``; by default the sample beside the project). The Verilog is read by
a scan of its text that shares nothing with the tracing. Places are drawn here; that a net is where klayout finds it is
asked of ``probe_net`` of another extraction. Defects of the signature maps are SIMULATED.
"""

import argparse
import hashlib
import math
import os
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analysis.coordinates.affine import Points
from analysis.mask.defect_overlay import Defects, overlay_defects
from analysis.mask.inspected_regions import Disc
from analysis.mask.nets import NetIndex, NetShapes
from analysis.mask.signature_statistics import ReticleField
from analysis.mask.signatures import SignatureFinder
from benchmarks.report import Row, print_rows
from instruments.bundle import open_source
from instruments.mask.layout_engine import import_engine, load_layout
from instruments.mask.layout_messages import read_message, write_message
from instruments.mask.layout_process import LayoutProcess
from instruments.mask.net_extraction import NetExtraction
from instruments.mask.nets import TOP, TracedNets
from instruments.mask.process import load_process

FOLDER = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "mask"
NAME = "tt06_tt_um_factory_test"
PLACES = 1000
WINDOWS = 20
SUPPLIES = {"VPWR", "VGND", "VPB", "VNB"}
SIGMA_NM = 100.0
RADIUS_UM, DEFECTS, MAPS, PLANTED = 150_000.0, 150, 300, 25


def best_of(count: int, call: Callable[[], Any]) -> float:
    """Seconds of the fastest of several calls."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def pins_by_net(text: str) -> dict[str, Counter[tuple[str, str]]]:
    """The (cell, pin) pairs of every net of a flat Verilog netlist with named ports."""
    nets: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for cell, body in re.findall(
        r"^\s*(\w+)\s+(?:\\\S+ |\w+)\s*\(\s*(\.\w+\(.*?\))\s*\);", text, re.MULTILINE | re.DOTALL
    ):
        for pin, net in re.findall(r"\.(\w+)\(([^)]*)\)", body):
            if net.strip():
                nets[net.strip().lstrip("\\").strip()][cell, pin] += 1
    return nets


def golden_rows(nets: TracedNets, verilog: Path) -> list[Row]:
    """Every net of two or more pins against the Verilog."""
    named = pins_by_net(verilog.read_text(encoding="utf-8"))
    wanted = Counter(
        frozenset(pins.items()) for name, pins in named.items() if name not in SUPPLIES and pins.total() >= 2
    )
    tops = [nets.definitions[number] for number in nets.net_definition[nets.net_instance == TOP]]
    traced = Counter(frozenset(each.pins.items()) for each in tops if sum(each.pins.values()) >= 2)
    joined = sum(each["kind"] == "joined-names" for each in nets.warnings)
    return [
        Row("nets of two or more pins in the Verilog", wanted.total(), "nets"),
        Row("of them traced with exactly these (cell, pin)", (wanted & traced).total(), "nets", f">= {wanted.total()}"),
        Row("nets that carry several labels", joined, "nets", "<= 0"),
    ]


def place_rows(nets: TracedNets, index: NetIndex, path: Path) -> list[Row]:
    """Places to nets: how fast, and whether klayout's own probing agrees."""
    low, high = np.asarray(index.box_um).reshape(2, 2)
    xy = np.random.default_rng(1).uniform(low, high, (PLACES, 2))
    rows = [
        Row(
            f"{PLACES} places to nets and cells, {what}",
            best_of(7, lambda points=points: index.under(points)) * 1e3,
            "ms",
            target,
        )  # type: ignore[misc]
        for what, points, target in (
            ("no error", Points.isotropic(xy), "<= 100"),
            (f"ellipses of {SIGMA_NM:g} nm", Points.isotropic(xy, SIGMA_NM / 1e3), "<= 100"),
            ("oblique ellipses", Points(xy, np.broadcast_to([[0.01, 0.006], [0.006, 0.01]], (PLACES, 2, 2))), ""),
        )
    ]
    sizes = np.random.default_rng(5).choice([0.15, 0.3, 0.6, 1.0], PLACES)
    defects = Defects(Points.isotropic(xy, 0.06), sizes, ("unknown",) * PLACES)
    layers = tuple(range(nets.conductor_count))
    seconds = best_of(1, lambda: overlay_defects(index, defects, layers))
    what = f"a defect of 0.15 to 1 um on {len(layers)} layers: nets touched, bridged, cut"
    rows.append(Row(what, seconds * 1e3 / PLACES, "ms"))
    source = open_source(path, path.name, scratch=path.parent)
    db, layout = import_engine(path.name), load_layout(source)
    other = NetExtraction(db, layout, layout.top_cell(), load_process(), path.name)
    other.run()
    unit = nets.unit_um
    found = index.under(Points.isotropic(xy))
    asked = unlike = 0
    start = time.perf_counter()
    for (x, y), place in zip(xy, found, strict=True):
        for each in place.nets:
            if each.layer < nets.conductor_count:
                point = db.Point(round(x / unit), round(y / unit))
                net = other.tracer.probe_net(other.regions[nets.layers[each.layer]], point)
                name = nets.definitions[nets.net_definition[each.net]].name
                asked += 1
                unlike += net is None or (net.name or "$") != ("$" if name.startswith("$") else name)
    probing_us = (time.perf_counter() - start) / max(1, asked) * 1e6
    return [
        *rows,
        Row("nets at places that klayout's probe_net names otherwise", unlike, f"of {asked}", f"<= {asked // 200}"),
        Row("klayout's probe_net, called from Python", probing_us, "us a place"),
    ]


def window_rows(path: Path, engine: LayoutProcess, box_um: np.ndarray) -> list[Row]:
    """Windows of 10 um on all layers, against gdstk that flattens and filters."""
    try:
        import gdstk
    except ImportError:
        return []
    corners = np.random.default_rng(2).uniform(box_um[:2], box_um[2:] - 10.0, (WINDOWS, 2)).round(2)
    windows = [(float(x), float(y), float(x) + 10.0, float(y) + 10.0) for x, y in corners]
    start = time.perf_counter()
    ours = [engine.window(window) for window in windows]
    own_s = (time.perf_counter() - start) / WINDOWS
    read = gdstk.read_oas if path.suffix == ".oas" else gdstk.read_gds
    library = read(str(path))
    start = time.perf_counter()
    cell = library.top_level()[0].copy("flat").flatten()
    polygons = [(each, each.bounding_box()) for each in cell.get_polygons()]
    flatten_s = time.perf_counter() - start
    worst, start = 0.0, time.perf_counter()
    for window, found in zip(windows, ours, strict=True):
        left, bottom, right, top = window
        layers: dict[tuple[int, int], list[Any]] = defaultdict(list)
        for polygon, ((x0, y0), (x1, y1)) in polygons:
            if x0 < right and x1 > left and y0 < top and y1 > bottom:
                layers[polygon.layer, polygon.datatype].append(polygon)
        frame = gdstk.rectangle((left, bottom), (right, top))
        mine = {(each.layer, each.datatype): each.area_um2 for each in found.layers}
        for number, held in layers.items():
            area = sum(each.area() for each in gdstk.boolean(held, frame, "and", precision=1e-4))
            worst = max(worst, abs(area - mine.get(number, 0.0)))
    theirs_s = (time.perf_counter() - start) / WINDOWS
    return [
        Row("a window of 10 um, all layers, polygons joined and cut, from the layout's process", own_s * 1e3, "ms"),
        Row("the same by gdstk: flattened once, then filtered and cut", theirs_s * 1e3, "ms"),
        Row("gdstk's flattening", flatten_s * 1e3, "ms"),
        Row("largest difference of a layer's area in a window", worst, "um2", "<= 0.0001"),
    ]


def planted(kind: str, numbers: np.random.Generator) -> np.ndarray:
    """Defects of one signature."""
    if kind == "cluster":
        return numbers.normal(0, 2000, (14, 2)) + numbers.uniform(-80_000, 80_000, 2)
    if kind == "ring":
        angle, radius = numbers.uniform(0, 2 * math.pi, 40), numbers.normal(110_000, 1_500, 40)
        return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    if kind == "scratch":
        angle, along = numbers.uniform(0, math.pi), numbers.uniform(-40_000, 40_000, 15)
        line = np.column_stack([along * math.cos(angle), along * math.sin(angle)])
        return line + numbers.normal(0, 300, (15, 2)) + numbers.uniform(-60_000, 60_000, 2)
    fields = numbers.choice(36, 5, replace=False)
    corners = np.column_stack([fields % 6 - 3, fields // 6 - 3]) * np.array((26_000, 33_000))
    return corners + numbers.uniform((0, 0), (26_000, 33_000)) + numbers.normal(0, 4, (5, 2))


def signature_rows(maps: int, each: int) -> list[Row]:
    """False alarms on maps by chance and power on planted signatures, on a 300 mm wafer."""
    numbers, wafer = np.random.default_rng(3), Disc(RADIUS_UM)
    field = ReticleField(26_000.0, 33_000.0, tolerance_um=20.0)
    finder = SignatureFinder(wafer, field, simulations=199, numbers=np.random.default_rng(4))
    alarms = sum(
        min(test.adjusted for test in finder._test(wafer.draw(DEFECTS, numbers))[0]) <= finder.rate for _ in range(maps)
    )
    # Two standard errors of the rate itself: an honest 5 % is above 5 % half of the time.
    bound = finder.rate + 2 * math.sqrt(finder.rate * (1 - finder.rate) / maps)
    rows = [
        Row(f"maps by chance with a false signature, rate {finder.rate:g}", alarms / maps, "of maps", f"<= {bound:.3f}")
    ]
    for kind in finder.statistics.kinds:
        hits = 0
        for _ in range(each):
            there = planted(kind, numbers)
            tests, _ = finder._test(np.concatenate([wafer.draw(DEFECTS - len(there), numbers), there]))
            hits += any(test.kind == kind and test.adjusted <= finder.rate for test in tests)
        rows.append(Row(f"planted {kind} found among {DEFECTS} defects", hits / each, "of maps", ">= 0.8"))
    return rows


def stored_rows(nets: TracedNets, first_s: float) -> list[Row]:
    """The nets as jobs keep them: written once, then read back, checked by their hash and indexed for later jobs."""
    with tempfile.TemporaryFile(buffering=0) as file:
        document, arrays = nets.to_message()
        write_message(file.fileno(), document, arrays)
        size_mb = file.tell() / 1e6

        def again() -> None:
            file.seek(0)
            hashlib.file_digest(file, "sha256")
            file.seek(0)
            index_shapes(TracedNets.from_message(*read_message(file.fileno())))

        again_s = best_of(3, again)
    return [
        Row("nets as they are stored", size_mb, "MB"),
        Row("nets of a stored trace read, checked and indexed", again_s, "s"),
        Row("… faster than opening the layout and tracing", first_s / again_s, "x", ">= 5"),
    ]


def index_shapes(nets: TracedNets) -> NetIndex:
    """Return ``nets`` ready to be asked about places."""
    shapes = NetShapes(
        nets.unit_um, nets.trapezoids, nets.trapezoid_layer, nets.trapezoid_net, len(nets.layers), nets.instance_box
    )
    return NetIndex(shapes)


def worker_memory_mb(engine: LayoutProcess) -> float:
    """Most resident memory of the layout's process so far; 0 where the system does not tell."""
    process = engine._process
    status = Path(f"/proc/{process.pid if process else os.getpid()}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else 0.0


def measure(layout: Path, verilog: Path | None, maps: int, each: int) -> list[Row]:
    """Return all rows."""
    start = time.perf_counter()
    with LayoutProcess(layout) as engine:
        open_s = time.perf_counter() - start
        start = time.perf_counter()
        nets = engine.nets(load_process())
        trace_s = time.perf_counter() - start
        start = time.perf_counter()
        index = index_shapes(nets)
        index_s = time.perf_counter() - start
        rows = [
            Row("process started, file checked and read", open_s, "s"),
            Row(f"{nets.net_count} nets traced and cut into {len(nets.trapezoids)} trapezoids", trace_s, "s"),
            Row("indexed for places", index_s, "s"),
            Row("most memory of the layout's process", worker_memory_mb(engine), "MB"),
        ]
        rows += stored_rows(nets, open_s + trace_s + index_s)
        left, bottom = (float(each) for each in np.asarray(index.box_um)[:2])
        window_s = best_of(5, lambda: engine.window((left, bottom, left + 10.0, bottom + 10.0)))
        rows += [
            Row("a window of 10 um, all layers, of an open layout", window_s * 1e3, "ms"),
            Row("… faster than opening the layout for it", (open_s + window_s) / window_s, "x", ">= 10"),
        ]
        rows += window_rows(layout, engine, np.asarray(index.box_um))
    if verilog is not None:
        rows += golden_rows(nets, verilog)
    return [*rows, *place_rows(nets, index, layout), *signature_rows(maps, each)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--layout", type=Path, default=FOLDER / f"{NAME}.gds", help="a routed block in sky130")
    parser.add_argument("--verilog", type=Path, help="its netlist; by default the sample's")
    parser.add_argument("--maps", type=int, default=MAPS, help="simulated maps by chance")
    parser.add_argument("--planted", type=int, default=PLANTED, help="simulated maps of each signature")
    told = parser.parse_args()
    sample = FOLDER / f"{NAME}.v"
    golden = told.verilog or (sample if told.layout.stem == NAME and sample.exists() else None)
    print_rows(measure(told.layout, golden, told.maps, told.planted), as_json=told.json)
