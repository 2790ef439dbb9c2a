"""Oscilloscope files, signal maps and probing sessions, small and each another one."""

import io
import json

import h5py
import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.mixed_files.made import Made, Maker, single
from benchmarks.mixed_files.scratch import written
from services.demo.oscilloscope_files import Scaling, write_lecroy_trc, write_time_reflectance_csv
from tests.instruments.probing import tdms_writer, writers


def codes(number: int, *, rows: int = 1) -> NDArray[np.int16]:
    """Random 16-bit codes, shape ``(rows, samples)``; how many depends on the number."""
    return np.random.default_rng(number).integers(-20000, 20000, (rows, 200 + number % 97), dtype=np.int16)


def floats(number: int) -> NDArray[np.float32]:
    """Random values of one waveform."""
    return codes(number)[0].astype(np.float32) / np.float32(4096)


def lecroy(number: int) -> Made:
    """One to three segments."""
    data = codes(number, rows=1 + number % 3)
    offsets = [1e-6 * segment for segment in range(len(data))]
    scaling = Scaling(0.5, 1.0, 1e-9, -1e-8)
    content = written(lambda path: write_lecroy_trc(path, data, scaling, trigger_offsets_s=offsets))
    return single(f"C1_{number:06d}.trc", content, {"waveform": (len(data), data.size)}, says_its_length=True)


def tektronix_wfm(number: int) -> Made:
    """One waveform of 16-bit codes."""
    data = codes(number)[0]
    content = writers.tektronix_wfm(data)
    return single(f"tek_{number:06d}.wfm", content, {"waveform": (1, data.size)}, says_its_length=True)


def tektronix_isf(number: int) -> Made:
    """One waveform, in short or long keywords."""
    data = codes(number)[0]
    content = writers.isf(data, short=number % 2 == 0)
    return single(f"tek_{number:06d}.isf", content, {"waveform": (1, data.size)}, says_its_length=True)


def float_container(number: int) -> Made:
    """One to three waveforms."""
    data = floats(number)
    count = 1 + number % 3
    waveforms = [
        writers.container_waveform([(1, data + np.float32(index))], label=b"%d" % (index + 1)) for index in range(count)
    ]
    counts = {"waveform": (count, count * data.size)}
    return single(f"key_{number:06d}.bin", writers.container(waveforms), counts, says_its_length=True)


def rigol(number: int) -> Made:
    """One or two channels of bytes."""
    data = (codes(number, rows=1 + number % 2) // 256 + 128).astype(np.uint8)
    content = writers.ds1000e(data)
    return single(f"DS1_{number:06d}.wfm", content, {"waveform": (len(data), data.size)}, says_its_length=True)


def tdms(number: int) -> Made:
    """One channel."""
    data = codes(number)[0]
    content = tdms_writer.one_channel(data)
    return single(f"ni_{number:06d}.tdms", content, {"waveform": (1, data.size)}, says_its_length=True)


def delimited(number: int) -> Made:
    """A text of times and values."""
    data = codes(number)[0] / 8192.0
    content = written(lambda path: write_time_reflectance_csv(path, -1e-9, 1e-11, data))
    return single(f"probe_{number:06d}.csv", content, {"waveform": (1, data.size)})


def rohde_schwarz(number: int) -> Made:
    """Settings, which many captures share, and samples."""
    data = floats(number)
    settings, payload = writers.rohde_schwarz(data)
    files = {"a.bin": settings, "a.Wfm.bin": payload}
    return Made(f"rs_{number:06d}", files, {"waveform": (1, data.size)}, says_its_length=True)


def hdf5(number: int) -> Made:
    """One dataset with a mapping, which all of them share."""
    data = codes(number)[0]
    memory = io.BytesIO()
    with h5py.File(memory, "w") as tree:
        tree.create_dataset("a", data=data)
    waveform = {"name": "a", "values": "/a", "unit": "V", "dt_s": 1e-9, "t0_s": 0.0}
    mapping = {"schema": "faultlight.hdf5-mapping/1", "waveforms": [waveform]}
    files = {"mapping.json": json.dumps(mapping).encode(), "run.h5": memory.getvalue()}
    return Made(f"run_{number:06d}", files, {"waveform": (1, data.size)})


def signal_map(number: int) -> Made:
    """One picture of amplitudes."""
    values = np.random.default_rng(number).uniform(-1, 1, (6 + number % 5, 10)).astype(np.float32)
    memory = io.BytesIO()
    tifffile.imwrite(memory, values, photometric="minisblack", metadata=None)
    band = {"name": "amplitude", "unit": "V", "file": "m.tif"}
    sidecar = {"schema": "faultlight.signal-map/1", "name": f"m{number}", "bands": [band], "pitch_nm": 100}
    files = {"map.json": json.dumps(sidecar).encode(), "m.tif": memory.getvalue()}
    return Made(f"map_{number:06d}", files, {"signal_map": (1, values.size)})


def probing_session(number: int) -> Made:
    """A session on a good die: nothing is to be localized in it."""
    data = codes(number)[0] / 8192.0
    document = {
        "schema": "faultlight.probing-session/1",
        "session": f"S-{number}",
        "role": "golden",
        "technique": "LVP",
        "simulated": True,
        "stimulus": {"cycle_s": 1e-8, "cycles": 3},
        "netlist": "n.bench",
        "patterns": "patterns.csv",
        "waveforms": [{"file": "probe.csv", "net": "y"}],
    }
    files = {
        "session.json": json.dumps(document).encode(),
        "n.bench": b"INPUT(a)\nINPUT(b)\nOUTPUT(y)\ny = NAND(a, b)\n",
        "patterns.csv": b"cycle,a,b\n0,0,1\n1,1,1\n2,1,0\n",
        "probe.csv": written(lambda path: write_time_reflectance_csv(path, -1e-9, 1e-11, data)),
    }
    counts = {"probing_session": (1, 0), "netlist": (1, 1), "pattern_set": (1, 3), "waveform": (1, data.size)}
    return Made(f"session_{number:06d}", files, counts)


MAKERS: dict[str, Maker] = {
    "lecroy_trc": lecroy,
    "tektronix_wfm": tektronix_wfm,
    "tektronix_isf": tektronix_isf,
    "float_container": float_container,
    "oscilloscope": rigol,
    "tdms": tdms,
    "delimited": delimited,
    "rohde_schwarz_pair": rohde_schwarz,
    "hdf5": hdf5,
    "signal_map": signal_map,
    "probing_session": probing_session,
}
