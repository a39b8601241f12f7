"""The sliders in a real browser: headless Chromium, mouse and keyboard.

    apt-get install -y --no-install-recommends chromium        # the browser, once
    pip install -e '.[e2e]'                                    # playwright; never `playwright install`

A screenshot of each page is kept in the folder that HIERLIB_SCREENSHOTS names, if it is set.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from views_toys import ByColour, Pyramid, hierarchy, picture  # noqa: E402

from hierlib.views.ladder import climb, save_ladders  # noqa: E402
from hierlib.views.report import write_report  # noqa: E402
from hierlib.views.results import write_results  # noqa: E402
from hierlib.views.sheet import save  # noqa: E402
from hierlib.views.strips import byte_budget  # noqa: E402

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(420),
    pytest.mark.skipif(not CHROMIUM, reason="no chromium found: apt-get install -y --no-install-recommends chromium"),
]
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PIXELS = """async e => {
    if (!e.complete) await new Promise(r => e.onload = r);
    const c = document.createElement('canvas'); c.width = e.naturalWidth; c.height = e.naturalHeight;
    c.getContext('2d').drawImage(e, 0, 0); return c.toDataURL(); }"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[e2e]'")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of two pictures and one duel."""
    run = tmp_path_factory.mktemp("run")
    for colour in ("blue", "red"):
        ladder = climb(Pyramid(), picture(colour), hierarchy(), ByColour(), picture=colour, wnid=colour, rungs=20)
        save_ladders(run, colour, [ladder])
    save_ladders(run, "red-duel", [ladder, ladder])
    save(byte_budget({"header": 2, "rest": 4095}), run, "03_bytes", "Where the bytes went.")
    for name in ("03_decode", "04_compare"):
        write_results(run, name, parameters={}, checks={"it ran": True}, cuts=ladder.table())
    return write_report(run)


@pytest.fixture
def page(browser, report):
    """The report, opened from the disk; the test fails if the browser complains of anything or asks for anything."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
    page.goto(report.as_uri())
    yield page
    keep(page, "report")
    context.close()
    assert complaints == []


def keep(page, name: str) -> None:
    folder = os.environ.get("HIERLIB_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def state(page) -> tuple[str, str, str]:
    """What the first player shows: pixels, bytes, breadcrumb."""
    player = page.locator("#coarse-to-fine")
    frame = player.locator("img.frame")
    return frame.evaluate(PIXELS), player.locator(".count b").inner_text(), player.locator(".crumbs").inner_text()


def test_mouse_and_keyboard_move_picture_bytes_and_breadcrumb(page):
    slider = page.locator("#coarse-to-fine input[type=range]")
    slider.focus()
    page.keyboard.press("Home")
    nothing = state(page)
    assert nothing[1] == "0"
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 12, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=8)
    page.mouse.up()
    dragged = state(page)
    assert all(before != after for before, after in zip(nothing, dragged))
    assert 0 < int(dragged[1].replace(",", "")) < 4097
    page.keyboard.press("ArrowRight")
    stepped = state(page)
    assert int(stepped[1].replace(",", "")) > int(dragged[1].replace(",", ""))
    page.keyboard.press("End")
    whole = state(page)
    assert whole[1] == "4,097"
    assert "cold ✓" in whole[2]
    assert "blue ✓" in whole[2]
    assert "4,097 bytes: cold" in slider.get_attribute("aria-valuetext")


def test_a_step_is_faster_than_the_eye(page):
    times = page.evaluate("""async () => {
        const range = document.querySelector('#coarse-to-fine input'), times = [];
        for (let i = 0; i <= +range.max; i++) {
            const start = performance.now();
            range.value = i;
            range.dispatchEvent(new Event('input'));
            await document.querySelector('#coarse-to-fine img.frame').decode();
            times.push(performance.now() - start);
        }
        return times; }""")
    shown = page.locator("#coarse-to-fine .count b").inner_text()
    print(f"step of the slider: median {sorted(times)[len(times) // 2]:.1f} ms of {len(times)}")
    assert shown == "4,097"


def test_thumbnails_change_the_picture_and_play_moves_on(page):
    player = page.locator("#coarse-to-fine")
    first = state(page)
    player.get_by_role("button", name="red").click()
    second = state(page)
    assert first[0] != second[0]
    assert "red" in second[2]
    before = page.locator("#coarse-to-fine input").input_value()
    player.get_by_role("button", name="Play").click()
    page.wait_for_function(f"document.querySelector('#coarse-to-fine input').value > {before}", timeout=10_000)
    player.get_by_role("button", name="Pause").click()


def test_the_duel_moves_all_its_panes_together(page):
    player = page.locator("#same-bytes")
    assert player.locator("img.frame").count() == 2
    player.locator("input").focus()
    page.keyboard.press("End")
    assert player.locator(".count b").all_inner_texts() == ["4,097", "4,097"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling_and_text_stands_out(browser, report, scheme):
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    light = [sum(map(int, colour[4:-1].split(","))) / 765 for colour in colours]
    assert abs(light[0] - light[1]) > 0.6
    assert (light[1] > 0.5) == (scheme == "light")
    keep(page, f"phone_{scheme}")
    context.close()


@pytest.fixture
def lab(tmp_path):
    """JupyterLab with a token on loopback, its settings in a folder of its own; yields address and token."""
    work, configuration = tmp_path / "work", tmp_path / "configuration" / "labconfig"
    work.mkdir()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, work)
    configuration.mkdir(parents=True)
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # no pop-up over the page
    (configuration / "page_config.json").write_text(json.dumps(quiet))
    homes = ("JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
    environment = os.environ | {name: str(tmp_path / name.lower()) for name in homes}
    environment |= {"JUPYTER_CONFIG_DIR": str(configuration.parent), "PYTHONPATH": str(ROOT)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token, log = secrets.token_hex(16), tmp_path / "lab.log"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}"),
    ]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environment) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server, log)
            yield f"http://127.0.0.1:{port}", token
        finally:
            server.terminate()
            server.wait(30)


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 120
    while not answers(address):
        assert server.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < until, log.read_text()[-3000:]
        time.sleep(0.3)


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except OSError:
        return False
    return True


def run_all(page) -> None:
    """Run > Run All Cells until a prompt shows that it took.

    The status says idle a moment before the session is ready; Run All is dropped silently in that gap.
    """
    assert any(_run_all_took(page) for _ in range(12)), "Run All never started"


def _run_all_took(page) -> bool:
    from playwright.sync_api import TimeoutError as NotYet

    if page.locator(".jp-Dialog").count():  # asked too early, it asks which kernel is meant
        page.keyboard.press("Escape")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    begun = r"""() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
        .some(e => /\[(\*|\d+)\]/.test(e.textContent))"""
    try:
        page.wait_for_function(begun, timeout=3000)
    except NotYet:
        return False
    return True


def test_the_slider_and_the_exact_box_of_03_move_in_jupyterlab(lab, browser):
    address, token = lab
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{address}/lab/tree/03_decode.ipynb?token={token}&reset")
    idle = "() => document.querySelector('#jp-main-statusbar')?.innerText.includes('Idle')"  # connected, too
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    page.wait_for_function(idle, timeout=90_000)
    run_all(page)
    picture = page.locator(".hier-ui img.hier-img:visible")
    page.locator(".hier-ui").first.wait_for(state="attached", timeout=180_000)
    page.locator(".hier-ui").first.scroll_into_view_if_needed()
    picture.first.wait_for(timeout=30_000)
    before = picture.first.evaluate(PIXELS), page.locator(".hier-ui .hier-crumbs:visible").first.inner_text()
    handle = page.locator(".hier-ui .noUi-handle").first
    knob, track = handle.bounding_box(), page.locator(".hier-ui .noUi-target").first.bounding_box()
    middle = knob["y"] + knob["height"] / 2
    page.mouse.move(knob["x"] + knob["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] * 0.5, middle, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)
    dragged = picture.first.evaluate(PIXELS), page.locator(".hier-ui .hier-crumbs:visible").first.inner_text()
    assert before[0] != dragged[0]
    assert before[1] != dragged[1]
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    assert picture.first.evaluate(PIXELS) != dragged[0]
    live = page.locator(".hier-live")
    live.locator("img.hier-live-img").wait_for(timeout=120_000)
    live.scroll_into_view_if_needed()
    live.locator("input").fill("321")
    live.locator("input").press("Enter")
    live.get_by_text("321", exact=True).wait_for(timeout=60_000)  # decoded by the kernel, after the cells before it
    keep(page, "lab")
    page.close()
    assert complaints == []
