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
from tests.web.test_in_a_browser import Fab

pytestmark = pytest.mark.browser
LISTS = (
    "/cases", "/sessions", "/waveforms", "/maps", "/layouts", "/files", "/jobs", "/instruments", "/reliability",
    "/reliability?kind=screening", "/reliability?kind=degradation", "/reliability?kind=latent-risk-scoring",
    "/reliability/evidence", "/reliability/models", "/reliability/reports", "/reliability/schedules", "/findings",
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
    assert "Nothing waits" in page.text_content("main")
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
