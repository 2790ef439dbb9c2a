"""What images say of what repairs left: answers of ``faultlight mask print``, as evidence on whether repairs held."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.pipelines.repair.repair_constants import DocumentRefused, read_document

_HELD = {"cleared": True, "not-cleared": False, "unsure": None}


@dataclass(frozen=True)
class PrintedDefect:
    """What the image says of one repaired defect.

    Attributes:
        name: of the defect in the question.
        held: whether the repair did; ``None`` where what was left is marginal.
        outcome: cleared, unsure or not-cleared.
        fraction, sigma: worst change of a width of what was left and its standard error; ``None`` where unknown.
        answer: which answer says so.
    """

    name: str
    held: bool | None
    outcome: str
    fraction: float | None
    sigma: float | None
    answer: str


@dataclass(frozen=True)
class Printed:
    """The repaired defects of all answers by name, what these were read from, and whether any is simulated."""

    defects: Mapping[str, PrintedDefect] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    simulated: bool = False


def read_printed(paths: Sequence[Path]) -> Printed:
    """Return what the files, answers of ``faultlight mask print --json``, say; raises as :func:`gather_printed`."""
    documents = [(path.name, read_document(path)) for path in paths]
    digests = tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    return gather_printed(documents, digests)


def gather_printed(answers: Sequence[tuple[str, Mapping[str, Any]]], inputs: Sequence[str]) -> Printed:
    """Return what ``answers``, each with its name, say of repairs; ``inputs`` go into the provenance.

    Raises:
        DocumentRefused: one is no answer about printing defects, has no repair, or two judge a defect of one name.
    """
    found: dict[str, PrintedDefect] = {}
    for name, answer in answers:
        defects = answer.get("defects")
        if not isinstance(defects, list) or not all(isinstance(each, Mapping) for each in defects):
            raise DocumentRefused(f"{name} is no answer of faultlight mask print --json")
        repaired = [each for each in defects if each.get("outcome") in _HELD]
        if not repaired:
            raise DocumentRefused(f"{name} judges no repair: its question says of no defect what the repair left")
        for each in repaired:
            defect = str(each["name"])
            if defect in found:
                raise DocumentRefused(f"{found[defect].answer} and {name} both judge a defect of the name {defect}")
            state = str(each["outcome"])
            found[defect] = PrintedDefect(defect, _HELD[state], state, each["fraction"], each["sigma"], name)
    return Printed(found, tuple(inputs), any(bool(answer.get("simulated")) for _, answer in answers))
