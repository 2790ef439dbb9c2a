"""Tektronix's own reader, tm_data_types: it pins numpy below 2, so it runs in a Python of its own.

``BENCH_TM_DATA_TYPES`` names a Python interpreter in whose environment ``tm_data_types==0.5.0`` is installed.
"""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.instruments.probing.writers import tektronix_wfm

VARIABLE = "BENCH_TM_DATA_TYPES"
SAMPLES = ("tek_wfm/analog_waveform.wfm", "tek_wfm/golden_analog.wfm", "tek_wfm/digital_waveform.wfm")
_READ = """
import sys
import numpy as np
import tm_data_types
waveform = tm_data_types.read_file(sys.argv[1])
kind, stamps = type(waveform).__name__, [0.0]
if kind.startswith("FastFrame"):
    values = np.asarray(waveform.all_frames, np.float64).ravel()
    if kind == "FastFrameAnalogWaveform":
        values = values * waveform.y_axis_spacing + waveform.y_axis_offset
    seconds, parts = np.asarray(waveform.frame_gmt_sec), np.asarray(waveform.frame_gmt_fract)
    stamps = (seconds - seconds[0]) + (parts - parts[0])
elif kind == "DigitalWaveform":
    values = np.asarray(waveform.y_axis_byte_values).view(np.uint8).astype(np.float64)
elif kind == "IQWaveform":
    pairs = np.asarray(waveform.interleaved_iq_axis_values, np.float64)
    values = np.concatenate([pairs[::2], pairs[1::2]]) * waveform.iq_axis_spacing + waveform.iq_axis_offset
else:
    values = np.asarray(waveform.normalized_vertical_values, np.float64)
t0 = -waveform.trigger_index * waveform.x_axis_spacing
np.savez(sys.argv[2], values=values, stamps=stamps, t0=t0, dt=waveform.x_axis_spacing)
"""
_WRITE = """
import sys
import numpy as np
import tm_data_types
from tm_data_types.datum.waveforms.fastframe_analog_waveform import FastFrameAnalogWaveform
frames = FastFrameAnalogWaveform.create_fastframe(
    frame_count=7, record_length=1000, dtype=np.dtype("i2"), precharge_length=4, postcharge_length=3
)
for index in range(7):
    frames.fill_frame(index, (np.arange(1000) * (index + 1)).astype("i2"))
    frames.set_frame_timing(index, tt_offset=0.125 * index, gmt_sec=1_700_000_000 + index, gmt_fract=0.1 * index)
frames.x_axis_spacing, frames.y_axis_spacing, frames.trigger_index = 1e-9, 0.5, 10
tm_data_types.write_file(sys.argv[1], frames)
"""


@dataclass(frozen=True)
class VendorReading:
    """What tm_data_types makes of a file.

    Attributes:
        values: all frames one after another, or all in-phase values and then all quadrature values, float64.
        triggers_s: of each frame after the first frame's, seconds.
        t0_s: time of the first sample, seconds.
        dt_s: distance of samples, seconds.
    """

    values: NDArray[np.float64]
    triggers_s: NDArray[np.float64]
    t0_s: float
    dt_s: float


def is_available() -> bool:
    """Return whether the environment names such an interpreter."""
    return bool(os.environ.get(VARIABLE))


def read_with_vendor(path: Path) -> VendorReading:
    """Return what tm_data_types reads from ``path``.

    Raises:
        RuntimeError: it does not read the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.npz"
        _run(_READ, path, target)
        with np.load(target) as found:
            return VendorReading(found["values"], found["stamps"], float(found["t0"]), float(found["dt"]))


def write_with_vendor(path: Path) -> None:
    """Write a FastFrame set of seven frames with tm_data_types.

    Raises:
        RuntimeError: it does not write the file.
    """
    _run(_WRITE, path)


def made_files(folder: Path) -> dict[str, Path]:
    """Write what the real samples do not have, all but one by the tests' own writer; return them by what they are."""
    rng = np.random.default_rng(11)
    codes = rng.integers(-20_000, 20_000, (5, 2000)).astype(np.int16)
    stamps = [(0.125 * frame, 0.1 * frame, 1_700_000_000 + frame) for frame in range(5)]
    rate = (
        ("IQ_centerFrequency", 1e9),
        ("IQ_span", 1e9),
        ("IQ_fftLength", 1000.0),
        ("IQ_rbw", 1.9e6),
        ("IQ_windowType", "BlackHarris"),
    )
    lines = (("d0", ""), ("d7", ""))
    made = {
        f"FastFrame, WFM#00{version}": tektronix_wfm(codes, version=version, stamps=stamps, notes=())
        for version in (1, 2, 3)
    }
    made["FastFrame of logic lines"] = tektronix_wfm(
        (codes % 128).astype(np.int8), code=7, data_type=6, stamps=stamps, notes=lines
    )
    made["I and Q"] = tektronix_wfm(codes[0], notes=rate)
    paths = {}
    for number, (what, data) in enumerate(made.items()):
        paths[what] = folder / f"{number}.wfm"
        paths[what].write_bytes(data)
    paths["FastFrame written by tm_data_types"] = folder / "vendor.wfm"
    write_with_vendor(folder / "vendor.wfm")
    return paths


def _run(script: str, *arguments: Path) -> None:
    command = [os.environ[VARIABLE], "-c", script, *map(str, arguments)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if outcome.returncode != 0:
        raise RuntimeError(outcome.stderr[-400:])
