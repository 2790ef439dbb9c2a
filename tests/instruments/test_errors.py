"""The sentence of a refusal has the facts that are known, and no word about those that are not."""

import pytest

from instruments.errors import CorruptField, InstrumentError, cut_value, quote_value


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CorruptField("it is not right"), "it is not right"),
        (CorruptField("it is not right", found="x"), "it is not right (found x)"),
        (CorruptField("it is not right", found=0), "it is not right (found 0)"),
        (CorruptField("it is not right", expected=2.5), "it is not right (expected 2.5)"),
        (CorruptField("it is not right", expected="s", found="m"), "it is not right (expected s, found m)"),
        (
            CorruptField("it is not right", file="a.csv", offset=3, found="x", offset_unit="line"),
            "a.csv: it is not right at line 3 (found x)",
        ),
    ],
)
def test_only_facts_that_are_known_are_told(error: InstrumentError, sentence: str) -> None:
    assert str(error) == sentence
    assert error.to_document()["message"] == sentence


def test_a_missing_value_is_no_fact() -> None:
    assert quote_value(None) is None
    assert cut_value(None) is None


def test_a_value_is_shown_shortened() -> None:
    assert (quote_value("ab"), cut_value("ab")) == ("'ab'", "ab")
    assert (quote_value("a" * 50, 10), cut_value([1, 2, 3], 4)) == ("'" + "a" * 9, "[1, ")
