"""Your pictures as one HTML page: sliders, duel and survival, with nothing to install and nobody to ask."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from ..files import write_bytes
from .known import Panel
from .ladder import Ladder
from .report import LARGEST_REPORT, MASTHEAD, page_bytes, player


def album(
    ladders: Sequence[Ladder],
    duels: Mapping[str, Sequence[Ladder]] | None = None,
    panel: Panel | None = None,
    *,
    title: str = "photographs",
    notes: Sequence[str] = (),
) -> bytes:
    """The page. ladders: one a picture. duels: by picture, a ladder for each codec at equal budgets.

    notes: sentences about what was left out. Raises DataError for no picture, or a page beyond 15 MB.
    """
    if not ladders:
        raise DataError("There is no picture to export: load some first.")
    one_each = [{"picture": ladder.picture, "ladders": [ladder.as_dict()]} for ladder in ladders]
    several = [
        {"picture": name, "ladders": [each.as_dict() for each in rivals]} for name, rivals in (duels or {}).items()
    ]
    body = [MASTHEAD, player("coarse-to-fine", one_each, "Drag from the first byte to the last")]
    if notes:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        body.append(f'<ul class="notes">{items}</ul>')
    if several:
        body.append(player("same-bytes", several, "The same number of bytes, codec by codec"))
    if panel is not None:
        body.append(f'<section><h2>When did the machine know?</h2><div class="panel">{panel.html}</div></section>')
    page = page_bytes(title, "\n".join(body))
    if len(page) > LARGEST_REPORT:
        raise DataError(f"The page would be {len(page) / 1e6:.1f} MB, more than 15: export fewer or smaller pictures.")
    return page


def export(
    path: str | Path,
    ladders: Sequence[Ladder],
    duels: Mapping[str, Sequence[Ladder]] | None = None,
    panel: Panel | None = None,
    *,
    title: str = "photographs",
    notes: Sequence[str] = (),
) -> Path:
    """Write ``album(...)`` to ``path``, whole or not at all, and return it."""
    write_bytes(path, album(ladders, duels, panel, title=title, notes=notes))
    return Path(path)
