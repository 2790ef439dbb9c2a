"""Assembling evidence: records of units and their outcomes in, one row for each unit out, nothing known too late.

Evidence on a unit counts until it was judged (its outcome's table says when), in any case only what was known before
its outcome and not after the freeze. Of several records of a modality the one counts that was known last. Values of
different rules are not mixed in one column: the rule that covers most units is used.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.pipelines.latent_risk.evidence_records import MODALITIES, WANTING, EvidenceRecord, Origin, Outcome
from services.pipelines.latent_risk.unit_identity import Claim, Identities, UnitName, UnitRefused

MOST_UNITS = 100_000
_SHOWN = 5


class AssemblyRefused(ValueError):  # noqa: N818
    """No table can be assembled; the message says why and what would help."""


@dataclass(frozen=True)
class Cell:
    """What is known of one unit in one modality: values with their origin, or why there are none."""

    values: tuple[float, ...] = ()
    origin: Origin | None = None
    reason: str = ""


@dataclass(frozen=True)
class AssembledUnit:
    """One row: the unit, until when evidence on it was taken, its outcome, and a cell for each modality."""

    name: UnitName
    judged_at: datetime
    failed: bool | None
    known_at: datetime | None
    cells: dict[str, Cell]


@dataclass
class Refusals:
    """What was refused by reason, with a few examples of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, sentence: str) -> None:
        """Note a refusal of ``kind``; its whole ``sentence`` is an example."""
        self.counts[kind] += 1
        if len(self.examples[kind]) < _SHOWN and sentence not in self.examples[kind]:
            self.examples[kind].append(sentence)


@dataclass(frozen=True)
class Freeze:
    """What is asked: evidence known by ``at``, of ``lots`` (all if empty).

    ``survived_until`` says that all units of the lots that passed their test and have no outcome had survived by then.
    """

    at: datetime
    lots: frozenset[str] = frozenset()
    modalities: tuple[str, ...] = MODALITIES
    survived_until: datetime | None = None


@dataclass(frozen=True)
class Assembly:
    """Units in the order in which they were judged.

    ``features`` are the names of each modality's values, ``rules`` the digest of the rule used; ``failed_test`` counts
    units that never passed their test, ``without_evidence`` those with an outcome alone. ``refusals`` says what was
    left out and why.
    """

    units: list[AssembledUnit]
    features: dict[str, tuple[str, ...]]
    rules: dict[str, str]
    failed_test: int
    without_evidence: list[str]
    refusals: Refusals


@dataclass(frozen=True)
class _Known:
    origin: Origin
    values: tuple[float, ...]
    reason: str


class _Assembler:
    """Gathers what records say by unit."""

    def __init__(self, freeze: Freeze, shared_lots: Iterable[str]) -> None:
        self.freeze = freeze
        self.shared_lots = tuple(shared_lots)
        self.refusals = Refusals()
        self.known: dict[str, dict[UnitName, list[_Known]]] = {name: {} for name in freeze.modalities}
        self.failed_test: set[UnitName] = set()
        self.passed_test: set[UnitName] = set()
        self.outcomes: dict[UnitName, list[Outcome]] = {}

    def gather(self, records: Sequence[EvidenceRecord], outcomes: Sequence[Outcome]) -> None:
        """Note what is known by the freeze; what is known later is as if it were not there, its names too."""
        known = [record for record in records if record.origin.known_at <= self.freeze.at]
        for record in records:
            if record.origin.known_at > self.freeze.at:
                self.refusals.add("known after the freeze", f"{record.origin.kind} {record.origin.result_id}")
        told = [each for each in outcomes if not self._is_later(each)]
        if len(told) < len(outcomes):
            self.refusals.counts["outcomes known after the freeze"] = len(outcomes) - len(told)
        claims = [reading.claim for record in known for reading in record.readings]
        identities = Identities([*claims, *(each.claim for each in told)], self.shared_lots)
        for record in known:
            self._gather_record(record, identities)
        for each in told:
            unit = self._name(identities, each.claim, "an outcome")
            if unit is not None:
                self.outcomes.setdefault(unit, []).append(each)

    def _is_later(self, outcome: Outcome) -> bool:
        """Whether an outcome was known after the freeze: that a table has a row for the unit would tell of it."""
        return outcome.failed is not None and outcome.known_at is not None and outcome.known_at > self.freeze.at

    def _gather_record(self, record: EvidenceRecord, identities: Identities) -> None:
        origin = record.origin
        found: dict[UnitName, list[_Known]] = {}
        for reading in record.readings:
            unit = self._name(identities, reading.claim, f"{origin.kind} {origin.result_id}")
            if unit is None:
                continue
            if reading.passed_test is False:
                self.failed_test.add(unit)
                continue
            if reading.passed_test:
                self.passed_test.add(unit)
            found.setdefault(unit, []).append(_Known(origin, reading.values, reading.reason))
        for unit, several in found.items():
            one = several[0]
            if len(several) > 1:
                reason = f"the unit stands {len(several)} times in {origin.kind} {origin.result_id}"
                self.refusals.add("a unit twice in one result", f"{unit.text}: {reason}")
                one = _Known(origin, (), reason)
            self.known[origin.modality].setdefault(unit, []).append(one)

    def _name(self, identities: Identities, claim: Claim, source: str) -> UnitName | None:
        try:
            unit = identities.resolve(claim)
        except UnitRefused as error:
            if not self.freeze.lots or claim.lot in self.freeze.lots or not claim.lot:
                self.refusals.add("unclear which unit", f"{source}: {error}")
            return None
        return unit if not self.freeze.lots or unit.lot in self.freeze.lots else None


def assemble(
    records: Sequence[EvidenceRecord], outcomes: Sequence[Outcome], freeze: Freeze, shared_lots: Iterable[str] = ()
) -> Assembly:
    """Return a row for each unit of which ``records`` say anything; ``shared_lots`` are names that two products have.

    Raises:
        AssemblyRefused: no unit has any evidence, or there are too many.
    """
    gathered = _Assembler(freeze, shared_lots)
    gathered.gather(records, outcomes)
    decided = {unit: _decide_outcome(unit, several, gathered) for unit, several in gathered.outcomes.items()}
    units = {unit for known in gathered.known.values() for unit in known}
    never_shipped = {unit for unit in gathered.failed_test if unit not in decided}
    units -= never_shipped
    if len(units) > MOST_UNITS:
        raise AssemblyRefused(f"{len(units)} units have evidence, of which a table holds {MOST_UNITS}: name fewer lots")
    chosen = {name: _choose_rule(known, units) for name, known in gathered.known.items() if known.keys() & units}
    rules = {name: origin.rule for name, origin in chosen.items()}
    features = {name: origin.features for name, origin in chosen.items()}
    made = [_make_unit(unit, decided.get(unit), gathered, rules) for unit in sorted(units)]
    rows = sorted((each for each in made if each is not None), key=lambda each: (each.judged_at, each.name))
    if not rows:
        raise AssemblyRefused(_say_nothing(gathered))
    named = {each.name for each in rows}
    without = sorted(unit.text for unit in decided if unit not in named)
    return Assembly(rows, features, rules, len(never_shipped), without, gathered.refusals)


def _say_nothing(gathered: _Assembler) -> str:
    where = f" of the lots {', '.join(sorted(gathered.freeze.lots))}" if gathered.freeze.lots else ""
    why = "; ".join(f"{count} times {kind}" for kind, count in gathered.refusals.counts.most_common(3))
    return f"no unit{where} has evidence that was known by {gathered.freeze.at.isoformat()}" + (
        f" ({why})" if why else ""
    )


def _choose_rule(known: dict[UnitName, list[_Known]], units: set[UnitName]) -> Origin:
    """Return the newest origin of the rule by which most of ``units`` have values; of equal ones the newest rule."""
    covered: Counter[str] = Counter()
    newest: dict[str, Origin] = {}
    for unit in known.keys() & units:
        for each in known[unit]:
            origin = each.origin
            last = newest.setdefault(origin.rule, origin)
            if (origin.known_at, origin.result_id) > (last.known_at, last.result_id):
                newest[origin.rule] = origin
        covered.update({each.origin.rule for each in known[unit] if each.values})
    rule = max(newest, key=lambda one: (covered[one], newest[one].known_at, one))
    return newest[rule]


def _decide_outcome(unit: UnitName, several: list[Outcome], gathered: _Assembler) -> Outcome:
    """Return what became of a unit, not known where that contradicts itself."""
    told = [each for each in several if each.failed is not None]
    judged = min((each.judged_at for each in several if each.judged_at is not None), default=None)
    failed = [each.known_at for each in told if each.failed and each.known_at is not None]
    survived = [each.known_at for each in told if not each.failed and each.known_at is not None]
    if failed and survived and max(survived) > min(failed):
        gathered.refusals.add("contradicting outcomes", f"{unit.text} failed, and was known to survive later")
        return Outcome(several[0].claim, None, judged, None)
    if failed:
        return Outcome(several[0].claim, True, judged, min(failed))
    if survived:
        return Outcome(several[0].claim, False, judged, max(survived))
    return Outcome(several[0].claim, None, judged, None)


def _make_unit(
    unit: UnitName, outcome: Outcome | None, gathered: _Assembler, rules: dict[str, str]
) -> AssembledUnit | None:
    """Return the unit's row, ``None`` where nothing of it was known in time."""
    freeze = gathered.freeze
    failed = outcome.failed if outcome is not None else None
    known_at = outcome.known_at if outcome is not None else None
    if outcome is None and freeze.survived_until is not None and unit in gathered.passed_test:
        failed, known_at = False, freeze.survived_until
    judged = outcome.judged_at if outcome is not None else None
    if judged is not None and judged > freeze.at:
        judged = None
    limits = _Limits(min(judged or freeze.at, freeze.at), known_at)
    cells = {
        name: _make_cell(name, gathered.known[name].get(unit, []), limits, rules.get(name, ""))
        for name in freeze.modalities
    }
    used = [cell.origin.known_at for cell in cells.values() if cell.origin is not None]
    if not used:
        said = next(cell.reason for name, cell in cells.items() if unit in gathered.known[name])
        gathered.refusals.add("units without any usable value", f"{unit.text}: {said}")
        return None
    return AssembledUnit(unit, judged or max(used), failed, known_at, cells)


@dataclass(frozen=True)
class _Limits:
    """Evidence known by ``until`` counts, where it was known before the outcome, if that is known."""

    until: datetime
    outcome: datetime | None

    def refuse(self, known_at: datetime) -> str:
        """Return why a record known since ``known_at`` comes too late, or ``""``."""
        if self.outcome is not None and known_at >= self.outcome:
            return f"known since {known_at.isoformat()}, when the outcome was known already"
        if known_at > self.until:
            return f"known since {known_at.isoformat()}, after the unit was judged ({self.until.isoformat()})"
        return ""


def _make_cell(modality: str, several: list[_Known], limits: _Limits, rule: str) -> Cell:
    """Return the values of the record that was known last in time, or the reason of the last that was refused."""
    if not several:
        return Cell(reason=WANTING[modality])
    reason = ""
    for each in sorted(several, key=lambda one: (one.origin.known_at, one.origin.result_id)):
        origin = each.origin
        said = limits.refuse(origin.known_at) or each.reason
        if not said and origin.rule != rule:
            said = f"{origin.kind} {origin.result_id} was made by another rule than most units' values"
        if said:
            reason = said
    usable = [
        each
        for each in several
        if each.values and not each.reason and each.origin.rule == rule and not limits.refuse(each.origin.known_at)
    ]
    if not usable:
        return Cell(reason=reason)
    last = max(usable, key=lambda one: (one.origin.known_at, one.origin.result_id))
    return Cell(last.values, last.origin)
