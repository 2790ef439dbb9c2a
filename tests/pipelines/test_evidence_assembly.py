"""Which unit a record means, and what of it was known in time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.pipelines.latent_risk.evidence_assembly import Assembly, AssemblyRefused, Freeze, assemble
from services.pipelines.latent_risk.evidence_file import describe_assembly, write_assembly
from services.pipelines.latent_risk.evidence_records import EvidenceRecord, Origin, Outcome, Reading
from services.pipelines.latent_risk.unit_identity import Claim, Identities, UnitRefused

DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
DIE = Claim("L1", "W1", 3, 4)
SERIAL = Claim("L1", serial="S1")
TRACED = Claim("L1", "W1", 3, 4, "S1")


def test_a_die_and_its_traced_serial_are_one_unit() -> None:
    known = Identities([DIE, SERIAL, TRACED])
    assert known.resolve(SERIAL) == known.resolve(DIE) == known.resolve(Claim(serial="S1"))
    assert known.resolve(DIE).text == "L1/W1/3/4"
    assert Identities([DIE, SERIAL]).resolve(SERIAL).text == "L1/S1"
    assert Identities([]).resolve(Claim(serial="A/1%")).text == "A%2F1%25"


@pytest.mark.parametrize(
    ("claims", "asked", "why"),
    [
        ([], Claim("L1", "W1", 3), "names neither a die"),
        ([], Claim("", "W1", 3, 4), "names neither a die"),
        ([SERIAL, Claim("L2", serial="S1")], Claim(serial="S1"), "is in the lots L1, L2"),
        ([TRACED, Claim("L1", "W1", 3, 5, "S1")], SERIAL, "is traced to 2 dies"),
        ([TRACED, Claim("L1", "W1", 3, 4, "S2")], DIE, "is traced to the serials S1, S2"),
        ([TRACED, Claim("L1", "W1", 3, 4, "S2")], SERIAL, "is traced to the serials S1, S2"),
        ([], Claim("SHARED", "W1", 3, 4), "is one of two products"),
        ([], Claim("L1", "W1", 3, 4, doubt="another corner"), "another corner"),
    ],
)
def test_what_is_not_clear_is_refused(claims: list[Claim], asked: Claim, why: str) -> None:
    with pytest.raises(UnitRefused, match=why):
        Identities(claims, ["SHARED"]).resolve(asked)


def record(result: str, day: float, claim: Claim = DIE, **changes: Any) -> EvidenceRecord:
    """An electrical answer known ``day`` days after the start, whose value is that day."""
    readings = changes.pop("readings", None) or [Reading(claim, (day, day))]
    origin = Origin("electrical", "screening", result, "s/1", START + day * DAY, False, False, "rule", ("a", "b"))
    return EvidenceRecord(replace(origin, **changes), readings)


def outcome(failed: bool | None, judged: float | None, known: float | None, claim: Claim = TRACED) -> Outcome:
    moments = (None if each is None else START + each * DAY for each in (judged, known))
    return Outcome(claim, failed, *moments)


def gather(
    records: list[EvidenceRecord], outcomes: list[Outcome] | None = None, day: float = 100, **asked: Any
) -> Assembly:
    return assemble(records, outcomes or [], Freeze(START + day * DAY, **asked))


def test_the_last_record_known_in_time_counts() -> None:
    records = [record("A", 1), record("B", 5), record("C", 9)]
    assert gather(records).units[0].cells["electrical"].values == (9, 9)
    assert gather(records, day=6).units[0].cells["electrical"].values == (5, 5)
    judged = gather(records, [outcome(False, 4, 50)]).units[0]
    assert (judged.cells["electrical"].values, judged.judged_at) == ((1, 1), START + 4 * DAY)
    # What was known only with the outcome may have been looked for because of it.
    returned = gather(records, [outcome(True, None, 5)]).units[0]
    assert (returned.cells["electrical"].values, returned.judged_at) == ((1, 1), START + DAY)


def test_an_outcome_known_after_the_freeze_is_not_known() -> None:
    one = gather([record("A", 1)], [outcome(True, 2, 50)], day=40).units[0]
    assert (one.failed, one.known_at) == (None, None)
    later = gather([record("A", 1)], [outcome(True, 2, 50)]).units[0]
    assert (later.failed, later.known_at) == (True, START + 50 * DAY)


def test_a_row_for_a_later_return_tells_nothing_before_it() -> None:
    """Neither when it was judged, nor its serial, nor that it is no survivor: the others have no rows."""
    lots, until = frozenset({"L1"}), START + 30 * DAY
    forecast = record("D", 2, SERIAL, modality="degradation", rule="d")
    asked = {"day": 40, "lots": lots, "survived_until": until}
    screened = record("A", 1, readings=[Reading(DIE, (1, 1), passed_test=True)])
    with_row = gather([screened, forecast], [outcome(True, 1.5, 50)], **asked)
    without = gather([screened, forecast], [], **asked)
    assert with_row.units == without.units
    assert [unit.failed for unit in with_row.units] == [False, None]
    assert with_row.refusals.counts["outcomes known after the freeze"] == 1
    # A row that only traces is known as soon as it is there.
    traced = gather([record("A", 1), forecast], [outcome(None, 60, None)], day=40)
    assert [unit.name.text for unit in traced.units] == ["L1/W1/3/4"]


def test_nothing_known_in_time_is_refused_with_why() -> None:
    with pytest.raises(AssemblyRefused, match=r"no unit has evidence .* \(1 times known after the freeze\)"):
        gather([record("A", 7)], day=6)
    # A unit whose evidence all came too late has no row.
    found = gather([record("A", 1), record("B", 8, Claim("L1", "W1", 9, 9))], [outcome(True, 0.5, 60)])
    assert [unit.name.text for unit in found.units] == ["L1/W1/9/9"]
    assert found.without_evidence == ["L1/W1/3/4"]


def test_reasons_are_told_of_each_missing_modality() -> None:
    other = record("LATE", 30, readings=[Reading(DIE, (1.0,))], modality="lvp", rule="z", features=("z",))
    unit = gather([record("A", 1), other], [outcome(False, 10, 50)]).units[0]
    assert unit.cells["lvp"].reason.startswith("known since 2024-01-31T00:00:00+00:00, after the unit was judged")
    assert unit.cells["degradation"].reason.startswith("no forecast of its readouts")


def test_a_record_that_names_a_unit_twice_says_nothing_of_it() -> None:
    twice = record("A", 1, readings=[Reading(DIE, (1, 1)), Reading(DIE, (2, 2))])
    found = gather([twice, record("B", 2, Claim("L1", "W1", 0, 0))])
    assert [unit.name.text for unit in found.units] == ["L1/W1/0/0"]
    assert found.refusals.counts["a unit twice in one result"] == 1


def test_values_of_two_rules_are_not_mixed() -> None:
    dies = [Claim("L1", "W1", 0, row) for row in range(5)]
    many = record("A", 1, readings=[Reading(die, (1, 1)) for die in dies[:3]])
    few = record("B", 2, readings=[Reading(die, (2, 2)) for die in dies[3:]], rule="other")
    found = gather([many, few])
    assert [unit.name.y for unit in found.units] == [0, 1, 2]
    assert all(unit.cells["electrical"].values == (1, 1) for unit in found.units)
    assert found.refusals.counts["units without any usable value"] == 2
    assert found.refusals.examples["units without any usable value"][0].endswith("another rule than most units' values")


def test_units_that_failed_their_test_are_left_out_unless_they_came_back() -> None:
    parts = [Reading(DIE, passed_test=False), Reading(Claim("L1", "W1", 1, 1), passed_test=False)]
    good = Reading(Claim("L1", "W1", 2, 2), (1, 1))
    around = record("N", 1, readings=[Reading(DIE, (1, 0))], modality="neighbourhood")
    found = gather([record("A", 1, readings=[*parts, good]), around], [outcome(True, 3, 9)])
    assert sorted(unit.name.text for unit in found.units) == ["L1/W1/2/2", "L1/W1/3/4"]
    assert found.failed_test == 1


def test_what_is_known_of_units_that_were_never_shipped_makes_no_column() -> None:
    failed, good = Reading(DIE, passed_test=False), Reading(Claim("L1", "W1", 2, 2), (1, 1))
    probed = record("P", 2, readings=[Reading(DIE, (1.0,))], modality="lvp", rule="z", features=("z",))
    found = gather([record("A", 1, readings=[failed, good]), probed])
    assert (list(found.features), found.failed_test) == (["electrical"], 1)


def test_contradicting_outcomes_leave_it_open() -> None:
    found = gather([record("A", 1)], [outcome(True, 2, 10), outcome(False, 2, 20)])
    assert found.units[0].failed is None
    assert found.refusals.counts["contradicting outcomes"] == 1
    assert gather([record("A", 1)], [outcome(False, 2, 10), outcome(True, 2, 20)]).units[0].failed is True


def test_a_person_may_say_that_all_others_survived() -> None:
    passed = [Reading(die, (1, 1), passed_test=True) for die in (DIE, Claim("L2", "W1", 0, 0))]
    # A die without a verdict may be in the laboratory because it failed.
    records = [record("A", 1, readings=passed), record("B", 2, Claim("L1", "W1", 5, 5))]
    until = START + 50 * DAY
    found = gather(records, lots=frozenset({"L1"}), survived_until=until)
    assert [(unit.name.text, unit.failed, unit.known_at) for unit in found.units] == [
        ("L1/W1/3/4", False, until),
        ("L1/W1/5/5", None, None),
    ]


def test_the_same_units_give_the_same_bytes() -> None:
    records = [record("A", 1), record("B", 2, Claim("L1", serial="S9"))]
    first, second = (write_assembly(gather(order), simulated=True) for order in (records, records[::-1]))
    assert first == second
    told = describe_assembly(gather(records))
    assert told["counts"]["units"] == 2
    assert told["modalities"][0]["units"] == 2
