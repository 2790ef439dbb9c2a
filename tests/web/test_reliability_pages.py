"""The pages of lifetimes, screenings and wafers: what they say, refuse, export and ask."""

import csv
import io
import math
import re
import uuid
from itertools import pairwise

import numpy as np
import pytest

from db.schema import work
from services.web.die_map import draw_wafer
from services.web.formatting import write_amount
from services.web.probability_plot import plot_life
from tests.api.population import add_row
from tests.web.conftest import Browser, Console, check_html


@pytest.fixture
def fab(console: Console) -> tuple[Console, dict[str, str], Browser]:
    ids = {name: str(identity) for name, identity in console.populate().items()}
    return console, ids, console.person("engineer")


def test_a_life_fit_says_ppm_draws_points_and_tables_fit(fab: tuple[Console, dict[str, str], Browser]) -> None:
    _, ids, browser = fab
    shown = browser.get("/reliability").text
    assert "failed by 5000 h" in shown
    assert f"/reliability/life/{ids['life_result_id']}" in shown
    assert "part-average 6" in browser.get("/reliability?kind=screening").text
    for query in ("", "?paper=lognormal&others=1", "?paper=linear"):
        page = browser.get(f"/reliability/life/{ids['life_result_id']}{query}")
        check_html(page.text)
        assert page.text.count('class="whisker"') == 4
    assert ">exponential</title>" not in page.text
    assert "average until 5000 h" in page.text
    assert "60 % confidence" in page.text
    assert browser.get(f"/reliability/life/{ids['life_result_id']}?paper=log").status_code == 422
    assert browser.get(f"/reliability/life/{ids['screening_result_id']}").status_code == 404
    assert browser.get("/reliability?kind=localize").status_code == 422
    (row,) = browser.client.get("/api/v1/results?kind=life-data").json()["items"]
    assert f"/reliability/life/{row['id']}" in browser.get(f"/jobs/{row['job_id']}").text


def test_outliers_are_searched_sorted_and_exported(fab: tuple[Console, dict[str, str], Browser]) -> None:
    _, ids, browser = fab
    path = f"/reliability/screenings/{ids['screening_result_id']}"
    page = browser.get(path)
    check_html(page.text)
    assert "<W1>" not in page.text
    rows = list(csv.DictReader(io.StringIO(browser.get(f"{path}?export=csv").text)))
    assert {row["screens"] for row in rows} == {"part-average", "bad-neighbourhood"}
    assert len(rows) == 8
    found = list(csv.DictReader(io.StringIO(browser.get(f"{path}?export=csv&q=W2&sort=-sigmas").text)))
    assert {row["wafer"] for row in found} == {"W2"}
    sigmas = [float(row["sigmas"]) for row in found if row["sigmas"]]
    assert sigmas == sorted(sigmas, reverse=True)
    assert found[-1]["screens"] == "bad-neighbourhood"  # without a reading: last, whichever way
    assert browser.get(f"{path}?export=parquet").content[:4] == b"PAR1"
    assert "No part passes this filter" in browser.get(f"{path}?q=nothing").text
    for bad in ("sort=why&at=x", "sort=nothing", "at=-1"):
        assert browser.get(f"{path}?{bad}").status_code == 422


def test_a_wafer_is_drawn_with_what_falls_out(fab: tuple[Console, dict[str, str], Browser]) -> None:
    _, ids, browser = fab
    path = f"/maps/{ids['map_file_id']}"
    page = browser.get(f"{path}?wafer=W2")
    check_html(page.text)
    flagged = re.search(r'class="flagged" d="([^"]*)"', page.text)
    assert flagged is not None
    assert flagged[1].count("M") == 4  # three planted outliers and a good die among fails
    assert "The fails do not lie by chance" in page.text
    assert 'class="flagged" d' not in browser.get(f"{path}?wafer=W2&result=none").text
    shaded = browser.get(f"{path}?wafer=W2&show=value&test=200+delay")
    check_html(shaded.text)
    assert "309" not in re.findall(r"(\d+) read:", shaded.text)
    assert "317 read:" in shaded.text
    assert "die-map?lot=LOT1&amp;wafer=W2&amp;test=200+delay" in shaded.text
    for bad, status in (("wafer=W9", 404), ("show=colour", 422), ("result=x", 422), ("test=none&show=value", 404)):
        assert browser.get(f"{path}?{bad}").status_code == status
    assert browser.get(f"/maps/{ids['file_id']}").status_code == 404
    assert ids["map_file_id"] in browser.get("/maps").text
    assert "No wafer map" in browser.get("/maps?kind=wafer_map").text


def test_degradation_fans_and_times_to_the_threshold(fab: tuple[Console, dict[str, str], Browser]) -> None:
    _, ids, browser = fab
    path = f"/reliability/degradations/{ids['degradation_result_id']}"
    page = browser.get(path)
    check_html(page.text)
    assert page.text.count('class="fan fan-') == 4
    assert page.text.count('class="others"') == 8 + 1  # of twelve units measured; and the legend's
    assert page.text.count('class="measured other-') == 2 * 4
    chosen = browser.get(f"{path}?unit=D7&unit=D8&sort=-probability").text
    assert chosen.count('class="fan fan-') == 2
    assert "unit=D7&amp;unit=D8&amp;sort=probability" in chosen
    rows = list(csv.DictReader(io.StringIO(browser.get(f"{path}?export=csv&q=crossed").text)))
    assert [(row["unit"], row["half_h"]) for row in rows] == [("D0", "1000.0")]
    assert "one readout of each unit is no path" in browser.get(f"{path}?parameter=gain").text
    for bad, status in (("unit=none", 404), ("parameter=none", 404), ("&".join(["unit=D1"] * 7), 422)):
        assert browser.get(f"{path}?{bad}").status_code == status


@pytest.mark.parametrize(
    ("kind", "answer", "finding"),
    [
        ("degradation", "degradation_result_id", "threshold_crossing"),
        ("latent-risk-scoring", "risk_result_id", "latent_risk"),
    ],
)
def test_a_list_of_answers_names_the_units_that_stand_out(
    fab: tuple[Console, dict[str, str], Browser], kind: str, answer: str, finding: str
) -> None:
    console, ids, browser = fab
    add_row(
        console.api.engine, work.finding, result_id=uuid.UUID(ids[answer]), program_id=console.program, kind=finding,
        rank=1, subject="unit D7", score=0.75, probability=0.75,
    )  # fmt: skip
    assert "unit D7 0.750" in browser.get(f"/reliability?kind={kind}").text


def test_units_at_risk_with_what_each_modality_adds(fab: tuple[Console, dict[str, str], Browser]) -> None:
    _, ids, browser = fab
    path = f"/reliability/risks/{ids['risk_result_id']}"
    page = browser.get(path)
    check_html(page.text)
    assert "<U0>" not in page.text
    assert "1 to 50 of 60" in page.text
    assert page.text.count('class="up"') == 1  # only the first unit's electrical evidence speaks for failing
    assert "51 to 60 of 60" in browser.get(f"{path}?at=50").text
    rows = list(csv.DictReader(io.StringIO(browser.get(f"{path}?export=csv&sort=probability").text)))
    assert len(rows) == 60
    assert rows[-1]["unit"] == "<U0>"


def test_an_engineer_asks_and_a_viewer_does_not(fab: tuple[Console, dict[str, str], Browser]) -> None:
    console, ids, browser = fab
    path = f"/maps/{ids['map_file_id']}"
    browser.get(path)
    asked = browser.post(f"{path}/screenings", group="lot", quartiles="hazen")
    assert asked.headers["location"] == f"/jobs/{console.api.doorbell.rung[-1]}"
    assert "hazen" in browser.get(asked.headers["location"]).text
    assert browser.post(f"{path}/screenings", quartiles="tukey").status_code == 422
    assert browser.post("/reliability/life-fits", table=ids["table_id"], hours="1e4").status_code == 303
    assert browser.post("/reliability/life-fits", hours="1e4").status_code == 422
    viewer = console.person("viewer")
    assert "Ask for a screening" not in viewer.get(path).text
    assert viewer.post(f"{path}/screenings", group="lot").status_code == 403


def test_bins_that_pass_look_alike_and_rare_ones_share_a_shade() -> None:
    count = 30
    dies = {
        "x": list(range(count)), "y": [0] * count, "verdict": ["pass"] * 3 + ["fail"] * (count - 3),
        "hard_bin": ["1", "1", "7"] + [str(each + 10) for each in range(count - 3)], "soft_bin": [""] * count,
        "value": None,
    }  # fmt: skip
    shades = draw_wafer(dies, "hard-bin").shades
    assert [(shade.style, shade.count) for shade in shades[:2]] == [("die-pass", 2), ("die-pass", 1)]
    assert (shades[-1].label, shades[-1].count) == ("19 rarer bins", 19)
    assert sum(shade.count for shade in shades) == count


def test_a_die_that_failed_is_not_shaded_as_passing_whatever_its_bin() -> None:
    dies = {
        "x": [0, 1, 2, 3, 4], "y": [0] * 5, "verdict": ["pass", "fail", "pass", "fail", "none"],
        "hard_bin": ["1", "1", "1", "2", ""], "soft_bin": [""] * 5, "value": None,
    }  # fmt: skip
    hard, soft = (
        {(shade.style == "die-pass", shade.label): shade.count for shade in draw_wafer(dies, show).shades}
        for show in ("hard-bin", "soft-bin")
    )
    assert hard == {(True, "bin 1, passing"): 2, (False, "bin 1"): 1, (False, "bin 2"): 1, (False, "bin none"): 1}
    assert soft == {(True, "bin none, passing"): 2, (False, "bin none"): 3}


def test_readings_are_shaded_in_equal_steps_and_unread_dies_told() -> None:
    values = [*map(float, range(100)), None, 1e9]
    dies = {"x": list(range(102)), "y": [0] * 102, "verdict": ["pass"] * 102, "value": values}
    shades = draw_wafer(dies, "value").shades
    known = np.clip([value for value in values if value is not None], 2.0, 98.0)  # their 2nd and 98th percentile
    assert [shade.count for shade in shades] == [*np.histogram(known, np.linspace(2.0, 98.0, 10))[0], 1]
    assert shades[-1].label == "not read"
    alike = draw_wafer(dies | {"value": [2.0] * 102}, "value").shades
    assert [(shade.label, shade.count) for shade in alike] == [("2", 102)]


def test_a_weibull_is_a_line_on_its_own_paper() -> None:
    hours = [1.0, 10.0, 100.0, 1000.0]
    fraction = [1 - math.exp(-((each / 5000) ** 0.7)) for each in hours]
    band = [{"hours": h, "fraction": f, "low": f / 2, "high": f * 2} for h, f in zip(hours, fraction, strict=True)]
    plot = {
        "points": [], "band": band, "hours": hours, "fraction": fraction, "others": [], "model": "weibull", "level": 0.9
    }  # fmt: skip
    document = {"plot": plot, "headline": {"hours": 50.0}}
    drawn = plot_life(document, "weibull")
    assert drawn is not None
    places = [tuple(map(float, each.split(","))) for each in drawn.line.split()]
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(places)]
    assert all(step == pytest.approx(steps[0], abs=0.02) for step in steps)
    assert drawn.asked_x == pytest.approx(
        drawn.left + (drawn.right - drawn.left) * math.log(50) / math.log(1000), abs=0.01
    )
    assert plot_life({"plot": None}, "weibull") is None


@pytest.mark.parametrize(
    ("value", "said"),
    [(19726.03, "19\u202f730"), (9687.5, "9\u202f688"), (0.5, "0.5000"), (3.168e5, "316\u202f800"), (None, "\u2013"),
     (1e12, "1e+12"), (99999.0, "100\u202f000"), (0.0, "0")],
)  # fmt: skip
def test_amounts_are_written_out(value: float | None, said: str) -> None:
    assert write_amount(value) == said
