"""The examples in the guide are read as they stand there."""

import io
import json
import re
from pathlib import Path

import h5py
import numpy as np

from instruments.probing.hdf5 import Hdf5Adapter
from instruments.probing.signal_map import SignalMapAdapter
from tests.instruments.probing.bundles import bundle, read_with
from tests.instruments.probing.test_signal_map import AMPLITUDE, PHASE, tiff

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "sidecars.md"
MAP, MAPPING = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL))


def test_the_map_of_the_guide(tmp_path):
    found = read_with(SignalMapAdapter(), bundle(tmp_path, {"map.json": MAP, "lvi.tif": tiff(AMPLITUDE, PHASE)}))
    (raster,) = found.values()
    assert (raster.name, raster.rows, raster.columns, raster.warnings) == ("core at 100 MHz", 5, 4, ())
    np.testing.assert_array_equal(raster.values()[0], np.rot90(AMPLITUDE[:, ::-1]).astype(float))


def test_the_mapping_of_the_guide(tmp_path):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file["/acq/ch1"] = np.arange(12, dtype="<i2").reshape(3, 4)
        file["/acq/triggers"] = np.array([0.0, 1e-6, 2e-6])
        file["/acq"].attrs["dt"] = 1e-9
        file["/lvi"] = np.ones((2, 5, 6), np.float32)
    found = read_with(Hdf5Adapter(), bundle(tmp_path, {"mapping.json": MAPPING, "run.h5": memory.getvalue()}))
    waveform, raster = found.values()
    assert (waveform.dt_s, waveform.t0_s, waveform.averages, len(waveform.segments)) == (1e-9, -1e-7, 64, 3)
    assert (raster.name, raster.rows, raster.columns) == ("core", 5, 6)
