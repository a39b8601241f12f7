"""Notebook 01 in JupyterLab: the map's level switch, the tree, the K slider, and a tree edited by hand and saved."""

from __future__ import annotations

from driving import MARKS, idle, keep, open_notebook, run_all, show

pytestmark = MARKS


def test_the_hierarchy_laboratory_moves_in_jupyterlab(lab, browser):
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    open_notebook(page, *lab, "01_hierarchy.ipynb")
    run_all(page)
    idle(page)

    show(page, page.locator(".js-plotly-plot"))
    plot = page.locator(".js-plotly-plot").first
    colours = "e => new Set(e.data[0].marker.color).size"
    assert plot.evaluate(colours) == 10
    plot.locator(".updatemenu-button").nth(1).click()
    page.wait_for_timeout(500)
    assert plot.evaluate(colours) == 100
    x, y = plot.evaluate("""e => { const f = e._fullLayout, box = e.getBoundingClientRect(), d = e.data[0];
        return [box.x + f.xaxis._offset + f.xaxis.l2p(d.x[0]), box.y + f.yaxis._offset + f.yaxis.l2p(d.y[0])]; }""")
    page.mouse.move(x - 40, y - 40)
    page.mouse.move(x, y, steps=4)
    plot.locator(".hoverlayer", has_text="intermediate: ").wait_for(timeout=10_000)
    keep(page, "lab_hierarchy_map")

    tree = show(page, page.locator("details", has_text="vehicle"))
    tree.locator("summary").first.click()
    assert tree.get_attribute("open") is not None
    assert tree.locator("details").count() > 3
    keep(page, "lab_hierarchy_tree")

    handle = show(page, page.locator(".widget-hslider .noUi-handle, .jp-OutputArea .noUi-handle"))
    pages = page.locator(".widget-html:visible", has_text="largest group")
    before = pages.first.inner_text()
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    after = pages.first.inner_text()
    assert before != after
    assert "intra" in after
    keep(page, "lab_hierarchy_slider")

    rename = show(page, page.get_by_role("button", name="Rename"))
    keep(page, "lab_hierarchy_editor_before")
    box = page.locator(".widget-text:visible", has_text="name").locator("input")
    assert box.input_value() == "invertebrate"
    box.fill("everything that crawls")
    box.press("Tab")
    rename.click()
    page.locator("details", has_text="everything that crawls").first.wait_for(timeout=30_000)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved to").first.wait_for(timeout=30_000)
    keep(page, "lab_hierarchy_editor")
    content = b"wnid,name\nn01443537,goldfish\nn02123045,tabby\nn02124075,mau\n"
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload a CSV").click()
    chooser.value.set_files({"name": "mine.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_text("3 classes; level1 K=2, level2 K=3").wait_for(timeout=30_000)
    keep(page, "lab_hierarchy_upload")
    page.close()
    assert complaints == []
