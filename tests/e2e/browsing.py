"""A browser for all browser tests, and a JupyterLab for each that wants one."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import sys
import threading

import psutil
import pytest
from driving import CHROMIUM, FLAGS, ROOT, served


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[e2e]'")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()
        watchdog = threading.Timer(30, _end_driver)  # once in dozens of runs node did not exit, and its end is awaited
        watchdog.daemon = True
        watchdog.start()
    watchdog.cancel()


def _end_driver() -> None:
    for child in psutil.Process().children():
        if "node" in child.name():
            child.kill()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def lab(tmp_path, port):
    """JupyterLab with a token on loopback, its settings in a folder of its own; yields address and token."""
    work, configuration = tmp_path / "work", tmp_path / "configuration" / "labconfig"
    work.mkdir()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, work)
    configuration.mkdir(parents=True)
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # no pop-up over the page
    (configuration / "page_config.json").write_text(json.dumps(quiet))
    token, log = secrets.token_hex(16), tmp_path / "lab.log"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}"),
    ]
    address = f"http://127.0.0.1:{port}"
    with served(command, f"{address}/api/status?token={token}", tmp_path, log):
        yield address, token
