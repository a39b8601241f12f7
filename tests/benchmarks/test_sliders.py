"""How quick the workbook is: opening 03, a step of its slider in JupyterLab and in the report, the exact-N box.

Bars: first slider within 60 s; a step's median under 50 ms, 95th percentile under 100 ms; an exact-N decode of 256x256
under 300 ms. Printed with the load of the machine, judged by nobody: a busy machine is no mistake of the workbook.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from browsing import browser, lab, port  # noqa: F401  fixtures of the browser tests
from driving import MARKS, STEP_TIMES, keep, listen, open_notebook, run_all

pytestmark = MARKS
PAGE_STEPS = """async () => {
    const range = document.querySelector('#coarse-to-fine input'), times = [];
    const steps = [...Array(+range.max + 1).keys()];
    for (const i of [...steps, ...steps.reverse()]) {
        const start = performance.now();
        range.value = i;
        range.dispatchEvent(new Event('input'));
        await document.querySelector('#coarse-to-fine img.frame').decode();
        await new Promise(r => requestAnimationFrame(r));
        times.push(performance.now() - start);
    }
    return times; }"""
KEYS = (["ArrowRight"] * 12 + ["ArrowLeft"] * 12) * 2  # from the middle, so that no key meets the end


def say(what: str, times_ms: list[float]) -> None:
    ordered = sorted(times_ms)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(f"\n{what}: median {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms of {len(ordered)} (load {load})")


def test_the_exported_page(browser, tmp_path):  # noqa: F811
    import hierlib
    from hierlib import classifiers, hierarchy
    from hierlib.images.pictures import demonstration
    from hierlib.views.album import export
    from hierlib.views.ladder import climb

    judge = classifiers.load("tiny")
    tree = hierarchy.load("tiny-clip").restrict(judge.wnids)
    coffee = demonstration(256, ("coffee",))["coffee"]
    ladder = climb(hierlib.load("tiny"), coffee, tree, judge, picture="coffee", rungs=32)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints = listen(page)
    page.goto(export(tmp_path / "page.html", [ladder]).as_uri())
    for _ in range(3):
        say("step of the slider in the exported page", page.evaluate(PAGE_STEPS))
    page.close()
    assert complaints == []


def test_03_in_jupyterlab(lab, browser):  # noqa: F811
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    complaints = listen(page)
    started = time.monotonic()
    open_notebook(page, *lab, "03_decode.ipynb")
    opened = time.monotonic()
    run_all(page)
    page.locator(".hier-ui").first.wait_for(state="attached", timeout=180_000)
    page.locator(".hier-ui").first.scroll_into_view_if_needed()
    page.locator(".hier-ui img.hier-img:visible").first.wait_for(timeout=60_000)
    ready = time.monotonic()
    print(f"\nopened in {opened - started:.1f} s, first slider {ready - started:.1f} s after opening 03")
    page.locator(".hier-live img.hier-live-img").wait_for(timeout=180_000)
    page.wait_for_timeout(15_000)  # the cells below
    page.locator(".hier-ui").first.scroll_into_view_if_needed()
    page.locator(".hier-ui .noUi-handle").first.focus()
    for _ in range(3):
        steps = page.evaluate(STEP_TIMES, [".hier-ui .noUi-handle", KEYS, ".hier-ui img.hier-img"])
        say("step of the slider in JupyterLab", steps)
    keep(page, "bench_lab")
    live = page.locator(".hier-live")
    live.scroll_into_view_if_needed()
    seen = []
    for n in (1000, 1500, 2000, 700, 2500, 300):
        live.locator("input").first.fill(str(n))
        start = time.monotonic()
        live.locator("input").first.press("Enter")
        live.get_by_text(f"{n:,}", exact=True).wait_for(timeout=60_000)
        seen.append(1000 * (time.monotonic() - start))
    say("exact-N, 256x256, key to picture", seen)
    page.close()
    assert complaints == []
