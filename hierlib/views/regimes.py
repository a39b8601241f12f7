"""What the task loss buys, and what an encoder that searches does: with it less without, drawn along the bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..baselines import REFINED, TASK
from ..errors import DataError
from ..evaluation.measure import OURS as MEASURED
from ..evaluation.regimes import NOBODY, pairs, regimes
from .figures import LABELS, finish, log_bytes
from .palette import CODECS, DASHES, FAINT, MARKERS
from .sheet import sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..evaluation import Results

OURS = {name for codec in MEASURED for name in (codec, f"{codec}{REFINED}")}


@styled
def bought_by_the_task(results: Sequence[Results]) -> Figure:
    """A panel for each classifier (coarsest level, in points) and one for PSNR; bands are 95 % intervals over pictures.

    results: of one set of pictures; codecs without their other regime are passed over. Raises DataError if that leaves
    nothing.
    """
    return _drawn(pairs(results), f"No codec is here in both regimes, as NAME and NAME{TASK}: these are", results)


@styled
def bought_by_searching(results: Sequence[Results]) -> Figure:
    """The same of codecs that are there with a searching encoder and without, NAME-refined less NAME."""
    return _drawn(searched(results), f"No codec is here as NAME and NAME{REFINED}: these are", results)


def searched(results: Sequence[Results]) -> list[tuple[Results, Results]]:
    """Of results of one set of pictures, those of codecs with a searching encoder, each behind those without."""
    by_name = {result.meta["codec"]["name"]: result for result in results}
    both = [(name.removesuffix(REFINED), name) for name in by_name if name.endswith(REFINED)]
    return [(by_name[plain], by_name[name]) for plain, name in both if plain in by_name]


def _drawn(both: Sequence[tuple[Results, Results]], otherwise: str, results: Sequence[Results]) -> Figure:
    import pandas as pd

    if not both:
        raise DataError(f"{otherwise} {', '.join(result.meta['codec']['name'] for result in results)}.")
    rows = pd.concat([regimes(plain, task, levels=1) for plain, task in both], ignore_index=True)
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
    first = 0 if rows["codec"].isin(OURS).any() else 1  # ours, which come first, have the first hue
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
