"""The real benchmark circuits: counts of the manifest, and one logic in all three languages."""

import csv
import random
from pathlib import Path

import pytest

from instruments.adapter import Confidence
from instruments.records import Netlist
from instruments.simulation.bench_netlist import BenchNetlistAdapter
from instruments.simulation.verilog_netlist import VerilogNetlistAdapter
from tests.instruments.simulation.naive_logic import evaluate, scan_view
from tests.instruments.simulation.sources import read_netlist, source_of

pytestmark = pytest.mark.shared_data
CIRCUITS = ("c17", "c432", "c499", "c880", "s27", "s298", "s344", "b01", "b02")
PATTERNS = 1000


def manifest_row(folder: Path, name: str) -> dict[str, str]:
    with (folder / "MANIFEST.csv").open(newline="") as stream:
        return next(row for row in csv.DictReader(stream) if row["name"] == name)


def three_netlists(folder: Path, name: str) -> list[Netlist]:
    verilog = VerilogNetlistAdapter()
    return [
        read_netlist(BenchNetlistAdapter(), source_of(folder / f"{name}.bench")),
        read_netlist(verilog, source_of(folder / f"{name}.v")),
        read_netlist(verilog, source_of(folder / "sky130" / f"{name}.sky130.v")),
    ]


@pytest.mark.parametrize("name", CIRCUITS)
def test_counts_are_the_manifests(shared_data: Path, name: str) -> None:
    folder = shared_data / "circuits"
    row = manifest_row(folder, name)
    bench, primitive, cells = three_netlists(folder, name)
    flip_flops = int(row["flip_flops"])
    clocks = int(flip_flops > 0)
    for netlist, gates, ports in (
        (bench, int(row["gates"]), int(row["inputs"])),
        (primitive, int(row["gates"]), int(row["inputs"]) + clocks),
        (cells, int(row["sky130_cells"]) - flip_flops if flip_flops else int(row["sky130_cells"]), None),
    ):
        combinational = [gate for gate in netlist.gates if gate.function != "DFF"]
        assert len(netlist.gates) - len(combinational) == flip_flops
        assert len(combinational) == gates
        assert len(netlist.outputs) == int(row["outputs"])
        assert netlist.warnings == ()
        if ports is not None:
            assert len(netlist.inputs) == ports


@pytest.mark.parametrize("name", CIRCUITS)
def test_three_languages_one_logic(shared_data: Path, name: str) -> None:
    bench, primitive, cells = three_netlists(shared_data / "circuits", name)
    inputs, observed = scan_view(bench)
    for other in (primitive, cells):
        other_inputs, other_observed = scan_view(other)
        assert set(other_inputs) - {"CK"} == set(inputs)
        assert set(other_observed) == set(observed)
    generator = random.Random(name)
    mask = (1 << PATTERNS) - 1
    stimulus = {net: generator.getrandbits(PATTERNS) for net in [*inputs, "CK"]}
    expected = evaluate(bench, stimulus, mask)
    assert evaluate(primitive, stimulus, mask) == expected
    assert evaluate(cells, stimulus, mask) == expected


def test_adapters_recognise_them(shared_data: Path) -> None:
    for path in sorted((shared_data / "circuits").rglob("*")):
        if path.suffix not in (".bench", ".v"):
            continue
        bench = BenchNetlistAdapter().sniff(source_of(path)).confidence
        verilog = VerilogNetlistAdapter().sniff(source_of(path)).confidence
        expected = (
            (Confidence.CERTAIN, Confidence.NO) if path.suffix == ".bench" else (Confidence.NO, Confidence.CERTAIN)
        )
        assert (bench, verilog) == expected, path


def test_routed_block_with_physical_cells_and_power_pins(shared_data: Path) -> None:
    netlist = read_netlist(VerilogNetlistAdapter(), source_of(shared_data / "mask" / "tt06_tt_um_factory_test.v"))
    text = (shared_data / "mask" / "tt06_tt_um_factory_test.v").read_text()
    assert sum(netlist.vendor_metadata["instances"].values()) == text.count(" sky130_")
    assert sum(netlist.vendor_metadata["physical_cells"].values()) == sum(
        text.count(f"__{kind}_") for kind in ("decap", "fill", "tapvpwrvgnd")
    )
    assert netlist.vendor_metadata["power_ports"] == ["VGND", "VPWR"]
    assert "VPWR" not in netlist.inputs
    assert sum(gate.function == "DFF" for gate in netlist.gates) == 9
    assert len(netlist.outputs) == 24
