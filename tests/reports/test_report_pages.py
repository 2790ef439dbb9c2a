"""What a report says: numbers against independent calculations, reasons where there is nothing, the same bytes."""

import html
import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from scipy.stats import beta, chi2

from analysis.reliability.life_data import collapse
from analysis.reliability.mechanism_laws import MECHANISMS
from analysis.reliability.readouts import part_failed
from instruments.electrical.lifetimes import LifetimesAdapter
from services.pipelines.reliability import report_screening
from services.pipelines.reliability.report_document import ReportInputs, build_report, encode
from services.pipelines.reliability.report_requests import LawName, ReportContent, ask_report
from services.pipelines.reliability.report_scorecard import figure, make_scorecard
from services.pipelines.table_source import SourceTable
from services.reports import print_page
from services.reports.composition import compose_report
from services.reports.pages import Grid, Report, Section
from services.reports.rendering import render_report
from services.reports.web_page import write_page
from tests.instruments.mask.sources import read_all, written

TABLE = """# simulated: true
status,time_h,lower_h,upper_h,count,lot_id,stress,temperature_c,mode
left,,,48,2,L1,HTOL,125,oxide
interval,,168,500,1,L2,HTOL,125,metal
interval,,500,1000,1,L2,HTOL,125,metal
interval,,500,1000,1,L1,HTOL,125,oxide
right,1000,,,226,L1,HTOL,125,
right,48,,,2399,L1,ELFR,125,
left,,,48,1,L3,ELFR,125,oxide
right,500,,,77,L1,TC,,
"""
MECHANISMS_ASKED = [
    {"name": "oxide", "modes": ["oxide"], "coefficients": {"ea_ev": {"value": 0.3, "standard_error": 0.05}}},
    {"name": "<b>metal</b>", "modes": ["metal"], "coefficients": {"ea_ev": {"value": 0.9}}},
]
CONTENT = {"mechanisms": MECHANISMS_ASKED, "targets": {"fit": 5000.0, "early_life_ppm": 1.0}, "screen": None,
           "models": ["exponential", "weibull"]}  # fmt: skip


@pytest.fixture(scope="module")
def lifetimes(tmp_path_factory: pytest.TempPathFactory) -> list[SourceTable]:
    folder = tmp_path_factory.mktemp("tables")
    _, (table,) = read_all(LifetimesAdapter(), written(folder, "htol.csv", TABLE))
    return [SourceTable(table, "htol.csv", "5" * 64, "lifetimes/3")]


def build(lifetimes: list[SourceTable], content: dict[str, Any] | ReportContent, **values: Any) -> dict[str, Any]:
    asked = content if isinstance(content, ReportContent) else ask_report(content)
    moments = {"period_from": datetime(2026, 10, 1, 6, tzinfo=UTC), "freeze_at": datetime(2026, 11, 1, 6, tzinfo=UTC)}
    inputs = ReportInputs("Monthly & <more>", "alpha", lifetimes=lifetimes, tested=[], **(moments | values))
    return build_report(inputs, asked, lambda _fraction, _message: None)


@pytest.fixture(scope="module")
def document(lifetimes: list[SourceTable]) -> dict[str, Any]:
    return build(lifetimes, CONTENT)


def arrhenius(energy_ev: float) -> float:
    return math.exp(energy_ev / 8.617333262e-5 * (1 / 328.15 - 1 / 398.15))


def test_rates_are_those_of_the_standards(document: dict[str, Any]) -> None:
    """JESD85 by hand: hours to the last readout alive, each mechanism's own factor, bounds added."""
    hours = 168 + 2 * 500 + 226 * 1000
    expected = {0.6: 0.0, 0.9: 0.0}
    for failures, energy in ((3, 0.3), (2, 0.9)):
        for confidence in expected:
            bound = chi2.ppf(confidence, 2 * failures + 2) / 2
            expected[confidence] += 1e9 * bound / (hours * arrhenius(energy))
    rates = document["sections"]["rates"]
    assert rates["device_hours"] == hours
    assert [each["high"] for each in rates["bounds"]] == pytest.approx(list(expected.values()), rel=1e-6)
    fit = document["scorecard"][0]
    assert (fit["key"], fit["verdict"], fit["value"]) == ("fit", "met", pytest.approx(expected[0.6], rel=1e-6))
    ppm = 1e6 * chi2.ppf(0.6, 4) / 2 * 4380 / (2400 * arrhenius(0.3) * 48)
    oxide = document["sections"]["early_life"]["parts"][0]
    assert oxide["bounds"][0]["high"] == pytest.approx(ppm, rel=1e-6)
    assert document["scorecard"][1]["verdict"] == "missed"


HEAD = "status,time_h,upper_h,count,lot_id,device_id,stress,temperature_c,mode,entry_h,exit_h\n"


def tables(folder: Path, *texts: str) -> list[SourceTable]:
    found = []
    for number, text in enumerate(texts):
        _, (table,) = read_all(LifetimesAdapter(), written(folder, f"{number}.csv", HEAD + text))
        found.append(SourceTable(table, f"{number}.csv", f"{number}" * 64, "lifetimes/3"))
    return found


@pytest.mark.parametrize(
    ("section", "texts", "reason"),
    [
        # Ten failures without an hour: left out, the rate would be that of the 77 alone.
        ("rates", ["right,1000,,77,L1,,HTOL,125,,,\nleft,,48,10,L2,,HTOL,150,x,,"], "all 10 failures came before"),
        ("rates", ["exact,100,,10,L1,,HTOL,125,x,,1000"], "only because they failed"),
        ("rates", ["right,500,,1,L1,d1,HTOL,125,,,", "right,1000,,1,L1,d1,HTOL,125,,,"], "1 devices are there again"),
        (
            "early_life",
            ["right,48,,999,L1,,ELFR,125,,24,\nexact,30,,1,L1,,ELFR,125,x,24,"],
            "not watched from the start",
        ),
        ("burn_in", ["exact,30,,5,L1,,burn-in,125,x,,48"], "not watched from the start"),
    ],
)
def test_devices_that_were_not_all_seen_or_seen_twice_make_no_rate(
    tmp_path: Path, section: str, texts: list[str], reason: str
) -> None:
    told = build(tables(tmp_path, *texts), {"screen": None, "models": ["exponential"]})
    assert reason in json.dumps(told["sections"][section])
    key = {"rates": "fit", "early_life": "early_life_ppm", "burn_in": "burn_in_ppm"}[section]
    row = {row["key"]: row for row in told["scorecard"]}[key]
    assert (row["value"], row["verdict"]) == (None, "no data")
    assert reason in html.unescape(write_page(compose_report(told)).decode())


def test_devices_that_failed_count_to_the_shortest_test_they_can_have_been_in(tmp_path: Path) -> None:
    """Nine of ten fail in a test of 48 h, beside a device that was watched for 1000 h: not 10,000 device hours."""
    rows = "right,48,,1,L1,,ELFR,125,,,\nleft,,48,9,L1,,ELFR,125,x,,\nright,1000,,1,L2,,ELFR,125,,,"
    early = build(tables(tmp_path, rows), {"screen": None, "models": ["exponential"]})["sections"]["early_life"]
    assert (early["devices"], early["failures"]) == (11, 9)
    expected = 1e6 * chi2.ppf(0.6, 20) / 2 * 4380 / (arrhenius(0.7) * (10 * 48 + 1000))
    assert early["bounds"][0]["high"] == pytest.approx(expected, rel=1e-6)


def test_a_lot_in_two_files_is_said_to_count_twice(tmp_path: Path) -> None:
    sources = tables(
        tmp_path, "right,500,,77,L1,,HTOL,125,,,", "right,1000,,77,L1,,HTOL,125,,,\nright,9,,1,L2,,HTOL,125,,,"
    )
    told = build(sources, {"screen": None})
    (test,) = told["sections"]["tests"]
    assert test["device_hours"] == 77 * 1500 + 9
    assert test["remark"].startswith("L1: in several of the files")
    assert "hours are counted twice" in write_page(compose_report(told)).decode()
    named = tables(tmp_path, "right,500,,1,L1,d1,HTOL,125,,,", "right,500,,1,L1,d2,HTOL,125,,,")
    assert build(named, {"screen": None})["sections"]["tests"][0]["remark"] == ""


def test_a_mission_is_not_told_with_one_factor_for_two_mechanisms(document: dict[str, Any]) -> None:
    (life,) = [test for test in document["sections"]["life"]["tests"] if test["condition"].startswith("HTOL")]
    assert "several mechanisms" in life["at_mission"]["refused"]
    assert life["at_end"]["low_ppm"] < 1e6 * 5 / 231 < life["at_end"]["high_ppm"]
    assert {row["cause"] for row in life["causes"]["rows"]} == {"oxide", "metal"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mechanisms": [{"name": "oxide", "modes": ["oxide"]}]}, "2 failures are of no listed mechanism"),
        ({"mechanisms": [{"name": "all", "law": "tddb-e"}]}, "missing: field_mv_per_cm; unknown: none"),
        ({"stresses": {"rate": ["LTOL"]}}, "No lifetimes are of a test of operating life (LTOL)"),
        ({"mechanisms": [{"name": "all", "stress": {"temperature_c": 150}}]}, "temperature_c is 125, and 150 with"),
        ({"mechanisms": [{"name": "all", "use": {"temperature_c": 25}}]}, "temperature_c is 55, and 25 with"),
        ({"lots": ["L9"]}, "No lifetimes are of a test of operating life"),
    ],
)
def test_where_there_is_no_rate_the_report_says_why(
    lifetimes: list[SourceTable], change: dict[str, Any], reason: str
) -> None:
    asked = ask_report({"screen": None, "models": ["exponential"]} | change)
    told = build(lifetimes, asked)
    assert reason in told["sections"]["rates"]["empty"]
    assert told["scorecard"][0]["verdict"] == "no data"
    page = html.unescape(write_page(compose_report(told)).decode())
    assert reason in page


def test_an_empty_report_says_why_in_every_section() -> None:
    told = build([], {"screen": None})
    report = compose_report(told)
    for section in report.sections:
        assert section.blocks, section.name
    page = html.unescape(write_page(report).decode())
    for reason in ("There are no lifetimes", "No model of latent risk has been promoted", "keeps no shipments",
                   "asks for no screening", "without a database", "There were no inputs"):  # fmt: skip
        assert reason in page


def test_the_same_inputs_give_the_same_bytes(lifetimes: list[SourceTable], document: dict[str, Any]) -> None:
    again = json.loads(encode(document))
    made = render_report(document)
    assert render_report(again) == made
    assert b"D:20000101" in made["pdf"]
    assert encode(build(lifetimes, CONTENT)) == encode(document)


def test_letters_that_the_fonts_lack_are_spelt_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box would stand for any letter; a name as long as one may be does not run over the page's number."""
    written_cells: list[str] = []
    cell = print_page.FPDF.cell
    widths: list[float] = []

    def listen(self: Any, w: Any = None, h: Any = None, text: str = "", **rest: Any) -> Any:
        written_cells.append(text)
        if text.startswith("foot"):
            widths.append(self.get_string_width(text) - self.epw + 20)
        return cell(self, w, h, text, **rest)

    monkeypatch.setattr(print_page.FPDF, "cell", listen)
    paper = print_page._Paper(Report("t", [], "", ""))
    paper.set_font("mono", "", 5)
    assert paper.normalize_text("\u65e5\U0001f600 \u03a9") == "[U+65E5][U+1F600] \u03a9"
    section = Section("a", "A", [Grid(("Lot", ">n"), [["\u65e5", "1"]], (1, 1))])
    told = [_write_print(foot, [section]) for foot in ("foot", "foot" + "\u65e5" * 300)]
    assert all(each.startswith(b"%PDF-") for each in told)
    assert all(width <= 0 for width in widths)
    assert len(widths) == 2


def _write_print(foot: str, sections: list[Section]) -> bytes:
    return print_page.write_print(Report("t", [], "", foot, sections))


def test_what_a_file_calls_its_stress_is_not_read_as_mathematics(tmp_path: Path) -> None:
    rows = "right,1000,,77,L1,,?,125,,,\nexact,50,,2,L1,,?,125,x,,\nexact,80,,2,L1,,?,125,x,,"
    told = build(tables(tmp_path, rows.replace("?", "HTOL $\\foo$")), {"screen": None, "models": ["exponential"]})
    assert "HTOL $\\foo$ 125" in write_page(compose_report(told)).decode()


def test_numbers_of_two_questions_are_not_compared(lifetimes: list[SourceTable], document: dict[str, Any]) -> None:
    before = {name: document[name] for name in ("freeze_at", "scorecard", "question")} | {"sha256": "0" * 64}
    asked = {
        "as before": CONTENT | {"targets": {"fit": 1.0}},
        "asked otherwise": CONTENT | {"confidences": [0.9]},
    }
    for text, content in asked.items():
        rows = {row["key"]: row["trend"]["text"] for row in build(lifetimes, content, previous=before)["scorecard"]}
        assert rows["fit"].endswith(text)
        assert rows["early_life_ppm"].endswith(text)
        assert rows["burn_in_ppm"] == "no number before"


def test_kinds_of_tables_are_not_added_to_one_fallout(
    monkeypatch: pytest.MonkeyPatch, document: dict[str, Any]
) -> None:
    """A die is in the tester's log and on the map: the scorecard has the kind with the most, by its name."""
    counts = {"testers' logs": (1, 300), "wafer maps": (3, 300)}
    monkeypatch.setattr(
        report_screening,
        "_screen",
        lambda name, *_: {"name": name, "simulated": False, "out": counts[name][0],
                          "ppm": report_screening._part(*counts[name], 0.9)},
    )  # fmt: skip
    sources = [SimpleNamespace(table=SimpleNamespace(kind=kind)) for kind in ("test_run", "wafer_map")]
    found = report_screening.report_screening(sources, ReportContent())  # type: ignore[arg-type]
    sections = document["sections"] | {"screening": found}
    row = {row["key"]: row for row in make_scorecard(sections, ReportContent(), None)}["fallout_ppm"]
    assert (row["label"], row["value"]) == ("Screening fallout (wafer maps)", pytest.approx(1e4))
    assert row["high"] == pytest.approx(1e6 * beta.ppf(0.95, 4, 297))


def test_the_page_loads_nothing_and_shows_what_files_say_as_text(document: dict[str, Any]) -> None:
    page = write_page(compose_report(document)).decode()
    assert "<b>metal</b>" not in page
    assert "&lt;b&gt;metal&lt;/b&gt;" in page
    assert "Monthly &amp; &lt;more&gt;" in page
    assert "SIMULATED DATA" in page
    assert not re.search(r"<script|<link|<img|@import|src=", page)
    assert set(re.findall(r'https?://[^"\s]+', page)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    identifiers = re.findall(r'\sid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


def test_laws_of_requests_are_those_of_the_analysis() -> None:
    assert set(get_args(LawName)) == set(MECHANISMS)


def test_the_part_failed_is_the_product_limit() -> None:
    """Without withdrawals the binomial's; with them Kaplan and Meier's, by hand."""
    plain = part_failed(collapse([0, 48, 1000], [48, 168, float("inf")], [2, 1, 97]))
    assert [(step.at_risk, step.failures, step.fraction) for step in plain] == [(100, 2, 0.02), (98, 1, 0.03)]
    assert plain[1].low == pytest.approx(beta.ppf(0.05, 3, 98))
    assert plain[1].high == pytest.approx(beta.ppf(0.95, 4, 97))
    # 10 devices: one fails at 5, two leave at 6, one fails at 8: S = 9/10 * 6/7.
    steps = part_failed(collapse([5, 6, 8, 9], [5, float("inf"), 8, float("inf")], [1, 2, 1, 6]))
    assert steps[1].fraction == pytest.approx(1 - 0.9 * 6 / 7)
    assert steps[1].low < steps[1].fraction < steps[1].high


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1234567.0, "1,230,000"), (99.96, "100"), (0.0123456, "0.0123"), (51.049, "51"), (1e-7, "1.00e-07"),
     (None, "\N{EN DASH}"), (2.5e11, "2.50e+11"), (6.16e7, "61,600,000"), (7.0, "7")],
)  # fmt: skip
def test_figures_are_told_to_three_places(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_a_report_from_files_is_compared_with_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.pipelines.reliability import report_files
    from services.pipelines.reliability.report_files import Heading, report_paths

    monkeypatch.setattr(report_files, "render_report", lambda _document: {"html": b"<p>", "pdf": b"%PDF-"})
    source = tmp_path / "htol.csv"
    source.write_text("status,time_h,count,stress,temperature_c\nright,1000,231,HTOL,125\n")
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    first = report_paths([source], None, Heading("q", "p", moment), tmp_path / "one")
    source.write_text("status,time_h,count,stress,temperature_c\nright,1000,462,HTOL,125\n")
    heading = Heading("q", "p", moment, previous=tmp_path / "one" / "report.json")
    second = report_paths([source], None, heading, tmp_path / "two")
    fit = second["scorecard"][0]
    assert fit["value"] == pytest.approx(first["scorecard"][0]["value"] / 2)
    assert fit["trend"]["text"] == f"down from {figure(first['scorecard'][0]['value'])} (-50 %)"
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"report.json", "report.html", "report.pdf"}
