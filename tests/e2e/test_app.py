"""Notebooks 03 and 06 as plain pages: Voila runs them, mouse and keyboard move what they show, no code to be seen."""

from __future__ import annotations

import pytest
from driving import MARKS, PIXELS, drag, keep, listen, served, with_parameters

from hierlib.views.app import command, prepare, surroundings

pytestmark = MARKS


@pytest.fixture
def app(tmp_path, port):
    """The app on loopback; yields its address."""
    address, folder = f"http://127.0.0.1:{port}", prepare(tmp_path / "app")
    with_parameters(folder / "03_decode.ipynb", pictures="coffee", rungs=12)  # the way is tested, not the time
    with_parameters(folder / "06_your_photos.ipynb", size=64, rungs=8)
    with surroundings(), served(command(folder, port, False), address, tmp_path, tmp_path / "log"):
        yield address


def test_the_slider_moves_in_the_app_and_your_photographs_are_there(app, browser):
    page, complaints = visit(browser, app, "03_decode")
    slider = page.locator(".hier-ui")
    slider.locator("img.hier-img:visible").first.wait_for(timeout=180_000)
    assert page.locator(".jp-CodeCell .jp-InputArea-editor:visible").count() == 0
    picture, crumbs = slider.locator("img.hier-img:visible").first, slider.locator(".hier-crumbs:visible").first
    before = picture.evaluate(PIXELS), crumbs.inner_text()
    slider.scroll_into_view_if_needed()
    drag(page, slider.locator(".noUi-handle").first, slider.locator(".noUi-target").first, 0.8)
    dragged = picture.evaluate(PIXELS), crumbs.inner_text()
    assert before[0] != dragged[0]
    assert before[1] != dragged[1]
    slider.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(500)
    assert picture.evaluate(PIXELS) != dragged[0]
    keep(page, "voila_slider")
    live = page.locator(".hier-live")
    live.locator("input").first.fill("321")
    live.locator("input").first.press("Enter")
    live.get_by_text("321", exact=True).wait_for(timeout=60_000)
    stop = page.locator(".hier-stop")
    stop.scroll_into_view_if_needed()
    stop.get_by_role("button", name="Receive").click()
    stop.get_by_text("enough").or_(stop.get_by_text("bytes after")).first.wait_for(timeout=60_000)
    keep(page, "voila_stop")
    assert complaints == []
    page.close()

    page, complaints = visit(browser, app, "06_your_photos")
    desk = page.locator(".hier-desk")
    desk.locator("img.hier-img:visible").first.wait_for(timeout=180_000)
    desk.scroll_into_view_if_needed()
    keep(page, "voila_photos")
    assert complaints == []
    page.close()


def visit(browser, app: str, name: str):
    """A page of the app, and what the browser complains of on it, requests to anybody else included."""
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    complaints = listen(page)
    page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith((app, "data:", "blob:")) else None)
    page.on("response", lambda r: complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.goto(f"{app}/voila/render/{name}.ipynb", timeout=240_000)
    return page, complaints
