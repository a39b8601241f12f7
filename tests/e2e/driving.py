"""How the browser tests drive: Debian's chromium, a JupyterLab or a Voila of their own, mouse, keys, screenshots."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
MARKS = [
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
# Steps of a slider by arrow keys: from the key to the second frame after it, when what it changed has been painted.
STEP_TIMES = """async ([handle, press, picture]) => {
    const frame = () => new Promise(r => requestAnimationFrame(r)), times = [];
    const shown = () => [...document.querySelectorAll(picture)].find(e => e.offsetParent !== null)?.src;
    for (const key of press) {
        const before = shown(), start = performance.now();
        const target = document.querySelector(handle);
        const code = key === 'ArrowRight' ? 39 : 37;
        target.dispatchEvent(new KeyboardEvent('keydown', {key, code: key, keyCode: code, which: code, bubbles: true}));
        while (shown() === before && performance.now() - start < 3000) await frame();
        const image = [...document.querySelectorAll(picture)].find(e => e.offsetParent !== null);
        await image.decode().catch(() => null);
        times.push(performance.now() - start);
        await frame();
    }
    return times; }"""


def keep(page, name: str, full_page: bool = False) -> None:
    """A screenshot for people to look at, in HIERLIB_SCREENSHOTS or runs/screenshots."""
    folder = Path(os.environ.get("HIERLIB_SCREENSHOTS") or ROOT / "runs" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=full_page)


def listen(page) -> list[str]:
    """What the browser complains of from now on: exceptions, errors on the console."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    return complaints


@contextmanager
def served(command: list[str], address: str, home: Path, log: Path) -> Iterator[None]:
    """A server of this interpreter that keeps its own files under ``home``, for as long as the block lasts.

    Its log may hold no traceback until it is told to stop: sockets that close under it then are no fault of ours.
    """
    homes = ("JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
    environment = os.environ | {name: str(home / name.lower()) for name in homes}
    environment |= {"JUPYTER_CONFIG_DIR": str(home / "configuration"), "PYTHONPATH": str(ROOT)}
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environment) as server:
        try:
            wait_for(address, server, log)
            yield
            said = log.read_text()
            assert "Traceback" not in said, said[-3000:]
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


def open_notebook(page, address: str, token: str, name: str) -> None:
    """Open a notebook in JupyterLab and wait until its kernel is there."""
    page.goto(f"{address}/lab/tree/{name}?token={token}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    idle(page)


def idle(page) -> None:
    """Until the kernel is connected and has nothing to do."""
    page.wait_for_function(
        "() => document.querySelector('#jp-main-statusbar')?.innerText.includes('Idle')", timeout=180_000
    )


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


def show(page, locator):
    """Scroll to it: JupyterLab draws only the cells near the window, so go down until it is there."""
    for _ in range(60):
        if locator.count():
            break
        page.locator(".jp-WindowedPanel-outer").first.evaluate("e => e.scrollBy(0, 700)")
        page.wait_for_timeout(300)
    locator.first.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    return locator.first


def drag(page, knob, track, to: float) -> None:
    """Drag a slider's knob with the mouse to a share of its track."""
    start, way = knob.bounding_box(), track.bounding_box()
    middle = start["y"] + start["height"] / 2
    page.mouse.move(start["x"] + start["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(way["x"] + way["width"] * to, middle, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)


def with_parameters(notebook: Path, **values: object) -> None:
    """Write other values into a notebook's parameters cell, as a person would."""
    content = json.loads(notebook.read_text())
    (cell,) = (c for c in content["cells"] if "parameters" in c["metadata"].get("tags", []))
    for name, value in values.items():
        cell["source"] = [
            re.sub(r"= .*?(  #|$)", lambda m, v=value: f"= {v!r}{m[1]}", line, count=1)
            if line.startswith(f"{name}:")
            else line
            for line in cell["source"]
        ]
    notebook.write_text(json.dumps(content))


def end_kernels(address: str, token: str) -> None:
    """End every kernel of a JupyterLab, as one that dies would."""
    headers = {"Authorization": f"token {token}"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{address}/api/sessions", headers=headers), timeout=10
    ) as found:
        sessions = json.load(found)
    for session in sessions:
        gone = urllib.request.Request(f"{address}/api/sessions/{session['id']}", headers=headers, method="DELETE")
        urllib.request.urlopen(gone, timeout=30).close()
