"""Advice by rules: what suits, what is open, and no advice without a rule."""

import pytest

from analysis.repair.advice import DEFAULT_LIMITS, DEFAULT_RULES, Question, Rule, SizeLimit, advise, limit_rules
from analysis.repair.success import raw_rate

DEFAULTS = [*DEFAULT_RULES, *limit_rules(DEFAULT_LIMITS)]


def statuses(question: Question) -> dict[str, str]:
    return {opinion.technique: opinion.status for opinion in advise(question, DEFAULTS).opinions}


def test_a_large_opaque_defect_in_chromium_suits_all() -> None:
    found = advise(Question("bridge", 3000, "opaque", "chromium"), DEFAULTS)
    assert set(found.advised) == {"laser", "fib", "e-beam"}
    assert any("nothing ranks" in note for note in found.notes)


def test_a_small_one_is_too_small_for_the_laser() -> None:
    assert statuses(Question("bridge", 200, "opaque", "chromium"))["laser"] == "unsuitable"


def test_a_clear_defect_is_nothing_for_a_laser() -> None:
    found = statuses(Question("break", 3000, "clear", "chromium"))
    assert found == {"laser": "unsuitable", "fib": "suitable", "e-beam": "suitable"}


def test_what_is_open_is_not_answered() -> None:
    found = advise(Question("bridge", None, "opaque", "chromium"), DEFAULTS)
    assert {(each.status, each.missing) for each in found.opinions} == {("not-known", ("size_nm",))}
    assert found.advised == ()
    assert any("not known: size_nm" in note for note in found.notes)


def test_each_technique_ends_at_its_sizes_and_says_on_what_ground() -> None:
    sizes = {5.0: set(), 20.0: {"e-beam"}, 200.0: {"fib", "e-beam"}, 3e3: {"laser", "fib", "e-beam"}, 2e4: {"laser"}}
    for size, suitable in sizes.items():
        found = statuses(Question("bridge", size, "opaque", "chromium"))
        assert {technique for technique, status in found.items() if status == "suitable"} == suitable
    assert all(limit.label == "unverified" and limit.source for limit in DEFAULT_LIMITS)
    own = limit_rules([SizeLimit("fib", 60.0, None, "acceptance test of May", "laboratory")])
    (rule,) = own
    assert (rule.stance, rule.size_min_nm, rule.size_max_nm) == ("against", None, 60.0)
    assert rule.reason == "fib repairs nothing below 60 nm"


@pytest.mark.parametrize("question", [Question(), Question("haze", 3000, None, "quartz"), Question("particle", 10.0)])
def test_without_a_rule_there_is_no_advice(question: Question) -> None:
    found = advise(question, DEFAULT_RULES)
    assert found.advised == ()
    assert found.notes[0].startswith("no advice")


def test_the_record_ranks_and_never_overrules() -> None:
    question = Question("break", 3000, "clear", "chromium")
    records = {"laser": raw_rate(50, 50), "e-beam": raw_rate(45, 50), "fib": raw_rate(10, 50)}
    found = advise(question, DEFAULT_RULES, records)
    assert found.advised == ("e-beam", "fib")
    assert found.opinions[0].record is not None
    one = advise(question, DEFAULT_RULES, {"fib": raw_rate(1, 2)})
    assert one.advised == ("fib", "e-beam")


def test_unverified_advice_says_so_and_own_rules_do_not() -> None:
    question = Question("break", 3000, "clear", "chromium")
    assert any("without a source" in note for note in advise(question, DEFAULT_RULES).notes)
    own = Rule("e-beam", "suits", "qualified in May", "laboratory", "report 12", tones=("clear",))
    assert not any("without a source" in note for note in advise(question, [own]).notes)


def test_every_rule_has_a_reason_and_a_source() -> None:
    assert all(rule.reason and rule.source for rule in DEFAULT_RULES)
    with pytest.raises(ValueError, match="a rule is about"):
        Rule("axe", "suits", "sharp", "laboratory", "me")  # type: ignore[arg-type]


def test_sizes_are_at_least_and_below() -> None:
    rule = Rule("fib", "suits", "r", "laboratory", "s", size_min_nm=100.0, size_max_nm=200.0)
    assert rule.missing(Question(size_nm=100.0)) == ()
    assert rule.missing(Question(size_nm=200.0)) is None
    assert rule.missing(Question(size_nm=99.0)) is None
    assert rule.missing(Question()) == ("size_nm",)
