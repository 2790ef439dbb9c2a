"""A writer of Keysight Infiniium tables, by "CSV and TSV Header Format" in the programmer's reference."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PADDED = {
    "Revision": "0",
    "Type": "raw",
    "Start": "0",
    "Points": "",
    "Count": "1",
    "XDispRange": "1.00000E-09",
    "XDispOrg": "-5.00000000E-10",
    "XInc": "3.90625E-13",
    "XOrg": "-3.118266724E-09",
    "XUnits": "Second",
    "YUnits": "Volt",
    "Frame": "N8900A:AT0",
    "Time": "12:45:40.550",
    "Max Bandwidth": "62000000000",
}


def padded(values: NDArray[np.float64], **fields: str) -> str:
    """One waveform with ``Key:   value`` lines, as older firmware writes them; a field that is empty is left out."""
    properties = {**PADDED, "Points": str(values.size), **fields}
    head = "".join(f"{key + ':':20}{value}\n" for key, value in properties.items() if value)
    start, step = float(properties["XOrg"]), float(PADDED["XInc"])
    return f"{head}Data: \n" + "".join(f"{start + row * step:.6E},{value:.6E}\n" for row, value in enumerate(values))


def beside(
    values: NDArray[np.float64],
    starts_s: Sequence[float],
    titles: Sequence[str],
    since_s: Sequence[float] = (),
    shared: bool = False,
) -> str:
    """Waveforms of shape ``(rows, count)``, each property with a value for each; segments with their times."""
    rows, count = values.shape
    lines = [["", *titles]]
    lines += [[f"{key}:", *[value] * count] for key, value in (("Revision", "0"), ("Type", "raw"), ("Start", "0"))]
    lines += [["Points:", *[str(rows)] * count], ["XInc:", *["1.0E-09"] * count]]
    lines += [["XOrg:", *(f"{start:.9E}" for start in starts_s)], ["Units:", *["Second"] * count]]
    lines += [["Units:", *["Volt"] * count]]
    lines += [["Time Since Seg 1::", *(f"{time:.9E}" for time in since_s)]] if since_s else []
    lines.append(["Time Tags" if since_s else "Data:"])
    for row in range(rows):
        times = [f"{start + row * 1e-9:.9E}" for start in starts_s]
        cells = [f"{value:.5E}" for value in values[row]]
        pairs = [cell for pair in zip(times, cells, strict=True) for cell in pair]
        lines.append([times[0], *cells] if shared else pairs)
    return "".join(",".join(line) + "\n" for line in lines)
