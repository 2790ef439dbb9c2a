"""Circuits of a folder of ``.bench`` files, as the demonstration's simulator takes them."""

import os
from pathlib import Path

from instruments.adapter import HEAD_BYTES, Source
from instruments.records import Netlist
from instruments.simulation.bench_netlist import BenchNetlistAdapter
from services.demo.circuit import DemoCircuit, build_accumulator
from services.demo.die import circuit_of


def read_circuits(folder: Path | None) -> dict[str, DemoCircuit]:
    """Return every ``.bench`` circuit of ``folder``; the demonstration's own where there is none."""
    if folder is None or not folder.is_dir():
        return {"accumulator": build_accumulator()}
    return {path.stem: read_circuit(path) for path in sorted(folder.glob("*.bench"))}


def sky130_netlist(folder: Path | None, name: str) -> Path | None:
    """Return the netlist in sky130 cells that ``folder`` holds of its circuit ``name``; ``None`` for none."""
    path = None if folder is None else folder / "sky130" / f"{name}.sky130.v"
    return path if path is not None and path.is_file() else None


def read_circuit(path: Path) -> DemoCircuit:
    """Return the circuit of a ``.bench`` file."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    source = Source(path=path, name=path.name, size_bytes=path.stat().st_size, head=head, members={})
    (record,) = list(BenchNetlistAdapter().read(source)[1])
    if not isinstance(record, Netlist):
        raise TypeError(f"{path.name} holds no netlist")
    return circuit_of(record)


def default_folder() -> Path:
    """Return the folder of circuits among the sample files beside the project."""
    configured = os.environ.get("FAULTLIGHT_SHARED_DATA")
    shared = Path(configured) if configured else Path(__file__).resolve().parents[3] / "shared" / "data"
    return shared / "circuits"
