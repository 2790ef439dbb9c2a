"""What `make demo` shows: no page is empty that need not be, all of it is labelled simulated, a report is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console as Terminal

from services.demo.demonstration import Demonstration
from services.demo.fab import MODEL, SCHEDULE, FabDemonstration
from services.settings import Settings
from services.stack import Stack
from tests.web.browsing import audit, find_chromium, screenshot
from tests.web.running_fab import Fab

pytestmark = pytest.mark.browser
LISTS = (
    "/cases", "/sessions", "/waveforms", "/maps", "/layouts", "/files", "/jobs", "/instruments", "/reliability",
    "/reliability?kind=screening", "/reliability?kind=degradation", "/reliability?kind=latent-risk-scoring",
    "/reliability/evidence", "/reliability/models", "/reliability/reports", "/reliability/schedules", "/findings",
    "/charts", "/charts?state=out-of-control",
)  # fmt: skip


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fab]:
    chromium = find_chromium()
    playwright = pytest.importorskip("playwright.sync_api")
    folder = tmp_path_factory.mktemp("demonstration")
    stack = Stack(
        Settings(data_dir=folder / "data", api_port=0, database_url=None, broker_url=None, blob_url=None)
    )  # fmt: skip
    with stack:
        try:
            _load(stack, folder)
            with playwright.sync_playwright() as started:
                browser = started.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
                )
                yield Fab(stack, {}, browser, folder)
                browser.close()
        finally:
            if stack.postgres is not None:
                stack.postgres.destroy()


def _load(stack: Stack, folder: Path) -> None:
    with (folder / "demonstration.log").open("w") as log:
        terminal = Terminal(file=log)
        assert Demonstration(stack.url, stack.key, folder / "demonstration", terminal).load_and_show()
    fab = FabDemonstration(stack.url, stack.key, folder / "fab")
    fab.load()
    fab.load()  # a second start finds what is there


def _only(page: Any, path: str) -> dict[str, Any]:
    (row,) = page.request.get(f"/api/v1/{path}").json()["items"]
    return dict(row)


def test_no_list_of_the_demonstration_is_empty(demonstrated: Fab) -> None:
    page, complaints = demonstrated.open()
    for path in LISTS:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert not page.locator(".empty:visible").count(), path
        assert page.locator("tbody tr").count(), path
        screenshot(page, demonstrated.screenshots, f"demo {path}")
    page.goto("/")
    assert "DEMO-0020 fails its scan test" in page.text_content("main")
    assert not complaints.take()
    page.context.close()


def test_the_demonstration_has_one_report_and_units_at_risk_that_name_their_sources(demonstrated: Fab) -> None:
    page, complaints = demonstrated.open()
    report = _only(page, "reports")
    assert (report["title"], report["state"], report["simulated"]) == (SCHEDULE, "ready", True)
    page.goto(f"/reliability/reports/{report['id']}")
    assert page.locator(".label-simulated").count()
    assert page.locator("#scorecard").count()
    assert _only(page, "models")["name"] == MODEL
    page.goto("/reliability?kind=latent-risk-scoring")
    page.click("tbody a")
    page.locator("[aria-labelledby=sources] tbody a").first.click()
    page.wait_for_url("**/results/**")
    assert "L7.atdf" in page.text_content("[aria-labelledby=inputs]")
    assert not audit(page)
    page.click("text=Where it is shown")
    page.wait_for_url("**/reliability/screenings/**")
    assert not complaints.take()
    page.context.close()


def test_the_demonstrations_laser_has_lost_power_and_its_chart_says_so(demonstrated: Fab) -> None:
    page, complaints = demonstrated.open()
    charts = {chart["quantity"]: chart for chart in page.request.get("/api/v1/control-charts").json()["items"]}
    assert {name: (chart["simulated"], chart["state"] == "collecting") for name, chart in charts.items()} == {
        "laser_power": (True, False), "amplitude": (True, False), "snr": (True, True), "edge_skew": (True, True)
    }  # fmt: skip
    assert charts["laser_power"]["state"] == "out-of-control"
    page.goto(f"/charts/{charts['laser_power']['id']}")
    page.wait_for_load_state("networkidle")
    assert page.locator(".label-simulated").count()
    assert not audit(page)
    screenshot(page, demonstrated.screenshots, "demo chart of the laser's power")
    assert not complaints.take()
    page.context.close()


SHIFT = """() => new Promise((resolve) => {
  let sum = 0;
  new PerformanceObserver((list) => { for (const each of list.getEntries()) sum += each.value; })
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(sum), 300);
})"""


def test_mechanisms_change_in_place_and_stay_in_the_address(demonstrated: Fab) -> None:
    page, complaints = demonstrated.open()
    page.goto("/reliability/schedules/new")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(SHIFT) < 0.01
    page.fill("[name=name]", "Two mechanisms")
    page.fill("[name=mechanism-0-name]", "oxide")
    page.focus("[name=mechanism-0-law]")
    page.select_option("[name=mechanism-0-law]", "tddb-e")
    page.wait_for_selector("[name=mechanism-0-use-field_mv_per_cm]")
    assert page.evaluate("document.activeElement.name") == "mechanism-0-law"
    page.fill("[name=mechanism-0-modes]", "short")
    page.keyboard.press("Tab")
    page.fill("[name=mechanism-0-use-field_mv_per_cm]", "5")
    page.fill("[name=mechanism-0-stress-field_mv_per_cm]", "8,5")
    page.focus("text=Add a mechanism")
    page.keyboard.press("Enter")
    page.wait_for_selector("[name=mechanism-1-name]")
    page.keyboard.type("rest")
    page.wait_for_url("**mechanism-1-name=rest**")
    page.goto(page.url)
    assert page.input_value("[name=mechanism-0-stress-field_mv_per_cm]") == "8,5"
    assert page.input_value("[name=mechanism-1-name]") == "rest"
    page.click("text=Make the schedule")
    page.wait_for_selector("#wrong-mechanism-0-stress-field_mv_per_cm")
    assert not audit(page)
    assert [each for each in complaints.take() if not each.startswith(("422", "console"))] == []
    page.fill("[name=mechanism-0-stress-field_mv_per_cm]", "8.5")
    page.click("text=Make the schedule")
    page.click("text=Change")
    assert page.input_value("[name=mechanism-0-law]") == "tddb-e"
    page.click("[value=remove-mechanism-1]")
    page.wait_for_selector("[name=mechanism-1-name]", state="detached")
    assert not complaints.take()
    page.context.close()


def test_mechanisms_are_entered_without_scripts(demonstrated: Fab) -> None:
    page, _ = demonstrated.open(java_script_enabled=False)
    page.goto("/reliability/schedules/new")
    page.fill("[name=name]", "Without scripts")
    for number in range(3):
        page.fill(f"[name=mechanism-{number}-name]", f"m{number}")
        page.fill(f"[name=mechanism-{number}-modes]", f"mode {number}")
        page.click("text=Add a mechanism")
    page.click("[value=remove-mechanism-3]")
    page.select_option("[name=mechanism-0-law]", "tddb-power")
    page.locator("text=Show the fields of the chosen law").first.click()
    page.fill("[name=mechanism-0-use-voltage_v]", "1.1")
    page.press("[name=name]", "Enter")  # saves, whatever buttons stand before
    page.wait_for_url("**/reliability/schedules/*-*")
    page.context.close()


def test_layers_are_named_where_they_are_shown(demonstrated: Fab) -> None:
    page, complaints = demonstrated.open()
    page.goto("/layouts")
    page.click("tbody a")
    page.wait_for_selector("canvas[data-drawn]")
    assert page.evaluate(SHIFT) < 0.01
    assert "layer 68/20" in page.text_content("fieldset.layers")
    page.click("summary:has-text('Names of layers')")
    page.click("text=Fill in from the process sky130")
    page.wait_for_selector("canvas[data-drawn]")
    assert "68/20 met1" in page.input_value("[name=names]")
    assert not audit(page)
    page.click("text=Name the layers")
    page.wait_for_selector("canvas[data-drawn]")
    assert "met1 68/20" in " ".join(page.text_content("fieldset.layers").split())
    assert not complaints.take()
    page.context.close()


def test_evidence_is_asked_for_and_shown_with_its_sources(demonstrated: Fab) -> None:
    page, complaints = demonstrated.open()
    page.goto("/reliability/evidence")
    page.click("text=Assemble evidence")
    page.fill("[name=lots]", "L7")
    page.check("[name=modality-electrical]")
    page.wait_for_url("**lots=L7**modality-electrical=on**")
    page.click("button:has-text('Assemble')")
    page.wait_for_selector("a[href^='/reliability/evidence/']")
    page.click("a[href^='/reliability/evidence/']")
    page.wait_for_selector("#modalities")
    assert page.evaluate(SHIFT) < 0.01
    assert not audit(page)
    assert not complaints.take()
    page.context.close()
