"""A simulated lot as an ATDF log: smooth wafers, planted outliers and a cluster of fails. Simulated, and it says so."""

from dataclasses import dataclass

import numpy as np

RADIUS = 10


@dataclass
class SimulatedWafer:
    """Dies of one wafer: places, verdicts, readings of two correlated tests; ``planted`` are the outliers' rows."""

    name: str
    column: np.ndarray
    row: np.ndarray
    failed: np.ndarray
    leakage_ua: np.ndarray
    delay_ns: np.ndarray
    planted: np.ndarray


def simulate_wafer(seed, name="W1", planted=3, shift_sigmas=12.0, cluster=(5, 5), slope=0.0):
    """``shift_sigmas`` in the noise of the leakage, 0.1 uA; ``slope`` is its rise from centre to edge in uA."""
    numbers = np.random.default_rng(seed)
    grid = np.arange(-RADIUS, RADIUS + 1)
    column, row = (each.ravel() for each in np.meshgrid(grid, grid))
    inside = np.hypot(column, row) <= RADIUS
    column, row = column[inside], row[inside]
    count = column.size
    common = numbers.normal(size=count)
    leakage = 5 + slope * np.hypot(column, row) / RADIUS + 0.1 * common
    delay = 2 + 0.05 * (0.95 * common + np.sqrt(1 - 0.95**2) * numbers.normal(size=count))
    failed = np.zeros(count, bool)
    if cluster is not None:
        away = np.maximum(abs(column - cluster[0]), abs(row - cluster[1]))
        # A ring of fails about one good die.
        failed = away == 1
    usable = np.flatnonzero(~failed & (np.hypot(column, row) < RADIUS - 3))
    chosen = np.sort(numbers.choice(usable, planted, replace=False))
    leakage[chosen] += shift_sigmas * 0.1
    return SimulatedWafer(name, column, row, failed, leakage, delay, chosen)


def write_atdf(wafers, lot="LOT1", remark="simulated: true"):
    """Return the log of ``wafers``."""
    lines = [
        "FAR:A|4|2|U",
        f"MIR:{lot}|P1|prog|node|tester|22:13:20 14-NOV-2023|22:15:00 14-NOV-2023|op|P|3|s1|FT1",
        f"DTR:{remark}",
    ]
    for wafer in wafers:
        lines.append(f"WIR:1|22:16:40 14-NOV-2023|1|{wafer.name}")
        first = True
        for place in range(wafer.column.size):
            limits = ["||leakage|||uA|0|20", "||delay|||ns|0|20"] if first else ["", ""]
            first = False
            verdict, code = ("F", 2) if wafer.failed[place] else ("P", 1)
            lines += [
                "PIR:1|1",
                f"PTR:100|1|1|{float(wafer.leakage_ua[place])!r}|P{limits[0]}",
                f"PTR:200|1|1|{float(wafer.delay_ns[place])!r}|P{limits[1]}",
                f"PRR:1|1|{wafer.name}-{place}|2|{verdict}|{code}|{code}|{wafer.column[place]}|{wafer.row[place]}|||100",
            ]
        lines.append(f"WRR:1|22:26:40 14-NOV-2023|{wafer.column.size}|{wafer.name}|1|||1")
    lines.append("MRR:22:28:20 14-NOV-2023||done")
    return "\n".join(lines) + "\n"
