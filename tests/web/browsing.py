"""Headless Chromium on the console: what it complains of, and what axe finds."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SERIOUS = {"serious", "critical"}


def find_chromium() -> str:
    """The path of Chromium; where there is none, skips with what to install, and fails in CI, which installs it."""
    found = os.environ.get("FAULTLIGHT_CHROMIUM") or next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        reason = "no Chromium here, so no page was looked at in a browser: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
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


def page_paths(ids: Mapping[str, str], waveforms: str, clean: str) -> list[str]:
    """Every page that a furnished console has; ``waveforms`` and ``clean`` name a session's in an address."""
    layout, clip = f"/layouts/{ids['layout']}", f"/layouts/{ids['clip']}"
    return [
        "/", "/cases", f"/cases/{ids['case']}", "/sessions", f"/sessions/{ids['session']}", "/waveforms",
        f"/waveforms?{waveforms}", f"/waveforms?{waveforms}&stacked=0&from=1e-7&to=3e-7&a=1.5e-7&b=2e-7", "/files",
        "/files?state=quarantined", "/operations", "/bundles", "/jobs", "/jobs?state=dead", "/instruments",
        f"/instruments/{ids['instrument']}", "/charts", f"/charts/{ids['chart']}", "/upload", "/account",
        "/admin", "/admin/audit", f"/sessions/{ids['session']}/maps", f"/sessions/{ids['mapped']}/maps",
        "/findings", "/layouts", layout,
        f"{layout}?span=8&defect=2&at=10.6,6.84", f"{clip}/printing", f"/sessions/{ids['clean']}",
        f"/waveforms?{clean}&show=both&edges=1&levels=1&hidden=0,4,5&from=0&to=2e-7",
        f"/waveforms?{clean}&logic=1&edges=1&suspect=1&from=0&to=6e-7", "/maps", f"/maps/{ids['log']}?wafer=W02",
        f"/maps/{ids['log']}?wafer=W03&show=value&test=100+leakage", f"/maps/{ids['map']}?show=hard-bin",
        "/reliability", "/reliability?kind=screening", f"/reliability/screenings/{ids['screening_result']}",
        f"/reliability/life/{ids['life_result']}?paper=lognormal&others=1",
        f"/reliability/degradations/{ids['degradation_result']}", f"/reliability/risks/{ids['risk_result']}",
        "/reliability/evidence", f"/reliability/evidence/{ids['evidence']}",
        "/reliability/evidence/new?lots=LOT7&wafer_map-given=on&modality-lvp=on", f"/results/{ids['evidence']}",
        "/reliability/models", f"/reliability/models/{ids['version']}", "/reliability/reports",
        f"/reliability/reports/{ids['report']}", "/reliability/deliveries", "/reliability/schedules",
        f"/reliability/schedules/{ids['schedule']}", f"/reliability/schedules/{ids['schedule']}/edit",
        f"/reliability/schedules/{ids['schedule']}/send", "/reliability/schedules/new?name=Weekly&cron=0+7+*+*+1",
        "/reliability/schedules/new?mechanism-0-name=oxide&mechanism-0-law=tddb-e&mechanism-1-law=peck",
    ]  # fmt: skip
