"""Mechanisms as rows of a schedule's form: their fields, what is wrong with them, adding, removing, without scripts."""

import html

import pytest

from analysis.reliability.acceleration import CODATA
from analysis.reliability.errors import LifeDataError
from analysis.reliability.mechanism_laws import MECHANISMS
from db.schema.reports import report_schedule
from services.pipelines.reliability.report_requests import ReportContent
from services.web.mechanism_form import change_rows, show_mechanisms, take_mechanisms
from services.web.mechanism_terms import LAWS
from services.web.schedule_form import fill_form, overlay_fields, read_draft
from tests.web.conftest import check_html
from tests.web.test_report_pages import Fab, fab, fields, rows

__all__ = ["fab"]

OXIDE = {
    "mechanism-0-name": "oxide", "mechanism-0-law": "tddb-e", "mechanism-0-modes": "short\nleak, gate",
    "mechanism-0-coefficient-ea_ev": "0.75", "mechanism-0-error-ea_ev": "0.05",
    "mechanism-0-source-ea_ev": "qualification 2025", "mechanism-0-use-field_mv_per_cm": "5",
    "mechanism-0-stress-field_mv_per_cm": "8.5",
}  # fmt: skip
REST = {"mechanism-1-name": "rest", "mechanism-1-law": "arrhenius", "mechanism-1-modes": ""}
CONTENT = ReportContent.model_validate(
    {"mechanisms": [
        {"name": "oxide", "law": "tddb-e", "modes": ["short", "leak, gate"], "use": {"field_mv_per_cm": 5},
         "stress": {"field_mv_per_cm": 8.5},
         "coefficients": {"ea_ev": {"value": 0.75, "standard_error": 0.05, "source": "qualification 2025"}}},
        {"name": "rest"},
    ]}
)  # fmt: skip


def base(**changed: str) -> dict[str, str]:
    return {name: text for name, text in fields().items() if not name.startswith("mechanism-")} | changed


@pytest.mark.parametrize("name", sorted(MECHANISMS))
def test_the_form_asks_for_what_each_law_takes(name: str) -> None:
    law, terms = MECHANISMS[name], LAWS[name]  # type: ignore[index]
    assert terms.formula == law.formula
    assert {key: each.default for key, each in terms.coefficients.items()} == {
        key: each.default for key, each in law.coefficients.items()
    }
    for key, unit in {**{key: each.unit for key, each in law.coefficients.items()}, **law.conditions}.items():
        told = {**terms.coefficients, **terms.conditions}[key].unit.replace("²", "2").replace("µ", "u").replace("°", "")
        assert unit.split(",")[0].split(" ")[0] == told or key == "stress"
    assert terms.conditions.keys() == law.conditions.keys()
    coefficients = {key: 1.0 if each.default is None else each.default for key, each in law.coefficients.items()}
    for key, each in terms.conditions.items():
        conditions = dict.fromkeys(law.conditions, 20.0) | {key: 0.0}
        if each.above_zero:
            with pytest.raises(LifeDataError):
                law.log_life(coefficients, conditions, CODATA)
        else:
            law.log_life(coefficients, conditions, CODATA)
    assert set(LAWS) == set(MECHANISMS)


def test_mechanisms_become_content_and_content_the_same_fields() -> None:
    draft = read_draft(base(**OXIDE, **REST))
    assert draft.errors == {}
    assert draft.request is not None
    assert draft.request.content == CONTENT
    stored = {"name": "n", "description": "", "cron": "0 6 1 * *", "time_zone": "UTC", "catch_up": "skip",
              "recipients": [], "content": CONTENT.model_dump(mode="json")}  # fmt: skip
    values = fill_form(stored)
    assert values["rest"] == ""
    assert OXIDE.items() <= values.items()
    again = read_draft({**values, "program": "alpha"})
    assert again.request is not None
    assert again.request.content == CONTENT


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("mechanism-0-name", "", "A mechanism needs a name, by which the report calls it."),
        ("mechanism-1-name", "oxide", "Mechanism 1 has this name already."),
        ("mechanism-1-modes", "SHORT", "The failure mode 'short' is mechanism 1's already."),
        ("mechanism-0-modes", "", None),
        ("mechanism-0-law", "magic", None),
        (
            "mechanism-0-coefficient-ea_ev",
            "0,75",
            "Activation energy Ea is a number with a decimal point, not '0,75'.",
        ),
        (
            "mechanism-0-coefficient-ea_ev",
            "",
            "Give the value that the standard error and the source are of, or empty them.",
        ),
        ("mechanism-0-error-ea_ev", "-1", "The standard error is 0 or more."),
        ("mechanism-0-error-ea_ev", "nan", "The standard error is a number with a decimal point, not 'nan'."),
        ("mechanism-0-use-field_mv_per_cm", "", "Oxide field in use is needed: no table tells it."),
        ("mechanism-0-stress-field_mv_per_cm", "", "Oxide field under stress is needed: no table tells it."),
        ("mechanism-0-stress-field_mv_per_cm", "0", "Oxide field is above 0."),
        ("mechanism-1-use-voltage_v", "3", "The law Arrhenius has no condition voltage_v: empty this field."),
        ("mechanism-1-coefficient-n", "3", "The law Arrhenius has no coefficient n: empty its fields."),
        ("mechanism-0-source-ea_ev", "a\x01b", None),
    ],
)
def test_each_wrong_field_has_its_sentence(field: str, text: str, said: str | None) -> None:
    draft = read_draft(base(**OXIDE | REST | {field: text}))
    assert draft.request is None
    if field == "mechanism-0-modes":
        field = "mechanism-1-modes"  # the second that takes what is left over is the one to be changed
    assert field in draft.errors
    if said is not None:
        assert draft.errors == {field: said}


def test_a_coefficient_without_a_default_is_needed() -> None:
    draft = read_draft(base(**REST | {"mechanism-1-law": "inverse-power"}))
    assert set(draft.errors) == {
        "mechanism-0-coefficient-n", "mechanism-0-use-stress", "mechanism-0-stress-stress"
    }  # fmt: skip


def test_rows_are_added_removed_and_asked_for_anew() -> None:
    values = take_mechanisms(OXIDE | REST)
    assert [each.values["name"] for each in show_mechanisms(change_rows(values, "add-mechanism"))] == [
        "oxide", "rest", ""
    ]  # fmt: skip
    (left,) = show_mechanisms(change_rows(values, "remove-mechanism-0"))
    assert (left.prefix, left.values["name"]) == ("mechanism-0", "rest")
    assert len(show_mechanisms(change_rows(change_rows(values, "remove-mechanism-0"), "remove-mechanism-0"))) == 1
    other = values | {"mechanism-0-law": "arrhenius", "mechanism-0-shown": "tddb-e"}
    changed = change_rows(other, "show-mechanisms")
    assert changed["mechanism-0-coefficient-ea_ev"] == "0.75"
    assert not [name for name in changed if "field_mv_per_cm" in name]


def test_what_a_law_does_not_know_is_shown_and_not_lost() -> None:
    strange = {"mechanism-0-name": "a", "mechanism-0-law": "arrhenius", "mechanism-0-coefficient-magic": "3"}
    (shown,) = show_mechanisms(change_rows(take_mechanisms(strange), "show-mechanisms"))
    assert [(each.name, each.strange) for each in shown.coefficients] == [("ea_ev", False), ("magic", True)]


def test_an_address_replaces_all_rows_or_none() -> None:
    stored = {**base(), **OXIDE, **REST}
    assert overlay_fields(stored, {"name": "Other"}) == {**stored, "name": "Other"}
    changed = overlay_fields(stored, {"mechanism-4-name": "only", "mechanism-4-law": "peck"})
    assert take_mechanisms(changed) == {"mechanism-0-name": "only", "mechanism-0-law": "peck"}


def test_mechanisms_are_entered_without_scripts(fab: Fab) -> None:
    """Every row by buttons that send the form: nothing is saved before the last one."""
    console, _, browser = fab
    path = "/reliability/schedules"
    typed = base(**{"mechanism-0-name": "oxide", "mechanism-0-shown": "arrhenius", "mechanism-0-law": "tddb-e"})
    page = browser.post(path, **typed, do="show-mechanisms")
    check_html(page.text)
    assert page.status_code == 200
    for said in ("Oxide field in use, MV/cm", "Field slope g, cm/MV", "Junction temperature under stress, °C"):
        assert said in page.text, said
    for number in (1, 2):
        typed |= {f"mechanism-{number}-name": f"m{number}", f"mechanism-{number}-law": "arrhenius"}
        page = browser.post(path, **typed, do="add-mechanism")
        check_html(page.text)
        assert f"Mechanism {number + 2}</legend>" in page.text
    page = browser.post(path, **typed, do="remove-mechanism-1")
    assert 'value="m1"' not in page.text
    assert 'value="m2"' in page.text
    assert not rows(console, report_schedule, name="Weekly")
    wrong = browser.post(path, **base(**OXIDE | REST | {"mechanism-0-error-ea_ev": "x"}))
    check_html(wrong.text)
    assert wrong.status_code == 422
    assert "The standard error is a number with a decimal point, not 'x'." in html.unescape(wrong.text)
    made = browser.post(path, **base(**OXIDE | REST))
    assert made.status_code == 303
    (row,) = rows(console, report_schedule, name="Weekly")
    assert ReportContent.model_validate(row.content) == CONTENT
    form = browser.get(f"{made.headers['location']}/edit")
    check_html(form.text)
    assert 'name="mechanism-0-use-field_mv_per_cm" value="5"' in form.text
    assert "leak, gate</textarea>" in form.text


def test_a_form_with_too_many_fields_is_refused(fab: Fab) -> None:
    _, _, browser = fab
    answer = browser.post("/reliability/schedules", **{f"field-{number}": "" for number in range(1600)})
    assert answer.status_code == 422
    assert "at most 1500 fields" in answer.text
