"""Which technique suits a defect: rules with their provenance, the laboratory's record, and no advice without a rule.

A rule that depends on something the question leaves open is not answered either way: a technique is called suitable
only when no rule could still speak against it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from analysis.repair.constants import LABELS, Label
from analysis.repair.success import Rate

Technique = Literal["laser", "fib", "e-beam"]
Stance = Literal["suits", "caution", "against"]
TECHNIQUES: tuple[Technique, ...] = get_args(Technique)
NOTES = "general knowledge of the field; no figure was found in a source"


@dataclass(frozen=True)
class Question:
    """What is known of a defect; ``None`` where it is not.

    Attributes:
        defect_type: bridge, extension, pinspot, pinhole, clear-extension, break, glass-pit, …
        size_nm: at mask scale.
        tone: ``clear`` or ``opaque``: what the defect adds.
        layer: the material, for example chromium, mosi, quartz, silicon.
    """

    defect_type: str | None = None
    size_nm: float | None = None
    tone: str | None = None
    layer: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule; a condition that is empty or ``None`` always holds.

    Attributes:
        technique, stance: about what, and how it speaks.
        reason: in one sentence.
        label, source: what vouches for it.
        defect_types, tones, layers: one of them.
        size_min_nm, size_max_nm: at least, and below.
    """

    technique: Technique
    stance: Stance
    reason: str
    label: Label
    source: str
    defect_types: tuple[str, ...] = ()
    tones: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    size_min_nm: float | None = None
    size_max_nm: float | None = None

    def __post_init__(self) -> None:
        if self.technique not in TECHNIQUES or self.stance not in get_args(Stance) or self.label not in LABELS:
            raise ValueError(f"a rule is about {', '.join(TECHNIQUES)} and suits, cautions or is against: {self}")

    def missing(self, question: Question) -> tuple[str, ...] | None:
        """Return what of ``question`` would have to be known for the rule to hold; ``None`` when it does not hold."""
        open_ones = []
        pairs = (
            ("defect_type", self.defect_types, question.defect_type),
            ("tone", self.tones, question.tone),
            ("layer", self.layers, question.layer),
        )
        for name, wanted, given in pairs:
            if wanted and given is None:
                open_ones.append(name)
            elif wanted and given not in wanted:
                return None
        if self.size_min_nm is not None or self.size_max_nm is not None:
            if question.size_nm is None:
                open_ones.append("size_nm")
            elif not (self.size_min_nm or 0.0) <= question.size_nm < (self.size_max_nm or math.inf):
                return None
        return tuple(open_ones)


@dataclass(frozen=True)
class Opinion:
    """About one technique.

    Attributes:
        technique: which.
        status: ``suitable``, ``unsuitable``, ``not-known`` (a rule waits for what is missing) or ``no-rule``.
        rules: those that hold, each as it is.
        missing: what would have to be known.
        record: the laboratory's own success with such defects, ``None`` without one.
    """

    technique: Technique
    status: str
    rules: tuple[Rule, ...]
    missing: tuple[str, ...]
    record: Rate | None


@dataclass(frozen=True)
class Advice:
    """What to do.

    Attributes:
        advised: suitable techniques, the best record first; empty when there is no advice.
        opinions: one for each technique.
        notes: what the reader should know about it.
    """

    advised: tuple[Technique, ...]
    opinions: tuple[Opinion, ...]
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class SizeLimit:
    """The sizes of defects that a technique repairs, at mask scale.

    Attributes:
        technique: which.
        least_nm, most_nm: at least, and below; ``None`` where there is no such bound.
        source, label: what vouches for it.
    """

    technique: Technique
    least_nm: float | None
    most_nm: float | None
    source: str
    label: Label = "unverified"


LIMIT_NOTES = "order of magnitude; no figure was found in a source: set your tool's own"
DEFAULT_LIMITS: tuple[SizeLimit, ...] = (
    SizeLimit("laser", 500.0, None, "nanosecond laser repair ends at about 0.5 um; " + NOTES),
    SizeLimit("fib", 30.0, 10_000.0, LIMIT_NOTES),
    SizeLimit("e-beam", 10.0, 5_000.0, LIMIT_NOTES),
)
"""Where each technique ends until a laboratory says otherwise: the spot below, the time and the field above."""


def limit_rules(limits: Sequence[SizeLimit]) -> list[Rule]:
    """Return the rules that ``limits`` are: each speaks against its technique outside of its sizes."""
    rules = []
    for limit in limits:
        vouched = (limit.label, limit.source)
        if limit.least_nm is not None:
            reason = f"{limit.technique} repairs nothing below {limit.least_nm:g} nm"
            rules.append(Rule(limit.technique, "against", reason, *vouched, size_max_nm=limit.least_nm))
        if limit.most_nm is not None:
            reason = f"{limit.technique} repairs nothing of {limit.most_nm:g} nm and more"
            rules.append(Rule(limit.technique, "against", reason, *vouched, size_min_nm=limit.most_nm))
    return rules


OPAQUE_TYPES = ("bridge", "extension", "pinspot", "spot", "cr-extension", "mosin-bridge")
CLEAR_TYPES = ("pinhole", "intrusion", "clear-extension", "break")

DEFAULT_RULES: tuple[Rule, ...] = (
    Rule(
        "laser",
        "suits",
        "one 500 fs pulse at 248 nm takes a chromium film off completely; no size is stated",
        "quoted",
        "a paper on laser microdeposition, 248 nm, 500 fs",
        tones=("opaque",),
        layers=("chromium",),
    ),
    Rule(
        "laser",
        "caution",
        "below about 1 um a nanosecond laser is at its limit; femtoseconds do better",
        "unverified",
        NOTES,
        size_min_nm=500.0,
        size_max_nm=1000.0,
    ),
    Rule("laser", "caution", "metal splatter and pitting of the quartz", "unverified", NOTES, tones=("opaque",)),
    Rule("laser", "against", "a laser removes; a clear defect lacks material", "unverified", NOTES, tones=("clear",)),
    Rule("fib", "suits", "gas-assisted milling takes off small opaque defects", "unverified", NOTES, tones=("opaque",)),
    Rule("fib", "suits", "deposits opaque material where it is missing", "unverified", NOTES, tones=("clear",)),
    Rule(
        "fib",
        "caution",
        "implanted Ga lowers the transmission of the quartz, the more the shorter the wavelength",
        "unverified",
        NOTES,
        tones=("opaque",),
        layers=("chromium", "mosi", "quartz"),
    ),
    Rule("fib", "caution", "river-bedding: the edge is etched too deep", "unverified", NOTES, tones=("opaque",)),
    Rule("e-beam", "suits", "gas-assisted etching without Ga in the quartz", "unverified", NOTES, tones=("opaque",)),
    Rule("e-beam", "suits", "deposits opaque material without Ga", "unverified", NOTES, tones=("clear",)),
)


def advise(question: Question, rules: Sequence[Rule], records: Mapping[Technique, Rate] | None = None) -> Advice:
    """Return what ``rules`` and ``records`` say to ``question``.

    ``records`` are the laboratory's own rates with defects like this, by technique. They order what is suitable; they
    make nothing suitable that a rule speaks against, and they speak against nothing by themselves.
    """
    found = tuple(_judge(technique, question, rules, (records or {}).get(technique)) for technique in TECHNIQUES)
    suitable = [opinion for opinion in found if opinion.status == "suitable"]
    # Without a record a technique comes after those that have one, in the order of the list.
    suitable.sort(key=lambda opinion: -(opinion.record.low if opinion.record else -1.0))
    notes = []
    if not suitable:
        notes.append("no advice: no rule supports a technique for what is known of the defect")
    elif all(rule.label == "unverified" for opinion in suitable for rule in opinion.rules if rule.stance == "suits"):
        notes.append("the advice rests on domain notes without a source; give rules of your own")
    if len(suitable) > 1 and not any(opinion.record for opinion in suitable):
        notes.append("nothing ranks the suitable techniques: no repair of such a defect is on record")
    missing = sorted({name for opinion in found for name in opinion.missing})
    if missing:
        notes.append(f"not known: {', '.join(missing)}")
    return Advice(tuple(opinion.technique for opinion in suitable), found, tuple(notes))


def _judge(technique: Technique, question: Question, rules: Sequence[Rule], record: Rate | None) -> Opinion:
    holding: list[Rule] = []
    waiting: set[str] = set()
    against_may_hold = False
    for rule in rules:
        if rule.technique != technique:
            continue
        missing = rule.missing(question)
        if missing is None:
            continue
        if not missing:
            holding.append(rule)
        else:
            waiting.update(missing)
            against_may_hold |= rule.stance == "against"
    stances = {rule.stance for rule in holding}
    if "against" in stances:
        status = "unsuitable"
    elif against_may_hold or ("suits" not in stances and waiting):
        status = "not-known"
    else:
        status = "suitable" if "suits" in stances else "no-rule"
    return Opinion(technique, status, tuple(holding), tuple(sorted(waiting)) if status == "not-known" else (), record)
