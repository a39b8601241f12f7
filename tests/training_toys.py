"""A codec that trains in seconds, and processes that train it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hierlib.training.start import codec_recipe

BRIEF = replace(codec_recipe("ci"), name="brief", pictures="shapes:36", batch_size=4, steps=8, gamma=(0.0, 0.0, 0.0))


def python(script: str, *arguments: str | Path, root: Path, seconds: float = 170, **environment: str) -> str:
    """Run a script in a fresh interpreter, one thread; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{root}:{root / 'tests'}", **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
