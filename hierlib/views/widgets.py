"""The byte slider and the exact-N box of the notebooks.

The slider is linked to pre-decoded frames on the page itself (``jslink``), so it moves without a kernel: in an exported
page, and in a stored notebook that nobody has run. The box decodes live and needs one.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..codec.protocol import ProgressiveCodec
from .ladder import Crumb, Ladder, Rung, check_fit, frame_bytes, mark, name_pictures, truth_of
from .latest import LatestWins
from .palette import level_colour

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure

    from ..classifiers import Classifier
    from ..hierarchy.tree import Hierarchy


def breadcrumb_html(crumbs: Sequence[Crumb]) -> str:
    """Answers, coarse to fine, as HTML: a bar for each level's probability, a tick where it is right.

    Neutral greys come from opacity, so that it reads in light and dark themes alike.
    """
    rows = []
    for level, crumb in enumerate(crumbs):
        hue, sure = level_colour(level), f"{crumb.probability:.0%}"
        rows.append(
            '<div style="display:grid;grid-template-columns:7.5em 1fr 3em;gap:.6em;align-items:baseline;margin:.3em 0">'
            f'<span style="opacity:.65">{html.escape(crumb.level)}</span>'
            f"<span><b>{html.escape(crumb.name)}</b>{mark(crumb)}"
            f'<span style="display:block;height:4px;border-radius:2px;background:{hue};width:{sure}"></span></span>'
            f'<span style="text-align:right;font-variant-numeric:tabular-nums">{sure}</span></div>'
        )
    return f'<div class="hier-crumbs" style="line-height:1.35">{"".join(rows)}</div>'


def caption_html(ladder: Ladder, rung: Rung) -> str:
    """Bytes, bits per pixel, PSNR, levels complete and coefficients received of one rung, as a line of HTML."""
    decoded = rung.decoded
    received = f" · {decoded.symbols:,} of {decoded.symbols_total:,} coefficients" if decoded.symbols_total else ""
    levels = f" · level {decoded.level} of {len(ladder.ends)} complete" if ladder.ends else ""
    return (
        '<div style="line-height:1.4;font-variant-numeric:tabular-nums">'
        f'<b style="font-size:1.5em">{rung.bytes:,}</b> of '
        f"{len(ladder.stream):,} bytes<br><span style='opacity:.65'>{rung.bpp:.3f} bpp · {rung.psnr_db:.1f} dB"
        f"{levels}{received}</span></div>"
    )


def decode_slider(ladder: Ladder, side: int = 320) -> ipywidgets.Widget:
    """A slider over the rungs of ``ladder``: picture, breadcrumb and bytes move together, kernel or none.

    side: width of the picture on the screen, pixels.
    """
    import ipywidgets as W

    frames = []
    for rung in ladder.rungs:
        picture = _image(W, rung, side)
        text = W.HTML(caption_html(ladder, rung) + breadcrumb_html(rung.crumbs), layout=W.Layout(width="24em"))
        frames.append(W.HBox([picture, text], layout=W.Layout(grid_gap="1.5em", flex_flow="row wrap")))
    stack = W.Stack(frames, selected_index=0)
    budgets = [(f"{rung.bytes:,} B", row) for row, rung in enumerate(ladder.rungs)]
    slider = W.SelectionSlider(options=budgets, description="budget", layout=W.Layout(width="30em"))
    play = W.Play(min=0, max=len(frames) - 1, interval=250)
    links = [W.jslink((slider, "index"), (stack, "selected_index")), W.jslink((play, "value"), (slider, "index"))]
    box = W.VBox([W.HBox([play, slider]), stack])
    box.add_class("hier-ui")
    box.links = links  # the widgets' lifetime is the box's
    return box


def live_box(
    codec: ProgressiveCodec,
    stream: bytes,
    hierarchy: Hierarchy,
    classifier: Classifier,
    *,
    wnid: str | None = None,
    start: int | None = None,
    side: int = 320,
) -> ipywidgets.Widget:
    """A box for an exact number of bytes: that prefix is decoded and named live, the latest value winning.

    wnid: the class of the picture, where known. start: bytes shown first, a quarter of the file by default.
    The returned widget's ``pending.wait(seconds)`` waits until what is shown is what was asked for.
    """
    import ipywidgets as W

    check_fit(hierarchy, classifier)
    truth = truth_of(hierarchy, wnid)
    start = len(stream) // 4 if start is None else start
    number = W.BoundedIntText(value=start, min=0, max=len(stream), description="bytes", layout=W.Layout(width="14em"))
    picture = W.Image(layout=W.Layout(width=f"{side}px"))
    text = W.HTML(layout=W.Layout(width="24em"))

    def show(n: int) -> None:
        decoded = codec.decode(stream[:n])
        crumbs = name_pictures([decoded.image], hierarchy, classifier, truth)[0]
        picture.value, picture.format = frame_bytes(decoded.image)
        text.value = f"<b>{n:,}</b> of {len(stream):,} bytes, {decoded.bytes_used:,} in use" + breadcrumb_html(crumbs)

    def failed(error: Exception) -> None:
        text.value = f"<b>This cut did not decode.</b> {html.escape(f'{type(error).__name__}: {error}')}"

    box = W.VBox([number, W.HBox([picture, text], layout=W.Layout(grid_gap="1.5em", flex_flow="row wrap"))])
    box.pending = LatestWins(show, failed)
    number.observe(lambda change: box.pending.submit(change["new"]), names="value")
    box.pending.submit(number.value)
    box.add_class("hier-live")
    picture.add_class("hier-live-img")
    return box


def contact_sheet(ladder: Ladder, n: int = 8) -> Figure:
    """``n`` rungs as one still figure: what a viewer without widgets sees in place of the slider."""
    from .strips import filmstrip

    return filmstrip(ladder, n)


def _image(W: Any, rung: Rung, side: int) -> ipywidgets.Widget:
    """One frame; small pictures keep their pixels instead of being blurred up."""
    content, kind = frame_bytes(rung.decoded.image)
    picture = W.Image(value=content, format=kind, layout=W.Layout(width=f"{side}px", height="auto"))
    picture.add_class("hier-img")
    return picture
