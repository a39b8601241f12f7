"""``<notebook>.results.json``: what a notebook found, for the report, for tests, and for the next reader's diff."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..files import write_json

PACKAGES = ("torch", "numpy", "pillow", "pandas")


def write_results(
    run_folder: str | Path, notebook: str, *, parameters: dict[str, Any], checks: dict[str, Any], **found: Any
) -> Path:
    """Write ``run_folder/<notebook>.results.json`` and return its path.

    parameters: the values the notebook ran with. checks: sentence -> whether it held. found: anything worth keeping
    under a name: numbers, texts, dictionaries, dataclasses, arrays, pandas frames (kept as a list of rows). What is no
    number in JSON (NaN, infinity) becomes null. Versions and hardware are added.
    """
    path = Path(run_folder) / f"{notebook}.results.json"
    content = {"parameters": parameters, "checks": checks, **found, "made_with": surroundings()}
    write_json(path, plain({"notebook": notebook, **content}))
    return path


def surroundings() -> dict[str, str]:
    """Versions and hardware that numbers may depend on."""
    from .. import __version__

    packages = {name: version(name) for name in PACKAGES}
    return {"hierlib": __version__, "python": platform.python_version(), **packages} | {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    }


def plain(value: Any) -> Any:
    """``value`` in JSON's types: arrays and tensors as lists, frames as rows, paths as text, NaN as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return plain(value.to_dict(orient="records"))
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
