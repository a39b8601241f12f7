"""Notebook 06 in JupyterLab: pictures uploaded with a broken one and a wrong table, a look at each view, the page."""

from __future__ import annotations

from driving import MARKS, PIXELS, drag, keep, listen, open_notebook, run_all, show, with_parameters

from hierlib.images.pictures import demonstration, png_bytes

pytestmark = MARKS


def test_your_own_pictures_from_upload_to_the_exported_page(lab, browser, tmp_path):
    page = browser.new_page(viewport={"width": 1400, "height": 1200}, accept_downloads=True)
    complaints = listen(page)
    with_parameters(tmp_path / "work" / "06_your_photos.ipynb", size=64, rungs=8)  # the way is tested, not the time
    open_notebook(page, *lab, "06_your_photos.ipynb")
    run_all(page)
    desk = show(page, page.locator(".hier-desk"))
    desk.locator("img.hier-img:visible").first.wait_for(timeout=120_000)
    assert "spaceman" in page.locator(".hier-notes").first.inner_text()

    cat = demonstration(96, ("chelsea",))["chelsea"]
    table = b"file,class\nmine.png,tabby cat\nbroken.jpg,dog\n"
    with page.expect_file_chooser() as chooser:
        desk.get_by_role("button", name="Upload pictures, CSV").click()
    chooser.value.set_files(
        [
            {"name": "mine.png", "mimeType": "image/png", "buffer": png_bytes(cat)},
            {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"},
            {"name": "classes.csv", "mimeType": "text/csv", "buffer": table},
        ]
    )
    desk.locator(".hier-notes", has_text="broken.jpg is no picture").wait_for(timeout=120_000)
    desk.locator("option", has_text="mine").first.wait_for(state="attached", timeout=60_000)
    picture = desk.locator("img.hier-img:visible").first
    picture.wait_for(timeout=60_000)
    before = picture.evaluate(PIXELS)
    knob = desk.locator(".noUi-handle:visible").first
    drag(page, knob, desk.locator(".noUi-target:visible").first, 0.7)
    assert picture.evaluate(PIXELS) != before
    keep(page, "lab_photos_slider")
    for view, inside in (
        ("Stop sign", ".hier-stop"),
        ("Duel", ".hier-duel img:visible"),
        ("When known", ".hier-known"),
    ):
        desk.get_by_role("tab", name=view).click()
        desk.locator(inside).first.wait_for(timeout=120_000)
        keep(page, f"lab_photos_{view.split()[0].lower()}")
    desk.get_by_role("button", name="Export as a page").click()
    link = desk.get_by_role("link", name="download the page")
    link.wait_for(timeout=120_000)
    with page.expect_download() as download:
        link.click()
    exported = tmp_path / "photographs.html"
    download.value.save_as(exported)
    page.close()
    assert complaints == []

    alone = browser.new_page(viewport={"width": 390, "height": 844})
    complaints = listen(alone)
    alone.goto(exported.as_uri())
    slider = alone.locator("#coarse-to-fine input[type=range]")
    slider.focus()
    alone.keyboard.press("End")
    assert "tabby" in alone.locator("#coarse-to-fine .truth").first.inner_text()
    assert "broken.jpg" in alone.locator(".notes").inner_text()
    assert alone.evaluate("document.documentElement.scrollWidth") == 390
    keep(alone, "phone_photos_page", full_page=True)
    alone.close()
    assert complaints == []
