"""What the task loss buys, drawn: codecs that were trained in both regimes, with it less without, along the bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..baselines import PLAIN, TASK
from ..errors import DataError
from ..evaluation.regimes import NOBODY, pairs, regimes
from .figures import LABELS, finish, log_bytes
from .palette import CODECS, DASHES, FAINT, MARKERS
from .sheet import sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..evaluation import Results


@styled
def bought_by_the_task(results: Sequence[Results]) -> Figure:
    """A panel for each classifier (coarsest level, in points) and one for PSNR; bands are 95 % intervals over pictures.

    results: of one set of pictures; codecs without their other regime are passed over. Raises DataError if that leaves
    nothing.
    """
    import pandas as pd

    found = [regimes(plain, task, levels=1) for plain, task in pairs(results)]
    if not found:
        names = ", ".join(result.meta["codec"]["name"] for result in results)
        raise DataError(f"No codec is here in both regimes, as NAME and NAME{TASK}: these are {names}.")
    rows = pd.concat(found, ignore_index=True)
    judges = list(dict.fromkeys(rows["classifier"]))
    figure, axes = sheet(3.6 * len(judges), 3.4, 1, len(judges))
    for axis, judge in zip(axes[0], judges, strict=True):
        points = judge != NOBODY
        _differences(axis, rows[rows["classifier"] == judge], 100 if points else 1)
        axis.set(title=f"{judge}, K = {results[0].meta['hierarchy']['K'][0]}" if points else LABELS["psnr_db"])
    axes[0, 0].set_ylabel("with it less without, points")
    return finish(figure, axes)


def _differences(axis: Any, rows: Any, scale: float) -> None:
    """A line for each codec with its interval, and the line of no difference."""
    axis.axhline(0, color=FAINT, linewidth=1.0)
    first = 0 if rows["codec"].isin(PLAIN).any() else 1  # ours, which come first, have the first hue
    for index, (codec, of_codec) in enumerate(rows.groupby("codec", sort=False), start=first):
        at, middle, low, high = (of_codec[name] for name in ("budget_bytes", "difference", "low", "high"))
        hue = CODECS[index % len(CODECS)]
        axis.fill_between(at, scale * low, scale * high, color=hue, alpha=0.18, linewidth=0)
        axis.plot(
            at, scale * middle, MARKERS[index % len(MARKERS)], color=hue, linestyle=DASHES[index % len(DASHES)],
            label=codec,
        )  # fmt: skip
    axis.set_xlabel("bytes")
    log_bytes(axis)
