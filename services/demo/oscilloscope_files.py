"""Real oscilloscope files of our own making, for the demonstration and the tests: LeCroy ``.trc`` and plain text."""

import csv
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_WAVEDESC_BYTES = 346


@dataclass(frozen=True)
class Scaling:
    """How codes become values: ``value = gain * code + offset`` in ``unit``; sample ``i`` is at ``t0_s + i * dt_s``."""

    gain: float
    offset: float
    dt_s: float
    t0_s: float
    unit: str = "V"


def write_lecroy_trc(
    path: Path,
    samples: NDArray[np.int16],
    scaling: Scaling,
    *,
    trigger_offsets_s: Sequence[float] = (0.0,),
    averages: int = 1,
    instrument: str = "FAULTLIGHT DEMO",
) -> None:
    """Write ``samples`` (int16, shape ``(segments, count)``) as a LECROY_2_3 file, little-endian.

    ``trigger_offsets_s`` has one time per segment, seconds after the first trigger.
    """
    segments = len(samples)
    if len(trigger_offsets_s) != segments:
        raise ValueError(f"{segments} segments need as many trigger times, not {len(trigger_offsets_s)}")
    triggers = b""
    if segments > 1:
        pairs = [(float(time), scaling.t0_s) for time in trigger_offsets_s]
        triggers = b"".join(struct.pack("<2d", *pair) for pair in pairs)
    data = np.ascontiguousarray(samples, "<i2")
    block = bytearray(_WAVEDESC_BYTES)
    block[0:8] = b"WAVEDESC"
    block[16:26] = b"LECROY_2_3"
    struct.pack_into("<hh", block, 32, 1, 1)
    struct.pack_into("<4i", block, 36, _WAVEDESC_BYTES, 0, 0, len(triggers))
    struct.pack_into("<i", block, 60, data.nbytes)
    block[76 : 76 + min(16, len(instrument))] = instrument.encode("ascii")[:16]
    struct.pack_into("<2i", block, 116, samples.size, samples.size)
    struct.pack_into("<3i", block, 124, 0, samples.size - 1, 0)
    struct.pack_into("<4i", block, 136, 1, 0, segments, averages)
    struct.pack_into("<4f", block, 156, scaling.gain, -scaling.offset, 32767.0, -32768.0)
    struct.pack_into("<hh", block, 172, 16, segments)
    struct.pack_into("<f2d", block, 176, scaling.dt_s, scaling.t0_s, scaling.t0_s)
    block[196 : 196 + len(scaling.unit)] = scaling.unit.encode("ascii")
    block[244:245] = b"S"
    struct.pack_into("<f", block, 328, 1.0)
    body = len(block) + len(triggers) + data.nbytes
    with path.open("wb") as file:
        file.write(f"#9{body % 1_000_000_000:09d}".encode())
        file.write(block)
        file.write(triggers)
        data.tofile(file)


def write_time_reflectance_csv(
    path: Path, t0_s: float, dt_s: float, values: NDArray[np.float64], *, label: str = ""
) -> None:
    """Write ``values`` (float64, shape ``(samples,)``, arbitrary units) as ``time_s,reflectance`` lines.

    ``label`` stands in a comment before them.
    """
    with path.open("w", newline="") as file:
        file.write(f"# {label}\n" if label else "")
        writer = csv.writer(file)
        writer.writerow(("time_s", "reflectance"))
        writer.writerows((f"{t0_s + index * dt_s:.12e}", f"{value:.9e}") for index, value in enumerate(values))
