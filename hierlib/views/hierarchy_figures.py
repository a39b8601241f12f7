"""Figures of the hierarchy laboratory: sizes (the paper's Fig. 2), Wu-Palmer (Table 1), depth and K, confusion, map.

Paper figures are matplotlib and return a ``Figure``; what is for looking around is plotly and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .palette import BLUE, GREEN, INK, VERMILION, level_colour
from .sheet import sheet, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ..hierarchy.measures import Confusion
    from ..hierarchy.tree import Hierarchy

__all__ = [
    *("agreements", "along_depth_and_k", "cluster_sizes", "confusions", "explore_map", "intervals", "map_figure"),
    *("readable", "spread"),
]


@styled
def cluster_sizes(hierarchies: Sequence[Hierarchy], level: int | str = 0, most: int = 12) -> Figure:
    """A panel per hierarchy: classes per group of one level, largest first, the ``most`` largest by name (Fig. 2)."""
    figure, axes = sheet(4.4 * len(hierarchies), 0.55 + 0.27 * most, 1, len(hierarchies), sharex=True)
    for axis, hierarchy in zip(axes[0], hierarchies, strict=True):
        index = hierarchy.level(level)
        sizes = hierarchy.sizes(index)
        order = np.argsort(-sizes, kind="stable")[:most]
        axis.barh(range(len(order)), sizes[order], color=level_colour(index))
        axis.set_yticks(range(len(order)), [_short(hierarchy.group_names[index][group]) for group in order])
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        for place, group in enumerate(order):
            axis.annotate(str(sizes[group]), (sizes[group], place), (3, 0), textcoords="offset points", va="center")
        axis.set(title=f"{hierarchy.name}, K = {hierarchy.K[index]}", xlabel="classes", xlim=(0, len(hierarchy.wnids)))
    return figure


@styled
def spread(runs: Mapping[str, Sequence[Mapping[str, float]]], paper: Mapping[str, Mapping[str, float]]) -> Figure:
    """Table 1 as dots: one dot per seed, a diamond where the paper says it lies.

    runs: method -> one dictionary with ``intra`` and ``inter`` per seed. paper: the same of single values.
    """
    figure, axes = sheet(7.6, 0.9 + 0.55 * len(runs), 1, 2, sharey=True)
    for axis, side, hue in zip(axes[0], ("intra", "inter"), (BLUE, VERMILION), strict=True):
        for row, (method, found) in enumerate(runs.items()):
            values = np.array([run[side] for run in found])
            height = row + np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.array([row])
            axis.plot(values, height, "o", color=hue, alpha=0.65, markeredgewidth=0)
            if method in paper:
                axis.plot(paper[method][side], row, "D", color=INK, markersize=6, markerfacecolor="none")
        axis.set(xlabel=f"{side}-group Wu-Palmer", ylim=(len(runs) - 0.5, -0.5))
        axis.grid(axis="y", visible=False)
    axes[0, 0].set_yticks(range(len(runs)), list(runs))
    figure.suptitle("One dot per seed; diamonds: the paper", x=0.01, ha="left", fontsize=9.5)
    return figure


@styled
def along_depth_and_k(depths: pd.DataFrame, clip: pd.DataFrame) -> Figure:
    """Gap and largest share against K, for depth cuts and for cuts of the CLIP tree: what one number hides."""
    figure, axes = sheet(8.6, 3.3, 1, 2)
    for axis, column, label in zip(
        axes[0], ("gap", "largest"), ("intra - inter", "share of the largest group"), strict=True
    ):
        axis.plot(depths["K"], depths[column], "o-", color=GREEN, label="WordNet depth cut")
        axis.plot(clip["K"], clip[column], "s-", color=BLUE, label="CLIP, Ward's tree")
        axis.set(xlabel="groups K", title=label, xscale="log", ylim=(0, None))
        for K, value, depth in zip(depths["K"], depths[column], depths["depth"], strict=True):
            axis.annotate(str(depth), (K, value), (0, 6), textcoords="offset points", ha="center", fontsize=8)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes[0, 1].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes[0, 0].legend()
    figure.suptitle("Small numbers: depth of the cut", x=0.01, ha="left", fontsize=9.5)
    return figure


@styled
def intervals(table: pd.DataFrame) -> Figure:
    """A panel per figure, a row per table and level: the value and its bootstrap interval. table: as ``measured``."""
    figures = [c for c in ("intra", "inter", "gap", "entropy", "largest", "silhouette") if f"{c} 95 %" in table]
    height = 0.75 + 0.27 * len(table)
    figure, axes = sheet(9.6, 2 * height, 2, (len(figures) + 1) // 2, sharey=True)
    labels = [f"{name}, K = {K}" for name, K in zip(table["hierarchy"], table["K"], strict=True)]
    hues = [level_colour(list(dict.fromkeys(table["level"])).index(level)) for level in table["level"]]
    for axis in axes.flat[len(figures) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, figures, strict=False):
        for row, (value, span, hue) in enumerate(zip(table[name], table[f"{name} 95 %"], hues, strict=True)):
            axis.plot(list(map(float, span.split(" to "))), [row, row], "-", color=hue, linewidth=2.4, alpha=0.6)
            axis.plot(value, row, "o", color=hue)
        axis.set(title=name, ylim=(len(table) - 0.5, -0.5))
        axis.grid(axis="y", visible=False)
    for row in axes:
        row[0].set_yticks(range(len(labels)), labels)
    return figure


@styled
def agreements(names: Sequence[str], matrices: Mapping[str, np.ndarray]) -> Figure:
    """Adjusted Rand index of every pair of groupings: a table in colour per title. matrices: title -> (n, n)."""
    figure, axes = sheet(2.2 + 0.66 * len(names) * len(matrices), 1.4 + 0.5 * len(names), 1, len(matrices), sharey=True)
    for axis, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        axis.imshow(matrix, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")
        for (row, column), value in np.ndenumerate(matrix):
            axis.annotate(f"{value:.2f}", (column, row), ha="center", va="center", color="black")
        axis.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(len(names)), names)
        axis.grid(visible=False)
        axis.set_title(title)
    return figure


@styled
def confusions(found: Mapping[str, Confusion], names: Mapping[str, Sequence[str]]) -> Figure:
    """A panel per hierarchy: where its true groups (rows) are answered (columns), as shares of the row."""
    figure, axes = sheet(4.5 * len(found), 4.1, 1, len(found))
    for axis, (title, confusion) in zip(axes[0], found.items(), strict=True):
        rows = confusion.counts.sum(1, keepdims=True)
        axis.imshow(confusion.counts / np.maximum(rows, 1), cmap="Blues", vmin=0, vmax=1)
        labels = [_short(name, 24) for name in names[title]]
        axis.set_xticks(range(len(labels)), labels, rotation=60, ha="right", rotation_mode="anchor", fontsize=7.5)
        axis.set_yticks(range(len(labels)), labels, fontsize=7.5)
        axis.grid(visible=False)
        axis.set_title(f"{title}\n{confusion.forgiven:.0%} of mistakes stay inside (chance {confusion.chance:.0%})")
    return figure


@styled
def map_figure(hierarchy: Hierarchy, points: np.ndarray, level: int | str = 0) -> Figure:
    """Classes in the plane, coloured by group, each group's name at its middle. points: (N, 2). Axes mean nothing."""
    figure, axes = sheet(7.4, 5.6)
    axis, index = axes[0, 0], hierarchy.level(level)
    hues = _hues(hierarchy.K[index])
    axis.scatter(*points.T, c=[hues[group] for group in hierarchy.groups[index]], s=11, linewidths=0)
    for group, name in enumerate(hierarchy.group_names[index][:30]):
        middle = np.median(points[hierarchy.members(index, group)], axis=0)
        box = {"facecolor": "white", "edgecolor": hues[group], "alpha": 0.85, "boxstyle": "round,pad=0.2"}
        axis.annotate(_short(name), middle, ha="center", va="center", fontsize=8, bbox=box)
    axis.set_axis_off()
    axis.set_title(f"{hierarchy.name}: {hierarchy.levels[index]}, K = {hierarchy.K[index]}")
    return figure


def explore_map(hierarchy: Hierarchy, points: np.ndarray) -> Any:
    """The map in plotly, to look around in: hover for a class and its groups, buttons to colour by another level."""
    import plotly.graph_objects as go

    trails = [
        "<br>".join(
            [
                f"<b>{name}</b>",
                *(
                    f"{level}: {names[ids[row]]}"
                    for level, ids, names in zip(hierarchy.levels, hierarchy.groups, hierarchy.group_names, strict=True)
                ),
            ]
        )
        for row, name in enumerate(hierarchy.names)
    ]
    palettes = [_hues(K) for K in hierarchy.K]
    colours = [[hues[group] for group in ids] for hues, ids in zip(palettes, hierarchy.groups, strict=True)]
    dots = go.Scattergl(
        x=points[:, 0].tolist(),
        y=points[:, 1].tolist(),
        mode="markers",
        text=trails,
        hoverinfo="text",
        marker={"color": colours[0], "size": 7},
    )
    buttons = [
        {"label": f"{level} (K = {K})", "method": "restyle", "args": [{"marker.color": [hue]}]}
        for level, K, hue in zip(hierarchy.levels, hierarchy.K, colours, strict=True)
    ]
    figure = go.Figure(dots)
    menu = {"type": "buttons", "direction": "right", "buttons": buttons, "x": 0, "y": 1.12, "xanchor": "left"}
    figure.update_layout(updatemenus=[menu], height=560, template="plotly_white", margin={"l": 10, "r": 10, "b": 10})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    return figure


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The same table for eyes: three digits, intervals in the cell of their figure, blank where there is no number."""
    import pandas as pd

    cells = {}
    for column in (c for c in table if not str(c).endswith(" 95 %")):
        values = table[column]
        texts = [_cell(value) for value in values]
        if f"{column} 95 %" in table:
            spans = table[f"{column} 95 %"]
            texts = [f"{text} ({span})" if isinstance(span, str) else text for text, span in zip(texts, spans)]
        cells[column] = texts
    return pd.DataFrame(cells, index=table.index)


def _cell(value: Any) -> str:
    if not isinstance(value, (float, np.floating)):
        return "" if value is None else str(value)
    return f"{value:.3f}" if np.isfinite(value) else ""


def _hues(count: int) -> list[str]:
    """``count`` colours, neighbours far apart on the wheel (the golden angle)."""
    from matplotlib.colors import hsv_to_rgb, to_hex

    wheel = [(k * 0.618034 % 1, 0.55 + 0.3 * (k % 2), 0.85 - 0.1 * (k % 3)) for k in range(count)]
    return [to_hex(tuple(colour)) for colour in hsv_to_rgb(wheel)]


def _short(name: str, most: int = 30) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
