"""``make fuzz``: damages files of every adapter, as many as asked for, and prints what became of them.

``python -m tests.fuzz [--mutants N] [--first N] [--seconds S] [ADAPTER…]``; exit status 1 when one broke the rules.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from instruments.preloading import ENVIRONMENT
from tests.fuzz.campaign import Outcome, run_until
from tests.fuzz.seeds import ALL

MUTANTS = 100_000
PIECE = 10_000


def main() -> int:
    """Run the campaigns and print a line for each adapter."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("adapters", nargs="*", default=sorted(ALL), metavar="ADAPTER")
    parser.add_argument("--mutants", type=int, default=MUTANTS, help="of each adapter")
    parser.add_argument("--first", type=int, default=0, help="index of the first mutant: other indices, other mutants")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing new after so long")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.adapters) - set(ALL))
    if unknown:
        parser.error(f"there is no adapter {unknown[0]}")
    stop = chosen.first + chosen.mutants
    pieces = [range(first, min(first + PIECE, stop)) for first in range(chosen.first, stop, PIECE)]
    outcomes = {name: Outcome(name) for name in chosen.adapters}
    deadline = time.time() + chosen.seconds
    with ProcessPoolExecutor(chosen.processes, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(run_until, name, piece, deadline) for piece in pieces for name in chosen.adapters]
        for future in as_completed(futures):
            found = future.result()
            outcome = outcomes[found.adapter]
            outcome.ends.update(found.ends)
            outcome.failures += found.failures
            outcome.seconds += found.seconds
            for failure in found.failures:
                print(f"{failure.adapter} {failure.index}: {failure.what}", flush=True)
    _print_table(list(outcomes.values()))
    return 1 if any(outcome.failures for outcome in outcomes.values()) else 0


def _print_table(outcomes: list[Outcome]) -> None:
    print(f"{'adapter':20} {'mutants':>9} {'read':>9} {'refused':>9} {'failed':>7} {'s':>7} {'per s':>7}")
    for outcome in outcomes:
        failed, read = len(outcome.failures), outcome.ends["read"]
        rate = outcome.mutants / outcome.seconds if outcome.seconds else 0.0
        refused = outcome.mutants - read - failed
        counts = f"{outcome.mutants:9} {read:9} {refused:9} {failed:7}"
        print(f"{outcome.adapter:20} {counts} {outcome.seconds:7.0f} {rate:7.0f}")
    print(f"{sum(item.mutants for item in outcomes)} mutants, {sum(len(item.failures) for item in outcomes)} failures")


if __name__ == "__main__":
    os.environ.update(ENVIRONMENT)
    sys.exit(main())
