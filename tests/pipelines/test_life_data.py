"""Life data offline: the pipeline, the commands, and published cases."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.reliability_trials.case import read_cases
from benchmarks.reliability_trials.formula import find_formula
from benchmarks.reliability_truth import judge, told
from services.cli import app

LIFETIMES = "status,time_h,lower_h,upper_h,count,mode\nexact,30,,,2,oxide\ninterval,,48,168,3,metal\nleft,,,24,1,oxide\nexact,200,,,1,metal\nright,500,,,493,\n"  # noqa: E501
RUNNER = CliRunner()


def ask(*arguments: str, code: int = 0) -> dict[str, object]:
    outcome = RUNNER.invoke(app, ["reliability", *arguments, "--json"])
    assert outcome.exit_code == code, outcome.output
    document: dict[str, object] = json.loads(outcome.stdout)
    return document


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "lifetimes.csv"
    path.write_text(LIFETIMES)
    return str(path)


def test_a_fit_says_ppm_with_its_interval_and_where_it_is_from(table: str) -> None:
    found = ask("fit", table, "--hours", "10000", "--model", "weibull", "--model", "exponential")
    headline = found["headline"]
    assert headline["low_ppm"] < headline["ppm"] < headline["high_ppm"]
    assert (found["devices"], found["failures"], headline["hours"]) == (500, 7, 10000)
    assert {row["name"] for row in found["models"]} == {"weibull", "exponential"}
    assert any("beyond the 500 h" in remark for remark in found["remarks"])
    assert any("found to keep its level" in remark for remark in found["remarks"])
    assert found["provenance"]["algorithm"] == "life-data/3"
    assert len(found["provenance"]["inputs"][0]) == 64


def test_causes_by_the_column_of_modes(table: str) -> None:
    found = ask("fit", table, "--by-cause", "--hours", "300")
    total = sum(row["ppm"] for row in found["causes"])
    assert total == pytest.approx(found["headline"]["ppm"], rel=1e-6)


def test_no_failures_are_a_bound_and_no_distribution(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    path.write_text("status,time_h,count\nright,1000,231\n")
    found = ask("fit", str(path))
    assert (found["verdict"], found["model"]) == ("no-failures", None)
    assert found["headline"]["high_ppm"] == pytest.approx(9918.386, rel=1e-6)


def test_hours_before_a_device_was_watched_are_no_evidence(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("status,time_h,entry_h,count\nright,1000,0,100\nright,1000,900,5000\n")
    found = ask("fit", str(path))
    assert found["headline"]["high_ppm"] == pytest.approx(1e6 * (1 - 0.1 ** (1 / 100)))
    assert found["rate_fit_upper"] == pytest.approx(-math.log(0.1) * 1e9 / (100 * 1000 + 5000 * 100))
    path.write_text("status,time_h,entry_h,count\nright,1000,900,5000\n")
    assert "watched from 0 hours" in ask("fit", str(path), code=2)["error"]["message"]


def test_a_law_takes_every_stress_that_varies(tmp_path: Path) -> None:
    path = tmp_path / "stressed.csv"
    rows = [
        f"exact,{hours * (125 / c) ** 3 * (2 / volts) ** 4:.6g},{c},{volts}"
        for c, volts in ((125, 2.0), (125, 3.0), (150, 2.0))
        for hours in (90, 130, 210, 300)
    ]
    path.write_text("status,time_h,temperature_c,voltage_v\n" + "\n".join(rows) + "\n")
    told = ask("accelerate", "--fit", str(path), "--use", "temperature_c=55", code=2)["error"]["message"]
    assert "2 values of voltage_v" in told
    law = ("--law", "temperature-voltage", "--use", "temperature_c=55", "--use", "voltage_v=1")
    found = ask("accelerate", "--fit", str(path), *law)
    assert next(row["value"] for row in found["parameters"] if row["name"] == "n") == pytest.approx(4, rel=1e-4)
    assert "pooled" in ask("burn-in", str(path), "--hours", "10", code=2)["error"]["message"]


def test_devices_of_several_stresses_are_not_pooled(tmp_path: Path) -> None:
    path = tmp_path / "stressed.csv"
    rows = [
        f"exact,{hours * 1.7 ** (3 - place)},1,{c}"
        for place, c in enumerate((125, 150, 175))
        for hours in (90, 130, 210)
    ]
    path.write_text("status,time_h,count,temperature_c\n" + "\n".join(rows) + "\n")
    assert "pooled" in ask("fit", str(path), code=2)["error"]["message"]
    found = ask("accelerate", "--fit", str(path), "--use", "temperature_c=55", "--hours", "1000")
    energy = next(row for row in found["parameters"] if row["name"] == "ea_ev")
    assert energy["low"] < energy["value"] < energy["high"]
    assert found["headline"]["ppm"] < 1e6


def test_rates_plans_burn_in_and_growth() -> None:
    assert ask("rate", "--test", "0,231,1000,77.7")["fit"]["high"] == pytest.approx(51.05, abs=0.01)
    assert ask("elfr", "--test", "0,2400,48", "--early-h", "48")["ppm"]["high"] == pytest.approx(381.8, abs=0.1)
    factor = ask("accelerate", "arrhenius", "--use", "temperature_c=55", "--stress", "temperature_c=125",
                 "--coefficient", "ea_ev=0.7+-0.05")["headline"]  # fmt: skip
    assert factor["low"] < 77.7 < factor["high"]
    plan = ask("plan", "--fraction", "0.01")
    assert plan["plans"] == {"devices_for_fraction": 230}
    assert "2,302,584" in plan["remarks"][0]
    burnt = ask("burn-in", "--part", "0.0067", "--eta-h", "28", "--beta", "0.5", "--escapes-ppm", "500")
    assert burnt["headline"]["escapes_ppm"] == pytest.approx(500)
    assert "Wear-out is not given" in burnt["remarks"][0]
    grown = ask("growth", "--times", "5,40,43,175,389,712,747,795,1299,1478", "--end-h", "1500", "--level", "0.8")
    assert grown["headline"]["value"] == pytest.approx(310.234, abs=1e-3)


@pytest.mark.parametrize(
    "arguments",
    [
        ("rate", "--test", "0,231"),
        ("rate", "--test", "a,b,c"),
        ("rate", "--test", "1,10,100", "--confidence", "2"),
        ("fit", "nowhere.csv"),
        ("plan",),
        ("burn-in", "--part", "0.1"),
        ("growth", "--times", "1,2"),
        ("accelerate",),
    ],
)
def test_what_cannot_be_answered_is_refused(arguments: tuple[str, ...]) -> None:
    assert ask(*arguments, code=2)["error"]["message"]


def test_people_see_the_headline_first(table: str) -> None:
    outcome = RUNNER.invoke(app, ["reliability", "fit", table, "--model", "weibull"])
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("failed by 500 h: ")


@pytest.mark.shared_data
def test_published_cases(shared_data: Path) -> None:
    cases = read_cases(shared_data / "reliability" / "truth" / "cases.json")
    wrong = [(o.case, o.metric, o.ours, o.reason) for case in cases for o in judge(case, peers=False) if not o.holds]
    assert not wrong


def test_a_case_of_a_new_name_is_solved_by_its_kind(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("lo,hi,n\n10,10,1\n20,20,1\n35,35,1\n50,inf,7\n")
    case = {
        "id": "never-seen", "family": "weibull_right", "model": "Weibull 2P", "data": "d.csv", "extra": None,
        "metrics": {"beta": {"published": 1.0, "tol": "rel 0.9"}, "F_50": {"published": 0.3, "tol": 0.05},
                    "strange": {"published": 1.0, "tol": 1}},
    }  # fmt: skip
    (tmp_path / "cases.json").write_text(json.dumps([case]))
    outcomes = judge(read_cases(tmp_path / "cases.json")[0], peers=False)
    assert [outcome.holds for outcome in outcomes] == [True, True, False]
    assert "no strange" in outcomes[2].reason


def test_a_constant_found_by_trying_is_counted_apart(tmp_path: Path) -> None:
    lever = (1 / 328.15 - 1 / 398.15) / 8.62e-5
    case = {
        "id": "any", "family": "physics", "model": "Arrhenius", "extra": {"Ea": 0.7, "Tu": 55, "Ts": 125},
        "metrics": {"AF": {"published": math.exp(0.7 * lever), "tol": "rel 1e-6"}},
    }  # fmt: skip
    (tmp_path / "cases.json").write_text(json.dumps([case, case | {"model": "Arrhenius, k = 8.62e-5"}]))
    assumed, named = (judge(each, peers=False)[0] for each in read_cases(tmp_path / "cases.json"))
    assert (assumed.holds, assumed.assumed, "8.62e-05" in assumed.convention) == (True, True, True)
    assert (named.holds, named.assumed) == (True, False)
    assert told([assumed, named]) == "2 of 2 metrics hold, 1 of them only with a constant that the case does not name"


def test_printed_formulas_are_read_with_products_left_out() -> None:
    formula = find_formula("Weibull power eta=1/(K V^n) | more")
    assert formula is not None
    assert formula.names == ("K", "V", "n")
    assert float(formula.log_life({"K": 2.0, "V": 3.0, "n": 2.0})) == pytest.approx(-2.890371757896165)
    # What is no function of its own list is a product, and calls nothing.
    called = find_formula("eta=open(S)")
    assert called is not None
    assert float(called.log_life({"open": 2.0, "S": 3.0})) == pytest.approx(1.791759469228055)


def test_the_command_line_stays_light() -> None:
    script = "import sys, services.cli; print([name for name in ('numpy', 'scipy', 'analysis') if name in sys.modules])"
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "[]"
