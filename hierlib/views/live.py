"""How a run is doing, while it runs: where each level stands between bytes and quality."""

from __future__ import annotations

import io
import math
import time
from typing import TYPE_CHECKING, Any

from .palette import FAINT, level_colour
from .sheet import sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def progress_of_levels(rows: list[dict[str, float]]) -> Figure:
    """Two panels over estimated bytes: PSNR of the mean squared error, and right answers; a path for each level.

    rows: lines of a run's metrics, oldest first. A path begins thin where the run began and ends in a dot, now.
    """
    figure, axes = sheet(8.4, 3.2, 1, 2)
    levels = sorted({int(key[4:]) for row in rows for key in row if key.startswith("mse_")})
    for axis, key, title in zip(axes[0], ("mse", "right"), ("PSNR, dB", "right answers"), strict=True):
        for level in levels:
            points = [
                (row[f"bytes_{level}"], _psnr(row[f"mse_{level}"]) if key == "mse" else row[f"{key}_{level}"])
                for row in rows
                if f"{key}_{level}" in row and f"bytes_{level}" in row
            ]
            if points:
                hue = level_colour(level - 1)
                axis.plot(*zip(*points, strict=True), color=hue, linewidth=1.0, alpha=0.6)
                axis.plot(*points[-1], "o", color=hue, label=f"level {level}")
        axis.set(title=title, xlabel="bytes (estimated)")
        if axis.get_legend_handles_labels()[0]:
            axis.legend()
        else:
            axis.text(0.5, 0.5, "not asked yet", transform=axis.transAxes, ha="center", color=FAINT)
    if rows:
        speed = rows[-1].get("steps_per_s")
        figure.suptitle(f"step {rows[-1]['step']:,}" + (f", {speed:.1f} steps/s" if speed else ""), fontsize=9.5)
    return figure


class LiveProgress:
    """A ``train(every_log=...)`` that shows ``progress_of_levels`` in a notebook, always in the same place."""

    def __init__(self, every_s: float = 5.0) -> None:
        self.rows: list[dict[str, float]] = []
        self.every_s, self._shown_at, self._handle = every_s, -math.inf, None

    def __call__(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if time.monotonic() - self._shown_at >= self.every_s:
            self.show()

    def show(self) -> None:
        """Draw what is known now."""
        from IPython.display import Image, display

        buffer = io.BytesIO()
        progress_of_levels(self.rows).savefig(buffer, format="png", dpi=110)
        picture = Image(buffer.getvalue())
        if self._handle is None:
            self._handle = display(picture, display_id=True)
        else:
            self._handle.update(picture)
        self._shown_at = time.monotonic()


def _psnr(mse: float) -> float:
    return 10 * math.log10(255**2 / max(mse, 1e-9))
