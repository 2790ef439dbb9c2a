"""Which technique suits a defect, with rules and a record of the laboratory's own: the command and the job."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from analysis.repair.advice import (
    CLEAR_TYPES,
    DEFAULT_LIMITS,
    DEFAULT_RULES,
    OPAQUE_TYPES,
    TECHNIQUES,
    Advice,
    Question,
    Rule,
    SizeLimit,
    advise,
    limit_rules,
)
from analysis.repair.success import Rate, raw_rate
from services.pipelines.repair.advice_request import OwnRules, RuleFile
from services.pipelines.repair.repair_constants import DocumentRefused, explain, read_document
from services.pipelines.versions import ADVICE_VERSION


@dataclass(frozen=True)
class Basis:
    """What advice rests on.

    Attributes:
        own: rules and limits of the laboratory's own.
        outcome: an answer of ``faultlight repair outcome``, the laboratory's record; ``None`` without one.
        inputs: what both were read from, for the provenance.
    """

    own: OwnRules = field(default_factory=OwnRules)
    outcome: Mapping[str, Any] | None = None
    inputs: tuple[str, ...] = ()


def read_basis(rules: Path | None, outcome: Path | None) -> Basis:
    """Return the basis in a file of rules and in one with an answer of ``faultlight repair outcome --json``.

    Raises:
        DocumentRefused: a file is not what it must be.
    """
    own = OwnRules()
    if rules is not None:
        try:
            own = RuleFile.model_validate(read_document(rules))
        except ValidationError as error:
            raise DocumentRefused(f"{rules.name}: {explain(error)}") from error
    record = None
    if outcome is not None:
        record = read_document(outcome)
        if not isinstance(record.get("runs"), list):
            raise DocumentRefused(f"{outcome.name} is no answer of faultlight repair outcome --json")
    return Basis(own, record, tuple(path.name for path in (rules, outcome) if path is not None))


def advise_on(question: Question, basis: Basis) -> dict[str, Any]:
    """Return the answer of ``faultlight repair advise --json`` and of the job.

    Raises:
        DocumentRefused: tone and type contradict each other, or the size is none.
    """
    completed, derived = _complete(question)
    records = _records(basis.outcome, completed.defect_type) if basis.outcome is not None else {}
    limits = _limits(basis.own)
    found = advise(completed, [*_rules(basis.own), *limit_rules(limits)], records)
    return _document(completed, found, derived) | {
        "limits": [asdict(limit) for limit in limits],
        "provenance": {
            "algorithm": "rules; the record orders what they call suitable",
            "algorithm_version": ADVICE_VERSION,
            "parameters": asdict(completed),
            "inputs": list(basis.inputs),
            "device": "cpu",
            "precision": "float64",
            "simulated": bool((basis.outcome or {}).get("provenance", {}).get("simulated", False)),
        },
    }


def _complete(question: Question) -> tuple[Question, list[str]]:
    """Return the question in the words of the rules, with the tone that the type implies."""
    kind = question.defect_type.lower().replace("_", "-").replace(" ", "-") if question.defect_type else None
    tone = question.tone.lower() if question.tone else None
    layer = question.layer.lower() if question.layer else None
    if tone not in (None, "clear", "opaque"):
        raise DocumentRefused(f"the tone is clear or opaque, not {tone!r}")
    if question.size_nm is not None and not 0 < question.size_nm < float("inf"):
        raise DocumentRefused(f"the size is above 0 nm, not {question.size_nm}")
    implied = "opaque" if kind in OPAQUE_TYPES else "clear" if kind in CLEAR_TYPES else None
    if tone is not None and implied is not None and tone != implied:
        raise DocumentRefused(f"a {kind} is {implied}, the question says {tone}")
    notes = [f"a {kind} is {implied}"] if tone is None and implied is not None else []
    return Question(kind, question.size_nm, tone or implied, layer), notes


def _rules(given: OwnRules) -> list[Rule]:
    own = []
    for item in given.rules:
        fields: dict[str, Any] = item.model_dump()
        for name in ("defect_types", "tones", "layers"):
            fields[name] = tuple(str(value).lower() for value in fields[name])
        own.append(Rule(**fields))
    return own if given.replace else [*DEFAULT_RULES, *own]


def _limits(given: OwnRules) -> list[SizeLimit]:
    """Return the laboratory's limits, and the defaults of the techniques that it leaves open."""
    own = {item.technique: SizeLimit(**item.model_dump()) for item in given.limits}
    if given.replace:
        return list(own.values())
    return [own.get(limit.technique, limit) for limit in DEFAULT_LIMITS]


def _records(outcome: Mapping[str, Any], defect_type: str | None) -> dict[Any, Rate]:
    """Return the laboratory's rates by technique, of the same type of defect where that is known."""
    counts: dict[str, list[int]] = {technique: [0, 0] for technique in TECHNIQUES}
    for run in outcome["runs"]:
        if not isinstance(run, dict) or run.get("technique") not in counts or run.get("held") is None:
            continue
        kind = str(run.get("defect_type", "")).lower().replace("_", "-").replace(" ", "-")
        if defect_type is not None and kind != defect_type:
            continue
        counts[run["technique"]][0] += bool(run["held"])
        counts[run["technique"]][1] += 1
    return {technique: raw_rate(good, total) for technique, (good, total) in counts.items() if total}


def _document(question: Question, found: Advice, derived: list[str]) -> dict[str, Any]:
    opinions = [
        {
            "technique": opinion.technique,
            "status": opinion.status,
            "reasons": [json.loads(json.dumps(asdict(rule))) for rule in opinion.rules],
            "missing": list(opinion.missing),
            "record": None if opinion.record is None else asdict(opinion.record),
        }
        for opinion in found.opinions
    ]
    return {
        "verdict": "advice" if found.advised else "no-advice",
        "question": asdict(question),
        "advised": list(found.advised),
        "opinions": opinions,
        "notes": [*derived, *found.notes],
    }
