"""What a run logged: one JSON object a line, written by ``loop.run``, read by all who draw it."""

from __future__ import annotations

import json
from pathlib import Path

NAME = "metrics.jsonl"  # in the folder of a run


def logged(path: Path) -> list[dict[str, float]]:
    """The lines of a run's log, none if it has no log; without one that is being written, or was when a run died."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        rows.append(row)
    return rows
