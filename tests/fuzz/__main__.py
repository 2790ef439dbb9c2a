"""``make fuzz``: damages files of every adapter, as many as asked for, and prints what became of them.

``python -m tests.fuzz [--mutants N] [--first N] [--seconds S] [--record FILE [--docs FILE]] [ADAPTER…]``; exit status 1
when one broke the rules. With ``--record`` what was run before, with the same version of the adapter, is not run again.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from instruments.preloading import ENVIRONMENT
from tests.adapter_contract.cases import registry
from tests.fuzz.campaign import Outcome, run_until
from tests.fuzz.record import Piece, add, append, load, missing, write_section
from tests.fuzz.seeds import ALL

MUTANTS = 100_000
PIECE = 25_000


def main() -> int:
    """Run the campaigns and print a line for each adapter."""
    chosen = _arguments()
    adapters = registry().adapters
    stop = chosen.first + chosen.mutants
    wanted = [
        Piece(name, adapters[name].version, first, min(first + PIECE, stop))
        for first in range(chosen.first, stop, PIECE)
        for name in chosen.adapters
    ]
    done = load(chosen.record) if chosen.record else {}
    for piece, found in _run(missing(wanted, done), chosen.processes, time.time() + chosen.seconds):
        done[piece] = found
        if chosen.record:
            append(chosen.record, piece, found)
        for failure in found.failures:
            print(f"{failure.adapter} {failure.index}: {failure.what}", flush=True)
    outcomes = {name: Outcome(name) for name in chosen.adapters}
    for piece in wanted:
        if piece in done:
            add(outcomes[piece.adapter], done[piece])
    _print_table(list(outcomes.values()))
    if chosen.docs:
        write_section(chosen.docs, adapters, done)
    return 1 if any(outcome.failures for outcome in outcomes.values()) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("adapters", nargs="*", default=sorted(ALL), metavar="ADAPTER")
    parser.add_argument("--mutants", type=int, default=MUTANTS, help="of each adapter")
    parser.add_argument("--first", type=int, default=0, help="index of the first mutant: other indices, other mutants")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing new after so long")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--record", type=Path, help="where to keep what was found, and to go on from")
    parser.add_argument("--docs", type=Path, help="write the table of what is recorded into this document")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.adapters) - set(ALL))
    if unknown:
        parser.error(f"there is no adapter {unknown[0]}")
    if chosen.docs and not chosen.record:
        parser.error("--docs tells of what is recorded: it needs --record")
    return chosen


def _run(pieces: list[Piece], processes: int, deadline: float) -> Iterator[tuple[Piece, Outcome]]:
    """Yield each piece that was begun before ``deadline``, seconds since 1970, when it is done."""
    if not pieces:
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {
            pool.submit(run_until, piece.adapter, range(piece.first, piece.stop), deadline): piece for piece in pieces
        }
        for future in as_completed(futures):
            found = future.result()
            if found.mutants:
                yield futures[future], found


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
