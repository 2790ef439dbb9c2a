"""What campaigns have found, piece by piece: kept in a file, so that a campaign goes on where it was stopped."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from instruments.adapter import Adapter
from tests.fuzz.campaign import Failure, Outcome

RECORD = Path(__file__).with_name("record.jsonl")
"""The campaigns that ``docs/formats.md`` tells of."""
HEADING = "## Damaged files"
FIXED: Mapping[str, str] = {
    "delimited": "a carriage return in place of a sign or digit was left out: `9.85e-01` became 98.5, `-9.5` 9.5; a "
    "line below one of units ended the reading instead of refusing the file",
    "e142_map": "a list of few devices far apart was laid on a grid of millions of places, which took up to 20 s",
    "fibsem_image": "offsets of strips as fractions or below zero ended the reading instead of refusing the file",
    "liberty": "a brace too many after an attribute with arguments ended the reading instead of refusing the file",
    "pattern_table": "a table without a net, or whose first column is no cycle, was read as patterns",
    "tektronix_isf": "finite numbers whose product is not: offset, interval and first time were infinite; of two "
    "preambles with a damaged curve between them the second curve was read alone",
    "tektronix_wfm": "a scale whose values are past the largest number was read, and refused only when packed",
    "verilog_netlist": "an index that is a sized constant, `a[1'b1]`, ended the reading; it is read now",
}
"""What the campaigns of 100,000 found that was wrong, and is a test now."""


@dataclass(frozen=True)
class Piece:
    """The mutants ``first`` to ``stop`` of one version of an adapter."""

    adapter: str
    version: str
    first: int
    stop: int


def load(path: Path) -> dict[Piece, Outcome]:
    """Return what ``path`` holds; nothing when it is not there."""
    found: dict[Piece, Outcome] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        entry = json.loads(line)
        name = entry["adapter"]
        outcome = Outcome(name, seconds=entry["seconds"])
        outcome.ends.update(entry["ends"])
        outcome.failures += [Failure(name, index, what) for index, what in entry["failures"]]
        found[Piece(name, entry["version"], entry["first"], entry["stop"])] = outcome
    return found


def append(path: Path, piece: Piece, outcome: Outcome) -> None:
    """Write a line for the piece."""
    entry = {
        **vars(piece),
        "ends": dict(sorted(outcome.ends.items())),
        "failures": [[failure.index, failure.what] for failure in outcome.failures],
        "seconds": round(outcome.seconds, 1),
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def add(outcome: Outcome, more: Outcome) -> None:
    """Add ``more`` of the same adapter."""
    outcome.ends.update(more.ends)
    outcome.failures += more.failures
    outcome.seconds += more.seconds


def make_section(adapters: Mapping[str, Adapter], pieces: Mapping[Piece, Outcome]) -> str:
    """Return the part of ``docs/formats.md`` on damaged files: each adapter, what was tried with which version."""
    lines = [
        HEADING,
        "",
        "Made by `python -m tests.fuzz --record tests/fuzz/record.jsonl --docs docs/formats.md`. Each mutant is one of",
        "the adapter's own small files with a few things changed: bits, fields of headers, counts, offsets, numbers,",
        "words, lines. It must be refused with a reason, or read with as much as a naive count of the bytes finds and",
        "as it is described; one in 16 of those read is packed, too. None may crash, take 20 s, or take 512 MiB.",
        "",
        "| adapter | version | mutants | read | refused | wrong | mutants a second | found at first, and fixed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *_rows(adapters, pieces)]) + "\n"


def _rows(adapters: Mapping[str, Adapter], pieces: Mapping[Piece, Outcome]) -> Iterator[str]:
    tried = wrong = 0
    for name, adapter in sorted(adapters.items()):
        version, outcome = _campaign(adapter, pieces)
        read, failed = outcome.ends["read"], len(outcome.failures)
        rate = f"{outcome.mutants / outcome.seconds:,.0f}" if outcome.seconds else "-"
        counts = f"{outcome.mutants:,} | {read:,} | {outcome.mutants - read - failed:,} | {failed}"
        yield f"| {name} | {version} | {counts} | {rate} | {FIXED.get(name, '-')} |"
        tried, wrong = tried + outcome.mutants, wrong + failed
    yield ""
    yield f"{tried:,} mutants of {len(adapters)} adapters; {wrong} were wrong with the versions above."


def _campaign(adapter: Adapter, pieces: Mapping[Piece, Outcome]) -> tuple[str, Outcome]:
    """Return what is recorded of the adapter as it is, or else of the last version that was tried, and which it was."""
    tried = [piece.version for piece in pieces if piece.adapter == adapter.name]
    version = adapter.version if adapter.version in tried or not tried else tried[-1]
    outcome = Outcome(adapter.name)
    for piece, found in pieces.items():
        if (piece.adapter, piece.version) == (adapter.name, version):
            add(outcome, found)
    told, now = (text.partition("+")[0] for text in (version, adapter.version))
    return told if version == adapter.version else f"{told}, before a change (now {now})", outcome


def replace_section(document: str, section: str) -> str:
    """Return ``document`` with its part on damaged files replaced, or with it at the end."""
    before, heading, after = document.partition(HEADING + "\n")
    if not heading:
        return f"{document.rstrip()}\n\n{section}"
    place = after.find("\n## ")
    return before + section + (after[place:] if place >= 0 else "")


def write_section(document: Path, adapters: Mapping[str, Adapter], pieces: Mapping[Piece, Outcome]) -> None:
    """Write the part of ``document`` on damaged files anew."""
    text = document.read_text(encoding="utf-8")
    document.write_text(replace_section(text, make_section(adapters, pieces)), encoding="utf-8")


def missing(wanted: Iterable[Piece], done: Mapping[Piece, Outcome]) -> list[Piece]:
    """Return the pieces that were not run."""
    return [piece for piece in wanted if piece not in done]
