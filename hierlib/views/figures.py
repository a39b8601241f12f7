"""Figures of sets of pictures: accuracy along the bytes, similarity, distortion, who knew when, training.

Input are ``hierlib.evaluation.Results``. Accuracy is drawn over log-bytes with the accuracy on the originals (dashed)
and of always naming the largest group (dotted); a band is one standard error. A hollow marker is a point at which some
pictures have no file that small that decodes: there the guess stands in for them. Codecs that are not compared by their
rates (``baselines.apart``) are left out: senders.py has them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import numpy as np

from ..baselines import apart
from ..errors import DataError
from ..training.metrics import logged
from .palette import CODECS, DASHES, FAINT, MARKERS, PAPER, level_colour
from .sheet import save, sheet, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..evaluation import Results

__all__ = ["calibration", "rate_accuracy", "rate_distortion", "rate_similarity", "save", "survival", "training_curves"]

LABELS = {
    "psnr_db": "PSNR, dB",
    "ms_ssim": "MS-SSIM",
    "wup": "Wu-Palmer similarity",
    "bytes": "bytes of the file",
    "bpp": "bits per pixel",
}

TRAINED = {
    "bytes": "bytes (estimated), by level",
    "mse": "squared error, 255 scale",
    "nats": "cross-entropy, nats",
    "right": "right answers",
    "gradient": "gradient norm",
}


@styled
def rate_accuracy(results: Sequence[Results], classifier: str | None = None, x: str = "bytes") -> Figure:
    """A panel for each level, coarse to fine (the paper's Fig. 4): share of right answers along the bytes.

    results: one for each codec, of the same pictures and hierarchy, ours first. classifier: a name, the first if None.
    x: "bytes" or "bpp" of what was really sent.
    """
    results = together(results)
    first = _alike(results)
    K = first.meta["hierarchy"]["K"]
    figure, axes = sheet(3.6 * len(first.levels), 3.5, 1, len(first.levels))
    for axis, level, groups, letter in zip(axes[0], first.levels, K, ascii_lowercase, strict=False):
        _curves(axis, results, f"right_{level}", classifier, x)
        axis.axhline(first.majority[level], color=FAINT, linestyle=":", linewidth=1.2, label="largest group")
        axis.set(title=f"({letter}) {level}, K = {groups}", ylim=(0, None))
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes[0, 0].set_ylabel("right answers")
    return finish(figure, axes)


@styled
def rate_similarity(results: Sequence[Results], x: str = "bytes") -> Figure:
    """A panel for each classifier (the paper's Fig. 5): mean Wu-Palmer similarity of answer and truth."""
    from ..evaluation.results import judges_of_all

    results = together(results)
    _alike(results)
    names = judges_of_all(results)
    figure, axes = sheet(max(4.6, 3.6 * len(names)), 3.5, 1, len(names))
    for axis, name, letter in zip(axes[0], names, ascii_lowercase, strict=False):
        _curves(axis, results, "wup", name, x)
        axis.set(title=f"({letter}) {name}")
    axes[0, 0].set_ylabel(LABELS["wup"])
    return finish(figure, axes)


@styled
def rate_distortion(results: Sequence[Results], x: str = "bytes") -> Figure:
    """PSNR and MS-SSIM of the decoded pictures along the bytes."""
    results = together(results)
    _alike(results)
    figure, axes = sheet(8.4, 3.4, 1, 2)
    for axis, measure in zip(axes[0], ("psnr_db", "ms_ssim"), strict=True):
        _curves(axis, results, measure, None, x, originals=False)
        axis.set(title=LABELS[measure])
    return finish(figure, axes)


@styled
def survival(results: Results, classifier: str | None = None) -> Figure:
    """When did the machine know? Share of pictures whose answer is right and stays right, by bytes, for each level.

    The share at n bytes is that of the pictures with N*_K <= n: one minus the survival curve of not knowing. A dot
    stands where half of all pictures have settled, if half ever do.
    """
    from ..evaluation import n_star
    from ..evaluation import survival as unsettled
    from ..evaluation.semantic import median_bytes

    figure, axes = sheet(6.6, 3.7)
    axis = axes[0, 0]
    files = results.of(classifier, "whole")["bytes"]
    n_bytes = np.geomspace(8, files.max(), 200)
    for index, level in enumerate(results.levels):
        settled = n_star(results, level, classifier)
        share = 1 - unsettled(settled, n_bytes)
        axis.plot(n_bytes, share, color=level_colour(index), label=level, drawstyle="steps-post")
        axis.annotate(f"{share[-1]:.0%}", (n_bytes[-1], share[-1]), (4, -3), textcoords="offset points", fontsize=8.5)
        half = median_bytes(settled)
        if half == half:
            axis.plot(half, 0.5, "o", color=level_colour(index))
            axis.annotate(f"{half:,.0f} B", (half, 0.5), (6, -11), textcoords="offset points", fontsize=8.5)
    axis.set(xlabel=LABELS["bytes"], ylabel="known for good", ylim=(0, 1), title=results.meta["codec"]["name"])
    log_bytes(axis)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axis.legend(loc="upper left")
    return figure


@styled
def calibration(results: Results, classifier: str | None = None) -> Figure:
    """How far is confidence from accuracy, along the bytes? ECE of each level; that of the originals dashed."""
    from ..evaluation.calibration import calibration as measured

    found = measured(results, classifier)
    rows = results.of(classifier)
    budget = rows[rows["kind"] == "budget"].groupby("point")["bytes"].mean()
    figure, axes = sheet(6.6, 3.4)
    axis = axes[0, 0]
    for index, level in enumerate(results.levels):
        of_level = found[found["level"] == level].set_index("point")["ece"]
        points = [point for point in budget.sort_values().index if point in of_level.index]
        axis.plot(budget[points], of_level[points], "o-", color=level_colour(index), label=level)
        if "original" in of_level.index:
            axis.axhline(of_level["original"], color=level_colour(index), linestyle="--", linewidth=1)
    name = classifier or results.classifiers[0]
    axis.set(xlabel=LABELS["bytes"], ylabel="calibration error", ylim=(0, None))
    axis.set_title(f"{results.meta['codec']['name']}, {name}")
    log_bytes(axis)
    axis.legend(loc="upper right")
    return figure


@styled
def training_curves(metrics: str | Path, columns: int = 3) -> Figure:
    """What a training run logged, over steps: a panel for each quantity, a line in it for each level ("mse_1").

    metrics: a ``metrics.jsonl``. Raises DataError where there is none, or nothing in it.
    """
    path = Path(metrics)
    rows = logged(path)
    if not rows:
        raise DataError(f"{path} holds no line of training: train first, or name the metrics.jsonl of a run.")
    panels: dict[str, list[str]] = {}
    for name in sorted({key for row in rows for key in row} - {"step", "seconds", "steps_per_s"}):
        panels.setdefault(name.rpartition("_")[0] or name, []).append(name)
    height = math.ceil(len(panels) / columns)
    figure, axes = sheet(3.5 * columns, 2.3 * height, height, columns, sharex=True)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (quantity, names) in zip(axes.flat, panels.items(), strict=False):
        for name in names:
            points = [(row["step"], row[name]) for row in rows if name in row]
            level = name.rpartition("_")[2]
            hue = level_colour(int(level) - 1) if level.isdigit() else FAINT
            axis.plot(*zip(*points, strict=True), color=hue, linewidth=1.4, label=level)
        values = [row[name] for row in rows for name in names if name in row]
        if min(values) > 0 and max(values) > 30 * min(values):
            axis.set_yscale("log")
        axis.set_title(TRAINED.get(quantity, quantity.replace("_", " ")))
        axis.legend(ncols=len(names), handlelength=1.2, columnspacing=1)
    figure.supxlabel("step", fontsize=9.5)
    return figure


def together(results: Sequence[Results]) -> Sequence[Results]:
    """Those that a figure of rates compares: all but the codecs that stand apart, unless there are only those."""
    return [each for each in results if not apart(each.meta["codec"]["name"])] or results


def _alike(results: Sequence[Results]) -> Results:
    """The first of results that may share a figure. Raises DataError for none, or for different pictures or trees."""
    if not results:
        raise DataError("There are no results to draw: evaluate a codec first.")
    for other in results[1:]:
        ours, theirs = (
            (r.meta["pictures"]["name"], r.meta["pictures"]["n"], r.meta["hierarchy"]["name"])
            for r in (results[0], other)
        )
        if ours != theirs:
            raise DataError(
                f"One figure needs one set of pictures and one hierarchy; these are of {ours} and {theirs}."
            )
    return results[0]


def _curves(
    axis: Any, results: Sequence[Results], measure: str, classifier: str | None, x: str, originals: bool = True
) -> None:
    """A line for each codec with its band; the originals' value dashed."""
    for index, result in enumerate(results):
        if measure not in result.measures:
            raise DataError(f"{result.meta['codec']['name']} was measured without {measure}: evaluate again with it.")
        table = result.table()
        table = table[table["classifier"] == (classifier or result.classifiers[0])]
        curve = table[table["kind"] == "budget"].sort_values("budget_bytes")
        hue = CODECS[index % len(CODECS)]
        at, mean, spread = (curve[name].to_numpy(float) for name in (x, measure, f"{measure}_se"))
        whole_file = table[table["kind"] == "whole"].iloc[0]
        at = at + _unsent(result, classifier) * (whole_file[x] / whole_file["bytes"])
        axis.fill_between(at, mean - spread, mean + spread, color=hue, alpha=0.18, linewidth=0)
        axis.plot(at, mean, color=hue, linestyle=DASHES[index % len(DASHES)], label=result.meta["codec"]["name"])
        for whole in (True, False):
            chosen = (curve["n_decodable"] == curve["n"]).to_numpy() == whole
            face = hue if whole else PAPER
            axis.plot(at[chosen], mean[chosen], MARKERS[index % len(MARKERS)], color=hue, markerfacecolor=face)
        if originals and index == 0:
            clean = table[table["kind"] == "original"][measure].mean()
            axis.axhline(clean, color=FAINT, linestyle="--", linewidth=1.2, label="originals")
    axis.set_xlabel(LABELS[x])
    log_bytes(axis)


def _unsent(result: Results, classifier: str | None) -> np.ndarray:
    """By budget, bytes to add to the mean of those sent: of a picture without a file so small, the budget itself.

    Nothing was sent of it, which the mean counts as no bytes, though the guess had the budget at its disposal.
    """
    rows = result.of(classifier, "budget")
    return (rows["budget_bytes"] * (rows["bytes"] == 0)).groupby(rows["budget_bytes"]).mean().to_numpy(float)


def log_bytes(axis: Any) -> None:
    """Bytes (or bits per pixel) on a scale of doublings, written as plain numbers."""
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:.3g}")


def finish(figure: Figure, axes: Any) -> Figure:
    """One legend for all panels, below them."""
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)))
    return figure
