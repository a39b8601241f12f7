"""Figures to look around in: plotly, with every number under the pointer. The figures that stay are in figures.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .palette import CODECS, FAINT, level_colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ..evaluation import Results
    from .ladder import Ladder


def rate_accuracy(results: Sequence[Results], level: str, classifier: str | None = None) -> go.Figure:
    """Right answers at one level along the bytes; hover for the point's numbers, click a codec to hide it."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for index, result in enumerate(results):
        table = result.table()
        curve = table[(table["classifier"] == (classifier or result.classifiers[0])) & (table["kind"] == "budget")]
        curve = curve.sort_values("bytes")
        figure.add_scatter(
            x=curve["bytes"],
            y=curve[f"right_{level}"],
            error_y={"array": curve[f"right_{level}_se"]},
            name=result.meta["codec"]["name"],
            customdata=curve[["bpp", "psnr_db", "n_decodable", "n"]],
            hovertemplate="%{x:,.0f} B, %{customdata[0]:.3f} bpp: <b>%{y:.1%}</b><br>%{customdata[1]:.1f} dB, "
            "%{customdata[2]} of %{customdata[3]} decodable",
            line_color=CODECS[index % len(CODECS)],
        )
    figure.add_hline(results[0].majority[level], line={"color": FAINT, "dash": "dot"}, annotation_text="largest group")
    figure.update_xaxes(type="log", title="bytes of the file")
    figure.update_yaxes(tickformat=".0%", title=f"right answers, {level}", rangemode="tozero")
    return figure.update_layout(template="plotly_white", hovermode="closest")


def confidence(ladder: Ladder) -> go.Figure:
    """How sure the answer at each level is along one picture's bytes; hover for the answer itself."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for index, level in enumerate(ladder.levels):
        crumbs = [rung.crumbs[index] for rung in ladder.rungs]
        figure.add_scatter(
            x=ladder.budgets,
            y=[crumb.sure for crumb in crumbs],
            text=[crumb.name for crumb in crumbs],
            name=level,
            hovertemplate="%{x:,} B: <b>%{text}</b> %{y:.0%}",
            line_color=level_colour(index),
        )
    for number, end in enumerate(ladder.ends, 1):
        figure.add_vline(end, line={"color": FAINT, "dash": "dot"}, annotation_text=f"level {number}")
    figure.update_xaxes(title="bytes")
    figure.update_yaxes(tickformat=".0%", range=[0, 1], title="probability of the answer")
    return figure.update_layout(template="plotly_white", hovermode="x unified")
