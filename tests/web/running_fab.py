"""A running service with the demonstration data, and a browser whose user has signed in."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from rich.console import Console as Terminal
from sqlalchemy import Engine

from db.engine import make_engine
from services.demo.demonstration import Demonstration
from services.settings import Settings
from services.stack import Stack
from tests.web.browsing import Complaints, find_chromium
from tests.web.furnishing import furnish
from tests.web.furnishing_maps import furnish_maps
from tests.web.furnishing_reliability import furnish_reliability
from tests.web.furnishing_reports import furnish_mail, furnish_reports

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PATIENCE_MS = 60_000
SIZE = {"width": 1360, "height": 900}


class Fab:
    """A running service with the demonstration and some trouble, and a browser whose user has signed in."""

    def __init__(self, stack: Stack, ids: dict[str, str], browser: Any, folder: Path) -> None:
        self.stack, self.ids, self.browser = stack, ids, browser
        configured = os.environ.get("FAULTLIGHT_SCREENSHOTS")
        self.screenshots = Path(configured) if configured else folder / "screenshots"
        context = browser.new_context(base_url=stack.url)
        page = context.new_page()
        page.goto(stack.issue_sign_in_link())
        page.click("button.primary")
        page.wait_for_url("**/account")
        self.signed_in = context.storage_state()
        context.close()

    def open(self, scheme: str = "light", **rest: Any) -> tuple[Any, Complaints]:
        context = self.browser.new_context(
            base_url=self.stack.url, color_scheme=scheme, storage_state=self.signed_in,
            viewport=SIZE, **rest,
        )  # fmt: skip
        context.set_default_timeout(PATIENCE_MS)
        page, complaints = context.new_page(), Complaints()
        complaints.watch(page)
        return page, complaints


@pytest.fixture(scope="module")
def fab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fab]:
    chromium = find_chromium()
    playwright = pytest.importorskip("playwright.sync_api")
    folder = tmp_path_factory.mktemp("fab")
    sink = furnish_mail()
    stack = Stack(
        Settings(
            data_dir=folder / "data", api_port=0, database_url=None, broker_url=None, blob_url=None,
            smtp_host="127.0.0.1", smtp_port=sink.port, smtp_security="none", smtp_sender="reports@fab.example",
        )
    )  # fmt: skip
    with closing(sink), stack:
        try:
            with Terminal(file=(folder / "demonstration.log").open("w")).capture():
                assert Demonstration(stack.url, stack.key, folder / "demonstration", Terminal()).load_and_show()
            ids = furnish(stack.url, stack.key, engine_of(stack), folder)
            ids |= furnish_maps(stack.url, stack.key)
            ids |= furnish_reliability(stack.url, stack.key, folder)
            ids |= furnish_reports(stack.url, stack.key, folder)
            with playwright.sync_playwright() as started:
                browser = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
                yield Fab(stack, ids, browser, folder)
                browser.close()
        finally:
            if stack.postgres is not None:
                stack.postgres.destroy()


def engine_of(stack: Stack) -> Engine:
    url = stack.settings.database_url
    assert isinstance(url, SecretStr)
    return make_engine(url.get_secret_value())
