"""What overlays of inspected defects on a layout say of units: how probably the defects on a die make a fault."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from services.pipelines.latent_risk.evidence_records import DieFrame, PrintedMask, Reading
from services.pipelines.latent_risk.inspections import Die, Inspection, Inspections
from services.pipelines.latent_risk.unit_identity import Claim

_OF_ONE_INSPECTION = frozenset({"matches", "offset_um", "rotation_deg"})
FEATURES = ("largest_criticality", "expected_faults")


def rule_of_overlay(payload: Mapping[str, Any], document: Mapping[str, Any], version: str) -> tuple[Any, ...]:
    """Return what makes two overlays comparable: the layout, its process and cell, and the overlay's settings.

    Where the defects lie on the layout is each inspection's own.
    """
    asked = {
        name: value for name, value in payload["question"].items() if name not in ("inspection_file_id", "settings")
    }
    settings = {name: value for name, value in document["settings"].items() if name not in _OF_ONE_INSPECTION}
    return version, payload["raw_file_id"], asked, settings


def read_overlay(document: Mapping[str, Any], inspections: Inspections, frame: DieFrame | None) -> list[Reading]:
    """Return what the defects of ``document``, found in ``inspections``, say of each die.

    ``expected_faults`` adds up the criticalities of a die's defects. A die of the test plan without a defect has 0; one
    with a defect that could not be judged, or that has no place in the layout, is not known.
    """
    found = []
    for name, inspection in inspections.samples.items():
        for die, reading in _judge_dies(document, name, inspection).items():
            found.append(replace(reading, claim=inspection.claim(die, frame)))
    return found


def read_mask(
    document: Mapping[str, Any], inspection: Inspection, mask: PrintedMask, printed: Iterable[Claim]
) -> list[Reading]:
    """Return what the defects of a mask say of the dies ``printed`` by it; those of other lots are passed over."""
    dies = _judge_dies(document, inspection.sample, inspection)
    found = []
    for claim in printed:
        if claim.die is not None and claim.lot in mask.lots:
            _, _, x, y = claim.die
            reading = dies.get(mask.die_of(x, y))
            if reading is not None:
                found.append(replace(reading, claim=claim))
    return found


def _judge_dies(document: Mapping[str, Any], sample: str, inspection: Inspection) -> dict[Die, Reading]:
    judged = {
        int(each["defect_id"]): each["criticality"] for each in document["defects"] if str(each["sample"]) == sample
    }
    found = {}
    for die, criticalities in _by_die(inspection, judged).items():
        unknown = sum(value is None for value in criticalities)
        if unknown:
            reason = f"of {len(criticalities)} defects on the die {unknown} could not be judged"
            found[die] = Reading(Claim(), reason=reason)
            continue
        known = [float(value) for value in criticalities if value is not None]
        found[die] = Reading(Claim(), (max(known, default=0.0), sum(known)))
    return found


def _by_die(inspection: Inspection, judged: Mapping[int, float | None]) -> dict[Die, list[float | None]]:
    dies: dict[Die, list[float | None]] = {die: [] for die in inspection.plan or ()}
    for number, die in inspection.dies.items():
        if die is not None:
            dies.setdefault(die, []).append(judged.get(number))
    return dies
