"""The sliders in a real browser: headless Chromium, mouse and keyboard.

    apt-get install -y --no-install-recommends chromium        # the browser, once
    pip install -e '.[e2e]'                                    # playwright; never `playwright install`

A screenshot of each page is kept in runs/screenshots, or in the folder that HIERLIB_SCREENSHOTS names.
"""

from __future__ import annotations

import pytest
from driving import MARKS, PIXELS, drag, end_kernels, keep, listen, open_notebook, run_all, show, with_parameters
from views_toys import ByColour, Pyramid, hierarchy, picture

from hierlib.views.known import known_of_ladders, save_panel
from hierlib.views.ladder import climb, save_ladders
from hierlib.views.report import write_report
from hierlib.views.results import write_results
from hierlib.views.sheet import save
from hierlib.views.strips import byte_budget

pytestmark = MARKS


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of two pictures and one duel."""
    run = tmp_path_factory.mktemp("run")
    for colour in ("blue", "red"):
        ladder = climb(Pyramid(), picture(colour), hierarchy(), ByColour(), picture=colour, wnid=colour, rungs=20)
        save_ladders(run, colour, [ladder])
    save_ladders(run, "red-duel", [ladder, ladder])
    save_panel(known_of_ladders([ladder]), run, "04_known")
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
    keep(page, "report", full_page=True)
    context.close()
    assert complaints == []


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


def test_a_step_of_the_survival_curve_shows_its_pictures_by_mouse_and_keyboard(page):
    panel = page.locator(".hier-known")
    steps = panel.locator("input[type=radio]")
    assert panel.locator(".kn-list:visible").count() == 0
    steps.first.click()
    first = panel.locator(".kn-list:visible")
    assert first.count() == 1
    before = first.inner_text()
    page.keyboard.press("ArrowRight")
    assert first.count() == 1
    assert first.inner_text() != before
    assert panel.locator(".kn-picture").count() > 0


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
    keep(page, f"phone_{scheme}", full_page=True)
    context.close()


def test_the_slider_and_the_exact_box_of_03_move_in_jupyterlab(lab, browser, tmp_path):
    with_parameters(tmp_path / "work" / "03_decode.ipynb", pictures="coffee")  # the others are made below the sliders
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    complaints = listen(page)
    open_notebook(page, *lab, "03_decode.ipynb")
    run_all(page)
    picture = page.locator(".hier-ui img.hier-img:visible")
    page.locator(".hier-ui").first.wait_for(state="attached", timeout=180_000)
    page.locator(".hier-ui").first.scroll_into_view_if_needed()
    picture.first.wait_for(timeout=30_000)
    before = picture.first.evaluate(PIXELS), page.locator(".hier-ui .hier-crumbs:visible").first.inner_text()
    handle = page.locator(".hier-ui .noUi-handle").first
    drag(page, handle, page.locator(".hier-ui .noUi-target").first, 0.5)
    dragged = picture.first.evaluate(PIXELS), page.locator(".hier-ui .hier-crumbs:visible").first.inner_text()
    assert before[0] != dragged[0]
    assert before[1] != dragged[1]
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    assert picture.first.evaluate(PIXELS) != dragged[0]
    keep(page, "lab_slider")
    live = page.locator(".hier-live")
    live.locator("img.hier-live-img").wait_for(timeout=120_000)
    live.scroll_into_view_if_needed()
    live.locator("input").fill("321")
    live.locator("input").press("Enter")
    live.get_by_text("321", exact=True).wait_for(timeout=60_000)  # decoded by the kernel, after the cells before it
    keep(page, "lab_exact")
    bought = show(page, page.locator(".hier-bought"))
    bought.locator("input").first.fill("400")
    bought.locator("input").first.press("Enter")
    bought.get_by_text("Bytes 300 to 400").wait_for(timeout=60_000)
    keep(page, "lab_bought")
    stop = show(page, page.locator(".hier-stop"))
    stop.get_by_role("button", name="Receive").click()
    stop.get_by_text("bytes after").or_(stop.get_by_text("enough")).first.wait_for(timeout=60_000)
    page.wait_for_timeout(3000)
    keep(page, "lab_stop")

    end_kernels(*lab)  # the slider needs none
    page.locator(".jp-WindowedPanel-outer").first.evaluate("e => e.scrollTo(0, 0)")
    show(page, page.locator(".hier-ui"))
    still = picture.first.evaluate(PIXELS)
    page.locator(".hier-ui .noUi-handle").first.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(500)
    assert picture.first.evaluate(PIXELS) != still
    assert "Needs the kernel" in page.locator(".hier-live").inner_text()
    keep(page, "lab_kernel_gone")
    page.close()
    assert complaints == []
