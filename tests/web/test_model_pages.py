"""The pages of learned models: figures of versions, who decided, letting a version count, going back, retiring."""

import uuid
from typing import Any

import pytest
from sqlalchemy import insert, select

from db.identifiers import uuid7
from db.schema.models import model_decision, model_version
from tests.web.conftest import Browser, Console, check_html

EVALUATION = {
    "auc": 0.812, "auc_low": 0.75, "auc_high": 0.86, "log_loss": 0.31, "units": 210, "failed": 30,
    "baselines": [{"name": "logistic <regression>", "auc": 0.8, "auc_low": 0.74, "auc_high": 0.85, "log_loss": 0.33,
                   "beaten": False}],
    "calibration": {"error": 0.021, "error_by_chance": 0.018, "expected_failures": 29.4, "failures": 30,
                    "p_value": 0.4, "bins": [{"probability": 0.05, "units": 21, "failed": 1, "failed_part": 1 / 21,
                                              "low": 0.001, "high": 0.24}]},
}  # fmt: skip


@pytest.fixture
def fab(console: Console) -> tuple[Console, dict[str, uuid.UUID], Browser]:
    return console, console.populate(), console.person("reliability")


def states(console: Console, model: uuid.UUID) -> list[str]:
    query = select(model_version.c.state).where(model_version.c.model_id == model).order_by(model_version.c.number)
    with console.api.engine.connect() as connection:
        return list(connection.execute(query).scalars())


def add_version(console: Console, like: uuid.UUID, **values: Any) -> str:
    """Add the fourth version of a model, otherwise as another one is."""
    identity = uuid7()
    with console.api.engine.begin() as connection:
        old = connection.execute(select(model_version).where(model_version.c.id == like)).mappings().one()
        new = {**old, "id": identity, "number": 4, "state": "candidate", "promoted_at": None, **values}
        connection.execute(insert(model_version).values(**new))
    return f"/reliability/models/{identity}"


def test_versions_are_listed_and_one_lets_another_count(fab: tuple[Console, dict[str, uuid.UUID], Browser]) -> None:
    console, ids, browser = fab
    listed = browser.get("/reliability/models").text
    check_html(listed)
    for said in ("risk 1", "risk 2", "risk 3", "counts", "candidate", "retired", "0.900", "0.0100"):
        assert said in listed, said
    assert "risk 3" not in browser.get("/reliability/models?state=promoted").text
    assert browser.get("/reliability/models?export=csv").text.count("\r\n") == 4
    candidate = f"/reliability/models/{ids['version_id']}"
    page = browser.get(candidate).text
    check_html(page)
    assert "in place of 1" in page
    assert browser.post(f"{candidate}/promote", reason="better").headers["location"] == candidate
    assert states(console, ids["model_id"]) == ["retired", "retired", "promoted"]
    counting = browser.get(candidate).text
    assert "Roll back to version 2" in counting
    assert browser.post(f"{candidate}/promote").status_code == 409
    assert browser.post(f"{candidate}/roll-back").status_code == 422  # without a reason
    back = browser.post(f"{candidate}/roll-back", reason="it drifts")
    before = browser.get(back.headers["location"]).text
    check_html(before)
    assert "counts again in place of 3" in before
    assert "it drifts" in before
    assert states(console, ids["model_id"]) == ["retired", "promoted", "retired"]
    assert "Roll back to version 1" in before
    assert browser.post(f"{back.headers['location']}/retire", reason="its data were wrong").status_code == 303
    assert states(console, ids["model_id"]) == ["retired"] * 3


def test_an_objection_is_overridden_on_purpose_and_with_a_reason(
    fab: tuple[Console, dict[str, uuid.UUID], Browser],
) -> None:
    console, ids, browser = fab
    doubtful = add_version(
        console,
        ids["version_id"],
        simulated=True,
        beats_baselines=False,
        metrics=EVALUATION,
        card={"evaluation": EVALUATION},
    )
    page = browser.get(doubtful).text
    check_html(page)
    for said in (
        "0.750 to 0.860", "does not beat its plain baselines", "learned from simulated data", "simulated",
        "logistic &lt;regression&gt;", "29.4 failures expected, 30 seen", "no: not by more than chance",
    ):  # fmt: skip
        assert said in page, said
    for fields in ({"reason": "because"}, {"override": "on"}):
        assert browser.post(f"{doubtful}/promote", **fields).status_code == 409
    assert browser.post(f"{doubtful}/promote", override="on", reason="for the demonstration").status_code == 303
    assert "overridden: the version does not beat" in browser.get(doubtful).text
    with console.api.engine.connect() as connection:
        newest = select(model_decision.c.reason).order_by(model_decision.c.id.desc()).limit(1)
        assert connection.execute(newest).scalar_one() == "for the demonstration"


def test_who_may_not_promote_is_neither_offered_nor_lets_it_happen(
    fab: tuple[Console, dict[str, uuid.UUID], Browser],
) -> None:
    console, ids, _ = fab
    engineer = console.person("engineer")
    page = f"/reliability/models/{ids['version_id']}"
    assert "Let version" not in engineer.get(page).text
    for what in ("promote", "roll-back", "retire"):
        assert engineer.post(f"{page}/{what}", reason="x").status_code == 403
    assert states(console, ids["model_id"]) == ["retired", "promoted", "candidate"]
