"""Sessions of a good die that an instrument measures day by day, for its control charts: all of it is SIMULATED."""

from pathlib import Path

import numpy as np

from services.demo.circuit import build_accumulator
from services.demo.die import DieOptions, SimulatedDie
from services.demo.session_files import SessionTables, document_of, write_session_files, write_waveform

NET = "c4"
USUAL = 10
"""So many sessions say what is usual."""
JUDGED = 3
"""So many come after them; the laser has lost a tenth of its power before the last two."""
LOSS = 0.1
POWER_MW = 0.1
UNSTEADY = 0.01
"""Standard deviation of the laser's power between two sessions, as a part of it."""


def write_reference_sessions(folder: Path) -> list[Path]:
    """Write the sessions into ``folder``, in the order of their measurement; return their folders."""
    options = DieOptions(seed=30, golden=True, patterns=64, snr_per_cycle=12, pitch_scale=1.0)
    die = SimulatedDie(build_accumulator(), options)
    parts = 1 + UNSTEADY * np.random.default_rng(options.seed).normal(size=USUAL + JUDGED)
    parts[-2:] -= LOSS
    made = []
    for number, part in enumerate(parts.tolist(), 1):
        made.append(folder / f"REF-{number:02d}")
        made[-1].mkdir(parents=True, exist_ok=True)
        _write_session(made[-1], die, part)
    return made


def _write_session(folder: Path, die: SimulatedDie, part: float) -> None:
    """Measure the die at ``part`` of the usual power of the laser."""
    probe = die.measure(NET)
    file = write_waveform(folder, 1, probe.values * part, probe.dt_s, die.options.file_format)
    document = document_of(
        folder.name,
        role="golden",
        spot_fwhm_nm=die.options.optics.spot_fwhm_nm,
        cycle_s=die.cycle_s,
        cycles=die.options.patterns,
        waveforms=[{"file": file, "net": NET, "x_um": probe.x_um, "y_um": probe.y_um}],
    )
    document["laser"] = {"wavelength_nm": 1340, "power_mw": round(POWER_MW * part, 6)}
    document["unit"] = {"program": "demo", "product": "P1", "lot": "REFERENCE", "wafer": "W01", "x": 0, "y": 0}
    write_session_files(
        folder, SessionTables(die.circuit, die.stimulus.nets, die.stimulus.bits, die.fails, die.places_um), document
    )
