"""Headless Chromium on the console: what it complains of, and what axe finds."""

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SERIOUS = {"serious", "critical"}


def find_chromium() -> str:
    """The path of Chromium; skips, with what to install, where there is none: no package registry brings it by pip."""
    found = os.environ.get("FAULTLIGHT_CHROMIUM") or next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        pytest.skip("no Chromium here, so no page was looked at in a browser: apt-get install chromium")
    return found


@dataclass
class Complaints:
    """Everything that a page complained of: errors in the console, exceptions, requests that failed."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        page.on("console", lambda said: said.type == "error" and self.found.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: self.found.append(f"exception: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", lambda answer: answer.status >= 400 and self.found.append(f"{answer.status} {answer.url}"))

    def _failed(self, request: Any) -> None:
        # The page gives up a request of its own when a newer one has taken its place.
        if "ERR_ABORTED" not in str(request.failure):
            self.found.append(f"failed: {request.url} {request.failure}")

    def take(self) -> list[str]:
        taken, self.found = self.found, []
        return taken


def audit(page: Any) -> list[str]:
    """What axe calls serious or critical on the page, with the places."""
    from axe_playwright_python.sync_playwright import Axe

    results = Axe().run(page)
    return [
        f"{each['id']} ({each['impact']}): {[node['html'][:120] for node in each['nodes'][:3]]}"
        for each in results.response["violations"]
        if each["impact"] in SERIOUS
    ]


def screenshot(page: Any, folder: Path, name: str) -> None:
    """Keep what the page looks like, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.png", full_page=True)
