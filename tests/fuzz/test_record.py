"""The record of a campaign: it goes on where it was stopped, and its table says what was run with which version."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.adapter_contract.cases import registry
from tests.fuzz.campaign import Failure, Outcome
from tests.fuzz.record import HEADING, Piece, append, load, make_section, missing, replace_section

KLARF = registry().adapters["klarf"]
PIECE = Piece("klarf", KLARF.version, 0, 5)
FOUND = Outcome("klarf", Counter({"read": 3, "failed": 1, "Truncated": 1}), [Failure("klarf", 4, "it hangs")], 2.5)


def test_what_was_run_is_not_run_again_with_the_same_version(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    assert load(path) == {}
    append(path, PIECE, FOUND)
    done = load(path)
    assert done == {PIECE: FOUND}
    others = [replace(PIECE, version="another"), replace(PIECE, first=5, stop=10)]
    assert missing([PIECE, *others], done) == others


def test_the_table_tells_of_this_version_or_says_of_which() -> None:
    old = replace(PIECE, version="0")
    before = Outcome("klarf", Counter({"read": 90}), [], 1.0)
    section = make_section({"klarf": KLARF}, {PIECE: FOUND, old: before})
    assert f"| klarf | {KLARF.version} | 5 | 3 | 1 | 1 | 2 | - |" in section
    assert section.endswith("\n5 mutants of 1 adapters; 1 were wrong with the versions above.\n")
    section = make_section({"klarf": KLARF}, {old: before})
    assert f"| klarf | 0, before a change (now {KLARF.version}) | 90 | 90 | 0 | 0 | 90 | - |" in section
    assert f"| klarf | {KLARF.version} | 0 | 0 | 0 | 0 | - | - |" in make_section({"klarf": KLARF}, {})


def test_only_its_part_of_the_document_is_replaced() -> None:
    section = f"{HEADING}\n\nnew\n"
    assert replace_section("# A\n\ntext\n", section) == f"# A\n\ntext\n\n{section}"
    assert replace_section(f"# A\n\n{HEADING}\n\nold\n\n## B\n\nmore\n", section) == f"# A\n\n{section}\n## B\n\nmore\n"
    assert replace_section(f"# A\n\n{HEADING}\n\nold\n", section) == f"# A\n\n{section}"
