"""Tektronix's own reader, tm_data_types: it pins numpy below 2, so it runs in a Python of its own.

``BENCH_TM_DATA_TYPES`` names a Python interpreter in whose environment ``tm_data_types==0.5.0`` is installed.
"""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VARIABLE = "BENCH_TM_DATA_TYPES"
SAMPLES = ("tek_wfm/analog_waveform.wfm", "tek_wfm/golden_analog.wfm", "tek_wfm/digital_waveform.wfm")
_SCRIPT = """
import sys
import numpy as np
import tm_data_types
waveform = tm_data_types.read_file(sys.argv[1])
if type(waveform).__name__ == "DigitalWaveform":
    values = np.asarray(waveform.y_axis_byte_values).view(np.uint8).astype(np.float64)
else:
    values = np.asarray(waveform.normalized_vertical_values, np.float64)
times = np.asarray(waveform.normalized_horizontal_values, np.float64)
np.savez(sys.argv[2], values=values, t0=times[0], dt=waveform.x_axis_spacing)
"""


def is_available() -> bool:
    """Return whether the environment names such an interpreter."""
    return bool(os.environ.get(VARIABLE))


def read_with_vendor(path: Path) -> tuple[NDArray[np.float64], float, float]:
    """Return values, time of the first one and distance of samples, as tm_data_types reads ``path``.

    Raises:
        RuntimeError: it does not read the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.npz"
        command = [os.environ[VARIABLE], "-c", _SCRIPT, str(path), str(target)]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if outcome.returncode != 0:
            raise RuntimeError(outcome.stderr[-400:])
        with np.load(target) as found:
            return found["values"], float(found["t0"]), float(found["dt"])
