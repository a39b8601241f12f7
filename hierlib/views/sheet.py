"""The paper all figures are drawn on: one look, one way to save.

A figure here is a matplotlib ``Figure`` made without pyplot: nothing is global, nothing pops up, any backend will do.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..files import replacing
from .palette import FAINT, INK, PAPER, RULE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.2,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "none",  # text stays text: searchable, light, set in the reader's font
    "svg.hashsalt": "hierlib",  # equal figures give equal files
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor"), PAPER),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor"), INK),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), FAINT),
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": RULE,
}


@contextmanager
def style() -> Iterator[None]:
    """The house's matplotlib settings, for as long as the block lasts."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Decorator: ``draw`` runs under the house style."""

    @wraps(draw)
    def drawing(*args: P.args, **kwargs: P.kwargs) -> R:
        with style():
            return draw(*args, **kwargs)

    return drawing


def sheet(width: float, height: float, rows: int = 1, columns: int = 1, **subplots: Any) -> tuple[Figure, Any]:
    """A figure of ``width`` x ``height`` inches and its (rows, columns) array of axes.

    The figure shows itself as the last line of a notebook's cell.
    """
    from matplotlib.figure import Figure

    class Plate(Figure):
        def _repr_png_(self) -> bytes:
            return png(self)

    figure = Plate(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def save(figure: Figure, run_folder: str | Path, name: str, caption: str = "") -> Figure:
    """Write ``run_folder/figures/<name>.png`` and ``.svg``; returns the figure, so that a cell can end with the call.

    name: begins with its notebook's number ("03_filmstrip"), which is where the report puts it. caption: one or two
    sentences for people who read, or cannot see, the figure; it travels inside both files as their description.
    """
    folder = Path(run_folder) / "figures"
    about = {"Title": name[3:].replace("_", " "), "Description": caption or name[3:].replace("_", " ")}
    with style():
        with replacing(folder / f"{name}.png") as path:
            figure.savefig(path, format="png", dpi=160, metadata=about)
        with replacing(folder / f"{name}.svg") as path:
            figure.savefig(path, format="svg", metadata={**about, "Date": None})
    return figure
