"""Nets of layouts: a routed block against its Verilog, klayout's own probing, and every doubt that must be told."""

import re
import struct
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.errors import (
    CorruptField,
    InstrumentError,
    ReaderCrashed,
    ReadingLimit,
    Truncated,
    UnsupportedVersion,
)
from instruments.mask.layout_engine import import_engine, load_layout
from instruments.mask.layout_process import LayoutProcess
from instruments.mask.net_extraction import NetExtraction
from instruments.mask.nets import TOP, TracedNets
from instruments.mask.process import Process, load_process, read_process
from instruments.sandbox import SandboxLimits
from tests.instruments.mask import layout_writer as write
from tests.instruments.mask.sources import source_of

SMALL: dict[str, Any] = {
    "schema": "faultlight.process/1",
    "name": "small",
    "source": "made up for the tests",
    "conductors": [
        {"name": "low", "layers": [[1, 0]], "cut_by": [[9, 0]], "labels": [[1, 2]]},
        {"name": "high", "layers": [[3, 0]], "labels": [[3, 2]]},
    ],
    "vias": [{"name": "hole", "layers": [[2, 0]], "connects": ["low", "high"]}],
}


def text_at(layer: int, value: str, x: int, y: int) -> bytes:
    """A text on layer/2."""
    body = write.short(write.LAYER, layer) + write.short(write.TEXTTYPE, 2) + write.points((x, y))
    return (
        write.record(write.TEXT_RECORD)
        + body
        + write.record(write.STRING, write.text(value))
        + write.record(write.ENDEL)
    )


def turned(name: str, x: int, y: int, angle: float, *, mirror: bool = False) -> bytes:
    """A reference that is mirrored first and then turned."""
    body = write.record(write.SNAME, write.text(name))
    body += write.record(0x1A01, struct.pack(">H", 0x8000 if mirror else 0))
    body += write.record(0x1C05, write.real(angle)) if angle else b""
    return write.record(write.SREF) + body + write.points((x, y)) + write.record(write.ENDEL)


def trace(tmp_path: Path, *structures: bytes, process: dict[str, Any] | None = None) -> TracedNets:
    """Trace a small layout in this process."""
    path = tmp_path / "small.gds"
    path.write_bytes(write.library(*structures))
    layout = load_layout(source_of(path))
    rules = read_process(process or SMALL)
    return NetExtraction(import_engine("x"), layout, layout.top_cells()[0], rules, "small.gds").run()


def pins_by_net(text: str) -> dict[str, Counter[tuple[str, str]]]:
    """The (cell, pin) pairs of every net of a flat Verilog netlist, by a scan of its text."""
    nets: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for cell, body in re.findall(r"^ (sky130_\w+)\s+(?:\\\S+ |\w+)\s*\((.*?)\);", text, re.MULTILINE | re.DOTALL):
        for pin, net in re.findall(r"\.(\w+)\(([^)]*)\)", body):
            if net.strip():
                nets[net.strip().lstrip("\\").strip()][cell, pin] += 1
    return nets


@pytest.fixture(scope="module")
def block(shared_data: Path) -> TracedNets:
    with LayoutProcess(shared_data / "mask" / "tt06_tt_um_factory_test.gds") as engine:
        return engine.nets(load_process())


@pytest.mark.shared_data
def test_every_net_of_a_routed_block_is_that_of_its_verilog(block: TracedNets, shared_data: Path) -> None:
    verilog = pins_by_net((shared_data / "mask" / "tt06_tt_um_factory_test.v").read_text())
    signals = {name: pins for name, pins in verilog.items() if name not in ("VPWR", "VGND") and pins.total() >= 2}
    tops = [block.definitions[number] for number in block.net_definition[block.net_instance == TOP]]
    traced = Counter(frozenset(each.pins.items()) for each in tops if sum(each.pins.values()) >= 2)
    golden = Counter(frozenset(pins.items()) for pins in signals.values())
    assert len(signals) == golden.total() == 67
    assert (golden & traced).total() == 67
    by_name = {each.name: each for each in tops}
    unlike = {name for name, pins in signals.items() if name in by_name and Counter(by_name[name].pins) != pins}
    assert not unlike
    assert len(set(signals) & set(by_name)) > 30


@pytest.mark.shared_data
def test_the_resistor_of_a_tie_cell_does_not_join_its_output_to_the_supply(block, shared_data) -> None:
    assert not [each for each in block.warnings if each["kind"] == "joined-names"]
    whole = load_process().to_document()
    for conductor in whole["conductors"]:
        if conductor["name"] == "poly":
            del conductor["cut_by"]
    with LayoutProcess(shared_data / "mask" / "tt06_tt_um_factory_test.gds") as engine:
        careless = engine.nets(read_process(whole))
    (doubt,) = [each for each in careless.warnings if each["kind"] == "joined-names"]
    assert sorted(doubt["labels"]) == ["VPWR", "net13"]
    (net,) = [each for each in careless.definitions if len(each.labels) > 1]
    assert re.fullmatch(r"\$\d+", net.name)
    assert "VPWR,net13" not in {each.name for each in careless.definitions}


@pytest.mark.shared_data
def test_the_shapes_are_where_klayout_finds_the_net(block: TracedNets, shared_data: Path) -> None:
    """The trapezoids against ``probe_net`` of another extraction, at places all over the block."""
    source = source_of(shared_data / "mask" / "tt06_tt_um_factory_test.gds")
    db, layout = import_engine("x"), load_layout(source)
    other = NetExtraction(db, layout, layout.top_cell(), load_process(), "x")
    other._make_layers()
    other._connect()
    other.tracer.extract_netlist()
    flat = {name: other.regions[name].flatten() for name in block.layers[:9]}
    low, high, left, right = block.trapezoids[:, :4].T
    seen = 0
    for x, y in np.random.default_rng(3).integers((0, 0), (161_000, 111_520), (400, 2)).tolist():
        inside = (low < y) & (y < high) & (left < x) & (x < right)
        pixel = db.Region(db.Box(x - 1, y - 1, x + 1, y + 1))
        for layer, name in enumerate(block.layers[:9]):
            ours = block.trapezoid_net[inside & (block.trapezoid_layer == layer)]
            net = other.tracer.probe_net(other.regions[name], db.Point(x, y))
            if not len(ours):
                # klayout also answers with the net of a via that stands there and would connect the layer.
                assert net is None or (flat[name] & pixel).area() < 4
                continue
            seen += 1
            label = block.definitions[block.net_definition[ours[0]]].name
            assert label == net.name or (label.startswith("$") and not net.name)
    assert seen > 300


@pytest.mark.shared_data
def test_gdsii_and_oasis_of_one_block_have_the_same_nets(block: TracedNets, shared_data: Path) -> None:
    with LayoutProcess(shared_data / "mask" / "tt06_tt_um_factory_test.oas") as engine:
        other = engine.nets(load_process())
    assert (other.net_count, len(other.instance_cell)) == (block.net_count, len(block.instance_cell))
    as_rows = [np.unique(np.column_stack([each.trapezoids, each.trapezoid_layer]), axis=0) for each in (block, other)]
    np.testing.assert_array_equal(*as_rows)
    names = [Counter((each.name, frozenset(each.pins.items())) for each in nets.definitions) for nets in (block, other)]
    strip = [
        Counter({(re.sub(r"^\$\d+$", "$", name), pins): count for (name, pins), count in each.items()})
        for each in names
    ]
    assert strip[0] == strip[1]


def test_nets_inside_instances_are_nets_of_their_own(tmp_path: Path) -> None:
    """A cell with a joined and a hidden net, placed five ways: turned, mirrored, and as an array."""
    leaf = write.structure(
        "LEAF", write.box(1, 0, 0, 100, 40), write.box(1, 0, 100, 30, 140), write.box(1, 0, 140, 10, 300)
    )
    placed = [turned("LEAF", 0, 0, 0), turned("LEAF", 2000, 0, 90), turned("LEAF", 4000, 0, 180, mirror=True)]
    joining = write.box(1, 50, 10, 60, 900)
    nets = trace(tmp_path, leaf, write.structure("TOP", *placed, joining, text_at(1, "A", 55, 500)))
    assert nets.net_count == 6
    assert nets.net_name(0) == "A"
    hidden = [number for number in range(6) if nets.net_instance[number] != TOP]
    assert sorted(re.sub(r"\$\d+", "$", nets.net_name(number)) for number in range(1, 6)) == sorted(
        ["$", "$", "LEAF@0,0/$", "LEAF@2,0/$", "LEAF@4,0/$"]
    )
    assert sorted(nets.instance_turn) == ["m90", "r0", "r90"]
    areas = Counter[int]()
    for (low, high, left, right, *_), net in zip(nets.trapezoids.tolist(), nets.trapezoid_net.tolist(), strict=True):
        areas[net] += (high - low) * (right - left)
    assert sorted(areas.values()) == [2800, 2800, 2800, 4000, 4000, 4000 + 8600]
    assert nets.definitions[0].pins == {("LEAF", "$0"): 1}
    (lying,) = [number for number in hidden if nets.instance_turn[nets.net_instance[number]] == "r90"]
    rows = sorted(nets.trapezoids[nets.trapezoid_net == lying, :4].tolist())
    assert rows == [[0, 10, 1700, 1900], [10, 30, 1860, 1900]]


def test_slanted_shapes_keep_their_area(tmp_path: Path) -> None:
    corners = write.points((0, 0), (0, 300), (400, 300), (100, 0), (0, 0))
    slanted = write.record(write.BOUNDARY) + write.short(write.LAYER, 1) + write.short(write.DATATYPE, 0) + corners
    leaf = write.structure("LEAF", slanted + write.record(write.ENDEL))
    nets = trace(tmp_path, leaf, write.structure("TOP", turned("LEAF", 5000, 5000, 90), turned("LEAF", 0, 0, 0)))
    edges = nets.trapezoids.astype(float)
    area = (edges[:, 1] - edges[:, 0]) * (edges[:, 3] - edges[:, 2] + edges[:, 5] - edges[:, 4]) / 2
    assert nets.net_count == 2
    assert area.sum() == 2 * (100 + 400) / 2 * 300


def test_a_cut_divides_a_conductor(tmp_path: Path) -> None:
    whole = trace(tmp_path, write.structure("TOP", write.box(1, 0, 0, 900, 50)))
    cut = trace(tmp_path, write.structure("TOP", write.box(1, 0, 0, 900, 50), write.box(9, 400, -10, 500, 60)))
    assert (whole.net_count, cut.net_count) == (1, 2)
    assert sorted(cut.trapezoids[:, 2:4].tolist()) == [[0, 400], [500, 900]]


def test_a_via_joins_what_it_connects(tmp_path: Path) -> None:
    boxes = (write.box(1, 0, 0, 900, 50), write.box(3, 0, 0, 50, 900))
    assert trace(tmp_path, write.structure("TOP", *boxes)).net_count == 2
    assert trace(tmp_path, write.structure("TOP", *boxes, write.box(2, 10, 10, 20, 20))).net_count == 1


def test_doubtful_names_are_told_and_not_used(tmp_path: Path) -> None:
    nets = trace(
        tmp_path,
        write.structure(
            "TOP",
            *(write.box(1, 0, 1000 * row, 900, 1000 * row + 50) for row in range(4)),
            text_at(1, "A", 10, 10),
            text_at(1, "B", 800, 10),
            text_at(1, "C", 10, 1010),
            text_at(1, "C", 10, 2010),
            text_at(1, "x,y", 10, 3010),
            text_at(1, "LOST", 5000, 5000),
        ),
    )
    kinds = {each["kind"]: each for each in nets.warnings}
    assert kinds["joined-names"]["labels"] == ["A", "B"]
    assert (kinds["divided-name"]["labels"], kinds["divided-name"]["nets"]) == (["C"], 2)
    assert kinds["label-on-no-conductor"]["examples"] == [{"text": "LOST", "x_um": 5.0, "y_um": 5.0}]
    assert kinds["layer-without-shapes"]["layers"] == ["high", "hole"]
    names = sorted(each.name for each in nets.definitions)
    assert names[1:] == ["C", "C", "x,y"]
    assert re.fullmatch(r"\$\d+", names[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "faultlight.process/9"}, "process.schema is not right (expected faultlight.process/1"),
        ({"vias": [{"name": "v", "layers": [[2, 0]], "connects": ["low", "metal9"]}]}, "found low, metal9"),
        (
            {"vias": [{"name": "v", "layers": [[2, 0]], "connects": ["low"]}]},
            "the via 'v' does not connect two or more",
        ),
        ({"conductors": [{"name": "low", "layers": [["met1", 0]]}]}, "pairs [layer, datatype] of whole numbers"),
        ({"conductors": [{"name": "low", "layers": []}]}, "process.conductors[0].layers is not right"),
        ({"conductors": []}, "one or more, each with a name of its own"),
        ({"conductors": [{"name": "a", "layers": [[1, 0]], "cuts": [[2, 0]]}]}, "has an unknown key (expected cut_by"),
        ({"source": ""}, "process.source is not right"),
    ],
)
def test_a_process_that_is_not_right_is_refused_at_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(CorruptField) as caught:
        read_process(SMALL | {"vias": []} | change)
    assert words in str(caught.value)


def test_processes_are_found_by_name_or_file(tmp_path: Path) -> None:
    assert isinstance(load_process(), Process)
    assert read_process(load_process().to_document()) == load_process()
    (tmp_path / "p.json").write_text("{")
    with pytest.raises(CorruptField, match="the process is no JSON"):
        load_process(tmp_path / "p.json")
    with pytest.raises(CorruptField, match="there is no process 'tsmc': neither a file nor one of sky130"):
        load_process("tsmc")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    path = tmp_path / "cells.gds"
    path.write_bytes(write.library(*write.SAMPLE_STRUCTURES))
    return path


def test_a_window_is_clipped_or_whole(cells: Path) -> None:
    with LayoutProcess(cells) as engine:
        assert engine.summary().top_cells == ("TOP",)
        cut = engine.window((0.05, 0.1, 0.25, 5.0), [(1, 0)])
        whole = engine.window((0.05, 0.1, 0.25, 5.0), [(1, 0)], clip=False)
        leaf = engine.window((0.0, 0.0, 1.0, 1.0), cell="LEAF")
    assert (cut.unit_um, cut.layers[0].shapes, len(cut.layers[0].starts) - 1) == (pytest.approx(0.001), 4, 4)
    assert cut.layers[0].area_um2 == pytest.approx(0.05 * 0.1 * 2 + 0.05 * 0.2 * 2)
    assert whole.layers[0].area_um2 == pytest.approx(4 * 0.1 * 0.2)
    assert [(each.layer, each.datatype) for each in leaf.layers] == [(1, 0), (2, 1)]
    for each in (*cut.layers, *whole.layers):
        rows = each.trapezoids.astype(float)
        area = ((rows[:, 1] - rows[:, 0]) * (rows[:, 3] - rows[:, 2] + rows[:, 5] - rows[:, 4]) / 2).sum()
        assert area * 1e-6 == pytest.approx(each.area_um2)


def test_a_hole_stays_a_hole(tmp_path: Path) -> None:
    ring = [
        write.box(1, 0, 0, 300, 100),
        write.box(1, 0, 200, 300, 300),
        write.box(1, 0, 0, 100, 300),
        write.box(1, 200, 0, 300, 300),
    ]
    path = tmp_path / "ring.gds"
    path.write_bytes(write.library(write.structure("TOP", *ring)))
    with LayoutProcess(path) as engine:
        (layer,) = engine.window((-1, -1, 1, 1)).layers
    assert (layer.shapes, len(layer.starts) - 1) == (4, 1)
    x, y = layer.points.astype(float).T
    assert abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2) == 300 * 300 - 100 * 100


@pytest.mark.parametrize(
    ("window", "layers", "words"),
    [
        ((0, 0, 0, 1), None, "a window needs left < right and bottom < top"),
        ((0, 0, float("nan"), 1), None, "a window needs left < right and bottom < top"),
        ((0, 0, 1, 1), [(77, 0)], "the layout has no layer 77/0 (expected "),
    ],
)
def test_windows_that_cannot_be_are_refused(cells: Path, window: Any, layers: Any, words: str) -> None:
    with LayoutProcess(cells) as engine, pytest.raises(CorruptField) as caught:
        engine.window(window, layers)
    assert words in str(caught.value)


def test_a_cut_file_is_refused_before_the_engine_sees_it(tmp_path: Path, cells: Path) -> None:
    broken = tmp_path / "cut.gds"
    broken.write_bytes(cells.read_bytes()[:-50])
    with pytest.raises(Truncated), LayoutProcess(broken):
        pass
    broken.write_bytes(b"no layout at all")
    with pytest.raises(CorruptField, match="the file is no layout"), LayoutProcess(broken):
        pass
    with pytest.raises(FileNotFoundError), LayoutProcess(tmp_path / "none.gds"):
        pass


@pytest.mark.shared_data
def test_an_oasis_with_a_wrong_block_is_refused_with_the_numbers(tmp_path: Path, shared_data: Path) -> None:
    data = bytearray((shared_data / "mask" / "tt06_tt_um_factory_test.oas").read_bytes())
    data[len(data) // 2] ^= 0x10
    broken = tmp_path / "wrong.oas"
    broken.write_bytes(data)
    with pytest.raises(InstrumentError) as caught, LayoutProcess(broken):
        pass
    assert not isinstance(caught.value, ReaderCrashed | ReadingLimit)
    assert re.search(r"at byte \d+|\(expected .*, found .*\)", str(caught.value))


def test_nothing_on_the_conductors_is_refused(cells: Path) -> None:
    with LayoutProcess(cells) as engine, pytest.raises(CorruptField) as caught:
        engine.nets(load_process())
    assert "no shape of TOP is on a conductor of the process sky130 (expected shapes on 65/20" in str(caught.value)


def test_which_cell_is_meant_must_be_said(tmp_path: Path) -> None:
    path = tmp_path / "two.gds"
    path.write_bytes(write.library(*(write.structure(name, write.box(1, 0, 0, 9, 9)) for name in ("A", "B"))))
    with LayoutProcess(path) as engine:
        with pytest.raises(CorruptField, match=r"say which cell is meant \(expected 1, found 2: A, B\)"):
            engine.window((0, 0, 1, 1))
        assert engine.window((0, 0, 1, 1), cell="B").cell == "B"
        with pytest.raises(CorruptField, match=r"no such cell \(found C\)"):
            engine.window((0, 0, 1, 1), cell="C")


def test_a_process_that_dies_or_is_late_is_told_and_gone(cells: Path) -> None:
    with LayoutProcess(cells) as engine:
        assert engine._process is not None
        engine._process.kill()
        with pytest.raises((ReaderCrashed, ReadingLimit)):
            engine.window((0, 0, 1, 1))
        with pytest.raises(ReaderCrashed, match="the layout process has ended"):
            engine.window((0, 0, 1, 1))
    with (
        pytest.raises(ReadingLimit, match=r"the layout took longer than 0\.01 s"),
        LayoutProcess(cells, limits=SandboxLimits(wall_s=0.01)),
    ):
        pass


def test_who_asks_does_not_load_the_engine() -> None:
    modules = "instruments.mask.layout_process, services.pipelines.mask.layout_nets"
    code = f"import sys, {modules}; sys.exit('klayout' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_engine_it_says_what_to_install(
    tmp_path: Path, cells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "klayout.py").write_text("raise ModuleNotFoundError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UnsupportedVersion) as caught, LayoutProcess(cells):
        pass
    assert str(caught.value) == (
        "cells.gds: layouts are read with klayout, which is not installed: pip install 'faultlight[layout]'"
    )


@pytest.mark.shared_data
def test_more_memory_than_allowed_is_refused(shared_data: Path) -> None:
    """Of a small layout nothing is noticed: the libraries' own memory is enough for it."""
    with (
        pytest.raises(ReadingLimit, match="the layout needs more memory than it may have"),
        LayoutProcess(shared_data / "mask" / "tt06_tt_um_factory_test.gds", limits=SandboxLimits(memory_bytes=1 << 20)),
    ):
        pass
