"""Life data: speed and memory of Weibull fits beside peers', and coverage of intervals at heavy censoring (SIMULATED).

``--peers PYTHON`` names an interpreter with lifelines and surpyval (extra ``bench``); without it, ours alone is told.
"""

import argparse
import json
import os
import subprocess
import sys

from analysis.reliability.intervals import LEAST_FAILURES
from benchmarks.life_trials import speed
from benchmarks.life_trials.coverage import LEVEL, METHODS, SETTINGS, Setting, cover
from benchmarks.report import Row, print_rows

SIZE = 1_000_000
GROUPS, GROUP_SIZE = 10_000, 50
SETS = 2000
_TARGETS = {"lifelines": ">= 20", "surpyval": ""}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--peers", default=sys.executable, help="interpreter with the peers")
    parser.add_argument("--sets", type=int, default=SETS, help="simulated sets of each setting")
    parser.add_argument("--only", choices=("speed", "coverage"), help="one half")
    arguments = parser.parse_args()
    rows = [] if arguments.only == "coverage" else measure_speed(arguments.peers)
    if arguments.only != "speed":
        rows += measure_coverage(arguments.sets)
    print_rows(rows, as_json=arguments.json)


def measure_speed(python: str) -> list[Row]:
    """Return rows of one fit of a million lifetimes, and of ten thousand groups."""
    ours = _run(sys.executable, "ours", SIZE)
    if ours is None:
        raise RuntimeError("our own fit did not run")
    rows = [
        Row("Weibull with covariance, 10^6 lifetimes, 70 % censored", ours["seconds"], "s"),
        Row("its peak memory over the import", ours["mb_over_import"], "MB", "<= 150"),
    ]
    for peer, target in _TARGETS.items():
        found = _run(python, peer, SIZE)
        if found is not None:
            rows.append(Row(f"times faster than {peer}", found["seconds"] / ours["seconds"], "ratio", target))
            off = abs(found["shape"] / ours["shape"] - 1)
            rows.append(Row(f"shape of {peer} off ours", off, "relative"))
    batch = _run(sys.executable, "ours", GROUPS, GROUP_SIZE)
    if batch is None:
        raise RuntimeError("our own batch did not run")
    rows.append(Row(f"{GROUPS:,} groups of {GROUP_SIZE} in one call", batch["seconds"], "s"))
    rows.append(Row("groups fitted", batch["fitted"], "groups", f">= {GROUPS}"))
    loops = {peer: _run(python, peer, GROUPS, GROUP_SIZE) for peer in _TARGETS}
    known = {peer: found["seconds"] for peer, found in loops.items() if found is not None}
    if known:
        fastest = min(known, key=lambda peer: known[peer])
        ratio = known[fastest] / batch["seconds"]
        claim = f"times faster than a loop of the fastest peer, {fastest} ({speed.PEER_FITS} fits, extrapolated)"
        rows.append(Row(claim, ratio, "ratio", ">= 100"))
    return rows


def measure_coverage(sets: int) -> list[Row]:
    """Return the coverage of every method in every setting, in which at least 98.9 % are censored."""
    return [_covered(setting, method, sets) for setting in SETTINGS for method in METHODS]


def _covered(setting: Setting, method: str, sets: int) -> Row:
    part, refused, below, above = cover(setting, method, sets)
    detail = f"{100 * part:.1f} % (above {100 * below:.1f}, below {100 * above:.1f}, {refused} sets refused)"
    # Below the failures that a method is stated for, its coverage is shown and promised nothing.
    target = "<= 2" if setting.expected >= LEAST_FAILURES[method] else ""
    return Row(f"{method}, {setting.name}: covers {detail}, off", 100 * abs(part - LEVEL), "points", target)


def _run(python: str, *arguments: object) -> dict[str, float] | None:
    """Run the measuring script in a fresh process; ``None`` where the peer is not installed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([".", *sys.path])}
    if python != sys.executable:
        environment["PYTHONPATH"] = "."
    command = [python, speed.__file__, *(str(each) for each in arguments)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if outcome.returncode != 0:
        sys.stderr.write(f"{arguments[0]}: {(outcome.stderr.strip().splitlines() or ['failed'])[-1]}\n")
        return None
    found: dict[str, float] = json.loads(outcome.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
