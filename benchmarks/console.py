"""The console: 50 waveforms of two million samples in a browser; `console_pages` has its pages on a full database."""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Row, main
from benchmarks.workbench import PROGRAM, api, running_stack, wait_for_jobs, write_waveforms
from db.blobs import BlobStore
from services.api.simulated_samples import SimulatedTrace, compared_extremes
from services.api.waveform_samples import StoredSamples, bin_edges, bin_extremes
from services.stack import Stack
from services.uploader.client import UploadClient
from tests.web.browsing import find_chromium

TRACES, SAMPLES = 50, 2_000_000
LOADS, PANS = 7, 60
PAUSE_MS = 400
COMPARISONS = 9
_PAN = """async (key) => {
  const canvas = document.querySelector("canvas");
  const before = canvas.dataset.drawn;
  const started = performance.now();
  canvas.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  while (canvas.dataset.drawn === before) {
    if (performance.now() - started > 20000) throw new Error("the picture did not follow");
    await new Promise(requestAnimationFrame);
  }
  return performance.now() - started;
}"""


def measure() -> list[Row]:
    """Show the traces in headless Chromium and move through them."""
    with running_stack() as stack, tempfile.TemporaryDirectory() as folder:
        ids = _upload(stack, Path(folder))
        return _measure_viewer(stack, ids) + _measure_comparison(Path(folder))


def _measure_comparison(folder: Path) -> list[Row]:
    """Bin a trace alone, and beside what is simulated with their difference, in turns; by CPU time."""
    samples = np.random.default_rng(1).integers(-20_000, 20_000, SAMPLES).astype("<i2")
    blobs = BlobStore.local(folder / "comparison")
    blobs.put_bytes("records/trace", samples.tobytes())
    stored = StoredSamples("records/trace", 0, np.dtype("<i2"), SAMPLES, 1e-4, 0.0)
    edges = bin_edges(0, SAMPLES, 1000)
    trace = SimulatedTrace(np.random.default_rng(2).integers(0, 2, 1000).astype(float), 2e-7, 1e-9, 0.0)
    waits: dict[str, list[float]] = {"plain": [], "compared": []}
    for _ in range(COMPARISONS):
        started = time.process_time()
        bin_extremes(blobs, stored, edges)
        middle = time.process_time()
        compared_extremes(blobs, stored, edges, (0.0, 1e-10), trace)
        waits["plain"].append(middle - started)
        waits["compared"].append(time.process_time() - middle)
    plain, compared = (statistics.median(waits[name]) for name in ("plain", "compared"))
    what = f"{SAMPLES:,} samples measured, simulated and their difference"
    return [
        Row(f"{what}, CPU, median of {COMPARISONS}", compared * 1000, "ms"),
        Row(f"{what}, over measured ones alone", compared / plain, "x"),
    ]


def _upload(stack: Stack, folder: Path) -> list[str]:
    path = folder / "traces.trc"
    write_waveforms(path, TRACES, SAMPLES, seed=3)
    with UploadClient(stack.url, stack.key) as client:
        client.upload_file(path, PROGRAM)
    wait_for_jobs(stack, kind="ingest", count=1)
    with api(stack) as client:
        items = client.get("waveforms", params={"limit": TRACES}).raise_for_status().json()["items"]
    if [item["sample_count"] for item in items] != [SAMPLES] * TRACES:
        raise RuntimeError("the traces did not arrive as they were sent")
    return [item["id"] for item in items]


def _measure_viewer(stack: Stack, ids: list[str]) -> list[Row]:
    try:
        chromium = find_chromium()
        from playwright.sync_api import sync_playwright
    except BaseException as error:  # pytest's skip, outside of pytest
        sys.stderr.write(f"the viewer was not measured: {error}\n")
        return []
    link = stack.issue_sign_in_link()
    page_url = f"{stack.url}/waveforms?" + "&".join(f"id={each}" for each in ids)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        signed_in = _sign_in(browser, link)
        paints = [_first_paint(browser, signed_in, page_url) for _ in range(LOADS)]
        context = browser.new_context(storage_state=signed_in, viewport={"width": 1600, "height": 1000})
        page = context.new_page()
        span_s = SAMPLES * 1e-10
        waits: dict[str, list[float]] = {}
        sizes, hasty = [], []
        for part in (0.1, 0.5):
            page.goto(f"{page_url}&from={0.05 * span_s}&to={(0.05 + part) * span_s}")
            page.wait_for_selector("canvas[data-drawn]")
            keys = ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"] * (PANS // 8)
            page.wait_for_timeout(PAUSE_MS)
            waits[f"{part:.0%}"] = [_pan(page, key, PAUSE_MS) for key in keys]
            hasty += [_pan(page, key, 0) for key in keys]
            sizes.append(int(page.get_attribute("canvas", "data-bytes")))
        browser.close()
    everything = [wait for some in waits.values() for wait in some]
    what = f"{TRACES} traces x {SAMPLES:,} samples"
    return [
        Row(f"waveform page, {what}: first paint, median of {LOADS}", statistics.median(paints), "s", "<= 1.5"),
        Row(f"waveform page, {what}: worst first paint of {LOADS}", max(paints), "s"),
        Row(
            f"pan to the exact picture, one in {PAUSE_MS} ms, p95 of {len(everything)}",
            _p95(everything),
            "ms",
            "<= 150",
        ),
        *(Row(f"the same with {part} of the record shown", _p95(some), "ms") for part, some in waits.items()),
        Row(f"pans as fast as each is drawn, p95 of {len(hasty)}", _p95(hasty), "ms"),
        Row("largest answer for a view", max(sizes) / 1e6, "MB", "<= 1"),
    ]


def _sign_in(browser: Any, link: str) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    page.click("button.primary")
    page.wait_for_url("**/account")
    state = context.storage_state()
    context.close()
    return state


def _pan(page: Any, key: str, pause_ms: float) -> float:
    """Return the milliseconds from a key to the exact picture, after a pause."""
    page.wait_for_timeout(pause_ms)
    return float(page.evaluate(_PAN, key))


def _first_paint(browser: Any, signed_in: Any, url: str) -> float:
    """Return the seconds from the click to all traces drawn, in a browser that has nothing of the page yet."""
    context = browser.new_context(storage_state=signed_in, viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("canvas[data-drawn]")
    drawn = page.evaluate("performance.getEntriesByName('waveforms-drawn')[0].startTime")
    context.close()
    return float(drawn) / 1000


def _p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


if __name__ == "__main__":
    main(measure)
