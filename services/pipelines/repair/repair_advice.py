"""Which technique suits a defect: for ``faultlight repair advise``, with rules and a record of the laboratory's own."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analysis.repair.advice import CLEAR_TYPES, DEFAULT_RULES, OPAQUE_TYPES, TECHNIQUES, Advice, Question, Rule, advise
from analysis.repair.success import Rate, raw_rate
from services.pipelines.repair.repair_constants import DocumentRefused, explain, read_document
from services.pipelines.versions import ADVICE_VERSION

_Words = Annotated[list[str], Field(max_length=50)]


class GivenRule(BaseModel):
    """A rule of the laboratory's own."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    technique: str
    stance: str
    reason: str = Field(min_length=1, max_length=500)
    source: str = Field(min_length=1, max_length=500)
    label: str = "laboratory"
    defect_types: _Words = []
    tones: _Words = []
    layers: _Words = []
    size_min_nm: float | None = Field(default=None, ge=0)
    size_max_nm: float | None = Field(default=None, gt=0)


class RuleFile(BaseModel):
    """A file of rules; ``replace`` leaves the defaults out."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)

    schema_name: str = Field(
        default="faultlight.repair-rules/1", alias="schema", pattern=r"^faultlight\.repair-rules/1$"
    )
    replace: bool = False
    rules: list[GivenRule] = Field(max_length=500)


@dataclass(frozen=True)
class Basis:
    """What advice rests on: a file of rules, and an answer of ``faultlight repair outcome --json``."""

    rules: Path | None = None
    outcome: Path | None = None


def advise_on(question: Question, basis: Basis) -> dict[str, Any]:
    """Return the answer of ``faultlight repair advise --json``.

    Raises:
        DocumentRefused: a file is not what it must be, or tone and type contradict each other.
    """
    rules = _rules(basis.rules)
    completed, derived = _complete(question)
    records = _records(basis.outcome, completed.defect_type) if basis.outcome is not None else {}
    found = advise(completed, rules, records)
    return _document(completed, found, derived) | {
        "provenance": {
            "algorithm": "rules; the record orders what they call suitable",
            "algorithm_version": ADVICE_VERSION,
            "parameters": asdict(completed),
            "inputs": [path.name for path in (basis.rules, basis.outcome) if path is not None],
            "device": "cpu",
            "precision": "float64",
            "simulated": False,
        }
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


def _rules(path: Path | None) -> Sequence[Rule]:
    if path is None:
        return DEFAULT_RULES
    try:
        given = RuleFile.model_validate(read_document(path))
    except ValidationError as error:
        raise DocumentRefused(f"{path.name}: {explain(error)}") from error
    own = []
    for item in given.rules:
        fields: dict[str, Any] = item.model_dump()
        for name in ("defect_types", "tones", "layers"):
            fields[name] = tuple(str(value).lower() for value in fields[name])
        own.append(Rule(**fields))
    return own if given.replace else [*DEFAULT_RULES, *own]


def _records(path: Path, defect_type: str | None) -> dict[Any, Rate]:
    """Return the laboratory's rates by technique, of the same type of defect where that is known."""
    document = read_document(path)
    runs = document.get("runs")
    if not isinstance(runs, list):
        raise DocumentRefused(f"{path.name} is no answer of faultlight repair outcome --json")
    counts: dict[str, list[int]] = {technique: [0, 0] for technique in TECHNIQUES}
    for run in runs:
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
