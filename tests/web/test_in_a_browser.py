"""The console with the demonstration data in headless Chromium: nothing fails, axe is content, a path can be walked."""

import base64
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from services.demo.die import DieOptions, make_session
from tests.web.browsing import Complaints, audit, page_paths, screenshot
from tests.web.furnishing_reports import RECIPIENTS
from tests.web.running_fab import PATIENCE_MS, Fab

pytestmark = pytest.mark.browser
DROP = """([name, content]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name));
    for (const kind of ["dragenter", "dragover", "drop"]) {
        document.querySelector("[data-drop]").dispatchEvent(
            new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
    }
}"""


def paths(fab: Fab) -> list[str]:
    return page_paths(fab.ids, *(waveforms_of(fab, fab.ids[name]) for name in ("session", "clean")))


def settle(page: Any) -> None:
    """Wait until nothing is on its way and every picture of our own is drawn."""
    page.wait_for_load_state("networkidle")
    if page.locator("main canvas").count():
        page.wait_for_selector("canvas[data-drawn]")
    for frame in page.locator("main iframe").all():
        frame.scroll_into_view_if_needed()  # what is in a frame is painted where it is seen


def waveforms_of(fab: Fab, session: str) -> str:
    """The part of an address that names a session's waveforms."""
    page, _ = fab.open()
    answer = page.request.get(f"/api/v1/waveforms?probing_session={session}").json()
    page.context.close()
    return "&".join(f"id={item['id']}" for item in answer["items"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_fails_on_any_page_and_axe_is_content(fab: Fab, scheme: str) -> None:
    page, complaints = fab.open(scheme)
    wrong: dict[str, list[str]] = {}
    for number, path in enumerate(paths(fab)):
        page.goto(path)
        settle(page)
        found = complaints.take() + audit(page)
        screenshot(page, fab.screenshots, f"{number:02d} {path.split('?')[0][:20]} {scheme}")
        if found:
            wrong[path] = found
    page.context.close()
    assert not wrong, "\n".join(f"{path}: {found}" for path, found in wrong.items())


def test_pages_for_strangers_and_refusals(fab: Fab) -> None:
    context = fab.browser.new_context(base_url=fab.stack.url)
    page, complaints = context.new_page(), Complaints()
    complaints.watch(page)
    page.goto("/")
    assert page.url.endswith("/sign-in")
    found = complaints.take() + audit(page)
    page.goto("/sign-in/once/nothing")
    found += complaints.take() + audit(page)
    context.close()
    page, complaints = fab.open()
    page.goto("/jobs?state=odd")
    assert [each for each in complaints.take() if not each.startswith(("422", "console"))] == []
    found += audit(page)
    page.context.close()
    assert not found


def test_the_keyboard_reaches_everything_on_the_waveform_page(fab: Fab) -> None:
    page, complaints = fab.open()
    page.goto(paths(fab)[6])
    page.wait_for_selector("canvas[data-drawn]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.focus("canvas")
    for key in ("+", "+", "ArrowRight", "a", "b", ".", ">", "-"):
        page.keyboard.press(key)
    page.wait_for_url("**&a=**")
    assert "B \N{MINUS SIGN} A" in page.text_content("[data-readout]")
    assert page.text_content("[data-at-a]") != "\N{EN DASH}"
    address = page.url
    page.goto(address)
    page.wait_for_selector("canvas[data-drawn]")
    assert "B \N{MINUS SIGN} A" in page.text_content("[data-readout]")
    assert not complaints.take()
    page.context.close()


def test_the_keyboard_goes_from_die_to_die(fab: Fab) -> None:
    page, complaints = fab.open()
    page.goto(f"/maps/{fab.ids['log']}?wafer=W02&show=value&test=100+leakage")
    page.wait_for_selector("[data-ready='317']")
    page.focus("[data-wafer]")
    page.keyboard.press("ArrowRight")
    begun = page.text_content("[data-die-readout]")
    page.keyboard.press("ArrowRight")
    told = page.text_content("[data-die-readout]")
    assert begun.startswith("Die ")
    assert int(told.split()[1].strip(",")) == int(begun.split()[1].strip(",")) + 1
    assert "100 leakage" in told
    assert "uA" in told
    assert not complaints.take()
    page.context.close()


def test_a_first_time_engineers_path(fab: Fab, tmp_path: Path) -> None:
    """Sign in, upload a session, watch it run, see what remains, probe more, upload that, conclude, sign off, print."""
    page, complaints = fab.open()
    page.goto("/upload")
    first, second = make_archives(tmp_path)
    page.set_input_files("[data-files]", first)
    page.wait_for_selector("[data-sent] .state-stored")
    page.click("[data-sent] a")
    page.click("#records ~ ul a[href^='/sessions/']")
    await_answer(page)
    assert "Several sites remain" in page.text_content(".verdict")
    assert "What each probe changed" in page.text_content("main")
    page.click("[aria-labelledby=next] tbody tr:first-child button")
    page.wait_for_selector("#planned")
    planned = page.text_content("[aria-labelledby=planned] tbody td:first-child")
    assert planned == page.text_content("[aria-labelledby=next] tbody tr:first-child td:nth-child(2)")
    document = page.request.get(page.get_attribute("a[download='session.json']", "href")).json()
    assert [each["net"] for each in document["waveforms"]][-1] == planned
    screenshot(page, fab.screenshots, "path 1 what remains, and the next probe planned")
    page.goto("/upload")
    page.set_input_files("[data-files]", second)
    page.wait_for_selector("[data-sent] .state-stored")
    page.click("[data-sent] a")
    page.click("#records ~ ul a[href^='/sessions/']")
    await_answer(page)
    assert "located" in page.text_content(".verdict").lower()
    assert "simulated" in page.text_content("h1")
    assert "Other sessions of this unit" in page.text_content("main")
    page.click("text=Open a case")
    page.wait_for_url("**/cases/*")
    page.select_option("[name=mechanism]", "not determined")
    page.select_option("[name=root_cause]", "not determined")
    page.fill("[name=conclusion]", "The gate that drives t4_n; cross-section ordered.")
    page.click("text=Save conclusion")
    page.click("button:has-text('Sign off')")
    page.wait_for_selector("h1 .state-stored")
    page.emulate_media(media="print")
    assert not page.is_visible("nav")
    screenshot(page, fab.screenshots, "path 2 the case on paper")
    assert not complaints.take()
    page.context.close()


def test_what_is_simulated_is_drawn_beside_and_is_state_of_the_address(fab: Fab) -> None:
    page, complaints = fab.open()
    page.goto(f"/waveforms?{waveforms_of(fab, fab.ids['session'])}")
    page.click("text=Simulate what these nets should do")
    page.wait_for_selector("[data-show]")
    page.wait_for_selector("canvas[data-drawn]")
    page.focus("canvas")
    for key in ("s", "u", "l", "e", "l", "v", "a", "]"):
        page.keyboard.press(key)
    page.click("text=Mixture of nets under a spot")
    page.click("text=Add a net")
    page.wait_for_url("**mix=0*0.5**")
    page.locator("[data-fit]", has_text=" + ").first.wait_for()
    address = page.url
    for part in ("show=difference", "suspect=1", "edges=1", "levels=1"):
        assert part in address, part
    assert "waveform-comparisons" in page.get_attribute("[data-api]", "href")
    page.goto(address)
    page.locator("[data-fit]", has_text=" + ").first.wait_for()
    assert page.input_value("[data-show]") == "difference"
    assert not complaints.take()
    page.context.close()


def test_the_first_view_is_asked_for_once_and_again_only_for_a_screen_that_shows_more(fab: Fab) -> None:
    count = "performance.getEntriesByType('resource').filter(({name}) => name.includes('/waveform-views?')).length"
    waveforms = waveforms_of(fab, fab.ids["clean"])
    for ratio, views in ((1, 1), (2, 2)):
        page, complaints = fab.open(device_scale_factor=ratio)
        page.goto(f"/waveforms?{waveforms}&show=measured")
        settle(page)
        assert page.get_attribute("[data-viewer]", "data-first-bins") == "2048"
        assert page.evaluate(count) == views, ratio
        assert not complaints.take()
        page.context.close()


def test_the_logic_of_a_waveform_is_its_own_nets_whatever_lies_under_the_spot(fab: Fab) -> None:
    page, complaints = fab.open()
    page.goto("/")
    own, neighbour = "01101001", "00110011"
    found = page.evaluate(
        """async ([a, b]) => {
            const { Logic, decide } = await import("/console/waveform-logic.mjs");
            const pack = (bits) => btoa(String.fromCharCode(parseInt(bits, 2)));
            const logic = new Logic({ cycle_s: 1e-8, cycles: 8, suspects: [], waveforms: [],
                nets: [{ net: "a", bits: pack(a) }, { net: "b", bits: pack(b) }] });
            const fit = { offset: 5, swing: 2, residual: 0.05 };
            const mixture = [{ net: "a", weight: -0.4 }, { net: "b", weight: 0.6 }];
            const { own, rest } = logic.besides("a", mixture, 0);
            const levels = [...a].map((bit, i) => 5 + 2 * (0.6 * b[i] - 0.4 * bit));
            return levels.map((level, i) => decide(level, fit, own, rest[i])).join("");
        }""",
        [own, neighbour],
    )
    assert found == own
    assert not complaints.take()
    page.context.close()


def test_a_report_is_scheduled_tried_out_and_sent(fab: Fab) -> None:
    """Due times while typing, the draft in the address, a report to look at, the schedule, one confirmed sending."""
    page, complaints = fab.open()
    page.goto("/reliability/schedules")
    page.click("text=New schedule")
    page.fill("[name=name]", "Weekly oxide")
    page.fill("[name=cron]", "30 7 * * 1")
    page.fill("[name=time_zone]", "Asia/Tokyo")
    page.wait_for_selector("[data-due] >> text=JST")
    assert "At 07:30 on Monday" in page.text_content("[data-due]")
    page.fill("[name=target_fit]", "-1")
    page.fill("[name=recipients]", RECIPIENTS[0])
    page.wait_for_url("**recipients=**")
    address = page.url
    page.goto(address)
    assert page.input_value("[name=time_zone]") == "Asia/Tokyo"
    assert page.input_value("[name=recipients]") == RECIPIENTS[0]
    page.click("text=Make the schedule")
    page.wait_for_selector("#wrong-target_fit")
    assert [each for each in complaints.take() if not each.startswith(("422", "console"))] == []
    assert not audit(page)
    page.fill("[name=target_fit]", "50")
    page.click("text=Make its report without sending it")
    page.wait_for_selector("#scorecard")
    assert "mailed to nobody" in page.text_content("[aria-labelledby=deliveries]")
    assert page.frame_locator("iframe").locator("h1").text_content() == "Weekly oxide"
    page.goto(address)
    page.fill("[name=target_fit]", "50")
    page.click("text=Make the schedule")
    page.click("text=Send now")
    assert RECIPIENTS[0] in page.text_content("main")
    page.click("text=Make and send it")
    page.wait_for_selector("#scorecard")
    for _ in range(PATIENCE_MS // 500):
        if page.locator("#deliveries ~ .scroll .state-delivered").count():
            break
        page.wait_for_timeout(500)
        page.reload()
    assert page.locator("#deliveries ~ .scroll .state-delivered").count() == 1
    with page.expect_download() as download:
        page.click("text=PDF,")
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
    assert not complaints.take()
    page.context.close()


def test_the_layout_tells_nets_at_a_place_and_goes_to_a_defect(fab: Fab) -> None:
    page, complaints = fab.open()
    page.goto(f"/layouts/{fab.ids['layout']}")
    page.wait_for_selector("canvas[data-drawn]")
    page.fill("[name=x_um]", "0.84")
    page.fill("[name=y_um]", "5")
    page.click("text=Which nets are there?")
    page.wait_for_selector("[data-nets-answer] table")
    assert "met2" in page.text_content("[data-nets-answer]")
    page.click("[data-show-defect='0']")
    page.wait_for_url("**defect=0**")
    assert "criticality" in page.text_content("[data-status]")
    page.fill(".table-tools input", "met2")
    assert page.locator("[data-defect]:visible").count() < page.locator("[data-defect]").count()
    with page.expect_download() as download:
        page.click("text=CSV of these rows")
    assert download.value.suggested_filename == "defects.csv"
    assert not complaints.take()
    page.context.close()


def test_a_table_in_a_page_keeps_its_state_in_the_address_and_gives_its_rows_as_parquet(fab: Fab) -> None:
    page, complaints = fab.open()
    page.goto(f"/sessions/{fab.ids['clean']}")
    rows = page.locator("#suspects ~ .scroll tbody tr")
    whole = rows.count()
    page.click("#suspects ~ .scroll th button:has-text('Rank')")
    page.click("#suspects ~ .scroll th button:has-text('Rank')")
    page.wait_for_url("**sort.suspects=-Rank**")
    last = rows.first.inner_text()
    page.get_by_label("Filter the rows of suspects").fill(rows.first.locator("td").nth(1).inner_text().split()[0])
    page.wait_for_url("**filter.suspects=**")
    with page.expect_download() as download:
        page.locator(".table-tools", has=page.get_by_label("Filter the rows of suspects")).get_by_text(
            "Parquet"
        ).click()
    found = parquet.read_table(download.value.path())
    assert "sort.suspects=-Rank" in page.url
    assert found.column_names[:4] == ["Rank", "Gate output", "Fault", "Posterior"]
    assert found["Rank"][0].as_py() == whole
    page.reload()
    assert page.locator("th[aria-sort=descending]").first.inner_text().startswith("Rank")
    assert rows.first.inner_text() == last
    assert page.get_by_label("Filter the rows of suspects").input_value()
    assert page.locator("#suspects ~ .scroll tbody tr:visible").count() == found.num_rows
    assert not complaints.take() + audit(page)
    page.goto("/waveforms?sort.rows=Samples")
    page.click("th a.sort")
    page.wait_for_url("**order=oldest**")
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Read")
    assert not complaints.take() + audit(page)
    page.context.close()


def test_tables_do_not_move_the_page_when_their_tools_come_or_their_state_is_restored(fab: Fab) -> None:
    shifts = """() => new Promise((resolve) => {
        let sum = 0;
        const add = (list) => { for (const each of list.getEntries()) sum += each.value; };
        new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
        setTimeout(() => resolve(sum), 500);
    })"""
    page, complaints = fab.open()
    session, layout = f"/sessions/{fab.ids['clean']}", f"/layouts/{fab.ids['layout']}"
    moved = {}
    for path in (
        session,
        f"{session}?sort.suspects=-Rank&filter.suspects=t4",
        layout,
        "/operations",
        "/waveforms",
        "/upload",
    ):
        page.goto(path)
        settle(page)
        moved[path] = page.evaluate(shifts)
    assert max(moved.values()) < 0.01, moved
    assert not complaints.take()
    page.context.close()


def test_pictures_of_the_readme(fab: Fab) -> None:
    """Written where FAULTLIGHT_PICTURES says, as `make pictures` does."""
    folder = Path(os.environ.get("FAULTLIGHT_PICTURES", fab.screenshots / "readme"))
    folder.mkdir(parents=True, exist_ok=True)
    clean = waveforms_of(fab, fab.ids["clean"])
    views = {
        "session": f"/sessions/{fab.ids['clean']}",
        "waveforms": f"/waveforms?{clean}&show=both&edges=1&hidden=0,4,5&from=0&to=2e-7",
        "layout": f"/layouts/{fab.ids['layout']}?span=12&defect=2",
        "printing": f"/layouts/{fab.ids['clip']}/printing",
    }
    page, complaints = fab.open()
    for name, path in views.items():
        page.goto(path)
        settle(page)
        page.screenshot(path=folder / f"{name}.png")
        assert (folder / f"{name}.png").stat().st_size > 20_000
    assert not complaints.take()
    page.context.close()


def make_archives(folder: Path) -> tuple[Path, Path]:
    """The same die twice: two probes and no fail log, then eight probes and the log."""
    archives = []
    for name, probes, tested in (("first", 2, False), ("second", 8, True)):
        session = folder / name
        session.mkdir()
        make_session(session, DieOptions(seed=20, probes=probes))
        if not tested:
            (session / "fails.csv").write_text("cycle,output\n")
        archives.append(Path(shutil.make_archive(str(folder / f"{name}-session"), "zip", session)))
    return archives[0], archives[1]


def await_answer(page: Any) -> None:
    """Watch the page of a session, which reloads itself when its job has ended."""
    page.wait_for_selector(".verdict")


def drop(page: Any, name: str, content: bytes) -> None:
    page.evaluate(DROP, [name, base64.b64encode(content).decode()])


def test_a_file_that_is_dropped_is_read_or_refused_with_the_reason(fab: Fab) -> None:
    page, complaints = fab.open()
    page.goto("/upload")
    drop(page, "good.csv", b"time_s,v_V\n0,1\n1e-9,2\n2e-9,1\n")
    page.wait_for_selector("[data-sent] .state-stored")
    drop(page, "torn.trc", b"#9000800000WAVEDESC" + bytes(range(200)) * 4)
    page.wait_for_selector("[data-sent] .state-quarantined")
    told = page.text_content("[data-sent] tr:has(.state-quarantined)")
    assert "torn.trc" in told
    assert "WAVEDESC" in told
    assert not complaints.take()
    page.context.close()


@pytest.mark.parametrize("path", ["cases/{case}", "sessions/{session}"])
def test_paper_is_black_on_white_whatever_the_theme_and_keeps_the_headings_of_tables(fab: Fab, path: str) -> None:
    page, complaints = fab.open("dark")
    page.goto(f"/{path.format(**fab.ids)}")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("main table th").first.inner_text().strip()
    assert page.locator("main input:visible").count() == 0
    assert not complaints.take()
    page.context.close()
