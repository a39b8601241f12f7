"""The slider and your own photographs as plain pages: Voila runs notebooks 03 and 06 and shows what they show."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataError, HierlibError
from ..files import replacing
from .reproduce import NOTEBOOKS, surrounded

SERVED = ("03_decode", "06_your_photos")
TEMPLATES = Path(__file__).parent / "page"
LOOPBACK = "127.0.0.1"


class AppError(HierlibError):
    """A port that is taken, or a Voila that ended by itself."""


def prepare(folder: str | Path, notebooks: str | Path = NOTEBOOKS) -> Path:
    """Copy the served notebooks, and no others, into ``folder``. Raises DataError where they are not at hand."""
    folder = Path(folder)
    for name in SERVED:
        source = Path(notebooks) / f"{name}.ipynb"
        if not source.is_file():
            raise DataError(f"{source} is not there: the app is served from a checkout, run it from one.")
        with replacing(folder / source.name) as temporary:
            shutil.copy(source, temporary)
    return folder


def command(folder: Path, port: int, browser: bool) -> list[str]:
    """How Voila is called: on loopback only, these notebooks only, sources hidden."""
    return [
        *(sys.executable, "-m", "voila", str(folder.resolve()), f"--port={port}", f"--Voila.ip={LOOPBACK}"),
        # a page that is left does not always end its kernel: those idle and unconnected are ended after ten minutes
        *("--MappingKernelManager.cull_idle_timeout=600", "--MappingKernelManager.cull_interval=60"),
        *("--Voila.port_retries=0", "--VoilaConfiguration.template=hierlib", "--VoilaExecutor.timeout=300"),
        *([] if browser else ["--no-browser"]),
    ]


@contextmanager
def surroundings() -> Iterator[None]:
    """Kernels of this interpreter, and our page template, which asks no CDN for anything, where Voila looks for it."""
    with surrounded():
        before = os.environ["JUPYTER_PATH"]
        os.environ["JUPYTER_PATH"] = os.pathsep.join((str(TEMPLATES), before))
        try:
            yield
        finally:
            os.environ["JUPYTER_PATH"] = before


def serve(port: int = 8866, folder: str | Path = "runs/app", *, browser: bool = True) -> None:
    """Serve until Ctrl-C. What the notebooks write goes below ``folder``. Raises AppError for a port that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise AppError(f"Port {port} cannot be listened to ({error.strerror}): name another by --port.") from None
    place = prepare(folder)
    pages = ", ".join(f"http://{LOOPBACK}:{port}/voila/render/{name}.ipynb" for name in SERVED)
    print(f"{pages}\nA page takes some ten seconds to appear: its notebook is run first. Ctrl-C ends it.", flush=True)
    with surroundings():
        code = subprocess.run(command(place, port, browser), check=False).returncode
    if code not in (0, -2, 130):
        raise AppError(f"Voila ended with exit code {code}; what it said stands above.")
