"""The files of a simulated probing session, as the instruments would write them, labelled simulated."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.demo.circuit import DemoCircuit
from services.demo.oscilloscope_files import Scaling, write_lecroy_trc, write_time_reflectance_csv

ADC_CODES = 40_000
AVERAGES = 200_000
LABEL = "SIMULATED"


@dataclass(frozen=True)
class SessionTables:
    """What stands beside the waveforms: netlist, patterns (uint8, shape ``(cycles, nets)``), fails and placement."""

    circuit: DemoCircuit
    driven: Sequence[str]
    bits: NDArray[np.uint8]
    fails: Sequence[tuple[int, str]]
    places_um: Mapping[str, tuple[float, float]]


def write_waveform(folder: Path, index: int, values: NDArray[np.float64], dt_s: float, file_format: str) -> str:
    """Write ``values`` (float64, shape ``(samples,)``, reflectance from time 0) as a file; return its name."""
    if file_format == "csv":
        write_time_reflectance_csv(folder / f"probe_{index:04d}.csv", 0.0, dt_s, values, label=LABEL)
        return f"probe_{index:04d}.csv"
    gain = float(np.ptp(values)) / ADC_CODES
    offset = float(values.max() + values.min()) / 2
    codes = np.rint((values - offset) / gain).astype(np.int16)
    path = folder / f"probe_{index:04d}.trc"
    write_lecroy_trc(path, codes[None], Scaling(gain, offset, dt_s, 0.0), averages=AVERAGES, instrument=LABEL)
    return path.name


def document_of(
    session: str,
    *,
    role: str,
    spot_fwhm_nm: float,
    cycle_s: float,
    cycles: int,
    waveforms: Sequence[Mapping[str, object]],
) -> dict[str, object]:
    """Return the document of a simulated session."""
    return {
        "schema": "faultlight.probing-session/1",
        "session": session,
        "role": role,
        "simulated": True,
        "unit": {"program": "demo", "product": "P1", "lot": "L1", "wafer": "W03", "x": 4, "y": 7},
        "technique": "LVP",
        "laser": {"wavelength_nm": 1340, "power_mw": 0.1},
        "spot_fwhm_nm": spot_fwhm_nm,
        "stimulus": {
            "cycle_s": cycle_s,
            "cycles": cycles,
            "averages": AVERAGES,
            "vdd_v": 0.8,
            "temperature_c": 25,
        },
        "netlist": "netlist.bench",
        "patterns": "patterns.csv",
        "fails": "fails.csv",
        "placement": "placement.csv",
        "waveforms": [dict(waveform) for waveform in waveforms],
    }


def write_session_files(folder: Path, tables: SessionTables, document: Mapping[str, object]) -> None:
    """Write everything of a session but its waveforms into ``folder``."""
    (folder / "netlist.bench").write_text(tables.circuit.to_bench())
    patterns = [[cycle, *row] for cycle, row in enumerate(tables.bits.tolist())]
    places = [[f"u_{net}", net, f"{x:.4f}", f"{y:.4f}"] for net, (x, y) in tables.places_um.items()]
    _write_table(folder / "patterns.csv", ["cycle", *tables.driven], patterns)
    _write_table(folder / "fails.csv", ["cycle", "output"], tables.fails)
    _write_table(folder / "placement.csv", ["instance", "net", "x_um", "y_um"], places)
    (folder / "session.json").write_text(json.dumps(document, indent=1) + "\n")


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
